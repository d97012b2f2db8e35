"""A change of the tube's output between two frames: the same factor everywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from irplan.fluoroscopy.filter import Frame

_STEADY = 0.004  # relative changes below it are none
_SPREAD = 0.3  # of the change: where blocks differ by more, something moved instead


def block_levels(y: Frame, offset: float) -> NDArray[np.float64]:
    """Mean above the offset of 32 x 32 blocks (every 2nd row)."""
    rows, columns = (n // 32 * 32 for n in y.shape)
    if not rows or not columns:
        return np.array([max(float(y.mean()) - offset, 1e-6)])
    cut = y[:rows:2, :columns].reshape(rows // 32, 16, columns // 32, 32)
    levels: NDArray[np.float64] = np.maximum(cut.mean(axis=(1, 3), dtype=np.float64) - offset, 1e-6)
    return levels


def exposure_ratio(now: NDArray[np.float64], before: NDArray[np.float64]) -> float:
    """Factor from ``before`` to ``now`` (both of `block_levels`); 1 where it is not one change.

    Exactly 1 below 0.4 %, and where the blocks do not agree on it (something moved).
    """
    each = now / np.maximum(before, 1e-6)
    ratio = float(np.median(each))
    if not np.isfinite(ratio) or ratio <= 0.0 or abs(ratio - 1.0) < _STEADY:
        return 1.0
    agree = float(np.median(np.abs(each - ratio))) <= _SPREAD * abs(ratio - 1.0)
    return ratio if agree else 1.0
