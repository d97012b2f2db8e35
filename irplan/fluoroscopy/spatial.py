"""The spatial stage: noise bands lowered by fixed gains, lines averaged along themselves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from irplan.compute.cpu import fluoro_spatial
from irplan.compute.crew import share_rows
from irplan.fluoroscopy.filter import Frame, State
from irplan.fluoroscopy.lines import LineFinder, line_offsets
from irplan.fluoroscopy.settings import SpatialSettings
from irplan.fluoroscopy.temporal import gate_lines

_TAPS = 13


class SpatialStage:
    """Works on variance-stabilised frames; see `SpatialSettings`."""

    def __init__(self, shape: tuple[int, int], settings: SpatialSettings) -> None:
        self.settings = settings
        rows, columns = shape
        sizes = [(rows // k, columns // k) for k in (2, 4, 8)]
        self._small = [np.empty(s, np.float32) for s in sizes]
        self._band = [np.empty(s, np.float32) for s in sizes[:2]]
        self._joined = [np.empty(s, np.float32) for s in sizes[:2]]
        self._lines = LineFinder(sizes[0])
        self._wide = np.empty(sizes[0], np.float32)
        self._gate = np.empty(sizes[0], np.float32)
        self._full_lines = line_offsets(LineFinder.orientations, _TAPS)
        self._sample = np.empty(8192, np.float32)
        self._sd = 0.0
        self.support = np.zeros(sizes[1], np.float32)

    def step(self, x: Frame, out: Frame | None = None) -> Frame:
        """Filter one frame (no memory of earlier ones but the noise level)."""
        s = self.settings
        result = np.empty_like(x) if out is None else out
        source = x
        for target in self._small:
            _rows(target, lambda a, b, f=source, t=target: fluoro_spatial.halved(f, a, b, t))
            source = target
        half, quarter, eighth = self._small
        band1, band2 = self._band
        _rows(band1, lambda a, b: fluoro_spatial.band(half, quarter, a, b, band1))
        _rows(band2, lambda a, b: fluoro_spatial.band(quarter, eighth, a, b, band2))
        wide = self._wide
        one = np.float32(1.0)
        _rows(wide, lambda a, b: fluoro_spatial.joined(band1, one, band2, a, b, wide))
        self._find_lines(wide)
        keep = [np.float32(k) for k in s.keep]
        low2, low1 = self._joined[1], self._joined[0]
        _rows(low2, lambda a, b: fluoro_spatial.joined(band2, keep[2], eighth, a, b, low2))
        _rows(low1, lambda a, b: fluoro_spatial.joined(band1, keep[1], low2, a, b, low1))
        _rows(
            x,
            lambda a, b: fluoro_spatial.finest(
                x,
                low1,
                half,
                keep[0],
                self._gate,
                self._lines.which,
                self._full_lines,
                _TAPS // 2,
                np.float32(s.sharpen),
                a,
                b,
                result,
            ),
        )
        return result

    def _find_lines(self, band: Frame) -> None:
        s, lines = self.settings, self._lines
        lines.find(band, self._sd)
        new = lines.noise_sd(self._sample)
        self._sd = new if self._sd == 0.0 else self._sd + 0.1 * (new - self._sd)
        self.support = gate_lines(
            lines.best, self._sd, (s.line_low, s.line_high, s.line_drop), self.support, self._gate
        )

    def state(self) -> State:
        """Noise level and where lines were."""
        return {"sd": np.array(self._sd), "support": self.support.copy()}

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from a saved state."""
        self._sd = float(np.asarray(state["sd"])) if "sd" in state else 0.0
        self.support = np.array(state.get("support", 0.0 * self.support), np.float32)


def _rows(like: Frame, work: object) -> None:
    share_rows(like.shape[0], work)  # type: ignore[arg-type]
