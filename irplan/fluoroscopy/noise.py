"""The noise of a run, estimated from its own frames, and the transform that makes it SD 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.compute.cpu import fluoro_spatial, fluoro_temporal
from irplan.compute.crew import share_rows
from irplan.fluoroscopy.filter import Frame, State
from irplan.image import Photometry

_BLOCK = 8
_BINS = 16
#: Median of a chi-square with 63 degrees of freedom, over 63.
_MEDIAN_SHARE = 0.9894


@dataclass(frozen=True, eq=False)
class NoiseModel:
    """Variance a (y - offset) + b of a pixel, or a table of SDs for values that are not linear.

    ``knots`` (2, n): values and their stabilised values, where a table is used; else empty.
    """

    gain: float
    floor: float
    offset: float
    knots: NDArray[np.float64]

    def stabilise(self, y: Frame, out: Frame) -> None:
        """``out`` = values whose noise has SD 1."""
        if self.knots.size:
            out[:] = np.interp(y, self.knots[0], self.knots[1])
            return
        a = np.float32(self.gain)
        extra, offset = np.float32(0.375 * self.gain**2 + self.floor), np.float32(self.offset)
        share_rows(
            y.shape[0], lambda p, q: fluoro_temporal.stabilise(y, a, extra, offset, p, q, out)
        )

    def unstabilise(self, x: Frame, out: Frame) -> None:
        """``out`` = x back in value units (unbiased inverse, for values of little noise)."""
        if self.knots.size:
            out[:] = np.interp(x, self.knots[1], self.knots[0])
            return
        a, offset = np.float32(self.gain), np.float32(self.offset)
        extra = np.float32(self.gain / 8.0 + self.floor / self.gain)
        share_rows(
            x.shape[0], lambda p, q: fluoro_spatial.unstabilise(x, a, extra, offset, p, q, out)
        )

    def variance(self, value: float) -> float:
        """Noise variance of a pixel at this value."""
        if self.knots.size:
            slope = np.gradient(self.knots[1], self.knots[0])
            return float(np.interp(value, self.knots[0], slope) ** -2)
        return max(self.gain * (value - self.offset) + self.floor, 1e-12)

    def state(self) -> State:
        """As arrays."""
        return {"model": np.array([self.gain, self.floor, self.offset]), "knots": self.knots}

    @staticmethod
    def of_state(state: Mapping[str, NDArray[np.float64]]) -> NoiseModel:
        """From `state`."""
        gain, floor, offset = (float(v) for v in state["model"])
        return NoiseModel(gain, floor, offset, np.array(state["knots"], np.float64))


def block_noise(new: Frame, old: Frame | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(mean, variance) of 8 x 8 blocks (every second row of blocks).

    The variance is half that of new - old; without an older frame that of second differences
    along rows (which sees only the finest noise; too small where noise is blurred).
    """
    rows = new.shape[0] // (2 * _BLOCK) * 2 * _BLOCK
    columns = new.shape[1] // _BLOCK * _BLOCK

    def blocks(image: Frame) -> NDArray[np.float32]:
        strip = image[:rows, :columns].reshape(-1, 2 * _BLOCK, columns)[:, :_BLOCK]
        cut = strip.reshape(-1, _BLOCK, columns // _BLOCK, _BLOCK).transpose(0, 2, 1, 3)
        return cut.reshape(-1, _BLOCK * _BLOCK)

    value = blocks(new)
    mean = value.mean(axis=1, dtype=np.float64)
    if old is not None:
        return mean, 0.5 * (value - blocks(old)).var(axis=1, ddof=1, dtype=np.float64)
    ripple = np.zeros_like(new)
    ripple[:, 1:-1] = new[:, 1:-1] - 0.5 * (new[:, :-2] + new[:, 2:])
    return mean, blocks(ripple).var(axis=1, dtype=np.float64) / 1.5


def fit_noise(
    mean: NDArray[np.float64], variance: NDArray[np.float64], photometry: Photometry
) -> NoiseModel:
    """The model through block means and variances (robust: medians of 16 bins of the mean)."""
    order = np.argsort(mean)
    parts = [p for p in np.array_split(order, _BINS) if p.size]
    x = np.array([np.median(mean[p]) for p in parts])
    v = np.array([np.median(variance[p]) for p in parts]) / _MEDIAN_SHARE
    v = np.maximum(v, 1e-6 * max(1.0, float(np.abs(x).max())) ** 2 * 1e-6 + 1e-9)
    if photometry.relation != "linear" or photometry.inverted:
        return NoiseModel(1.0, 0.0, 0.0, _table(x, v, photometry))
    above = np.maximum(x - photometry.offset, 1e-6)
    if photometry.electronic_sd is not None:
        floor = min(photometry.electronic_sd**2, 0.9 * float(v.min()))
        gain = float(np.median((v - floor) / above))
    elif above.max() > 1.5 * above.min():
        slope, floor = np.polyfit(above, v, 1, w=1.0 / v)
        gain, floor = float(slope), float(np.clip(floor, 0.0, 0.9 * v.min()))
        if gain <= 0.0 or floor == 0.0:
            gain = float(np.median((v - floor) / above))
    else:
        floor, gain = 0.0, float(np.median(v / above))
    return NoiseModel(max(gain, 1e-6), floor, photometry.offset, np.empty(0))


def _table(
    x: NDArray[np.float64], v: NDArray[np.float64], photometry: Photometry
) -> NDArray[np.float64]:
    """Knots of the integral of 1 / SD over the values."""
    sd = np.sqrt(np.convolve(np.pad(v, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid"))
    top = photometry.saturation or float(x.max()) * 1.5 + 1.0
    low = min(0.0, float(x.min()))
    at = np.linspace(low, max(top, float(x.max()) + 1.0), 257)
    keep = np.concatenate(([True], np.diff(x) > 0))
    slope = 1.0 / np.interp(at, x[keep], np.maximum(sd[keep], 0.05 * sd.max()))
    area = np.concatenate(([0.0], np.cumsum(0.5 * (slope[1:] + slope[:-1]) * np.diff(at))))
    return np.vstack([at, area])
