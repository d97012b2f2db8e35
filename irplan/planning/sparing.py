"""Organs kept out of the ice (or heat): a layout that covers is moved until none is reached.

Coverage alone may put the ice into the lung or the heart, and a plan that does so fails its own
verdict.  A layout that covers is therefore moved with that harm weighing more, over other tools
and directions too.  (One applicator more was tried as well: on nine targets it never helped.)
"""

from __future__ import annotations

from irplan.planning.layout import SPARED
from irplan.planning.optimise import ENOUGH_MARGIN, CoverSearch, middles
from irplan.planning.optimise_score import Confirmed, Layout

#: How much harm weighs while a layout is moved to spare an organ, moves from one
#: start, and steps of the lattice in one.
SPARE_WEIGHT, ROUNDS, STEPS = 3.0, 4, 6
#: Starts that are followed: the layout's own tool and direction, then the most promising others.
FOLLOWED = 3
#: A gain in harm that is worth another layout (share of what is harmful): about 0.4 mm of ice.
GAIN = 0.05
#: What a layout that cannot cover may cover less, for an organ's sake.
TIE = 0.002
#: Least distance of an organ from the target at which it may be spared, mm.
ROOM_MM = 4.5
#: Layouts that are confirmed on the fine grid while one is moved.
CONFIRMED = 2


def spared(search: CoverSearch, confirmed: Confirmed, n: int) -> Confirmed:
    """``confirmed`` (of ``n`` new applicators), or a layout of ``n`` that harms organs less.

    It is as good: it covers all if ``confirmed`` does (the margin everywhere where that is sought),
    else about as much.
    """
    planner = search.planner
    if confirmed.harm <= SPARED or confirmed.layout.direction < 0:
        return confirmed
    if planner.organs().gap_mm < ROOM_MM:  # what lies against the target cannot be spared
        return confirmed
    best, confirms = confirmed, 0
    own = (confirmed.layout.tool, confirmed.layout.direction)
    pairs = list(dict.fromkeys([own, *search.pairs(n), *planner.pairs()]))
    pairs = [p for p in pairs if p[1] == own[1] or p[0] == own[0]]
    for tool, direction in pairs[:FOLLOWED]:
        problem = planner.spared_problem(search.problem(tool, direction), SPARE_WEIGHT)
        rows = problem.nearest_to(middles(confirmed.layout, len(planner.fixed)))
        if rows is None:
            continue
        if (tool, direction) == own:
            search.learn(problem, rows, confirmed)
        for _ in range(ROUNDS):
            kept = planner.keep_admissible(problem, problem.descend(rows, limit=STEPS)[0])
            if kept is None or sorted(kept[0]) == sorted(rows):
                break
            rows = kept[0]
            layout, effect = planner.simulated_rows(problem, *kept, direction)
            planner.correct(problem, rows, effect)
            if confirms < CONFIRMED and _as_good(search, layout, best) and layout.harm <= SPARED:
                confirms += 1
                found = planner.confirm(layout)
                if _as_good(search, found, confirmed) and found.harm < best.harm - GAIN:
                    best = found
                    if best.harm <= SPARED:
                        return best
                search.learn(problem, rows, found)
    good = [k for k in search.archived(n) if _as_good(search, k, confirmed)]
    good = [k for k in good if k.harm < best.harm - GAIN]
    good.sort(key=lambda k: (max(k.harm, SPARED), k.cost))
    # One that covers with room to spare is likelier to do so on the fine grid.
    safe = [k for k in good if k.margin_share >= ENOUGH_MARGIN]
    for layout in dict.fromkeys([*good[:1], *safe[:1]]):
        found = planner.confirm(layout)
        if _as_good(search, found, confirmed) and found.harm < best.harm - GAIN:
            best = found
    return best


def _as_good(search: CoverSearch, found: Layout | Confirmed, than: Confirmed) -> bool:
    goal = search.planner.margin_goal_mm
    if search.planner.everywhere and than.margin_mm >= goal and found.margin_mm < goal:
        return False
    if than.covered:
        return found.covered
    return found.shortfall <= than.shortfall + TIE
