"""Named detectors and beams: quanta, noise, blur, lag, as few cited numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError

#: Squared signal-to-noise ratio of the beam a mm2 and uGy of air kerma (IEC 62220-1:2003,
#: table 2), RQA3, 5, 7 and 9.
SNR2_PER_MM2_UGY = {"RQA3": 21759.0, "RQA5": 30174.0, "RQA7": 32362.0, "RQA9": 31077.0}


@dataclass(frozen=True)
class Detector:
    """A flat detector behind a grid, with the beam that reaches it.

    Parameters
    ----------
    pixel_mm : pitch.
    efficiency : share of the beam's squared SNR that is detected (DQE at zero frequency).
    snr2_per_mm2_ugy : of the beam (`SNR2_PER_MM2_UGY`).
    equal_noise_dose_ngy : at this dose electronic equals quantum noise.
    mtf_c : MTF(f) = 1 / (1 + mtf_c f^2), f in cycles/mm.
    gain : value units a quantum; ``offset``: value in the dark; ``bits``: of the converter.
    lag : share of a frame's charge that is read out in the next frames (first one: ``lag`` times
        1 - ``lag_decay`` ... geometric); 0 none.
    scatter_ratio, scatter_sigma_mm : scatter-to-primary behind the grid, and its spread.
    glare, glare_sigma_mm : veiling glare of the detector.
    """

    name: str = "flat-panel-0.2"
    pixel_mm: float = 0.2
    efficiency: float = 0.75
    snr2_per_mm2_ugy: float = SNR2_PER_MM2_UGY["RQA5"]
    equal_noise_dose_ngy: float = 4.0
    mtf_c: float = 0.6
    gain: float = 24.0
    offset: float = 100.0
    bits: int = 16
    lag: float = 0.03
    lag_decay: float = 0.5
    scatter_ratio: float = 0.4
    scatter_sigma_mm: float = 16.0
    glare: float = 0.02
    glare_sigma_mm: float = 40.0

    def __post_init__(self) -> None:
        if not (self.pixel_mm > 0.0 and 0.0 < self.efficiency <= 1.0 and self.gain > 0.0):
            raise _bad("pixel_mm, efficiency, gain", "positive; efficiency at most 1")
        if not (0.0 <= self.lag < 1.0 and 0.0 <= self.lag_decay < 1.0):
            raise _bad("lag, lag_decay", "0 to below 1")
        if not 8 <= self.bits <= 16:
            raise _bad("bits", "8 to 16")
        if min(self.scatter_ratio, self.glare, self.mtf_c, self.equal_noise_dose_ngy) < 0.0:
            raise _bad("scatter_ratio, glare, mtf_c, equal_noise_dose_ngy", "0 or more")

    def quanta(self, dose_ngy: float) -> float:
        """Detected quanta a pixel at this air kerma a frame at the detector."""
        area = self.pixel_mm**2
        return dose_ngy * 1e-3 * self.snr2_per_mm2_ugy * area * self.efficiency

    @property
    def electronic_sd_quanta(self) -> float:
        """SD of the electronic noise, in quanta."""
        return float(np.sqrt(self.quanta(self.equal_noise_dose_ngy)))

    def mtf(self, frequency_per_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Presampled MTF at these frequencies (cycles/mm)."""
        out: NDArray[np.float64] = 1.0 / (1.0 + self.mtf_c * np.square(frequency_per_mm))
        return out


#: Named settings.  "flat-panel-0.2": caesium iodide on a 0.2 mm pitch; "flat-panel-0.15": a finer
#: one; "ideal": quanta alone, no blur, lag, scatter or electronic noise (for theory).
DETECTORS: dict[str, Detector] = {
    d.name: d
    for d in (
        Detector(),
        Detector(name="flat-panel-0.15", pixel_mm=0.154, mtf_c=0.45, gain=32.0),
        Detector(
            name="ideal",
            efficiency=1.0,
            equal_noise_dose_ngy=0.0,
            mtf_c=0.0,
            lag=0.0,
            scatter_ratio=0.0,
            glare=0.0,
        ),
    )
}


def detector(name: str) -> Detector:
    """The named detector; `InputError` lists the names."""
    if name not in DETECTORS:
        raise InputError(
            "detector",
            got=repr(name),
            expected=", ".join(DETECTORS),
            remedy="Use one of these, or build a Detector.",
        )
    return DETECTORS[name]


def _bad(field: str, expected: str) -> InputError:
    return InputError(
        f"detector.{field}", got="other values", expected=expected, remedy="Correct the detector."
    )
