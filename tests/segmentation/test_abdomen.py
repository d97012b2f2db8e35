"""Liver and obstacles on seeded phantoms, whose truth is known and on which nothing was tuned."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.errors import CancelledError, GridMismatchError, InputError, SegmentationError
from irplan.geometry import Grid
from irplan.image import Volume
from irplan.segmentation import dice, segment_abdomen, segment_liver, surface_distances


def _recall(found: np.ndarray, truth: np.ndarray) -> float:
    return np.count_nonzero(found & truth) / np.count_nonzero(truth)


@pytest.mark.parametrize("case", ["portal", "unenhanced", "arterial"])
def test_the_liver_is_found_in_every_phase(case, request):
    data = request.getfixturevalue(case)
    mask = data.found.liver.mask
    assert dice(mask, data.liver) >= 0.93
    gap = surface_distances(mask, data.liver, data.phantom.volume.grid)
    assert gap.average_mm <= 2.5
    ml = mask.sum() * data.phantom.volume.grid.voxel_volume_mm3 / 1000.0
    assert data.found.liver.volume_ml == pytest.approx(ml)


@pytest.mark.parametrize("case", ["portal", "unenhanced", "arterial"])
def test_no_obstacle_is_overlooked(case, request):
    data = request.getfixturevalue(case)
    found, truth = data.found.labels, data.phantom.labels
    assert _recall(found.mask("bone"), truth.mask("bone")) >= 0.97
    # Lung and gas part at a threshold; to a needle they are one.
    assert _recall(found.mask("lung", "gas"), truth.mask("lung", "gas")) >= 0.97
    assert _recall(found.mask("lung"), truth.mask("lung")) >= 0.95
    assert dice(found.array > 0, truth.array > 0) >= 0.99


def test_the_gallbladder_is_found_beside_an_enhanced_liver(portal):
    assert (
        _recall(portal.found.labels.mask("gallbladder"), portal.phantom.labels.mask("gallbladder"))
        >= 0.5
    )


def test_vessels_of_the_portal_phase(portal):
    found, truth = portal.found.labels, portal.phantom.labels
    veins = truth.mask("portal_vein", "hepatic_vein", "vessel", "artery", "vena_cava")
    assert dice(found.mask("vessel") & portal.liver, veins & portal.liver) >= 0.6
    # What is called vessel outside of the liver is one (cava, aorta, portal trunk, their rim).
    outside = found.mask("vessel") & ~portal.liver
    assert _recall(veins, outside) >= 0.75
    assert portal.found.liver.enhanced


def test_what_the_phase_hides_is_not_called_checked(unenhanced, arterial):
    assert not unenhanced.found.labels.checked("vessel")
    assert not unenhanced.found.labels.checked("artery")
    assert any("Vessels inside the liver could not" in w for w in unenhanced.found.warnings)
    assert any("unenhanced" in w for w in unenhanced.found.warnings)
    assert not arterial.found.labels.checked("vessel")
    assert arterial.found.labels.checked("artery")
    assert any("not enhanced in this phase" in w for w in arterial.found.warnings)


def test_the_plain_published_method_is_there_and_not_better(portal):
    told: list[float] = []

    def watch(fraction: float, message: str) -> None:
        assert message
        told.append(fraction)

    plain = segment_liver(portal.phantom.volume, method="wu2016", progress=watch)
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, 1.0)
    assert 0.7 <= dice(plain.mask, portal.liver) <= dice(portal.found.liver.mask, portal.liver)


def test_every_stage_can_be_looked_at(portal):
    stages = portal.found.liver.stages
    shape = stages.image.hu.shape
    for mask in (stages.body, stages.lung, stages.voi.voi, stages.organ, stages.refined):
        assert mask.shape == shape
        assert mask.any()
    assert stages.supervoxels.count > 1000
    assert stages.seeds.inside[stages.seeds.slice_index].any()
    # Seeds are what they say: certain liver inside, certainly not liver outside.
    truth = stages.image.take(portal.liver, portal.phantom.volume.grid)
    assert truth[stages.seeds.inside].mean() > 0.97
    assert truth[stages.seeds.outside].mean() < 0.2
    assert stages.landmarks.dome_z is not None


def test_another_orientation_of_the_same_scan_gives_the_same_answer(portal):
    volume = portal.phantom.volume
    # Head to feet, columns to the right, rows and columns swapped: still right-handed.
    array = volume.array[::-1, :, ::-1].transpose(0, 2, 1)
    grid = volume.grid
    affine = grid.affine.copy()
    last = np.asarray(grid.shape) - 1
    affine[:3, 3] = grid.index_to_lps((last[0], 0, last[2]))
    affine[:3, 0] *= -1
    affine[:3, 2] *= -1
    affine = affine[:, [0, 2, 1, 3]]
    affine_shape = array.shape
    if np.linalg.det(affine[:3, :3]) > 0:  # swap left it mirrored: turn the rows as well
        array = array[:, ::-1]
        affine[:3, 3] = affine[:3, 3] + affine[:3, 1] * (affine_shape[1] - 1)
        affine[:3, 1] *= -1
    turned = Volume(np.ascontiguousarray(array), Grid(array.shape, affine))
    found = segment_liver(turned)
    centres = np.argwhere(found.mask)
    index = np.round(grid.lps_to_index(turned.grid.index_to_lps(centres))).astype(int)
    back = np.zeros(grid.shape, dtype=bool)
    back[tuple(index.T)] = True
    # The block averages may start at another voxel of a row: a sub-voxel shift at most.
    assert dice(back, portal.found.liver.mask) >= 0.98


def test_a_target_mask_wins_and_nothing_else_changes(portal):
    target = np.zeros(portal.liver.shape, dtype=bool)
    k, j, i = np.argwhere(portal.found.labels.mask("vessel") & portal.found.liver.mask)[100]
    target[k - 1 : k + 2, j - 4 : j + 5, i - 4 : i + 5] = True
    before = target.copy()
    found = segment_abdomen(portal.phantom.volume, target_mask=target)
    np.testing.assert_array_equal(found.labels.mask("tumour"), target)
    np.testing.assert_array_equal(target, before)
    assert found.labels.checked("tumour")
    assert not portal.found.labels.checked("tumour")
    # A second run on the same scan gives the same bytes, the target apart.
    first, second = portal.found.labels.array.copy(), found.labels.array.copy()
    first[target] = second[target] = 0
    np.testing.assert_array_equal(first, second)


def test_bad_targets_are_refused_before_any_work(portal):
    volume = portal.phantom.volume
    empty = np.zeros(volume.grid.shape, dtype=bool)
    with pytest.raises(InputError, match="target mask"):
        segment_abdomen(volume, target_mask=empty)
    with pytest.raises(GridMismatchError, match="target mask"):
        segment_abdomen(volume, target_mask=empty[:-1])
    with pytest.raises(GridMismatchError, match="uint8"):
        segment_abdomen(volume, target_mask=empty.astype(np.uint8))


def test_a_target_outside_the_body_is_refused(portal):
    # 120 mm about the liver's middle are enough to find the body.
    middle = int(np.argwhere(portal.liver)[:, 0].mean())
    volume = portal.phantom.volume.crop(
        (middle - 20, 0, 0), (40, *portal.phantom.volume.grid.shape[1:])
    )
    outside = np.zeros(volume.grid.shape, dtype=bool)
    outside[0, 0, 0] = True
    with pytest.raises(InputError, match="outside the body"):
        segment_abdomen(volume, target_mask=outside)


def test_unknown_methods_are_named(portal):
    with pytest.raises(InputError, match="wu2016"):
        segment_liver(portal.phantom.volume, method="unet")


def test_a_scan_without_a_liver_says_so():
    rng = np.random.default_rng(5)
    grid = Grid.from_spacing((60, 120, 140), (3.0, 3.0, 3.0))
    z, y, x = np.indices(grid.shape)
    body = ((y - 60) / 45.0) ** 2 + ((x - 70) / 60.0) ** 2 < 1
    spine = ((y - 85) ** 2 + (x - 70) ** 2 < 49) & body
    hu = np.where(spine, 400.0, np.where(body, -100.0, -1000.0)) + rng.normal(0, 8, grid.shape)
    with pytest.raises(SegmentationError, match="no homogeneous organ"):
        segment_liver(Volume(hu.astype(np.int16), grid))
    assert z.shape == grid.shape


def test_a_scan_without_a_body_says_so():
    rng = np.random.default_rng(6)
    grid = Grid.from_spacing((60, 120, 140), (3.0, 3.0, 3.0))
    hu = np.full(grid.shape, -1000.0)
    hu[:, 20::24, :] = 40.0  # sheets, 3 mm: a table, a blanket
    hu[:, :, ::24] = 40.0
    with pytest.raises(SegmentationError, match="body"):
        segment_liver(Volume((hu + rng.normal(0, 8, grid.shape)).astype(np.int16), grid))


def test_a_cut_off_liver_is_told(portal):
    volume = portal.phantom.volume
    rows = np.flatnonzero(portal.liver.any(axis=(1, 2)))
    stop = int(rows[0] + 0.6 * (rows[-1] - rows[0]))
    low = volume.crop((0, 0, 0), (stop, *volume.grid.shape[1:]))
    found = segment_liver(low)
    assert any("cut off at the top" in w for w in found.warnings)
    assert dice(found.mask, portal.liver[:stop]) >= 0.85


def test_cancelling_passes_through(portal):
    def cancel(fraction: float, message: str) -> None:
        if fraction > 0.1:
            raise CancelledError("segmentation")

    with pytest.raises(CancelledError):
        segment_abdomen(portal.phantom.volume, progress=cancel)
