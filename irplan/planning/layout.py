"""Where a given number of probes go: descent over admissible pivots on the superposed cold."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.segments import segment_distance_mm
from irplan.geometry import as_point
from irplan.planning.margins import TargetGeometry
from irplan.planning.pivots import PivotField
from irplan.planning.rules import PathRules
from irplan.planning.surrogate import ProbeCold

#: Weights of what a layout costs besides missing coverage [S]: lethal tissue beyond the goal, ice
#: at an organ at risk, nearness of the paths to obstacles.
EXCESS_WEIGHT, RISK_WEIGHT, PATH_WEIGHT = 0.15, 0.5, 0.03
#: The proposal asks for this much more cold than lethal at the goal's edge, so that the
#: simulation finds room to be worse.
RESERVE = 1.06
#: Lattice steps of the moves, in turn.
MOVES = (4, 2, 1)


@dataclass(frozen=True, eq=False)
class Sites:
    """Points at which a layout is judged, LPS mm, all in one array (n, 3).

    The first ``goal`` lie on the edge that the lethal zone has to reach, the next ``excess``
    where it need not be, the rest on organs that ice should spare.  ``bias`` (n,) corrects the
    superposed cold; 1 before the first simulation.
    """

    points_mm: NDArray[np.float64]
    goal: int
    excess: int
    bias: NDArray[np.float64]


def judging_sites(
    target: TargetGeometry,
    counted: NDArray[np.bool_],
    goal_mm: float,
    risk_mm: NDArray[np.float64],
    most: int = 500,
) -> Sites:
    """Sites for a target: its surface moved out by the goal (by nothing where not counted)."""
    surface = target.surface
    pick = np.unique(np.linspace(0, len(surface.points_mm) - 1, most).astype(int))
    reach = np.where(counted[pick], goal_mm, 0.0)
    edge = surface.points_mm[pick] + reach[:, None] * surface.normals[pick]
    far = (target.outside_mm >= goal_mm + 4.0) & target.in_organ
    ring = target.sites_mm[far]
    ring = ring[:: max(1, len(ring) // 300)]
    points = np.concatenate([edge, ring, risk_mm.reshape(-1, 3)])
    return Sites(points, len(edge), len(ring), np.ones(len(points)))


@dataclass(eq=False)
class LayoutProblem:
    """One pivot field with one kind of probe; caches each pivot's cold at the sites."""

    pivots: PivotField
    cold: ProbeCold
    sites: Sites
    rules: PathRules
    lethal_drop_c: float
    freezing_drop_c: float = 37.0
    refused: set[int] = field(default_factory=set)
    reserve: float = RESERVE
    _cache: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    _pairs: dict[tuple[int, int], float] = field(default_factory=dict)

    def drop(self, row: int) -> NDArray[np.float64]:
        """(n,) uncorrected cold of one pivot at the sites, degC."""
        if row not in self._cache:
            p = self.pivots
            self._cache[row] = self.cold.at(self.sites.points_mm, p.points_mm[row], p.unit[row])
        return self._cache[row]

    def total(self, rows: list[int]) -> NDArray[np.float64]:
        """(n,) uncorrected cold of a layout."""
        out: NDArray[np.float64] = np.sum([self.drop(r) for r in rows], axis=0)
        return out

    def corrected(self, bias: NDArray[np.float64]) -> None:
        """Take a new correction of the superposed cold."""
        self.sites = replace(self.sites, bias=bias)

    def cost(self, drop_c: NDArray[np.float64], rows: list[int]) -> float:
        """What a layout with this (corrected or simulated) cold costs; 0 is ideal."""
        s = self.sites
        at_goal = drop_c[: s.goal] / self.lethal_drop_c
        short = np.maximum(self.reserve - at_goal, 0.0)
        beyond = drop_c[s.goal : s.goal + s.excess] / self.lethal_drop_c
        risk = drop_c[s.goal + s.excess :] / self.freezing_drop_c
        cost = 4.0 * float(short.max()) + float(np.sqrt(np.mean(short**2)))
        if beyond.size:
            cost += EXCESS_WEIGHT * float(np.mean(np.clip(beyond - 1.0, 0.0, 1.0)))
        if risk.size:
            cost += RISK_WEIGHT * float(np.clip(risk - 1.0, 0.0, 1.0).max())
        return cost + PATH_WEIGHT * float(np.mean(self.pivots.soft[rows] ** 2))

    def worst_ratio(self, drop_c: NDArray[np.float64]) -> float:
        """Smallest cold at the goal's edge as a share of what is lethal (>= 1: goal reached)."""
        return float(drop_c[: self.sites.goal].min()) / self.lethal_drop_c

    # -- search --------------------------------------------------------------------------

    def propose(self, count: int, region_mm: NDArray[np.float64]) -> list[int] | None:
        """Best layout of ``count`` probes found from several starts; None when none fits.

        ``region_mm`` (m, 3): the target and its margin, from which the starts are made.
        """
        best: tuple[float, list[int]] | None = None
        seen: set[tuple[int, ...]] = set()
        for start in _starts(region_mm, self.pivots.axes, count):
            rows = self._admissible(start)
            if rows is None or tuple(rows) in seen:
                continue
            seen.add(tuple(rows))
            rows, cost = self.descend(rows)
            if best is None or cost < best[0] - 1e-9:
                best = (cost, rows)
        return None if best is None else best[1]

    def descend(self, rows: list[int], limit: int = 10**9) -> tuple[list[int], float]:
        """Move one probe at a time while that lowers the cost; at most ``limit`` lattice steps."""
        rows = list(rows)
        home = self.pivots.index[rows].copy()
        drops = [self.drop(r) for r in rows]
        bias = self.sites.bias
        cost = self.cost(np.sum(drops, axis=0) * bias, rows)
        for step in MOVES:
            moved = True
            while moved:
                moved = False
                for i in range(len(rows)):
                    rest = np.sum([d for j, d in enumerate(drops) if j != i], axis=0)
                    for axis in range(3):
                        for sign in (step, -step):
                            row = self._moved(rows[i], axis, sign)
                            if row < 0 or np.abs(self.pivots.index[row] - home[i]).max() > limit:
                                continue
                            trial = [*rows[:i], row, *rows[i + 1 :]]
                            if not self._allowed(trial, i):
                                continue
                            new = self.cost((rest + self.drop(row)) * bias, trial)
                            if new < cost - 1e-6:
                                rows, cost, moved = trial, new, True
                                drops[i] = self.drop(row)
        return rows, cost

    def nearest_allowed(self, rows: list[int]) -> list[int] | None:
        """The layout with refused pivots replaced by the nearest ones that keep the rules."""
        return self._admissible(self.pivots.points_mm[rows])

    def _moved(self, row: int, axis: int, sign: int) -> int:
        index = self.pivots.index[row].copy()
        index[axis] += sign
        if np.any(index < 0) or np.any(index >= self.pivots.number.shape):
            return -1
        new = int(self.pivots.number[tuple(index)])
        return -1 if new in self.refused else new

    def _admissible(self, start: NDArray[np.float64]) -> list[int] | None:
        """Pivots near the start's points that keep the rules among each other."""
        rows: list[int] = []
        for point in start:
            order = np.argsort(np.linalg.norm(self.pivots.points_mm - point, axis=1), kind="stable")
            for row in order[:3000].tolist():
                if row not in self.refused and all(self._pair(row, r) for r in rows):
                    rows.append(row)
                    break
            else:
                return None
        return rows if self._linked(rows) else None

    def _allowed(self, rows: list[int], changed: int) -> bool:
        return all(
            self._pair(rows[changed], r) for j, r in enumerate(rows) if j != changed
        ) and self._linked(rows)

    def _pair(self, a: int, b: int) -> bool:
        """Smallest spacing of active zones and of entries kept."""
        return self._gap(a, b) >= self.rules.min_probe_spacing.value

    def _gap(self, a: int, b: int) -> float:
        """Distance of two active zones, mm; 0 where the entries are too close to each other."""
        key = (min(a, b), max(a, b))
        if key not in self._pairs:
            p = self.pivots
            first, second = (
                tuple(as_point(q, field="probe") for q in p.active_segment(r)) for r in key
            )
            apart = float(np.linalg.norm(p.entry_mm[a] - p.entry_mm[b]))
            gap = segment_distance_mm((first[0], first[1]), (second[0], second[1]))
            self._pairs[key] = gap if apart >= self.rules.min_entry_spacing.value else 0.0
        return self._pairs[key]

    def _linked(self, rows: list[int]) -> bool:
        """No probe farther from its nearest neighbour than the rule allows."""
        limit = self.rules.max_probe_spacing.value
        return len(rows) < 2 or all(
            min(self._gap(a, b) for b in rows if b != a) <= limit for a in rows
        )


