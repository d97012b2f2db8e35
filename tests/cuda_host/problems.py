"""Problems on which a device must do what the CPU does, and the comparison."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from irplan.ablation import (
    TISSUES,
    AblationProblem,
    Applicator,
    Phase,
    Placement,
    Schedule,
)
from irplan.ablation.cuda_cryo import DeviceRun
from irplan.ablation.device import CryoDevice
from irplan.ablation.discretisation import discretise
from irplan.ablation.march import March
from irplan.ablation.state import CryoState
from irplan.ablation.steps import StepRule
from irplan.compute import no_progress
from irplan.compute.threads import ThreadChoice
from irplan.geometry import Grid, Needle

RULE = StepRule(0.06)
MONITORS = np.array([[12.0, 12.0, 12.0], [5.2, 6.1, 20.3]])


def applicator(ramp_s: float = 10.0, length_mm: float = 8.0, resistance: float = 0.0) -> Applicator:
    return Applicator(
        "test", "cryo", 1.5, length_mm, 0.0, -140.0, ramp_s, 200.0, "test [X]",
        CryoDevice(contact_resistance_mk_per_w=resistance),
    )  # fmt: skip


def mixed_problem(
    schedule: Schedule | Sequence[Schedule] | None = None,
    *,
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
    shift_mm: float = 0.0,
    resistance: float = 0.0,
    wall_w_per_m2k: float = 0.0,
) -> AblationProblem:
    """Liver, tumour, fat, a vessel at body temperature and warm saline at 40 degC; two probes."""
    shape = (24, 26, 30)
    origin = tuple(-0.5 * (n - 1) * s for n, s in zip(shape[::-1], spacing_mm[::-1], strict=True))
    grid = Grid.from_spacing(shape, spacing_mm, origin)
    z, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]]
    index = np.zeros(shape, np.uint8)
    index[x > 23] = 2
    index[(x - 12) ** 2 + (y - 12) ** 2 + (z - 12) ** 2 < 30] = 1
    index[np.hypot(x - 19, z - 13 + 0.2 * y) < 1.8] = 3
    index[:, :2, :] = 4
    tissues = (
        TISSUES["liver"].properties(metabolic_w_per_m3=8000.0),
        TISSUES["tumour"].properties(),
        TISSUES["fat"].properties(),
        TISSUES["vessel"].properties(wall_transfer_w_per_m2k=wall_w_per_m2k),
        TISSUES["soft tissue"].properties(fixed_temperature_c=40.0),
    )
    placements = tuple(
        Placement(
            Needle((a + shift_mm, 0.3, -4.0), (a + 20.0, 10.0, 80.0)),
            applicator(resistance=resistance),
        )
        for a in (-4.0, 3.0)
    )
    if schedule is None:
        schedule = Schedule(
            (Phase("freeze", 60.0), Phase("passive_thaw", 30.0), Phase("freeze", 30.0))
        )
    return AblationProblem(grid, index, tissues, placements, schedule)


def staggered_problem() -> AblationProblem:
    """Voxels of 1.5 x 1 x 1 mm, contact resistance, a film at the vessel, own schedules, thaw."""
    freeze, thaw = Phase("freeze", 40.0), Phase("active_thaw", 20.0)
    schedules = (
        Schedule((freeze, thaw, Phase("pause", 10.0), Phase("freeze", 20.0, withdraw_mm=2.0))),
        Schedule((Phase("pause", 15.0), Phase("freeze", 50.0), Phase("passive_thaw", 10.0))),
    )
    return mixed_problem(
        schedules, spacing_mm=(1.5, 1.0, 1.0), resistance=0.02, wall_w_per_m2k=230.0
    )


def uniform_problem(
    shape: tuple[int, int, int] = (40, 44, 52), minutes: float = 2.0
) -> AblationProblem:
    """One probe, one tissue: whole tiles of one kind, and a window that grows."""
    grid = Grid.from_spacing(shape, (1.0,) * 3, tuple(-0.5 * (n - 1) for n in shape[::-1]))
    probe = Placement(Needle((0.2, -5.0, -3.0), (30.0, 40.0, 60.0)), applicator())
    return AblationProblem(
        grid,
        np.zeros(shape, np.uint8),
        (TISSUES["liver"].properties(),),
        (probe,),
        Schedule((Phase("freeze", 60.0 * minutes),)),
    )


def cpu_run(
    problem: AblationProblem, rule: StepRule = RULE, start: CryoState | None = None
) -> March:
    """The CPU's march, finished; `March.fields` is still to be called (once)."""
    march = March(problem, discretise(problem), MONITORS, ThreadChoice(1), start=start)
    march.run(rule, no_progress)
    return march


def differences(run: DeviceRun, march: March) -> dict[str, float]:
    """Largest differences between a device's run and the CPU's, by what is compared."""
    fields = march.fields()
    mine = [run.end_of_freeze_c, *run.cycle_minimum_c]
    assert len(mine) == len(fields)
    trace, energy = march.trace(), march.energy()
    assert np.allclose(trace.time_s, run.trace.time_s, rtol=0, atol=1e-9)
    assert trace.names == run.trace.names
    names = list(vars(energy))
    scale = max(abs(getattr(energy, f)) for f in names)
    heat = max(abs(getattr(energy, f) - getattr(run.energy, f)) for f in names)
    ice = np.abs(trace.frozen_volume_cm3 - run.trace.frozen_volume_cm3)
    return {
        "temperature_k": max(
            float(np.abs(a.array - b.array).max()) for a, b in zip(mine, fields, strict=True)
        ),
        "trace_k": float(np.abs(trace.temperature_c - run.trace.temperature_c).max()),
        "heat": heat / scale,
        "balance": run.energy.residual_fraction,
        "ice_cm3": float(ice.max()),
        "boundary_k": abs(run.boundary_rise_c - march.boundary_rise_c),
    }


#: What a device may differ by: float32 sums in another order (most where a voxel has just frozen:
#: 0.02 K in some hundred stages), and the window (0.01 K).
LIMITS = {
    "temperature_k": 0.03,
    "trace_k": 0.02,
    "heat": 1e-4,
    "balance": 1e-4,
    "ice_cm3": 0.005,
    "boundary_k": 0.02,
}
