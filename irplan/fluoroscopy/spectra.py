"""Named X-ray beams at the detector: quanta a dose, hardness, and how they see materials."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError
from irplan.fluoroscopy.anatomy import Texture
from irplan.fluoroscopy.detector import Detector
from irplan.fluoroscopy.devices import Bolus, Tube
from irplan.fluoroscopy.scene import Layer, Scene
from irplan.fluoroscopy.spectra_table import (
    AIR_ABSORPTION_CM2_G,
    ATTENUATION_CM2_G,
    BEAM_TABLE,
    ENERGIES_KEV,
)

#: Caesium iodide of the detector, g/cm2 (0.6 mm at three quarters of the crystal's density).
_CSI_G_CM2 = 0.2
_ALUMINIUM_G_CM3 = 2.699
#: The beam for which the scenes' line integrals are given.
REFERENCE_BEAM = "RQA5"


@dataclass(frozen=True, eq=False)
class Beam:
    """A beam as it reaches the detector.

    ``tube_kv``; ``passed``: what it passes besides 2.5 mm of aluminium; ``fluence`` (energy,):
    photons a mm2 and uGy of air kerma in bins of 2 keV about `energies_kev`.
    """

    name: str
    tube_kv: float
    passed: str
    fluence: NDArray[np.float64]

    @property
    def energies_kev(self) -> NDArray[np.float64]:
        """Middle of the bins."""
        return np.array(ENERGIES_KEV, np.float64)

    @property
    def snr2_per_mm2_ugy(self) -> float:
        """Squared SNR an ideal counter has, a mm2 and uGy (IEC 62220-1): the photons' number."""
        return float(self.fluence.sum())

    @property
    def mean_kev(self) -> float:
        """Mean energy."""
        return float(self.fluence @ self.energies_kev / self.fluence.sum())

    @cached_property
    def _weight(self) -> NDArray[np.float64]:
        """Share of each bin in the detector's signal (energy absorbed in caesium iodide)."""
        caught = -np.expm1(-_CSI_G_CM2 * np.array(ATTENUATION_CM2_G["CsI"]))
        signal = self.fluence * self.energies_kev * caught
        out: NDArray[np.float64] = signal / signal.sum()
        return out

    @property
    def absorbed(self) -> float:
        """Share of the photons that the detector's caesium iodide stops."""
        caught = -np.expm1(-_CSI_G_CM2 * np.array(ATTENUATION_CM2_G["CsI"]))
        return float(self.fluence @ caught / self.fluence.sum())

    def attenuation_cm2_g(self, material: str) -> float:
        """Effective mass attenuation of a thin layer in the detector's signal.

        "water", "bone", "aluminium", "iron", "platinum", "iodine" or "CsI"; else `InputError`.
        """
        if material not in ATTENUATION_CM2_G:
            raise InputError(
                "material", got=repr(material), expected=", ".join(ATTENUATION_CM2_G),
                remedy="Use one of these.",
            )  # fmt: skip
        return float(self._weight @ np.array(ATTENUATION_CM2_G[material]))

    @property
    def first_half_value_mm_al(self) -> float:
        """Aluminium that halves the air kerma, mm (the beam's hardness)."""
        weight = self.fluence * self.energies_kev * np.array(AIR_ABSORPTION_CM2_G)
        mu = 0.1 * _ALUMINIUM_G_CM3 * np.array(ATTENUATION_CM2_G["aluminium"])  # 1/mm
        low, high = 0.0, 60.0
        for _ in range(60):
            middle = 0.5 * (low + high)
            left = float(weight @ np.exp(-mu * middle)) / float(weight.sum())
            low, high = (middle, high) if left > 0.5 else (low, middle)
        return 0.5 * (low + high)


#: The beams by name: IEC 61267's RQA qualities (nominal voltage), and settings of fluoroscopy
#: behind 20 or 30 cm of water.  Source: `irplan/fluoroscopy/spectra_table.py`.
BEAMS: dict[str, Beam] = {
    name: Beam(name, kv, passed, np.array(bins)) for name, (kv, passed, bins) in BEAM_TABLE.items()
}


def beam(name: str) -> Beam:
    """The named beam; `InputError` lists the names."""
    if name not in BEAMS:
        raise InputError("beam", got=repr(name), expected=", ".join(BEAMS), remedy="Use one.")
    return BEAMS[name]


def behind(detector: Detector, beam: Beam) -> Detector:
    """The detector in this beam: its quanta a dose, and how many of them are caught.

    The efficiency is scaled by the share that caesium iodide stops, against RQA5.
    """
    share = beam.absorbed / BEAMS[REFERENCE_BEAM].absorbed
    return replace(
        detector,
        snr2_per_mm2_ugy=beam.snr2_per_mm2_ugy,
        efficiency=min(1.0, detector.efficiency * share),
    )


def seen_in(scene: Scene, beam: Beam) -> Scene:
    """The scene as this beam sees it: line integrals scaled from those of RQA5.

    Wires, catheters and coils as iron, contrast agent as iodine, anatomy as water: thin-layer
    values, so beam hardening within the object is not in it.
    """
    reference = BEAMS[REFERENCE_BEAM]

    def ratio(material: str) -> float:
        return beam.attenuation_cm2_g(material) / reference.attenuation_cm2_g(material)

    def scaled(layer: Layer) -> Layer:
        if isinstance(layer, Tube):
            return replace(layer, mu_per_px=layer.mu_per_px * ratio("iron"))
        if isinstance(layer, Bolus):
            return replace(layer, mu_per_px=layer.mu_per_px * ratio("iodine"))
        if isinstance(layer, Texture):
            return replace(layer, picture=layer.picture * np.float32(ratio("water")))
        return layer

    return replace(scene, layers=tuple(scaled(layer) for layer in scene.layers))
