"""Kernel: line integrals through a voxel volume, trilinear, in steps of equal length."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def integrate(
    field: NDArray[np.float32],
    source: NDArray[np.float64],
    first: NDArray[np.float64],
    along_row: NDArray[np.float64],
    along_column: NDArray[np.float64],
    to_index: NDArray[np.float64],
    step_mm: float,
    out: NDArray[np.float32],
    start: int,
    stop: int,
) -> None:
    """Integrals from ``source`` to each pixel of the rows ``start`` to ``stop`` of ``out``.

    ``field`` (slice, row, column) per mm, 0 beyond its outermost voxel centres; ``first`` the
    centre of pixel (0, 0); ``along_row``, ``along_column`` the steps to the next row and column;
    all in mm.  ``to_index`` (3, 4) from mm to array index.  Midpoint rule with steps of at most
    ``step_mm``.  ``out`` is per unit, (rows, columns).
    """
    n0, n1, n2 = field.shape
    a = np.empty(3)
    b = np.empty(3)
    size = np.array([n0 - 1.0, n1 - 1.0, n2 - 1.0])
    for k in range(3):
        a[k] = to_index[k, 3]
        for m in range(3):
            a[k] += to_index[k, m] * source[m]
    for r in range(start, stop):
        for c in range(out.shape[1]):
            length = 0.0
            for k in range(3):
                b[k] = 0.0
            for m in range(3):
                p = first[m] + r * along_row[m] + c * along_column[m] - source[m]
                length += p * p
                for k in range(3):
                    b[k] += to_index[k, m] * p
            length = math.sqrt(length)
            low, high = 0.0, 1.0
            for k in range(3):
                if abs(b[k]) < 1e-12:
                    if a[k] < 0.0 or a[k] > size[k]:
                        high = -1.0
                    continue
                t0, t1 = -a[k] / b[k], (size[k] - a[k]) / b[k]
                if t0 > t1:
                    t0, t1 = t1, t0
                low, high = max(low, t0), min(high, t1)
            total = 0.0
            if high > low:
                steps = math.ceil((high - low) * length / step_mm)
                h = (high - low) / steps
                for n in range(steps):
                    t = low + (n + 0.5) * h
                    x, y, z = a[0] + t * b[0], a[1] + t * b[1], a[2] + t * b[2]
                    i = min(int(x), n0 - 2) if n0 > 1 else 0
                    j = min(int(y), n1 - 2) if n1 > 1 else 0
                    k = min(int(z), n2 - 2) if n2 > 1 else 0
                    u, v, w = x - i, y - j, z - k
                    i1, j1, k1 = min(i + 1, n0 - 1), min(j + 1, n1 - 1), min(k + 1, n2 - 1)
                    near = (field[i, j, k] * (1.0 - w) + field[i, j, k1] * w) * (1.0 - v) + (
                        field[i, j1, k] * (1.0 - w) + field[i, j1, k1] * w
                    ) * v
                    far = (field[i1, j, k] * (1.0 - w) + field[i1, j, k1] * w) * (1.0 - v) + (
                        field[i1, j1, k] * (1.0 - w) + field[i1, j1, k1] * w
                    ) * v
                    total += near * (1.0 - u) + far * u
                total *= h * length
            out[r, c] = total
