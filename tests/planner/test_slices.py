"""Slices: every pixel lies where the grid says, on any orientation; lines have known radii."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from irplan_planner.model.outlines import cut, target_levels, zone_levels
from irplan_planner.model.slices import (
    Look,
    SlicePainter,
    Window,
    eye_frame,
    slice_frame,
)
from irplan_planner.model.state import CaseState, Target

from irplan.geometry import Grid, Needle
from irplan.image import LabelMap, Volume, structure


def _grid(flips: tuple[int, int, int]) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, 0.9], [0, 1.1, 0], [2.5, 0, 0]]) * np.asarray(flips)
    affine[:3, 3] = (-40.0, 12.0, 300.0)
    flipped = np.linalg.det(affine[:3, :3]) > 0
    if flipped:  # keep it right-handed as Grid demands
        affine[:3, 0] *= -1
    return Grid((9, 14, 17), affine)


@pytest.mark.parametrize("flips", [(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)])
@pytest.mark.parametrize("name", ["axial", "coronal", "sagittal"])
def test_each_pixel_shows_the_voxel_at_its_place(flips, name) -> None:
    grid = _grid(flips)
    array = np.arange(np.prod(grid.shape), dtype=np.int16).reshape(grid.shape)
    frame = slice_frame(grid, name, grid.index_to_lps([4, 6, 3]))
    # A window of 255 HU from 0 makes grey = HU for the values 0..255.
    look = Look(window=Window(255.0, 127.5), opacity=0.0)
    values = array % 251
    picture = SlicePainter().picture(Volume(values, grid), None, frame, look)
    for row, column in ((0, 0), (2, 5), (frame.shape[0] - 1, frame.shape[1] - 1)):
        place = frame.to_patient(column * frame.step[0], row * frame.step[1])
        index = np.rint(grid.lps_to_index(place)).astype(int)
        assert picture[row, column] & 0xFF == values[tuple(index)]
    # As radiologists look: left on the right (axial, coronal), back at the bottom, head on top.
    right, down = {"axial": ((1, 0, 0), (0, 1, 0)), "coronal": ((1, 0, 0), (0, 0, -1)),
                   "sagittal": ((0, 1, 0), (0, 0, -1))}[name]  # fmt: skip
    assert frame.right @ right == pytest.approx(1.0)
    assert frame.down @ down == pytest.approx(1.0)


def test_labels_are_blended_by_their_opacity() -> None:
    grid = _grid((1, 1, 1))
    labels = np.ones(grid.shape, np.uint8)
    labels[4] = structure("liver").value
    found = LabelMap(labels, grid, (structure("body"), structure("liver")))
    volume = Volume(np.full(grid.shape, 100, np.int16), grid)
    frame = slice_frame(grid, "axial", grid.index_to_lps([4, 0, 0]))
    look = Look(window=Window(255.0, 127.5), opacity=0.25)
    pixel = int(SlicePainter().picture(volume, found, frame, look)[3, 3])
    wanted = [round(0.75 * 100 + 0.25 * c) for c in structure("liver").colour]
    assert [(pixel >> 16) & 255, (pixel >> 8) & 255, pixel & 255] == wanted
    hidden = Look(window=look.window, opacity=0.25, hidden=frozenset({"liver", "body"}))
    assert int(SlicePainter().picture(volume, found, frame, hidden)[3, 3]) & 255 == 100


@pytest.mark.parametrize(("mode", "wanted"), [("mip", 60), ("minip", 40), ("mean", 50)])
def test_slabs(mode, wanted) -> None:
    grid = _grid((1, 1, 1))
    array = np.zeros(grid.shape, np.int16)
    array[3:6] = np.array([40, 50, 60])[:, None, None]  # 2.5 mm slices: 3 of them in 5 mm
    frame = slice_frame(grid, "axial", grid.index_to_lps([4, 0, 0]))
    look = Look(window=Window(255.0, 127.5), mode=mode, thickness_mm=5.0, opacity=0.0)
    picture = SlicePainter().picture(Volume(array, grid), None, frame, look)
    assert int(picture[2, 2]) & 255 == wanted


def test_needles_eye_looks_along_the_needle() -> None:
    needle = Needle((10.0, 20.0, 30.0), (60.0, -40.0, 35.0))
    frame = eye_frame(needle, 50.0)
    assert frame.away @ needle.direction == pytest.approx(1.0)
    uv, off = frame.to_picture(needle.point_at(50.0))
    middle = 0.5 * (np.asarray(frame.shape) - 1) * frame.step
    assert uv == pytest.approx(middle)
    assert off == pytest.approx(0.0, abs=1e-9)


def test_isotherms_on_slices_have_the_radius_of_the_field(
    handmade_state: CaseState, handmade: ModuleType
) -> None:
    plan, found = handmade_state.plan, handmade_state.simulation
    assert plan is not None and found is not None  # noqa: PT018
    levels = zone_levels(found.result, plan.lethal, plan.placements)
    assert [x.name for x in levels] == ["0 °C", "-20 °C", "-40 °C", "lethal zone"]
    radii = [*(handmade.isotherm_radius_mm(c) for c in (0, -20, -40)), handmade.LETHAL_RADIUS_MM]
    for name in ("axial", "coronal", "sagittal"):
        frame = slice_frame(handmade_state.grid, name, handmade.ZONE_CENTRE)
        uv, off = frame.to_picture(handmade.ZONE_CENTRE)
        for level, radius in zip(levels, radii, strict=True):
            line = np.concatenate(cut(level, frame).lines)
            ring = np.linalg.norm(line - uv, axis=1)
            # Linear interpolation on a lattice of 1 mm: a chord's sagitta, 1 / (8 r) mm, at most.
            assert ring == pytest.approx(np.sqrt(radius**2 - float(off) ** 2), abs=0.15)


def test_targets_line_and_margin_lie_where_the_mask_is(
    handmade_state: CaseState, handmade: ModuleType
) -> None:
    assert handmade_state.target is not None
    inner, outer = target_levels(handmade_state.target, handmade_state.grid, 5.0)
    frame = slice_frame(handmade_state.grid, "axial", handmade.TUMOUR_CENTRE)
    uv, off = frame.to_picture(handmade.TUMOUR_CENTRE)
    for level, radius in ((inner, 10.0), (outer, 15.0)):
        ring = np.linalg.norm(np.concatenate(cut(level, frame).lines) - uv, axis=1)
        # The mask is voxels of 1.6 x 1.6 x 3 mm: its edge is uncertain by half their diagonal.
        assert ring.mean() == pytest.approx(np.sqrt(radius**2 - float(off) ** 2), abs=0.9)


def test_target_keeps_its_voxels() -> None:
    mask = np.zeros((8, 9, 10), bool)
    mask[2:5, 3:4, 6:9] = True
    grid = Grid.from_spacing(mask.shape, (2.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    target = Target.of(mask, "mask")
    assert np.array_equal(target.full(grid), mask)
    assert target.volume_ml(grid) == pytest.approx(9 * 2.0 / 1000.0)
    assert target.centre_mm(grid) == pytest.approx((7.0, 3.0, 6.0))


def test_drr_is_the_line_integral_through_a_ball() -> None:
    from irplan_planner.model.guiding import WATER_PER_MM, drr

    from irplan.geometry import CArm

    grid = Grid.from_spacing((60, 60, 60), (2.0, 2.0, 2.0), (-59.0, -59.0, -59.0))
    index = np.stack(np.meshgrid(*[np.arange(60)] * 3, indexing="ij"), -1)
    ball = np.linalg.norm(grid.index_to_lps(index), axis=-1) <= 40.0
    volume = Volume(np.where(ball, 0, -1000).astype(np.int16), grid)  # water in air
    c_arm = CArm(785.0, 1185.0, (0.0, 0.0, 0.0), 30.0, -20.0, (301, 301), (1.0, 1.0))
    found = drr(volume, c_arm, pixels=301)
    # The central ray crosses the ball's diameter; one 20 mm off the isocentre a chord.
    assert found[150, 150] == pytest.approx(80.0 * WATER_PER_MM, rel=0.03)
    column = 150 + round(20.0 * 1185.0 / 785.0)
    chord = 2.0 * np.sqrt(40.0**2 - 20.0**2)
    assert found[150, column] == pytest.approx(chord * WATER_PER_MM, rel=0.05)
    assert found[150, 150 + round(45.0 * 1185.0 / 785.0)] == 0.0
