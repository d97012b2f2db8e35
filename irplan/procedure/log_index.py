"""Checkpoints: one line for every 1024th event, chained and checked against the log they point to.

They let a log of a million events open at once.  They hold nothing that the log does not: a
missing or wrong index is made anew.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from irplan.procedure.log_line import GENESIS, checked_body

#: Events from one checkpoint to the next.
STRIDE = 1024
_LINE = 16 + 1 + 16 + 1 + 16 + 1 + 64 + 1 + 64 + 1


@dataclass(frozen=True)
class Checkpoint:
    """Event ``seq`` lies in the log's bytes ``start`` to ``end`` and has the hash ``sha256``."""

    seq: int
    start: int
    end: int
    sha256: str
    chain: str


def checkpoint(before: str, seq: int, start: int, end: int, sha256: str) -> Checkpoint:
    """The checkpoint of an event, chained to the one ``before`` (its ``chain``)."""
    text = f"{before} {seq} {start} {end} {sha256}"
    return Checkpoint(seq, start, end, sha256, hashlib.sha256(text.encode("ascii")).hexdigest())


def encode_checkpoint(c: Checkpoint) -> bytes:
    """Its line of fixed length."""
    return f"{c.seq:016d} {c.start:016d} {c.end:016d} {c.sha256} {c.chain}\n".encode("ascii")


def read_checkpoints(data: bytes, log_fd: int) -> tuple[tuple[Checkpoint, ...], str]:
    """Those at the beginning of an index that are true, and "" or what is wrong with the next.

    Each must follow its predecessor in the chain, and the log's bytes it names must be an event
    with its hash.  The log is read at these places only (about 5 us each).
    """
    found: list[Checkpoint] = []
    chain = GENESIS
    for at in range(0, len(data), _LINE):
        line = data[at : at + _LINE]
        try:
            seq, start, end, digest, link = line.decode("ascii").rstrip("\n").split(" ")
            c = checkpoint(chain, int(seq), int(start), int(end), digest)
        except ValueError:
            return tuple(found), f"checkpoint {len(found) + 1} of the index cannot be read"
        whole = encode_checkpoint(c) == line and link == c.chain
        if not whole or c.seq != (len(found) + 1) * STRIDE or c.end <= c.start:
            return tuple(found), f"checkpoint {len(found) + 1} of the index was changed"
        body = checked_body(os.pread(log_fd, c.end - c.start, c.start))
        if body is None or body[1] != c.sha256:
            return tuple(found), f"event {c.seq} is not the one that the index names"
        found.append(c)
        chain = c.chain
    return tuple(found), ""
