"""Detective quantum efficiency from MTF, noise power and detector dose (IEC 62220-1-1, 6.3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irplan.fluoroscopy.quality.frames import require_positive
from irplan.fluoroscopy.quality.mtf import Transfer
from irplan.fluoroscopy.quality.nps import NoisePower

#: Squared signal to noise ratio of the incident quanta, 1/(mm^2 uGy), beam quality RQA5 of
#: IEC 61267 (IEC 62220-1-1, table 2).
SNR2_RQA5_PER_MM2_UGY = 30174.0


def dqe(
    transfer: Transfer,
    noise: NoisePower,
    dose_ugy: float,
    *,
    snr2_per_mm2_ugy: float = SNR2_RQA5_PER_MM2_UGY,
    frequency_per_mm: ArrayLike | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies, cycles/mm, and DQE of linear, dark-subtracted images.

    DQE(f) = MTF(f)^2 / (K SNR2in NPS(f) / mean^2).

    Parameters
    ----------
    transfer, noise : of images linear in dose, black at zero.
    dose_ugy : air kerma K at the detector of one frame, uGy.
    snr2_per_mm2_ugy : of the beam quality used.
    frequency_per_mm : where; default the noise spectrum's rings.

    Raises `InputError` for a dose or SNR2in that is not positive.
    """
    quanta = require_positive(dose_ugy, "dose_ugy", "uGy") * require_positive(
        snr2_per_mm2_ugy, "snr2_per_mm2_ugy", "1/(mm2 uGy)"
    )
    at = (
        noise.radial_per_mm
        if frequency_per_mm is None
        else np.asarray(frequency_per_mm, dtype=np.float64)
    )
    power = np.interp(at, noise.radial_per_mm, noise.normalised)
    return at, transfer.at(at) ** 2 / (quanta * power)
