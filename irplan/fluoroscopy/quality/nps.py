"""Noise power spectrum of uniform images, its radial mean, and its correction for lag.

NPS(u, v) = dx dy / (M Nx Ny) sum |FFT(I - fit)|^2 over M half-overlapping regions (IEC 62220-1-1,
6.3.4; Cunningham in Beutel et al., Handbook of Medical Imaging 1, 2000, eq. 2.149).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irplan.errors import InputError
from irplan.fluoroscopy.quality.frames import require_frames, require_positive


@dataclass(frozen=True, eq=False)
class NoisePower:
    """A noise power spectrum.

    Parameters
    ----------
    power : (n, n) value^2 mm^2, zero frequency in the middle (``numpy.fft.fftshift`` order).
    frequency_per_mm : (n,) of both axes, cycles/mm.
    radial_per_mm, radial_power : its mean over rings one frequency step wide, without zero.
    mean : mean value of the images.
    variance : mean pixel variance of the detrended regions, value^2.
    regions : how many were averaged.
    """

    power: NDArray[np.float64]
    frequency_per_mm: NDArray[np.float64]
    radial_per_mm: NDArray[np.float64]
    radial_power: NDArray[np.float64]
    mean: float
    variance: float
    regions: int

    @property
    def integral(self) -> float:
        """Integral over both frequencies, value^2: the variance, by Parseval's theorem."""
        step = self.frequency_per_mm[1] - self.frequency_per_mm[0]
        return float(self.power.sum() * step * step)

    @property
    def normalised(self) -> NDArray[np.float64]:
        """Radial spectrum over the mean squared, mm^2."""
        return self.radial_power / self.mean**2


def noise_power(
    images: ArrayLike, pixel_mm: float, *, region_px: int = 256, degree: int = 2
) -> NoisePower:
    """Noise power spectrum of uniform ``images`` (frame, row, column).

    Parameters
    ----------
    pixel_mm : square pixels.
    region_px : side of the regions; they overlap by half.  Even.
    degree : of the two-dimensional polynomial taken off every region (0: its mean).

    Raises `InputError` for images smaller than one region, NaN, or a wrong argument.  Frames that
    lag are correlated: see `lag_corrected`.
    """
    frames = require_frames(images, "images")
    pixel = require_positive(pixel_mm, "pixel_mm", "mm")
    n = int(region_px)
    if n < 16 or n % 2 or degree not in (0, 1, 2) or n > min(frames.shape[1:]):
        raise InputError(
            "region_px, degree",
            got=f"regions of {region_px} px and degree {degree} in images of {frames.shape[1:]}",
            expected="an even side from 16 px to the image's, degree 0, 1 or 2",
            remedy="Use smaller regions or larger images.",
        )
    basis = _basis(n, degree)
    power = np.zeros((n, n))
    variance, regions = 0.0, 0
    for frame in frames:
        for row in range(0, frame.shape[0] - n + 1, n // 2):
            for column in range(0, frame.shape[1] - n + 1, n // 2):
                part = frame[row : row + n, column : column + n].ravel()
                rest = part - basis @ (basis.T @ part)
                power += np.abs(np.fft.fft2(rest.reshape(n, n))) ** 2
                variance += float(rest @ rest) / rest.size
                regions += 1
    power = np.fft.fftshift(power) * pixel * pixel / (regions * n * n)
    frequency = np.fft.fftshift(np.fft.fftfreq(n, pixel))
    at, radial = radial_mean(power, frequency)
    return NoisePower(
        power, frequency, at, radial, float(frames.mean()), variance / regions, regions
    )


def radial_mean(
    power: NDArray[np.float64], frequency_per_mm: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of a centred spectrum over rings up to the Nyquist frequency: frequencies, values.

    A ring holds what lies within half a step of it; the axes (u = 0 or v = 0), where fixed lines
    and the fit leave traces, are left out.
    """
    step = frequency_per_mm[1] - frequency_per_mm[0]
    u, v = np.meshgrid(frequency_per_mm, frequency_per_mm)
    radius = np.hypot(u, v)
    ring = np.rint(radius / step).astype(int)
    last = frequency_per_mm.size // 2
    use = (np.abs(u) > step / 2) & (np.abs(v) > step / 2) & (ring <= last)
    count = np.bincount(ring[use], minlength=last + 1)
    total = np.bincount(ring[use], weights=power[use], minlength=last + 1)
    where = np.bincount(ring[use], weights=radius[use], minlength=last + 1)
    keep = count > 0
    return where[keep] / count[keep], total[keep] / count[keep]


def lag_corrected(power: NDArray[np.float64], correlation: float) -> NDArray[np.float64]:
    """A spectrum as it would be without correlation of neighbouring frames.

    NPS (1 + rho) / (1 - rho) for noise that a first-order recursive filter (or lag of that form)
    has smoothed; ``correlation`` is rho of one frame's step (`irplan.fluoroscopy.quality.lag`).
    Raises `InputError` outside [0, 1).
    """
    if not 0.0 <= correlation < 1.0:
        raise InputError(
            "correlation",
            got=f"{correlation:g}",
            expected="0 <= rho < 1",
            remedy="Measure it with frame_correlation on a uniform run.",
        )
    return power * (1.0 + correlation) / (1.0 - correlation)


@cache
def _basis(n: int, degree: int) -> NDArray[np.float64]:
    """Orthonormal columns that span the polynomials up to ``degree`` on n x n pixels."""
    x = np.linspace(-1.0, 1.0, n)
    v, u = np.meshgrid(x, x, indexing="ij")
    terms = [
        (u**i) * (v**j) for i in range(degree + 1) for j in range(degree + 1) if i + j <= degree
    ]
    q, _ = np.linalg.qr(np.stack([t.ravel() for t in terms], axis=1))
    out: NDArray[np.float64] = q
    return out
