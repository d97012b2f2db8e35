"""The temporal stage of the fluoroscopy filter: stabilise, innovate, gate, display, remember.

All but `stabilise` work on variance-stabilised values (noise SD 1).  Arrays have a multiple of 8
rows and columns; "half" and "quarter" arrays have a half and a quarter of them.  Kernels take a
range of rows so that threads can share a frame.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

_F = np.float32


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def stabilise(y: Any, gain: Any, extra: Any, offset: Any, r0: Any, r1: Any, out: Any) -> None:
    """out = (2/a) sqrt(a (y - offset) + 3/8 a^2 + se^2), 0 where that is negative.

    Generalised Anscombe transform (Murtagh, Starck, Bijaoui 1995).  ``extra`` = 3/8 a^2 + se^2.
    """
    two = _F(2.0) / gain
    for i in range(r0, r1):
        for j in range(y.shape[1]):
            v = gain * (y[i, j] - offset) + extra
            out[i, j] = two * math.sqrt(max(v, _F(0.0)))


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def innovation(
    d: Any, m1: Any, m2: Any, count: Any, mix: Any, scale: Any, r0: Any, r1: Any,
    e: Any, half: Any, quarter: Any,
) -> None:
    """e = d - m with m = mix m1 + (1 - mix) m2, and its 2 x 2 and 4 x 4 means.

    The means are multiplied by ``scale[count]`` (1 / sqrt(1 + variance of m)), so that their noise
    is the same everywhere.  Rows r0..r1 are rows of ``quarter``.
    """
    columns = d.shape[1]
    rest = _F(1.0) - mix
    quart = _F(0.25)
    for q in range(r0, r1):
        for i in range(4 * q, 4 * q + 4):
            for j in range(columns):
                e[i, j] = d[i, j] - (mix * m1[i, j] + rest * m2[i, j])
        for h in range(2 * q, 2 * q + 2):
            a, b = e[2 * h], e[2 * h + 1]
            for k in range(columns // 2):
                s = scale[count[2 * h, 2 * k]]
                half[h, k] = quart * s * (a[2 * k] + a[2 * k + 1] + b[2 * k] + b[2 * k + 1])
        a, b = half[2 * q], half[2 * q + 1]
        for k in range(columns // 4):
            quarter[q, k] = quart * (a[2 * k] + a[2 * k + 1] + b[2 * k] + b[2 * k + 1])


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def lines(padded: Any, offsets: Any, r0: Any, r1: Any, best: Any, which: Any) -> None:
    """Strongest of the line means through each pixel, and its orientation.

    ``padded`` has ``pad`` more values on each side than ``best``; ``offsets`` (orientation, tap,
    2) are added to the padded index of the pixel (so they lie in 0..2 pad).
    """
    columns = best.shape[1]
    total = np.empty(columns, np.float32)
    taps = offsets.shape[1]
    share = _F(1.0 / taps)
    for i in range(r0, r1):
        for j in range(columns):
            best[i, j] = _F(0.0)
            which[i, j] = 0
        for o in range(offsets.shape[0]):
            total[:] = _F(0.0)
            for k in range(taps):
                row = padded[i + offsets[o, k, 0]]
                dj = offsets[o, k, 1]
                for j in range(columns):
                    total[j] += row[j + dj]
            for j in range(columns):
                v = total[j] * share
                if abs(v) > abs(best[i, j]):
                    best[i, j] = v
                    which[i, j] = o


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def remember(
    e: Any, m1: Any, m2: Any, count: Any, mix: Any, gain1: Any, gain2: Any, show: Any,
    gate: Any, which: Any, offsets: Any, reach: Any, coarse: Any, area: Any, dot: Any,
    follow: Any, forget: Any, most: Any, r0: Any, r1: Any, x: Any,
) -> None:
    """Display x = m + A e + (1 - A) E, and the memories' next values.

    A = ``show[count]``.  E is what the innovation surely says: ``coarse`` (quarter; mean of the
    surroundings, already gated by ``area``), replaced where ``gate`` (half) is open by the mean of
    e along the line ``which`` (half) of ``offsets`` (orientation, tap, 2); ``dot`` (quarter)
    opens A itself.  The memories follow ``follow`` E, and forget (``count`` falls) by ``forget``.
    """
    rows, columns = e.shape
    half_rows, half_columns = gate.shape
    quarter_rows, quarter_columns = coarse.shape
    one, quart, eighth = _F(1.0), _F(0.25), _F(0.125)
    rest = one - mix
    taps = offsets.shape[1]
    share = one / _F(taps)
    up = np.empty((3, quarter_columns), np.float32)
    for i in range(r0, r1):
        v = (_F(i) - _F(1.5)) * quart
        a = int(math.floor(v))
        t = v - _F(a)
        b = min(max(a + 1, 0), quarter_rows - 1)
        a = min(max(a, 0), quarter_rows - 1)
        for k in range(quarter_columns):
            up[0, k] = coarse[a, k] + t * (coarse[b, k] - coarse[a, k])
            up[1, k] = area[a, k] + t * (area[b, k] - area[a, k])
            up[2, k] = dot[a, k] + t * (dot[b, k] - dot[a, k])
        h = i // 2
        for j in range(columns):
            u = (_F(j) - _F(1.5)) * quart
            p = int(math.floor(u))
            s = u - _F(p)
            q = min(max(p + 1, 0), quarter_columns - 1)
            p = min(max(p, 0), quarter_columns - 1)
            known = up[0, p] + s * (up[0, q] - up[0, p])
            moved = up[1, p] + s * (up[1, q] - up[1, p])
            open_ = up[2, p] + s * (up[2, q] - up[2, p])
            g = gate[h, j // 2]
            if g > _F(0.0):
                o = which[h, j // 2]
                total = _F(0.0)
                for k in range(taps):
                    y = min(max(i + offsets[o, k, 0] - reach, 0), rows - 1)
                    z = min(max(j + offsets[o, k, 1] - reach, 0), columns - 1)
                    total += e[y, z]
                known += g * (total * share - known)
            n = count[i, j]
            w = e[i, j]
            old1, old2 = m1[i, j], m2[i, j]
            m = mix * old1 + rest * old2
            large = max(show[n], open_)
            x[i, j] = m + large * w + (one - large) * known
            d = m + w
            step = follow * known
            old1 += step
            old2 += step
            k1, k2 = gain1[n], gain2[n]
            m1[i, j] = old1 + k1 * (d - old1)
            m2[i, j] = old2 + k2 * (d - old2)
            alarm = max(max(moved, g), open_)
            left = _F(n) * (one - forget * alarm) + _F(4.0)
            count[i, j] = np.uint8(min(left, _F(most)))
