"""Motion control: how parts of the anatomy moved since the last frame, where that is clear."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from irplan.compute.cpu import fluoro_motion
from irplan.compute.crew import share_rows
from irplan.fluoroscopy.filter import Frame, State
from irplan.fluoroscopy.settings import MotionSettings
from irplan.fluoroscopy.temporal import TemporalStage

#: SD of frame less memory over that found for the scaled innovation (variance of the memory).
_OF_DIFFERENCE = 1.05
_PITCH, _SIZE = 8, 12  # quarter pixels: a block every 32 pixels, 48 wide


class MotionControl:
    """Block matching of 4 x 4 means, frame against memory; see `MotionSettings`."""

    #: Pixels from block to block.
    pitch_px = 4 * _PITCH

    def __init__(self, shape: tuple[int, int], settings: MotionSettings) -> None:
        self.settings = settings
        rows, columns = shape
        blocks = (max(1, rows // self.pitch_px), max(1, columns // self.pitch_px))
        self._found = np.zeros((*blocks, 3), np.float32)
        self._before = np.zeros((*blocks, 2), np.float32)
        self._new = np.empty((rows // 4, columns // 4), np.float32)
        self._old = np.empty_like(self._new)

    def shifts(self, frame: Frame, temporal: TemporalStage) -> NDArray[np.float32] | None:
        """(block, block, 2) shift of the anatomy in pixels, or None where nothing clearly moved."""
        if min(self._new.shape) < 2 * _SIZE:
            return None
        temporal.quarters(frame, self._new, self._old)
        noise_sd = _OF_DIFFERENCE * temporal.noise_of_quarters()
        found = self._found
        noise2, gain = np.float32(noise_sd**2), np.float32(self.settings.gain)
        share_rows(
            found.shape[0],
            lambda a, b: fluoro_motion.match(
                self._new, self._old, self._before, noise2, gain,
                self.settings.reach_px // 4, _PITCH, _SIZE, a, b, found,
            ),
        )  # fmt: skip
        good = found[..., 2]
        if not good.any():
            self._before[:] = 0.0
            return None
        # neighbours that moved decide together; where none is sure nothing moves
        weight = uniform_filter(good, 3, mode="nearest")
        out = np.empty_like(self._before)
        for k in (0, 1):
            mean = uniform_filter(found[..., k] * good, 3, mode="nearest")
            out[..., k] = np.where(weight > 0.25, mean / np.maximum(weight, 1e-6), 0.0)
        self._before[:] = out
        shifts: NDArray[np.float32] = 4.0 * out
        return shifts if np.abs(shifts).max() > 0.25 else None

    def state(self) -> State:
        """The shifts of the last frame."""
        return {"before": self._before.copy()}

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from a saved state."""
        self._before[:] = 0.0
        if "before" in state:
            self._before[:] = state["before"]
