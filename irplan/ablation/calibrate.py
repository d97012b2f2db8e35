"""Fits one constant of an applicator to measured or published zones, and shows what is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from irplan.ablation.applicator import Applicator
from irplan.ablation.bench import bench_problem
from irplan.ablation.device import Kind
from irplan.ablation.problem import AblationProblem
from irplan.ablation.result import AblationResult
from irplan.ablation.schedule import Phase, Schedule
from irplan.ablation.solve import simulate
from irplan.ablation.tissue import TissueProperties
from irplan.ablation.tissue_table import tissue
from irplan.ablation.zone_size import ZoneSize, zone_size
from irplan.ablation.zones import PublishedZone
from irplan.compute import Progress, no_progress
from irplan.errors import InputError

#: Excised organs lie at room temperature; this is as near as a problem may start, degC.
EXCISED_C = 30.0
#: Constants that can be fitted, per kind, the default first: (name, low, high, unit).
_CONSTANTS: dict[Kind, tuple[tuple[str, float, float, str], ...]] = {
    "cryo": (
        ("contact_resistance_mk_per_w", 0.0, 1.0, "m K/W"),
        ("working_temperature_c", -196.0, -20.0, "degC"),
    ),
    "mwa": (("efficiency", 0.05, 1.0, ""),),
    "rfa": (("power_share", 0.05, 1.0, ""),),
    "ire": (),
}
#: The constant is found to this share of its whole range.
_TOLERANCE = 5e-4


class Solver(Protocol):
    """What runs a problem; `irplan.ablation.simulate` is one."""

    def __call__(self, problem: AblationProblem, *, progress: Progress) -> AblationResult:
        """Run ``problem``; may raise to cancel."""
        ...


@dataclass(frozen=True)
class ZoneResidual:
    """A published zone, the simulated one, and simulated minus published.

    ``long_error_mm`` and ``long_error_percent`` are None where no length is published.
    """

    zone: PublishedZone
    simulated: ZoneSize
    short_error_mm: float
    short_error_percent: float
    long_error_mm: float | None
    long_error_percent: float | None


@dataclass(frozen=True)
class Calibration:
    """What `calibrate` found; all zones are in ``residuals``, also the badly met ones.

    ``applicator`` has the fitted constant (for ``power_share`` it is unchanged: multiply the
    generator's power by ``value``).  ``rms_mm`` is over all published diameters and lengths.
    ``at_limit``: the zones ask for more than the constant's range ``limits`` allows.
    """

    applicator: Applicator
    constant: str
    unit: str
    value: float
    before: float
    limits: tuple[float, float]
    residuals: tuple[ZoneResidual, ...]
    rms_mm: float
    at_limit: bool
    simulations: int
    words: str


def single_phase(zone: PublishedZone) -> Schedule:
    """One freeze, or one phase of the zone's power, of the zone's duration."""
    if zone.power_w is None:
        return Schedule((Phase("freeze", zone.duration_s),))
    return Schedule((Phase("power", zone.duration_s, zone.power_w),))


def tissue_of_zone(zone: PublishedZone, kind: Kind) -> TissueProperties:
    """The zone's tissue at the table's values."""
    return tissue(zone.tissue, kind=kind)


def zone_residuals(
    applicator: Applicator,
    zones: Sequence[PublishedZone] | None = None,
    *,
    spacing_mm: float = 1.0,
    margin_mm: float | None = None,
    body_temperature_c: float | None = None,
    schedule_of: Callable[[PublishedZone], Schedule] = single_phase,
    tissue_of: Callable[[PublishedZone, Kind], TissueProperties] = tissue_of_zone,
    power_share: float = 1.0,
    solver: Solver = simulate,
    progress: Progress = no_progress,
) -> tuple[ZoneResidual, ...]:
    """Every zone simulated in its own tissue; zones of equal conditions share one simulation.

    Parameters
    ----------
    zones : those to simulate; None takes the applicator's own.
    spacing_mm, margin_mm : of the bench, see `bench_problem`.
    body_temperature_c : temperature at the start; None takes 37 degC, for excised organs 30 degC
        (they lie at room temperature, which a problem does not allow: the zone comes out large).
    schedule_of, tissue_of : what was done, and to what, for each zone.
    power_share : of the generator's power that reaches the electrode.
    solver : runs each problem.

    Raises
    ------
    InputError : no zones; a zone of another modality or of an unknown tissue.
    """
    chosen = applicator.zones if zones is None else tuple(zones)
    _check(applicator, chosen)
    done: dict[tuple[object, ...], tuple[AblationProblem, AblationResult]] = {}
    out = []
    for zone in chosen:
        schedule = _scaled(schedule_of(zone), power_share)
        properties = tissue_of(zone, applicator.kind)
        start = body_temperature_c
        if start is None:
            start = EXCISED_C if zone.tissue.endswith("ex vivo") else 37.0
        key = (schedule, properties, start)
        if key not in done:
            problem = bench_problem(
                applicator,
                properties,
                schedule,
                spacing_mm=spacing_mm,
                margin_mm=margin_mm,
                body_temperature_c=start,
            )
            done[key] = problem, solver(problem, progress=progress)
        problem, result = done[key]
        level = 0.0 if zone.level_c is None and applicator.kind == "cryo" else zone.level_c
        out.append(_residual(zone, zone_size(result, problem.placements, level)))
    return tuple(out)


def calibrate(
    applicator: Applicator,
    zones: Sequence[PublishedZone] | None = None,
    *,
    constant: str | None = None,
    spacing_mm: float = 1.0,
    margin_mm: float | None = None,
    body_temperature_c: float | None = None,
    schedule_of: Callable[[PublishedZone], Schedule] = single_phase,
    tissue_of: Callable[[PublishedZone, Kind], TissueProperties] = tissue_of_zone,
    solver: Solver = simulate,
    progress: Progress = no_progress,
) -> Calibration:
    """The value of ``constant`` at which the zones' mean relative error in diameter is zero.

    One bracketed root over full simulations (Brent's method, `scipy.optimize.brentq`); lengths
    are compared, not fitted.  Some 6 to 12 simulations a set of conditions.

    Parameters
    ----------
    constant : cryo "contact_resistance_mk_per_w" (default) or "working_temperature_c"; mwa
        "efficiency"; rfa "power_share" of the generator's power.
    progress : called during each simulation; may raise to cancel.

    The others are as for `zone_residuals`.

    Raises
    ------
    InputError : as `zone_residuals`; a constant that the applicator does not have.
    """
    from scipy.optimize import brentq

    name, low, high, unit = _constant(applicator, constant)
    runs: dict[float, tuple[ZoneResidual, ...]] = {}

    def mean_error(value: float) -> float:
        if value not in runs:
            count = len(runs)

            def report(fraction: float, message: str) -> None:
                part = 1.0 - 0.75 ** (count + fraction)  # the number of runs is not known before
                progress(part, f"Fitting {name}, trial {count + 1}: {message}")

            runs[value] = zone_residuals(
                with_constant(applicator, name, value),
                zones,
                spacing_mm=spacing_mm,
                margin_mm=margin_mm,
                body_temperature_c=body_temperature_c,
                schedule_of=schedule_of,
                tissue_of=tissue_of,
                power_share=value if name == "power_share" else 1.0,
                solver=solver,
                progress=report,
            )
        return float(np.mean([r.short_error_percent for r in runs[value]]))

    ends = mean_error(low), mean_error(high)
    at_limit = ends[0] * ends[1] > 0.0
    if at_limit:
        value = low if abs(ends[0]) <= abs(ends[1]) else high
    else:
        value = float(brentq(mean_error, low, high, xtol=_TOLERANCE * (high - low)))
    mean = mean_error(value)
    residuals = runs[value]
    errors = [r.short_error_mm for r in residuals]
    errors += [r.long_error_mm for r in residuals if r.long_error_mm is not None]
    words = f"{name} = {value:.4g} {unit}".rstrip() + f"; mean error in diameter {mean:+.1f} %"
    if at_limit:
        words += f"; the limit of the constant ({low:g} to {high:g}) was reached: no value fits"
    progress(1.0, words)
    return Calibration(
        applicator=with_constant(applicator, name, value),
        constant=name,
        unit=unit,
        value=value,
        before=_value(applicator, name),
        limits=(low, high),
        residuals=residuals,
        rms_mm=float(np.sqrt(np.mean(np.square(errors)))),
        at_limit=at_limit,
        simulations=len(runs),
        words=words,
    )


def with_constant(applicator: Applicator, constant: str, value: float) -> Applicator:
    """A copy with one constant replaced, wherever it lies (``power_share`` lies nowhere)."""
    if constant == "power_share":
        return applicator
    if hasattr(applicator, constant):
        return replace(applicator, **{constant: value})  # type: ignore[arg-type]
    return replace(applicator, device=replace(applicator.device, **{constant: value}))  # type: ignore[type-var]


def _value(applicator: Applicator, constant: str) -> float:
    if constant == "power_share":
        return 1.0
    holder = applicator if hasattr(applicator, constant) else applicator.device
    return float(getattr(holder, constant))


def _constant(applicator: Applicator, constant: str | None) -> tuple[str, float, float, str]:
    known = _CONSTANTS[applicator.kind]
    for entry in known:
        if constant in (None, entry[0]):
            return entry
    raise InputError(
        "constant",
        got=f"{constant!r} for the {applicator.kind} applicator '{applicator.name}'",
        expected="one of " + ", ".join(repr(c[0]) for c in known) if known else "no constant",
        remedy="Leave it out for the usual one."
        if known
        else "Nothing of this kind of applicator is calibrated.",
    )


def _check(applicator: Applicator, zones: Sequence[PublishedZone]) -> None:
    if not zones:
        raise InputError(
            "zones",
            got=f"none for '{applicator.name}'",
            expected="at least one measured or published zone",
            remedy="Give zones, for example PublishedZone(30.0, 40.0, ...).",
        )
    for n, zone in enumerate(zones):
        if (zone.power_w is None) != (applicator.kind == "cryo"):
            raise InputError(
                f"zones[{n}]",
                got=f"power {zone.power_w} W for a {applicator.kind} applicator",
                expected="no power for cryo, the generator's power for heat",
                remedy="Give zones of the applicator's own modality.",
            )
        tissue(zone.tissue)


def _scaled(schedule: Schedule, share: float) -> Schedule:
    if share == 1.0:
        return schedule
    return Schedule(
        tuple(
            p if p.power_w is None else replace(p, power_w=share * p.power_w)
            for p in schedule.phases
        )
    )


def _residual(zone: PublishedZone, found: ZoneSize) -> ZoneResidual:
    short = found.mean_mm - zone.short_mm
    long = None if zone.long_mm is None else found.long_mm - zone.long_mm
    return ZoneResidual(
        zone=zone,
        simulated=found,
        short_error_mm=short,
        short_error_percent=100.0 * short / zone.short_mm,
        long_error_mm=long,
        long_error_percent=None
        if long is None or zone.long_mm is None
        else 100.0 * long / zone.long_mm,
    )
