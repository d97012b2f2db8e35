"""Point masses laid on voxels through a scanner's point spread."""

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def splat(image, index, amount, plane_sigma, slice_half, slice_sigma):  # type: ignore[no-untyped-def]
    """Add ``amount`` at fractional ``index`` (N, 3) (slice, row, column) to float32 ``image``.

    In plane a Gaussian with ``plane_sigma`` (2,) pixels (row, column); along the slices a box of
    half width ``slice_half`` slices smoothed by a Gaussian of ``slice_sigma`` slices.  Values at
    voxel centres are those of the continuous profile, so what lies beyond the image is lost.
    """
    nz, ny, nx = image.shape
    reach_z = slice_half + 4.0 * slice_sigma
    root = math.sqrt(2.0) * slice_sigma
    for n in range(index.shape[0]):
        z, y, x = index[n, 0], index[n, 1], index[n, 2]
        a = amount[n] / (2.0 * math.pi * plane_sigma[0] * plane_sigma[1])
        k0, k1 = max(0, math.ceil(z - reach_z)), min(nz - 1, math.floor(z + reach_z))
        ry, rx = 4.5 * plane_sigma[0], 4.5 * plane_sigma[1]
        j0, j1 = max(0, math.ceil(y - ry)), min(ny - 1, math.floor(y + ry))
        i0, i1 = max(0, math.ceil(x - rx)), min(nx - 1, math.floor(x + rx))
        for k in range(k0, k1 + 1):
            t = k - z
            w = math.erf((t + slice_half) / root) - math.erf((t - slice_half) / root)
            w *= a * 0.25 / slice_half
            for j in range(j0, j1 + 1):
                wy = w * math.exp(-0.5 * ((j - y) / plane_sigma[0]) ** 2)
                for i in range(i0, i1 + 1):
                    image[k, j, i] += np.float32(
                        wy * math.exp(-0.5 * ((i - x) / plane_sigma[1]) ** 2)
                    )
