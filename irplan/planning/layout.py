"""Where a number of applicators go: descent over admissible pivots on the superposed effect."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import Placement
from irplan.planning.margins import TargetGeometry
from irplan.planning.modality import UniformEffect
from irplan.planning.pivots import PivotField
from irplan.planning.rules import PathRules

#: Weights of what a layout costs besides missing coverage [S]: lethal tissue beyond the goal, ice
#: at an organ at risk, nearness of the paths to obstacles.
EXCESS_WEIGHT, RISK_WEIGHT, PATH_WEIGHT = 0.15, 0.5, 0.03
#: An organ is spared where the effect just before it stays below this share of what is harmful
#: (cold: 0 degC); the rest is for the search's coarse grid.
SPARED = 0.97
#: The proposal asks for this much more cold than lethal at the goal's edge, so that the
#: simulation finds room to be worse.
RESERVE = 1.06
#: Lattice steps of the moves, in turn.
MOVES = (4, 2, 1)
#: Where the goal cannot be reached everywhere, shares count, of the target's surface and of the
#: margin; a place that lacks this share of the lethal effect counts as lost whatever more it lacks.
TARGET_WEIGHT, SHELL_WEIGHT, LOST = 10.0, 4.0, 0.3
#: Shafts of different directions stay this far apart, mm [S: two diameters of a 17 G needle].
MIN_SHAFT_GAP_MM = 3.0


@dataclass(frozen=True, eq=False)
class Sites:
    """Points at which a layout is judged, LPS mm, all in one array (n, 3).

    The first ``goal`` lie on the edge that the lethal zone has to reach, the next ``shell`` inside
    the margin, the next ``excess`` where it need not be, the rest on organs that are to be spared.
    With a shell, covered shares are sought and ``goal`` is the target's own surface; without one
    the worst place counts.  ``bias`` (n,) corrects the superposed effect; 1 before the first
    simulation.
    """

    points_mm: NDArray[np.float64]
    goal: int
    excess: int
    bias: NDArray[np.float64]
    shell: int = 0


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


def coverage_sites(
    target: TargetGeometry, goal_mm: float, risk_mm: NDArray[np.float64], most: int = 300
) -> Sites:
    """Sites that stand for volume: the target's surface and the margin in the organ."""
    surface = target.surface.points_mm
    surface = surface[np.unique(np.linspace(0, len(surface) - 1, most).astype(int))]
    outside = target.outside_mm
    shell = target.sites_mm[(outside > 0.5) & (outside <= goal_mm + 0.5) & target.in_organ]
    shell = shell[:: max(1, len(shell) // 500)]
    ring = target.sites_mm[(outside >= goal_mm + 4.0) & target.in_organ]
    ring = ring[:: max(1, len(ring) // 150)]
    points = np.concatenate([surface, shell, ring, risk_mm.reshape(-1, 3)])
    return Sites(points, len(surface), len(ring), np.ones(len(points)), shell=len(shell))


@dataclass(eq=False)
class LayoutProblem:
    """One pivot field with one tool; caches each pivot's effect at the sites.

    ``fixed`` are applicators that are in already: their effect ``base`` (n,) is added, and the
    rules on distances hold against them too.  ``parallel``: all tips at equal depth.
    """

    pivots: PivotField
    cold: UniformEffect
    sites: Sites
    rules: PathRules
    lethal_drop_c: float
    freezing_drop_c: float = 37.0
    refused: set[int] = field(default_factory=set)
    reserve: float = RESERVE
    fixed: tuple[Placement, ...] = ()
    base: NDArray[np.float64] | None = None
    parallel: bool = False
    risk_weight: float = RISK_WEIGHT
    risk_from: float = 1.0
    _cache: dict[int, NDArray[np.float64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        p = self.pivots
        half = 0.5 * p.applicator.active_length_mm * p.unit
        self._segments = np.stack([p.points_mm - half, p.points_mm + half], axis=1)
        tips = p.points_mm + half + p.applicator.tip_offset_mm * p.unit
        self._shafts = np.stack([tips, p.entry_mm], axis=1)
        self._fixed_segments = np.array([f.active_segment for f in self.fixed]).reshape(-1, 2, 3)
        needles = [(f.needle.tip_mm, f.needle.entry_mm) for f in self.fixed]
        self._fixed_shafts = np.array(needles).reshape(-1, 2, 3)
        if self.base is None:
            self.base = np.zeros(len(self.sites.points_mm))

    def drop(self, row: int) -> NDArray[np.float64]:
        """(n,) uncorrected cold of one pivot at the sites, degC."""
        if row not in self._cache:
            p = self.pivots
            self._cache[row] = self.cold.at(self.sites.points_mm, p.points_mm[row], p.unit[row])
        return self._cache[row]

    def total(self, rows: list[int]) -> NDArray[np.float64]:
        """(n,) uncorrected effect of a layout, the fixed applicators included."""
        assert self.base is not None
        out: NDArray[np.float64] = np.sum([self.base, *(self.drop(r) for r in rows)], axis=0)
        return out

    def corrected(self, bias: NDArray[np.float64]) -> None:
        """Take a new correction of the superposed cold."""
        self.sites = replace(self.sites, bias=bias)

    def costs(self, drop_c: NDArray[np.float64], soft: NDArray[np.float64]) -> NDArray[np.float64]:
        """(k,) what k layouts cost (0 is ideal) with cold (k, n) and mean path deficits (k,)."""
        s = self.sites
        short = np.maximum(self.reserve - drop_c[:, : s.goal] / self.lethal_drop_c, 0.0)
        inner = s.goal + s.shell
        if s.shell:
            lost = np.minimum(short / LOST, 1.0).mean(axis=1)
            margin = np.maximum(self.reserve - drop_c[:, s.goal : inner] / self.lethal_drop_c, 0.0)
            out = TARGET_WEIGHT * lost + SHELL_WEIGHT * np.minimum(margin / LOST, 1.0).mean(axis=1)
        else:
            out = 4.0 * short.max(axis=1) + np.sqrt(np.mean(short**2, axis=1))
        if s.excess:
            beyond = drop_c[:, inner : inner + s.excess] / self.lethal_drop_c
            out += EXCESS_WEIGHT * np.mean(np.clip(beyond - 1.0, 0.0, 1.0), axis=1)
        if len(s.points_mm) > inner + s.excess:
            risk = drop_c[:, inner + s.excess :].max(axis=1) / self.freezing_drop_c
            out += self.risk_weight * np.clip(risk - self.risk_from, 0.0, 1.0)
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
        if best is None and self.parallel and count > 2:
            # Parallel needles at one depth seldom fit a start as it is: grow a smaller group.
            fewer = self.propose(count - 1, region_mm, starts=slice(0, 2))
            grown = None if fewer is None else self.with_one_more(fewer[0])
            best = None if grown is None else self.descend(grown)
        return best

    def descend(self, rows: list[int], limit: int = 10**9) -> tuple[list[int], float]:
        """Move one probe at a time while that lowers the cost; at most ``limit`` lattice steps."""
        rows = list(rows)
        home = self.pivots.index[rows].copy()
        assert self.base is not None
        drops = np.array([self.drop(r) for r in rows])
        cost = self.cost((self.base + drops.sum(axis=0)) * self.sites.bias, rows)
        for step in MOVES:
            moved = True
            while moved:
                moved = False
                if self.parallel:
                    rows, cost, moved = self._together(rows, cost, step, home, limit)
                    drops = np.array([self.drop(r) for r in rows])
                for i in range(len(rows)):
                    trials = self._neighbours(rows, i, step, home[i], limit)
                    if not trials:
                        continue
                    cold = np.array([self.drop(r) for r in trials])
                    rest = self.base + drops.sum(axis=0) - drops[i]
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
        ways = _SIX[[0, 1, 3, 4]] if self.parallel else _SIX
        at = self.pivots.index[rows[i]] + step * ways
        at = at[np.all((at >= 0) & (at < number.shape), axis=1)]
        at = at[np.abs(at - home).max(axis=1) <= limit]
        trials = [r for r in number[tuple(at.T)].tolist() if r >= 0 and r not in self.refused]
        others = [r for j, r in enumerate(rows) if j != i]
        trials = self._clear_of_fixed(trials)
        if not trials or not others:
            return trials
        gaps = self._gaps(trials, others)
        low, high = self.rules.min_probe_spacing.value, self.rules.max_probe_spacing.value
        own = gaps.min(axis=1)
        good = own >= low
        if self.fixed:
            own = np.minimum(own, self._fixed_gaps(trials).min(axis=1))
        # Nobody farther from the nearest neighbour than the rule, the others included.
        near = np.minimum(gaps, self._nearest(others)[None, :])
        good &= (own <= high) & (near.max(axis=1) <= high)
        return [r for r, ok in zip(trials, good.tolist(), strict=True) if ok]

    def _together(
        self, rows: list[int], cost: float, step: int, home: NDArray[np.int64], limit: int
    ) -> tuple[list[int], float, bool]:
        """The whole group moved by one step where that lowers the cost."""
        number = self.pivots.number
        best, moved = rows, False
        for way in _SIX:
            at = self.pivots.index[rows] + step * way
            if np.any(at < 0) or np.any(at >= number.shape) or np.abs(at - home).max() > limit:
                continue
            trial = number[tuple(at.T)].tolist()
            if min(trial) < 0 or self.refused.intersection(trial):
                continue
            if len(self._clear_of_fixed(trial)) < len(trial):
                continue
            new = self.cost(self.total(trial) * self.sites.bias, trial)
            if new < cost - 1e-6:
                best, cost, moved = trial, new, True
        return best, cost, moved

    def nearest_allowed(self, rows: list[int]) -> list[int] | None:
        """The layout with refused pivots replaced by the nearest ones that keep the rules."""
        return self._admissible(self.pivots.points_mm[rows])

    def with_one_more(self, rows: list[int]) -> list[int] | None:
        """The layout with the pivot added that lowers the cost most; None where none fits."""
        low, high = self.rules.min_probe_spacing.value, self.rules.max_probe_spacing.value
        step = max(1, len(self.pivots.points_mm) // MOST_ADDED)
        trials = [r for r in range(0, len(self.pivots.points_mm), step) if r not in self.refused]
        if self.parallel:
            trials = [r for r in trials if self.pivots.index[r, 2] == self.pivots.index[rows[0], 2]]
        trials = self._clear_of_fixed(trials)
        if not trials:
            return None
        gaps = self._gaps(trials, rows).min(axis=1)
        trials = [r for r, g in zip(trials, gaps.tolist(), strict=True) if low <= g <= high]
        if not trials:
            return None
        rest = self.total(rows)
        effect = np.array([rest + self.drop(r) for r in trials]) * self.sites.bias
        old = float(np.sum(self.pivots.soft[rows] ** 2))
        soft = (old + self.pivots.soft[trials] ** 2) / (len(rows) + 1)
        return [*rows, trials[int(np.argmin(self.costs(effect, soft)))]]

    def apart(self, rows: list[int]) -> NDArray[np.bool_]:
        """(k, k) True where two pivots keep the least distance; the diagonal is True."""
        out: NDArray[np.bool_] = self._gaps(rows, rows) >= self.rules.min_probe_spacing.value
        np.fill_diagonal(out, True)
        return out

    def fits(self, rows: list[int]) -> bool:
        """Whether a group keeps the least and largest distances."""
        near = bool(np.all(self._nearest(rows) <= self.rules.max_probe_spacing.value))
        return near and bool(self.apart(rows).all())

    def nearest_to(self, points_mm: NDArray[np.float64]) -> list[int] | None:
        """The pivots nearest to points (k, 3) that keep the rules among each other."""
        return self._admissible(points_mm)

    def _admissible(self, start: NDArray[np.float64]) -> list[int] | None:
        """Pivots near the start's points that keep the rules among each other."""
        rows: list[int] = []
        low, high = self.rules.min_probe_spacing.value, self.rules.max_probe_spacing.value
        level: int | None = None
        for point in start:
            way = self.pivots.points_mm - point
            gap = np.einsum("ij,ij->i", way, way)
            # Electrodes stand far apart: the nearest places are all too close to the others.
            count = len(gap) if self.parallel else min(NEAREST_TRIED, len(gap))
            if count == 0:
                return None
            order = np.argpartition(gap, count - 1)[:count]
            order = order[np.lexsort((order, gap[order]))]
            near = [r for r in order.tolist() if r not in self.refused]
            if self.parallel and level is not None:
                near = [r for r in near if self.pivots.index[r, 2] == level]
            near = self._clear_of_fixed(near)
            if rows and near:
                good = self._gaps(near, rows).min(axis=1) >= low
                near = [r for r, ok in zip(near, good.tolist(), strict=True) if ok]
            if not near:
                return None
            rows.append(near[0])
            level = int(self.pivots.index[near[0], 2])
        few = len(rows) + len(self.fixed) < 2
        return rows if few or bool(np.all(self._nearest(rows) <= high)) else None

    def _nearest(self, rows: list[int]) -> NDArray[np.float64]:
        """(n,) distance of each probe to its nearest neighbour; +inf for a single one."""
        gaps = self._gaps(rows, rows)
        np.fill_diagonal(gaps, np.inf)
        if self.fixed:
            gaps = np.concatenate([gaps, self._fixed_gaps(rows)], axis=1)
        return np.asarray(gaps.min(axis=1))

    def _fixed_gaps(self, rows: list[int]) -> NDArray[np.float64]:
        """(k, m) distance of active zones to those of the fixed applicators, mm."""
        from irplan.compute.cpu import rays

        out = np.empty((len(rows), len(self.fixed)))
        rays.segment_gaps(self._segments[rows], self._fixed_segments, out)
        return out

    def _clear_of_fixed(self, rows: list[int]) -> list[int]:
        """Those of the pivots that keep the rules against the fixed applicators."""
        if not self.fixed or not rows:
            return rows
        from irplan.compute.cpu import rays

        shafts = np.empty((len(rows), len(self.fixed)))
        rays.segment_gaps(self._shafts[rows], self._fixed_shafts, shafts)
        entries = np.linalg.norm(
            self._shafts[rows][:, None, 1] - self._fixed_shafts[None, :, 1], axis=-1
        )
        good = np.all(self._fixed_gaps(rows) >= self.rules.min_probe_spacing.value, axis=1)
        good &= np.all(shafts >= MIN_SHAFT_GAP_MM, axis=1)
        good &= np.all(entries >= self.rules.min_entry_spacing.value, axis=1)
        return [r for r, ok in zip(rows, good.tolist(), strict=True) if ok]

    def _gaps(self, a: list[int], b: list[int]) -> NDArray[np.float64]:
        """(k, m) distance of active zones, mm; 0 where two entries are too close to each other."""
        from irplan.compute.cpu import rays

        out = np.empty((len(a), len(b)))
        rays.segment_gaps(self._segments[a], self._segments[b], out)
        entries = self.pivots.entry_mm
        apart = np.linalg.norm(entries[a][:, None] - entries[b][None], axis=-1)
        good = apart >= self.rules.min_entry_spacing.value
        shafts = np.empty_like(out)
        rays.segment_gaps(self._shafts[a], self._shafts[b], shafts)
        return np.where(good & (shafts >= MIN_SHAFT_GAP_MM), out, 0.0)


#: The six moves on the lattice.
_SIX = np.concatenate([np.eye(3, dtype=np.int64), -np.eye(3, dtype=np.int64)])
#: Pivots nearest to a start point that are looked at for one that keeps the rules.
NEAREST_TRIED = 1500
#: Pivots that are tried for one applicator more, about.
MOST_ADDED = 1500


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
