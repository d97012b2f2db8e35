"""``irplan log``: what a nurse types, and what comes out."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from irplan.cli.app import app


def run(*words: object, code: int = 0) -> Any:
    done = CliRunner().invoke(app, ["log", *(str(w) for w in words), "--json"])
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return json.loads(done.stdout)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    run("new", tmp_path / "log")
    return tmp_path / "log"


def test_a_log_from_new_to_export(log: Path, tmp_path: Path) -> None:
    run("add", log, "note", "text==1+1", "--by", "Dr. A")
    at = ("--at", "2026-11-30T10:00:00+01:00")
    run("add", log, "needle", "number=1", "status=placed", "tip_mm=1,-2,3.5", *at)
    run(
        "add", log, "lesion", "lesion=T1", "organ=liver", "near=vein; capsule", "size_mm=22,19", *at
    )
    run("add", log, "phase", "action=start", "phase=freeze", "needles=1,2", *at)
    run("add", log, "complication", "observed=no", *at)
    fix = ("--corrects", "3", "--why", "typing error")
    done = run("add", log, "needle", "number=1", "status=placed", "tip_mm=1,-2,4.5", *fix)
    run("add", log, "correction", "--withdraws", "2", "--why", "wrong log")
    shown = run("show", log)
    needle = next(e for e in shown["events"] if e["seq"] == 3)
    assert needle["counts"]["tip_mm"] == [1.0, -2.0, 4.5]
    assert (needle["counts_from"], needle["at"]) == (done["seq"], "2026-11-30T09:00:00.000000Z")
    assert [e["seq"] for e in shown["events"]] == [1, 3, 4, 5, 6]
    found = run("verify", log, "--head", shown["head_sha256"])
    assert (found["intact"], found["count"]) == (True, 8)
    run("export", log, "-o", tmp_path / "log.json")
    assert json.loads((tmp_path / "log.json").read_text())["verified"] == "intact"
    run("export", log, "-o", tmp_path / "log.csv")
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert json.loads(rows[1]["data"])["tip_mm"] == [1.0, -2.0, 4.5]
    run("export", log, "-o", tmp_path / "log.png")
    assert (tmp_path / "log.png").read_bytes().startswith(b"\x89PNG")


def test_a_damaged_log_is_said_and_shown_by_the_exit_code(log: Path) -> None:
    run("add", log, "note", "text=a")
    file = log / "events.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"text":"a"', b'"text":"b"'))
    found = run("verify", log, code=6)
    assert found["findings"][0]["what"].startswith("the line at byte")
    assert run("add", log, "note", "text=c", code=2)["error"]["kind"] == "LogDamagedError"


@pytest.mark.parametrize(
    "words",
    [
        ("note", "text"),
        ("note", "text=a", "text=b"),
        ("note", "colour=a"),
        ("party", "text=a"),
        ("needle", "number=x", "status=placed"),
        ("needle", "number=1", "status=placed", "tip_mm=1,2"),
        ("complication", "observed=perhaps"),
        ("note", "text=a", "--at", "yesterday"),
        ("note", "text=a", "--at", "2026-11-30T10:00:00"),
        ("note", "text=a", "--corrects", "1", "--why", "x"),
        ("note", "text=a", "--corrects", "99", "--why", "x"),
        ("correction", "--withdraws", "1", "--why", "x"),
        ("log_opened", "log_id=1", "irplan=2"),
    ],
)
def test_bad_words(log: Path, words: tuple[str, ...]) -> None:
    assert run("add", log, *words, code=2)["error"]["exit_code"] == 2
    assert run("verify", log)["count"] == 1


def test_bad_places(log: Path, tmp_path: Path) -> None:
    run("new", log, code=4)
    run("show", tmp_path, code=2)
    run("export", log, "-o", tmp_path / "x.doc", code=2)
    run("export", log, "-o", tmp_path / "x.png", code=2)  # nothing to draw
    run("import", log, tmp_path / "absent.dcm", code=2)
    assert "needle" in run("kinds")
