"""Which needle is which: achieved needles matched to planned ones, and how far off each is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from irplan.geometry import Needle

#: A needle whose axis or tip is farther than this from a planned one is none of the plan's, mm.
MOST_APART_MM = 40.0
#: Nor is one that is inclined by more, degrees.
MOST_INCLINED_DEG = 45.0


@dataclass(frozen=True)
class PlacementError:
    """How far an achieved needle is from its planned path.

    ``lateral_mm`` >= 0 is the distance of the achieved tip from the planned *axis*; ``depth_mm``
    how far along it the tip went beyond the planned tip (negative: short of it); ``angle_deg``
    between the axes; ``tip_mm`` the distance of the tips; ``entry_mm`` the distance of the planned
    entry from the achieved axis.
    """

    lateral_mm: float
    depth_mm: float
    angle_deg: float
    tip_mm: float
    entry_mm: float


@dataclass(frozen=True)
class NeedleMatch:
    """Needle ``planned`` is needle ``achieved`` (both counted from 0), with its error."""

    planned: int
    achieved: int
    error: PlacementError


@dataclass(frozen=True)
class NeedleMatches:
    """The pairs in the plan's order; ``missing`` planned needles; ``extra`` achieved ones."""

    pairs: tuple[NeedleMatch, ...]
    missing: tuple[int, ...]
    extra: tuple[int, ...]


def placement_error(planned: Needle, achieved: Needle) -> PlacementError:
    """Lateral, depth and angular error of one needle, apart."""
    u = planned.direction
    off = np.array(achieved.tip_mm) - np.array(planned.tip_mm)
    depth = float(off @ u)
    lateral = float(np.linalg.norm(off - depth * u))
    cross = float(np.linalg.norm(np.cross(u, achieved.direction)))
    angle = math.degrees(math.atan2(cross, float(u @ achieved.direction)))
    back = np.array(planned.entry_mm) - np.array(achieved.tip_mm)
    along = float(back @ achieved.direction)
    entry = float(np.linalg.norm(back - along * achieved.direction))
    return PlacementError(lateral, depth, angle, math.dist(planned.tip_mm, achieved.tip_mm), entry)


def match_needles(
    planned: Sequence[Needle],
    achieved: Sequence[Needle],
    *,
    most_apart_mm: float = MOST_APART_MM,
    most_inclined_deg: float = MOST_INCLINED_DEG,
) -> NeedleMatches:
    """Pair the needles so that the sum of axis and tip distances is least (assignment).

    The cost of a pair is the lateral error plus the distance of the planned entry from the
    achieved axis plus a quarter of the depth error: needles slip along their path more easily
    than across it.  A pair farther apart than the limits is no pair.  Needles without a partner
    are listed, whether planned and not found or found and not planned.
    """
    if not planned or not achieved:
        return NeedleMatches((), tuple(range(len(planned))), tuple(range(len(achieved))))
    errors = [[placement_error(p, a) for a in achieved] for p in planned]
    never = 1e6
    cost = np.array(
        [
            [
                e.lateral_mm + e.entry_mm + 0.25 * abs(e.depth_mm)
                if max(e.lateral_mm, abs(e.depth_mm)) <= most_apart_mm
                and e.angle_deg <= most_inclined_deg
                else never
                for e in row
            ]
            for row in errors
        ]
    )
    rows, columns = linear_sum_assignment(cost)
    pairs = tuple(
        NeedleMatch(int(r), int(c), errors[r][c])
        for r, c in zip(rows, columns, strict=True)
        if cost[r, c] < never
    )
    taken, used = {p.planned for p in pairs}, {p.achieved for p in pairs}
    return NeedleMatches(
        pairs,
        tuple(n for n in range(len(planned)) if n not in taken),
        tuple(n for n in range(len(achieved)) if n not in used),
    )
