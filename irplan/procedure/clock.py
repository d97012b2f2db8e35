"""Two clocks: the wall clock, which people read and which may jump, and a steady one."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from irplan.procedure.times import now

#: A wall clock that moves by more than this against the steady clock has jumped, s.  Network time
#: slews by at most 0.05 %, so an hour between two events is 1.8 s.
JUMP_S = 2.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Reading:
    """One look at both clocks; ``boot`` names this start of the machine ("" where unknown)."""

    wall: datetime
    boot: str
    steady_s: float


def read_clocks() -> Reading:
    """Both clocks now; the steady one counts from the machine's start, sleep included."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    steady = time.monotonic() if clock is None else time.clock_gettime(clock)
    return Reading(now(), _boot(), round(steady, 6))


@cache
def _boot() -> str:
    """A name of this start of the machine that does not tell which machine it is."""
    try:
        return hashlib.sha256(_BOOT_ID.read_bytes()).hexdigest()[:12]
    except OSError:
        return ""


def wall_jump_s(before: Reading, after: Reading) -> float:
    """Seconds by which the wall clock jumped between two readings; 0.0 where it did not.

    Within one start of the machine it is held against the steady clock; across starts only a step
    back can be seen.
    """
    wall = (after.wall - before.wall).total_seconds()
    if before.boot and before.boot == after.boot:
        steady = after.steady_s - before.steady_s
        slack = max(JUMP_S, 0.001 * steady)
        jump = wall - steady
    else:
        slack, jump = JUMP_S, min(0.0, wall)
    return round(jump, 3) if abs(jump) > slack else 0.0
