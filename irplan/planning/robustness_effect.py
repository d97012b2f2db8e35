"""What several applicators add up to at a point, whatever the modality, and how much is lethal.

The fast mode of the probability of coverage superposes single applicators.  Cold adds up as
Kirchhoff's potential, heat as a rise of temperature, the field of electrodes as itself; each is
taken so that it is lethal exactly where the simulated zone ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import AblationResult, CryoResult, HeatResult, Placement, tissue
from irplan.image import Volume
from irplan.planning.modality import (
    LETHAL_RISE_K,
    LOG_DOSE_PER_K,
    Modality,
    without_channels,
)
from irplan.planning.surfaces import sample

#: Nothing that is superposed is smaller, in its own unit.
LEAST_EFFECT = 1e-3
_BODY_C = 37.0
#: Logarithm of the dose over the lethal one within which a place is at the zone's edge, and far
#: outside it.
_EDGE, _OUTSIDE = 0.5, -40.0


@dataclass(frozen=True)
class AddedEffect:
    """The effect of one modality's applicators.

    Cold: fall of temperature, K.  Heat: rise of temperature, K, that of a dose where tissue lives
    (so many K above or below the lethal rise as the logarithm of Arrhenius' dose says) and what
    was reached beyond that inside the zone.  Electroporation: field, V/cm.
    """

    way: Modality

    @property
    def lethal(self) -> float:
        """The effect at the zone's edge."""
        return self.way.lethal_effect

    def at(
        self,
        result: AblationResult,
        placements: Sequence[Placement],
        points_mm: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """(n,) the effect at LPS points (n, 3)."""
        if isinstance(result, CryoResult):
            field = result.lethal_temperature(self.way.lethal)
            return result.body_temperature_c - sample(field, points_mm, result.body_temperature_c)
        zone, _ = self.way.zone(result, placements)
        if not isinstance(result, HeatResult):
            return np.maximum(-sample(zone, points_mm, 0.0), LEAST_EFFECT)
        inside = -sample(zone, points_mm, -_OUTSIDE)
        by_dose = LETHAL_RISE_K + inside / LOG_DOSE_PER_K
        edge = np.abs(zone.array) < _EDGE
        # A cooled shaft's cold line goes with the needle's channel, as the zone has it.
        turned = Volume(-result.maximum_c.array, result.grid, "degC")
        hottest = Volume(-without_channels(turned, placements).array, result.grid, "degC")
        shift = LETHAL_RISE_K - float(np.median(hottest.array[edge])) + _BODY_C if edge.any() else 0
        rise = sample(hottest, points_mm, _BODY_C) - _BODY_C + shift
        return np.maximum(np.where(inside >= 0.0, np.maximum(by_dose, rise), by_dose), LEAST_EFFECT)

    def potential(self, effect: NDArray[np.float64]) -> NDArray[np.float64]:
        """What is added up for an effect; rises with it."""
        if self.way.kind == "cryo":
            return flux_potential(effect)
        return np.maximum(effect, LEAST_EFFECT)


def flux_potential(cold_c: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kirchhoff's potential: integral of the conductivity over a fall of temperature, W/m.

    What adds up when heat flows to several probes is this, not temperature (Carslaw and Jaeger
    1959, section 1.6): frozen tissue conducts four times better.  Conductivities of soft tissue
    from the table, for a body at 37 degC; never below 1e-3.
    """
    t = tissue("tumour")
    warm = 37.0 - t.liquidus_c
    mushy = t.liquidus_c - t.solidus_c
    out = (
        t.k_unfrozen_w_per_mk * np.minimum(cold_c, warm)
        + t.k_mushy_w_per_mk * np.clip(cold_c - warm, 0.0, mushy)
        + t.k_frozen_w_per_mk * np.maximum(cold_c - warm - mushy, 0.0)
    )
    return np.maximum(out, LEAST_EFFECT)
