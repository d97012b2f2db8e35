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
    d: Any,
    m1: Any,
    m2: Any,
    count: Any,
    mix: Any,
    scale: Any,
    r0: Any,
    r1: Any,
    e: Any,
    half: Any,
    quarter: Any,
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
def quarters(d: Any, m1: Any, m2: Any, mix: Any, r0: Any, r1: Any, new: Any, old: Any) -> None:
    """4 x 4 means of the frame and of the memory; rows r0..r1 of ``new`` and ``old``."""
    columns = d.shape[1]
    rest, share = _F(1.0) - mix, _F(1.0 / 16.0)
    a, b = np.empty(columns, np.float32), np.empty(columns, np.float32)
    for q in range(r0, r1):
        a[:] = _F(0.0)
        b[:] = _F(0.0)
        for i in range(4 * q, 4 * q + 4):
            x, y, z = d[i], m1[i], m2[i]
            for j in range(columns):
                a[j] += x[j]
                b[j] += mix * y[j] + rest * z[j]
        for k in range(new.shape[1]):
            new[q, k] = share * (a[4 * k] + a[4 * k + 1] + a[4 * k + 2] + a[4 * k + 3])
            old[q, k] = share * (b[4 * k] + b[4 * k + 1] + b[4 * k + 2] + b[4 * k + 3])


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def lines(
    padded: Any, offsets: Any, far: Any, spare: Any, r0: Any, r1: Any, best: Any, which: Any
) -> None:
    """Strongest of the line means of 21 taps through each pixel, and its orientation (float32).

    A line is three pieces of 7 taps, one behind the other.  ``padded`` has 10 more values on each
    side than ``best``; ``offsets`` (orientation, 7, 2) of a piece's taps lie in 0..6 (3 is the
    middle); ``far`` (orientation, 2) is the step from piece to piece, at most 7 each way.  A
    piece's sum that is off the middle one of the three by more than its size and ``spare`` counts
    no more than that: a line that only grazes something strong is none.
    """
    n = best.shape[1]
    rows, wide = r1 - r0, n + 14
    share = _F(1.0 / 21.0)
    piece = np.empty((rows + 14, wide), np.float32)
    for i in range(r0, r1):
        for j in range(n):
            best[i, j] = _F(0.0)
            which[i, j] = _F(0.0)
    for o in range(offsets.shape[0]):
        f = offsets[o]
        for y in range(rows + 14):
            a = padded[r0 + y + f[0, 0], f[0, 1] : f[0, 1] + wide]
            b = padded[r0 + y + f[1, 0], f[1, 1] : f[1, 1] + wide]
            c = padded[r0 + y + f[2, 0], f[2, 1] : f[2, 1] + wide]
            d = padded[r0 + y + f[3, 0], f[3, 1] : f[3, 1] + wide]
            e = padded[r0 + y + f[4, 0], f[4, 1] : f[4, 1] + wide]
            g = padded[r0 + y + f[5, 0], f[5, 1] : f[5, 1] + wide]
            h = padded[r0 + y + f[6, 0], f[6, 1] : f[6, 1] + wide]
            p = piece[y]
            for j in range(wide):
                p[j] = a[j] + b[j] + c[j] + d[j] + e[j] + g[j] + h[j]
        dy, dx = far[o, 0], far[o, 1]
        mark = _F(o)
        for y in range(rows):
            a = piece[y + 7 - dy, 7 - dx : 7 - dx + n]
            b = piece[y + 7, 7 : 7 + n]
            c = piece[y + 7 + dy, 7 + dx : 7 + dx + n]
            top, at = best[r0 + y], which[r0 + y]
            for j in range(n):
                p, q, r = a[j], b[j], c[j]
                middle = max(min(p, q), min(max(p, q), r))
                most = spare + abs(middle)
                p = min(max(p, middle - most), middle + most)
                q = min(max(q, middle - most), middle + most)
                r = min(max(r, middle - most), middle + most)
                v = (p + q + r) * share
                old = top[j]
                larger = abs(v) > abs(old)
                top[j] = v if larger else old
                at[j] = mark if larger else at[j]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def areas(
    quarter: Any,
    half: Any,
    one_over_area: Any,
    one_over_noise2: Any,
    one_over_dot: Any,
    limits: Any,
    r0: Any,
    r1: Any,
    area: Any,
    dot: Any,
) -> None:
    """Gates of areas and dots, rows r0..r1 of the quarter arrays.

    ``limits``: low and one over the span, of areas, of energy, of dots.  Areas: the mean of 3 x 3
    quarters; energy: the mean square of 5 x 5; dots: the strongest 3 x 3 mean of ``half`` inside.
    """
    rows, columns = quarter.shape
    half_rows, half_columns = half.shape
    ninth = _F(1.0 / 9.0)
    energy = np.empty(columns, np.float32)
    mean = np.empty(columns, np.float32)
    column = np.empty((2, half_columns), np.float32)
    for i in range(r0, r1):
        for j in range(columns):
            energy[j] = _F(0.0)
        for k in range(-2, 3):
            row = quarter[min(max(i + k, 0), rows - 1)]
            for j in range(columns):
                energy[j] += row[j] * row[j]
        a, b, c = quarter[max(i - 1, 0)], quarter[i], quarter[min(i + 1, rows - 1)]
        for j in range(columns):
            mean[j] = a[j] + b[j] + c[j]
        for k in range(2):
            h = 2 * i + k
            a = half[max(h - 1, 0)]
            b = half[h]
            c = half[min(h + 1, half_rows - 1)]
            for j in range(half_columns):
                column[k, j] = a[j] + b[j] + c[j]
        for j in range(columns):
            p, q = max(j - 1, 0), min(j + 1, columns - 1)
            z = abs(mean[p] + mean[j] + mean[q]) * ninth * one_over_area
            t = min(max((z - limits[0]) * limits[1], _F(0.0)), _F(1.0))
            w = energy[max(j - 2, 0)] + energy[p] + energy[j] + energy[q]
            w = (w + energy[min(j + 2, columns - 1)]) * _F(0.04) * one_over_noise2
            u = min(max((w - limits[2]) * limits[3], _F(0.0)), _F(1.0))
            t = max(t, u)
            area[i, j] = t * t * (_F(3.0) - _F(2.0) * t)
            strongest = _F(0.0)
            for k in range(2):
                for m in range(2):
                    x = 2 * j + m
                    v = column[k, max(x - 1, 0)] + column[k, x]
                    v = abs(v + column[k, min(x + 1, half_columns - 1)])
                    strongest = max(strongest, v)
            z = strongest * ninth * one_over_dot
            t = min(max((z - limits[4]) * limits[5], _F(0.0)), _F(1.0))
            dot[i, j] = t * t * (_F(3.0) - _F(2.0) * t)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def line_gate(
    line: Any, support: Any, low: Any, span: Any, drop: Any, r0: Any, r1: Any, gate: Any
) -> None:
    """gate = smoothstep of |line| from ``low`` over ``span``; ``low`` falls where ``support``.

    ``support`` (quarter) is 0..1: sure lines near by; with 1 the limit is ``low`` - ``drop``.
    """
    one_over = _F(1.0) / span
    for i in range(r0, r1):
        near = support[i // 2]
        for k in range(near.size):
            limit = low - drop * near[k]
            for j in (2 * k, 2 * k + 1):
                t = min(max((abs(line[i, j]) - limit) * one_over, _F(0.0)), _F(1.0))
                gate[i, j] = t * t * (_F(3.0) - _F(2.0) * t)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def pooled(gate: Any, r0: Any, r1: Any, out: Any) -> None:
    """out (quarter) = largest of each 2 x 2 of ``gate`` (half)."""
    for i in range(r0, r1):
        a, b = gate[2 * i], gate[2 * i + 1]
        for j in range(out.shape[1]):
            out[i, j] = max(max(a[2 * j], a[2 * j + 1]), max(b[2 * j], b[2 * j + 1]))


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def support_of(pool: Any, least: Any, span: Any, r0: Any, r1: Any, out: Any) -> None:
    """out = (7 x 7 mean of ``pool`` - least) / span, kept within 0..1."""
    rows, columns = pool.shape
    total = np.empty(columns + 6, np.float32)
    share, one_over = _F(1.0 / 49.0), _F(1.0) / span
    for i in range(r0, r1):
        total[:] = _F(0.0)
        inner = total[3 : columns + 3]
        for k in range(-3, 4):
            row = pool[min(max(i + k, 0), rows - 1)]
            for j in range(columns):
                inner[j] += row[j]
        for j in range(columns):
            v = total[j] + total[j + 1] + total[j + 2] + total[j + 3]
            v = (v + total[j + 4] + total[j + 5] + total[j + 6]) * share
            out[i, j] = min(max((v - least) * one_over, _F(0.0)), _F(1.0))


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def quarter_to_full(small: Any, i: Any, line: Any, out: Any) -> None:
    """out = row i of ``small`` magnified four times by linear interpolation; ``line`` scratch."""
    rows, columns = small.shape
    v = (_F(i) - _F(1.5)) * _F(0.25)
    a = math.floor(v)
    t = v - _F(a)
    b = min(max(a + 1, 0), rows - 1)
    a = min(max(a, 0), rows - 1)
    for k in range(columns):
        line[k] = small[a, k] + t * (small[b, k] - small[a, k])
    for k in range(columns):
        m = line[k]
        left = line[k - 1] if k > 0 else m
        right = line[k + 1] if k + 1 < columns else m
        out[4 * k] = m + _F(0.375) * (left - m)
        out[4 * k + 1] = m + _F(0.125) * (left - m)
        out[4 * k + 2] = m + _F(0.125) * (right - m)
        out[4 * k + 3] = m + _F(0.375) * (right - m)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def remember(
    e: Any,
    m1: Any,
    m2: Any,
    count: Any,
    mix: Any,
    gain1: Any,
    gain2: Any,
    show: Any,
    gate: Any,
    which: Any,
    offsets: Any,
    reach: Any,
    coarse: Any,
    area: Any,
    dot: Any,
    follow: Any,
    forget: Any,
    most: Any,
    r0: Any,
    r1: Any,
    x: Any,
) -> None:
    """Display x = m + A e + (1 - A) E, and the memories' next values.

    A = ``show[count]``.  E is what the innovation surely says: ``coarse`` (quarter; mean of the
    surroundings, already gated by ``area``), replaced where ``gate`` (half) is open by the mean of
    e along the line ``which`` (half) of ``offsets`` (orientation, tap, 2); ``dot`` (quarter)
    opens A itself.  The memories follow ``follow`` E, and forget (``count`` falls) by ``forget``.
    """
    rows, columns = e.shape
    one = _F(1.0)
    rest = one - mix
    taps = offsets.shape[1]
    share = one / _F(taps)
    steps = offsets[:, :, 0] * columns + offsets[:, :, 1] - reach * (columns + 1)
    flat = e.reshape(e.size)
    line = np.empty(coarse.shape[1], np.float32)
    known, moved = np.empty(columns, np.float32), np.empty(columns, np.float32)
    opened = np.empty(columns, np.float32)
    for i in range(r0, r1):
        quarter_to_full(coarse, i, line, known)
        quarter_to_full(area, i, line, moved)
        quarter_to_full(dot, i, line, opened)
        open_half = gate[i // 2]
        inside = reach <= i < rows - reach
        for h in range(open_half.size):
            g = open_half[h]
            if g > _F(0.0):
                o = int(which[i // 2, h])
                for j in (2 * h, 2 * h + 1):
                    total = _F(0.0)
                    if inside and reach <= j < columns - reach:
                        at = i * columns + j
                        for k in range(taps):
                            total += flat[at + steps[o, k]]
                    else:
                        for k in range(taps):
                            y = min(max(i + offsets[o, k, 0] - reach, 0), rows - 1)
                            z = min(max(j + offsets[o, k, 1] - reach, 0), columns - 1)
                            total += e[y, z]
                    known[j] += g * (total * share - known[j])
                    moved[j] = max(moved[j], g)
        n, w, old1, old2, shown = count[i], e[i], m1[i], m2[i], x[i]
        for j in range(columns):
            c = n[j]
            k1, k2, least = gain1[c], gain2[c], show[c]
            a, b = old1[j], old2[j]
            m = mix * a + rest * b
            large = max(least, opened[j])
            shown[j] = m + large * w[j] + (one - large) * known[j]
            d = m + w[j]
            step = follow * known[j]
            a += step
            b += step
            old1[j] = a + k1 * (d - a)
            old2[j] = b + k2 * (d - b)
            alarm = max(moved[j], opened[j])
            left = _F(c) * (one - forget * alarm) + _F(4.0)
            n[j] = np.uint8(min(left, most))
