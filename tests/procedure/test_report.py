"""A draft report's content: every value traceable, missing is missing, contradictions are found."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.reports import faults, make_case, read_lines, report_of
from irplan.errors import InputError
from irplan.procedure.events import NewEvent, Source
from irplan.procedure.log import ProcedureLog
from irplan.procedure.report import draft_report, untraceable
from irplan.procedure.report_checks import couinaud
from irplan.procedure.report_facts import CaseFile
from irplan.procedure.report_fields import ProcedureReport, ReportField, SourceRef

TYPED = Source("typed", who="x")


def report(tmp_path: Path, *events: tuple[str, dict[str, Any]], files: Any = ()) -> ProcedureReport:
    with ProcedureLog.create(tmp_path / "log") as log:
        log.append_many([NewEvent(kind, data, TYPED) for kind, data in events])
        held = list(log.events())
    made = draft_report(held, files, log_state="intact")
    assert untraceable(made, held, {f.name: f.data for f in files}) == ()
    return made


def status(made: ProcedureReport) -> dict[str, str]:
    return {c.name: c.status for c in made.checks}


def test_random_cases_hold_for_an_independent_reader(tmp_path: Path) -> None:
    for seed in range(25):
        make_case(tmp_path / str(seed), seed)
        text = report_of(tmp_path / str(seed), "en")
        assert faults(text, read_lines(tmp_path / str(seed))) == [], f"seed {seed}"


def test_the_independent_reader_finds_what_is_wrong(tmp_path: Path) -> None:
    make_case(tmp_path / "c", 3)
    lines = read_lines(tmp_path / "c")
    good = report_of(tmp_path / "c", "en")
    data = json.loads(good)
    places = [
        (n, k) for n, s in enumerate(data["sections"]) for k, f in enumerate(s["fields"])
        if f["state"] == "recorded" and isinstance(f["value"], float)
    ]  # fmt: skip
    assert len(places) > 5
    for n, k in places:
        bad = json.loads(good)
        bad["sections"][n]["fields"][k]["value"] += 1.0
        assert faults(json.dumps(bad), lines)
        bad = json.loads(good)
        bad["sections"][n]["fields"][k]["sources"] = []
        assert faults(json.dumps(bad), lines)


def test_an_empty_log_fills_nothing_in(tmp_path: Path) -> None:
    made = report(tmp_path)
    assert {f.state for s in made.sections for f in s.fields} == {"missing"}
    assert status(made)["complete"] == "warning"
    assert "error" not in status(made).values()
    with pytest.raises(InputError):
        ReportField("x", 3.0, "mm", "recorded")
    with pytest.raises(InputError):
        ReportField("x", None, "mm", "recorded", (SourceRef("log", "x", "0" * 64, 1),))


def test_planned_against_achieved(tmp_path: Path) -> None:
    """A tip 3-4-0 mm off is 5 mm off; a needle turned by 90 degrees is 90 degrees off."""
    planned = {"number": 1, "status": "planned", "entry_mm": [0, 0, 80], "tip_mm": [0, 0, 0]}
    placed = {"number": 1, "status": "placed", "entry_mm": [83, 4, 0], "tip_mm": [3, 4, 0]}
    made = report(
        tmp_path, ("needle", planned), ("needle", placed), ("needle", placed | {"number": 2})
    )
    needle = made.one("needle")
    assert needle.field("tip_error_mm").value == 5.0
    assert needle.field("angle_error_deg").value == pytest.approx(90.0)
    assert needle.field("depth_mm").value == 80.0
    assert needle.field("entry_error_mm").value == pytest.approx(math.sqrt(83**2 + 4**2 + 80**2))
    assert status(made)["needles"] == "warning"  # needle 2 was not planned
    assert made.of("needle")[1].field("tip_error_mm").state == "missing"


def test_positions_in_two_frames_have_no_distance(tmp_path: Path) -> None:
    planned = {"number": 1, "status": "planned", "entry_mm": [0, 0, 80], "tip_mm": [0, 0, 0]}
    placed = planned | {"status": "placed", "frame_uid": "1.3"}
    made = report(tmp_path, ("needle", planned | {"frame_uid": "1.2"}), ("needle", placed))
    assert made.one("needle").field("tip_error_mm").state == "missing"


@pytest.mark.parametrize(
    ("events", "check", "expected"),
    [
        ([("lesion", {"side": "left"})], "laterality", "not_checked"),
        ([("lesion", {"side": "left"}), ("verification", {"side": "left"})], "laterality", "ok"),
        (
            [("lesion", {"side": "left"}), ("verification", {"side": "right"})],
            "laterality",
            "error",
        ),
        (
            [("lesion", {"side": "left"}), ("checklist", {"side": "right"})],
            "laterality",
            "error",
        ),
        ([("lesion", {"organ": "liver", "segment": "IX"})], "segment", "error"),
        ([("lesion", {"organ": "liver", "segment": "S4b", "side": "left"})], "segment", "ok"),
        ([("lesion", {"organ": "liver", "segment": "II", "side": "right"})], "segment", "error"),
        ([("lesion", {"organ": "liver", "segment": "1", "side": "right"})], "segment", "ok"),
        ([("lesion", {"organ": "kidney", "segment": "upper pole"})], "segment", "not_checked"),
        (
            [("lesion", {"organ": "kidney", "side": "left"}), ("note", {"text": "Right kidney"})],
            "laterality_words",
            "warning",
        ),
        (
            [
                ("lesion", {"lesion": "T1", "side": "left"}),
                ("verification", {"lesion": "t1", "side": "right", "technical_success": "yes"}),
            ],
            "laterality",
            "error",
        ),
        (
            [
                ("lesion", {"lesion": "T1", "side": "left"}),
                ("lesion", {"lesion": "T2", "side": "left"}),
                ("checklist", {"step": "time_out", "complete": True, "side": "right"}),
            ],
            "laterality",
            "error",
        ),
        (
            [
                ("lesion", {"lesion": "T1", "side": "left"}),
                ("lesion", {"lesion": "T2", "side": "right"}),
                ("checklist", {"step": "time_out", "complete": True, "side": "right"}),
            ],
            "laterality",
            "ok",
        ),
        ([("lesion", {"side": "left", "segment": "II/III"})], "segment", "ok"),
        ([("lesion", {"side": "right", "segment": "4a and 5"})], "segment", "ok"),
        ([("lesion", {"side": "left", "segment": "7-8"})], "segment", "error"),
        ([("lesion", {"organ": "lever", "side": "left", "segment": "7"})], "segment", "error"),
        (
            [("lesion", {"organ": "kidney", "side": "left"}), ("note", {"text": "Rechternier"})],
            "laterality_words",
            "warning",
        ),
        (
            [
                ("lesion", {"organ": "kidney", "side": "left"}),
                ("complication", {"observed": True, "text": "haematoma right"}),
            ],
            "laterality_words",
            "warning",
        ),
        (
            [("lesion", {"organ": "kidney", "side": "left"}), ("note", {"text": "brightly lit"})],
            "laterality_words",
            "ok",
        ),
        (
            [("lesion", {"organ": "liver", "side": "left"}), ("note", {"text": "right vein"})],
            "laterality_words",
            "not_checked",
        ),
        (
            [("verification", {"technical_success": "yes", "covered_percent": 97.0})],
            "success",
            "error",
        ),
        (
            [("verification", {"technical_success": "yes", "minimal_margin_mm": -0.5})],
            "success",
            "error",
        ),
        (
            [("verification", {"technical_success": "no", "covered_percent": 97.0})],
            "success",
            "ok",
        ),
        ([("verification", {"technical_success": "yes"})], "success", "not_checked"),
        ([("complication", {"observed": False})], "complications", "ok"),
        (
            [("complication", {"observed": True}), ("complication", {"observed": False})],
            "complications",
            "error",
        ),
        (
            [("complication", {"observed": False}), ("complication", {"observed": True})],
            "complications",
            "ok",
        ),
        ([], "complications", "not_checked"),
        ([("phase", {"action": "start"})], "phases", "warning"),
        ([("phase", {"action": "stop"})], "phases", "warning"),
        ([("case", {"patient_id": "a"}), ("case", {"patient_id": "b"})], "patient", "error"),
        ([("plan", {"state": "draft"})], "plan", "warning"),
        ([("plan", {"state": "accepted"})], "plan", "ok"),
    ],
)
def test_checks(tmp_path: Path, events: Any, check: str, expected: str) -> None:
    needed = {
        "lesion": {"lesion": "T1", "organ": "liver"},
        "checklist": {"step": "time_out", "complete": True},
        "phase": {"phase": "freeze"},
        "plan": {"sha256": "a" * 64},
    }
    made = report(tmp_path, *((kind, needed.get(kind, {}) | data) for kind, data in events))
    assert status(made)[check] == expected
    assert (check in made.objections) == (expected == "error")


def test_nothing_seen_differs_from_not_recorded(tmp_path: Path) -> None:
    made = report(tmp_path, ("complication", {"observed": False}))
    assert made.one("complications").field("complications").state == "none"
    assert report(tmp_path / "b").one("complications").field("complications").state == "missing"


def test_a_plan_file_that_the_log_does_not_name(tmp_path: Path) -> None:
    needle = {"entry_mm": [0.0, 0.0, 80.0], "tip_mm": [0.0, 0.0, 0.0]}
    placement = {"status": "planned", "needle": needle, "applicator": {"name": "a", "kind": "cryo"}}
    data = {
        "placements": [placement],
        "margin_goal_mm": 6.0,
        "frame_of_reference_uid": "1.2",
        "schedule": {"phases": []},
    }
    placed = {"number": 1, "status": "placed", "entry_mm": [0, 0, 80], "tip_mm": [3, 4, 0]}
    plan = CaseFile("plan.json", "b" * 64, data)
    made = report(tmp_path / "a", ("needle", placed | {"frame_uid": "1.2"}), files=(plan,))
    assert made.one("needle").field("tip_error_mm").value == 5.0
    rows = {s.item: s.field("planned").value for s in made.of("comparison")}
    assert (rows["energy"], rows["applicators"], rows["margin_mm"]) == ("cryo", 1, 6.0)
    assert status(made)["plan"] == "not_checked"
    made = report(tmp_path / "b", ("needle", placed | {"frame_uid": "9"}), files=(plan,))
    assert made.one("needle").field("tip_error_mm").state == "missing"


def test_the_plan_beside_what_was_done(tmp_path: Path) -> None:
    phases = [
        {"kind": "freeze", "duration_s": 600.0},
        {"kind": "passive_thaw", "duration_s": 480.0},
    ]
    plan = CaseFile("plan.json", "b" * 64, {"schedule": {"phases": phases}})
    made = report(
        tmp_path,
        ("plan", {"sha256": "b" * 64, "state": "accepted", "needles": 3, "margin_goal_mm": 5.0}),
        ("verification", {"minimal_margin_mm": 3.5}),
        files=(plan,),
    )
    rows = {s.item: s for s in made.of("comparison")}
    assert rows["margin_mm"].field("difference").value == -1.5
    assert rows["treatment_min"].field("planned").value == 10.0
    assert rows["applicators"].field("planned").value == 3
    other = report(
        tmp_path / "b", ("plan", {"sha256": "c" * 64, "state": "accepted"}), files=(plan,)
    )
    assert status(other)["plan"] == "error"


@pytest.mark.parametrize(
    ("given", "found"),
    [("VII", "7"), ("s4a", "4a"), ("Segment IVb", "4b"), ("8", "8"), ("IX", None), ("0", None)],
)
def test_segments_of_couinaud(given: str, found: str | None) -> None:
    assert couinaud(given) == found


def test_a_far_needle_and_a_dose_report_of_another_day_are_warned_of(tmp_path: Path) -> None:
    later = datetime.now(UTC) + timedelta(days=3)
    phase = {"action": "start", "phase": "freeze"}
    needle = {"number": 1, "tip_mm": [0.0, 0.0, 0.0]}
    with ProcedureLog.create(tmp_path / "log") as log:
        log.append_many(
            [
                NewEvent("phase", phase, TYPED),
                NewEvent("needle", needle | {"status": "planned"}, TYPED),
                NewEvent("needle", needle | {"status": "placed", "tip_mm": [3, 4, 12]}, TYPED),
                NewEvent("dose_total", {"kap_gy_cm2": 1.0}, TYPED, later),
            ]
        )
        made = draft_report(list(log.events()), log_state="intact")
    checks = {c.name: c for c in made.checks}
    assert (checks["needles"].status, checks["day"].status) == ("warning", "warning")
    assert checks["needles"].detail["tip off plan"] == "1: 13 mm"  # 3, 4, 12
    assert checks["day"].detail == {"another day": "event 5"}
    from irplan.procedure.review import Draft
    from irplan.reports.procedure_language import load_language
    from irplan.reports.procedure_page import procedure_page

    draft = Draft("d", "report", "irplan", "2026-11-30T09:00:00Z", "0" * 64)
    page = procedure_page(made, load_language("nl"), draft)
    said = {c.name: c.detail for c in page.checks}
    assert said["Alles op de dag van de ablatie"] == "andere dag: gebeurtenis 5"
    assert "punt naast plan: 1: 13 mm" in said.values()
