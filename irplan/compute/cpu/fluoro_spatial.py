"""The spatial stage of the fluoroscopy filter: bands with fixed gains, and lines kept whole."""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

_F = np.float32


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def halved(x: Any, r0: Any, r1: Any, out: Any) -> None:
    """out = 2 x 2 means of x; rows r0..r1 of ``out``."""
    quart = _F(0.25)
    for h in range(r0, r1):
        a, b = x[2 * h], x[2 * h + 1]
        for k in range(out.shape[1]):
            out[h, k] = quart * (a[2 * k] + a[2 * k + 1] + b[2 * k] + b[2 * k + 1])


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def doubled_row(small: Any, i: Any, line: Any, out: Any) -> None:
    """out = row i of ``small`` doubled by linear interpolation; ``line`` is scratch (small)."""
    rows, columns = small.shape
    near = i // 2
    other = near + 1 if i % 2 else near - 1
    other = min(max(other, 0), rows - 1)
    for k in range(columns):
        line[k] = _F(0.75) * small[near, k] + _F(0.25) * small[other, k]
    for k in range(1, columns - 1):
        c = _F(0.75) * line[k]
        out[2 * k] = c + _F(0.25) * line[k - 1]
        out[2 * k + 1] = c + _F(0.25) * line[k + 1]
    last = columns - 1
    out[0] = line[0]
    out[1] = _F(0.75) * line[0] + _F(0.25) * line[min(1, last)]
    out[2 * last] = _F(0.75) * line[last] + _F(0.25) * line[max(last - 1, 0)]
    out[2 * last + 1] = line[last]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def band(x: Any, small: Any, r0: Any, r1: Any, out: Any) -> None:
    """out = x - doubled ``small``, rows r0..r1."""
    line = np.empty(small.shape[1], np.float32)
    up = np.empty(x.shape[1], np.float32)
    for i in range(r0, r1):
        doubled_row(small, i, line, up)
        for j in range(x.shape[1]):
            out[i, j] = x[i, j] - up[j]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def joined(detail: Any, gain: Any, small: Any, r0: Any, r1: Any, out: Any) -> None:
    """out = gain * detail + doubled ``small``, rows r0..r1."""
    line = np.empty(small.shape[1], np.float32)
    up = np.empty(out.shape[1], np.float32)
    for i in range(r0, r1):
        doubled_row(small, i, line, up)
        for j in range(out.shape[1]):
            out[i, j] = gain * detail[i, j] + up[j]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def finest(
    x: Any,
    plain: Any,
    base: Any,
    gain0: Any,
    gate: Any,
    which: Any,
    offsets: Any,
    reach: Any,
    sharpen: Any,
    r0: Any,
    r1: Any,
    out: Any,
) -> None:
    """Join the finest band; along lines the mean of the line instead.

    ``plain`` (half): the reduced rest of the picture; ``base`` (half): the unreduced 2 x 2 means.
    x - doubled(base) is the finest band, kept by ``gain0``.  Where ``gate`` (half) is open, x
    itself is averaged along the line ``which``; ``sharpen`` restores what its taps blur across.
    """
    rows, columns = x.shape
    line = np.empty(base.shape[1], np.float32)
    up, low = np.empty(columns, np.float32), np.empty(columns, np.float32)
    taps = offsets.shape[1]
    share = _F(1.0) / _F(taps)
    steps = offsets[:, :, 0] * columns + offsets[:, :, 1] - reach * (columns + 1)
    flat = x.reshape(x.size)
    for i in range(r0, r1):
        doubled_row(base, i, line, up)
        doubled_row(plain, i, line, low)
        here, there = x[i], out[i]
        for j in range(columns):
            there[j] = low[j] + gain0 * (here[j] - up[j])
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
                            total += x[y, z]
                    kept = total * share
                    kept += sharpen * (kept - low[j])
                    there[j] += g * (kept - there[j])


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def unstabilise(x: Any, gain: Any, extra: Any, offset: Any, r0: Any, r1: Any, out: Any) -> None:
    """out = a (x/2)^2 - a/8 - se^2/a + offset, the unbiased inverse for values of little noise.

    ``extra`` = a/8 + se^2/a (Makitalo and Foi 2013, closed form).
    """
    k = gain * _F(0.25)
    for i in range(r0, r1):
        for j in range(out.shape[1]):
            v = max(x[i, j], _F(0.0))
            out[i, j] = k * v * v - extra + offset


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def box3(x: Any, r0: Any, r1: Any, out: Any) -> None:
    """out = 3 x 3 means of x, edges repeated."""
    rows, columns = x.shape
    ninth = _F(1.0 / 9.0)
    for i in range(r0, r1):
        a, b, c = x[max(i - 1, 0)], x[i], x[min(i + 1, rows - 1)]
        for j in range(1, columns - 1):
            out[i, j] = ninth * (
                a[j - 1] + a[j] + a[j + 1] + b[j - 1] + b[j] + b[j + 1] + c[j - 1] + c[j] + c[j + 1]
            )
        for j in (0, columns - 1):
            p, q = max(j - 1, 0), min(j + 1, columns - 1)
            out[i, j] = ninth * (a[p] + a[j] + a[q] + b[p] + b[j] + b[q] + c[p] + c[j] + c[q])


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def soften(x: Any, pad: Any, r0: Any, r1: Any, out: Any) -> None:
    """x smoothed by 1-2-1 both ways into the middle of ``out`` (``pad`` more on each side)."""
    rows, columns = x.shape
    row = np.empty(columns, np.float32)
    for i in range(r0, r1):
        a, b, c = x[max(i - 1, 0)], x[i], x[min(i + 1, rows - 1)]
        for j in range(columns):
            row[j] = _F(0.25) * (a[j] + _F(2.0) * b[j] + c[j])
        to = out[i + pad, pad : pad + columns]
        for j in range(1, columns - 1):
            to[j] = _F(0.25) * (row[j - 1] + _F(2.0) * row[j] + row[j + 1])
        to[0], to[columns - 1] = row[0], row[columns - 1]


@njit(cache=True, nogil=True)
def sampled(x: Any, step: Any, out: Any) -> Any:
    """|x| at every ``step``-th value into ``out``; how many."""
    n = 0
    flat = x.ravel()
    for k in range(step // 2, flat.size, step):
        if n >= out.size:
            break
        out[n] = math.fabs(flat[k])
        n += 1
    return n
