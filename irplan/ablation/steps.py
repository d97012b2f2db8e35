"""How time is cut into steps and super-steps, from a stated error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from irplan.ablation.super_step import extent, stages_for
from irplan.ablation.timeline import Segment

#: Error in time of the isotherms' radii per second of super-step, mm/s: the largest seen over
#: freezes of 5 to 15 min and super-steps of 10 to 60 s, against 1 s.
TIME_ERROR_MM_PER_S = 0.003
#: Steps may be so much longer while every applicator is off (passive thaw).
UNDRIVEN_FACTOR = 1.5
#: A segment is cut into this many steps at least, at the default error of 0.06 mm.
LEAST_STEPS = 15
#: The first step of a segment is the final length over this; a step is the time since the
#: segment's beginning over the other.
_FIRST_PARTS, _GROWTH = 8, 2
#: Longest super-step while applicators act, at the default error: short while they cool down and
#: the ice is a few voxels wide, then a share more of the time that went by.  Stages carry a voxel
#: that has just given off its latent heat on below its neighbours: with super-steps of a third of
#: the time it comes out up to 30 K too cold, and counts as lethal.  With these the 0, -20 and
#: -40 degC zones are within 0.5 % in volume from the first minute on (1 % with twice as long).
_EARLY_S, _EARLY_UNTIL_S, _SHARE = 1.2, 60.0, 1.0 / 20.0
#: Where a history is kept they are so much shorter: cooling rates need it.
_WATCHED = 0.5


@dataclass(frozen=True)
class Cut:
    """Part of a segment, marched in ``count`` steps, after each of which the state is looked at.

    A step is ``parts`` super-steps of ``stages`` stages each.
    """

    segment: Segment
    count: int
    stages: int
    parts: int = 1

    @property
    def dt_s(self) -> float:
        """Length of a step, s."""
        return self.segment.duration_s / self.count

    @property
    def super_step_s(self) -> float:
        """Length of a super-step, s."""
        return self.dt_s / self.parts


@dataclass(frozen=True)
class StepRule:
    """How long a step and a super-step may be.

    ``time_error_mm`` chooses them; ``stages`` (number of stages, which then fix the length at the
    stability limit) overrides it, ``longest_s`` caps it.
    """

    time_error_mm: float
    stages: int | None = None
    longest_s: float | None = None
    whole_grid: bool = False
    watched: bool = False
    """Look at the state after each super-step (a history is kept)."""

    def _share(self, segment: Segment) -> float:
        """Allowed error over the default one; where no applicator is on it may be larger."""
        return self.time_error_mm / 0.06 * (1.0 if segment.driven else UNDRIVEN_FACTOR)

    def _longest_s(self, segment: Segment, limit_s: float) -> float:
        """Longest step in a segment."""
        default = min(0.06 / TIME_ERROR_MM_PER_S, segment.duration_s / LEAST_STEPS)
        longest = self._share(segment) * default
        if self.stages is not None:
            longest = limit_s * extent(self.stages)
        return longest if self.longest_s is None else min(longest, self.longest_s)

    def _parts(self, segment: Segment, since_s: float, dt_s: float) -> int:
        """Super-steps in a step of ``dt_s`` that begins ``since_s`` after the segment."""
        if self.stages is not None or not segment.driven:
            return 1
        grown = _EARLY_S + _SHARE * max(0.0, since_s + 0.5 * dt_s - _EARLY_UNTIL_S)
        grown *= _WATCHED if self.watched else 1.0
        return max(1, math.ceil(dt_s / (self._share(segment) * grown) - 1e-9))

    def cut(self, segments: Sequence[Segment], limit_s: float) -> tuple[Cut, ...]:
        """``segments`` in pieces of equal steps; ``limit_s`` is the explicit limit.

        Where a phase begins, temperature changes fastest (and a switched-off probe's cold flows
        outwards for some seconds more, which decides the lowest temperature): steps grow from an
        eighth of their final length, each a third of the time since.  ``stages`` turns that off.
        """
        out = []
        for segment in segments:
            longest = max(self._longest_s(segment, limit_s), 1e-3)
            count = max(1, math.ceil(segment.duration_s / longest - 1e-9))
            dt = segment.duration_s / count
            pieces = [(count, dt)]
            if self.stages is None and stages_for(dt / limit_s) > 2:
                pieces = _growing(segment.duration_s, dt)
            out += self._cut_pieces(segment, pieces, limit_s)
        return tuple(out)

    def _cut_pieces(
        self, segment: Segment, pieces: Sequence[tuple[int, float]], limit_s: float
    ) -> list[Cut]:
        """``segment`` in (number, length) of steps, those of unlike super-steps apart."""
        runs: list[tuple[int, float, int]] = []  # steps, their length, super-steps in each
        since = 0.0
        for count, dt in pieces:
            for _ in range(count):
                steps, length, parts = 1, dt, self._parts(segment, since, dt)
                since += dt
                if self.watched:
                    steps, length, parts = parts, dt / parts, 1
                if runs and runs[-1][1:] == (length, parts):
                    steps += runs.pop()[0]
                runs.append((steps, length, parts))
        out = []
        at = segment.start_s
        for k, (n, dt, parts) in enumerate(runs):
            last = k == len(runs) - 1
            end = segment.start_s + segment.duration_s if last else round(at + n * dt, 9)
            piece = replace(
                segment,
                start_s=at,
                duration_s=end - at,
                began=segment.began if k == 0 else (False,) * len(segment.began),
                ends=last,
            )
            out.append(Cut(piece, n, stages_for(dt / parts / limit_s), parts))
            at = end
        return out


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
