"""A full disk: a clear error, nothing half written, nothing lost, and it goes on afterwards."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from irplan_gateway.config import load_config
from irplan_gateway.incoming import Limits, take_object
from irplan_gateway.service import Gateway
from irplan_gateway.store import Store
from typer.testing import CliRunner

from irplan.cli.app import app
from irplan.dicom.pacs_client import RetryPolicy, connect
from irplan.dicom.pacs_peer import parse_peer
from irplan.dicom.pacs_send import send_files
from irplan.errors import OutputError, PacsError
from irplan.files.output import OutputFolder
from irplan.procedure.events import Event, Source
from irplan.procedure.log import ProcedureLog
from irplan.procedure.log_verify import verify_log
from tests.cli.test_report_command import make_log
from tests.gateway.site import plugin, site, study
from tests.gateway.test_gateway import wait_for

TYPED = Source("typed", who="x")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MB (tmpfs); needs the right to mount."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("not run: needs the right to mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file can grow beyond ``size`` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill(place: Path, *, leave: int) -> Path:
    """A file that leaves ``leave`` bytes free."""
    filler = place / "filler"
    with filler.open("wb") as out:
        while (left := os.statvfs(place).f_bavail * os.statvfs(place).f_frsize) > leave:
            out.write(b"\0" * min(1 << 16, left - leave))
            out.flush()
    return filler


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def run(*words: object) -> tuple[int, Any]:
    done = CliRunner().invoke(app, [*(str(w) for w in words), "--json", "-q"])
    assert "Traceback" not in done.output
    return done.exit_code, json.loads(done.stdout)


def endless_notes(log: ProcedureLog, confirmed: list[Event]) -> None:
    for _ in range(500):
        confirmed.append(log.append("note", {"text": "x" * 3000}, source=TYPED))


def test_a_log_on_a_disk_that_fills_up(small_disk: Path) -> None:
    confirmed: list[Event] = []
    with ProcedureLog.create(small_disk / "log") as log:
        filler = fill(small_disk, leave=100_000)
        with pytest.raises(OutputError, match="no space left"):
            endless_notes(log, confirmed)
        assert 5 < len(confirmed) < 500
        assert log.count == 1 + len(confirmed)
        filler.unlink()
        confirmed.append(log.append("note", {"text": "room again"}, source=TYPED))
        held = {e.seq: e.sha256 for e in log.events()}
    assert all(held[e.seq] == e.sha256 for e in confirmed)
    assert verify_log(small_disk / "log").intact
    fill(small_disk, leave=0)
    with pytest.raises(OutputError):
        ProcedureLog.create(small_disk / "second")
    assert sorted(p.name for p in small_disk.iterdir()) == ["filler", "log"]


def test_report_and_deid_on_a_disk_too_small_leave_nothing(
    small_disk: Path, tmp_path: Path
) -> None:
    make_log(tmp_path, "T1")
    for words in (
        ("report", tmp_path, "-o", small_disk / "out"),
        ("deid", study(tmp_path / "ct"), "-o", small_disk / "out"),
    ):
        code, said = run(*words)
        assert (code, said["error"]["kind"]) == (4, "OutputError")
        assert "free on its disk" in said["error"]["got"]
        assert list(small_disk.iterdir()) == []


def test_a_disk_that_fills_up_while_writing_leaves_what_was_there(tmp_path: Path) -> None:
    """By the limit of a file's size: the write in the middle fails as on a full disk."""
    make_log(tmp_path, "T1")
    out = tmp_path / "report"
    assert run("report", tmp_path, "-o", out, "--format", "html,txt")[0] == 0
    before = tree(out)
    assert run("log", "add", tmp_path / "log", "note", "text=later")[0] == 0
    with files_up_to(20_000):
        code, said = run("report", tmp_path, "-o", out, "--format", "html,txt")
    assert (code, said["error"]["kind"]) == (4, "OutputError")
    assert "cannot be written" in said["error"]["got"]
    assert tree(out) == before
    ct = study(tmp_path / "ct", size=128)
    with files_up_to(20_000):
        code, said = run("deid", ct, "-o", tmp_path / "shared")
    assert (code, said["error"]["kind"]) == (4, "OutputError")
    with files_up_to(200), pytest.raises(OutputError):
        ProcedureLog.create(tmp_path / "newlog")
    left = sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("ct"))
    assert left == ["log", "report"]
    with pytest.raises(OutputError), OutputFolder(tmp_path / "x") as folder, files_up_to(10):
        (folder / "a").write_bytes(b"0" * 100)


def test_the_gateway_on_a_full_disk_loses_nothing(small_disk: Path, tmp_path: Path) -> None:
    """The sender is told; what it sends again, once there is room, arrives and is processed."""
    config = site(tmp_path, plugin("nothing"), run=["nothing"])
    config.write_text(config.read_text().replace(str(tmp_path / "store"), str(small_disk / "s")))
    gateway = Gateway(load_config(config))
    gateway.start()
    address = f"dicom://GATEWAY@127.0.0.1:{gateway.config.port}"
    try:
        filler = fill(small_disk, leave=2_500_000)
        files = sorted(study(tmp_path / "ct", slices=6, size=512).iterdir())  # 0.5 MB each
        pacs = connect(parse_peer(address, timeout_s=10))
        with pytest.raises(PacsError):
            send_files(pacs, files, lambda n, b: None, retry=RetryPolicy(2, 0.1))
        pacs.close()
        stored = list((small_disk / "s" / "incoming").rglob("*.dcm"))
        assert 0 < len(stored) < 6
        assert all(pydicom.dcmread(p).Rows == 512 for p in stored)  # whole
        assert list((small_disk / "s").rglob("*.part-*")) == []
        assert "arrived: full" in {e["kind"] for e in gateway.store.rows("event")}
        filler.unlink()
        pacs = connect(parse_peer(address, timeout_s=10))
        send_files(pacs, files, lambda n, b: None, retry=RetryPolicy(3, 0.1))
        pacs.close()
        assert len(list((small_disk / "s" / "incoming").rglob("*.dcm"))) == 6
        wait_for(lambda: {j["state"] for j in gateway.store.rows("job")} == {"failed"})
    finally:
        gateway.stop()


def test_an_object_that_the_database_cannot_note_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    store = Store(tmp_path / "store")
    one = next(study(tmp_path / "ct", slices=1).iterdir())

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "add_object", full)
        assert take_object(store, one, Limits(1 << 30, 0)) == "full"
    assert list((tmp_path / "store" / "incoming").rglob("*.dcm")) == []
    assert take_object(store, one, Limits(1 << 30, 0)) == "stored"
    assert len(store.receiving()) == 1
    store.close()
