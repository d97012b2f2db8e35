"""The temporal stage: two memories, a display gain of its own, and what surely changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, uniform_filter

from irplan.compute.cpu import fluoro_motion, fluoro_spatial, fluoro_temporal
from irplan.compute.crew import share_rows
from irplan.fluoroscopy.filter import Frame, State
from irplan.fluoroscopy.lines import LineFinder, line_offsets
from irplan.fluoroscopy.settings import TemporalSettings

_TAPS = 17
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
        covariance = np.minimum(p1, p2)
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
        self._lines = LineFinder(half)
        self._gate, self._box = np.empty(half, np.float32), np.empty(quarter, np.float32)
        self.support = np.zeros(quarter, np.float32)
        #: Where the spatial stage was sure of lines in the frame before (quarter), or None.
        self.prior: Frame | None = None
        self._full_lines = line_offsets(LineFinder.orientations, _TAPS)
        self._sample = np.empty(8192, np.float32)
        self._sd: dict[str, float] = {}
        self._begun = False
        self._spare: tuple[Frame, Frame, NDArray[np.uint8]] | None = None

    def quarters(self, d: Frame, new: Frame, old: Frame) -> None:
        """4 x 4 means of a frame into ``new``, of the memory into ``old``."""
        mix = np.float32(self.tables.mix)
        share_rows(
            len(new),
            lambda a, b: fluoro_temporal.quarters(d, self._m1, self._m2, mix, a, b, new, old),
        )

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
        share_rows(
            rows // 4,
            lambda a, b: fluoro_temporal.innovation(
                d,
                self._m1,
                self._m2,
                self.count,
                mix,
                tables.scale,
                a,
                b,
                self._e,
                self._half,
                self._quarter,
            ),
        )
        coarse, area, dot = self._areas()
        self._find_lines()
        if s.lift > 0.0:
            dot = np.maximum(dot, np.float32(s.lift) * self.support)
        share_rows(
            rows,
            lambda a, b: fluoro_temporal.remember(
                self._e,
                self._m1,
                self._m2,
                self.count,
                mix,
                tables.gain1,
                tables.gain2,
                tables.show,
                self._gate,
                self._lines.which,
                self._full_lines,
                _TAPS // 2,
                coarse,
                area,
                dot,
                np.float32(s.follow),
                np.float32(s.forget),
                np.float32(tables.most),
                a,
                b,
                x,
            ),
        )
        return x

    @property
    def begun(self) -> bool:
        """Whether it has seen a frame."""
        return self._begun

    def noise_of_quarters(self) -> float:
        """SD of the frame's 4 x 4 means, as found so far (0.25 for white noise)."""
        return self._sd.get("quarter", 0.25)

    def carry(self, shifts: NDArray[np.float32], pitch: int) -> None:
        """Move the memories by (block, block, 2) pixels (row, column), a block every ``pitch``."""
        if self._spare is None:
            self._spare = (np.empty_like(self._m1), np.empty_like(self._m1), self.count.copy())
        new1, new2, new_count = self._spare
        share_rows(
            self._m1.shape[0],
            lambda a, b: fluoro_motion.carry(
                self._m1, self._m2, self.count, shifts, pitch, a, b, new1, new2, new_count
            ),
        )
        self._spare = (self._m1, self._m2, self.count)
        self._m1, self._m2, self.count = new1, new2, new_count

    def convert(self, change: Callable[[Frame], None]) -> None:
        """Let ``change`` rewrite both memories in place (another noise model, another dose)."""
        if self._begun:
            change(self._m1)
            change(self._m2)

    def forget(self, frames: float) -> None:
        """As if ``frames`` frames had been missed: what was seen counts less."""
        if self._begun:
            kept = np.maximum(self.count * 0.7**frames, _QUARTERS)
            self.count[:] = kept.astype(np.uint8)

    def _areas(self) -> tuple[Frame, Frame, Frame]:
        """(coarse innovation gated, gate of areas, gate of dots), each (row/4, column/4)."""
        s, q = self.settings, self._quarter
        area, dot = np.empty_like(q), np.empty_like(q)
        noise = self._noise("quarter", q)
        box = self._box
        share_rows(q.shape[0], lambda a, b: fluoro_spatial.box3(q, a, b, box))
        wide = self._noise("area", box)
        limits = np.array(
            [
                s.area_low, 1.0 / (s.area_high - s.area_low),
                s.energy_low, 1.0 / (s.energy_high - s.energy_low),
                s.dot_low, 1.0 / (s.dot_high - s.dot_low),
            ],
            np.float32,
        )  # fmt: skip
        small = noise * _DOT_OVER_QUARTER
        ones = [np.float32(v) for v in (1.0 / wide, noise**-2, 1.0 / small)]
        share_rows(
            q.shape[0],
            lambda a, b: fluoro_temporal.areas(q, self._half, *ones, limits, a, b, area, dot),
        )
        if area.max() > 0.0:
            area = uniform_filter(maximum_filter(area, 3), 3, mode="nearest")
        return area * q, area, dot

    def _find_lines(self) -> None:
        s, lines = self.settings, self._lines
        lines.find(self._half, self._sd.get("line", 0.0))
        sd = self._smoothed("line", lines.noise_sd(self._sample))
        limits = (s.line_low, s.line_high, s.line_drop)
        self.support = gate_lines(lines.best, sd, limits, self.support, self._gate, self.prior)

    def _noise(self, name: str, values: Frame) -> float:
        """SD of ``values`` by their median absolute value, averaged over the last frames."""
        step = max(1, values.size // self._sample.size) | 1
        n = fluoro_spatial.sampled(values, step, self._sample)
        return self._smoothed(name, max(float(np.median(self._sample[:n])) * _MAD, 1e-6))

    def _smoothed(self, name: str, new: float) -> float:
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
            "support": self.support.copy(),
            **{f"sd.{k}": np.array(v) for k, v in self._sd.items()},
        }

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from a saved state."""
        self._begun = "m1" in state
        self._sd = {k[3:]: float(np.asarray(v)) for k, v in state.items() if k.startswith("sd.")}
        if self._begun:
            self._m1[:], self._m2[:] = state["m1"], state["m2"]
            self.count[:] = state["count"]
            self.support = np.array(state["support"], np.float32)


#: SD of 3 x 3 means of the half picture (36 pixels) over that of the quarter (16 pixels).
_DOT_OVER_QUARTER = 4.0 / 6.0


def gate_lines(
    line: Frame,
    sd: float,
    limits: tuple[float, float, float],
    support: Frame,
    gate: Frame,
    prior: Frame | None = None,
) -> Frame:
    """Fill ``gate`` (half) from line means; give the new ``support`` (quarter, 0..1).

    ``limits``: low, high, and how far low falls where lines are sure, in SD.  What is sure is
    decided with a limit that falls little (`_STICK`, where lines were sure in the frame before),
    so that chance cannot feed itself.  ``prior`` (quarter): where lines are known from elsewhere.
    """
    low, high, drop = limits
    span = np.float32((high - low) * sd)

    def gate_near(near: Frame, fall: float) -> None:
        near = near if prior is None else np.maximum(near, prior)
        values = [np.float32(v * sd) for v in (low, fall)]
        share_rows(
            len(gate),
            lambda a, b: fluoro_temporal.line_gate(
                line, near, values[0], span, values[1], a, b, gate
            ),
        )

    gate_near(support, _STICK)
    pool, sure = np.empty_like(support), np.empty_like(support)
    share_rows(len(pool), lambda a, b: fluoro_temporal.pooled(gate, a, b, pool))
    share_rows(len(pool), lambda a, b: fluoro_temporal.support_of(pool, _LEAST, _SPAN, a, b, sure))
    gate_near(sure, drop)
    return sure


_STICK = 0.4
#: Share of a 28 x 28 pixel square (as quarter pixels) that is on lines: below the first it is
#: chance, a span above it is a line that runs across (1/7).
_LEAST, _SPAN = np.float32(0.09), np.float32(0.06)
