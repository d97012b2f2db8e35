"""How time is cut into super-steps, from a stated error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from irplan.ablation.timeline import Segment

#: Error in time of the isotherms' radii per second of super-step, mm/s: the largest seen over
#: freezes of 5 to 15 min and steps of 10 to 60 s, against steps of 1 s.
TIME_ERROR_MM_PER_S = 0.0019
#: Steps may be so much longer while every applicator is off (passive thaw).
UNDRIVEN_FACTOR = 1.5
#: A segment is cut into this many super-steps at least, at the default error of 0.06 mm.
LEAST_STEPS = 15
#: The first step of a segment is the final length over this; a step is the time since the
#: segment's beginning over the other.
_FIRST_PARTS, _GROWTH = 8, 2


@dataclass(frozen=True)
class Cut:
    """Part of a segment that is marched in ``count`` super-steps of ``stages`` stages each."""

    segment: Segment
    count: int
    stages: int

    @property
    def dt_s(self) -> float:
        """Length of a super-step, s."""
        return self.segment.duration_s / self.count


@dataclass(frozen=True)
class StepRule:
    """How long a super-step may be.

    ``time_error_mm`` chooses it; ``stages`` (number of stages, which then fix its length at the
    stability limit) overrides it, ``longest_s`` caps it.
    """

    time_error_mm: float
    stages: int | None = None
    longest_s: float | None = None
    whole_grid: bool = False

    def steps(self, duration_s: float, limit_s: float, *, driven: bool = True) -> tuple[int, int]:
        """Super-steps in a segment of ``duration_s`` and stages of each.

        Where no applicator drives it they may be longer.
        """
        share = self.time_error_mm / 0.06 * (1.0 if driven else UNDRIVEN_FACTOR)
        longest = share * min(0.06 / TIME_ERROR_MM_PER_S, duration_s / LEAST_STEPS)
        if self.stages is not None:
            longest = limit_s * (self.stages**2 + self.stages) / 2.0
        if self.longest_s is not None:
            longest = min(longest, self.longest_s)
        count = max(1, math.ceil(duration_s / max(longest, 1e-3) - 1e-9))
        return count, _stages(duration_s / count, limit_s)

    def cut(self, segments: Sequence[Segment], limit_s: float) -> tuple[Cut, ...]:
        """``segments`` in pieces of equal super-steps; ``limit_s`` is the explicit limit.

        Where a phase begins, temperature changes fastest (and a switched-off probe's cold flows
        outwards for some seconds more, which decides the lowest temperature): steps grow from an
        eighth of their final length, each a third of the time since.  ``stages`` turns that off.
        """
        out = []
        for segment in segments:
            count, stages = self.steps(segment.duration_s, limit_s, driven=segment.driven)
            dt = segment.duration_s / count
            pieces = [(count, dt)]
            if self.stages is None and stages > 2:
                pieces = _growing(segment.duration_s, dt)
            at = segment.start_s
            for k, (n, step_s) in enumerate(pieces):
                end = round(at + n * step_s, 9)
                if k == len(pieces) - 1:
                    end = segment.start_s + segment.duration_s
                part = replace(
                    segment,
                    start_s=at,
                    duration_s=end - at,
                    began=segment.began if k == 0 else (False,) * len(segment.began),
                    ends=k == len(pieces) - 1,
                )
                out.append(Cut(part, n, _stages(step_s, limit_s)))
                at = end
        return tuple(out)


def _growing(duration_s: float, dt_s: float) -> list[tuple[int, float]]:
    """(number, length) of steps that grow to ``dt_s`` and fill ``duration_s``."""
    first = dt_s / _FIRST_PARTS
    out = [(_GROWTH, first)]
    at = _GROWTH * first
    while at / _GROWTH < dt_s and duration_s - at > dt_s:
        out.append((1, at / _GROWTH))
        at += at / _GROWTH
    left = duration_s - at
    count = max(1, math.ceil(left / dt_s - 1e-9))
    return [*out, (count, left / count)]


def _stages(dt_s: float, limit_s: float) -> int:
    """Fewest RKL1 stages that are stable over ``dt_s`` (Meyer et al. 2014, eq. 17)."""
    return max(1, math.ceil(0.5 * (math.sqrt(1.0 + 8.0 * dt_s / limit_s) - 1.0) - 1e-9))
