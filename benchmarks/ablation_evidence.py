"""How right the freezing solver is: 2-D oracle, rotation and shift, energy balance (rows)."""

from __future__ import annotations

from typing import Any

from benchmarks.ablation_problems import (
    Vector,
    oracle_radii_mm,
    placed,
    problem,
    radius_mm,
    zone_volume_cm3,
)
from benchmarks.measure import row
from irplan.ablation import simulate

LEVELS_C = (0.0, -20.0, -40.0)
POSES: tuple[tuple[Vector, Vector], ...] = (
    ((0.0, 0.0, 1.0), (0.0, 0.0, 0.0)),
    ((0.0, 0.0, 1.0), (0.27, 0.41, 0.13)),
    ((1.0, 1.0, 0.0), (0.0, 0.5, 0.25)),
    ((1.0, 1.0, 1.0), (0.1, 0.2, 0.3)),
    ((0.2, 0.35, 0.9), (0.45, 0.05, 0.33)),
)


def evidence() -> list[dict[str, Any]]:
    """One probe in five poses against the oracle and against each other."""
    rows = []
    runs = [simulate(problem(72, (placed(centre, axis),))) for axis, centre in POSES]
    for level, expected in zip(LEVELS_C, oracle_radii_mm(LEVELS_C), strict=True):
        radii = [radius_mm(x, level, *pose) for x, pose in zip(runs, POSES, strict=True)]
        off = max(abs(v - expected) for v in radii)
        name = f"{level:g} degC radius, 2-D oracle {expected:.2f} mm: error"
        rows.append(row(name, off, "mm", 0.3, off <= 0.3))
        spread = max(radii) - min(radii)
        name = f"{level:g} degC radius over {len(POSES)} poses: spread"
        rows.append(row(name, spread, "mm", 0.2, spread <= 0.2))
    volumes = [zone_volume_cm3(x) for x in runs]
    spread = 100 * (max(volumes) / min(volumes) - 1)
    rows.append(row(f"volume over {len(POSES)} poses: spread", spread, "%", 1.0, spread <= 1.0))
    worst = max(x.energy.residual_fraction for x in runs) * 100
    rows.append(row("energy balance, one freeze", worst, "%", 0.1, worst <= 0.1))
    return rows