def _starts(
    region: NDArray[np.float64], axes: NDArray[np.float64], count: int
) -> list[NDArray[np.float64]]:
    """Start layouts: centres of clusters of the region across the needle, drawn in or spread."""
    along = region @ axes.T
    middle = along.mean(axis=0)
    out = []
    for turn in (0.0, 45.0) if count > 1 else (0.0,):
        centres = _clusters(along[:, :2], count, turn)
        depth = _depths(along, centres)
        for scale in (0.6, 0.8, 1.0) if count > 1 else (1.0,):
            flat = middle[:2] + scale * (centres - middle[:2])
            out.append(np.column_stack([flat, depth]) @ axes)
    return out


def _clusters(flat: NDArray[np.float64], count: int, turn_deg: float) -> NDArray[np.float64]:
    """Lloyd's k-means in the plane, started on a circle; the same every time."""
    centre = flat.mean(axis=0)
    if count == 1:
        return centre[None]
    angle = np.radians(turn_deg + 360.0 / count * np.arange(count))
    radius = 0.5 * np.sqrt(np.mean(np.sum((flat - centre) ** 2, axis=1)))
    ring = count if count < 6 else count - 1  # six and more: one in the middle
    means = centre + radius * np.column_stack([np.cos(angle), np.sin(angle)])
    if ring < count:
        means[-1] = centre
    for _ in range(15):
        own = np.argmin(np.linalg.norm(flat[:, None] - means[None], axis=-1), axis=1)
        for k in range(count):
            if np.any(own == k):
                means[k] = flat[own == k].mean(axis=0)
    return means


def _depths(along: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Middle of the region's extent along the needle at each centre."""
    out = np.empty(len(centres))
    for k, c in enumerate(centres):
        gap = np.linalg.norm(along[:, :2] - c, axis=1)
        near = along[gap <= max(4.0, float(gap.min()) + 1.0), 2]
        out[k] = 0.5 * (near.min() + near.max())
    return out
