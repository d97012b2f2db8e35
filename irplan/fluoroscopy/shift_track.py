"""The shift of frame after frame, steadied: a picture drifts evenly unless it clearly does not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_GAIN = 0.4
_SPEED_GAIN = _GAIN**2 / (2.0 - _GAIN)
_MEMORY = 0.4  # of the mean innovation
#: Squared mean innovation, in its own variance over two directions, that noise reaches once in 400.
_UNLIKELY = 8.0
#: Variance of an innovation: at first, and its bounds (a quickly changing course must not pass
#: for noise).
_SPREAD_PX2, _LEAST_PX2, _MOST_PX2 = 0.04, 0.0025, 0.05


class ShiftTrack:
    """Alpha-beta filter (Kalata 1984) of (row, column) shifts in pixels, which starts anew.

    Each measured shift is joined with what even motion predicts (gains 0.4 and 0.1 in the long
    run: SD 0.57 of the measurements').  Where measurements leave the prediction, at once (4 SD) or
    by little but the same way for some frames, the measurement counts alone and it starts anew.
    """

    def __init__(self) -> None:
        self._at, self._speed = np.zeros(2), np.zeros(2)
        self._mean, self._variance = np.zeros(2), _SPREAD_PX2
        self._seen = 0

    def step(self, measured: tuple[float, float]) -> tuple[float, float]:
        """Take the shift measured in the next frame, give the steadied one."""
        new = np.array(measured, np.float64)
        if self._seen == 0:
            self._restart(new)
            return measured
        predicted = self._at + self._speed
        off = new - predicted
        self._mean += _MEMORY * (off - self._mean)
        limit = _UNLIKELY * self._variance
        drawn_away = self._seen > 3 and (
            float(self._mean @ self._mean) > limit * _MEMORY / (2.0 - _MEMORY)
        )
        if float(off @ off) > 16.0 * self._variance * 2.0 or drawn_away:
            self._restart(new)
            return measured
        self._variance += 0.1 * (0.5 * float(off @ off) - self._variance)
        self._variance = min(max(self._variance, _LEAST_PX2), _MOST_PX2)
        self._seen += 1
        n = self._seen
        gain = max(_GAIN, 2.0 * (2 * n - 1) / (n * (n + 1)))
        speed_gain = max(_SPEED_GAIN, 6.0 / (n * (n + 1)))
        self._at = predicted + gain * off
        self._speed = self._speed + min(speed_gain, 1.0) * off
        return float(self._at[0]), float(self._at[1])

    def predicted(self) -> tuple[float, float]:
        """Where the next frame is expected."""
        at = self._at + self._speed
        return float(at[0]), float(at[1])

    def state(self) -> NDArray[np.float64]:
        """All of it, (8,)."""
        return np.array([*self._at, *self._speed, *self._mean, self._variance, self._seen])

    def restore(self, state: NDArray[np.float64]) -> None:
        """Go on from `state`."""
        self._at, self._speed, self._mean = (np.array(state[k : k + 2]) for k in (0, 2, 4))
        self._variance, self._seen = float(state[6]), int(state[7])

    def _restart(self, at: NDArray[np.float64]) -> None:
        self._at, self._speed, self._mean = at, np.zeros(2), np.zeros(2)
        self._seen = 1
