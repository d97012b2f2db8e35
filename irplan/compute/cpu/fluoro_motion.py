"""Block matching on small pictures, and the memories carried along."""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

_F = np.float32


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _difference(new: Any, old: Any, i: Any, j: Any, p: Any, q: Any, size: Any) -> Any:
    """Mean square of new at (i, j) less old at (p, q), over ``size`` squared; 1e30 if outside."""
    if p < 0 or q < 0 or p + size > old.shape[0] or q + size > old.shape[1]:
        return _F(1e30)
    total = _F(0.0)
    for k in range(size):
        a, b = new[i + k, j : j + size], old[p + k, q : q + size]
        for m in range(size):
            v = a[m] - b[m]
            total += v * v
    return total / _F(size * size)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def match(
    new: Any,
    old: Any,
    before: Any,
    noise2: Any,
    gain: Any,
    reach: Any,
    pitch: Any,
    size: Any,
    r0: Any,
    r1: Any,
    out: Any,
) -> None:
    """Where each block of ``new`` lay in ``old``: out (row, column, 3) shift and whether accepted.

    Blocks of ``size`` lie every ``pitch``.  A block that differs by less than 1.3 ``noise2`` (the
    mean square noise alone gives) stays; a shift is accepted where it explains at least ``gain``
    ``noise2`` of the mean square and a quarter of what is above the noise.  The search starts
    from no shift and from ``before``, within ``reach``; parabolas give parts of a pixel.
    """
    rows, columns = new.shape
    for b in range(r0, r1):
        i = min(max(b * pitch + pitch // 2 - size // 2, 0), rows - size)
        for c in range(out.shape[1]):
            j = min(max(c * pitch + pitch // 2 - size // 2, 0), columns - size)
            out[b, c, 0], out[b, c, 1], out[b, c, 2] = _F(0.0), _F(0.0), _F(0.0)
            still = _difference(new, old, i, j, i, j, size)
            if still < _F(1.3) * noise2:
                continue
            py, px = round(before[b, c, 0]), round(before[b, c, 1])
            best, by, bx = still, 0, 0
            for dy in range(-reach, reach + 1):
                for dx in range(-reach, reach + 1):
                    v = _difference(new, old, i, j, i - py - dy, j - px - dx, size)
                    if v < best:
                        best, by, bx = v, py + dy, px + dx
            won = still - best
            if won < gain * noise2 or won < _F(0.25) * (still - noise2):
                continue
            up = _difference(new, old, i, j, i - by + 1, j - bx, size)
            down = _difference(new, old, i, j, i - by - 1, j - bx, size)
            left = _difference(new, old, i, j, i - by, j - bx + 1, size)
            right = _difference(new, old, i, j, i - by, j - bx - 1, size)
            fy = fx = _F(0.0)
            if up < _F(1e29) and down < _F(1e29):
                fy = _F(0.5) * (up - down) / max(up + down - _F(2.0) * best, _F(1e-6))
            if left < _F(1e29) and right < _F(1e29):
                fx = _F(0.5) * (left - right) / max(left + right - _F(2.0) * best, _F(1e-6))
            out[b, c, 0] = _F(by) + min(max(fy, _F(-0.5)), _F(0.5))
            out[b, c, 1] = _F(bx) + min(max(fx, _F(-0.5)), _F(0.5))
            out[b, c, 2] = _F(1.0)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def carry(
    m1: Any,
    m2: Any,
    count: Any,
    field: Any,
    pitch: Any,
    r0: Any,
    r1: Any,
    new1: Any,
    new2: Any,
    new_count: Any,
) -> None:
    """Memories moved by ``field`` (block, block, 2: row, column in pixels; one every ``pitch``).

    Cubic convolution (Catmull-Rom) where the field is not 0, linear between blocks.
    """
    rows, columns = m1.shape
    blocks_down, blocks_across = field.shape[0], field.shape[1]
    wy, wx = np.empty(4, np.float32), np.empty(4, np.float32)
    for i in range(r0, r1):
        v = (i + 0.5) / pitch - 0.5
        a = math.floor(v)
        t = _F(v - a)
        b = min(max(a + 1, 0), blocks_down - 1)
        a = min(max(a, 0), blocks_down - 1)
        for c in range(-1, blocks_across):
            left = max(c, 0)
            right = min(c + 1, blocks_across - 1)
            j0 = max(0, int(c * pitch + pitch // 2))
            j1 = min(columns, int((c + 1) * pitch + pitch // 2))
            y0 = field[a, left, 0] + t * (field[b, left, 0] - field[a, left, 0])
            y1 = field[a, right, 0] + t * (field[b, right, 0] - field[a, right, 0])
            x0 = field[a, left, 1] + t * (field[b, left, 1] - field[a, left, 1])
            x1 = field[a, right, 1] + t * (field[b, right, 1] - field[a, right, 1])
            if y0 == 0.0 and y1 == 0.0 and x0 == 0.0 and x1 == 0.0:
                for j in range(j0, j1):
                    new1[i, j], new2[i, j] = m1[i, j], m2[i, j]
                    new_count[i, j] = count[i, j]
                continue
            for j in range(j0, j1):
                s = (_F(j) + _F(0.5) - _F(c * pitch + pitch // 2)) / _F(pitch)
                y = _F(i) - (y0 + s * (y1 - y0))
                x = _F(j) - (x0 + s * (x1 - x0))
                y = min(max(y, _F(0.0)), _F(rows - 1))
                x = min(max(x, _F(0.0)), _F(columns - 1))
                p, q = math.floor(y), math.floor(x)
                _weights(y - _F(p), wy)
                _weights(x - _F(q), wx)
                s1 = s2 = _F(0.0)
                for k in range(4):
                    r = min(max(p + k - 1, 0), rows - 1)
                    for m in range(4):
                        w = wy[k] * wx[m]
                        z = min(max(q + m - 1, 0), columns - 1)
                        s1 += w * m1[r, z]
                        s2 += w * m2[r, z]
                new1[i, j], new2[i, j] = s1, s2
                new_count[i, j] = count[min(p, rows - 1), min(q, columns - 1)]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _weights(t: Any, w: Any) -> None:
    t2, t3 = t * t, t * t * t
    half = _F(0.5)
    w[0] = half * (-t3 + _F(2.0) * t2 - t)
    w[1] = half * (_F(3.0) * t3 - _F(5.0) * t2 + _F(2.0))
    w[2] = half * (_F(-3.0) * t3 + _F(4.0) * t2 + t)
    w[3] = half * (t3 - t2)
