"""Line integrals of thin round things (wires, tubes, discs), averaged over pixels."""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

_SUB = 5  # sub-samples a pixel and axis


@njit(cache=True, nogil=True)
def _chord(d2: Any, outer: Any, inner: Any) -> Any:
    """Length through a tube's wall at squared distance d2 from its axis, in pixels."""
    s = 0.0
    if d2 < outer * outer:
        s = 2.0 * math.sqrt(outer * outer - d2)
    if d2 < inner * inner:
        s -= 2.0 * math.sqrt(inner * inner - d2)
    return s


@njit(cache=True, nogil=True)
def tube(points: Any, outer: Any, inner: Any, weights: Any, out: Any) -> None:
    """out = weight * length through a tube around a polyline, where it lies; pixels of length.

    ``points`` (n, 2) row, column; ``outer``, ``inner`` radii at each point (n,), pixels;
    ``weights`` (n,) factor at each point (1: full).  Where two pieces lie over one pixel the
    nearer axis counts, so joints are not darker.
    """
    rows, columns = out.shape
    nearest = np.full(out.shape, np.float32(1e30))
    for n in range(points.shape[0] - 1):
        y0, x0, y1, x1 = points[n, 0], points[n, 1], points[n + 1, 0], points[n + 1, 1]
        reach = max(outer[n], outer[n + 1]) + 1.0
        i0, i1 = int(max(0.0, min(y0, y1) - reach)), int(min(rows - 1.0, max(y0, y1) + reach))
        j0, j1 = int(max(0.0, min(x0, x1) - reach)), int(min(columns - 1.0, max(x0, x1) + reach))
        dy, dx = y1 - y0, x1 - x0
        length2 = max(dy * dy + dx * dx, 1e-12)
        spare = 0.7 / math.sqrt(length2)  # a pixel over a joint belongs to both pieces
        for i in range(i0, i1 + 1):
            for j in range(j0, j1 + 1):
                ty = ((i - y0) * dy + (j - x0) * dx) / length2
                t = min(1.0, max(0.0, ty))
                ey, ex = i - y0 - t * dy, j - x0 - t * dx
                away = ey * ey + ex * ex
                if away > reach * reach or away >= nearest[i, j]:
                    continue
                a = outer[n] + t * (outer[n + 1] - outer[n])
                b = inner[n] + t * (inner[n + 1] - inner[n])
                w = weights[n] + t * (weights[n + 1] - weights[n])
                s = 0.0
                for p in range(_SUB):
                    for q in range(_SUB):
                        y = i + (p + 0.5) / _SUB - 0.5 - y0
                        x = j + (q + 0.5) / _SUB - 0.5 - x0
                        u = min(1.0 + spare, max(-spare, (y * dy + x * dx) / length2))
                        fy, fx = y - u * dy, x - u * dx
                        s += _chord(fy * fy + fx * fx, a, b)
                nearest[i, j] = away
                out[i, j] = s * w / (_SUB * _SUB)


@njit(cache=True, nogil=True)
def disc(row: Any, column: Any, radius: Any, value: Any, out: Any) -> None:
    """out += value times the share of each pixel inside a disc (4 x 4 sub-samples at its edge)."""
    rows, columns = out.shape
    for i in range(max(0, int(row - radius - 1)), min(rows, int(row + radius + 2))):
        for j in range(max(0, int(column - radius - 1)), min(columns, int(column + radius + 2))):
            d = math.sqrt((i - row) ** 2 + (j - column) ** 2)
            if d <= radius - 0.75:
                out[i, j] += value
            elif d < radius + 0.75:
                s = 0
                for p in range(4):
                    for q in range(4):
                        y, x = i + p / 4.0 - 0.375 - row, j + q / 4.0 - 0.375 - column
                        if y * y + x * x <= radius * radius:
                            s += 1
                out[i, j] += value * s / 16.0
