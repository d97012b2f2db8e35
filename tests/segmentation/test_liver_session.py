"""Clicks: never ignored, local, undone exactly; the ideal reader gets better with each."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.errors import GeometryError, InputError
from irplan.segmentation import Click, LiverSession, dice, segment_liver
from irplan.segmentation.liver_recut import REACH_MM
from tests.reference.ideal_click import ideal_click


@pytest.fixture(scope="module")
def session(portal):
    return LiverSession.start(portal.phantom.volume, result=portal.found.liver)


def _voxel(grid, point):
    return tuple(np.rint(grid.lps_to_index(point)).astype(int))


def test_ideal_clicks_correct_the_liver_and_change_nothing_far_away(unenhanced):
    volume, truth = unenhanced.phantom.volume, unenhanced.liver
    grid = volume.grid
    now = LiverSession.start(volume, result=unenhanced.found.liver)
    scores = [dice(now.result.mask, truth)]
    for _ in range(5):
        click = ideal_click(now.result.mask, truth, grid)
        before = now.result.mask
        now = now.click(click.point_mm, click.inside)
        assert now.result.mask[_voxel(grid, click.point_mm)] == click.inside
        changed = np.argwhere(now.result.mask != before)
        assert len(changed)
        away = np.linalg.norm(grid.index_to_lps(changed) - click.point_mm, axis=1)
        # Voxels of the working grid and of the scan overlap by half of each.
        assert away.max() <= REACH_MM + 4.0
        scores.append(dice(now.result.mask, truth))
    assert scores[-1] > scores[0] + 0.002
    # A click may cost a few voxels of another edge; never more.
    assert min(np.diff(scores)) > -0.0005
    for click in now.clicks:
        assert now.result.mask[_voxel(grid, click.point_mm)] == click.inside


def test_undo_and_redo_give_the_same_arrays_and_states_stay(portal, session):
    point = portal.phantom.volume.grid.index_to_lps(np.argwhere(portal.liver).mean(axis=0))
    first = session.result.mask.copy()
    second = session.click(point, False)
    assert not second.result.mask[_voxel(portal.phantom.volume.grid, point)]
    np.testing.assert_array_equal(session.result.mask, first)
    back = second.undo()
    assert back.result is session.result
    assert back.can_redo
    assert not back.can_undo
    assert back.redo().result is second.result
    third = back.click(point, True)
    assert not third.can_redo
    assert third.clicks == (Click(tuple(point), True),)
    with pytest.raises(InputError, match="undo"):
        session.undo()
    with pytest.raises(InputError, match="redo"):
        second.redo()


def test_a_click_outside_a_hole_stays_a_hole(portal, session):
    grid = portal.phantom.volume.grid
    point = grid.index_to_lps(np.argwhere(portal.liver).mean(axis=0))
    now = session.click(point, False)
    far = grid.index_to_lps(np.argwhere(portal.liver)[-1])
    assert not now.click(far, True).result.mask[_voxel(grid, point)]


def test_clicks_given_at_once_are_clicks_given_one_by_one(portal, session):
    grid = portal.phantom.volume.grid
    low = grid.index_to_lps(np.argwhere(portal.liver)[0])
    middle = grid.index_to_lps(np.argwhere(portal.liver).mean(axis=0))
    one = session.click(low, True).click(middle, False)
    clicks = (Click(tuple(low), True), Click(tuple(middle), False))
    at_once = segment_liver(portal.phantom.volume, clicks=clicks)
    np.testing.assert_array_equal(at_once.mask, one.result.mask)
    assert at_once.clicks == one.clicks
    ml = np.count_nonzero(one.result.mask) * grid.voxel_volume_mm3 / 1000.0
    assert one.result.volume_ml == pytest.approx(ml)


def test_bad_clicks_are_refused_by_name(portal, session):
    volume = portal.phantom.volume
    inside = tuple(volume.grid.centre_lps_mm)
    outside = tuple(volume.grid.index_to_lps((-2, 0, 0)))
    with pytest.raises(InputError, match="outside the image"):
        session.click(outside, True)
    with pytest.raises(InputError, match="clicked both ways"):
        session.click(inside, True).click(inside, False)
    with pytest.raises(GeometryError, match="three finite numbers"):
        session.click((0.0, float("nan"), 0.0), True)
    with pytest.raises(GeometryError, match="three finite numbers"):
        session.click((0.0, 1.0), True)
    with pytest.raises(InputError, match="clicked both ways"):
        segment_liver(volume, clicks=(Click(inside, True), Click(inside, False)))
    # The same click twice is one click.
    once = session.click(inside, True)
    assert once.click(inside, True) is once


def test_two_close_clicks_of_opposite_kind_both_hold(portal, session):
    grid = portal.phantom.volume.grid
    index = np.argwhere(portal.liver).mean(axis=0).round()
    a, b = grid.index_to_lps(index), grid.index_to_lps(index + np.array([0, 0, 2]))
    now = session.click(a, False).click(b, True)
    assert not now.result.mask[_voxel(grid, a)]
    assert now.result.mask[_voxel(grid, b)]


def test_a_click_leaves_what_lies_nearer_to_an_earlier_one_of_the_other_kind(portal, session):
    grid = portal.phantom.volume.grid
    a = np.array(grid.index_to_lps(np.argwhere(portal.liver).mean(axis=0).round()))
    one = session.click(a, False)
    hole = np.argwhere(session.result.mask & ~one.result.mask)
    at = np.array([grid.index_to_lps(v) for v in hole])
    b = at[np.abs(np.linalg.norm(at - a, axis=1) - 9.0).argmin()]
    back = one.click(b, True).result.mask[tuple(hole.T)]
    near = np.linalg.norm(at - a, axis=1) < np.linalg.norm(at - b, axis=1)
    assert back[near].mean() < 0.5  # without the rule .99
    assert back[~near].mean() > 0.9
