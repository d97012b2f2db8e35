"""Layouts that cover the target and 99 % of its margin with the fewest applicators, or most of it.

A vessel beside a tumour keeps its wall warm whatever is done; then the worst place says nothing,
and the share of target + margin that becomes lethal is what can be improved.  The search takes that
share as its cost, paths of separate directions where a common one does not reach, and packed
spheres among its starts; what it finds is tried with one applicator fewer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from irplan.errors import IrplanError
from irplan.planning.baselines import packed_rows
from irplan.planning.layout import LayoutProblem
from irplan.planning.modality import Tool
from irplan.planning.optimise_score import Confirmed, Layout, least_harm
from irplan.planning.probes import ProbePlanner
from irplan.planning.surfaces import sample

#: Simulations that improve one start at most, and steps of the lattice between two.
ROUNDS, STEPS = 6, 3
#: Pairs of tool and direction that are followed for each number of applicators.
FOLLOWED = 2
#: A layout that falls short by this much more than the best is as good, if it needs fewer.
GAIN = 0.004
#: Numbers of applicators in a row that may gain less than `GAIN` before no more are tried.
PATIENCE = 2
#: A second start is not followed where the first falls short by more than this.
HELPLESS = 0.15
#: The share is sought for a number of applicators whose best layout falls short by at most this.
PROMISING = 0.06
#: A covered share of target + margin that is improved no further: the fine grid will hold 99 %.
ENOUGH_MARGIN = 0.995
#: Layouts of the search grid that are confirmed on the fine one: of each number, and at the end.
CONFIRMED_EACH, CONFIRMED = 2, 2
#: Times that a layout which falls short by at most this on the fine grid alone is moved there.
FINER, NARROW = 2, 0.05
#: The superposition must cover these shares of the target's surface and margin for a simulation to
#: be worth its time, where nothing that was simulated promises more.
WORTH_TARGET, WORTH_MARGIN = 0.98, 0.93
Problems = dict[tuple[Tool, int], LayoutProblem]


class CoverSearch:
    """The search for covered shares, one number of new applicators after the other."""

    def __init__(self, planner: ProbePlanner, count: int | None) -> None:
        self.planner = planner
        self.tried: list[str] = []
        """One line a number of applicators."""
        self.idle = False
        """More applicators stopped buying anything."""
        self.count = count
        self._problems: Problems = {}
        self._packed: list[tuple[Tool, list[int]]] | None = None
        self._flat = 0
        self._best = np.inf
        self._searched: set[int] = set()
        self._pruned: set[int] = set()

    def of_number(self, n: int, *, anyway: bool) -> Confirmed | None:
        """A layout of ``n`` new applicators that covers all, confirmed; None where none is found.

        ``anyway``: look even where nothing promises it.
        """
        planner = self.planner
        if not planner.everywhere:
            self._simulate_packed(n)
            found = self._confirmed(n)
            if found is not None:
                return found
        known = min((k.shortfall for k in self.archived(n)), default=np.inf)
        layout = self._search(n, anyway=anyway or known <= PROMISING)
        if layout is not None:
            self.tried.append(
                f"{n} x {layout.tool.words}: {_percent(layout.target_share)} of the target, "
                f"{_percent(layout.margin_share)} with its margin"
            )
        found = self._confirmed(n)
        if found is not None:
            return found
        known = min((k.shortfall for k in self.archived(n)), default=np.inf)
        self._note_gain(known, count_idle=layout is not None)
        return None

    def finished(self, confirmed: Confirmed, n: int) -> Confirmed:
        """A layout of ``n`` that covers, with as few applicators and as little harm as can be."""
        return self.sparing(self.with_fewer(confirmed, n))

    def sparing(self, confirmed: Confirmed) -> Confirmed:
        """The layout, or one as good that harms organs less."""
        from irplan.planning.sparing import spared

        return spared(self, confirmed, confirmed.layout.count - len(self.planner.fixed))

    def with_fewer(self, confirmed: Confirmed, n: int) -> Confirmed:
        """The layout, or one with applicators taken away (and the rest moved) that covers all."""
        planner = self.planner
        least = max(1, planner.modality.fewest - len(planner.fixed))
        if self.count is not None or planner.everywhere:
            return confirmed
        while n > least and n - 1 not in self._pruned:
            fewer = self._without_one(confirmed, n)
            if fewer is None and n - 1 not in self._searched:
                self._search(n - 1, anyway=False)
                fewer = self._confirmed(n - 1)
            if fewer is None:
                break
            confirmed, n = fewer, n - 1
        return confirmed

    def most(self) -> Confirmed:
        """Of all that was simulated, what covers most; `PlanningError` where nothing was."""
        planner = self.planner
        pool = planner.archive
        if self.count is not None:
            pool = self.archived(self.count)
        if not pool:
            raise planner.nothing_fits(self.count)
        return _confirmed_best(planner, pool)

    # -- one number ------------------------------------------------------------------------

    def archived(self, n: int) -> list[Layout]:
        """What was simulated of ``n`` new applicators."""
        return [k for k in self.planner.archive if k.count - len(self.planner.fixed) == n]

    def _confirmed(self, n: int) -> Confirmed | None:
        """The widest margin (up to the goal), then the least cost, of those that cover all."""
        planner = self.planner
        goal = planner.margin_goal_mm
        good = [k for k in self.archived(n) if k.covered]
        good.sort(key=lambda k: (-round(min(k.margin_mm, goal), 1), k.cost))
        for layout in good[:CONFIRMED_EACH]:
            confirmed = self._moved_finely(layout, planner.confirm(layout))
            if confirmed.covered:
                return confirmed
        return None

    def _moved_finely(self, layout: Layout, confirmed: Confirmed) -> Confirmed:
        """The layout, moved by what the fine grid showed while it falls just short there."""
        planner = self.planner
        if layout.direction < 0:
            return confirmed
        for _ in range(FINER):
            if confirmed.covered or confirmed.shortfall > NARROW:
                break
            problem = self.problem(layout.tool, layout.direction)
            rows = problem.nearest_to(middles(layout, len(self.planner.fixed)))
            if rows is None:
                break
            self.learn(problem, rows, confirmed)
            kept = planner.keep_admissible(problem, problem.descend(rows, limit=STEPS)[0])
            if kept is None or sorted(kept[0]) == sorted(rows):
                break
            layout, _ = planner.simulated_rows(problem, *kept, layout.direction)
            moved = planner.confirm(layout)
            if not moved.covered and moved.shortfall >= confirmed.shortfall:
                break
            confirmed = moved
        return confirmed

    def learn(self, problem: LayoutProblem, rows: list[int], confirmed: Confirmed) -> None:
        """Let the superposition agree with the fine simulation."""
        effect = self.planner.modality.effect(confirmed.result, confirmed.layout.placements)
        known = sample(effect, problem.sites.points_mm, 0.0)
        self.planner.correct(problem, rows, np.maximum(known, 0.0))

    def _note_gain(self, shortfall: float, *, count_idle: bool) -> None:
        gained = self._best - shortfall
        self._best = min(self._best, shortfall)
        if count_idle:
            self._flat = self._flat + 1 if gained < GAIN else 0
        self.idle = self._flat >= PATIENCE

    def _search(self, n: int, *, anyway: bool) -> Layout | None:
        """Improve the most promising starts; none where the superposition gives no hope."""
        self._searched.add(n)
        best: Layout | None = None
        starts: list[tuple[float, int, LayoutProblem, list[int], int]] = []
        for number, (tool, direction) in enumerate(self.pairs(n)):
            problem = self.problem(tool, direction)
            if not len(problem.pivots.points_mm):
                continue
            rows = _start(self.planner, problem, n, tool, direction)
            if rows is not None and (anyway or _worth(problem, rows)):
                cost = problem.cost(problem.total(rows) * problem.sites.bias, rows)
                starts.append((cost, number, problem, rows, direction))
        starts.sort(key=lambda s: s[:2])
        for _, _, problem, rows, direction in starts[:FOLLOWED]:
            layout = improve_cover(self.planner, problem, rows, direction)
            if layout is not None and (best is None or layout.shortfall < best.shortfall):
                best = layout
            if best is not None and (best.covered or best.shortfall > HELPLESS):
                break
        return best

    def pairs(self, n: int) -> list[tuple[Tool, int]]:
        """The pairs of tool and direction that covered most with about as many applicators."""
        planner = self.planner
        wanted = n + len(planner.fixed)
        order = sorted(planner.archive, key=lambda k: (abs(k.count - wanted), k.shortfall))
        known = [(k.tool, k.direction) for k in order if k.direction >= 0]
        known = list(dict.fromkeys(known))[:FOLLOWED]
        # Of what was not simulated, the tools in the best paths' direction.
        fresh = [] if len(known) == FOLLOWED else [(t, 0) for t in planner.modality.tools]
        return list(dict.fromkeys([*known, *fresh]))

    def problem(self, tool: Tool, direction: int) -> LayoutProblem:
        """The problem of a pair, kept: what simulations taught it serves the next number too."""
        key = (tool, direction)
        if key not in self._problems:
            self._problems[key] = self.planner.problem(tool, direction, coverage=True)
        return self._problems[key]

    def _simulate_packed(self, n: int) -> None:
        """Simulate the packed spheres of each tool that come to ``n`` applicators, as they are."""
        planner = self.planner
        if planner.fixed or planner.modality.parallel:
            return
        if self._packed is None:
            self._packed = []
            most = planner.counts(None)[-1]
            for tool in planner.modality.tools:
                problem = planner.problem(tool, 0)
                try:
                    rows, _ = packed_rows(planner, problem, most + 1)
                except IrplanError:
                    continue
                self._packed.append((tool, rows))
        for tool, rows in self._packed:
            if len(rows) != n:
                continue
            problem = planner.problem(tool, 0)
            paths = planner.keep_exactly(problem, rows)
            if paths is not None and problem.fits(rows):
                planner.simulated_rows(problem, rows, paths, 0)

    # -- one applicator fewer ----------------------------------------------------------------

    def _without_one(self, confirmed: Confirmed, n: int) -> Confirmed | None:
        """Take each applicator away in turn, move the rest; simulate what promises most."""
        planner, layout = self.planner, confirmed.layout
        self._pruned.add(n - 1)
        if layout.direction < 0:
            return None
        problem = self.problem(layout.tool, layout.direction)
        rows = problem.nearest_to(middles(layout, len(self.planner.fixed)))
        if rows is None:
            return None
        self.learn(problem, rows, confirmed)
        left = [
            problem.descend(rest, limit=2 * STEPS)
            for rest in (rows[:i] + rows[i + 1 :] for i in range(n))
            if problem.fits(rest)
        ]
        if not left:
            return None
        best = min(left, key=lambda found: found[1])[0]
        if not _worth(problem, best):
            return None
        improve_cover(planner, problem, best, layout.direction)
        return self._confirmed(n - 1)


def middles(layout: Layout, fixed: int) -> NDArray[np.float64]:
    """(n, 3) middles of the new applicators' active zones, LPS mm."""
    return np.array([np.mean(p.active_segment, axis=0) for p in layout.placements[fixed:]])


def _worth(problem: LayoutProblem, rows: list[int]) -> bool:
    """Whether the corrected superposition covers enough for a simulation to be worth its time."""
    cold = problem.total(rows) * problem.sites.bias >= problem.lethal_drop_c
    goal, shell = problem.sites.goal, problem.sites.shell
    surface, margin = _share(cold[:goal]), _share(cold[goal : goal + shell])
    return surface >= WORTH_TARGET and margin >= WORTH_MARGIN


def _share(inside: NDArray[np.bool_]) -> float:
    return float(inside.mean()) if len(inside) else 1.0


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
            if best.covered and best.margin_share >= ENOUGH_MARGIN:
                break
        elif steps == 1:
            break
        else:
            steps = max(1, steps // 2)
        planner.correct(problem, rows, effect)
        rows, _ = problem.descend(best_rows, limit=steps)
    return best


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
        rows = problem.nearest_to(middles(best, fixed))
        if rows is not None and fewer:
            rows = problem.with_one_more(rows)
        if rows is not None:
            starts.append(problem.descend(rows, limit=STEPS)[0])
    return min(
        starts, key=lambda r: problem.cost(problem.total(r) * problem.sites.bias, r), default=None
    )


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
