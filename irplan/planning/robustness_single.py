"""One applicator alone in uniform tissue, tabulated: what the fast mode moves with its needle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import AblationProblem, AblationResult, Placement, simulate_many, tissue
from irplan.compute.progress import Progress, no_progress
from irplan.geometry import Grid, Needle
from irplan.planning.modality import Tool
from irplan.planning.plan import AblationPlan
from irplan.planning.robustness_disturbed import disturbed
from irplan.planning.robustness_effect import LEAST_EFFECT, AddedEffect
from irplan.planning.surrogate import uniform_effect

#: Radius to which one applicator's effect is tabulated, mm; steps of 1 mm.
REACH_MM = 40.0
#: Allowed error in time of the zone's radius, mm.
TIME_ERROR_MM = 0.12
Node = tuple[float, float]


@dataclass(frozen=True, eq=False)
class SingleTables:
    """Potential (`AddedEffect.potential`) of one applicator, (axial, radial) in steps of 1 mm.

    ``by_node`` at each node of the tissue's constants (logarithms of the factors of perfusion and
    conductivity), on the voxels of a search; ``sharp`` for the plan's constants on voxels of its
    own simulation.  The axial axis is positive towards the tip and begins at ``axial_start_mm``
    (``sharp_start_mm``) from the middle of the active zone.
    """

    by_node: dict[Node, NDArray[np.float64]]
    axial_start_mm: float
    sharp: NDArray[np.float64]
    sharp_start_mm: float

    @classmethod
    def of(
        cls,
        plan: AblationPlan,
        effect: AddedEffect,
        tissue_name: str,
        nodes: Sequence[Node],
        result: AblationResult,
        progress: Progress = no_progress,
    ) -> SingleTables:
        """Simulated for cold and heat; the field of a line electrode for electroporation.

        ``result``: the plan's own simulation, whose voxels ``sharp`` takes.
        """
        first = plan.placements[0].applicator
        if effect.way.kind == "ire":
            known = uniform_effect(Tool(first, plan.schedule), effect.way, tissue_name)
            table = effect.potential(known.table)
            return cls(
                dict.fromkeys(nodes, table), known.axial_start_mm, table, known.axial_start_mm
            )
        coarse = _problem(plan, effect, tissue_name, effect.way.search_mm)
        sharp = _problem(plan, effect, tissue_name, max(result.grid.spacing_mm))
        problems = [*(disturbed(coarse, *n) for n in nodes), sharp]
        runs = simulate_many(
            problems, time_error_mm=TIME_ERROR_MM, progress=progress, total=len(problems)
        )
        tables = [
            effect.potential(_tabulated(effect, run, problem))
            for run, problem in zip(runs, problems, strict=True)
        ]
        return cls(
            dict(zip(nodes, tables[:-1], strict=True)),
            _axial_start(coarse.grid),
            tables[-1],
            _axial_start(sharp.grid),
        )


def _problem(
    plan: AblationPlan, effect: AddedEffect, tissue_name: str, voxel_mm: float
) -> AblationProblem:
    """One applicator along z, tip towards +z, in uniform tissue."""
    a = plan.placements[0].applicator
    half = 0.5 * a.active_length_mm
    wide = int(2.0 * REACH_MM / voxel_mm) + 1
    tall = math.ceil((2.0 * REACH_MM + 2.0 * half) / voxel_mm) + 1
    grid = Grid.from_spacing(
        (tall, wide, wide),
        (voxel_mm,) * 3,
        (-REACH_MM, -REACH_MM, -0.5 * voxel_mm * (tall - 1)),
    )
    tip = half + a.tip_offset_mm
    needle = Needle((0.0, 0.0, tip), (0.0, 0.0, tip - a.active_length_mm - 20.0))
    return AblationProblem(
        grid=grid,
        tissue_index=np.zeros(grid.shape, dtype=np.uint8),
        tissues=(tissue(tissue_name, kind=effect.way.kind),),
        placements=(Placement(needle, a),),
        schedule=plan.schedule,
    )


def _axial_start(grid: Grid) -> float:
    return float(math.ceil(float(grid.index_to_lps((0, 0, 0))[2])))


def _tabulated(
    effect: AddedEffect, run: AblationResult, problem: AblationProblem
) -> NDArray[np.float64]:
    """Effect per (axial, radial) mm, the mean of eight directions round the applicator."""
    grid = problem.grid
    start = _axial_start(grid)
    axial = np.arange(start, -start + 0.5)
    radial = np.arange(0.0, REACH_MM + 0.5, 1.0)
    z, r = np.meshgrid(axial, radial, indexing="ij")
    low, high = grid.index_to_lps((0, 0, 0)), grid.index_to_lps(np.array(grid.shape) - 1)
    total = np.zeros(z.shape)
    for angle in np.radians(np.arange(0.0, 360.0, 45.0)):
        points = np.stack([r * np.cos(angle), r * np.sin(angle), z], axis=-1)
        inside = np.clip(points, low + 1e-6, high - 1e-6).reshape(-1, 3)
        total += effect.at(run, problem.placements, inside).reshape(z.shape)
    return np.maximum(total / 8.0, LEAST_EFFECT)
