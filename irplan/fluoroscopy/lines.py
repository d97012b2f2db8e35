"""Sets of line segments through a pixel, as integer steps."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def line_offsets(orientations: int, taps: int) -> NDArray[np.int64]:
    """(orientation, tap, 2) row and column of the taps of lines, shifted so that none is negative.

    The pixel itself has the offset (taps // 2, taps // 2).  Orientations are spread evenly over
    180 degrees, starting along a row; taps are a pixel apart and rounded.
    """
    reach = taps // 2
    out = np.empty((orientations, taps, 2), np.int64)
    for o in range(orientations):
        angle = math.pi * o / orientations
        for k in range(taps):
            t = k - reach
            out[o, k] = round(t * math.sin(angle)), round(t * math.cos(angle))
    return out + reach
