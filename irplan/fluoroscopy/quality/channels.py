"""Channels of model observers: Laguerre-Gauss and Gabor, as columns over the pixels of a patch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import eval_laguerre

from irplan.errors import InputError

#: Centre frequencies (cycles/pixel) of the default Gabor channels, one octave each.
GABOR_FREQUENCIES = (0.0469, 0.0938, 0.1875, 0.375)


def laguerre_gauss(
    size_px: int, count: int, width_px: float, *, centre_px: tuple[float, float] = (0.0, 0.0)
) -> NDArray[np.float64]:
    """(size^2, count) Laguerre-Gauss channels (Gallas and Barrett, JOSA A 20:1725, 2003, eq. 30).

    u_n(r) = sqrt(2)/a exp(-pi r^2/a^2) L_n(2 pi r^2/a^2): orthonormal, round.

    Parameters
    ----------
    size_px : side of the square patch, odd: its middle pixel is the object's place.
    width_px : a; about the object's diameter times 1.5 suits a disc.
    centre_px : (row, column) of the channels off the middle.
    """
    row, column = _grid(size_px, centre_px)
    if count < 1 or not width_px > 0:
        raise _bad(f"{count} channels of width {width_px}")
    x = 2.0 * np.pi * (row**2 + column**2) / width_px**2
    envelope = math.sqrt(2.0) / width_px * np.exp(-x / 2.0)
    return np.stack([(envelope * eval_laguerre(n, x)).ravel() for n in range(count)], axis=1)


def gabor(
    size_px: int,
    *,
    frequencies_per_px: Sequence[float] = GABOR_FREQUENCIES,
    orientations: int = 4,
    phases: Sequence[float] = (0.0, math.pi / 2.0),
    centre_px: tuple[float, float] = (0.0, 0.0),
) -> NDArray[np.float64]:
    """(size^2, frequencies x orientations x phases) Gabor channels of one octave.

    exp(-4 ln2 r^2/w^2) cos(2 pi f x' + phase) with w = 6 ln2/(pi f), so that half the peak lies at
    2/3 f and 4/3 f (Eckstein, Bartroff et al., Opt. Express 11:460, 2003).
    """
    row, column = _grid(size_px, centre_px)
    if orientations < 1 or not frequencies_per_px or min(frequencies_per_px) <= 0:
        raise _bad(f"{orientations} orientations, frequencies {tuple(frequencies_per_px)}")
    out = []
    for f in frequencies_per_px:
        width = 6.0 * math.log(2.0) / (math.pi * f)
        envelope = np.exp(-4.0 * math.log(2.0) * (row**2 + column**2) / width**2)
        for k in range(orientations):
            angle = math.pi * k / orientations
            along = row * math.sin(angle) + column * math.cos(angle)
            for phase in phases:
                out.append((envelope * np.cos(2.0 * math.pi * f * along + phase)).ravel())
    return np.stack(out, axis=1)


def _grid(
    size_px: int, centre_px: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if size_px < 5 or size_px % 2 == 0:
        raise _bad(f"a patch of {size_px} px")
    x = np.arange(size_px, dtype=np.float64) - size_px // 2
    row, column = np.meshgrid(x, x, indexing="ij")
    return row - centre_px[0], column - centre_px[1]


def _bad(got: str) -> InputError:
    return InputError(
        "channels",
        got=got,
        expected="an odd patch of 5 px or more, at least one channel, positive widths and "
        "frequencies",
        remedy="Correct the argument.",
    )
