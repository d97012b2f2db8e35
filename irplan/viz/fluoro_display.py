"""From X-ray values to grey levels: logarithm, window, soft ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError


@dataclass(frozen=True)
class DisplayLut:
    """Grey 0..255 from values ``low`` to ``high``.

    ``logarithmic``: equal attenuation gives equal steps (thick and thin parts show alike);
    ``softness`` 0..1 bends the ends (a smoothstep at 1) instead of clipping hard.
    """

    low: float
    high: float
    logarithmic: bool = False
    softness: float = 0.3

    def __post_init__(self) -> None:
        if not self.high > self.low or not 0.0 <= self.softness <= 1.0:
            raise InputError(
                "display",
                got=f"{self.low} to {self.high}, softness {self.softness}",
                expected="low below high; softness 0 to 1",
                remedy="Correct the window.",
            )

    @staticmethod
    def of(frames: NDArray[Any], *, logarithmic: bool = False) -> DisplayLut:
        """A window over the middle 99 % of a run (some of its frames)."""
        part = frames[:: max(1, len(frames) // 8), ::4, ::4]
        low, high = (float(v) for v in np.percentile(part, [0.5, 99.5]))
        return DisplayLut(low, max(high, low + 1.0), logarithmic)

    def apply(self, frame: NDArray[Any]) -> NDArray[np.uint8]:
        """(row, column) grey levels."""
        x = np.asarray(frame, np.float32)
        if self.logarithmic:
            top = np.log1p(self.high - self.low)
            t = np.log1p(np.maximum(x - np.float32(self.low), 0.0)) / np.float32(top)
        else:
            t = (x - np.float32(self.low)) / np.float32(self.high - self.low)
        t = np.clip(t, 0.0, 1.0)
        soft = np.float32(self.softness)
        t = (1 - soft) * t + soft * t * t * (3 - 2 * t)
        out: NDArray[np.uint8] = np.rint(255.0 * t).astype(np.uint8)
        return out
