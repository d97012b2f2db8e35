"""The temporal stage: two memories, a display gain of its own, and what surely changed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, uniform_filter

from irplan.compute.cpu import fluoro_spatial, fluoro_temporal
from irplan.compute.parts import in_parts
from irplan.fluoroscopy.filter import Frame, State
from irplan.fluoroscopy.lines import line_offsets
from irplan.fluoroscopy.settings import TemporalSettings

_ORIENTATIONS, _HALF_TAPS, _TAPS = 16, 11, 17
_QUARTERS = 4  # counts are kept in quarters of a frame
_MAD = 1.4826  # SD of a Gaussian from its median absolute value


class Tables:
    """Gains and variances by the number of frames a memory has seen (in quarters, 0..255)."""

    def __init__(self, s: TemporalSettings) -> None:
        frames = np.maximum(np.arange(256) / _QUARTERS, 1.0)
        self.most = min(255, int(np.ceil(_QUARTERS / s.long_gain)))
        # steady state within a memory of n frames
        k1, k2 = np.maximum(1.0 / (frames + 1.0), s.short_gain), 1.0 / (frames + 1.0)
        k2 = np.maximum(k2, s.long_gain)
        p1 = np.maximum(1.0 / frames, s.short_gain / (2.0 - s.short_gain))
        p2 = np.maximum(1.0 / frames, s.long_gain / (2.0 - s.long_gain))
        # covariance of an exponential and a running mean: that of the longer one, at most
        covariance = np.minimum(
            p2, np.sqrt(p1 * p2)
        ) * np.where(p1 > p2, 1.0, 1.0)
        self.mix = s.short_share / max(1e-6, 1.0 - s.show)
        w = self.mix
        memory = w * w * p1 + (1 - w) ** 2 * p2 + 2 * w * (1 - w) * covariance
        show = np.maximum(memory / (1.0 + memory), s.show)
        self.gain1, self.gain2 = k1.astype(np.float32), k2.astype(np.float32)
        self.show = show.astype(np.float32)
        self.memory = memory.astype(np.float32)
        self.scale = (1.0 / np.sqrt(1.0 + memory)).astype(np.float32)
        self.shown_sd = np.sqrt(show**2 + (1 - show) ** 2 * memory).astype(np.float32)


class TemporalStage:
    """Works on variance-stabilised frames (noise SD 1); see `TemporalSettings`.

    x = m + A (d - m) + (1 - A) E: d the frame, m a mixture of a short and a long memory, A the
    display gain, E what the innovation d - m surely says (areas, lines, small dark things).
    Where nothing is sure it is a linear filter, so weak objects keep what the law of linear
    filters grants them; E follows moving devices at once.
    """

    def __init__(self, shape: tuple[int, int], settings: TemporalSettings) -> None:
        self.settings, self.tables = settings, Tables(settings)
        rows, columns = shape
        half, quarter = (rows // 2, columns // 2), (rows // 4, columns // 4)
        self._m1, self._m2 = np.empty(shape, np.float32), np.empty(shape, np.float32)
        self.count = np.zeros(shape, np.uint8)
        self._e, self._half = np.empty(shape, np.float32), np.empty(half, np.float32)
        self._quarter = np.empty(quarter, np.float32)
        self._line, self._which = np.empty(half, np.float32), np.empty(half, np.int8)
        self._gate = np.empty(half, np.float32)
        self._half_lines = line_offsets(_ORIENTATIONS, _HALF_TAPS)
        self._full_lines = line_offsets(_ORIENTATIONS, _TAPS)
        self._sample = np.empty(8192, np.float32)
        self._sd: dict[str, float] = {}
        self._begun = False

    @property
    def memory(self) -> Frame:
        """(row, column) the mixture of the memories (a new array)."""
        w = np.float32(self.tables.mix)
        out: Frame = w * self._m1 + (1 - w) * self._m2
        return out

    def step(self, d: Frame, out: Frame | None = None) -> Frame:
        """Take the next frame, give what to show."""
        x = np.empty_like(d) if out is None else out
        if not self._begun:
            self._m1[:], self._m2[:], x[:] = d, d, d
            self.count[:] = _QUARTERS
            self._begun = True
            return x
        s, tables = self.settings, self.tables
        mix = np.float32(tables.mix)
        rows = d.shape[0]
        in_parts(
            rows // 4,
            lambda a, b: fluoro_temporal.innovation(
                d, self._m1, self._m2, self.count, mix, tables.scale, a, b,
                self._e, self._half, self._quarter,
            ),
        )
        coarse, area, dot = self._areas()
        self._find_lines()
        in_parts(
            rows,
            lambda a, b: fluoro_temporal.remember(
                self._e, self._m1, self._m2, self.count, mix,
                tables.gain1, tables.gain2, tables.show,
                self._gate, self._which, self._full_lines, _TAPS // 2,
                coarse, area, dot,
                np.float32(s.follow), np.float32(s.forget), tables.most, a, b, x,
            ),
        )
        return x

    def _areas(self) -> tuple[Frame, Frame, Frame]:
        """(coarse innovation gated, gate of areas, gate of dots), each (row/4, column/4)."""
        s = self.settings
        q = self._quarter
        mean = uniform_filter(q, 3, mode="nearest")
        noise = self._noise("quarter", q)
        z = np.abs(mean) / np.float32(self._noise("area", mean))
        energy = uniform_filter(np.square(q), 5, mode="nearest") / np.float32(noise**2)
        area = np.maximum(_step(z, s.area_low, s.area_high), _step(energy, s.energy_low, s.energy_high))
        small = uniform_filter(self._half, 3, mode="nearest")
        dots = np.abs(small) / np.float32(self._noise("dot", small))
        dot = _step(dots, s.dot_low, s.dot_high)
        dot = dot.reshape(dot.shape[0] // 2, 2, -1, 2).max(axis=(1, 3))
        area = uniform_filter(maximum_filter(area, 3), 3, mode="nearest")
        return area * q, area, dot

    def _find_lines(self) -> None:
        s = self.settings
        reach = _HALF_TAPS // 2
        padded = np.pad(self._half, reach, mode="edge")
        rows = self._half.shape[0]
        in_parts(
            rows,
            lambda a, b: fluoro_temporal.lines(
                padded, self._half_lines, a, b, self._line, self._which
            ),
        )
        sd = self._noise("line", self._line) / _BEST_OF
        low, high = np.float32(s.line_low * sd), np.float32(s.line_high * sd)
        in_parts(rows, lambda a, b: fluoro_spatial.smooth_gate(self._line, low, high, a, b, self._gate))

    def _noise(self, name: str, values: Frame) -> float:
        """SD of ``values`` by their median absolute value, averaged over the last frames."""
        step = max(1, values.size // self._sample.size) | 1
        n = fluoro_spatial.sampled(values, step, self._sample)
        new = max(float(np.median(self._sample[:n])) * _MAD, 1e-6)
        old = self._sd.get(name, new)
        self._sd[name] = old + 0.1 * (new - old)
        return self._sd[name]

    def state(self) -> State:
        """Memories, counts and noise levels."""
        if not self._begun:
            return {}
        return {
            "m1": self._m1.copy(),
            "m2": self._m2.copy(),
            "count": self.count.copy(),
            **{f"sd.{k}": np.array(v) for k, v in self._sd.items()},
        }

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from a saved state."""
        self._begun = "m1" in state
        self._sd = {k[3:]: float(np.asarray(v)) for k, v in state.items() if k.startswith("sd.")}
        if self._begun:
            self._m1[:], self._m2[:] = state["m1"], state["m2"]
            self.count[:] = state["count"]


#: Median |strongest of the line means| over median |one line mean|, for white noise.
_BEST_OF = 2.2


def _step(z: Frame, low: float, high: float) -> Frame:
    t = np.clip((z - np.float32(low)) * np.float32(1.0 / (high - low)), 0.0, 1.0)
    out: Frame = t * t * (3.0 - 2.0 * t)
    return out
