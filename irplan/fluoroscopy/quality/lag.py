"""Lag of a detector or filter: what is left of a signal one frame later, and correlated noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irplan.errors import InputError
from irplan.fluoroscopy.quality.frames import require_frames


@dataclass(frozen=True, eq=False)
class Lag:
    """``residual`` (k,): part of the signal left in the first, second ... frame after its end."""

    residual: NDArray[np.float64]

    @property
    def first_frame(self) -> float:
        """Part left in the first frame (IEC 62220-1-3)."""
        return float(self.residual[0])


def step_lag(signal: ArrayLike, last_on: int, *, dark: ArrayLike | float = 0.0) -> Lag:
    """Residual after a signal that was on up to frame ``last_on`` and then off.

    Parameters
    ----------
    signal : (frame,) mean over a region, or (frame, row, column).
    dark : the same without signal (number or (frame,)); subtracted.

    Raises `InputError` where there is no frame before or after, or no signal to fall.
    """
    values = np.asarray(signal, dtype=np.float64)
    if values.ndim == 3:
        values = require_frames(values, "signal").mean(axis=(1, 2))
    values = values - np.asarray(dark, dtype=np.float64)
    if values.ndim != 1 or not 0 <= last_on < values.size - 1 or not np.isfinite(values).all():
        raise InputError(
            "signal",
            got=f"{values.shape} with the last frame on at {last_on}",
            expected="finite means (frame,) with frames before and after the end",
            remedy="Give a run in which the signal ends.",
        )
    on = float(values[last_on])
    if on == 0.0:
        raise InputError(
            "signal",
            got="none in its last frame",
            expected="a signal that falls",
            remedy="Give the frame in which it was last on.",
        )
    return Lag(values[last_on + 1 :] / on)


def frame_correlation(frames: ArrayLike) -> float:
    """Correlation rho of the noise of neighbouring frames of a still, uniform run (t, row, col).

    Every pixel's mean over time is taken off first; the bias of that is solved for, with
    correlations that fall as rho^k (a first-order recursive filter).
    Raises `InputError` for fewer than 4 frames or a run without noise.
    """
    run = require_frames(frames, "frames", least=4)
    rest = run - run.mean(axis=0)
    variance = float((rest**2).mean())
    if variance == 0.0:
        raise InputError(
            "frames",
            got="frames without noise",
            expected="a run with noise",
            remedy="Give frames as they come, not averaged ones.",
        )
    n = run.shape[0]
    # E[cov] = rho s2 - V, E[var] = s2 - V with V the variance of the mean: solved for rho.
    cov = float((rest[1:] * rest[:-1]).mean())
    rho = cov / variance
    for _ in range(50):
        of_mean = _variance_of_mean(rho, n)
        new = (cov * (1.0 - of_mean) / variance) + of_mean
        if abs(new - rho) < 1e-9:
            break
        rho = new
    return float(min(max(rho, -1.0), 1.0))


def recursive_variance_ratio(gain: float) -> float:
    """Noise variance after y += gain (x - y) over that before: gain / (2 - gain)."""
    if not 0.0 < gain <= 1.0:
        raise InputError(
            "gain", got=f"{gain:g}", expected="0 < gain <= 1", remedy="Correct the value."
        )
    return gain / (2.0 - gain)


def _variance_of_mean(rho: float, n: int) -> float:
    """Variance of the mean of n values with correlation rho^|k|, in units of theirs."""
    lags = np.arange(1, n)
    return float((1.0 + 2.0 * ((1.0 - lags / n) * np.power(rho, lags)).sum()) / n)
