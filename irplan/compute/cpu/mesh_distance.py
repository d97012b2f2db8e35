"""Kernel: distance from points to the nearest of the triangles round candidate vertices."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def _squared(p, a, b, c):  # type: ignore[no-untyped-def]
    """Squared distance from ``p`` to the triangle abc (Ericson 2005, section 5.1.5)."""
    ab0, ab1, ab2 = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    ac0, ac1, ac2 = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    ap0, ap1, ap2 = p[0] - a[0], p[1] - a[1], p[2] - a[2]
    d1 = ab0 * ap0 + ab1 * ap1 + ab2 * ap2
    d2 = ac0 * ap0 + ac1 * ap1 + ac2 * ap2
    bp0, bp1, bp2 = p[0] - b[0], p[1] - b[1], p[2] - b[2]
    d3 = ab0 * bp0 + ab1 * bp1 + ab2 * bp2
    d4 = ac0 * bp0 + ac1 * bp1 + ac2 * bp2
    cp0, cp1, cp2 = p[0] - c[0], p[1] - c[1], p[2] - c[2]
    d5 = ab0 * cp0 + ab1 * cp1 + ab2 * cp2
    d6 = ac0 * cp0 + ac1 * cp1 + ac2 * cp2
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    if d1 <= 0.0 and d2 <= 0.0:  # nearest: a
        v, w = 0.0, 0.0
    elif d3 >= 0.0 and d4 <= d3:  # b
        v, w = 1.0, 0.0
    elif d6 >= 0.0 and d5 <= d6:  # c
        v, w = 0.0, 1.0
    elif vc <= 0.0 and d1 >= 0.0 and d3 <= 0.0:  # edge ab
        v, w = d1 / (d1 - d3) if d1 > d3 else 0.0, 0.0
    elif vb <= 0.0 and d2 >= 0.0 and d6 <= 0.0:  # edge ac
        v, w = 0.0, d2 / (d2 - d6) if d2 > d6 else 0.0
    elif va <= 0.0 and d4 >= d3 and d5 >= d6:  # edge bc
        span = (d4 - d3) + (d5 - d6)
        w = (d4 - d3) / span if span > 0.0 else 0.0
        v = 1.0 - w
    else:  # inside
        v, w = vb / (va + vb + vc), vc / (va + vb + vc)
    e0 = ap0 - v * ab0 - w * ac0
    e1 = ap1 - v * ab1 - w * ac1
    e2 = ap2 - v * ab2 - w * ac2
    return e0 * e0 + e1 * e1 + e2 * e2


@njit(cache=True, nogil=True, parallel=True)
def distance_near(
    points: NDArray[np.float64],
    near: NDArray[np.int64],
    vertices: NDArray[np.float64],
    triangles: NDArray[np.int64],
    start: NDArray[np.int64],
    around: NDArray[np.int64],
    out: NDArray[np.float64],
) -> None:
    """Least distance of each point to the triangles round its candidate vertices.

    ``points`` (n, 3); ``near`` (n, k) vertex numbers; ``vertices`` (v, 3), ``triangles`` (m, 3)
    into them; the triangles round vertex i are ``around[start[i]:start[i + 1]]``; ``out`` (n,).
    """
    for i in prange(points.shape[0]):
        best = np.inf
        for n in range(near.shape[1]):
            vertex = near[i, n]
            for at in range(start[vertex], start[vertex + 1]):
                t = around[at]
                found = _squared(
                    points[i],
                    vertices[triangles[t, 0]],
                    vertices[triangles[t, 1]],
                    vertices[triangles[t, 2]],
                )
                best = min(best, found)
        out[i] = math.sqrt(best)
