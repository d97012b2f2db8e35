"""Where a given number of probes go: descent over admissible pivots on the superposed cold."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

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
    most: int = 300,
) -> Sites:
    """Sites for a target: its surface moved out by the goal (by nothing where not counted)."""
    surface = target.surface
    pick = np.unique(np.linspace(0, len(surface.points_mm) - 1, most).astype(int))
    reach = np.where(counted[pick], goal_mm, 0.0)
    edge = surface.points_mm[pick] + reach[:, None] * surface.normals[pick]
    far = (target.outside_mm >= goal_mm + 4.0) & target.in_organ
    ring = target.sites_mm[far]
    ring = ring[:: max(1, len(ring) // 150)]
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

    def __post_init__(self) -> None:
        p = self.pivots
        half = 0.5 * p.applicator.active_length_mm * p.unit
        self._segments = np.stack([p.points_mm - half, p.points_mm + half], axis=1)

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

    def costs(self, drop_c: NDArray[np.float64], soft: NDArray[np.float64]) -> NDArray[np.float64]:
        """(k,) what k layouts cost (0 is ideal) with cold (k, n) and mean path deficits (k,)."""
        s = self.sites
        short = np.maximum(self.reserve - drop_c[:, : s.goal] / self.lethal_drop_c, 0.0)
        out = 4.0 * short.max(axis=1) + np.sqrt(np.mean(short**2, axis=1))
        if s.excess:
            beyond = drop_c[:, s.goal : s.goal + s.excess] / self.lethal_drop_c
            out += EXCESS_WEIGHT * np.mean(np.clip(beyond - 1.0, 0.0, 1.0), axis=1)
        if len(s.points_mm) > s.goal + s.excess:
            risk = drop_c[:, s.goal + s.excess :].max(axis=1) / self.freezing_drop_c
            out += RISK_WEIGHT * np.clip(risk - 1.0, 0.0, 1.0)
        return np.asarray(out + PATH_WEIGHT * soft)

    def cost(self, drop_c: NDArray[np.float64], rows: list[int]) -> float:
        """What one layout with this (corrected or simulated) cold costs."""
        soft = np.array([np.mean(self.pivots.soft[rows] ** 2)])
        return float(self.costs(drop_c[None], soft)[0])

    def worst_ratio(self, drop_c: NDArray[np.float64]) -> float:
        """Smallest cold at the goal's edge as a share of what is lethal (>= 1: goal reached)."""
        return float(drop_c[: self.sites.goal].min()) / self.lethal_drop_c

    # -- search --------------------------------------------------------------------------

    def propose(
        self, count: int, region_mm: NDArray[np.float64], *, starts: slice
    ) -> tuple[list[int], float] | None:
        """Best layout of ``count`` probes and its cost, from some of the starts; None: none fits.

        ``region_mm`` (m, 3): the target and its margin, from which the starts are made.
        """
        best: tuple[list[int], float] | None = None
        seen: set[tuple[int, ...]] = set()
        for start in _starts(region_mm, self.pivots.axes, count)[starts]:
            rows = self._admissible(start)
            if rows is None or tuple(rows) in seen:
                continue
            seen.add(tuple(rows))
            found = self.descend(rows)
            if best is None or found[1] < best[1] - 1e-9:
                best = found
        return best

    def descend(self, rows: list[int], limit: int = 10**9) -> tuple[list[int], float]:
        """Move one probe at a time while that lowers the cost; at most ``limit`` lattice steps."""
        rows = list(rows)
        home = self.pivots.index[rows].copy()
        drops = np.array([self.drop(r) for r in rows])
        cost = self.cost(drops.sum(axis=0) * self.sites.bias, rows)
        for step in MOVES:
            moved = True
            while moved:
                moved = False
                for i in range(len(rows)):
                    trials = self._neighbours(rows, i, step, home[i], limit)
                    if not trials:
                        continue
                    cold = np.array([self.drop(r) for r in trials])
                    rest = drops.sum(axis=0) - drops[i]
                    soft = self.pivots.soft[rows] ** 2
                    means = (soft.sum() - soft[i] + self.pivots.soft[trials] ** 2) / len(rows)
                    new = self.costs((rest + cold) * self.sites.bias, means)
                    best = int(np.argmin(new))
                    if new[best] < cost - 1e-6:
                        rows[i], cost, moved = trials[best], float(new[best]), True
                        drops[i] = cold[best]
        return rows, cost

    def _neighbours(
        self, rows: list[int], i: int, step: int, home: NDArray[np.int64], limit: int
    ) -> list[int]:
        """Pivots one move away from probe ``i`` that keep the rules."""
        number = self.pivots.number
        at = self.pivots.index[rows[i]] + step * _SIX
        at = at[np.all((at >= 0) & (at < number.shape), axis=1)]
        at = at[np.abs(at - home).max(axis=1) <= limit]
        trials = [r for r in number[tuple(at.T)].tolist() if r >= 0 and r not in self.refused]
        others = [r for j, r in enumerate(rows) if j != i]
        if not trials or not others:
            return trials
        gaps = self._gaps(trials, others)
        low, high = self.rules.min_probe_spacing.value, self.rules.max_probe_spacing.value
        good = gaps.min(axis=1) >= low
        # Nobody farther from the nearest neighbour than the rule, the others included.
        near = np.minimum(gaps, self._nearest(others)[None, :])
        good &= (gaps.min(axis=1) <= high) & (near.max(axis=1) <= high)
        return [r for r, ok in zip(trials, good.tolist(), strict=True) if ok]

    def nearest_allowed(self, rows: list[int]) -> list[int] | None:
        """The layout with refused pivots replaced by the nearest ones that keep the rules."""
        return self._admissible(self.pivots.points_mm[rows])

    def _admissible(self, start: NDArray[np.float64]) -> list[int] | None:
        """Pivots near the start's points that keep the rules among each other."""
        rows: list[int] = []
        low, high = self.rules.min_probe_spacing.value, self.rules.max_probe_spacing.value
        for point in start:
            way = self.pivots.points_mm - point
            gap = np.einsum("ij,ij->i", way, way)
            count = min(NEAREST_TRIED, len(gap))
            if count == 0:
                return None
            order = np.argpartition(gap, count - 1)[:count]
            order = order[np.lexsort((order, gap[order]))]
            near = [r for r in order.tolist() if r not in self.refused]
            if rows and near:
                good = self._gaps(near, rows).min(axis=1) >= low
                near = [r for r, ok in zip(near, good.tolist(), strict=True) if ok]
            if not near:
                return None
            rows.append(near[0])
        return rows if len(rows) < 2 or bool(np.all(self._nearest(rows) <= high)) else None

    def _nearest(self, rows: list[int]) -> NDArray[np.float64]:
        """(n,) distance of each probe to its nearest neighbour; +inf for a single one."""
        gaps = self._gaps(rows, rows)
        np.fill_diagonal(gaps, np.inf)
        return np.asarray(gaps.min(axis=1))

    def _gaps(self, a: list[int], b: list[int]) -> NDArray[np.float64]:
        """(k, m) distance of active zones, mm; 0 where two entries are too close to each other."""
        from irplan.compute.cpu import rays

        out = np.empty((len(a), len(b)))
        rays.segment_gaps(self._segments[a], self._segments[b], out)
        entries = self.pivots.entry_mm
        apart = np.linalg.norm(entries[a][:, None] - entries[b][None], axis=-1)
        return np.where(apart >= self.rules.min_entry_spacing.value, out, 0.0)


