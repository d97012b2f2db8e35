"""A whole log verified, byte by byte: edits, losses, swaps, cuts; and what a reader should know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from irplan.compute.progress import Progress, no_progress
from irplan.errors import FileFormatError, InputError
from irplan.procedure.event_kinds import EVENT_VERSION
from irplan.procedure.events import check_data
from irplan.procedure.log_head import HEAD_BYTES, Head, decode_slot, newest
from irplan.procedure.log_index import STRIDE, checkpoint, encode_checkpoint
from irplan.procedure.log_line import GENESIS, MAX_LINE, checked_body
from irplan.procedure.log_store import EVENTS, HEAD, INDEX, TORN, posix_flock

#: Most findings that are listed; the rest is counted.
MAX_FINDINGS = 200


@dataclass(frozen=True)
class Finding:
    """``damage``: the log is not what was written.  ``notice``: true, and worth knowing."""

    weight: Literal["damage", "notice"]
    seq: int | None
    what: str


@dataclass(frozen=True)
class LogVerification:
    """Outcome of `verify_log`; ``intact`` only where nothing of the log was changed or lost."""

    count: int
    head_sha256: str
    findings: tuple[Finding, ...]
    more: int = 0

    @property
    def intact(self) -> bool:
        """Whether the log is what was written."""
        return not any(f.weight == "damage" for f in self.findings)


class _Found:
    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.more = 0

    def add(self, weight: Literal["damage", "notice"], seq: int | None, what: str) -> None:
        if len(self.kept) < MAX_FINDINGS:
            self.kept.append(Finding(weight, seq, what))
        else:
            self.more += 1
            if weight == "damage" and all(f.weight == "notice" for f in self.kept):
                self.kept[-1] = Finding(weight, seq, what)


def verify_log(
    folder: str | Path, *, known_head: str | None = None, progress: Progress = no_progress
) -> LogVerification:
    """Read every byte of the log in ``folder`` and tell what is wrong with it; changes nothing.

    Checked: each line's frame and SHA-256, numbers and links in order, each event against its
    kind, the head record, every checkpoint.  ``known_head``: a head hash kept elsewhere (in a
    report, on paper), which must be the hash of an event here: it shows even a log rewritten as a
    whole.  About 10 us an event.  Raises `FileFormatError` where there is no log.
    """
    path = Path(folder).expanduser()
    try:
        stream = (path / EVENTS).open("rb")
        slots, index, size = _now(path, stream)
    except OSError as error:
        raise FileFormatError(
            "log",
            got=f"'{path.name}', which holds no log",
            expected="a folder that 'irplan log new' made",
            remedy="Give the log's folder.",
        ) from error
    found = _Found()
    head = _head(slots, found)
    with stream:
        count, last, known = _walk(stream, size, head, index, known_head, found, progress)
    if head is not None and count < head.seq:
        found.add("damage", None, f"{head.seq - count} confirmed event(s) missing at the end")
    if known_head is not None and not known:
        found.add("damage", None, "no event has the hash that was kept elsewhere")
    if (path / TORN).is_dir():
        number = sum(1 for _ in (path / TORN).iterdir())
        found.add("notice", None, f"{number} unfinished write(s) set aside in '{TORN}/'")
    progress(1.0, "verifying the log")
    return LogVerification(count, last, tuple(found.kept), found.more)


def _now(path: Path, stream: BinaryIO) -> tuple[bytes, bytes, int]:
    """Head, index and size of one moment, while no writer is at work."""
    flock, (_, shared, unlock) = posix_flock()
    flock(stream.fileno(), shared)
    try:
        slots = (path / HEAD).read_bytes() if (path / HEAD).exists() else b""
        index = (path / INDEX).read_bytes() if (path / INDEX).exists() else b""
        return slots, index, (path / EVENTS).stat().st_size
    finally:
        flock(stream.fileno(), unlock)


def _head(slots: bytes, found: _Found) -> Head | None:
    half = HEAD_BYTES // 2
    heads = (decode_slot(slots[:half]), decode_slot(slots[half:]))
    if None in heads or len(slots) != HEAD_BYTES:
        found.add("damage", None, "a head record is broken")
    head = newest(heads)
    if head is None:
        found.add("damage", None, "no whole head record: events cut off the end would not show")
    return head


def _walk(
    stream: BinaryIO,
    size: int,
    head: Head | None,
    index: bytes,
    known_head: str | None,
    found: _Found,
    progress: Progress,
) -> tuple[int, str, bool]:
    seq, prev, known, chain, at = 0, GENESIS, False, GENESIS, 0
    confirmed = size if head is None else head.size
    checkpoints: list[bytes] = []
    for line, at in _lines(stream):
        if seq % 5000 == 0:
            progress(at / max(1, size), "verifying the log")
        if at >= size:
            break
        if at >= confirmed:
            if not _unconfirmed(line, seq, prev):
                found.add("damage", None, f"a whole event at byte {at} that follows no other")
            found.add(
                "notice", None, f"{size - at} byte(s) after the last confirmed event, not counted: "
                "a writer was interrupted",
            )  # fmt: skip
            break
        body = checked_body(line)
        seq += 1
        if body is None:
            found.add("damage", seq, f"the line at byte {at} was changed")
            prev = ""
            continue
        record, prev, seq = _event(body[0], seq, prev, found), body[1], seq
        seq = record.get("seq", seq) if isinstance(record.get("seq"), int) else seq
        known = known or prev == known_head
        if seq % STRIDE == 0:
            c = checkpoint(chain, seq, at, at + len(line), prev)
            checkpoints.append(encode_checkpoint(c))
            chain = c.chain
        if head is not None and seq == head.seq and prev != head.sha256:
            found.add("damage", seq, "the last event is not the one that was confirmed")
    if index != b"".join(checkpoints):
        found.add("damage", None, "the index does not fit the log")
    return seq, prev, known


def _unconfirmed(line: bytes, seq: int, prev: str) -> bool:
    """Whether an interrupted writer can have left this line behind event ``seq``."""
    body = checked_body(line)
    if body is None:
        return True
    try:
        record = json.loads(bytes(body[0]))
        return bool(record["seq"] == seq + 1 and record["prev"] == prev)
    except (ValueError, KeyError, TypeError):
        return False


def _event(body: memoryview, seq: int, prev: str, found: _Found) -> dict[str, Any]:
    try:
        record = json.loads(bytes(body))
        number, before = record["seq"], record["prev"]
        kind, data = record["kind"], record["data"]
    except (ValueError, KeyError, TypeError):
        found.add("damage", seq, "a line that is no event")
        return {}
    if number != seq:
        found.add("damage", seq, f"event {number} stands where event {seq} belongs")
    elif prev and before != prev:
        found.add("damage", seq, "it does not follow the event before it")
    try:
        if record["version"] == EVENT_VERSION and check_data(kind, data) != data:
            found.add("damage", seq, "its data are not in their normal form")
    except (InputError, KeyError):
        found.add("damage", seq, f"its data do not fit the kind '{str(kind)[:40]}'")
    if kind == "clock_jump":
        found.add("notice", seq, f"the wall clock jumped by {data.get('seconds')} s")
    elif kind == "log_recovered":
        found.add("notice", seq, f"recovered: {data.get('text')}")
    return record if isinstance(record, dict) else {}


def _lines(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    at = 0
    while line := stream.readline(MAX_LINE + 1):
        yield line, at
        at += len(line)
