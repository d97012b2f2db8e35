"""Smallest margin of many disturbed plans at once, from tabulated cold of single probes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, prange


@njit(cache=True, nogil=True, parallel=True, fastmath=True)
def smallest_margins(
    points: Any, table: Any, table_logs: Any, axial_start: Any, ratio: Any, ratio_logs: Any,
    centres: Any, ways: Any, weights: Any, offsets: Any, drop: Any, out: Any,
) -> None:  # fmt: skip
    """(n,) smallest margin in mm of n samples, into ``out``.

    points (m, k, 3): ray points of m surface points at k ``offsets`` (ascending, mm, outward).
    table (a, r): cold of one probe per (axial, radial) mm step from ``axial_start``; its
    logarithmic change at four nodes of the tissue's constants in ``table_logs`` (4, a, r).
    ratio (m, k), ratio_logs (m, k, q): cold of the simulated plan over the superposition, and its
    change at q nodes, those of the constants first.  centres, ways (n, p, 3): middle of the
    active zones and directions.  weights (n, q): of the nodes.  drop: cold that is lethal.  A ray
    is followed outward until the cold falls short; one that begins too warm has the first offset
    as its margin.
    """
    m, k_count = ratio.shape
    rows, columns = table.shape
    for n in prange(centres.shape[0]):
        w0, w1, w2, w3 = weights[n, 0], weights[n, 1], weights[n, 2], weights[n, 3]
        cold = np.empty((rows, columns), np.float32)
        for a in range(rows):
            for r in range(columns):
                change = (
                    w0 * table_logs[0, a, r] + w1 * table_logs[1, a, r]
                    + w2 * table_logs[2, a, r] + w3 * table_logs[3, a, r]
                )  # fmt: skip
                cold[a, r] = table[a, r] * math.exp(change)
        best = offsets[k_count - 1]
        for j in range(m):
            before = np.float32(0.0)
            for k in range(k_count):
                if k > 0 and offsets[k - 1] >= best:
                    break
                total = np.float32(0.0)
                for p in range(centres.shape[1]):
                    x = points[j, k, 0] - centres[n, p, 0]
                    y = points[j, k, 1] - centres[n, p, 1]
                    z = points[j, k, 2] - centres[n, p, 2]
                    along = x * ways[n, p, 0] + y * ways[n, p, 1] + z * ways[n, p, 2]
                    across = math.sqrt(max(np.float32(0.0), x * x + y * y + z * z - along * along))
                    at = along - axial_start
                    a, r = math.floor(at), int(across)
                    if a < 0 or a >= rows - 1 or r >= columns - 1:
                        continue
                    fa, fr = at - a, across - r
                    total += (1 - fa) * ((1 - fr) * cold[a, r] + fr * cold[a, r + 1]) + fa * (
                        (1 - fr) * cold[a + 1, r] + fr * cold[a + 1, r + 1]
                    )
                change = np.float32(0.0)
                for q in range(weights.shape[1]):
                    change += weights[n, q] * ratio_logs[j, k, q]
                here = total * ratio[j, k] * math.exp(change)
                if here < drop:
                    if k == 0:
                        best = min(best, offsets[0])
                    else:
                        share = (before - drop) / max(before - here, np.float32(1e-6))
                        best = min(best, offsets[k - 1] + share * (offsets[k] - offsets[k - 1]))
                    break
                before = here
        out[n] = best