#: The six moves on the lattice.
_SIX = np.concatenate([np.eye(3, dtype=np.int64), -np.eye(3, dtype=np.int64)])
#: Pivots nearest to a start point that are looked at for one that keeps the rules.
NEAREST_TRIED = 1500


def _starts(
    region: NDArray[np.float64], axes: NDArray[np.float64], count: int
) -> list[NDArray[np.float64]]:
    """Start layouts: centres of clusters of the region across the needle, drawn in or spread."""
    along = region @ axes.T
    middle = along.mean(axis=0)
    out = []
    for turn, scale in ((0.0, 0.8), (45.0, 0.8), (0.0, 0.55), (0.0, 1.0)):
        centres = _clusters(along[:, :2], count, turn)
        depth = _depths(along, centres)
        flat = middle[:2] + scale * (centres - middle[:2])
        out.append(np.column_stack([flat, depth]) @ axes)
    return out[:1] if count == 1 else out


def _clusters(flat: NDArray[np.float64], count: int, turn_deg: float) -> NDArray[np.float64]:
    """Lloyd's k-means in the plane, started on a circle; the same every time."""
    centre = flat.mean(axis=0)
    if count == 1:
        return np.asarray(centre[None])
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
    return np.asarray(means)


def _depths(along: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Middle of the region's extent along the needle at each centre."""
    out = np.empty(len(centres))
    for k, c in enumerate(centres):
        gap = np.linalg.norm(along[:, :2] - c, axis=1)
        near = along[gap <= max(4.0, float(gap.min()) + 1.0), 2]
        out[k] = 0.5 * (near.min() + near.max())
    return out
