"""The freeze: an `AblationProblem` of cryoprobes in, a `CryoResult` out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict, Unpack

import numpy as np

from irplan.ablation.catalogue import CATALOGUE_VERSION
from irplan.ablation.discretisation import discretise
from irplan.ablation.given import check_flag, check_kind, check_whole
from irplan.ablation.history import History
from irplan.ablation.march import March
from irplan.ablation.problem import AblationProblem, check_range, monitor_indices
from irplan.ablation.result import CryoResult, EnergyBalance, ErrorEstimate
from irplan.ablation.state import CryoState
from irplan.ablation.steps import TIME_ERROR_MM_PER_S, StepRule
from irplan.ablation.timeline import timeline
from irplan.ablation.tissue_table import TISSUE_TABLE_VERSION
from irplan.compute import Backend, Progress, no_progress, resolve_backend
from irplan.compute.threads import ThreadChoice, thread_cap
from irplan.errors import InputError
from irplan.geometry import Point3

#: Error of the isotherms' radii (mm) and of the ice's volume (%) by voxel (mm), against a 2-D
#: solution of the true probe (1.5 x 30 mm, liver, 600 s).
COARSENESS = {
    0.5: (0.05, 0.5),
    1.0: (0.13, 1.5),
    2.0: (0.40, 4.0),
    3.0: (0.80, 8.0),
    4.0: (1.20, 12.0),
}
#: Voxels longer than this are warned about, mm.
_COARSE_MM = 2.0
#: A change of temperature at the outer faces above this is reported, K.
BOUNDARY_WARNING_K = 2.0


class FreezeOptions(TypedDict, total=False):
    """What only a freeze knows; see `simulate_cryo`."""

    stages: int | None
    step_s: float | None
    history: bool
    start: CryoState | None
    until_s: float | None
    keep_states: bool
    whole_grid: bool


def simulate_cryo(
    problem: AblationProblem,
    *,
    backend: str = "auto",
    time_error_mm: float = 0.06,
    threads: int | None = None,
    monitor_points_mm: Sequence[Point3] = (),
    progress: Progress = no_progress,
    **options: Unpack[FreezeOptions],
) -> CryoResult:
    """Freeze (and thaw) ``problem``: enthalpy bioheat with perfusion that stops on freezing.

    dH/dt = div(k grad T) + w rho_b c_b (T_b - T) [T > liquidus] + q_m + probes, with H the
    enthalpy (Pennes, J. Appl. Physiol. 1 (1948) 93; enthalpy and Kirchhoff form of the ablation
    specification), 7-point finite volumes, RKL1 super-time-stepping, float32, an active region
    that grows with the disturbance, probes as distributed line sources (`line_source`).

    Parameters
    ----------
    backend : "auto", "cpu" or "cuda".
    time_error_mm : allowed error in time of the isotherms' radii, 0.005 to 0.5 mm; chooses the
        length of a super-step and its number of stages.
    threads : cap on CPU threads; None: as numba is set.  Fewer are used while other work makes
        them wait for each other.  The result does not depend on it.
    monitor_points_mm : LPS points whose temperature goes into the trace.
    progress : called after each super-step; may raise to cancel.
    stages : number of stages of a super-step (1 to 40; 1 is the plain explicit scheme) instead of
        what the error asks for.
    step_s : longest super-step, s (also how often temperature is recorded).
    history : keep the temperature after each super-step (about 2 bytes a disturbed voxel each;
        140 in 5 min).
    start : go on from this state instead of body temperature (same grid; tissue, probes and
        schedules may differ).
    until_s : stop here instead of at the end of the schedules, s.
    keep_states : keep a `CryoState` at the end of each segment of the schedules.
    whole_grid : work on every voxel from the start (for measurements).

    Returns
    -------
    CryoResult : see there.  Cost: some 2e9 voxel stages a second on 2 cores.

    Raises
    ------
    InputError : an option out of range, stages and step_s together, a
        monitor point outside the grid.
    GridMismatchError : ``start`` lies on another grid.
    BackendError : the backend cannot be had, or its memory does not suffice.
    SolverError : a probe at the edge of the box, or a solution that is not finite.
    """
    check_kind("problem", problem, AblationProblem, "AblationProblem.from_labels makes one.")
    if threads is not None:
        threads = check_whole("threads", threads, 1, 1024, "None takes all.")
    chosen = resolve_backend(backend)
    rule = _rule(time_error_mm, options)
    _check_times(problem, options)
    if chosen.name == "cuda":
        return _on_device(problem, chosen, rule, options, monitor_points_mm, progress)
    with thread_cap(threads) as most:
        return _on_cpu(problem, chosen, rule, options, monitor_points_mm, most, progress)


def _on_cpu(
    problem: AblationProblem,
    backend: Backend,
    rule: StepRule,
    options: FreezeOptions,
    monitor_points_mm: Sequence[Point3],
    threads: int,
    progress: Progress,
) -> CryoResult:
    run = March(
        problem,
        discretise(problem),
        monitor_indices(problem, monitor_points_mm),
        ThreadChoice(threads),
        start=options.get("start"),
        history=options.get("history", False),
    )
    run.run(
        rule,
        progress,
        until_s=options.get("until_s"),
        keep_states=options.get("keep_states", False),
    )
    energy = run.energy()
    fields = run.fields()
    trace = run.trace()
    return CryoResult(
        end_of_freeze_c=fields[0],
        cycle_minimum_c=tuple(fields[1:]),
        history=_dated(run.history(), problem),
        states=tuple(run.states),
        body_temperature_c=problem.body_temperature_c,
        problem=problem,
        trace=trace,
        energy=energy,
        boundary_rise_c=run.boundary_rise_c,
        backend=backend.name,
        backend_reason=backend.reason,
        precision="float32",
        steps=run.steps,
        error=_error(run.longest_step_s, rule, problem),
        options=_record(problem, rule, run.stages, run.longest_step_s),
        warnings=_warnings(
            problem, energy, run.boundary_rise_c, float(trace.frozen_volume_cm3.max())
        ),
    )


def _on_device(
    problem: AblationProblem,
    backend: Backend,
    rule: StepRule,
    options: FreezeOptions,
    monitor_points_mm: Sequence[Point3],
    progress: Progress,
) -> CryoResult:
    from irplan.ablation.cuda_cryo import simulate_cryo_cuda
    from irplan.compute.device import open_device

    monitors = monitor_indices(problem, monitor_points_mm)
    (run,) = simulate_cryo_cuda(
        [problem],
        open_device(),
        rule=rule,
        monitors=monitors,
        start=options.get("start"),
        until_s=options.get("until_s"),
        history=options.get("history", False),
        keep_states=options.get("keep_states", False),
        progress=progress,
    )
    ice = float(run.trace.frozen_volume_cm3.max())
    return CryoResult(
        end_of_freeze_c=run.end_of_freeze_c,
        cycle_minimum_c=run.cycle_minimum_c,
        history=_dated(run.history, problem),
        states=run.states,
        body_temperature_c=problem.body_temperature_c,
        problem=problem,
        trace=run.trace,
        energy=run.energy,
        boundary_rise_c=run.boundary_rise_c,
        backend=backend.name,
        backend_reason=backend.reason,
        precision="float32",
        steps=run.steps,
        error=_error(run.longest_step_s, rule, problem),
        options=_record(problem, rule, run.stages, run.longest_step_s),
        warnings=_warnings(problem, run.energy, run.boundary_rise_c, ice),
    )


def _dated(history: History | None, problem: AblationProblem) -> History | None:
    """The history with the times at which freezes begin."""
    if history is None:
        return None
    begins = []
    before = False
    for segment in timeline(problem.schedules):
        if segment.freezing and not before:
            begins.append(segment.start_s)
        before = segment.freezing
    return replace(history, freezes_s=tuple(begins))


def _rule(time_error_mm: float, options: FreezeOptions) -> StepRule:
    for name in options:
        if name not in FreezeOptions.__annotations__:
            raise InputError(
                "simulate",
                got=f"an option '{name}'",
                expected="one of " + ", ".join(FreezeOptions.__annotations__),
                remedy="Check the spelling.",
            )
    for name in ("history", "keep_states", "whole_grid"):
        check_flag(name, options.get(name, False))
    allowed = check_range("time_error_mm", time_error_mm, 0.005, 0.5, "mm", "0.06 is the default.")
    stages, step_s = options.get("stages"), options.get("step_s")
    if stages is not None:
        stages = check_whole("stages", stages, 1, 40, "Leave it out.")
    if step_s is not None and stages is not None:
        raise InputError(
            "step_s",
            got=f"{step_s} s together with stages={stages}",
            expected="one of them: stages fix the step at their limit of stability",
            remedy="Leave one out; with step_s alone the number of stages follows.",
        )
    if step_s is not None:
        step_s = check_range("step_s", step_s, 0.01, 600.0, "s", "Leave it out.")
    return StepRule(
        allowed, stages, step_s, options.get("whole_grid", False), options.get("history", False)
    )


def _check_times(problem: AblationProblem, options: FreezeOptions) -> None:
    start, until = options.get("start"), options.get("until_s")
    if start is not None:
        check_kind("start", start, CryoState, "Take one of a result's states.")
    begun = 0.0 if start is None else start.time_s
    if until is not None:
        check_range("until_s", until, begun + 1.0, problem.duration_s, "s", "Leave it out.")
    if begun > problem.duration_s - 1.0:
        raise InputError(
            "start",
            got=f"a state at {begun:g} s",
            expected=f"one before the end of the schedules at {problem.duration_s:g} s",
            remedy="Add a phase to the schedule, or start earlier.",
        )


def _record(
    problem: AblationProblem, rule: StepRule, stages: int, step_s: float
) -> dict[str, float | str]:
    spacing = problem.grid.spacing_mm
    return {
        "time_error_mm": rule.time_error_mm,
        "stages": float(stages),
        "longest_step_s": step_s,
        "spacing_mm": spacing[0] if len(set(spacing)) == 1 else str(spacing),
        "tissue_table": TISSUE_TABLE_VERSION,
        "applicator_catalogue": CATALOGUE_VERSION,
    }


def _error(step_s: float, rule: StepRule, problem: AblationProblem) -> ErrorEstimate:
    asked = rule.time_error_mm * (1.0 if rule.time_error_mm < 0.1 else 2.0)
    if rule.stages is not None or rule.longest_s is not None:
        asked = 0.0
    return ErrorEstimate(
        time_mm=max(TIME_ERROR_MM_PER_S * step_s, asked),
        space_mm=_cost(max(problem.grid.spacing_mm))[0],
        basis="measured on one 1.5 x 30 mm probe in liver, 600 s: steps against 1 s steps, voxels "
        "against an axisymmetric solution",
    )


def _cost(spacing_mm: float) -> tuple[float, float]:
    h = sorted(COARSENESS)
    return (
        float(np.interp(spacing_mm, h, [COARSENESS[v][0] for v in h])),
        float(np.interp(spacing_mm, h, [COARSENESS[v][1] for v in h])),
    )


def _warnings(
    problem: AblationProblem, energy: EnergyBalance, rise_c: float, ice_cm3: float
) -> tuple[str, ...]:
    """What went less than well, with the size of the error it makes."""
    out = list(problem.notes)
    spacing = max(problem.grid.spacing_mm)
    if spacing > _COARSE_MM:
        radius, volume = _cost(spacing)
        out.append(
            f"Voxels of {spacing:g} mm are coarse for a probe: expect errors of about "
            f"{radius:.1f} mm in the ice's radius and {volume:.0f} % in its volume. Use "
            "spacing_mm=1."
        )
    if rise_c > BOUNDARY_WARNING_K:
        ice = max(1e-6, ice_cm3)
        melt = abs(energy.boundary_j) / 400.0  # some 400 J to cool and freeze 1 cm3
        radius = (0.75 / np.pi * ice) ** (1 / 3) * 10.0
        cost = (
            f"could melt at most {melt:.2f} cm3 of {ice:.1f} cm3, about "
            f"{radius * melt / ice / 3:.2f} mm of radius"
            if melt < 0.5 * ice
            else "was as much as the ice itself took: the box is far too small for this ice"
        )
        out.append(
            f"The ice's cold reached the edge of the simulated box (a change of {rise_c:.1f} K "
            f"there). Heat that came in through it {cost}. Use a larger margin_mm."
        )
    if energy.residual_fraction > 1e-3:
        out.append(
            f"The heat balance closes to {100 * energy.residual_fraction:.2f} % only "
            "(0.1 % is expected)."
        )
    return tuple(out)
