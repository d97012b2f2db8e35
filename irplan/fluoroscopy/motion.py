"""How a layer moves: breathing, heart beat, drift, as displacement in pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Motion:
    """Sum of breathing, a heart beat and a steady drift; (row, column) pixels.

    Parameters
    ----------
    breath_px : (row, column) from rest to full breath; raised-cosine, ``breath_s`` a cycle.
    beat_px : (row, column) of a heart beat, ``beat_s`` a cycle, systole in its first third.
    drift_px_s : (row, column) a second.
    bend : share by which the beat changes along the layer (0: it moves as a whole).
    phase_s : time offset.
    """

    breath_px: tuple[float, float] = (0.0, 0.0)
    breath_s: float = 4.0
    beat_px: tuple[float, float] = (0.0, 0.0)
    beat_s: float = 0.85
    drift_px_s: tuple[float, float] = (0.0, 0.0)
    bend: float = 0.0
    phase_s: float = 0.0

    def at(self, time_s: float) -> tuple[float, float]:
        """(row, column) displacement of the whole at a time."""
        t = time_s + self.phase_s
        breath = 0.5 - 0.5 * math.cos(2.0 * math.pi * t / self.breath_s)
        beat = _beat(t / self.beat_s)
        row, column = (
            self.breath_px[k] * breath + self.beat_px[k] * beat + self.drift_px_s[k] * time_s
            for k in (0, 1)
        )
        return row, column

    def shift(self, time_s: float, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 2) displacement of points of a curve (its far end beats more, by ``bend``)."""
        row, column = self.at(time_s)
        out = np.tile([row, column], (len(points), 1))
        if self.bend:
            along = np.linspace(-1.0, 1.0, len(points))
            beat = _beat((time_s + self.phase_s) / self.beat_s)
            out += self.bend * along[:, None] * beat * np.array(self.beat_px)
        return out


#: No motion.
STILL = Motion()


def _beat(cycles: float) -> float:
    """0 at rest, 1 in systole: a raised cosine in the first 40 % of each cycle."""
    part = cycles % 1.0
    return 0.5 - 0.5 * math.cos(2.0 * math.pi * part / 0.4) if part < 0.4 else 0.0
