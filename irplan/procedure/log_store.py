"""The log's files: locking, appending with fsync, and what an interrupted writer left put right.

``events.jsonl`` holds the events, ``head`` the last confirmed one, ``index`` the checkpoints, and
``torn/`` bytes of unfinished writes that were set aside.  An event is confirmed when its line is on
the disk (fdatasync) and the head names it; only then does `append` return.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irplan.errors import IrplanError, OutputError
from irplan.procedure.events import Event
from irplan.procedure.log_head import Head, newest, read_heads, write_head
from irplan.procedure.log_index import (
    STRIDE,
    Checkpoint,
    checkpoint,
    encode_checkpoint,
    read_checkpoints,
)
from irplan.procedure.log_line import GENESIS, MAX_LINE, checked_body, damaged, decode_line

EVENTS, HEAD, INDEX, TORN = "events.jsonl", "head", "index", "torn"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Leftover:
    """What lies behind the last confirmed event: whole events, and torn bytes after them.

    ``foreign``: the torn bytes begin with a whole line that does not follow, such as an event that
    stands twice; no interrupted writer leaves that.
    """

    adopted: tuple[tuple[Event, int, int], ...] = ()
    torn: bytes = b""
    broken_head: bool = False
    foreign: bool = False

    @property
    def nothing(self) -> bool:
        """Whether the log ends where its head says."""
        return not (self.adopted or self.torn or self.broken_head)

    @property
    def words(self) -> str:
        """In words, for the log and the user."""
        parts = []
        if self.adopted:
            parts.append(f"{len(self.adopted)} event(s) written but not confirmed, kept")
        if self.torn:
            parts.append(f"{len(self.torn)} bytes of an unfinished event, set aside")
        if self.broken_head:
            parts.append("one of the two head records was broken, written anew")
        return "; ".join(parts)


class LogFiles:
    """The open files of one log folder.  Not for use beyond `irplan.procedure.log`."""

    def __init__(self, folder: Path, *, writable: bool) -> None:
        self.folder, self.writable = folder, writable
        self._open()

    def _open(self) -> None:
        flags = os.O_RDWR if self.writable else os.O_RDONLY
        self._process = os.getpid()
        self.events_fd = os.open(self.folder / EVENTS, flags | _CLOEXEC)
        try:
            self.head_fd = os.open(self.folder / HEAD, flags | _CLOEXEC)
        except OSError:
            os.close(self.events_fd)
            raise

    def close(self) -> None:
        """Close the files; locks go with them."""
        os.close(self.head_fd)
        os.close(self.events_fd)

    @contextmanager
    def locked(self, *, alone: bool) -> Iterator[None]:
        """Hold the log: ``alone`` to write, together with other readers to read.

        A lock belongs to an open file, which a forked process shares: that one opens its own.
        """
        if self._process != os.getpid():
            self._open()
        flock, how = posix_flock()
        flock(self.events_fd, how[0] if alone else how[1])
        try:
            yield
        finally:
            flock(self.events_fd, how[2])

    def size(self) -> int:
        """Bytes of the events file."""
        return os.fstat(self.events_fd).st_size

    def head(self) -> Head:
        """The last confirmed event, checked against its line; raises `LogDamagedError`."""
        head = newest(read_heads(self.head_fd))
        if head is None:
            raise damaged("log head", "no whole head record")
        if self.size() < head.size:
            raise damaged("log", f"a log that ends before event {head.seq}, which was confirmed")
        body = checked_body(os.pread(self.events_fd, head.size - head.start, head.start))
        if body is None or body[1] != head.sha256:
            raise damaged("log", f"another event in the place of event {head.seq}")
        return head

    def event_at(self, start: int, end: int) -> Event:
        """The event in these bytes."""
        return decode_line(os.pread(self.events_fd, end - start, start))

    def lines(self, start: int, end: int) -> Iterator[tuple[bytes, int]]:
        """Lines of the bytes ``start`` to ``end`` with the place of each; the last may be torn."""
        held, at = b"", start
        while at + len(held) < end:
            place = at + len(held)
            more = os.pread(self.events_fd, min(_CHUNK, end - place), place)
            if not more:
                break
            held += more
            rows = held.split(b"\n")
            held = rows.pop()
            for row in rows:
                yield row + b"\n", at
                at += len(row) + 1
            if len(held) > MAX_LINE:
                break
        if held:
            yield held, at

    def checkpoints(self) -> tuple[tuple[Checkpoint, ...], str]:
        """The true checkpoints, and what is wrong with the first that is not."""
        try:
            data = (self.folder / INDEX).read_bytes()
        except FileNotFoundError:
            return (), "no index"
        return read_checkpoints(data, self.events_fd)

    def leftover(self, head: Head) -> Leftover:
        """What an interrupted writer left behind ``head``; nothing is changed."""
        broken = None in read_heads(self.head_fd)
        adopted: list[tuple[Event, int, int]] = []
        seq, prev, good = head.seq, head.sha256, head.size
        for line, at in self.lines(head.size, self.size()):
            try:
                event = decode_line(line)
            except IrplanError:
                break
            if event.prev != prev or event.seq != seq + 1:
                break
            seq, prev, good = event.seq, event.sha256, at + len(line)
            adopted.append((event, at, good))
        torn = os.pread(self.events_fd, max(0, self.size() - good), good)
        return Leftover(tuple(adopted), torn, broken, foreign=begins_whole(torn))

    def set_aside(self, torn: bytes, good: int, seq: int) -> None:
        """Move the bytes from ``good`` to the end into ``torn/``, on the disk before they go.

        Raises `OutputError` where the disk refuses; nothing is then lost.
        """
        try:
            self._set_aside(torn, good, seq)
        except OSError as error:
            raise _no_write(error) from error

    def _set_aside(self, torn: bytes, good: int, seq: int) -> None:
        if torn:
            folder = self.folder / TORN
            folder.mkdir(exist_ok=True)
            name = f"after-{seq}-{hashlib.sha256(torn).hexdigest()[:12]}.bin"
            fd = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _CLOEXEC, 0o600)
            try:
                write_all(fd, torn, 0)
                os.fsync(fd)
            finally:
                os.close(fd)
        os.ftruncate(self.events_fd, good)

    def write(self, data: bytes, at: int, head: Head) -> None:
        """Write whole lines at ``at``, make them durable, and confirm them by ``head``.

        Raises `OutputError` where the disk refuses; the log is then as it was before.
        """
        try:
            write_all(self.events_fd, data, at)
            _datasync(self.events_fd)
            write_head(self.head_fd, head, read_heads(self.head_fd))
        except OSError as error:
            with suppress(OSError):  # else the next writer sets the torn bytes aside
                os.ftruncate(self.events_fd, at)
            raise _no_write(error) from error

    def extend_index(self, new: Sequence[tuple[int, int, int, str]]) -> None:
        """Add checkpoints for those of ``new`` (seq, start, end, hash) that are due.

        A failure is no failure of the log: the index is made anew when it is next opened.
        """
        due = [n for n in new if n[0] % STRIDE == 0]
        if not due:
            return
        try:
            found, _ = self.checkpoints() if due[0][0] > STRIDE else ((), "")
            if len(found) != due[0][0] // STRIDE - 1:
                found = self._scanned(found, due[0][0] - 1)
            self._write_index(found, due)
        except OSError:
            return

    def mend_index(self, head: Head, found: tuple[Checkpoint, ...]) -> tuple[Checkpoint, ...]:
        """Make the index anew from the last true checkpoint; raises where the log is damaged."""
        found = self._scanned(found, head.seq)
        try:
            self._write_index(found, ())
        except OSError as error:
            raise _no_write(error) from error
        return found

    def walk(self, found: Sequence[Checkpoint], head: Head, first: int = 1) -> Iterator[Event]:
        """Events from ``first`` to ``head``, each checked: hash, number, link to the one before."""
        base = [c for c in found if c.seq <= min(first, head.seq)]
        seq, prev, at = (base[-1].seq - 1, None, base[-1].start) if base else (0, GENESIS, 0)
        for line, place in self.lines(at, head.size):
            event = decode_line(line, where=f"log, event {seq + 1}, byte {place}")
            if event.seq != seq + 1 or (prev is not None and event.prev != prev):
                raise damaged(
                    f"log, byte {place}", f"event {event.seq} where event {seq + 1} belongs"
                )
            seq, prev = event.seq, event.sha256
            if seq >= first:
                yield event
        if seq != head.seq or prev != head.sha256:
            raise damaged("log", f"a log that ends with event {seq} instead of {head.seq}")

    def _scanned(self, found: tuple[Checkpoint, ...], last: int) -> tuple[Checkpoint, ...]:
        out = list(found)
        seq, at = (out[-1].seq, out[-1].end) if out else (0, 0)
        for line, place in self.lines(at, self.size()):
            if seq >= last:
                break
            body = checked_body(line)
            seq += 1
            if body is None:
                raise damaged(f"log, event {seq}", "a line whose bytes do not fit its SHA-256")
            if seq % STRIDE == 0:
                chain = out[-1].chain if out else GENESIS
                out.append(checkpoint(chain, seq, place, place + len(line), body[1]))
        return tuple(out)

    def _write_index(
        self, found: tuple[Checkpoint, ...], due: Sequence[tuple[int, int, int, str]]
    ) -> None:
        chain = found[-1].chain if found else GENESIS
        new = []
        for seq, start, end, digest in due:
            new.append(checkpoint(chain, seq, start, end, digest))
            chain = new[-1].chain
        old = b"".join(encode_checkpoint(c) for c in found)
        fd = os.open(self.folder / INDEX, os.O_RDWR | os.O_CREAT | _CLOEXEC, 0o600)
        try:
            if os.fstat(fd).st_size != len(old) or not due:
                os.ftruncate(fd, 0)
                write_all(fd, old, 0)
            write_all(fd, b"".join(encode_checkpoint(c) for c in new), len(old))
        finally:
            os.close(fd)


def begins_whole(data: bytes) -> bool:
    """Whether these bytes begin with a whole, true line of a log."""
    end = data.find(b"\n")
    return end >= 0 and checked_body(data[: end + 1]) is not None


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable (where the system can)."""
    try:
        fd = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes, at: int) -> None:
    """Write every byte of ``data`` at ``at``; raises `OSError` where the disk takes no more."""
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, at)
        if done == 0:
            raise OSError(errno.ENOSPC, "nothing could be written")
        view, at = view[done:], at + done


def _no_write(error: OSError) -> OutputError:
    reason = error.strerror or type(error).__name__
    return OutputError(
        "log",
        got=f"a disk that refused to write ({reason.lower()})",
        expected="free space and write permission",
        remedy="Nothing of this event was kept. Free some space and add it again.",
    )


_CLOEXEC = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_datasync = getattr(os, "fdatasync", os.fsync)


def posix_flock() -> tuple[Any, tuple[int, int, int]]:
    """``flock`` and its modes: alone, shared, unlock."""
    try:
        import fcntl
    except ImportError as error:  # Windows
        raise OutputError(
            "log",
            got="a system without POSIX file locks",
            expected="Linux or macOS",
            remedy="Keep the log on such a system (on Windows: in WSL).",
        ) from error
    return fcntl.flock, (fcntl.LOCK_EX, fcntl.LOCK_SH, fcntl.LOCK_UN)
