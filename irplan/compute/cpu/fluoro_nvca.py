"""Noise-variance conditioned average: a peer filter of the fluoroscopy benchmark."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange


@njit(cache=True, nogil=True, parallel=True)
def conditioned_average(frames: Any, half: int, limit: float, out: Any) -> None:
    """out = mean of the neighbours that differ from the pixel by at most ``limit``.

    ``frames`` (frame, row, column) float32, the last one is filtered; neighbours are those within
    ``half`` px in every frame (Cesarelli et al., Int. J. CARS 8:167, 2013), noise of SD 1.
    """
    count, rows, columns = frames.shape
    for i in prange(rows):
        top, bottom = max(0, i - half), min(rows, i + half + 1)
        for j in range(columns):
            left, right = max(0, j - half), min(columns, j + half + 1)
            own = frames[count - 1, i, j]
            total, n = np.float32(0.0), 0
            for t in range(count):
                for k in range(top, bottom):
                    for m in range(left, right):
                        value = frames[t, k, m]
                        if abs(value - own) <= limit:
                            total += value
                            n += 1
            out[i, j] = total / n
