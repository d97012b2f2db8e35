"""The freeze: an `AblationProblem` of cryoprobes in, a `CryoResult` out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.catalogue import CATALOGUE_VERSION
from irplan.ablation.discretisation import Discretisation, discretise
from irplan.ablation.march import TIME_ERROR_MM_PER_S, March, StepRule
from irplan.ablation.problem import AblationProblem
from irplan.ablation.result import CryoResult, ErrorEstimate
from irplan.ablation.state import CryoState
from irplan.ablation.tissue_table import TISSUE_TABLE_VERSION
from irplan.compute import Backend, Progress
from irplan.compute.threads import ThreadChoice

#: Error of the 0 degC radius and of the ice's volume against a 2-D solution of the true probe
#: (1.5 x 30 mm, liver, 600 s) by voxel: mm -> (mm, %), the largest over five poses.
COARSENESS = {
    0.5: (0.03, 0.4),
    1.0: (0.10, 0.8),
    2.0: (0.25, 2.0),
    3.0: (0.6, 5.0),
    4.0: (1.0, 8.0),
}
#: Voxels longer than this are warned about, mm.
_COARSE_MM = 2.0


@dataclass(frozen=True)
class MarchOptions:
    """What a march records and where it ends, beside its steps."""

    start: CryoState | None = None
    until_s: float | None = None
    history: bool = False
    keep_states: bool = False


def simulate_cryo(
    problem: AblationProblem,
    *,
    rule: StepRule,
    options: MarchOptions,
    monitors: NDArray[np.float64],
    threads: int,
    backend: Backend,
    progress: Progress,
    mesh: Discretisation | None = None,
) -> CryoResult:
    """Freeze ``problem`` on the CPU; see `irplan.ablation.simulate`.

    ``mesh`` is the problem's discretisation where it is at hand already.
    """
    mesh = discretise(problem) if mesh is None else mesh
    run = March(
        problem, mesh, monitors, ThreadChoice(threads), start=options.start, history=options.history
    )
    run.run(rule, progress, until_s=options.until_s, keep_states=options.keep_states)
    energy = run.energy()
    fields = run.fields()
    spacing = problem.grid.spacing_mm
    return CryoResult(
        end_of_freeze_c=fields[0],
        cycle_minimum_c=tuple(fields[1:]),
        history=run.history(),
        states=tuple(run.states),
        body_temperature_c=problem.body_temperature_c,
        trace=run.trace(),
        energy=energy,
        boundary_rise_c=run.boundary_rise_c,
        backend=backend.name,
        backend_reason=backend.reason,
        precision="float32",
        steps=run.steps,
        error=_error(run.longest_step_s, max(spacing)),
        options={
            "time_error_mm": rule.time_error_mm,
            "stages": float(run.stages),
            "longest_step_s": run.longest_step_s,
            "spacing_mm": spacing[0] if len(set(spacing)) == 1 else str(spacing),
            "tissue_table": TISSUE_TABLE_VERSION,
            "applicator_catalogue": CATALOGUE_VERSION,
        },
        warnings=(*problem.notes, *_coarse(max(spacing)), *run.warnings(energy)),
    )


def _error(step_s: float, spacing_mm: float) -> ErrorEstimate:
    return ErrorEstimate(
        time_mm=TIME_ERROR_MM_PER_S * step_s,
        space_mm=_cost(spacing_mm)[0],
        basis="measured on one 1.5 x 30 mm probe in liver, 600 s: steps against 1 s steps, voxels "
        "against an axisymmetric solution",
    )


def _cost(spacing_mm: float) -> tuple[float, float]:
    h = sorted(COARSENESS)
    return (
        float(np.interp(spacing_mm, h, [COARSENESS[v][0] for v in h])),
        float(np.interp(spacing_mm, h, [COARSENESS[v][1] for v in h])),
    )


def _coarse(spacing_mm: float) -> tuple[str, ...]:
    if spacing_mm <= _COARSE_MM:
        return ()
    radius, volume = _cost(spacing_mm)
    return (
        f"Voxels of {spacing_mm:g} mm are coarse for a probe: expect errors of about {radius:.1f} "
        f"mm in the ice's radius and {volume:.0f} % in its volume. Use spacing_mm=1.",
    )
