"""How a frame's light compares with the one before: a change of the tube's output, or no beam."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from irplan.fluoroscopy.filter import Frame, State

_STEADY = 0.004  # relative changes below it are none
_SPREAD = 0.3  # of the change: where blocks differ by more, something moved instead
_DARK = 16.0  # a factor beyond it is no change of exposure: the beam was off in one of the two
_DARK_FRAMES = 3  # as many without light are passed through; then they are the run
_BLACK = 0.002  # of the brightest block: what is below it in both frames is behind the shutters


def block_levels(y: Frame, offset: float) -> NDArray[np.float64]:
    """Mean above the offset of 32 x 32 blocks (every 2nd row)."""
    rows, columns = (n // 32 * 32 for n in y.shape)
    if not rows or not columns:
        return np.array([max(float(y.mean()) - offset, 1e-6)])
    cut = y[:rows:2, :columns].reshape(rows // 32, 16, columns // 32, 32)
    levels: NDArray[np.float64] = np.maximum(cut.mean(axis=(1, 3), dtype=np.float64) - offset, 1e-6)
    return levels


def exposure_ratio(
    now: NDArray[np.float64], before: NDArray[np.float64]
) -> float | Literal["dark", "bright"]:
    """Factor from ``before`` to ``now`` (both of `block_levels`).

    Exactly 1 below 0.4 %, and where the blocks do not agree on it (something moved); "dark" or
    "bright" for another order of light (a factor of 16).
    """
    most = np.maximum(now, before)
    lit = most > _BLACK * float(most.max())
    each = now[lit] / before[lit]
    ratio = float(np.median(each))
    if ratio > _DARK:
        return "bright"
    if ratio < 1.0 / _DARK:
        return "dark"
    if abs(ratio - 1.0) < _STEADY:
        return 1.0
    agree = float(np.median(np.abs(each - ratio))) <= _SPREAD * abs(ratio - 1.0)
    return ratio if agree else 1.0


class ExposureWatch:
    """Follows the light of a stream, frame by frame; ``offset`` is the value without X-rays.

    ``dark_frames``: how many without light were passed over so far.
    """

    def __init__(self, offset: float) -> None:
        self._offset = offset
        self._level: NDArray[np.float64] | None = None
        self._dark = 0
        self.dark_frames = 0

    def seen(self, y: Frame) -> float | Literal["dark", "new"]:
        """Factor to this frame from the last one with light; "dark": it has none, pass it over.

        "new": light of another order, the run begins anew: at once where it is more, after three
        frames where it is less.
        """
        level = block_levels(y, self._offset)
        ratio = 1.0 if self._level is None else exposure_ratio(level, self._level)
        if ratio == "dark" and self._dark < _DARK_FRAMES:
            self._dark += 1
            self.dark_frames += 1
            return "dark"
        self._dark, self._level = 0, level
        return ratio if isinstance(ratio, float) else "new"

    def state(self) -> State:
        """The last level and the counts; empty before the first frame."""
        if self._level is None:
            return {}
        return {"level": self._level, "dark": np.array([self._dark, self.dark_frames])}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved state."""
        self._level = np.array(state["level"]) if state else None
        self._dark, self.dark_frames = (int(v) for v in state["dark"]) if state else (0, 0)
