"""The head record: how far the log was confirmed, so that an event cut off the end is missed.

Two slots of fixed length are written in turn, so one is whole at any moment, power loss included.
"""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import dataclass

_SLOT = 3 * (16 + 1) + 64 + 1 + 64 + 1
#: Bytes of the head file.
HEAD_BYTES = 2 * _SLOT


@dataclass(frozen=True)
class Head:
    """Number, place in the file (bytes, from and to) and hash of the last confirmed event."""

    seq: int
    start: int
    size: int
    sha256: str


def encode_slot(head: Head) -> bytes:
    """One slot: number, place, hash, and the SHA-256 of these."""
    text = f"{head.seq:016d} {head.start:016d} {head.size:016d} {head.sha256}"
    return f"{text} {hashlib.sha256(text.encode('ascii')).hexdigest()}\n".encode("ascii")


def decode_slot(data: bytes) -> Head | None:
    """The slot's record, or None where any byte of it is wrong."""
    try:
        seq, start, size, digest, _ = data.decode("ascii").split(" ")
        head = Head(int(seq), int(start), int(size), digest)
    except ValueError:
        return None
    return head if encode_slot(head) == data else None


def read_heads(fd: int) -> tuple[Head | None, Head | None]:
    """Both slots of an open head file."""
    data = os.pread(fd, HEAD_BYTES + 1, 0)
    if len(data) != HEAD_BYTES:
        return None, None
    return decode_slot(data[:_SLOT]), decode_slot(data[_SLOT:])


def newest(heads: tuple[Head | None, Head | None]) -> Head | None:
    """The later of two slots; None where neither is whole."""
    return max((h for h in heads if h is not None), key=lambda h: h.seq, default=None)


def write_head(fd: int, head: Head, heads: tuple[Head | None, Head | None]) -> None:
    """Write ``head`` over the older (or broken) of two slots, in one call."""
    a, b = heads
    first = a is None or (b is not None and a.seq <= b.seq)
    if os.pwrite(fd, encode_slot(head), 0 if first else _SLOT) != _SLOT:
        raise OSError(errno.EIO, os.strerror(errno.EIO))
