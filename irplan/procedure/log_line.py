"""One event, one line: canonical JSON framed by its SHA-256, so that every byte is covered.

A line is ``{"event":BODY,"sha256":"HEX"}`` and a line feed.  BODY is JSON with sorted keys, no
spaces and ASCII only; HEX is SHA-256 of BODY, which holds the hash of the event before (``prev``).
Any change of any byte breaks the frame, the hash or the next event's ``prev``.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from irplan.errors import LogDamagedError
from irplan.procedure.event_kinds import EVENT_VERSION
from irplan.procedure.events import Event, Source

#: ``prev`` of the first event.
GENESIS = "0" * 64
#: Longest line; a longer one is never written.
MAX_LINE = 1 << 20
_START, _MIDDLE, _END = b'{"event":', b',"sha256":"', b'"}\n'
_TAIL = len(_MIDDLE) + 64 + len(_END)


def encode_line(record: dict[str, Any]) -> tuple[bytes, str]:
    """The line of ``record`` (an event without its hash) and its hash, hex."""
    body = json.dumps(
        record, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode("ascii")
    digest = hashlib.sha256(body).hexdigest()
    return b"".join((_START, body, _MIDDLE, digest.encode("ascii"), _END)), digest


def event_record(
    seq: int,
    prev: str,
    kind: str,
    data: Any,
    *,
    at: str,
    recorded: str,
    boot: str,
    steady_s: float,
    source: Source,
) -> dict[str, Any]:
    """An event's fields as they stand in its line."""
    return {
        "seq": seq,
        "prev": prev,
        "kind": kind,
        "version": EVENT_VERSION,
        "at": at,
        "recorded": recorded,
        "boot": boot,
        "steady_s": steady_s,
        "source": {"how": source.how, "who": source.who, "ref": source.ref},
        "data": data,
    }


def checked_body(line: bytes) -> tuple[memoryview, str] | None:
    """BODY and hash of a whole, true line; None where frame or hash is wrong."""
    if len(line) <= len(_START) + _TAIL or not line.startswith(_START) or line[-3:] != _END:
        return None
    at = len(line) - _TAIL
    if line[at : at + len(_MIDDLE)] != _MIDDLE:
        return None
    body = memoryview(line)[len(_START) : at]
    digest = hashlib.sha256(body).hexdigest()
    if line[at + len(_MIDDLE) : -3] != digest.encode("ascii"):
        return None
    return body, digest


def decode_line(line: bytes, *, where: str = "log") -> Event:
    """The event in ``line``; raises `LogDamagedError` where a byte of it was changed."""
    found = checked_body(line)
    if found is None:
        raise damaged(where, "a line whose bytes do not fit its SHA-256")
    body, digest = found
    try:
        r = json.loads(bytes(body))
        return Event(
            seq=r["seq"],
            kind=r["kind"],
            at=r["at"],
            recorded=r["recorded"],
            boot=r["boot"],
            steady_s=r["steady_s"],
            source=Source(**r["source"]),
            data=r["data"],
            prev=r["prev"],
            sha256=digest,
            version=r["version"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(where, "a line that is no event of irplan") from error


def damaged(where: str, got: str) -> LogDamagedError:
    """The error of a log that is not what was written."""
    return LogDamagedError(
        where,
        got=got,
        expected="the log as irplan wrote it",
        remedy="Run 'irplan log verify' to see what is wrong; take the log from its backup. "
        "A damaged log can be read and exported, but not written.",
    )
