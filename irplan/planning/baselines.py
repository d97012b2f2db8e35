"""Two planners from the literature that know no physics, to be measured against.

Both place spheres of the size that one applicator makes in uniform tissue (the sphere inside the
simulated zone), on admissible pivots only, and are judged afterwards by the same simulation as
any plan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.errors import PlanningError
from irplan.planning.layout import LayoutProblem
from irplan.planning.modality import UniformEffect
from irplan.planning.optimise_score import Layout
from irplan.planning.probes import ProbePlanner

#: Places offered to the integer programme and points that it has to cover, about.
OFFERED, TO_COVER = 150, 400
#: Cost of healthy tissue beside one applicator (Ren 2014: number + 0.01 x healthy fraction).
HEALTHY_WEIGHT = 0.01
#: Cost of leaving all points uncovered, in applicators; 2 % uncovered weigh one applicator.
UNCOVERED_WEIGHT = 50.0
#: Seconds that the solver may take.
SOLVER_S = 4.0


@dataclass(frozen=True, eq=False)
class BaselinePlan:
    """The layout a baseline chose, simulated on the search grid."""

    name: str
    layout: Layout
    radius_mm: float


def sphere_radius_mm(effect: UniformEffect, lethal_effect: float) -> float:
    """Radius of the largest sphere about the active zone's middle inside one applicator's zone."""
    axial = effect.axial_start_mm + np.arange(effect.table.shape[0])
    radial = np.arange(effect.table.shape[1], dtype=float)
    z, r = np.meshgrid(axial, radial, indexing="ij")
    far = np.hypot(z, r)
    alive = effect.table < lethal_effect
    return float(far[alive].min()) if alive.any() else float(far.max())


def set_cover(planner: ProbePlanner, problem: LayoutProblem, direction: int) -> BaselinePlan:
    """Fewest spheres that cover target + margin, by integer programming (Ren et al. 2014).

    minimise sum x_i + 0.01 sum (healthy share of sphere i) x_i, subject to every point being in a
    chosen sphere and to x_i + x_j <= 1 for places that are too close to each other (Ren H. et al.,
    Int J Med Robot 2014, PMC4113118); points that no sphere reaches are left out, and a point may
    stay uncovered at a price, since spheres at admissible distances seldom cover every one.  Solved
    by SciPy's HiGHS.  Raises `PlanningError` where nothing is covered.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array, eye_array, hstack, lil_array, vstack

    radius = sphere_radius_mm(problem.cold, problem.lethal_drop_c)
    rows = _offered(planner, problem)
    points = _points(planner)
    places = problem.pivots.points_mm[rows]
    inside = np.linalg.norm(points[:, None] - places[None], axis=-1) <= radius
    inside = inside[inside.any(axis=1)]
    if not len(inside):
        raise _none(radius)
    m, n = inside.shape
    healthy = _healthy_shares(planner, places, radius)
    close = np.argwhere(np.triu(~problem.apart(rows), k=1))
    pairs = lil_array((len(close), n + m))
    for number, (a, b) in enumerate(close):
        pairs[number, a] = pairs[number, b] = 1.0
    cover = hstack([csr_array(inside.astype(float)), eye_array(m)])
    matrix = vstack([cover, pairs.tocsr()]) if len(close) else cover
    low = np.r_[np.ones(m), np.full(len(close), -np.inf)]
    high = np.r_[np.full(m, np.inf), np.ones(len(close))]
    found = milp(
        np.r_[1.0 + HEALTHY_WEIGHT * healthy, np.full(m, UNCOVERED_WEIGHT / m)],
        constraints=LinearConstraint(matrix, low, high),
        integrality=np.r_[np.ones(n), np.zeros(m)].astype(np.int64),
        bounds=Bounds(0.0, 1.0),
        options={"time_limit": SOLVER_S},
    )
    if found.x is None:
        raise _none(radius)
    chosen = [rows[k] for k in np.flatnonzero(found.x[:n] > 0.5)]
    if not chosen:
        raise _none(radius)
    return _simulated("integer set cover", planner, problem, chosen, direction, radius)


