"""Couinaud's planes: a box whose segments have volumes by theory, and points that span none."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage as ndi

from irplan.errors import GridMismatchError, InputError
from irplan.geometry import Grid
from irplan.segmentation import CouinaudLandmarks, couinaud_segments

#: A box of 160 x 100 x 160 mm, the cava in the middle of its back; voxel centres off all planes.
GRID = Grid.from_spacing((82, 52, 82), (2.0, 2.0, 2.0), (-101.0, -61.0, -1.0))
X, Y, Z = np.moveaxis(GRID.index_to_lps(np.moveaxis(np.indices(GRID.shape), 0, -1)), -1, 0)
BOX = (X > -100) & (X < 60) & (Y > -60) & (Y < 40) & (Z > 0) & (Z < 160)
POINTS = {
    "vena_cava": (0.0, 40.0, 150.0),
    "right_vein": (-40.0, 0.0, 140.0),
    "middle_vein": (0.0, -10.0, 145.0),
    "left_vein": (40.0, 0.0, 140.0),
    "portal_bifurcation": (0.0, 10.0, 50.0),
    "umbilical": (45.0, -5.0, 70.0),
}


def _at(found, point) -> str:
    value = found.labels.array[tuple(np.rint(GRID.lps_to_index(point)).astype(int))]
    return next(x.name for x in found.labels.labels if x.value == value)


def test_a_box_is_parted_as_the_planes_say():
    found = couinaud_segments(BOX, GRID, CouinaudLandmarks.from_points(POINTS))
    ml = found.volumes_ml
    # Right half: the diagonal cuts the square of 100 mm in halves; bifurcation at 50 of 160 mm.
    half = 0.5 * 100.0 * 100.0 / 1000.0
    for name, height in (("5", 50.0), ("6", 50.0), ("7", 110.0), ("8", 110.0)):
        # Voxels on the diagonal: one of 50 in a row.
        assert ml[f"couinaud_{name}"] == pytest.approx(half * height, rel=0.025)
    left = sum(ml[f"couinaud_{n}"] for n in range(1, 5))
    assert left == pytest.approx(60.0 * 100.0 * 160.0 / 1000.0, rel=1e-9)
    assert sum(ml.values()) == pytest.approx(BOX.sum() * 0.008, rel=1e-9)
    np.testing.assert_array_equal(found.labels.array > 0, BOX)
    for point, number in (
        ((-80.0, 20.0, 10.0), 6),
        ((-80.0, 20.0, 150.0), 7),
        ((-20.0, -50.0, 10.0), 5),
        ((-20.0, -50.0, 150.0), 8),
        ((10.0, -50.0, 60.0), 4),
        ((56.0, -10.0, 150.0), 2),
        ((56.0, -10.0, 10.0), 3),
        ((10.0, 36.0, 80.0), 1),
    ):
        assert _at(found, point) == f"couinaud_{number}"


def test_neighbours_are_those_of_a_liver():
    # All planes meet in the cava, which is no liver.
    liver = BOX & (np.hypot(X, Y - 40.0) > 12.0)
    found = couinaud_segments(liver, GRID, CouinaudLandmarks.from_points(POINTS))
    touching = set()
    base = found.labels.labels[0].value - 1
    for axis in range(3):
        a = np.moveaxis(found.labels.array, axis, 0)
        pairs = np.stack([a[:-1].ravel(), a[1:].ravel()], axis=1).astype(int) - base
        for p, q in np.unique(np.sort(pairs[(pairs > 0).all(axis=1)], axis=1), axis=0):
            touching.add((int(p), int(q)))
    assert {(2, 3), (3, 4), (4, 5), (4, 8), (5, 6), (5, 8), (6, 7), (7, 8), (1, 4)} <= touching
    assert {(2, 6), (3, 6), (3, 5), (2, 8), (3, 7)} & touching == set()
    for label in found.labels.labels:
        assert ndi.label(found.labels.mask(label.name))[1] == 1


def test_planes_go_through_their_points():
    marks = CouinaudLandmarks.from_points({**POINTS, "gallbladder": (-30.0, -50.0, 20.0)})
    planes = marks.planes()
    for name, points in (
        ("main", ("vena_cava", "middle_vein", "gallbladder")),
        ("right", ("vena_cava", "right_vein")),
        ("left", ("vena_cava", "left_vein", "umbilical")),
        ("caudate_front", ("vena_cava", "portal_bifurcation", "umbilical")),
    ):
        at, normal = planes[name]
        for key in points:
            assert (np.asarray(getattr(marks, key)) - at) @ normal == pytest.approx(0.0, abs=1e-9)
        assert np.linalg.norm(normal) == pytest.approx(1.0)
    assert planes["right"][1][2] == 0.0


def test_turned_grids_give_the_same_segments():
    marks = CouinaudLandmarks.from_points(POINTS)
    straight = couinaud_segments(BOX, GRID, marks)
    affine = GRID.affine.copy()
    affine[:3, 3] = GRID.index_to_lps((81, 51, 0))
    affine[:3, :2] *= -1.0
    turned = couinaud_segments(BOX[::-1, ::-1], Grid(GRID.shape, affine), marks)
    np.testing.assert_array_equal(turned.labels.array[::-1, ::-1], straight.labels.array)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"right_vein": (40.0, 0.0, 140.0), "left_vein": (-40.0, 0.0, 140.0)}, "which vein"),
        ({"middle_vein": (0.0, 30.0, 140.0)}, "seen from below"),
        ({"portal_bifurcation": (0.0, 10.0, 155.0)}, "portal_bifurcation"),
        ({"umbilical": (40.0, 0.0, 138.0)}, "nearly on a line"),
        ({"gallbladder": (0.0, -60.0, 142.0)}, "nearly on a line"),
    ],
)
def test_points_that_span_no_planes(change, words):
    with pytest.raises(InputError, match=words):
        CouinaudLandmarks.from_points({**POINTS, **change})


def test_what_is_missing_or_far_is_named():
    with pytest.raises(InputError, match="umbilical"):
        CouinaudLandmarks.from_points({k: v for k, v in POINTS.items() if k != "umbilical"})
    with pytest.raises(InputError, match="hepatic_vein"):
        CouinaudLandmarks.from_points({**POINTS, "hepatic_vein": (0.0, 0.0, 0.0)})
    marks = CouinaudLandmarks.from_points(POINTS)
    with pytest.raises(InputError, match="RAS"):
        couinaud_segments(BOX & (X < -95), GRID, marks)
    with pytest.raises(InputError, match="no voxel"):
        couinaud_segments(np.zeros_like(BOX), GRID, marks)
    with pytest.raises(GridMismatchError, match="liver mask"):
        couinaud_segments(BOX[:-1], GRID, marks)
    left = couinaud_segments(BOX & (X > 0), GRID, marks)
    assert "segment VIII" in " ".join(left.notes)
    assert "segment IV" not in " ".join(left.notes)
