"""What a simulation returns: temperature or field, zones, traces, energy balance, provenance."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.history import History
from irplan.ablation.lethal import LethalRule
from irplan.ablation.state import CryoState
from irplan.errors import InputError
from irplan.geometry import Grid
from irplan.image import Volume

if TYPE_CHECKING:
    from irplan.ablation.problem import AblationProblem


@dataclass(frozen=True)
class EnergyBalance:
    """Heat in joules over the whole run; positive = into the tissue."""

    stored_j: float
    probes_j: float
    perfusion_j: float
    metabolism_j: float
    fixed_tissue_j: float
    boundary_j: float

    @property
    def residual_fraction(self) -> float:
        """|stored - sum of sources| over the largest term; 0 is exact, <= 0.001 is demanded."""
        terms = (
            self.probes_j,
            self.perfusion_j,
            self.metabolism_j,
            self.fixed_tissue_j,
            self.boundary_j,
        )
        scale = max(1e-9, abs(self.stored_j), *(abs(t) for t in terms))
        return abs(self.stored_j - sum(terms)) / scale


@dataclass(frozen=True)
class ErrorEstimate:
    """Expected numerical error of the zone's radius, mm; ``basis`` says how it was found.

    It holds no uncertainty of the tissue's constants, which is larger.
    """

    time_mm: float
    space_mm: float
    basis: str

    @property
    def total_mm(self) -> float:
        """Both, added, mm."""
        return self.time_mm + self.space_mm


@dataclass(frozen=True, eq=False)
class Trace:
    """Temperature over time: ``time_s`` (n,), ``temperature_c`` (n, k) for k named points.

    ``extra`` holds further curves of the same length by name with unit, e.g. ``"impedance_ohm"``.
    """

    time_s: NDArray[np.float64]
    temperature_c: NDArray[np.float64]
    names: tuple[str, ...]
    frozen_volume_cm3: NDArray[np.float64]
    extra: dict[str, NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class AblationResult:
    """What every kind of simulation returns, on the solver's grid.

    `volumes` and `zones` list what can be shown, written or compared, whatever the kind.
    """

    trace: Trace
    energy: EnergyBalance
    boundary_rise_c: float
    """Largest change of temperature at the grid's outer faces, degC (0 = domain big enough)."""
    backend: str
    backend_reason: str
    precision: str
    steps: int
    error: ErrorEstimate | None = None
    options: dict[str, float | str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def grid(self) -> Grid:
        """The solver's grid."""
        raise NotImplementedError

    def volumes(self) -> dict[str, Volume]:
        """Fields by name, e.g. ``"temperature"`` (degC)."""
        raise NotImplementedError

    def zones(self) -> dict[str, NDArray[np.bool_]]:
        """Zones by name, e.g. ``"ice"``, the innermost last."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False, kw_only=True)
class CryoResult(AblationResult):
    """The simulated ice.

    ``end_of_freeze_c`` is the temperature when the last freeze ends (the visible iceball is
    its part at or below 0 degC); ``cycle_minimum_c`` holds the lowest temperature reached in
    each freeze (and the thaw after it), one volume a freeze.  ``history`` and ``states`` are there
    where they were asked for.
    """

    end_of_freeze_c: Volume
    cycle_minimum_c: tuple[Volume, ...]
    body_temperature_c: float = 37.0
    history: History | None = None
    states: tuple[CryoState, ...] = ()
    problem: AblationProblem | None = None
    """What was simulated."""

    @property
    def grid(self) -> Grid:
        """The solver's grid."""
        return self.end_of_freeze_c.grid

    @property
    def minimum_c(self) -> Volume:
        """Lowest temperature reached at all, degC."""
        low = np.minimum.reduce([v.array for v in self.cycle_minimum_c])
        return Volume(low, self.grid, "degC")

    def lethal_temperature(self, rule: LethalRule) -> Volume:
        """The temperature that was undercut in at least ``rule.cycles`` freezes, degC.

        The lethal zone is where this is <= ``rule.threshold_c``; as a smooth field it gives
        the zone's edge to sub-voxel accuracy.  With fewer freezes than ``rule.cycles`` nothing
        is lethal: +inf is not representable, so body temperature is returned everywhere.
        Raises `InputError` for a rule with a hold time, which is no isotherm: use `lethal_zone`.
        """
        if rule.hold_s > 0.0:
            raise InputError(
                "lethal.hold_s",
                got=f"{rule.hold_s:g} s",
                expected="0 for a zone that is bounded by an isotherm",
                remedy="Use lethal_zone(rule), which counts time below the threshold.",
            )
        lows = [v.array for v in self.cycle_minimum_c]
        if rule.cycles > len(lows):
            return Volume(
                np.full(self.grid.shape, self.body_temperature_c, np.float32), self.grid, "degC"
            )
        if rule.cycles == len(lows):
            return Volume(np.maximum.reduce(lows), self.grid, "degC")
        return Volume(np.sort(np.stack(lows), axis=0)[rule.cycles - 1], self.grid, "degC")

    def lethal_zone(self, rule: LethalRule) -> NDArray[np.bool_]:
        """Boolean zone on the solver's grid.

        With a hold time it is counted from the history: `InputError` where none was kept.
        """
        if rule.hold_s > 0.0:
            if self.history is None:
                raise InputError(
                    "lethal.hold_s",
                    got=f"{rule.hold_s:g} s, and a result without history",
                    expected="a result that kept its history",
                    remedy="Use simulate(..., history=True), with step_s below the hold time.",
                )
            freezes = self.history.held_in_freezes(rule.threshold_c, rule.hold_s)
            held: NDArray[np.bool_] = freezes >= rule.cycles
            return held & self.lethal_zone(replace(rule, hold_s=0.0))
        out: NDArray[np.bool_] = self.lethal_temperature(rule).array <= rule.threshold_c
        return out

    def volumes(self) -> dict[str, Volume]:
        """``temperature`` at the end of the last freeze and ``minimum`` of the whole run."""
        return {"temperature": self.end_of_freeze_c, "minimum": self.minimum_c}

    def zones(self) -> dict[str, NDArray[np.bool_]]:
        """Ice and the -20 and -40 degC isotherms at the end of the last freeze."""
        c = self.end_of_freeze_c.array
        return {"ice": c <= 0.0, "minus_20": c <= -20.0, "minus_40": c <= -40.0}


@dataclass(frozen=True, eq=False, kw_only=True)
class HeatResult(AblationResult):
    """The simulated coagulation (radiofrequency or microwave).

    ``end_c`` is the temperature when the last power phase ends, ``maximum_c`` the highest reached;
    ``damage`` holds, per damage model, a smooth field and the level at and above which tissue
    counts as dead.  ``trace.extra`` has ``power_w`` and, for rfa, ``impedance_ohm`` per probe.
    """

    end_c: Volume
    maximum_c: Volume
    damage: dict[str, Volume]
    damage_level: dict[str, float]

    @property
    def grid(self) -> Grid:
        """The solver's grid."""
        return self.end_c.grid

    def volumes(self) -> dict[str, Volume]:
        """``temperature``, ``maximum`` and one field a damage model."""
        return {"temperature": self.end_c, "maximum": self.maximum_c, **self.damage}

    def zones(self) -> dict[str, NDArray[np.bool_]]:
        """50 and 60 degC isotherms of the maximum and one zone a damage model."""
        c = self.maximum_c.array
        out = {"above_50": c >= 50.0, "above_60": c >= 60.0}
        for name, volume in self.damage.items():
            out[name] = volume.array >= self.damage_level[name]
        return out


@dataclass(frozen=True, eq=False, kw_only=True)
class FieldResult(AblationResult):
    """The simulated electroporation.

    ``field_v_per_cm`` is the largest field over all electrode pairs, ``temperature_c`` the
    temperature after the last pulse; ``damage`` is the thermal side effect as in `HeatResult`.
    ``currents_a`` has the current of each pair at its last pulse.
    """

    field_v_per_cm: Volume
    temperature_c: Volume
    damage: dict[str, Volume]
    damage_level: dict[str, float]
    threshold_v_per_cm: float
    currents_a: tuple[float, ...]

    @property
    def grid(self) -> Grid:
        """The solver's grid."""
        return self.field_v_per_cm.grid

    def volumes(self) -> dict[str, Volume]:
        """``field`` (V/cm), ``temperature`` and one field a damage model."""
        return {"field": self.field_v_per_cm, "temperature": self.temperature_c, **self.damage}

    def zones(self) -> dict[str, NDArray[np.bool_]]:
        """``electroporated`` and one thermally dead zone a damage model."""
        out = {"electroporated": self.field_v_per_cm.array >= self.threshold_v_per_cm}
        for name, volume in self.damage.items():
            out[name] = volume.array >= self.damage_level[name]
        return out
