"""Brightness along lines: the mean over the best of many directions (for thin vessels)."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def seg_line_mean(image, where, offsets):  # type: ignore[no-untyped-def]
    """For each voxel of ``where`` the largest mean of ``image`` along a straight line through it.

    ``image`` float32 (slice, row, column); ``where`` bool; ``offsets`` int64 (direction, step, 3):
    voxel offsets of one half of each line, mirrored for the other.  Voxels beyond the image count
    as 0.  Returns float32, 0 outside ``where``.
    """
    nz, ny, nx = image.shape
    directions, steps, _ = offsets.shape
    out = np.zeros((nz, ny, nx), dtype=np.float32)
    for k in range(nz):
        for j in range(ny):
            for i in range(nx):
                if not where[k, j, i]:
                    continue
                best = -np.inf
                for d in range(directions):
                    total = image[k, j, i]
                    for s in range(steps):
                        dz, dy, dx = offsets[d, s, 0], offsets[d, s, 1], offsets[d, s, 2]
                        for side in (-1, 1):
                            z, y, x = k + side * dz, j + side * dy, i + side * dx
                            if 0 <= z < nz and 0 <= y < ny and 0 <= x < nx:
                                total += image[z, y, x]
                    if total > best:
                        best = total
                out[k, j, i] = best / (2 * steps + 1)
    return out
