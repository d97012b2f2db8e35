"""The simulation: an `AblationProblem` in, an `AblationResult` out, whatever the modality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

from irplan.ablation.cryo import FreezeOptions, simulate_cryo
from irplan.ablation.given import check_items, check_kind, check_whole
from irplan.ablation.problem import AblationProblem, monitor_indices
from irplan.ablation.result import AblationResult
from irplan.compute import Progress, no_progress, resolve_backend
from irplan.compute.threads import turn
from irplan.errors import InputError
from irplan.geometry import Point3

if TYPE_CHECKING:
    from irplan.ablation.damage import DamageModel
    from irplan.ablation.field.control import RfaControl
    from irplan.ablation.field.ire import PulseProtocol


def simulate(
    problem: AblationProblem,
    *,
    backend: str = "auto",
    time_error_mm: float = 0.06,
    threads: int | None = None,
    monitor_points_mm: Sequence[Point3] = (),
    control: RfaControl | PulseProtocol | None = None,
    damage: Sequence[DamageModel] | None = None,
    progress: Progress = no_progress,
    **freeze: Unpack[FreezeOptions],
) -> AblationResult:
    """Simulate ``problem`` by the physics of its applicators.

    cryo : enthalpy bioheat, `irplan.ablation.cryo.simulate_cryo` -> `CryoResult`.
    rfa : electric potential and bioheat, `irplan.ablation.field.rfa.simulate_rfa` -> `HeatResult`.
    mwa : antenna pattern and bioheat, `irplan.ablation.heat.mwa.simulate_mwa` -> `HeatResult`.
    ire : field-dependent potential, `irplan.ablation.field.ire.simulate_ire` -> `FieldResult`.

    Parameters
    ----------
    backend : "auto", "cpu" or "cuda" (cryo only).
    time_error_mm : allowed error in time of the zone's radius, 0.005 to 0.5 mm.
    threads : cap on CPU threads; None: as numba is set.
    monitor_points_mm : LPS points whose temperature goes into the trace.
    control : how the generator is run: `RfaControl` for rfa, `PulseProtocol` for ire.
    damage : damage models for heat and ire; None takes the modality's defaults.
    progress : called now and then; may raise to cancel.
    freeze : options of a freeze, see `simulate_cryo`.

    Raises
    ------
    InputError : an option out of range or of another modality; see the functions named above.
    BackendError : the backend cannot be had.
    SolverError : a solution that is not finite, or an applicator at the edge of the box.
    """
    check_kind("problem", problem, AblationProblem, "AblationProblem.from_labels makes one.")
    kind = problem.kind
    if kind == "cryo":
        _refuse("control", control, kind)
        _refuse("damage", damage, kind)
        return simulate_cryo(
            problem,
            backend=backend,
            time_error_mm=time_error_mm,
            threads=threads,
            monitor_points_mm=monitor_points_mm,
            progress=progress,
            **freeze,
        )
    for name, value in freeze.items():
        if value or name not in FreezeOptions.__annotations__:
            _refuse(name, name, kind)
    if threads is not None:
        threads = check_whole("threads", threads, 1, 1024, "None takes all.")
    resolve_backend(backend, cuda_twin=False)
    with turn():
        monitors = monitor_indices(problem, monitor_points_mm)
        if damage is not None:
            _check_damage(damage)
        if kind == "mwa":
            from irplan.ablation.heat.mwa import DEFAULT_DAMAGE, simulate_mwa

            _refuse("control", control, kind)
            return simulate_mwa(
                problem,
                damage=DEFAULT_DAMAGE if damage is None else damage,
                time_error_mm=time_error_mm,
                monitors=monitors,
                threads=threads,
                progress=progress,
            )
        from irplan.ablation.damage import Arrhenius
        from irplan.ablation.field.control import RfaControl
        from irplan.ablation.field.ire import PulseProtocol, simulate_ire
        from irplan.ablation.field.rfa import simulate_rfa

        models = (Arrhenius(),) if damage is None else damage
        if kind == "rfa":
            if control is not None and not isinstance(control, RfaControl):
                _refuse("control", control, kind)
            return simulate_rfa(
                problem,
                control=control if isinstance(control, RfaControl) else None,
                damage=models,
                time_error_mm=time_error_mm,
                monitors=monitors,
                threads=threads,
                progress=progress,
            )
        if control is not None and not isinstance(control, PulseProtocol):
            _refuse("control", control, kind)
        return simulate_ire(
            problem,
            protocol=control if isinstance(control, PulseProtocol) else None,
            damage=models,
            time_error_mm=time_error_mm,
            monitors=monitors,
            threads=threads,
            progress=progress,
        )


def _check_damage(damage: Sequence[DamageModel]) -> None:
    from irplan.ablation.damage import Arrhenius, Cem43, ThreeState

    remedy = "For example damage=(Arrhenius(), Cem43())."
    models = check_items("damage", damage, object, remedy)
    for n, model in enumerate(models):
        check_kind(f"damage[{n}]", model, (Arrhenius, Cem43, ThreeState), remedy)
    if not models:
        raise InputError("damage", got="none", expected="at least one model", remedy=remedy)


def _refuse(name: str, value: object, kind: str) -> None:
    """Raise `InputError` where an option is given that this modality does not know."""
    if value is not None:
        raise InputError(
            name,
            got=f"{type(value).__name__} for a problem of kind '{kind}'",
            expected="an option of its own modality",
            remedy="Leave it out; RfaControl is for rfa, PulseProtocol for ire, damage for heat.",
        )
