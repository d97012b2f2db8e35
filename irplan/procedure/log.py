"""The procedure log: append-only, hash-chained, safe against crashes, open to several writers."""

from __future__ import annotations

import hashlib
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from irplan import __version__
from irplan.errors import FileFormatError, InputError, OutputError
from irplan.procedure.clock import Reading, read_clocks, wall_jump_s
from irplan.procedure.event_kinds import KINDS
from irplan.procedure.events import CORRECTION, Event, NewEvent, Source, check_data
from irplan.procedure.log_head import Head, encode_slot
from irplan.procedure.log_index import STRIDE, Checkpoint
from irplan.procedure.log_line import GENESIS, MAX_LINE, damaged, encode_line, event_record
from irplan.procedure.log_store import (
    EVENTS,
    HEAD,
    INDEX,
    Leftover,
    LogFiles,
    sync_folder,
    write_all,
)
from irplan.procedure.times import parse_time, utc_text

Clocks = Callable[[], Reading]
_LOG = Source("log", who=f"irplan {__version__}")


@dataclass(frozen=True)
class OpenReport:
    """What was checked when the log was opened, and what was found.

    ``checkpoints`` were verified against the log, ``tail`` events since the last of them were
    verified one by one; the rest is verified by `irplan.procedure.log_verify.verify_log`.
    """

    count: int
    checkpoints: int
    tail: int
    findings: tuple[str, ...]


