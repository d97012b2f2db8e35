"""Which of the layouts found is recommended, and which others are worth showing beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from irplan.compute.progress import Progress, portion
from irplan.image import LabelMap
from irplan.planning.margins import TargetGeometry
from irplan.planning.optimise import GAIN
from irplan.planning.optimise_score import Confirmed, Layout
from irplan.planning.plan import AblationPlan
from irplan.planning.probes import COARSE_ERROR_MM, ProbePlanner, ProbeSearch
from irplan.planning.robustness import coverage_probability
from irplan.planning.robustness_result import CoverageProbability

if TYPE_CHECKING:
    from irplan.planning.case import PlanOptions

#: What an alternative can be best at, and the quantity of a layout that is smallest then.
NAMES: dict[str, Callable[[Layout], float]] = {
    "fewest needles": lambda k: float(k.count),
    "least healthy tissue": lambda k: k.healthy_ml,
    "safest path": lambda k: k.risk,
    "widest margin": lambda k: -k.margin_mm,
}
#: Margins above the goal that a robust plan is sought with, mm: errors of placement eat margin.
ROBUST_EXTRA_MM = (0.0, 2.0, 4.0)
#: Layouts tried for a name until one is confirmed on the fine grid.
TRIALS = 3


@dataclass(frozen=True, eq=False)
class Chosen:
    """A confirmed layout and what it is best at."""

    confirmed: Confirmed
    names: tuple[str, ...]
    probability: CoverageProbability | None = None


@dataclass(frozen=True, eq=False)
class Picked:
    """The recommended layout first, then the alternatives."""

    chosen: tuple[Chosen, ...]
    reached: bool
    tried: tuple[str, ...]
    simulations: int


def choose(
    planner: Callable[[float, Progress], ProbePlanner],
    as_plan: Callable[[Confirmed], AblationPlan],
    options: PlanOptions,
    target: TargetGeometry,
    labels: LabelMap,
    *,
    progress: Progress,
) -> Picked:
    """Search by the objective of ``options`` and pick what to show.

    ``planner`` makes a planner for a margin goal in mm; ``as_plan`` a plan of a layout.
    """
    count = None if options.probes is None else options.probes - len(options.fixed)
    if options.objective == "robust":
        return _robust(planner, as_plan, options, target, labels, count, progress)
    searcher = planner(options.margin_mm, progress)
    found = searcher.find(count)
    if options.objective == "coverage":
        explore(searcher, found.layout, count)
        found = _least_harm(searcher, found, count)
    chosen = [Chosen(found.confirmed, ("recommended",))]
    if options.alternatives > 1:
        if options.objective != "coverage":
            explore(searcher, found.layout, count)
        chosen = alternatives(searcher, found, options.alternatives, count)
    return Picked(tuple(chosen), found.reached, found.tried, searcher.simulations)


def explore(planner: ProbePlanner, best: Layout, count: int | None) -> None:
    """Layouts of other directions, and of one applicator more, into the planner's archive."""
    new = best.count - len(planner.fixed)
    counts = [n for n in planner.counts(count) if n in (new, new + 1)]
    for n in counts:
        for direction in range(len(planner.directions())):
            ranked = []
            for number, tool in enumerate(planner.modality.tools):
                problem = planner.problem(tool, direction)
                proposed = problem.propose(n, planner.region(), starts=slice(0, 2))
                if proposed is not None:
                    ranked.append((proposed[1], number, problem, proposed[0]))
            if ranked:
                _, _, problem, rows = min(ranked, key=lambda r: r[:2])
                planner.improved(problem, rows, direction)


def pareto_front(layouts: Sequence[Layout]) -> list[Layout]:
    """Those that no other beats or equals in everything: coverage, margin, tissue, risk, number."""
    values = np.array(
        [(k.shortfall, -k.margin_mm, k.healthy_ml, k.risk, float(k.count)) for k in layouts]
    ).reshape(-1, 5)
    out = []
    for n, own in enumerate(values):
        better = np.all(values <= own, axis=1) & np.any(values < own, axis=1)
        if not better.any():
            out.append(layouts[n])
    return out


