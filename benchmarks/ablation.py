"""The bioheat solver: how right it is, and how fast.

    python -m benchmarks.ablation [--json FILE] [--threads N]

Evidence: closed forms, an own 2-D solution of the true probe (tests/reference), rotation and
shift, energy balance.  Timings: median of 3 after a warm-up; the machine's other work counts.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.measure import arguments, report, row
from irplan.ablation import (
    TISSUES,
    AblationProblem,
    Applicator,
    CryoResult,
    Phase,
    Placement,
    Schedule,
    simulate,
)
from irplan.geometry import Grid, Needle

PROBE = Applicator("1.5 x 30 mm", "cryo", 1.5, 30.0, 0.0, -140.0, 60.0, 200.0, "benchmark [X]")
FREEZE = Schedule((Phase("freeze", 600.0),))


def placed(centre: tuple[float, float, float], axis: tuple[float, float, float]) -> Placement:
    d = np.asarray(axis) / np.linalg.norm(axis)
    tip = np.asarray(centre) - 15.0 * d
    return Placement(Needle(tuple(tip), tuple(tip + 120.0 * d)), PROBE)


def problem(
    n: int,
    placements: tuple[Placement, ...],
    schedule: Schedule = FREEZE,
    *,
    h: float = 1.0,
    mixed: bool = False,
) -> AblationProblem:
    """Liver; ``mixed`` adds a tumour, fat and two vessels of 5 and 4 mm held at 37 degC."""
    grid = Grid.from_spacing((n, n, n), (h, h, h), (-(n - 1) * h / 2,) * 3)
    index = np.zeros(grid.shape, np.uint8)
    if mixed:
        z, y, x = (np.mgrid[:n, :n, :n] - (n - 1) / 2) * h
        index[x + 0.3 * y > 28] = 1
        index[x**2 + y**2 + z**2 < 12**2] = 2
        index[np.hypot(x - 18, y + 0.3 * z) < 2.5] = 3
        index[np.hypot(x + 17 - 0.2 * z, y + 0.3 * z - 8) < 2.0] = 3
    names = ("liver", "fat", "tumour", "vessel")
    return AblationProblem(
        grid, index, tuple(TISSUES[k].properties() for k in names), placements, schedule
    )


def oracle() -> ModuleType:
    path = Path(__file__).resolve().parents[1] / "tests" / "reference" / "axisymmetric_ice.py"
    spec = importlib.util.spec_from_file_location("axisymmetric_ice", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["axisymmetric_ice"] = module
    spec.loader.exec_module(module)
    return module


def radius(
    result: CryoResult, level: float, axis: tuple[float, float, float], centre: Any
) -> float:
    """Mean over 24 directions round the needle in its mid plane, mm."""
    d = np.asarray(axis) / np.linalg.norm(axis)
    e1 = np.cross(d, np.eye(3)[int(np.argmin(np.abs(d)))])
    e1 /= np.linalg.norm(e1)
    e2 = np.cross(d, e1)
    r = np.arange(1.5, 26.0, 0.05)
    found = []
    for phi in np.arange(24) * np.pi / 12:
        line = np.asarray(centre) + r[:, None] * (np.cos(phi) * e1 + np.sin(phi) * e2)
        c = result.end_of_freeze_c.at(line)
        i = int(np.argmax(c > level))
        found.append(r[i - 1] + (level - c[i - 1]) / (c[i] - c[i - 1]) * 0.05)
    return float(np.mean(found))


def volume_cm3(result: CryoResult) -> float:
    c = result.end_of_freeze_c.array.astype(float)
    span = np.sqrt(sum(g**2 for g in np.gradient(c))) + 1e-9
    return float(np.clip(0.5 - c / span, 0, 1).sum()) / 1000.0


def evidence() -> list[dict[str, Any]]:
    rows = []
    t = TISSUES["liver"].properties()
    module = oracle()
    r, _, c = module.solve(
        module.Tissue(
            t.conductivity_w_per_mk,
            t.heat_capacity_j_per_m3k,
            t.solidus_c,
            t.liquidus_c,
            t.perfusion_per_s * 1060.0 * 3639.0,
        ),
        step_mm=0.375,
        outer_mm=45.0,
    )
    poses = [
        ((0.0, 0.0, 1.0), (0.0, 0.0, 0.0)),
        ((0.0, 0.0, 1.0), (0.27, 0.41, 0.13)),
        ((1.0, 1.0, 0.0), (0.0, 0.5, 0.25)),
        ((1.0, 1.0, 1.0), (0.1, 0.2, 0.3)),
        ((0.2, 0.35, 0.9), (0.45, 0.05, 0.33)),
    ]
    runs = [simulate(problem(72, (placed(centre, axis),))) for axis, centre in poses]
    for level in (0.0, -20.0, -40.0):
        expected = module.crossing_mm(r, c[:, 0], level)
        radii = [radius(x, level, *pose) for x, pose in zip(runs, poses, strict=True)]
        off = max(abs(v - expected) for v in radii)
        rows.append(
            row(
                f"{level:g} degC radius, 2-D oracle {expected:.2f} mm: error",
                off,
                "mm",
                0.3,
                off <= 0.3,
            )
        )
        spread = max(radii) - min(radii)
        rows.append(
            row(f"{level:g} degC radius over 5 poses: spread", spread, "mm", 0.2, spread <= 0.2)
        )
    volumes = [volume_cm3(x) for x in runs]
    spread = 100 * (max(volumes) / min(volumes) - 1)
    rows.append(row("volume over 5 poses: spread", spread, "%", 1.0, spread <= 1.0))
    worst = max(x.energy.residual_fraction for x in runs) * 100
    rows.append(row("energy balance, one freeze", worst, "%", 0.1, worst <= 0.1))
    return rows


def timed(p: AblationProblem, threads: int | None, repeats: int = 3) -> tuple[float, CryoResult]:
    result = simulate(p, threads=threads)
    walls = []
    for _ in range(repeats):
        started = time.perf_counter()
        result = simulate(p, threads=threads)
        walls.append(time.perf_counter() - started)
    return statistics.median(walls), result


def timings(threads: int | None) -> list[dict[str, Any]]:
    one = (placed((0.0, 0.0, 0.0), (0.0, 0.0, 1.0)),)
    three = tuple(
        placed((9.0 * np.cos(a), 9.0 * np.sin(a), 0.0), (0.1 * np.cos(a), 0.1 * np.sin(a), 1.0))
        for a in np.arange(3) * 2 * np.pi / 3
    )
    double = Schedule.freeze_thaw_freeze()
    started = time.perf_counter()
    simulate(problem(40, one, Schedule((Phase("freeze", 20.0),))), threads=threads)
    rows = [row("first call (compiles, or loads the cache)", time.perf_counter() - started, "s")]
    for name, p, limit in (
        ("600 s, one probe, uniform, 128^3", problem(128, one), 0.2),
        ("600 s, one probe, vessels, 128^3", problem(128, one, mixed=True), None),
        ("10-8-10 min, three probes, vessels, 128^3", problem(128, three, double, mixed=True), 3.0),
        (
            "10-8-10 min, three probes, vessels, 2 mm, 50^3",
            problem(50, three, double, h=2.0, mixed=True),
            None,
        ),
    ):
        wall, result = timed(p, threads)
        rows.append(row(name, wall, "s", limit, None if limit is None else wall <= limit))
        residual = 100 * result.energy.residual_fraction
        rows.append(row("   its energy balance", residual, "%", 0.1, residual <= 0.1))
    return rows


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args()
    rows = timings(options.threads) + evidence()
    report("Bioheat solver", rows, json_file=options.json)


if __name__ == "__main__":
    main()