class ProcedureLog:
    """An open log.  Make one with `create` or `open`; close it, or use it in a ``with`` block.

    Any number of processes and threads may append to one log at once; each append waits for the
    others (flock), so events stand in one order.  The chain shows every change made by accident or
    by hand; somebody who rewrites *all* files of a log can only be found out by a head hash that
    was kept elsewhere (`head_sha256`, printed by ``irplan log show`` and kept in every report).
    """

    def __init__(self, files: LogFiles, report: OpenReport, clocks: Clocks) -> None:
        self._files, self._report, self._clocks = files, report, clocks
        self._mutex = threading.Lock()
        self._checkpoints: tuple[Checkpoint, ...] | None = None

    @classmethod
    def create(cls, folder: str | Path, *, clocks: Clocks = read_clocks) -> ProcedureLog:
        """A new log in ``folder``, which must not exist or be empty; whole or not at all.

        Raises `OutputError` where it cannot be made.
        """
        path = Path(folder).expanduser().absolute()
        stage = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}")
        try:
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise OutputError(
                    "log",
                    got=f"'{path.name}', which is there already",
                    expected="a new or empty folder",
                    remedy="Give another name; a log is never overwritten.",
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            stage.mkdir(mode=0o700)
            _first_event(stage, clocks())
            if path.exists():
                path.rmdir()
            stage.rename(path)
            sync_folder(path.parent)
        except OSError as error:
            _remove(stage)
            raise OutputError(
                "log",
                got=f"'{path.name}', which cannot be made ({(error.strerror or '').lower()})",
                expected="a place with write permission and free space",
                remedy="Choose another place.",
            ) from error
        return cls.open(path, clocks=clocks)

    @classmethod
    def open(
        cls, folder: str | Path, *, clocks: Clocks = read_clocks, readonly: bool = False
    ) -> ProcedureLog:
        """The log in ``folder``, with head, checkpoints and the events since the last one verified.

        A million events open in a fraction of a second.  A wrong or missing index is made anew
        (once, some seconds for a million events) and reported.  Raises `FileFormatError` where no
        log is there, `LogDamagedError` where what is verified is not what was written.
        """
        path = Path(folder).expanduser().absolute()
        try:
            files = LogFiles(path, writable=not readonly)
        except OSError as error:
            raise FileFormatError(
                "log",
                got=f"'{path.name}', where no log can be opened ({(error.strerror or '').lower()})",
                expected="a folder that 'irplan log new' made",
                remedy="Give the log's folder, or make a log first.",
            ) from error
        try:
            with files.locked(alone=not readonly):
                report, checkpoints = _checked(files, readonly=readonly)
        except BaseException:
            files.close()
            raise
        log = cls(files, report, clocks)
        log._checkpoints = checkpoints
        return log

    def __enter__(self) -> ProcedureLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its files.  Every confirmed event is on the disk already."""
        self._files.close()

    @property
    def folder(self) -> Path:
        """Where the log lies."""
        return self._files.folder

    @property
    def opened(self) -> OpenReport:
        """What was verified on opening."""
        return self._report

    @property
    def count(self) -> int:
        """Number of confirmed events now, those of other writers included."""
        return self._head().seq

    @property
    def head_sha256(self) -> str:
        """Hash of the last confirmed event: it vouches for every event before."""
        return self._head().sha256

    def append(self, kind: str, data: dict[str, Any], *, source: Source, at: Any = None) -> Event:
        """Append one event; when this returns, it is on the disk.  See `append_many`."""
        return self.append_many([NewEvent(kind, data, source, at)])[-1]

    def append_many(self, new: Sequence[NewEvent]) -> tuple[Event, ...]:
        """Append events in this order with one wait for the disk; all are confirmed, or none is.

        What an interrupted writer left is put right first and stands in the log as
        "log_recovered"; a jump of the wall clock as "clock_jump".  Raises `InputError` for a
        correction of something that cannot be corrected, `OutputError` for a full disk (the log
        stays as it was), `LogDamagedError` for a log that was changed.
        """
        if self._files.writable is False:
            raise OutputError(
                "log", got="a log opened to read", expected="one opened to write",
                remedy="Open it with readonly=False.",
            )  # fmt: skip
        if not new:
            return ()
        for n in new:
            if n.kind in KINDS and KINDS[n.kind].internal:
                raise InputError(
                    "kind",
                    got=f"'{n.kind}'",
                    expected="a kind that is not written by the log itself",
                    remedy="See 'irplan log kinds'.",
                )
        with self._mutex, self._files.locked(alone=True):
            return self._append(new)

    def events(self, first: int = 1) -> Iterator[Event]:
        """Confirmed events from number ``first`` on, each verified as it is read."""
        with self._mutex, self._files.locked(alone=False):
            head = self._files.head()
        yield from self._files.walk(self._index(head), head, first)

    def event(self, seq: int) -> Event:
        """Event number ``seq``; raises `InputError` where there is none."""
        head = self._head()
        if 1 <= seq <= head.seq:
            for event in self._files.walk(self._index(head), head, seq):
                return event
        raise InputError(
            "event",
            got=f"number {seq}",
            expected=f"1 to {head.seq}",
            remedy="See 'irplan log show' for the numbers.",
        )

    def _head(self) -> Head:
        with self._mutex, self._files.locked(alone=False):
            return self._files.head()

    def _index(self, head: Head) -> tuple[Checkpoint, ...]:
        if self._checkpoints is None:
            self._checkpoints, _ = self._files.checkpoints()
        return tuple(c for c in self._checkpoints if c.seq <= head.seq)

    def _append(self, new: Sequence[NewEvent]) -> tuple[Event, ...]:
        files, head, reading = self._files, self._files.head(), self._clocks()
        last = files.event_at(head.start, head.size)
        todo: list[tuple[str, Any, Source, Any]] = []
        left = files.leftover(head)
        if left.foreign:
            raise damaged("log", f"a whole event that does not follow event {last.seq}")
        written = [(e.seq, start, end, e.sha256) for e, start, end in left.adopted]
        at = written[-1][2] if written else head.size
        if not left.nothing:
            last = left.adopted[-1][0] if left.adopted else last
            files.set_aside(left.torn, at, last.seq)
            todo.append(("log_recovered", _recovery(left), _LOG, None))
        before = Reading(parse_time(last.recorded), last.boot, last.steady_s)
        jump = wall_jump_s(before, reading)
        if jump:
            todo.append(("clock_jump", {"seconds": jump}, _LOG, None))
        for n in new:
            if n.kind == CORRECTION:
                self._require_correctable(n, head)
            todo.append((n.kind, n.data, n.source, n.at))
        recorded, parts, out, own = utc_text(reading.wall), [], [], at
        seq, prev = last.seq, last.sha256
        for kind, data, source, when in todo:
            seq += 1
            record = event_record(
                seq,
                prev,
                kind,
                data,
                at=recorded if when is None else utc_text(when),
                recorded=recorded,
                boot=reading.boot,
                steady_s=reading.steady_s,
                source=source,
            )
            line, digest = encode_line(record)
            if len(line) > MAX_LINE:
                raise InputError(
                    "event", got=f"{len(line)} bytes", expected=f"at most {MAX_LINE}",
                    remedy="Split it.",
                )  # fmt: skip
            parts.append(line)
            written.append((seq, at, at + len(line), digest))
            out.append(Event(**(record | {"source": source, "data": dict(data)}), sha256=digest))
            at, prev = at + len(line), digest
        files.write(b"".join(parts), own, Head(seq, written[-1][1], at, prev))
        files.extend_index(written)
        self._checkpoints = None if any(w[0] % STRIDE == 0 for w in written) else self._checkpoints
        return tuple(out[len(out) - len(new) :])

    def _require_correctable(self, new: NewEvent, head: Head) -> None:
        number = new.data["corrects"]
        target = None
        if number <= head.seq:
            target = next(self._files.walk(self._index(head), head, number))
        kind = None if target is None else target.kind
        wrong = kind is None or kind == CORRECTION or KINDS[kind].internal
        if wrong or (new.data["action"] == "replace" and new.data["kind"] != kind):
            raise InputError(
                "correction.corrects",
                got=f"event {number} ({kind or 'not there'})",
                expected="an earlier event of the same kind, not itself a correction",
                remedy="Correct the first event again; the last correction counts.",
            )


def _first_event(stage: Path, reading: Reading) -> None:
    recorded = utc_text(reading.wall)
    data = check_data("log_opened", {"log_id": uuid.uuid4().hex, "irplan": __version__})
    record = event_record(
        1, GENESIS, "log_opened", data, at=recorded, recorded=recorded,
        boot=reading.boot, steady_s=reading.steady_s, source=_LOG,
    )  # fmt: skip
    line, digest = encode_line(record)
    slot = encode_slot(Head(1, 0, len(line), digest))
    for name, content in ((EVENTS, line), (HEAD, slot + slot), (INDEX, b"")):
        fd = os.open(stage / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            write_all(fd, content, 0)
            os.fsync(fd)
        finally:
            os.close(fd)
    sync_folder(stage)


def _remove(stage: Path) -> None:
    if stage.is_dir():
        for file in stage.iterdir():
            file.unlink(missing_ok=True)
        stage.rmdir()


def _recovery(left: Leftover) -> dict[str, Any]:
    data = {
        "adopted": len(left.adopted),
        "torn_bytes": len(left.torn),
        "torn_sha256": hashlib.sha256(left.torn).hexdigest() if left.torn else None,
        "text": left.words,
    }
    return check_data("log_recovered", data)


def _checked(files: LogFiles, *, readonly: bool) -> tuple[OpenReport, tuple[Checkpoint, ...]]:
    head = files.head()
    found, wrong = files.checkpoints()
    findings = []
    due = head.seq // STRIDE
    if wrong or len(found) != due:
        kept = tuple(c for c in found if c.seq <= head.seq)
        found = kept if readonly else files.mend_index(head, kept)
        what = wrong or f"{len(kept)} of {due} checkpoints"
        findings.append(f"index: {what}" + ("" if readonly else "; made anew"))
    first = found[-1].seq if found else 1
    tail = sum(1 for _ in files.walk(found, head, first))
    left = files.leftover(head)
    if not left.nothing:
        findings.append(f"end of the log: {left.words} (by the next writer)")
    return OpenReport(head.seq, len(found), tail, tuple(findings)), found