def alternatives(
    planner: ProbePlanner, found: ProbeSearch, wanted: int, count: int | None
) -> list[Chosen]:
    """The recommended layout and up to ``wanted - 1`` others, each best at something.

    Only layouts that are as good as the recommended one where it matters come in: all covered if it
    covers all (the margin at every place if it has that), else about the same coverage.
    Each is confirmed on the fine grid.
    """
    pool = pareto_front(_eligible(planner, found, count))
    picks: dict[int, Chosen] = {id(found.layout): Chosen(found.confirmed, ("recommended",))}
    for name, key in NAMES.items():
        ranked = sorted(pool, key=lambda k, key=key: (key(k), k.shortfall, k.cost))  # type: ignore[misc]
        for layout in ranked[:TRIALS]:
            known = picks.get(id(layout))
            if known is not None:
                picks[id(layout)] = replace(known, names=(*known.names, name))
                break
            if len(picks) >= wanted:
                break
            confirmed = planner.confirm(layout)
            if _holds(planner, confirmed, found):
                picks[id(layout)] = Chosen(confirmed, (name,))
                break
    return list(picks.values())


def _eligible(planner: ProbePlanner, found: ProbeSearch, count: int | None) -> list[Layout]:
    pool = planner.archive
    if count is not None:
        pool = [k for k in pool if k.count - len(planner.fixed) == count]
    if found.reached:
        good = [k for k in pool if k.margin_mm >= planner.margin_goal_mm - COARSE_ERROR_MM]
    elif found.confirmed.covered:
        good = [k for k in pool if k.covered]
    else:
        good = [k for k in pool if k.shortfall <= found.layout.shortfall + 5 * GAIN]
    return [*good, found.layout] if not any(k is found.layout for k in good) else good


def _holds(planner: ProbePlanner, confirmed: Confirmed, found: ProbeSearch) -> bool:
    if found.reached:
        return confirmed.margin_mm >= planner.margin_goal_mm
    if found.confirmed.covered:
        return confirmed.covered
    return confirmed.shortfall <= found.confirmed.shortfall + 5 * GAIN


def _least_harm(planner: ProbePlanner, found: ProbeSearch, count: int | None) -> ProbeSearch:
    """The layout that covers most and, of these, harms least healthy tissue, of any number."""
    pool = sorted(
        _eligible(planner, found, count),
        key=lambda k: (round(k.shortfall / GAIN), k.healthy_ml, k.cost),
    )
    best = found.confirmed
    for layout in pool[:TRIALS]:
        confirmed = planner.confirm(layout)
        if not _holds(planner, confirmed, found):
            continue
        gain = best.shortfall - confirmed.shortfall
        if gain > GAIN or (abs(gain) <= GAIN and confirmed.healthy_ml < best.healthy_ml):
            best = confirmed
    return replace(
        found, confirmed=best, reached=best.margin_mm >= planner.margin_goal_mm and best.covered
    )


def _robust(
    planner: Callable[[float, Progress], ProbePlanner],
    as_plan: Callable[[Confirmed], AblationPlan],
    options: PlanOptions,
    target: TargetGeometry,
    labels: LabelMap,
    count: int | None,
    progress: Progress,
) -> Picked:
    """Search with room above the goal, and take the plan most likely to cover the goal itself."""
    uncertainty = options.errors
    chosen: list[Chosen] = []
    tried: list[str] = []
    simulations = 0
    for number, extra in enumerate(ROBUST_EXTRA_MM):
        share = 1.0 / len(ROBUST_EXTRA_MM)
        part = portion(progress, number * share, (number + 1) * share)
        goal = min(30.0, options.margin_mm + extra)
        searcher = planner(goal, portion(part, 0.0, 0.6))
        found = searcher.find(count)
        simulations += searcher.simulations
        probability = coverage_probability(
            as_plan(found.confirmed), labels, target, uncertainty,
            result=found.confirmed.result, margin_mm=options.margin_mm, seed=options.seed,
            progress=portion(part, 0.6, 1.0),
        )  # fmt: skip
        tried.append(
            f"{found.layout.count} x {found.layout.tool.words} planned for {goal:g} mm: "
            f"{100 * probability.probability:.1f} % likely to cover {options.margin_mm:g} mm"
        )
        chosen.append(Chosen(found.confirmed, (f"planned for {goal:g} mm",), probability))
    # Within the sampling error the fewer needles are taken.
    most = max(c.probability.probability for c in chosen if c.probability)
    good = [c for c in chosen if c.probability and c.probability.probability >= most - 0.02]
    best = min(good, key=lambda c: (c.confirmed.layout.count, -c.confirmed.margin_mm))
    rest = [c for c in chosen if c is not best]
    first = replace(best, names=("recommended", "most likely to cover", *best.names))
    reached = best.confirmed.margin_mm >= options.margin_mm and best.confirmed.covered
    return Picked((first, *rest[: options.alternatives - 1]), reached, tuple(tried), simulations)
