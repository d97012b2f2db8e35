"""Masked SLIC: local k-means of intensity and position (Achanta 2012), on a masked 3-D image."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, fastmath=False)
def seg_slic(image, mask, step, weight, rounds):  # type: ignore[no-untyped-def]
    """Assign every voxel of ``mask`` to the nearest cluster centre within reach.

    ``image`` float32 (slice, row, column), isotropic; ``mask`` bool; ``step`` voxels between
    the first centres (S); ``weight`` intensity units that one S of distance is worth (m);
    ``rounds`` of assignment and update.  Distance: D^2 = dI^2 + m^2 (ds / S)^2.

    Returns int32 labels (0..n-1; -1 outside the mask and where no centre reaches) and n.
    Serial, so the sums run in one order and the result does not depend on the thread count.
    """
    nz, ny, nx = image.shape
    half = step // 2
    count = 0
    for pass_no in range(2):
        if pass_no == 1:
            centres = np.empty((count, 4), dtype=np.float64)
            count = 0
        for z in range(half, nz + half, step):
            for y in range(half, ny + half, step):
                for x in range(half, nx + half, step):
                    # The centre starts at the mask's mean inside its cell: cells cut by the
                    # mask's edge still get one.
                    n = 0
                    sz = sy = sx = si = 0.0
                    for k in range(z - half, min(z - half + step, nz)):
                        for j in range(y - half, min(y - half + step, ny)):
                            for i in range(x - half, min(x - half + step, nx)):
                                if mask[k, j, i]:
                                    n += 1
                                    sz += k
                                    sy += j
                                    sx += i
                                    si += image[k, j, i]
                    if n == 0:
                        continue
                    if pass_no == 1:
                        centres[count, 0] = sz / n
                        centres[count, 1] = sy / n
                        centres[count, 2] = sx / n
                        centres[count, 3] = si / n
                    count += 1
    labels = np.full((nz, ny, nx), -1, dtype=np.int32)
    best = np.empty((nz, ny, nx), dtype=np.float32)
    scale = weight * weight / (step * step)
    for _ in range(rounds):
        best[:] = np.inf
        for c in range(count):
            cz, cy, cx, ci = centres[c, 0], centres[c, 1], centres[c, 2], centres[c, 3]
            for k in range(max(0, int(cz) - step), min(nz, int(cz) + step + 2)):
                for j in range(max(0, int(cy) - step), min(ny, int(cy) + step + 2)):
                    for i in range(max(0, int(cx) - step), min(nx, int(cx) + step + 2)):
                        if not mask[k, j, i]:
                            continue
                        di = image[k, j, i] - ci
                        near = (k - cz) ** 2 + (j - cy) ** 2 + (i - cx) ** 2
                        d = np.float32(di * di + scale * near)
                        if d < best[k, j, i]:
                            best[k, j, i] = d
                            labels[k, j, i] = c
        sums = np.zeros((count, 5), dtype=np.float64)
        for k in range(nz):
            for j in range(ny):
                for i in range(nx):
                    c = labels[k, j, i]
                    if c >= 0:
                        sums[c, 0] += k
                        sums[c, 1] += j
                        sums[c, 2] += i
                        sums[c, 3] += image[k, j, i]
                        sums[c, 4] += 1.0
        for c in range(count):
            if sums[c, 4] > 0.0:
                for a in range(4):
                    centres[c, a] = sums[c, a] / sums[c, 4]
    return labels, count
