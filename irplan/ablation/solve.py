"""The simulation: an `AblationProblem` in, an `AblationResult` out, whatever the modality."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.cryo import MarchOptions, simulate_cryo
from irplan.ablation.march import StepRule
from irplan.ablation.problem import AblationProblem, check_range
from irplan.ablation.result import CryoResult
from irplan.ablation.state import CryoState
from irplan.compute import Progress, no_progress, resolve_backend
from irplan.errors import InputError
from irplan.geometry import Point3, as_point


def simulate(
    problem: AblationProblem,
    *,
    backend: str = "auto",
    time_error_mm: float = 0.06,
    stages: int | None = None,
    step_s: float | None = None,
    threads: int | None = None,
    monitor_points_mm: Sequence[Point3] = (),
    history: bool = False,
    start: CryoState | None = None,
    until_s: float | None = None,
    keep_states: bool = False,
    whole_grid: bool = False,
    progress: Progress = no_progress,
) -> CryoResult:
    """Freeze (and thaw) ``problem``: enthalpy bioheat with perfusion that stops on freezing.

    dH/dt = div(k grad T) + w rho_b c_b (T_b - T) [T > liquidus] + q_m + probes, with H the
    enthalpy (Pennes, J. Appl. Physiol. 1 (1948) 93; enthalpy and Kirchhoff form of the ablation
    specification), 7-point finite volumes, RKL1 super-time-stepping, float32, an active region
    that grows with the disturbance, probes as distributed line sources (`line_source`).

    Parameters
    ----------
    backend : "auto", "cpu" or "cuda" (no CUDA solver in this version: "cuda" raises).
    time_error_mm : allowed error in time of the isotherms' radii, 0.005 to 0.5 mm; chooses the
        length of a super-step and its number of stages.
    stages : number of stages instead (1 to 40; 1 is the plain explicit scheme).
    step_s : longest super-step, s (also how often temperature is recorded).
    threads : cap on CPU threads; None: as numba is set.  Fewer are used while other work makes
        them wait for each other.  The result does not depend on it.
    monitor_points_mm : LPS points whose temperature goes into the trace.
    history : keep the temperature after each super-step (about 2 bytes a disturbed voxel each).
    start : go on from this state instead of body temperature (same grid; tissue, probes and
        schedules may differ).
    until_s : stop here instead of at the end of the schedules, s.
    keep_states : keep a `CryoState` at the end of each segment of the schedules.
    whole_grid : work on every voxel from the start (for measurements).
    progress : called after each super-step; may raise to cancel.

    Returns
    -------
    CryoResult : see there.  Cost: some 2e9 voxel stages a second on 2 cores.

    Raises
    ------
    InputError : an option out of range, a step beyond the stability of the stages asked for, a
        monitor point outside the grid.
    GridMismatchError : ``start`` lies on another grid.
    BackendError : the backend cannot be had.
    SolverError : a probe at the edge of the box, or a solution that is not finite.
    """
    chosen = resolve_backend(backend, cuda_twin=False)
    rule = _rule(time_error_mm, stages, step_s, whole_grid)
    monitors = _monitors(problem, monitor_points_mm)
    begun = 0.0 if start is None else start.time_s
    if until_s is not None:
        check_range("until_s", until_s, begun + 1.0, problem.duration_s, "s", "Leave it out.")
    if begun > problem.duration_s - 1.0:
        raise InputError(
            "start",
            got=f"a state at {begun:g} s",
            expected=f"one before the end of the schedules at {problem.duration_s:g} s",
            remedy="Add a phase to the schedule, or start earlier.",
        )
    with _thread_cap(threads) as most:
        return simulate_cryo(
            problem,
            rule=rule,
            options=MarchOptions(start, until_s, history, keep_states),
            monitors=monitors,
            threads=most,
            backend=chosen,
            progress=progress,
        )


def _rule(
    time_error_mm: float, stages: int | None, step_s: float | None, whole_grid: bool
) -> StepRule:
    check_range("time_error_mm", time_error_mm, 0.005, 0.5, "mm", "0.06 is the default.")
    if stages is not None and not 1 <= stages <= 40:
        raise InputError("stages", got=f"{stages}", expected="1 to 40", remedy="Leave it out.")
    if step_s is not None:
        check_range("step_s", step_s, 0.01, 600.0, "s", "Leave it out.")
    return StepRule(time_error_mm, stages, step_s, whole_grid)


def _monitors(problem: AblationProblem, points: Sequence[Point3]) -> NDArray[np.float64]:
    """(n, 3) fractional grid indices of the monitor points."""
    lps = np.array([as_point(p, field="monitor_points_mm") for p in points]).reshape(-1, 3)
    outside = ~problem.grid.contains(lps)
    if outside.any():
        raise InputError(
            "monitor_points_mm",
            got=f"point {int(np.argmax(outside)) + 1} outside the simulated box",
            expected="LPS points within the box round the probes",
            remedy="Leave the point out or enlarge margin_mm.",
        )
    return problem.grid.lps_to_index(lps)


class _thread_cap:  # noqa: N801 - reads as a statement
    """At most ``threads`` numba threads inside (gives that number), and the old number after."""

    def __init__(self, threads: int | None) -> None:
        if threads is not None and threads < 1:
            raise InputError(
                "threads", got=f"{threads}", expected="1 or more", remedy="None takes all."
            )
        self.threads = threads

    def __enter__(self) -> int:
        import numba

        self.before = int(numba.get_num_threads())
        return self.before if self.threads is None else min(self.threads, self.before)

    def __exit__(self, *error: object) -> None:
        import numba

        numba.set_num_threads(self.before)
