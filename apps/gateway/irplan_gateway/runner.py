"""One plug-in on one series: its own process, its limits, and a draft from what it leaves."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irplan import __version__
from irplan.dicom.reading import is_dicom, read_dataset, text
from irplan.errors import IrplanError, PlanningError
from irplan.procedure.review import Draft, revise, sha256_hex
from irplan.procedure.times import now, utc_text
from irplan_gateway.config import GatewayConfig, Plugin
from irplan_gateway.store import Job, Store

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}\Z")
_MOST_FILES, _MOST_BYTES = 500, 4 << 30
_KEPT_ENV = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV")


class PluginError(PlanningError):
    """A plug-in failed, ran too long, or left something that cannot be used."""


@dataclass(frozen=True)
class _Left:
    """What a plug-in left: files with their SHA-256 and its own words."""

    hashes: dict[str, str]
    summary: str
    version: str
    objections: dict[str, str]


def run_job(config: GatewayConfig, store: Store, job: Job, stop: threading.Event) -> bool:
    """Run ``job`` and store its draft, or why there is none; True where it is done.

    Nothing a plug-in does reaches beyond its own job: it may crash, hang, fill memory or write
    nonsense.  When ``stop`` is set the process is ended and the job is queued again.
    """
    started = time.monotonic()
    plugin = config.plugin(job.plugin)
    out = store.folder / "tmp" / f"job-{job.id}"
    version = "" if plugin is None else plugin.version
    try:
        if plugin is None:
            raise _failed("a plug-in that the configuration does not name any more")
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        if not _run(plugin, job.folder, out, stop):
            shutil.rmtree(out, ignore_errors=True)
            store.put_back(job)
            return False
        left = _collect(out, job)
        version = left.version or plugin.version or f"irplan {__version__}"
        draft, old = _draft(store, job, plugin, left, version)
        if draft is None:
            shutil.rmtree(out, ignore_errors=True)
        else:
            final = store.draft_folder(draft.draft_id)
            shutil.rmtree(final, ignore_errors=True)  # of an attempt that died before its record
            out.replace(final)
        log_of(out).unlink(missing_ok=True)
        store.finish_job(
            job,
            seconds=time.monotonic() - started,
            version=version,
            draft=draft,
            replaces=old.draft_id if old is not None and draft is not None else "",
        )
        return True
    except IrplanError as error:
        reason = error.got
    except OSError as error:
        reason = f"the disk: {(error.strerror or type(error).__name__).lower()}"
    except sqlite3.Error:
        raise
    except Exception as error:  # noqa: BLE001 - the job has failed, and must not hang as running
        reason = f"a fault of the gateway ({type(error).__name__})"
    shutil.rmtree(out, ignore_errors=True)
    store.finish_job(job, seconds=time.monotonic() - started, version=version, error=reason)
    return False


def command_of(plugin: Plugin, source: Path, out: Path) -> list[str]:
    """The command line of ``plugin``; no shell is between."""
    if plugin.kind != "outside":
        words = [sys.executable, "-m", "irplan_gateway.builtin", plugin.kind, "{input}", "{output}"]
    else:
        words = list(plugin.command)
    filled = [w.replace("{input}", str(source)).replace("{output}", str(out)) for w in words]
    return [sys.executable, "-m", "irplan_gateway.launch", str(plugin.memory_mb), *filled]


def _run(plugin: Plugin, source: Path, out: Path, stop: threading.Event) -> bool:
    """Wait for the process within its time; False where ``stop`` came first."""
    environment = {k: v for k, v in os.environ.items() if k in _KEPT_ENV or k.startswith("NUMBA_")}
    own = out.with_name(f"{out.name}.tmp")
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    environment["TMPDIR"] = str(own)  # what it leaves half done goes with it
    with log_of(out).open("wb") as log:
        process = subprocess.Popen(
            command_of(plugin, source, out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd=out,
            env=environment,
            start_new_session=True,
        )
        until = time.monotonic() + plugin.time_limit_s
        try:
            while process.poll() is None:
                if stop.is_set():
                    return False
                if time.monotonic() > until:
                    raise _failed(f"no end within {plugin.time_limit_s:g} s")
                if os.fstat(log.fileno()).st_size > 64 << 20:
                    raise _failed("more than 64 MB of messages")
                stop.wait(0.02)
        finally:
            _end(process)
            shutil.rmtree(own, ignore_errors=True)
    if process.returncode == 127:
        raise _failed("a command that cannot be started")
    if process.returncode:
        raise _failed(f"exit code {process.returncode}")
    return True


def log_of(out: Path) -> Path:
    """Where the messages of the plug-in that fills ``out`` are kept; gone once it has succeeded."""
    return out.parents[1] / "logs" / f"{out.name}.log"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and whatever it started in its session."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _collect(out: Path, job: Job) -> _Left:
    """Judge what lies in ``out``: plain files, few, small, of the right patient and study."""
    files = sorted(out.iterdir())
    size = 0
    hashes = {}
    for file in files:
        if file.is_symlink() or not file.is_file() or not _NAME.match(file.name):
            raise _failed("something other than plain files with plain names")
        size += file.stat().st_size
        if size > _MOST_BYTES or len(files) > _MOST_FILES:
            raise _failed(f"more than {_MOST_FILES} files or {_MOST_BYTES >> 30} GB")
        with file.open("rb") as opened:
            hashes[file.name] = hashlib.file_digest(opened, "sha256").hexdigest()
    if not hashes:
        raise _failed("no result at all")
    result: dict[str, Any] = {}
    if "result.json" in hashes:
        try:
            result = json.loads((out / "result.json").read_text(encoding="utf-8"))
            objections = {str(k): str(v) for k, v in dict(result.get("objections") or {}).items()}
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise _failed("a result.json that is none") from error
    else:
        objections = {}
    _same_patient(out, [n for n in hashes if n.endswith(".dcm")], job)
    return _Left(
        hashes, str(result.get("summary", ""))[:4000], str(result.get("version", ""))[:80],
        {k[:120]: v[:400] for k, v in list(objections.items())[:50] if k.strip()},
    )  # fmt: skip


def _same_patient(out: Path, names: list[str], job: Job) -> None:
    tags = ("PatientID", "StudyInstanceUID")
    first = next(iter(sorted(job.folder.glob("*.dcm"))))
    wanted = [text(read_dataset(first, pixels=False, tags=tags), t) for t in tags]
    for name in names:
        if not is_dicom(out / name):
            raise _failed("a .dcm file that is not DICOM")
        data = read_dataset(out / name, pixels=False, tags=tags)
        if [text(data, t) for t in tags] != wanted:
            raise _failed("an object of another patient or study")


def _draft(
    store: Store, job: Job, plugin: Plugin, left: _Left, version: str
) -> tuple[Draft | None, Draft | None]:
    """The new draft, and the one of the same plug-in on the same series that it replaces.

    None for the new one: the earlier draft has this content already and stays what it is.
    """
    objections = {**job.objections, **left.objections}
    said = [left.hashes, objections] if objections else left.hashes
    content = sha256_hex(json.dumps(said, sort_keys=True).encode())
    leaving = {n: h for n, h in left.hashes.items() if n.endswith(".dcm")}
    when, name = utc_text(now()), f"{plugin.name}-{job.id:06d}"
    old = store.latest_draft(job.series, plugin.name)
    if old is not None and old.content_sha256 == content:
        return None, old
    if old is not None and old.draft_id != name:
        return (
            revise(
                old, name, content, who="gateway", why="more images of the series arrived",
                when=when, files=leaving, objections=objections, made_by=version,
            ),
            old,
        )  # fmt: skip
    return Draft(name, plugin.kind, version, when, content, leaving, objections), None


def _failed(got: str) -> PluginError:
    return PluginError(
        "plug-in",
        got=got,
        expected="its result in the output folder",
        remedy="See its messages in STORE/logs.",
    )
