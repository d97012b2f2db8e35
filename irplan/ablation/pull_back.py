"""Applicators pulled back between phases: where they come to lie, and what they must not meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from irplan.ablation.placement import Placement
from irplan.ablation.schedule import Schedule
from irplan.ablation.segments import segment_distance_mm
from irplan.errors import InputError
from irplan.geometry import Grid, Point3


@dataclass(frozen=True)
class PullBack:
    """All applicators when some are pulled back: ``before`` and ``after``, at ``time_s``."""

    time_s: float
    before: tuple[Placement, ...]
    after: tuple[Placement, ...]

    def moved(self, number: int) -> bool:
        """Whether applicator ``number`` is one of them."""
        return self.before[number] is not self.after[number]

    def way(self, number: int) -> tuple[Point3, Point3]:
        """The segment that the active zone of applicator ``number`` sweeps, LPS mm."""
        return self.before[number].active_segment[0], self.after[number].active_segment[1]


def pull_backs(
    placements: Sequence[Placement], schedules: Sequence[Schedule]
) -> tuple[PullBack, ...]:
    """Every pull-back in order of time, one schedule a placement.

    Raises `InputError` for an applicator pulled out beyond its entry.
    """
    moves: dict[float, dict[int, float]] = {}
    for n, schedule in enumerate(schedules[: len(placements)]):
        at = 0.0
        for phase in schedule.phases:
            if phase.withdraw_mm > 0.0:
                moves.setdefault(round(at, 9), {})[n] = phase.withdraw_mm
            at += phase.duration_s
    out = []
    now = tuple(placements)
    for time_s in sorted(moves):
        after = list(now)
        for n, way in moves[time_s].items():
            after[n] = now[n].withdrawn(way)
        out.append(PullBack(time_s, now, tuple(after)))
        now = tuple(after)
    return tuple(out)


def zones_over_time(
    placements: Sequence[Placement], schedule: Schedule | Sequence[Schedule]
) -> list[tuple[Point3, Point3]]:
    """Active zones as placed and after every pull-back, LPS mm."""
    given = schedule
    schedules = [given] * len(placements) if isinstance(given, Schedule) else list(given)
    moves = pull_backs(placements, schedules)
    return [p.active_segment for p in placements] + [
        p.active_segment for m in moves for n, p in enumerate(m.after) if m.moved(n)
    ]


def check_apart(moves: Sequence[PullBack], closest_mm: float, grid: Grid) -> None:
    """Raise `InputError` where a swept way leaves ``grid`` or comes too close to another zone."""
    for move in moves:
        for n in range(len(move.after)):
            if move.moved(n) and not bool(np.all(grid.contains(move.after[n].active_segment))):
                raise wrong(
                    move, n, "out of the image", "the whole active zone inside the image all along"
                )
            after = move.after[n]
            if move.moved(n) and after.active_end_mm > after.needle.depth_mm + 1e-6:
                raise wrong(
                    move, n, "out of its entry", "the whole active zone behind the entry all along"
                )
        for n, m in combinations(range(len(move.after)), 2):
            if not (move.moved(n) or move.moved(m)):
                continue
            gap = segment_distance_mm(move.way(n), move.way(m))
            if gap < closest_mm - 1e-6:
                own, other = (n, m) if move.moved(n) else (m, n)
                raise wrong(
                    move, own, f"within {gap:.1f} mm of the active zone of applicator {other + 1}",
                    f"at least {closest_mm:g} mm between active zones all along",
                )  # fmt: skip


def wrong(move: PullBack, number: int, got: str, expected: str) -> InputError:
    """The error of a pull-back of applicator ``number`` that ends or passes ``got``."""
    return InputError(
        f"problem.schedule[{number}]",
        got=f"a pull-back at {move.time_s:g} s that brings the active zone of applicator "
        f"{number + 1} {got}",
        expected=expected,
        remedy="Pull it back by less, or place the applicators otherwise.",
    )
