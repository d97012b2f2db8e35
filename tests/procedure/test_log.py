"""The log: nothing confirmed is lost, nothing changed goes unseen."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from irplan.errors import FileFormatError, InputError, LogDamagedError, OutputError
from irplan.procedure.clock import Reading
from irplan.procedure.events import NewEvent, Source, effective_events, seconds_between
from irplan.procedure.log import ProcedureLog
from irplan.procedure.log_index import STRIDE
from irplan.procedure.log_verify import verify_log

TYPED = Source("typed", who="Dr. Ω. Søren")
START = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)


def clock(*steps: tuple[float, float], boot: str = "b1") -> Any:
    """Readings (wall, steady) in seconds after START, one a call; the last one stays."""
    left = list(steps)

    def read() -> Reading:
        wall, steady = left.pop(0) if len(left) > 1 else left[0]
        return Reading(START + timedelta(seconds=wall), boot, 1000.0 + steady)

    return read


@pytest.fixture
def small(tmp_path: Path) -> Path:
    with ProcedureLog.create(tmp_path / "log") as log:
        log.append("note", {"text": 'naïve “quotes”, 患者, "x"\n'}, source=TYPED)
        log.append("reading", {"needle": 1, "temperature_c": -140.25}, source=TYPED)
        log.append("complication", {"observed": False}, source=TYPED)
    return tmp_path / "log"


def test_the_chain_is_what_an_independent_reader_computes(small: Path) -> None:
    prev = "0" * 64
    lines = (small / "events.jsonl").read_bytes().splitlines()
    for number, line in enumerate(lines, start=1):
        event = json.loads(line)["event"]
        body = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        assert (event["seq"], event["prev"]) == (number, prev)
        prev = hashlib.sha256(body.encode()).hexdigest()
        assert json.loads(line)["sha256"] == prev
    with ProcedureLog.open(small) as log:
        assert (log.count, log.head_sha256) == (4, prev)
        assert [e.kind for e in log.events()] == ["log_opened", "note", "reading", "complication"]
        assert log.event(2).data["text"] == 'naïve “quotes”, 患者, "x"\n'
        assert next(iter(log.events(3))).data == {"needle": 1, "temperature_c": -140.25}
    found = verify_log(small, known_head=prev)
    assert found.intact
    assert found.findings == ()


@pytest.mark.parametrize("name", ["events.jsonl", "head"])
def test_any_flipped_byte_is_found(small: Path, name: str) -> None:
    file = small / name
    good = file.read_bytes()
    with file.open("r+b", buffering=0) as stream:
        for at, byte in enumerate(good):
            os.pwrite(stream.fileno(), bytes([byte ^ (1 << at % 8)]), at)
            assert not verify_log(small).intact, f"byte {at} of {name}"
            os.pwrite(stream.fileno(), bytes([byte]), at)
    file.write_bytes(good)
    assert verify_log(small).intact


def test_dropped_swapped_doubled_and_cut_events_are_found(small: Path) -> None:
    file = small / "events.jsonl"
    rows = file.read_bytes().splitlines(keepends=True)
    wrong = [rows[:n] + rows[n + 1 :] for n in range(4)]
    wrong += [[*rows[:1], rows[2], rows[1], *rows[3:]], [*rows[:2], rows[1], *rows[2:]]]
    wrong += [rows[:n] for n in range(4)]
    for lines in wrong:
        file.write_bytes(b"".join(lines))
        assert not verify_log(small).intact
    file.write_bytes(b"".join([*rows, rows[3]]))  # twice: no interrupted writer leaves that
    assert not verify_log(small).intact
    with ProcedureLog.open(small) as log, pytest.raises(LogDamagedError):
        log.append("note", {"text": "must not hide it"}, source=TYPED)
    assert file.read_bytes().count(rows[3]) == 2
    for cut in range(1, len(rows[3]) + 1):  # the last event was confirmed: no cut is harmless
        file.write_bytes(b"".join(rows)[:-cut])
        assert not verify_log(small).intact
        with pytest.raises(LogDamagedError):
            ProcedureLog.open(small)


def test_a_log_rewritten_as_a_whole_is_found_by_a_hash_kept_elsewhere(
    small: Path, tmp_path: Path
) -> None:
    with ProcedureLog.open(small) as log:
        noted = log.head_sha256
        log.append("note", {"text": "later events do not matter"}, source=TYPED)
    assert verify_log(small, known_head=noted).intact
    with ProcedureLog.create(tmp_path / "forged") as log:
        log.append("note", {"text": "forged"}, source=TYPED)
    assert verify_log(tmp_path / "forged").intact
    assert not verify_log(tmp_path / "forged", known_head=noted).intact


def test_a_torn_end_is_set_aside_and_told(small: Path) -> None:
    whole = (small / "events.jsonl").read_bytes()
    line = whole.splitlines(keepends=True)[-1]
    for cut in (1, 2, 40, len(line) - 1):
        torn = line[:cut]
        case = small.parent / f"torn-{cut}"
        shutil.copytree(small, case)
        with (case / "events.jsonl").open("ab") as stream:
            stream.write(torn)
        found = verify_log(case)
        assert found.intact
        assert "not counted" in found.findings[0].what
        with ProcedureLog.open(case) as log:
            assert f"{cut} bytes of an unfinished event" in log.opened.findings[0]
            assert log.count == 4
            log.append("note", {"text": "goes on"}, source=TYPED)
            kinds = [e.kind for e in log.events(5)]
            recovered = log.event(5).data
        assert kinds == ["log_recovered", "note"]
        assert recovered["torn_sha256"] == hashlib.sha256(torn).hexdigest()
        assert [f.read_bytes() for f in (case / "torn").iterdir()] == [torn]
        assert verify_log(case).intact


def test_a_whole_event_that_was_never_confirmed_is_kept(small: Path) -> None:
    before = (small / "head").read_bytes()
    with ProcedureLog.open(small) as log:
        log.append("note", {"text": "the writer dies before the head is written"}, source=TYPED)
    (small / "head").write_bytes(before)
    with ProcedureLog.open(small) as log:
        assert log.count == 4
        log.append("note", {"text": "next"}, source=TYPED)
        assert [e.kind for e in log.events(5)] == ["note", "log_recovered", "note"]
    assert verify_log(small).intact


@pytest.mark.skipif(sys.platform != "linux", reason="kill -9 of forked writers")
def test_kill_9_loses_no_acknowledged_event(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.log", "--kills", "80", "--events", "0"]
    command += ["--tampers", "10", "--in", str(tmp_path), "--json", str(tmp_path / "out.json")]
    root = Path(__file__).parents[2]
    subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    rows = {r["name"]: r for r in json.loads((tmp_path / "out.json").read_text())["rows"]}
    assert rows["80 kill -9 under 4 writers: acknowledged"]["measured"] > 80
    assert rows["acknowledged events lost"]["measured"] == 0
    assert rows["chain verifies"]["measured"] is True
    assert {r["measured"] for n, r in rows.items() if n.endswith(": not found")} == {0}


def test_checkpoints_are_verified_against_the_log(tmp_path: Path) -> None:
    place = tmp_path / "log"
    with ProcedureLog.create(place) as log:
        many = [NewEvent("reading", {"power_w": float(n % 90)}, TYPED) for n in range(STRIDE + 50)]
        log.append_many(many)
    with ProcedureLog.open(place) as log:
        assert (log.opened.checkpoints, log.opened.tail) == (1, 1 + 51)
        assert log.event(700).data == {"power_w": float(698 % 90)}
    index = (place / "index").read_bytes()
    for at in range(0, len(index), 7):
        (place / "index").write_bytes(index[:at] + bytes([index[at] ^ 4]) + index[at + 1 :])
        assert not verify_log(place).intact if at % 49 == 0 else True
        with ProcedureLog.open(place, readonly=True) as log:
            assert "index" in log.opened.findings[0]
            assert log.opened.tail == 1 + STRIDE + 50
    with ProcedureLog.open(place) as log:
        assert "made anew" in log.opened.findings[0]
    assert (place / "index").read_bytes() == index
    (place / "index").unlink()
    with ProcedureLog.open(place) as log:  # written on by a log that knew no index
        log.append_many(many)
    assert verify_log(place).intact
    events = (place / "events.jsonl").read_bytes()
    at = events.index(b'"seq":1024,')
    (place / "events.jsonl").write_bytes(events[:at] + b'"seq":1025,' + events[at + 11 :])
    with pytest.raises(LogDamagedError):
        ProcedureLog.open(place)


def test_a_full_disk_leaves_the_log_as_it_was(small: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with ProcedureLog.open(small) as log:
        before = (small / "events.jsonl").read_bytes()
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, hard))
            with pytest.raises(OutputError, match="disk"):
                log.append("note", {"text": "does not fit " * 20}, source=TYPED)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert (small / "events.jsonl").read_bytes() == before
        assert log.append("note", {"text": "fits again"}, source=TYPED).seq == 5
    assert verify_log(small).intact


def test_a_disk_that_fails_on_sync_confirms_nothing(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with ProcedureLog.open(small) as log:
        with monkeypatch.context() as patch:
            patch.setattr("irplan.procedure.log_store._datasync", fails)
            with pytest.raises(OutputError):
                log.append("note", {"text": "x"}, source=TYPED)
        assert log.count == 4
    assert verify_log(small).intact


def test_clock_jumps_are_told_and_intervals_stay_right(tmp_path: Path) -> None:
    steps = ((0.0, 0.0), (1.0, 1.0), (3601.0, 2.0), (-50.0, 602.0), (550.0, 1202.0))
    with ProcedureLog.create(tmp_path / "log", clocks=clock(*steps)) as log:
        for n in range(4):
            log.append("note", {"text": str(n)}, source=TYPED)
        events = list(log.events())
    assert [e.kind for e in events] == [
        "log_opened",
        "note",
        "clock_jump",
        "note",
        "clock_jump",
        "note",
        "note",
    ]
    assert [e.data["seconds"] for e in events if e.kind == "clock_jump"] == [3599.0, -4251.0]
    notes = [e for e in events if e.kind == "note"]
    assert [seconds_between(a, b) for a, b in itertools.pairwise(notes)] == [
        1.0,
        600.0,
        600.0,
    ]
    with ProcedureLog.open(tmp_path / "log", clocks=clock((-9999.0, 0.0), boot="b2")) as log:
        log.append("note", {"text": "after a restart with a wrong clock"}, source=TYPED)
        assert log.event(8).kind == "clock_jump"
    assert [f.weight for f in verify_log(tmp_path / "log").findings] == ["notice"] * 3


def test_corrections_are_new_events(small: Path) -> None:
    fix = {"corrects": 3, "action": "replace", "why": "slip", "kind": "reading"}
    with ProcedureLog.open(small) as log:
        log.append("correction", fix | {"data": {"temperature_c": -40.0}}, source=TYPED)
        log.append("correction", fix | {"data": {"temperature_c": -14.0}}, source=TYPED)
        undo = {"corrects": 2, "action": "withdraw", "why": "wrong patient"}
        log.append("correction", undo, source=TYPED)
        now = {e.event.seq: e for e in effective_events(log.events())}
        assert 2 not in now
        assert (now[3].data, now[3].seq) == ({"temperature_c": -14.0}, 6)
        for bad in (
            fix | {"corrects": 9, "data": {"power_w": 1.0}},
            fix | {"corrects": 1, "data": {"power_w": 1.0}},
            fix | {"corrects": 5, "data": {"power_w": 1.0}},
            fix | {"corrects": 4, "data": {"power_w": 1.0}},
            {"corrects": 0, "action": "withdraw", "why": "x"},
            {"corrects": 2, "action": "withdraw", "why": " "},
            {"corrects": 2, "action": "delete", "why": "x"},
        ):
            with pytest.raises(InputError):
                log.append("correction", bad, source=TYPED)
        assert log.count == 7


@pytest.mark.parametrize(
    ("kind", "data", "named"),
    [
        ("freeze", {}, "kind"),
        ("log_opened", {"log_id": "x", "irplan": "y"}, "kind"),
        ("note", {}, "note.text"),
        ("note", {"text": "  "}, "note.text"),
        ("note", {"text": "bell \x07"}, "note.text"),
        ("note", {"text": "half \udc80"}, "note.text"),
        ("note", {"text": "x" * 4001}, "note.text"),
        ("note", {"text": "x", "colour": 1}, "note.colour"),
        ("reading", {}, "reading.data"),
        ("reading", {"power_w": "30"}, "reading.power_w"),
        ("reading", {"power_w": float("nan")}, "reading.power_w"),
        ("reading", {"power_w": -1}, "reading.power_w"),
        ("reading", {"power_w": True}, "reading.power_w"),
        ("reading", {"needle": 1.5}, "reading.needle"),
        ("needle", {"number": 1, "status": "placed", "tip_mm": [1, 2]}, "needle.tip_mm"),
        ("phase", {"action": "start", "phase": "melt"}, "phase.phase"),
        ("complication", {"observed": "no"}, "complication.observed"),
        ("case", {"patient_id": "p", "sex": "?"}, "case.sex"),
    ],
)
def test_events_that_cannot_be_are_refused(kind: str, data: Any, named: str, small: Path) -> None:
    with ProcedureLog.open(small) as log:
        with pytest.raises(InputError) as caught:
            log.append(kind, data, source=TYPED)
        assert caught.value.field == named
        assert log.count == 4


def test_no_message_repeats_who_the_patient_is() -> None:
    with pytest.raises(InputError) as caught:
        NewEvent("case", {"patient_id": "p", "sex": "Jane Roe 1970"}, TYPED)
    assert "Roe" not in str(caught.value)


def test_folders_that_are_no_log(tmp_path: Path, small: Path) -> None:
    for place in (tmp_path / "none", tmp_path):
        with pytest.raises(FileFormatError):
            ProcedureLog.open(place)
        with pytest.raises(FileFormatError):
            verify_log(place)
    with pytest.raises(OutputError, match="never overwritten"):
        ProcedureLog.create(small)
    (small / "head").write_bytes(b"")
    with pytest.raises(LogDamagedError):
        ProcedureLog.open(small)
    assert not verify_log(small).intact
    with pytest.raises(OutputError):
        ProcedureLog.create(small / "events.jsonl" / "below")
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
