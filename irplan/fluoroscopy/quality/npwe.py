"""Non-prewhitening observer with an eye filter (Burgess, JOSA A 11:1237, 1994)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError
from irplan.fluoroscopy.quality.frames import require_positive, require_same_shape
from irplan.fluoroscopy.quality.observer import Detectability, hotelling

#: Exponent and fall of the eye filter E(f) = f^1.3 exp(-0.0406 f^2), f in cycles/degree: its peak
#: is at 4 cycles/degree.
_RISE, _FALL = 1.3, 0.0406


@dataclass(frozen=True)
class Viewing:
    """How the image is looked at: distance from the screen and size of an image pixel on it, mm."""

    distance_mm: float = 600.0
    pixel_mm: float = 0.29

    def __post_init__(self) -> None:
        require_positive(self.distance_mm, "viewing.distance_mm", "mm")
        require_positive(self.pixel_mm, "viewing.pixel_mm", "mm")


def eye_filter(size_px: int, viewing: Viewing) -> NDArray[np.float64]:
    """(size, size) E(f) at the frequencies of ``numpy.fft.fft2``."""
    per_degree = viewing.distance_mm * np.pi / 180.0 / viewing.pixel_mm
    f = np.fft.fftfreq(size_px) * per_degree
    radius = np.hypot(f[:, None], f[None, :])
    out: NDArray[np.float64] = radius**_RISE * np.exp(-_FALL * radius**2)
    return out


def npwe_from_spectra(
    signal: NDArray[np.float64], noise: NDArray[np.float64], viewing: Viewing
) -> float:
    """d' from the expected difference image and the noise power.

    d'^2 = (sum |S|^2 E^2)^2 / sum |S|^2 E^4 N.

    Parameters
    ----------
    signal : (n, n) mean difference image, value units.
    noise : (n, n) noise power a pixel, value^2 (pixel = 1), in ``numpy.fft.fft2`` order: the
        variance is its mean.
    """
    require_same_shape(signal, noise, "noise")
    if signal.ndim != 2 or signal.shape[0] != signal.shape[1]:
        raise InputError(
            "signal", got=f"shape {signal.shape}", expected="a square", remedy="Cut a square."
        )
    n = int(signal.shape[0])
    power = np.abs(np.fft.fft2(signal)) ** 2
    e2 = eye_filter(n, viewing) ** 2
    # the template is E^2 S; its response to noise has the variance sum |S|^2 E^4 N / n^2 (Parseval)
    top = float((power * e2).sum()) / n**2
    below = float((power * e2 * e2 * noise).sum()) / n**2
    return top / math.sqrt(max(below, 1e-300))


def npwe(
    present: NDArray[np.float64],
    absent: NDArray[np.float64],
    viewing: Viewing,
    *,
    paired: bool = False,
    groups: NDArray[np.intp] | None = None,
    draws: int = 400,
    seed: int = 0,
) -> Detectability:
    """d' of (sample, n, n) patches: template is the eye-filtered mean difference.

    ``paired``, ``groups``, ``draws``, ``seed`` as `irplan.fluoroscopy.quality.observer.hotelling`.
    The template is made of all samples; with paired noise its own noise is negligible.
    """
    require_same_shape(present, absent, "absent")
    output = npwe_outputs(present, absent, viewing)
    return hotelling(
        output[0], output[1], paired=paired, template=np.ones(1), groups=groups, draws=draws,
        seed=seed,
    )  # fmt: skip


def npwe_outputs(
    present: NDArray[np.float64], absent: NDArray[np.float64], viewing: Viewing
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(sample, 1) template outputs of both, as `hotelling` takes them with template (1,)."""
    n = present.shape[-1]
    difference = present.mean(axis=0) - absent.mean(axis=0)
    seen = np.fft.fft2(difference) * eye_filter(n, viewing) ** 2
    template = np.real(np.fft.ifft2(seen)).ravel()
    return tuple(x.reshape(x.shape[0], -1) @ template[:, None] for x in (present, absent))  # type: ignore[return-value]
