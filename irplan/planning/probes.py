"""How many probes, of which kind and where: proposed fast, decided by the simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import (
    AblationProblem,
    Applicator,
    CryoResult,
    LethalRule,
    Placement,
    Schedule,
    TissueMap,
    simulate_cryo,
)
from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import PlanningError
from irplan.image import LabelMap
from irplan.planning.clearance import ClearanceMeter
from irplan.planning.layout import LayoutProblem, judging_sites
from irplan.planning.margins import TargetGeometry, surface_margins
from irplan.planning.obstacles import ObstacleRaster
from irplan.planning.paths import PathCandidate, PathSearch
from irplan.planning.pivots import PivotField, pivot_field
from irplan.planning.rules import PathRules
from irplan.planning.surfaces import sample
from irplan.planning.surrogate import SEARCH_TIME_ERROR_MM, ProbeCold
from irplan.planning.trajectories import confirm_paths

#: Voxel of simulations that guide the search, and of the one that decides, mm.
SEARCH_MM, FINAL_MM = 2.0, 1.0
#: Largest number of probes that "as few as needed" goes to.
AUTO_PROBES = 8
#: Common directions that are tried, and the least angle between two of them, degrees.
DIRECTIONS, APART_DEG = 3, 15.0
#: Pairs of kind and direction searched from every start; simulations to improve a finalist.
STARTED, ROUNDS = 3, 4
#: From this number of probes only the best pairs of kind and direction are searched further.
MANY = 4
#: Margin in the search above the goal before the fine simulation is asked, mm; what the fine one
#: may be better than the coarse one, mm.
HEADROOM_MM, COARSE_ERROR_MM = 0.3, 0.1
#: More probes stop being tried when this many in a row gained less than this, mm.
PLATEAU_COUNT, PLATEAU_MM = 2, 0.4
#: A proposal whose cold falls short of this share of the lethal cold is not simulated.
HOPELESS = 0.8
#: Points of the target with its margin that the starts of a search are made from, about.
REGION_POINTS = 800
#: Points of the target's surface at which the search measures the margin, about.
SEARCH_POINTS = 500
#: Obstacles ice should spare are looked at within this distance of the target, mm.
RISK_REACH_MM = 40.0


@dataclass(frozen=True, eq=False)
class Layout:
    """A group of probes that was simulated on the search grid."""

    placements: tuple[Placement, ...]
    paths: tuple[PathCandidate, ...]
    margin_mm: float
    """Smallest counted margin in that simulation."""
    cost: float


@dataclass(frozen=True, eq=False)
class ProbeSearch:
    """The chosen probes with their final simulation, and what was tried."""

    layout: Layout
    result: CryoResult
    margin_mm: float
    reached: bool
    tried: tuple[str, ...]
    """One line a number of probes: kind and margin reached on the search grid."""
    simulations: int


@dataclass(eq=False)
class ProbePlanner:
    """Everything the search needs for one target; `find` does it."""

    raster: ObstacleRaster
    meter: ClearanceMeter
    labels: LabelMap
    target: TargetGeometry
    counted: NDArray[np.bool_]
    paths: PathSearch
    rules: PathRules
    schedule: Schedule
    lethal: LethalRule
    margin_goal_mm: float
    progress: Progress = no_progress
    simulations: int = 0
    _colds: dict[str, ProbeCold] = field(default_factory=dict)
    _fields: dict[tuple[str, int], PivotField] = field(default_factory=dict)
    _tissue: TissueMap | None = None
    _promising: list[tuple[Applicator, int]] | None = None
    _risk: NDArray[np.float64] | None = None
    _confirmed: tuple[Layout, CryoResult, float] | None = None

    def find(self, kinds: Sequence[Applicator], count: int | None) -> ProbeSearch:
        """The fewest probes (or exactly ``count``) that reach the goal; else the best found.

        For each number: propose with every kind and direction, simulate the most promising,
        correct the proposal by what the simulation showed and repeat; the first layout that
        reaches the goal is confirmed at 1 mm.  Raises `PlanningError` when not even one layout of
        the wanted number fits the rules.
        """
        found: list[Layout] = []
        tried: list[str] = []
        flat = 0
        counts = [count] if count is not None else list(range(1, self._most() + 1))
        for n in counts:
            self._report(f"placing {n} probe(s)")
            layout = self._best_of(kinds, n, simulate_anyway=count is not None or n == counts[-1])
            if layout is None:
                continue
            kind = layout.placements[0].applicator.name
            tried.append(f"{n} x {kind}: {layout.margin_mm:.1f} mm")
            gained = layout.margin_mm - max((k.margin_mm for k in found), default=-np.inf)
            found.append(layout)
            if layout.margin_mm >= self.margin_goal_mm - COARSE_ERROR_MM:
                confirmed = self._confirm(layout)
                if confirmed[2] >= self.margin_goal_mm:
                    return self._done(confirmed, tried)
            flat = flat + 1 if gained < PLATEAU_MM else 0
            if flat >= PLATEAU_COUNT:
                break
        if not found:
            raise PlanningError(
                "probes",
                got=f"no group of {count if count is not None else 'any number of'} probes that "
                "keeps the rules",
                expected=f"probes {self.rules.min_probe_spacing.value:g} to "
                f"{self.rules.max_probe_spacing.value:g} mm apart, each with an admissible path",
                remedy=f"{len(self.paths.candidates)} single paths are admissible, but no group of "
                "them reaches the target and its margin at these distances: ask for a smaller "
                "margin, another applicator or other probe spacing.",
            )
        # Not reached: more probes must buy a margin worth the harm.
        most = max(k.margin_mm for k in found)
        chosen = next(k for k in found if k.margin_mm >= most - PLATEAU_MM)
        return self._done(self._confirm(chosen), tried)

    # -- one number of probes --------------------------------------------------------------

    def _most(self) -> int:
        return min(AUTO_PROBES, int(self.rules.max_probes.value))

    def _best_of(
        self, kinds: Sequence[Applicator], count: int, *, simulate_anyway: bool
    ) -> Layout | None:
        region = self.target.sites_mm[
            (self.target.outside_mm <= self.margin_goal_mm) & self.target.in_organ
        ]
        region = region[:: max(1, len(region) // REGION_POINTS)]
        pairs = self._promising or [
            (kind, d) for kind in kinds for d in range(len(self._directions()))
        ]
        first: list[tuple[float, int, LayoutProblem, list[int]]] = []
        for number, (kind, d) in enumerate(pairs):
            problem = self._problem(kind, d)
            proposed = problem.propose(count, region, starts=slice(0, 1))
            if proposed is not None:
                first.append((proposed[1], number, problem, proposed[0]))
        first.sort(key=lambda p: p[:2])
        if count >= MANY and self._promising is None:
            # From here on a search is dear, and what served a few probes best serves more.
            self._promising = [pairs[number] for _, number, _, _ in first[:STARTED]]
        proposals: list[tuple[float, float, LayoutProblem, list[int]]] = []
        for cost, _, problem, rows in first[: STARTED if count < MANY else 1]:
            again = problem.propose(count, region, starts=slice(1, None))
            if again is not None and again[1] < cost:
                rows, cost = again
            cold = problem.total(rows) * problem.sites.bias
            proposals.append((cost, problem.worst_ratio(cold), problem, rows))
        proposals.sort(key=lambda p: p[0])
        hopeful = [p for p in proposals if p[1] >= HOPELESS]
        # The least harmful and the coldest: one proposes elegance, the other safety.
        finalists = hopeful[:1]
        finalists += sorted(hopeful[1:], key=lambda p: -p[1])[:1]
        if not finalists and simulate_anyway:
            finalists = proposals[:1]
        best: Layout | None = None
        for _, _, problem, rows in finalists:
            layout = self._improved(problem, rows)
            if layout is not None and (best is None or _better(layout, best, self.margin_goal_mm)):
                best = layout
        return best

    def _improved(self, problem: LayoutProblem, rows: list[int]) -> Layout | None:
        """Simulate, correct the superposition by the outcome, move, simulate again."""
        best: Layout | None = None
        seen: set[tuple[int, ...]] = set()
        for _ in range(ROUNDS):
            kept = self._keep_admissible(problem, rows)
            if kept is None or tuple(sorted(kept[0])) in seen:
                break
            rows, paths = kept
            seen.add(tuple(sorted(rows)))
            placements = tuple(Placement(c.needle, problem.pivots.applicator) for c in paths)
            cold, margin = self._simulated(placements, problem)
            layout = Layout(placements, paths, margin, problem.cost(cold, rows))
            if best is None or _better(layout, best, self.margin_goal_mm):
                best = layout
            elif best.margin_mm >= self.margin_goal_mm + HEADROOM_MM:
                break  # good enough, and the last move did not help
            plain = np.maximum(problem.total(rows), 1.0)
            problem.corrected(np.clip(cold / plain, 0.2, 4.0))
            rows, _ = problem.descend(rows, limit=4)
        return best

    def _keep_admissible(
        self, problem: LayoutProblem, rows: list[int]
    ) -> tuple[list[int], tuple[PathCandidate, ...]] | None:
        """The layout if the labels confirm every path; else the nearest one they confirm."""
        for _ in range(12):
            needles = [self.meter.entry_on_skin(problem.pivots.needle(r)) for r in rows]
            checked, _ = confirm_paths(self.raster, self.meter, needles)
            good = [c for c in checked if c is not None]
            if len(good) == len(rows):
                return rows, tuple(good)
            wrong = [r for r, c in zip(rows, checked, strict=True) if c is None]
            problem.refused.update(wrong)
            again = problem.nearest_allowed(rows)
            if again is None:
                return None
            rows, _ = problem.descend(again, limit=4)
        return None

    # -- simulation ------------------------------------------------------------------------

    def _simulated(
        self, placements: tuple[Placement, ...], problem: LayoutProblem
    ) -> tuple[NDArray[np.float64], float]:
        """Cold at the sites and smallest counted margin on the search grid."""
        if self._tissue is None:
            # Wide enough for every later layout of this target.
            self._tissue = TissueMap.from_labels(self.labels, placements, margin_mm=75.0)
        setup = self._tissue.problem(placements, self.schedule, spacing_mm=SEARCH_MM)
        # One thread: too small a grid to gain from more, and barriers suffer on a busy machine.
        result = simulate_cryo(setup, time_error_mm=SEARCH_TIME_ERROR_MM, threads=1)
        self.simulations += 1
        self._report(f"{len(placements)} probe(s), simulation {self.simulations}")
        cold_field = result.lethal_temperature(self.lethal)
        body = setup.body_temperature_c
        cold = body - sample(cold_field, problem.sites.points_mm, body)
        points = self.target.surface.points_mm[self.counted]
        points = points[:: max(1, len(points) // SEARCH_POINTS)]
        margin = surface_margins(cold_field, self.lethal.threshold_c, points, placements)
        return np.maximum(cold, 0.0), float(margin.min())

    def _confirm(self, layout: Layout) -> tuple[Layout, CryoResult, float]:
        """The simulation that decides, at 1 mm, from the labels themselves."""
        if self._confirmed is not None and self._confirmed[0] is layout:
            return self._confirmed
        setup = AblationProblem.from_labels(
            self.labels, layout.placements, self.schedule, spacing_mm=FINAL_MM
        )
        result = simulate_cryo(setup, progress=portion(self.progress, 0.65, 0.95))
        self.simulations += 1
        margin = surface_margins(
            result.lethal_temperature(self.lethal),
            self.lethal.threshold_c,
            self.target.surface.points_mm[self.counted],
            layout.placements,
        )
        self._confirmed = (layout, result, float(margin.min()))
        return self._confirmed

    def _report(self, message: str) -> None:
        """Progress that approaches 0.65, whatever the number of simulations will be."""
        self.progress(0.65 * (1.0 - 0.95**self.simulations), message)

    def _done(self, confirmed: tuple[Layout, CryoResult, float], tried: list[str]) -> ProbeSearch:
        layout, result, margin = confirmed
        reached = margin >= self.margin_goal_mm
        self.progress(1.0, f"{len(layout.placements)} probe(s), margin {margin:.1f} mm")
        return ProbeSearch(layout, result, margin, reached, tuple(tried), self.simulations)

    # -- parts that are made once ------------------------------------------------------------

    def _directions(self) -> list[NDArray[np.float64]]:
        """Directions of the best paths, at least 15 degrees apart."""
        out: list[NDArray[np.float64]] = []
        for c in self.paths.candidates:
            d = c.needle.direction
            if all(float(d @ o) < np.cos(np.radians(APART_DEG)) for o in out):
                out.append(d)
            if len(out) == DIRECTIONS:
                break
        return out

    def _problem(self, kind: Applicator, number: int) -> LayoutProblem:
        if kind.name not in self._colds:
            tissue_name = self.raster.organ_name if self.raster.organ_name == "liver" else "tumour"
            self._colds[kind.name] = ProbeCold.simulated(
                kind, self.schedule, self.lethal, tissue_name or "tumour"
            )
            self.simulations += 1
        key = (kind.name, number)
        if key not in self._fields:
            self._fields[key] = pivot_field(
                self.raster, self.target, kind, self._directions()[number]
            )
        sites = judging_sites(
            self.target, self.counted, self.margin_goal_mm + HEADROOM_MM, self._risk_points()
        )
        return LayoutProblem(
            self._fields[key],
            self._colds[kind.name],
            sites,
            self.rules,
            lethal_drop_c=37.0 - self.lethal.threshold_c,
        )

    def _risk_points(self) -> NDArray[np.float64]:
        """About 150 points of organs that ice should spare, the nearest to the target."""
        if self._risk is not None:
            return self._risk
        spare = {n for n, o in enumerate(self.raster.obstacles) if o.name not in ("bone", "vessel")}
        mask = np.isin(self.meter.group, sorted(spare))
        index = self.meter.points_mm[mask] / np.asarray(self.meter.grid.spacing_mm)
        points = self.meter.grid.index_to_lps(index)
        points = np.concatenate([points, self.raster.entries_mm])
        centre = self.target.surface.points_mm.mean(axis=0)
        gap = np.linalg.norm(points - centre, axis=1)
        order = np.argsort(gap, kind="stable")
        near = order[gap[order] <= RISK_REACH_MM + 0.5 * np.ptp(self.target.surface.points_mm)]
        self._risk = points[near[:: max(1, len(near) // 150)]]
        return self._risk


def _better(a: Layout, b: Layout, goal_mm: float) -> bool:
    """Reaching the goal first, then least cost; below the goal the larger margin."""
    reach_a, reach_b = a.margin_mm >= goal_mm + HEADROOM_MM, b.margin_mm >= goal_mm + HEADROOM_MM
    if reach_a != reach_b:
        return reach_a
    return a.cost < b.cost if reach_a else a.margin_mm > b.margin_mm
