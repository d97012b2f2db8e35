"""Cryoablations on a device: problems in, what a result is made of out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.cuda_march import CudaMarch, Steps
from irplan.ablation.cuda_memory import problems_that_fit, too_large
from irplan.ablation.discretisation import Discretisation, discretise, line_sources
from irplan.ablation.march import StepRule
from irplan.ablation.problem import AblationProblem
from irplan.ablation.result import EnergyBalance, Trace
from irplan.ablation.timeline import timeline
from irplan.compute import Progress, no_progress
from irplan.compute.device import Device, DeviceOutOfMemory
from irplan.errors import SolverError
from irplan.image import Volume

#: blockIdx.y is the problem.
_MOST_PROBLEMS = 65535


@dataclass(frozen=True, eq=False)
class DeviceRun:
    """What one problem gave; the fields of a `CryoResult` that a march finds."""

    end_of_freeze_c: Volume
    cycle_minimum_c: tuple[Volume, ...]
    trace: Trace
    energy: EnergyBalance
    boundary_rise_c: float
    steps: int
    stages: int
    longest_step_s: float


def simulate_cryo_cuda(
    problems: Sequence[AblationProblem],
    device: Device,
    *,
    rule: StepRule,
    monitors: NDArray[np.float64] | None = None,
    progress: Progress = no_progress,
) -> list[DeviceRun]:
    """Freeze (and thaw) ``problems`` on ``device``, as `irplan.ablation.simulate` does on the CPU.

    Same equations, schedules, super-steps and float32 state as the CPU march (see
    `irplan.compute.cpu.bioheat`); the active region is a box instead of rows.  Problems that share
    grid, times, body and freezing interval run side by side, as many as fit; each gives the same
    bits as alone.

    Parameters
    ----------
    problems : of kind "cryo".
    device : see `irplan.compute.device.open_device`.
    rule : length of the super-steps.
    monitors : (n, 3) fractional grid indices whose temperature goes into every trace.
    progress : called every 16 super-steps or so; may raise to cancel.

    Returns
    -------
    One `DeviceRun` a problem, in order.

    Raises
    ------
    BackendError : too little memory for one problem (says how much was needed, how much is free and
        what would fit), or too many tissues.
    SolverError : a probe at the edge of the box, or a solution that is not finite.
    """
    points = np.zeros((0, 3)) if monitors is None else monitors
    meshes = discretise_all(problems)
    groups: dict[tuple[object, ...], list[int]] = {}
    for n, (problem, mesh) in enumerate(zip(problems, meshes, strict=True)):
        groups.setdefault(_alike(problem, mesh), []).append(n)
    out: dict[int, DeviceRun] = {}
    for members in groups.values():
        one_map = all(meshes[n].kind is meshes[members[0]].kind for n in members)
        fits = problems_that_fit(device, problems[members[0]].grid.shape, one_map=one_map)
        if fits == 0:
            raise too_large(device, [problems[members[0]]])
        size = min(fits, _MOST_PROBLEMS)
        for first in range(0, len(members), size):
            part = members[first : first + size]
            done = len(out) / len(problems)
            share = len(part) / len(problems)

            def report(fraction: float, words: str, at: float = done, by: float = share) -> None:
                progress(at + by * fraction, words)

            chosen = [problems[n] for n in part]
            try:
                runs = _run(chosen, [meshes[n] for n in part], points, device, rule, report)
            except DeviceOutOfMemory as error:
                raise too_large(device, chosen, refused=True) from error
            out.update(zip(part, runs, strict=True))
    return [out[n] for n in range(len(problems))]


def discretise_all(problems: Sequence[AblationProblem]) -> list[Discretisation]:
    """One mesh a problem; problems with the very same tissue map share its arrays."""
    known: dict[tuple[object, ...], Discretisation] = {}
    out = []
    for problem in problems:
        key = (
            id(problem.tissue_index.base if problem.tissue_index.base is not None else problem),
            problem.tissue_index.shape,
            problem.tissues,
            problem.body_temperature_c,
            problem.grid.affine.tobytes(),
        )
        if key in known:
            sources = line_sources(problem.placements, problem.grid)
            out.append(replace(known[key], sources=sources))
        else:
            known[key] = discretise(problem)
            out.append(known[key])
    return out


def cut(problem: AblationProblem, mesh: Discretisation, rule: StepRule) -> list[Steps]:
    """The super-steps of each segment of the problem's timeline."""
    steps = []
    for segment in timeline(problem.schedules):
        count, stages = rule.steps(segment.duration_s, mesh.explicit_limit_s)
        steps.append(Steps(count, segment.duration_s / count, stages))
    return steps


def _alike(problem: AblationProblem, mesh: Discretisation) -> tuple[object, ...]:
    """What problems must share to march side by side."""
    segments = timeline(problem.schedules)
    return (
        mesh.shape,
        problem.grid.spacing_mm,
        mesh.tau.tobytes(),
        problem.body_temperature_c,
        mesh.explicit_limit_s,
        tuple((s.start_s, s.duration_s, s.freezing) for s in segments),
    )


def _run(
    problems: Sequence[AblationProblem],
    meshes: Sequence[Discretisation],
    monitors: NDArray[np.float64],
    device: Device,
    rule: StepRule,
    progress: Progress,
) -> list[DeviceRun]:
    """March one group and collect."""
    steps = cut(problems[0], meshes[0], rule)
    march = CudaMarch(problems, meshes, monitors, device, steps, whole_grid=rule.whole_grid)
    total = problems[0].duration_s
    many = f" ({len(problems)} problems)" if len(problems) > 1 else ""

    def report(time_s: float, words: str) -> None:
        progress(time_s / total, f"Simulating {words}: {time_s:.0f} of {total:.0f} s{many}")

    march.run(report)
    energies, rise, traces = march.energies(), march.boundary_rise_c(), march.traces()
    out = []
    for n, problem in enumerate(problems):
        arrays = [march.end_of_freeze[n], *(cycle[n] for cycle in march.minima)]
        if not all(np.isfinite(a.sum(dtype=np.float64)) for a in arrays):
            raise SolverError(
                "simulation",
                got="temperatures that are not finite",
                expected="a stable solution",
                remedy="Report this problem; stages=1 is the most careful scheme.",
            )
        names = [f"probe {k + 1}" for k in range(len(problem.placements))]
        names += [f"point {k + 1}" for k in range(len(monitors))]
        celsius, ice = traces[n]
        volumes = [Volume(a, problem.grid, "degC") for a in arrays]
        out.append(
            DeviceRun(
                end_of_freeze_c=volumes[0],
                cycle_minimum_c=tuple(volumes[1:]),
                trace=Trace(np.array(march.times), celsius, tuple(names), ice),
                energy=EnergyBalance(*(float(v) for v in energies[n])),
                boundary_rise_c=float(rise[n]),
                steps=sum(s.count for s in steps),
                stages=max(s.stages for s in steps),
                longest_step_s=max(s.dt_s for s in steps),
            )
        )
    return out
