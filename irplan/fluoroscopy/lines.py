"""Sets of line segments through a pixel, as integer steps."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from irplan.compute.cpu import fluoro_spatial, fluoro_temporal
from irplan.compute.crew import share_rows


def line_offsets(orientations: int, taps: int) -> NDArray[np.int64]:
    """(orientation, tap, 2) row and column of the taps of lines, shifted so that none is negative.

    The pixel itself has the offset (taps // 2, taps // 2).  Orientations are spread evenly over
    180 degrees, starting along a row; taps are a pixel apart along the nearer axis (none twice).
    """
    reach = taps // 2
    out = np.empty((orientations, taps, 2), np.int64)
    for o in range(orientations):
        row, column = _direction(o, orientations)
        for k in range(taps):
            t = k - reach
            out[o, k] = round(t * row), round(t * column)
    return out + reach


def _direction(o: int, orientations: int) -> tuple[float, float]:
    """(row, column) of an orientation, the larger one 1."""
    angle = math.pi * o / orientations
    larger = max(abs(math.sin(angle)), abs(math.cos(angle)))
    return math.sin(angle) / larger, math.cos(angle) / larger


class LineFinder:
    """Strongest line of 21 half pixels through every half pixel, in 24 orientations.

    The half picture is smoothed by 1-2-1 first, so that wires of 2 to 6 pixels are seen alike.
    """

    orientations, taps, reach = 24, 7, 10

    def __init__(self, shape: tuple[int, int]) -> None:
        self.best, self.which = np.empty(shape, np.float32), np.empty(shape, np.float32)
        # zeros around: no line ends at an edge by chance
        grown = (shape[0] + 2 * self.reach, shape[1] + 2 * self.reach)
        self._padded = np.zeros(grown, np.float32)
        self._offsets = line_offsets(self.orientations, self.taps)
        step = np.array([_direction(o, self.orientations) for o in range(self.orientations)])
        self._far = np.rint(self.taps * step).astype(np.int64)

    def find(self, half: NDArray[np.float32], sd: float) -> None:
        """Fill `best` (signed mean along the line) and `which` (orientation).

        ``sd`` of one line's mean, as far as known (`noise_sd` of the frame before; 0: unknown).
        """
        known = sd if sd > 0.0 else 1e6
        spare = np.float32(_SPARE * self.taps * np.sqrt(3.0) * known)
        padded = self._padded
        share_rows(len(half), lambda a, b: fluoro_spatial.soften(half, self.reach, a, b, padded))
        share_rows(
            len(half),
            lambda a, b: fluoro_temporal.lines(
                padded, self._offsets, self._far, spare, a, b, self.best, self.which
            ),
        )

    def noise_sd(self, sample: NDArray[np.float32]) -> float:
        """SD of one line's mean where there is no line, from `best`; ``sample`` is scratch."""
        step = max(1, self.best.size // sample.size) | 1
        n = fluoro_spatial.sampled(self.best, step, sample)
        return max(float(np.median(sample[:n])) / MEDIAN_BEST, 1e-6)


#: A third of a line may be this many of its own SD off the middle third.
_SPARE = 2.5
#: Median of the strongest of the line means in white noise, in SD of one (measured; tested).
MEDIAN_BEST = 1.85
