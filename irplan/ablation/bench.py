"""The bench: one or more parallel applicators in a block of one tissue."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from irplan.ablation.applicator import Applicator
from irplan.ablation.placement import Placement
from irplan.ablation.problem import AblationProblem
from irplan.ablation.schedule import Schedule
from irplan.ablation.tissue import TissueProperties
from irplan.errors import InputError
from irplan.geometry import Grid, Needle


def bench_problem(
    applicator: Applicator,
    tissue: TissueProperties,
    schedule: Schedule,
    *,
    offsets_mm: Sequence[tuple[float, float]] = ((0.0, 0.0),),
    spacing_mm: float = 1.0,
    margin_mm: float | None = None,
    body_temperature_c: float = 37.0,
) -> AblationProblem:
    """Applicators along z at ``offsets_mm`` (x, y), their active zones' middles at z = 0.

    ``margin_mm`` of tissue surrounds the active zones (10 to 150 mm); None takes what the cold or
    heat of the schedule's length can reach: 10 mm + 1.2 mm a root second, 30 to 60 mm.
    Raises `InputError` for a margin out of range and what `AblationProblem` raises.
    """
    margin = margin_mm
    if margin is None:
        margin = min(60.0, max(30.0, 10.0 + 1.2 * math.sqrt(schedule.duration_s)))
    if not 10.0 <= margin <= 150.0:
        raise InputError(
            "margin_mm", got=f"{margin}", expected="10 to 150 mm", remedy="Leave it out."
        )
    half = 0.5 * applicator.active_length_mm
    tip, depth = -half - applicator.tip_offset_mm, min(150.0, applicator.max_insertion_mm)
    placements = tuple(
        Placement(Needle((x, y, tip), (x, y, tip + depth)), applicator) for x, y in offsets_mm
    )
    x, y = np.array(offsets_mm, dtype=np.float64).T
    sides = (2.0 * half, float(np.ptp(y)), float(np.ptp(x)))
    shape = [2 * math.ceil((0.5 * side + margin) / spacing_mm) for side in sides]
    middle = (0.5 * (x.min() + x.max()), 0.5 * (y.min() + y.max()), 0.0)
    first = [
        float(m) - 0.5 * (n - 1) * spacing_mm for m, n in zip(middle, reversed(shape), strict=True)
    ]
    grid = Grid.from_spacing(shape, (spacing_mm,) * 3, first)
    return AblationProblem(
        grid=grid,
        tissue_index=np.zeros(grid.shape, np.uint8),
        tissues=(tissue,),
        placements=placements,
        schedule=schedule,
        body_temperature_c=body_temperature_c,
    )
