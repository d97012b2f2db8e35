"""Needles in a view: what is drawn, what is grabbed, where drags lead."""

from __future__ import annotations

import numpy as np
import pytest
from irplan_planner.model.handles import dragged, grabbed, needle_view
from irplan_planner.model.slices import slice_frame

from irplan.ablation import Placement, applicator
from irplan.errors import InputError
from irplan.geometry import Grid, Needle
from irplan.image import LabelMap, structure


@pytest.fixture(scope="module")
def ball() -> LabelMap:
    """A body that is a ball of 80 mm about the origin."""
    grid = Grid.from_spacing((90, 90, 90), (2.0, 2.0, 2.0), (-89.0, -89.0, -89.0))
    index = np.stack(np.meshgrid(*[np.arange(90)] * 3, indexing="ij"), -1)
    inside = np.linalg.norm(grid.index_to_lps(index), axis=-1) <= 80.0
    return LabelMap(inside.astype(np.uint8), grid, (structure("body"),))


@pytest.fixture
def placement() -> Placement:
    return Placement(Needle((0.0, 0.0, 0.0), (-80.0, 0.0, 0.0)), applicator("cryo-17g-rod"))


def test_a_needle_in_the_slice_is_solid_and_hidden_far_from_it(ball, placement) -> None:
    on = needle_view(placement, 1, slice_frame(ball.grid, "axial", (0, 0, 0)), 0.0)
    assert len(on.solid) == 1
    assert len(on.dotted) == 0
    assert np.linalg.norm(on.solid[0][-1] - on.solid[0][0]) == pytest.approx(80.0)
    a = placement.applicator
    assert np.linalg.norm(on.active[0][-1] - on.active[0][0]) == pytest.approx(
        a.active_length_mm, abs=2.1
    )
    near = needle_view(placement, 1, slice_frame(ball.grid, "axial", (0, 0, 10)), 0.0)
    assert (len(near.solid), len(near.dotted)) == (0, 1)
    far = needle_view(placement, 1, slice_frame(ball.grid, "axial", (0, 0, 40)), 0.0)
    assert (len(far.solid), len(far.dotted), far.tip, far.entry) == (0, 0, None, None)
    slab = needle_view(placement, 1, slice_frame(ball.grid, "axial", (0, 0, 40)), 90.0)
    assert len(slab.solid) == 1


def test_tips_are_grabbed_before_shafts(ball, placement) -> None:
    frame = slice_frame(ball.grid, "axial", (0, 0, 0))
    views = [needle_view(placement, 1, frame, 0.0)]
    (tip_u, tip_v), _ = frame.to_picture((0.0, 0.0, 0.0))
    assert grabbed(views, tip_u + 2, tip_v, 3.0) == (1, "tip")
    assert grabbed(views, tip_u - 80, tip_v + 1, 3.0) == (1, "entry")
    assert grabbed(views, tip_u - 40, tip_v + 1, 3.0) == (1, "shaft")
    assert grabbed(views, tip_u + 30, tip_v + 30, 3.0) is None


def test_drags(ball, placement) -> None:
    tip = dragged(placement, "tip", (5.0, -3.0, 2.0), ball)
    assert tip.needle.tip_mm == pytest.approx((5.0, -3.0, 2.0))
    assert tip.needle.entry_mm == placement.needle.entry_mm
    entry = dragged(placement, "entry", (0.0, 40.0, 0.0), ball)
    assert entry.needle.tip_mm == placement.needle.tip_mm
    # The entry stays on the skin: 80 mm from the middle, to a voxel of 2 mm.
    assert np.linalg.norm(entry.needle.entry_mm) == pytest.approx(80.0, abs=2.0)
    assert entry.needle.direction @ np.array([80.0, -40.0, 0.0]) == pytest.approx(
        np.hypot(80.0, 40.0)
    )
    shaft = dragged(placement, "shaft", (0.0, 0.0, 10.0), ball)
    assert shaft.needle.direction == pytest.approx(placement.needle.direction)
    assert np.linalg.norm(shaft.needle.entry_mm) == pytest.approx(80.0, abs=2.0)


def test_a_needle_too_long_for_its_applicator_is_refused(ball, placement) -> None:
    with pytest.raises(InputError, match="depth"):
        dragged(placement, "tip", (150.0, 0.0, 0.0), ball)
