"""Quantum noise with the spectrum of filtered backprojection."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from irplan.compute import Progress, no_progress

#: Frequency of the apodisation's half height of a soft-tissue kernel, cycles/mm.
KERNEL_HALF_FREQUENCY_PER_MM = 0.42
#: Correlation of neighbouring slices 1 mm apart (helical interpolation), falling to 0 by 3 mm.
SLICE_MIX_MM = 0.9


def correlated_noise(
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    noise_hu: float,
    rng: np.random.Generator,
    *,
    half_frequency_per_mm: float = KERNEL_HALF_FREQUENCY_PER_MM,
    progress: Progress = no_progress,
) -> NDArray[np.float32]:
    """Zero-mean Gaussian noise of standard deviation ``noise_hu``, float32 (slice, row, column).

    The in-plane power spectrum is that of filtered backprojection, NPS(f) ~ f H(f)^2 with a
    Gaussian apodisation H (Riederer, Pelc & Chesler, Phys Med Biol 1978;23:446); neighbouring
    slices are mixed with weight exp(-(ds/0.9)^2) as by helical interpolation.  The deviation is
    set through the filter's own power, so it holds exactly in expectation.  It is stationary: a
    real scan's noise grows towards the middle of the body (`Variant.noise_swell`).
    ``half_frequency_per_mm`` is the apodisation's half height: smaller for a softer kernel.
    """
    n_slices, n_rows, n_cols = shape
    out = np.zeros(shape, dtype=np.float32)
    if noise_hu == 0.0:
        return out
    fast = fft.next_fast_len(n_rows, real=True), fft.next_fast_len(n_cols, real=True)
    fy = fft.fftfreq(fast[0], spacing_mm[1])[:, None]
    fx = fft.rfftfreq(fast[1], spacing_mm[2])[None, :]
    f = np.hypot(fy, fx)
    shape_of = np.sqrt(f) * np.exp(-np.log(2.0) * (f / half_frequency_per_mm) ** 2)
    twice = np.full(fx.size, 2.0)  # a real transform holds the inner columns' mirror as well
    twice[0] = 1.0
    if fast[1] % 2 == 0:
        twice[-1] = 1.0
    power = float((shape_of**2 * twice).sum()) / (fast[0] * fast[1])
    mix = float(np.exp(-((spacing_mm[0] / SLICE_MIX_MM) ** 2)))
    gain = noise_hu / np.sqrt(power * (1.0 + 2.0 * mix * mix))
    transfer = (gain * shape_of).astype(np.float32)
    block = 12
    for first in range(0, n_slices + 2, block):
        last = min(first + block, n_slices + 2)
        white = rng.standard_normal((last - first, *fast), dtype=np.float32)
        spectrum = fft.rfft2(white, axes=(1, 2), workers=-1, overwrite_x=True)
        spectrum *= transfer
        field = fft.irfft2(spectrum, s=fast, axes=(1, 2), workers=-1, overwrite_x=True)
        field = field[:, :n_rows, :n_cols]
        for k in range(last - first):  # input slice s feeds output slices s-2, s-1, s
            s = first + k
            for target, weight in ((s - 2, mix), (s - 1, 1.0), (s, mix)):
                if 0 <= target < n_slices and weight > 1e-3:
                    out[target] += np.float32(weight) * field[k]
        progress(last / (n_slices + 2), "noise")
    return out
