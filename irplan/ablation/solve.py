"""The simulation: an `AblationProblem` in, an `CryoResult` out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.catalogue import CATALOGUE_VERSION
from irplan.ablation.discretisation import discretise
from irplan.ablation.march import March
from irplan.ablation.problem import AblationProblem, check_range
from irplan.ablation.result import CryoResult
from irplan.ablation.tissue_table import TISSUE_TABLE_VERSION
from irplan.compute import Progress, no_progress, resolve_backend
from irplan.compute.threads import ThreadChoice
from irplan.errors import InputError
from irplan.geometry import Point3, as_point


def simulate(
    problem: AblationProblem,
    *,
    backend: str = "auto",
    time_error_mm: float = 0.06,
    stages: int | None = None,
    threads: int | None = None,
    monitor_points_mm: Sequence[Point3] = (),
    progress: Progress = no_progress,
) -> CryoResult:
    """Freeze (and thaw) ``problem``: enthalpy bioheat with perfusion that stops on freezing.

    dH/dt = div(k grad T) + w rho_b c_b (T_b - T) [T > liquidus] + q_m + probes, with H the
    enthalpy (Pennes, J. Appl. Physiol. 1 (1948) 93; enthalpy and Kirchhoff form of the ablation
    specification), 7-point finite volumes, RKL1 super-time-stepping, float32, an active window
    that grows with the disturbance, probes as distributed line sources (`line_source`).

    Parameters
    ----------
    backend : "auto", "cpu" or "cuda" (no CUDA solver in this version: "cuda" raises).
    time_error_mm : allowed error in time of the 0 degC radius, 0.005 to 0.5 mm; chooses the
        length of a super-step and its number of stages.
    stages : number of stages instead (1 to 40; 1 is the plain explicit scheme).
    threads : cap on CPU threads; None: as numba is set.  Fewer are used while other work makes
        them wait for each other.  The result does not depend on it.
    monitor_points_mm : LPS points whose temperature goes into the trace.
    progress : called after each super-step; may raise to cancel.

    Returns
    -------
    CryoResult : see there.  Cost: some 1e9 voxel stages a second on 2 cores; a 10-8-10 min
        schedule of three probes in 100^3 mm at 1 mm takes about 1400 stages.

    Raises
    ------
    InputError : an option out of range, a monitor point outside the grid.
    BackendError : the backend cannot be had.
    SolverError : a probe at the edge of the box, or a solution that is not finite.
    """
    chosen = resolve_backend(backend, cuda_twin=False)
    check_range("time_error_mm", time_error_mm, 0.005, 0.5, "mm", "0.06 is the default.")
    if stages is not None and not 1 <= stages <= 40:
        raise InputError("stages", got=f"{stages}", expected="1 to 40", remedy="Leave it out.")
    monitors = _monitors(problem, monitor_points_mm)
    with _thread_cap(threads) as most:
        run = March(problem, discretise(problem), monitors, ThreadChoice(most))
        run.all_phases(time_error_mm, stages, progress)
        fields, energy = run.fields(), run.energy()
    return CryoResult(
        end_of_freeze_c=fields[0],
        cycle_minimum_c=tuple(fields[1:]),
        trace=run.trace(),
        energy=energy,
        boundary_rise_c=run.boundary_rise_c,
        backend=chosen.name,
        backend_reason=chosen.reason,
        precision="float32",
        steps=run.steps,
        options={
            "time_error_mm": time_error_mm,
            "stages": float(run.stages),
            "spacing_mm": problem.grid.spacing_mm[0],
            "tissue_table": TISSUE_TABLE_VERSION,
            "applicator_catalogue": CATALOGUE_VERSION,
        },
        warnings=(*problem.notes, *run.warnings(energy)),
    )


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
