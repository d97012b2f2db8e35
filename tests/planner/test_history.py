"""Undo and redo bring every voxel back; steps are derived from what is there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from irplan_planner.model.history import KEEP_SIMULATIONS, History
from irplan_planner.model.planner import Planner
from irplan_planner.model.segmenting import BrushStroke, with_liver
from irplan_planner.model.slices import slice_frame
from irplan_planner.model.state import CaseState, next_revision
from irplan_planner.model.steps import steps

from irplan.errors import InputError
from irplan.image import structure


def test_undo_and_redo_of_random_label_changes(handmade_state: CaseState) -> None:
    rng = np.random.default_rng(3)
    history = History(handmade_state)
    seen = [handmade_state.labels.array.copy()]
    for k in range(6):
        labels = history.now.labels
        mask = np.zeros(labels.grid.shape, bool)
        a = rng.integers(0, 30, 3)
        mask[a[0] : a[0] + 5, a[1] : a[1] + 20, a[2] : a[2] + 9] = True
        new = labels.with_mask(structure("bowel"), mask)
        history.push(replace(history.now, labels=new), f"change {k}")
        seen.append(new.array.copy())
    for k in range(5, -1, -1):
        assert history.undo_words == f"change {k}"
        assert np.array_equal(history.undo().labels.array, seen[k])
    assert history.undo_words is None
    for k in range(1, 7):
        assert np.array_equal(history.redo().labels.array, seen[k])
    assert history.redo_words is None


def test_old_states_let_their_simulations_go(handmade_state: CaseState) -> None:
    history = History(handmade_state)
    for k in range(KEEP_SIMULATIONS + 4):
        history.push(replace(history.now, report_note=str(k)), "note")
    back = [history.now.simulation is not None]
    while history.undo_words:
        back.append(history.undo().simulation is not None)
    assert back == [True] * (KEEP_SIMULATIONS + 1) + [False] * 4


def test_amend_is_no_step_of_its_own(handmade_state: CaseState) -> None:
    history = History(handmade_state)
    history.push(replace(handmade_state, title="b"), "title")
    history.amend(replace(history.now, report_note="made meanwhile"))
    assert history.undo().title == "handmade"
    assert history.undo_words is None
    assert history.redo().report_note == "made meanwhile"


def test_status_of_the_steps(handmade_state: CaseState) -> None:
    def words(state: CaseState) -> str:
        return " ".join(f"{v.name}:{v.status}" for v in steps(state))

    assert words(CaseState()) == (
        "load:open segment:missing target:missing plan:missing simulate:missing guide:missing "
        "verify:missing report:missing"
    )
    assert words(replace(CaseState(), volume=handmade_state.volume)).startswith(
        "load:done segment:open target:open plan:missing"
    )
    assert words(handmade_state) == (
        "load:done segment:done target:done plan:done simulate:done guide:open verify:open "
        "report:open"
    )
    moved = replace(
        handmade_state, revisions=replace(handmade_state.revisions, target=next_revision())
    )
    assert "plan:stale simulate:stale" in words(moved)
    assert "report:missing" in words(moved)


def test_brush_paints_a_disc_on_one_slice(with_case: Planner) -> None:
    grid = with_case.state.grid
    frame = slice_frame(grid, "axial", (-60.0, 0.0, 0.0))
    (u, v), _ = frame.to_picture((-60.0, 0.0, 0.0))
    before = with_case.state.labels.array.copy()
    with_case.segment.brush(BrushStroke(frame, ((u, v),), 8.0, "bowel"))
    changed = np.argwhere(with_case.state.labels.array != before)
    assert set(changed[:, 0]) == {frame.index}
    area = len(changed) * grid.spacing_mm[1] * grid.spacing_mm[2]
    assert area == pytest.approx(np.pi * 64.0, rel=0.05)
    with_case.segment.brush(BrushStroke(frame, ((u, v),), 8.0, "bowel", erase=True))
    assert not with_case.state.labels.mask("bowel").any()
    with_case.desk.undo()
    with_case.desk.undo()
    assert np.array_equal(with_case.state.labels.array, before)
    with pytest.raises(InputError, match="brush"):
        BrushStroke(frame, (), 8.0, "bowel")


def test_brush_on_the_target_and_its_stale_plan(with_case: Planner) -> None:
    frame = slice_frame(with_case.state.grid, "axial", (-70.0, -15.0, 5.0))
    (u, v), _ = frame.to_picture((-70.0, -15.0, 5.0))
    ml = with_case.state.target.volume_ml(with_case.state.grid)
    with_case.segment.brush(BrushStroke(frame, ((u, v), (u + 15, v)), 5.0, "target"))
    assert with_case.state.target.volume_ml(with_case.state.grid) > ml
    assert {v.name: v.status for v in with_case.steps()}["plan"] == "stale"


def test_another_liver_leaves_other_organs_alone(handmade_state: CaseState) -> None:
    labels = handmade_state.labels
    old = labels.mask("liver")
    new = np.roll(old, 6, axis=2)
    found = with_liver(labels, old, new)
    for name in ("bone", "gas", "portal_vein", "gallbladder", "tumour"):
        assert np.array_equal(found.mask(name), labels.mask(name))
    assert not (found.mask("liver") & ~new).any()
    soft = labels.mask("body", "muscle", "fat", "liver")
    assert np.array_equal(found.mask("liver") & soft, new & soft)
