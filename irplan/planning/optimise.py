"""Layouts that cover most where the margin cannot be reached everywhere, and other aims.

A vessel beside a tumour keeps its wall warm whatever is done; then the worst place says nothing,
and the share of target + margin that becomes lethal is what can be improved.  The search goes on
with that share as its cost, with paths of separate directions where a common one does not reach,
and with more applicators as long as each buys something.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from irplan.planning.layout import LayoutProblem
from irplan.planning.modality import Tool
from irplan.planning.optimise_score import Confirmed, Layout, least_harm
from irplan.planning.probes import ProbePlanner, ProbeSearch

#: Simulations that improve one start at most, and steps of the lattice between two.
ROUNDS, STEPS = 6, 3
#: Pairs of tool and direction that are followed for each number of applicators.
FOLLOWED = 2
#: A layout that falls short by this much more than the best is as good, if it needs fewer.
GAIN = 0.004
#: Numbers of applicators in a row that may gain less than `GAIN` before no more are tried.
PATIENCE = 2
Problems = dict[tuple[Tool, int], LayoutProblem]
#: Layouts of the search grid that are confirmed on the fine one.
CONFIRMED = 3


def cover_most(planner: ProbePlanner, count: int | None, tried: list[str]) -> ProbeSearch:
    """The fewest applicators that cover the target and 99 % of its margin; else most of it.

    Raises `PlanningError` where no group of the wanted number keeps the rules.
    """
    best: Layout | None = min(planner.archive, key=lambda k: (k.shortfall, k.cost), default=None)
    idle = 0
    problems: Problems = {}
    for n in _numbers(planner, count):
        layout = _best_cover(planner, n, problems)
        if layout is None:
            continue
        tried.append(
            f"{n} x {layout.tool.words}: {_percent(layout.target_share)} of the target, "
            f"{_percent(layout.margin_share)} with its margin"
        )
        gained = np.inf if best is None else best.shortfall - layout.shortfall
        if best is None or layout.shortfall < best.shortfall:
            best = layout
        if layout.covered:
            confirmed = planner.confirm(layout)
            if confirmed.covered:
                return planner.done(confirmed, tried)
        idle = idle + 1 if gained < GAIN else 0
        if idle >= PATIENCE:
            break
    if not planner.archive:
        raise planner.nothing_fits(count)
    return planner.done(_confirmed_best(planner, _of_count(planner, count)), tried)


def improve_cover(
    planner: ProbePlanner, problem: LayoutProblem, rows: list[int], direction: int
) -> Layout | None:
    """Simulate, correct, move a little, simulate again; the layout that covers most.

    A move that did not help halves the next one's length; the correction is taken from the best
    layout again.
    """
    best: Layout | None = None
    best_rows, steps = rows, STEPS
    seen: set[tuple[int, ...]] = set()
    for _ in range(ROUNDS):
        kept = planner.keep_admissible(problem, rows)
        if kept is None or tuple(sorted(kept[0])) in seen:
            break
        rows, paths = kept
        seen.add(tuple(sorted(rows)))
        layout, effect = planner.simulated_rows(problem, rows, paths, direction)
        if best is None or layout.shortfall < best.shortfall:
            best, best_rows = layout, rows
        elif steps == 1:
            break
        else:
            steps = max(1, steps // 2)
        planner.correct(problem, rows, effect)
        rows, _ = problem.descend(best_rows, limit=steps)
    return best


def _numbers(planner: ProbePlanner, count: int | None) -> list[int]:
    """Numbers of new applicators to try: from one fewer than covered most, upwards."""
    counts = planner.counts(count)
    if count is not None or not planner.archive:
        return counts
    best = min(planner.archive, key=lambda k: (k.shortfall, k.count))
    return [n for n in counts if n >= best.count - len(planner.fixed) - 1]


def _best_cover(planner: ProbePlanner, count: int, problems: Problems) -> Layout | None:
    best: Layout | None = None
    for tool, direction in _pairs(planner, count):
        # A problem is kept: what simulations taught it serves the next number too.
        key = (tool, direction)
        if key not in problems:
            problems[key] = planner.problem(tool, direction, coverage=True)
        problem = problems[key]
        if not len(problem.pivots.points_mm):
            continue
        rows = _start(planner, problem, count, tool, direction)
        if rows is None:
            continue
        layout = improve_cover(planner, problem, rows, direction)
        if layout is not None and (best is None or layout.shortfall < best.shortfall):
            best = layout
    return best


def _pairs(planner: ProbePlanner, count: int) -> list[tuple[Tool, int]]:
    """The pairs of tool and direction that covered most with about as many applicators."""
    every = planner.pairs()
    wanted = count + len(planner.fixed)
    order = sorted(planner.archive, key=lambda k: (abs(k.count - wanted), k.shortfall))
    known = [(k.tool, k.direction) for k in order if k.direction >= 0]
    return list(dict.fromkeys([*known, *every]))[:FOLLOWED]


def _start(
    planner: ProbePlanner, problem: LayoutProblem, count: int, tool: Tool, direction: int
) -> list[int] | None:
    """The most promising of: the best layout simulated so far, one more applicator, a new one."""
    fixed = len(planner.fixed)
    starts: list[list[int]] = []
    proposed = problem.propose(count, planner.region(), starts=slice(0, 2))
    if proposed is not None:
        starts.append(proposed[0])
    mine = [k for k in planner.archive if k.tool == tool and k.direction == direction]
    for fewer in (0, 1):
        same = [k for k in mine if k.count - fixed == count - fewer > 0]
        if not same:
            continue
        best = min(same, key=lambda k: k.shortfall)
        middles = np.array([np.mean(p.active_segment, axis=0) for p in best.placements[fixed:]])
        rows = problem.nearest_to(middles)
        if rows is not None and fewer:
            rows = problem.with_one_more(rows)
        if rows is not None:
            starts.append(problem.descend(rows, limit=STEPS)[0])
    return min(
        starts, key=lambda r: problem.cost(problem.total(r) * problem.sites.bias, r), default=None
    )


def _of_count(planner: ProbePlanner, count: int | None) -> list[Layout]:
    if count is None:
        return planner.archive
    return [k for k in planner.archive if k.count - len(planner.fixed) == count]


def _confirmed_best(planner: ProbePlanner, layouts: Sequence[Layout]) -> Confirmed:
    """Of the layouts that cover about the most: the fewest applicators, confirmed finely."""
    least = min(k.shortfall for k in layouts)
    good = [k for k in layouts if k.shortfall <= least + GAIN]
    fewest = min(k.count for k in good)
    first = least_harm([k for k in good if k.count == fewest])
    ranked = sorted(layouts, key=lambda k: (k.shortfall, k.count))
    chosen = list({id(k): k for k in (first, *ranked)}.values())[:CONFIRMED]
    confirmed = [planner.confirm(k) for k in chosen]
    bound = min(c.shortfall for c in confirmed) + GAIN
    fit = [c for c in confirmed if c.shortfall <= bound]
    return min(fit, key=lambda c: (c.layout.count, c.shortfall))


def _percent(share: float) -> str:
    """Never rounded up to all of it."""
    return "> 99.9 %" if 0.999 < share < 1.0 else f"{100 * share:.1f} %"
