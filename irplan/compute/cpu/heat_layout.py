"""Rows of a padded tissue map cut into runs for `irplan.compute.cpu.heat`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True)
def cut_runs(kind: Any, capacity: Any, shape: Any, shortest: Any) -> tuple[Any, Any]:
    """(runs (r, 3), rows (nz * ny + 1)) of the padded ``kind``; see `irplan.compute.cpu.heat`."""
    nz, ny, nx = shape[0], shape[1], shape[2]
    sy = nx + 2
    sz = (ny + 2) * sy
    what = np.empty(nx, np.int64)
    rows = np.zeros(nz * ny + 1, np.int64)
    runs = np.empty((0, 3), np.int64)
    for fill in range(2):
        count = 0
        for z in range(nz):
            for y in range(ny):
                rows[z * ny + y] = count
                row = (z + 1) * sz + (y + 1) * sy + 1
                for x in range(nx):
                    i = row + x
                    own = kind[i]
                    same = (
                        own == kind[i - 1] and own == kind[i + 1]
                        and own == kind[i - sy] and own == kind[i + sy]
                        and own == kind[i - sz] and own == kind[i + sz]
                    )  # fmt: skip
                    what[x] = -2 if capacity[own] <= 0.0 else (own if same else -1)
                x = 0
                while x < nx:
                    end = x + 1
                    while end < nx and what[end] == what[x]:
                        end += 1
                    if what[x] >= 0 and end - x < min(shortest, nx):
                        what[x:end] = -1
                    x = end
                x = 0
                while x < nx:
                    end = x + 1
                    while end < nx and what[end] == what[x]:
                        end += 1
                    if what[x] != -2:
                        if fill == 1:
                            runs[count, 0], runs[count, 1], runs[count, 2] = x, end - x, what[x]
                        count += 1
                    x = end
        rows[nz * ny] = count
        if fill == 0:
            runs = np.empty((count, 3), np.int64)
    return runs, rows
