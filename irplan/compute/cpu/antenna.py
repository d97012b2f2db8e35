"""Power of a needle's axisymmetric pattern, averaged over voxels of any pose and shape."""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

#: Within these distances of the axis, mm, a voxel is cut into parts no longer than these, mm.
_REACHES_MM = (2.5, 6.0, 12.0, np.inf)
_PARTS_MM = (0.1, 0.25, 0.55, 1.1)


@njit(cache=True, inline="always")
def _look(table: Any, z: Any, r: Any) -> Any:
    """Value at fractional row z (linear) and ring r (its own: no power leaks into the metal)."""
    i, j = int(np.floor(z)), int(r)
    if i < 0 or i + 1 >= table.shape[0] or j >= table.shape[1]:
        return 0.0
    return table[i, j] + (z - i) * (table[i + 1, j] - table[i, j])


@njit(cache=True, parallel=True, nogil=True)
def deposit(
    table: Any, first_z: Any, step_z: Any, step_r: Any, tip: Any, axis: Any, spacing: Any,
    start: Any, out: Any,
) -> None:  # fmt: skip
    """out (z, y, x) = mean density over each voxel of the index box that begins at ``start``.

    ``tip`` (fractional grid index) and ``axis`` (unit vector from tip to hub along the grid's
    axes) place the pattern ``table`` (z behind the tip, r; see `AntennaPattern`).
    """
    reach_r = table.shape[1] * step_r
    last_z = first_z + (table.shape[0] - 1) * step_z
    half = 0.5 * np.sqrt(spacing[0] ** 2 + spacing[1] ** 2 + spacing[2] ** 2)
    for a in prange(out.shape[0]):
        dz = (start[0] + a - tip[0]) * spacing[0]
        for b in range(out.shape[1]):
            dy = (start[1] + b - tip[1]) * spacing[1]
            for c in range(out.shape[2]):
                dx = (start[2] + c - tip[2]) * spacing[2]
                along = dz * axis[0] + dy * axis[1] + dx * axis[2]
                r = np.sqrt(max(0.0, dz * dz + dy * dy + dx * dx - along * along))
                out[a, b, c] = 0.0
                if r - half > reach_r or along + half < first_z or along - half > last_z:
                    continue
                part = _PARTS_MM[3]
                for n in range(3):
                    if r < _REACHES_MM[2 - n]:
                        part = _PARTS_MM[2 - n]
                nz = int(np.ceil(spacing[0] / part - 1e-6))
                ny = int(np.ceil(spacing[1] / part - 1e-6))
                nx = int(np.ceil(spacing[2] / part - 1e-6))
                total = 0.0
                for i in range(nz):
                    pz = dz + ((i + 0.5) / nz - 0.5) * spacing[0]
                    for j in range(ny):
                        py = dy + ((j + 0.5) / ny - 0.5) * spacing[1]
                        for k in range(nx):
                            px = dx + ((k + 0.5) / nx - 0.5) * spacing[2]
                            s = pz * axis[0] + py * axis[1] + px * axis[2]
                            q = np.sqrt(max(0.0, pz * pz + py * py + px * px - s * s))
                            total += _look(table, (s - first_z) / step_z, q / step_r)
                out[a, b, c] = total / (nz * ny * nx)
