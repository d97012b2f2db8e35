"""How many applicators, of which kind and where: proposed fast, decided by the simulation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import AblationProblem, AblationResult, Placement, TissueMap
from irplan.ablation.tissue_table import TISSUE_OF_STRUCTURE
from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import PlanningError
from irplan.image import LabelMap
from irplan.planning.clearance import ClearanceMeter
from irplan.planning.layout import (
    SPARED,
    LayoutProblem,
    Sites,
    coverage_sites,
    judging_sites,
)
from irplan.planning.margins import TargetGeometry, surface_margins
from irplan.planning.modality import Modality, Tool, UniformEffect
from irplan.planning.obstacles import ObstacleRaster
from irplan.planning.optimise_score import (
    COVERAGE_POINTS,
    Confirmed,
    CoverageSites,
    Layout,
    zone_ml,
)
from irplan.planning.paths import PathCandidate, PathSearch
from irplan.planning.pivots import PivotField, pivot_field
from irplan.planning.rules import PathRules
from irplan.planning.spared_organs import SparedOrgans, spared_surfaces
from irplan.planning.surfaces import sample
from irplan.planning.surrogate import uniform_effect
from irplan.planning.trajectories import confirm_paths

#: Largest number of probes that "as few as needed" goes to.
AUTO_PROBES = 10
#: Common directions that are tried, and the least angle between two of them, degrees.
DIRECTIONS, APART_DEG = 3, 15.0
#: The same where all needles have it exactly, so that each direction fits fewer places.
PARALLEL_DIRECTIONS = 6
#: Pairs of tool and direction searched from every start.
STARTED = 3
#: From this number of probes only the best pairs of kind and direction are searched further.
MANY = 4
#: Margin in the search above the goal before the fine simulation is asked, mm; what the fine one
#: may be better than the coarse one, mm.
HEADROOM_MM, COARSE_ERROR_MM = 0.3, 0.1
#: The margin stops being sought everywhere when this many numbers in a row gained less than this
#: (mm, and share of what is missing to the goal).
PLATEAU_COUNT, PLATEAU_MM, PLATEAU_SHARE = 2, 0.4, 0.2
#: A proposal whose cold falls short of this share of the lethal cold is not simulated.
HOPELESS = 0.8
#: Points of the target with its margin that the starts of a search are made from, about.
REGION_POINTS = 800
#: Points of the target's surface at which the search measures the margin, about.
SEARCH_POINTS = 500
#: Obstacles ice should spare are looked at within this distance of the target, mm.
RISK_REACH_MM = 40.0


@dataclass(frozen=True, eq=False)
class ProbeSearch:
    """The chosen applicators with their final simulation, and what was tried."""

    confirmed: Confirmed
    reached: bool
    tried: tuple[str, ...]
    """One line a number of applicators: tool and what was reached on the search grid."""
    simulations: int

    @property
    def layout(self) -> Layout:
        """The chosen layout."""
        return self.confirmed.layout

    @property
    def result(self) -> AblationResult:
        """The simulation that decided."""
        return self.confirmed.result


@dataclass(eq=False)
class ProbePlanner:
    """Everything the search needs for one target; `find` does it.

    ``fixed`` applicators are in already and stay where they are.  ``everywhere``: the margin is
    wanted at every counted place, not on 99 % of its volume.  ``archive`` holds every layout that
    was simulated, in order.
    """

    raster: ObstacleRaster
    meter: ClearanceMeter
    labels: LabelMap
    target: TargetGeometry
    counted: NDArray[np.bool_]
    paths: PathSearch
    rules: PathRules
    modality: Modality
    margin_goal_mm: float
    fixed: tuple[Placement, ...] = ()
    everywhere: bool = False
    progress: Progress = no_progress
    simulations: int = 0
    archive: list[Layout] = field(default_factory=list)
    _effects: dict[Tool, UniformEffect] = field(default_factory=dict)
    _fields: dict[tuple[str, int, bool], PivotField] = field(default_factory=dict)
    _tissue: TissueMap | None = None
    _promising: list[tuple[Tool, int]] | None = None
    _risk: NDArray[np.float64] | None = None
    _organs: SparedOrgans | None = None
    _coverage: dict[bool, CoverageSites] = field(default_factory=dict)
    _confirmed: dict[int, Confirmed] = field(default_factory=dict)

    def find(self, count: int | None) -> ProbeSearch:
        """The fewest new applicators (or exactly ``count``) that reach the goal.

        The goal is all of the target and 99 % of it with its margin, or, with ``everywhere``, the
        margin at every counted place.  For each number: propose with every tool and direction,
        simulate the most promising, correct the proposal by what the simulation showed and repeat;
        then the same for the covered share (`optimise.cover`), which also starts from packed
        spheres.  The first layout that reaches the goal is confirmed on the fine grid, and tried
        with one applicator fewer.  Where no number reaches it (a vessel keeps a place warm, say)
        the layout that covers most is taken.  Raises `PlanningError` when not even one layout of
        the wanted number fits the rules.
        """
        from irplan.planning.optimise import CoverSearch

        cover = CoverSearch(self, count)
        best = -np.inf
        tried = cover.tried
        if self.fixed:
            alone = self.simulated(self.fixed, (), self.modality.tools[0], -1, None)[0]
            tried.append(f"the {len(self.fixed)} fixed alone: {alone.margin_mm:.1f} mm")
            if count is None and self.enough(alone):
                return self.done(self.confirm(alone), tried)
            best = alone.margin_mm
        flat = 0
        counts = self.counts(count)
        for n in counts:
            self._report(f"placing {n} probe(s)")
            if flat < PLATEAU_COUNT:
                layout = self._best_of(n, simulate_anyway=count is not None or n == counts[-1])
                if layout is not None:
                    tried.append(f"{n} x {layout.tool.words}: {layout.margin_mm:.1f} mm")
                    if self.enough(layout):
                        return self.done(cover.finished(self.confirm(layout), n), tried)
                    far = PLATEAU_SHARE * (self.margin_goal_mm - layout.margin_mm)
                    gained = layout.margin_mm - best
                    flat = flat + 1 if gained < max(PLATEAU_MM, far) else 0
                    best = max(best, layout.margin_mm)
            stuck = flat >= PLATEAU_COUNT or n == counts[-1]
            if self.everywhere and not stuck:
                continue
            found = cover.of_number(n, anyway=stuck)
            if found is not None:
                return self.done(cover.finished(found, n), tried)
            if cover.idle:
                break
        return self.done(cover.sparing(cover.most()), tried)

    def enough(self, layout: Layout) -> bool:
        """Whether a layout reaches the margin goal and covers all, in the fine simulation too.

        The margin alone says nothing of a target's part at the capsule, which it leaves out.
        """
        if layout.margin_mm < self.margin_goal_mm - COARSE_ERROR_MM or not layout.covered:
            return False
        confirmed = self.confirm(layout)
        return confirmed.margin_mm >= self.margin_goal_mm and confirmed.covered

    def counts(self, count: int | None) -> list[int]:
        """Numbers of new applicators that are tried."""
        if count is not None:
            return [count]
        most = min(self.modality.most, AUTO_PROBES, int(self.rules.max_probes.value))
        least = max(1, self.modality.fewest - len(self.fixed))
        return list(range(least, most - len(self.fixed) + 1))

    def nothing_fits(self, count: int | None) -> PlanningError:
        """The error of a search in which no group kept the rules."""
        return PlanningError(
            "probes",
            got=f"no group of {count if count is not None else 'any number of'} probes that "
            "keeps the rules",
            expected=f"probes {self.rules.min_probe_spacing.value:g} to "
            f"{self.rules.max_probe_spacing.value:g} mm apart, each with an admissible path",
            remedy=f"{len(self.paths.candidates)} single paths are admissible, but no group of "
            "them reaches the target and its margin at these distances: ask for a smaller "
            "margin, another applicator or other probe spacing.",
        )

    # -- one number of probes --------------------------------------------------------------

    def region(self) -> NDArray[np.float64]:
        """Points of the target with its margin, from which starts are made."""
        region = self.target.sites_mm[
            (self.target.outside_mm <= self.margin_goal_mm) & self.target.in_organ
        ]
        return region[:: max(1, len(region) // REGION_POINTS)]

    def pairs(self) -> list[tuple[Tool, int]]:
        """Every tool with every common direction."""
        return [(t, d) for t in self.modality.tools for d in range(len(self.directions()))]

    def _best_of(self, count: int, *, simulate_anyway: bool) -> Layout | None:
        region = self.region()
        pairs = self._promising or self.pairs()
        first: list[tuple[float, int, LayoutProblem, list[int]]] = []
        for number, (tool, d) in enumerate(pairs):
            problem = self.problem(tool, d)
            proposed = problem.propose(count, region, starts=slice(0, 1))
            if proposed is not None:
                first.append((proposed[1], number, problem, proposed[0]))
        first.sort(key=lambda p: p[:2])
        if count >= MANY and self._promising is None:
            # From here on a search is dear, and what served a few probes best serves more.
            self._promising = [pairs[number] for _, number, _, _ in first[:STARTED]]
        proposals: list[tuple[float, float, LayoutProblem, list[int], int]] = []
        for cost, number, problem, rows in first[: STARTED if count < MANY else 1]:
            again = problem.propose(count, region, starts=slice(1, None))
            if again is not None and again[1] < cost:
                rows, cost = again
            cold = problem.total(rows) * problem.sites.bias
            proposals.append((cost, problem.worst_ratio(cold), problem, rows, pairs[number][1]))
        proposals.sort(key=lambda p: p[0])
        hopeful = [p for p in proposals if p[1] >= HOPELESS]
        # The least harmful and the coldest: one proposes elegance, the other safety.
        finalists = hopeful[:1]
        finalists += sorted(hopeful[1:], key=lambda p: -p[1])[:1]
        if not finalists and simulate_anyway:
            finalists = proposals[:1]
        best: Layout | None = None
        for _, _, problem, rows, d in finalists:
            layout = self.improved(problem, rows, d)
            if layout is not None and (best is None or _better(layout, best, self.margin_goal_mm)):
                best = layout
        return best

    def improved(self, problem: LayoutProblem, rows: list[int], direction: int) -> Layout | None:
        """Simulate, correct the superposition by the outcome, move, simulate again."""
        best: Layout | None = None
        seen: set[tuple[int, ...]] = set()
        for _ in range(self.modality.rounds):
            kept = self.keep_admissible(problem, rows)
            if kept is None or tuple(sorted(kept[0])) in seen:
                break
            rows, paths = kept
            seen.add(tuple(sorted(rows)))
            layout, effect = self.simulated_rows(problem, rows, paths, direction)
            if best is None or _better(layout, best, self.margin_goal_mm):
                best = layout
            elif best.margin_mm >= self.margin_goal_mm + HEADROOM_MM:
                break  # good enough, and the last move did not help
            self.correct(problem, rows, effect)
            rows, _ = problem.descend(rows, limit=4)
        return best

    def correct(self, problem: LayoutProblem, rows: list[int], effect: NDArray[np.float64]) -> None:
        """Let the superposition agree with what was simulated for ``rows``."""
        plain = np.maximum(problem.total(rows), 0.017 * problem.lethal_drop_c)
        problem.corrected(np.clip(effect / plain, 0.2, 4.0))

    def keep_admissible(
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

    def keep_exactly(
        self, problem: LayoutProblem, rows: list[int]
    ) -> tuple[PathCandidate, ...] | None:
        """The paths of these pivots if the labels confirm every one of them."""
        good = tuple(c for c in self.confirmed_paths(problem, rows) if c is not None)
        return good if len(good) == len(rows) else None

    def confirmed_paths(
        self, problem: LayoutProblem, rows: list[int]
    ) -> list[PathCandidate | None]:
        """The path of each pivot; None for those that the labels refuse."""
        needles = [self.meter.entry_on_skin(problem.pivots.needle(r)) for r in rows]
        return confirm_paths(self.raster, self.meter, needles)[0]

    # -- simulation ------------------------------------------------------------------------

    def simulated_rows(
        self,
        problem: LayoutProblem,
        rows: list[int],
        paths: tuple[PathCandidate, ...],
        direction: int,
    ) -> tuple[Layout, NDArray[np.float64]]:
        """The layout of confirmed ``paths`` simulated, and its effect at the problem's sites."""
        new = tuple(Placement(c.needle, problem.pivots.applicator) for c in paths)
        tool = problem.cold.tool
        layout, effect = self.simulated((*self.fixed, *new), paths, tool, direction, problem.sites)
        cost = problem.cost(effect, rows)
        layout = Layout(**{**layout.__dict__, "cost": cost})
        self.archive.append(layout)
        return layout, effect

    def simulated(
        self,
        placements: tuple[Placement, ...],
        paths: tuple[PathCandidate, ...],
        tool: Tool,
        direction: int,
        sites: Sites | None,
    ) -> tuple[Layout, NDArray[np.float64]]:
        """Any placements on the search grid, and the effect at ``sites`` (n,)."""
        if self._tissue is None:
            # Wide enough for every later layout of this target.
            self._tissue = TissueMap.from_labels(self.labels, placements, margin_mm=75.0)
        way = self.modality
        setup = self._tissue.problem(placements, tool.schedule, spacing_mm=way.search_mm)
        result = way.simulate(setup, search=True)
        self.simulations += 1
        self._report(f"{len(placements)} probe(s), simulation {self.simulations}")
        effect = np.zeros(0)
        if sites is not None:
            effect = np.maximum(sample(way.effect(result, placements), sites.points_mm, 0.0), 0.0)
        field, level = way.zone(result, placements)
        points = self.target.surface.points_mm[self.counted]
        points = points[:: max(1, len(points) // SEARCH_POINTS)]
        margin = surface_margins(field, level, points, placements)
        target, either = self._coverage_sites().shares(field, level)
        healthy = max(0.0, zone_ml(field, level) - target * self._coverage_sites().target_ml)
        layout = Layout(
            placements, paths, tool, direction, float(margin.min()), target, either, healthy, 0.0,
            self._harm(result, placements),
        )  # fmt: skip
        return layout, effect

    def confirm(self, layout: Layout) -> Confirmed:
        """The simulation that decides, on the fine grid, from the labels themselves."""
        known = self._confirmed.get(id(layout))
        if known is not None:
            return known
        way = self.modality
        setup = AblationProblem.from_labels(
            self.labels, layout.placements, layout.tool.schedule, spacing_mm=way.final_mm
        )
        result = way.simulate(setup, search=False, progress=portion(self.progress, 0.65, 0.95))
        self.simulations += 1
        field, level = way.zone(result, layout.placements)
        points = self.target.surface.points_mm[self.counted]
        margin = float(surface_margins(field, level, points, layout.placements).min())
        sites = self._coverage_sites(fine=True)
        target, either = sites.shares(field, level)
        healthy = max(0.0, zone_ml(field, level) - target * sites.target_ml)
        harm = self._harm(result, layout.placements)
        found = Confirmed(layout, result, margin, target, either, healthy, harm)
        self._confirmed[id(layout)] = found
        return found

    def organs(self) -> SparedOrgans:
        """The organs near the target that ice should spare."""
        if self._organs is None:
            self._organs = SparedOrgans.of(
                spared_surfaces(self.raster, self.meter), self.target.surface.points_mm
            )
        return self._organs

    def _harm(self, result: AblationResult, placements: tuple[Placement, ...]) -> float:
        """Largest effect just before those organs, as a share of what is harmful."""
        effect = self.modality.harm(result, placements)
        return self.organs().harm(effect, self.modality.harmful_effect)

    def spared_problem(self, problem: LayoutProblem, weight: float) -> LayoutProblem:
        """A problem of covered shares in which harm to those organs weighs ``weight``."""
        sites = coverage_sites(self.target, self.margin_goal_mm, self.organs().search_points())
        return replace(
            problem,
            sites=sites,
            base=self._base(sites, problem.cold.tool),
            risk_weight=weight,
            risk_from=SPARED,
            _cache={},
        )

    def _coverage_sites(self, *, fine: bool = False) -> CoverageSites:
        if fine not in self._coverage:
            goal = self.margin_goal_mm
            most = None if fine else COVERAGE_POINTS
            self._coverage[fine] = CoverageSites.of(self.target, goal, most)
        return self._coverage[fine]

    def _report(self, message: str) -> None:
        """Progress that approaches 0.65, whatever the number of simulations will be."""
        self.progress(0.65 * (1.0 - 0.95**self.simulations), message)

    def done(self, confirmed: Confirmed, tried: list[str]) -> ProbeSearch:
        """The search's outcome."""
        reached = confirmed.margin_mm >= self.margin_goal_mm and confirmed.covered
        count = confirmed.layout.count
        self.progress(1.0, f"{count} probe(s), margin {confirmed.margin_mm:.1f} mm")
        return ProbeSearch(confirmed, reached, tuple(tried), self.simulations)

    # -- parts that are made once ------------------------------------------------------------

    def directions(self) -> list[NDArray[np.float64]]:
        """Directions of the best paths, at least 15 degrees apart."""
        out: list[NDArray[np.float64]] = []
        for c in self.paths.candidates:
            d = c.needle.direction
            if all(float(d @ o) < np.cos(np.radians(APART_DEG)) for o in out):
                out.append(d)
            if len(out) == (PARALLEL_DIRECTIONS if self.modality.parallel else DIRECTIONS):
                break
        return out

    def problem(self, tool: Tool, number: int, *, coverage: bool = False) -> LayoutProblem:
        """The layout problem of a tool in one common direction.

        With ``coverage`` covered shares are sought, not the worst place, and pivots that the
        common direction does not reach take a direction of their own.
        """
        key = (tool.applicator.name, number, coverage)
        if key not in self._fields:
            others = [c.needle.direction for c in self.paths.candidates] if coverage else []
            self._fields[key] = pivot_field(
                self.raster,
                self.target,
                tool.applicator,
                self.directions()[number],
                others=others,
                parallel=self.modality.parallel,
            )
        goal = self.margin_goal_mm
        if coverage:
            sites = coverage_sites(self.target, goal, self._risk_points())
        else:
            sites = judging_sites(
                self.target, self.counted, goal + HEADROOM_MM, self._risk_points()
            )
        return LayoutProblem(
            self._fields[key],
            self._effect(tool),
            sites,
            self.rules,
            lethal_drop_c=self.modality.lethal_effect,
            freezing_drop_c=self.modality.harmful_effect,
            fixed=self.fixed,
            base=self._base(sites, tool),
            parallel=self.modality.parallel,
        )

    def _effect(self, tool: Tool) -> UniformEffect:
        if tool not in self._effects:
            name = self.raster.organ_name or "tumour"
            tissue_name = TISSUE_OF_STRUCTURE.get(name, "tumour") if name == "liver" else "tumour"
            self._effects[tool] = uniform_effect(tool, self.modality, tissue_name)
            self.simulations += 1
        return self._effects[tool]

    def _base(self, sites: Sites, tool: Tool) -> NDArray[np.float64]:
        """(n,) effect of the fixed applicators, worked as the new ones are."""
        total = np.zeros(len(sites.points_mm))
        for placement in self.fixed:
            effect = self._effect(Tool(placement.applicator, tool.schedule))
            middle = np.mean(placement.active_segment, axis=0)
            total += effect.at(sites.points_mm, middle, placement.needle.direction)
        return total

    def _risk_points(self) -> NDArray[np.float64]:
        """About 150 points of organs that ice should spare, the nearest to the target."""
        if self._risk is not None:
            return self._risk
        points = spared_surfaces(self.raster, self.meter)
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
