"""Cryoablations on a device: problems in, what a result is made of out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.cuda_march import CudaMarch, Steps
from irplan.ablation.cuda_memory import problems_that_fit, too_large
from irplan.ablation.discretisation import Discretisation, discretise, line_sources
from irplan.ablation.drive import coldest_c, window_tolerance_k
from irplan.ablation.history import History
from irplan.ablation.problem import AblationProblem
from irplan.ablation.result import EnergyBalance, Trace
from irplan.ablation.state import CryoState
from irplan.ablation.steps import StepRule
from irplan.ablation.timeline import Segment, timeline
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
    history: History | None = None
    states: tuple[CryoState, ...] = ()


def simulate_cryo_cuda(
    problems: Sequence[AblationProblem],
    device: Device,
    *,
    rule: StepRule,
    monitors: NDArray[np.float64] | None = None,
    start: CryoState | None = None,
    until_s: float | None = None,
    history: bool = False,
    keep_states: bool = False,
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
    start, until_s, history, keep_states : as in `simulate`; one start for all problems.
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
    job = _Job(
        device, rule, np.zeros((0, 3)) if monitors is None else monitors, start, until_s, history,
        keep_states,
    )  # fmt: skip
    if start is not None:
        for problem in problems:
            start.check_fits(problem.grid)
    meshes = discretise_all(problems)
    groups: dict[tuple[object, ...], list[int]] = {}
    for n, (problem, mesh) in enumerate(zip(problems, meshes, strict=True)):
        groups.setdefault(_alike(problem, mesh, job), []).append(n)
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
                runs = _run(chosen, [meshes[n] for n in part], job, report)
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


@dataclass(frozen=True, eq=False)
class _Job:
    """What is wanted of every problem."""

    device: Device
    rule: StepRule
    monitors: NDArray[np.float64]
    start: CryoState | None
    until_s: float | None
    history: bool
    keep_states: bool

    def segments(self, problem: AblationProblem) -> tuple[Segment, ...]:
        """The part of the problem's timeline that is simulated."""
        begun = 0.0 if self.start is None else self.start.time_s
        end = math.inf if self.until_s is None else self.until_s
        return tuple(
            replace(s, duration_s=min(s.duration_s, end - s.start_s))
            for s in timeline(problem.schedules, from_s=begun)
            if s.start_s < end - 1e-9
        )


def _alike(problem: AblationProblem, mesh: Discretisation, job: _Job) -> tuple[object, ...]:
    """What problems must share to march side by side."""
    return (
        mesh.shape,
        problem.grid.spacing_mm,
        mesh.tau.tobytes(),
        problem.body_temperature_c,
        mesh.explicit_limit_s,
        window_tolerance_k(problem),
        tuple((s.start_s, s.duration_s, s.freezing) for s in job.segments(problem)),
    )


def _run(
    problems: Sequence[AblationProblem],
    meshes: Sequence[Discretisation],
    job: _Job,
    progress: Progress,
) -> list[DeviceRun]:
    """March one group and collect."""
    cuts = [job.rule.cut(job.segments(p), meshes[0].explicit_limit_s) for p in problems]
    timelines = [tuple(c.segment for c in own) for own in cuts]
    steps = [Steps(c.count, c.dt_s, c.stages, c.parts) for c in cuts[0]]
    march = CudaMarch(
        problems, meshes, job.monitors, job.device, timelines, steps,
        whole_grid=job.rule.whole_grid, start=job.start, history=job.history,
    )  # fmt: skip
    total = sum(s.duration_s for s in timelines[0])
    many = f" ({len(problems)} problems)" if len(problems) > 1 else ""

    def report(time_s: float, words: str) -> None:
        progress(time_s / total, f"Simulating {words}: {time_s:.0f} of {total:.0f} s{many}")

    march.run(report, keep_states=job.keep_states)
    energies, rise, traces = march.energies(), march.boundary_rise_c(), march.traces()
    out = []
    ends = march.end_of_freeze or []
    for n, problem in enumerate(problems):
        coldest = np.float32(coldest_c(problem))  # no overshoot in time
        lows = [np.maximum(cycle[n], coldest) for cycle in march.minima]
        arrays = [ends[n], *lows]
        if not all(np.isfinite(a.sum(dtype=np.float64)) for a in arrays):
            raise SolverError(
                "simulation",
                got="temperatures that are not finite",
                expected="a stable solution",
                remedy="Report this problem; stages=1 is the most careful scheme.",
            )
        names = [f"probe {k + 1}" for k in range(len(problem.placements))]
        names += [f"point {k + 1}" for k in range(len(job.monitors))]
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
                longest_step_s=max(
                    (c.super_step_s for c in cuts[0] if c.segment.driven), default=0.0
                ),
                history=march.recorders[n].finish() if march.recorders else None,
                states=tuple(states[n] for states in march.states),
            )
        )
    return out