def sphere_packing(
    planner: ProbePlanner, problem: LayoutProblem, direction: int, most: int
) -> BaselinePlan:
    """Greedy packing: each sphere goes where it covers most of what is still uncovered."""
    rows, radius = packed_rows(planner, problem, most)
    return _simulated("sphere packing", planner, problem, rows, direction, radius)


def packed_rows(
    planner: ProbePlanner, problem: LayoutProblem, most: int
) -> tuple[list[int], float]:
    """Pivots of greedily packed spheres, at most ``most``, and the spheres' radius, mm.

    Raises `PlanningError` where no sphere covers anything.
    """
    radius = sphere_radius_mm(problem.cold, problem.lethal_drop_c)
    rows = _offered(planner, problem)
    points = _points(planner)
    inside = np.linalg.norm(
        points[:, None] - problem.pivots.points_mm[rows][None], axis=-1
    ) <= radius  # fmt: skip
    apart = problem.apart(rows)
    left = np.ones(len(points), bool)
    free = np.ones(len(rows), bool)
    chosen: list[int] = []
    while len(chosen) < most and left.any() and free.any():
        gains = np.where(free, inside[left].sum(axis=0), -1)
        best = int(np.argmax(gains))
        if gains[best] <= 0:
            break
        chosen.append(rows[best])
        left &= ~inside[:, best]
        free &= apart[best]
    if not chosen:
        raise _none(radius)
    return chosen, radius


def exhaustive(
    planner: ProbePlanner, problem: LayoutProblem, direction: int, count: int, most: int
) -> list[Layout]:
    """Every admissible group of ``count`` of about ``most`` pivots, each simulated.

    The quasi-exhaustive reference of Baegert et al. 2007 (Comput Aided Surg 12:82); for one or two
    applicators.
    """
    import itertools

    every = np.arange(len(problem.pivots.points_mm))
    rows = every[:: max(1, len(every) // most)].tolist()
    out = []
    for group in itertools.combinations(rows, count):
        if count > 1 and not problem.fits(list(group)):
            continue
        kept = planner.keep_exactly(problem, list(group))
        if kept is not None:
            out.append(planner.simulated_rows(problem, list(group), kept, direction)[0])
    return out


def _offered(planner: ProbePlanner, problem: LayoutProblem) -> list[int]:
    """Pivots evenly over the field that the labels confirm."""
    count = len(problem.pivots.points_mm)
    rows = np.arange(count)[:: max(1, count // OFFERED)].tolist()
    paths = planner.confirmed_paths(problem, rows)
    return [r for r, path in zip(rows, paths, strict=True) if path is not None]


def _points(planner: ProbePlanner) -> NDArray[np.float64]:
    points = planner.region()
    return points[:: max(1, len(points) // TO_COVER)]


def _healthy_shares(
    planner: ProbePlanner, places: NDArray[np.float64], radius: float
) -> NDArray[np.float64]:
    """Share of each sphere that lies outside target + margin."""
    t = planner.target
    wanted = t.sites_mm[t.outside_mm <= planner.margin_goal_mm]
    volume = 4.0 / 3.0 * np.pi * radius**3
    counts = np.array([np.count_nonzero(np.linalg.norm(wanted - p, axis=1) <= radius)
                       for p in places])  # fmt: skip
    return np.clip(1.0 - counts * t.cell_mm**3 / volume, 0.0, 1.0)


def _simulated(
    name: str,
    planner: ProbePlanner,
    problem: LayoutProblem,
    rows: list[int],
    direction: int,
    radius: float,
) -> BaselinePlan:
    paths = planner.keep_exactly(problem, rows)
    assert paths is not None  # every offered pivot was confirmed
    layout, _ = planner.simulated_rows(problem, rows, paths, direction)
    return BaselinePlan(name, layout, radius)


def _none(radius: float) -> PlanningError:
    return PlanningError(
        "baseline",
        got=f"no admissible set of spheres of {radius:.1f} mm",
        expected="spheres that cover target + margin",
        remedy="Take another applicator or direction.",
    )
