"""What a simulation returns: temperature, zones, traces, energy balance, provenance."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.lethal import LethalRule
from irplan.geometry import Grid
from irplan.image import Volume


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


@dataclass(frozen=True, eq=False)
class Trace:
    """Temperature over time: ``time_s`` (n,), ``temperature_c`` (n, k) for k named points."""

    time_s: NDArray[np.float64]
    temperature_c: NDArray[np.float64]
    names: tuple[str, ...]
    frozen_volume_cm3: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AblationResult:
    """The simulated ablation on the solver's grid.

    ``end_of_freeze_c`` is the temperature when the last freeze ends (the visible iceball is
    its part at or below 0 degC); ``cycle_minimum_c`` holds the lowest temperature reached in
    each freeze phase (and the thaw after it), one volume a freeze.
    """

    end_of_freeze_c: Volume
    cycle_minimum_c: tuple[Volume, ...]
    trace: Trace
    energy: EnergyBalance
    boundary_rise_c: float
    """Largest change of temperature at the grid's outer faces, degC (0 = domain big enough)."""
    backend: str
    backend_reason: str
    precision: str
    steps: int
    options: dict[str, float | str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

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
        """
        lows = [v.array for v in self.cycle_minimum_c]
        if rule.cycles > len(lows):
            return Volume(np.full(self.grid.shape, 37.0, np.float32), self.grid, "degC")
        if rule.cycles == len(lows):
            return Volume(np.maximum.reduce(lows), self.grid, "degC")
        return Volume(np.sort(np.stack(lows), axis=0)[rule.cycles - 1], self.grid, "degC")

    def lethal_zone(self, rule: LethalRule) -> NDArray[np.bool_]:
        """Boolean zone on the solver's grid."""
        out: NDArray[np.bool_] = self.lethal_temperature(rule).array <= rule.threshold_c
        return out
