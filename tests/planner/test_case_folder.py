"""A case as a folder: whole or as it was, whatever happens."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from irplan_planner.model import case_folder, opening
from irplan_planner.model.planner import Planner
from irplan_planner.model.segmenting import BrushStroke
from irplan_planner.model.slices import slice_frame

from irplan.ablation import Placement
from irplan.errors import FileFormatError, IrplanError, OutputError
from irplan.planning.review_states import Review


def _saved(planner: Planner, folder: Path) -> Path:
    planner.files.save(folder)
    planner.wait(60)
    assert not [m for m in planner.desk.messages if m.tone == "error"]
    return folder


def _opened(path: Path) -> Planner:
    other = Planner(background=False)
    other.files.open(path)
    other.wait(60)
    return other


def _touch(planner: Planner) -> None:
    frame = slice_frame(planner.state.grid, "axial", (-60.0, 0.0, 0.0))
    (u, v), _ = frame.to_picture((-60.0, 0.0, 0.0))
    planner.segment.brush(BrushStroke(frame, ((u, v),), 8.0, "bowel"))


def test_all_of_a_case_comes_back(with_case: Planner, tmp_path: Path) -> None:
    with_case.segment.accept("liver")
    lying = tuple(replace(p, status="achieved") for p in with_case.state.plan.placements)
    with_case.desk.push(replace(with_case.state, achieved=lying, report_note="seen"), "note")
    state = with_case.state
    folder = _saved(with_case, tmp_path / "case")
    assert not with_case.desk.unsaved
    with_case.files.close()
    other = _opened(folder)
    found = other.state
    assert np.array_equal(found.volume.array, state.volume.array)
    assert found.volume.grid.same_as(state.volume.grid)
    assert np.array_equal(found.labels.array, state.labels.array)
    assert np.array_equal(found.target_mask(), state.target_mask())
    assert [p.needle for p in found.plan.placements] == [p.needle for p in state.plan.placements]
    assert (found.accepted, found.report_note) == (frozenset({"liver"}), "seen")
    assert [p.needle.tip_mm for p in found.achieved] == [p.needle.tip_mm for p in lying]
    assert isinstance(found.achieved[0], Placement)
    assert case_folder.recent_cases()[0] == folder
    other.close()
    assert not (folder / case_folder.LOCK_FILE).exists()


def test_only_parts_that_changed_are_written_again(with_case: Planner, tmp_path: Path) -> None:
    folder = _saved(with_case, tmp_path / "case")
    first = {p.name for p in folder.iterdir()}
    _touch(with_case)
    _saved(with_case, folder)
    second = {p.name for p in folder.iterdir()}
    gone, new = first - second, second - first
    assert {n.split("-")[0] for n in gone} == {n.split("-")[0] for n in new} == {"labels"}


def test_disk_full_leaves_the_case_as_it_was(
    with_case: Planner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _saved(with_case, tmp_path / "case")
    before = (folder / "case.json").read_bytes()
    labels = with_case.state.labels.array.copy()
    _touch(with_case)
    write = Path.open

    def full(self: Path, *args, **kwargs):
        if "labels-" in self.name and "w" in str(args):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", full)
    with_case.files.save()
    with_case.wait(30)
    monkeypatch.undo()
    last = with_case.desk.messages[-1]
    assert last.tone == "error"
    assert "no space left" in last.text.lower()
    assert with_case.desk.unsaved
    assert (folder / "case.json").read_bytes() == before
    with_case.files.close()
    other = _opened(folder)
    assert np.array_equal(other.state.labels.array, labels)
    other.close()


def test_a_second_window_may_only_look(with_case: Planner, tmp_path: Path) -> None:
    folder = _saved(with_case, tmp_path / "case")
    lock = folder / case_folder.LOCK_FILE
    other_pid = os.getppid()  # a process that lives and is not this one
    lock.write_text(json.dumps({"pid": other_pid, "host": os.uname().nodename, "time_s": 0}))
    other = _opened(folder)
    assert str(other_pid) in other.desk.read_only
    with pytest.raises(IrplanError, match="read-only"):
        _touch(other)
    with pytest.raises(IrplanError, match="read-only"):
        other.files.save()
    other.close()
    assert lock.exists()


def test_a_lock_left_by_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    dead = {"pid": 2**22 + 12345, "host": os.uname().nodename, "time_s": 0}
    (tmp_path / case_folder.LOCK_FILE).write_text(json.dumps(dead))
    assert case_folder.take_lock(tmp_path).mine
    foreign = {"pid": 1, "host": "elsewhere", "time_s": 9e12}
    (tmp_path / case_folder.LOCK_FILE).write_text(json.dumps(foreign))
    assert not case_folder.take_lock(tmp_path).mine


def test_an_accepted_plan_is_read_only_until_a_new_draft(
    with_case: Planner, tmp_path: Path
) -> None:
    with_case.plans.review("reviewed", "A. Reader", "looked at")
    with_case.plans.review("accepted", "A. Reader", "good")
    with pytest.raises(IrplanError, match="accepted by A"):
        _touch(with_case)
    folder = _saved(with_case, tmp_path / "case")
    with_case.files.close()
    other = _opened(folder)
    assert "accepted by A. Reader" in other.desk.read_only
    with pytest.raises(IrplanError, match="accepted"):
        _touch(other)
    other.plans.new_draft("tumour has grown")
    assert other.state.review == "draft"
    assert "accepted" in other.state.plan.history[-1].what
    _touch(other)
    other.close()


def test_autosave_is_offered_after_a_crash(with_case: Planner, tmp_path: Path) -> None:
    folder = _saved(with_case, tmp_path / "case")
    _touch(with_case)
    with_case.files.autosave()
    with_case.wait(30)
    painted = with_case.state.labels.array.copy()
    case = json.loads((folder / "case.json").read_text())
    assert (folder / case["parts"]["labels"]).is_file()
    with_case.files.close()  # the window is gone; nothing was saved
    other = _opened(folder)
    assert np.array_equal(other.state.labels.array, painted)
    assert other.desk.unsaved
    assert "Recovered" in other.desk.messages[-1].text
    _saved(other, folder)
    assert not (folder / case_folder.AUTOSAVE_FILE).exists()
    other.close()


def test_a_case_that_was_never_saved_is_recovered(
    with_case: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_case.segment.accept("liver")
    with_case.files.autosave()
    with_case.wait(30)
    assert case_folder.unsaved_cases() == ()  # its window lives
    monkeypatch.setattr(case_folder, "may_be_running", lambda pid: False)
    (found,) = case_folder.unsaved_cases()
    other = Planner(background=False)
    other.files.recover(found)
    other.wait(30)
    assert other.state.accepted == {"liver"}
    assert not found.exists()
    other.close()


def test_a_newer_case_is_refused_and_left_as_it_is(with_case: Planner, tmp_path: Path) -> None:
    folder = _saved(with_case, tmp_path / "case")
    with_case.files.close()
    data = json.loads((folder / "case.json").read_text())
    (folder / "case.json").write_text(json.dumps(data | {"schema_version": 2}))
    listed = sorted(p.name for p in folder.iterdir())
    other = _opened(folder)
    assert other.state.volume is None
    assert "newer irplan" in other.desk.messages[-1].remedy
    assert sorted(p.name for p in folder.iterdir()) == listed
    other.close()


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda d: d | {"schema": "irplan-plan"}, "schema"),
        (lambda d: d | {"parts": {"image": "../x.nii"}}, "no file"),
        (lambda d: d | {"parts": {"image": "gone.nii.gz"}}, "no file"),
        (lambda d: d | {"goal": {"margin_mm": 99}}, "margin"),
        (lambda d: d | {"achieved": [{"entry_mm": [0, 0]}]}, "tip_mm"),
    ],
)
def test_damaged_cases_are_refused(with_case: Planner, tmp_path: Path, edit, words) -> None:
    folder = _saved(with_case, tmp_path / "case")
    file = folder / "case.json"
    file.write_text(json.dumps(edit(json.loads(file.read_text()))))
    with pytest.raises(FileFormatError, match=words):
        case_folder.load_case(folder)


def test_a_case_whose_review_was_edited_by_hand_is_refused(
    with_case: Planner, tmp_path: Path
) -> None:
    with_case.plans.review("reviewed", "A. Reader", "looked at")
    folder = _saved(with_case, tmp_path / "case")
    (plan,) = folder.glob("plan-*.json")
    data = json.loads(plan.read_text())
    data["margin_goal_mm"] = 1.0
    plan.write_text(json.dumps(data))
    with pytest.raises(FileFormatError, match="changed after it was reviewed"):
        case_folder.load_case(folder)
    assert Review().state == "draft"


def test_nothing_is_written_over(with_case: Planner, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="not empty"):
        with_case.files.save(tmp_path / "mine")
    with pytest.raises(OutputError, match="not empty"):
        with_case.files.save(tmp_path / "mine" / "thesis.txt")


@pytest.mark.parametrize("content", [b"%PDF-1.4 no scan", b"", os.urandom(4000)])
def test_wrong_files_are_named(planner: Planner, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "thing.dat"
    file.write_bytes(content)
    planner.files.open(file)
    planner.wait(30)
    assert planner.desk.messages[-1].tone == "error"
    assert planner.desk.messages[-1].remedy
    assert planner.state.volume is None
    with pytest.raises(IrplanError, match="nothing there"):
        planner.files.open(tmp_path / "absent")


def test_a_huge_volume_is_refused_with_what_to_do(
    planner: Planner, with_case: Planner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from irplan.files import write_volume

    write_volume(with_case.state.volume, tmp_path / "ct.nii.gz")
    monkeypatch.setattr(opening, "MOST_VOXELS", 1000)
    planner.files.open(tmp_path / "ct.nii.gz")
    planner.wait(30)
    assert "million voxels" in planner.desk.messages[-1].text
    assert "Crop" in planner.desk.messages[-1].remedy


def test_what_was_left_without_saving_does_not_come_back(
    with_case: Planner, tmp_path: Path
) -> None:
    with_case.files.save(tmp_path / "case")
    with_case.wait()
    with_case.segment.accept("liver")
    with_case.files.autosave()
    with_case.wait()
    assert case_folder.can_recover(tmp_path / "case")
    with_case.files.discard_unsaved()
    assert not case_folder.can_recover(tmp_path / "case")
    assert not case_folder.load_case(tmp_path / "case")[0].accepted
