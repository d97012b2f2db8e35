"""Where something happens: the active columns of each row, grown with the disturbance.

A row (z, y) is worked on between ``lo[row]`` and ``hi[row]`` (none: lo >= hi).  After each
super-step the rows are surveyed: where temperature departs from rest, which columns are near
freezing, the lowest temperature so far.  The next step works on that region, grown by the distance
heat can travel in it.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange, uint64

from irplan.compute.cpu.bioheat import cold_columns
from irplan.compute.cpu.bioheat_state import BAND_K, DC, FAST, NONE, enthalpy

#: Active columns begin and end at multiples of this, so that the processor's vectors fill up.
WIDTH = 8
#: Departures below this are set to none, K: left to shrink they become denormal numbers, which
#: cost a hundred times as much.
_TINY_K = 1e-12
#: Beyond every column.
_FAR = 1 << 20
#: Work of a voxel near freezing, of a mixed voxel and of a row, in plain voxels (measured).
_COLD_WORK, _MIXED_WORK, _ROW_WORK = 5, 10, 14


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _survey_rows(
    ta: Any, low: Any, shape: Any, active: Any, first: Any, last: Any, lo: Any, hi: Any,
    tolerance: Any, ice: Any, liquidus: Any, near: Any, busy_lo: Any, busy_hi: Any, work: Any,
) -> int:  # fmt: skip
    ny, nx = shape[1], shape[2]
    sy, sz = nx + 2, (ny + 2) * (nx + 2)
    band = liquidus + np.float32(BAND_K)
    one, zero, tiny = np.float32(1.0), np.float32(0.0), np.float32(_TINY_K)
    frozen = 0
    for a in range(first, last):
        row = active[a]
        z, y = row // ny, row % ny
        base = uint64((z + 1) * sz + (y + 1) * sy + 1)
        out = uint64(row * nx)
        left, right = np.int64(lo[row]), np.int64(hi[row])
        ices, cold = zero, zero
        for k in range(right - left):
            i = base + uint64(left) + uint64(k)
            t = ta[i] if abs(ta[i]) > tiny else zero
            ta[i] = t
            at = out + uint64(left) + uint64(k)
            low[at] = min(low[at], t)
            ices += one if t <= ice else zero
            cold += one if t <= band else zero
        frozen += int(ices)
        work[row] = _COLD_WORK * int(cold)
        q = (z + 1) * (ny + 2) + y + 1
        near[0, q], near[1, q] = NONE, 0
        if cold > zero:
            near[0, q], near[1, q] = cold_columns(ta, base, left, right, band)
        while left < right and abs(ta[base + uint64(left)]) <= tolerance:
            left += 1
        while right > left and abs(ta[base + uint64(right - 1)]) <= tolerance:
            right -= 1
        busy_lo[row] = left if left < right else nx
        busy_hi[row] = right if left < right else 0
    return frozen


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def _survey_parallel(
    ta: Any, low: Any, shape: Any, active: Any, chunks: Any, lo: Any, hi: Any,
    tolerance: Any, ice: Any, liquidus: Any, near: Any, busy_lo: Any, busy_hi: Any, work: Any,
) -> int:  # fmt: skip
    counts = np.zeros(chunks.shape[0] - 1, np.int64)
    for c in prange(chunks.shape[0] - 1):
        counts[c] = _survey_rows(
            ta, low, shape, active, chunks[c], chunks[c + 1], lo, hi, tolerance, ice, liquidus,
            near, busy_lo, busy_hi, work,
        )  # fmt: skip
    return counts.sum()


@njit(cache=True, nogil=True, error_model="numpy")
def survey(
    ta: Any, low: Any, shape: Any, active: Any, chunks: Any, many: Any, lo: Any, hi: Any,
    tolerance: Any, ice: Any, liquidus: Any, near: Any, busy_lo: Any, busy_hi: Any, work: Any,
) -> int:  # fmt: skip
    """Look at the active rows of the padded ``ta``; returns the voxels at or below ``ice``.

    ``low`` (flat, not padded) becomes the minimum of itself and ``ta``; ``near`` (2, padded rows)
    gets the first cold column of each row and the last + 1; ``busy_lo``, ``busy_hi`` (rows,)
    enclose the voxels further than ``tolerance`` from rest; ``work`` (rows,) gains what
    near-freezing voxels cost more.
    """
    if not many:
        return _survey_rows(
            ta, low, shape, active, np.int64(0), np.int64(active.shape[0]), lo, hi, tolerance, ice,
            liquidus, near, busy_lo, busy_hi, work,
        )  # fmt: skip
    return _survey_parallel(
        ta, low, shape, active, chunks, lo, hi, tolerance, ice, liquidus, near, busy_lo, busy_hi,
        work,
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _rounded(across: Any, along: Any) -> Any:
    """Half width of an ellipse of semi-axes ``across`` + 1, ``along`` at each distance across."""
    out = np.empty(across + 1, np.int32)
    for n in range(across + 1):
        out[n] = int(np.ceil(along * np.sqrt(1.0 - (n / (across + 1.0)) ** 2)))
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _widen(
    a_lo: Any, a_hi: Any, b_lo: Any, b_hi: Any, start: Any, other: Any, n: Any, way: Any
) -> None:
    """Rows ``start`` on, made wider by ``way`` at both ends, join the rows ``other`` on."""
    far = np.int32(_FAR)
    for k in range(n):
        left, right = a_lo[start + uint64(k)] - way, a_hi[start + uint64(k)] + way
        some = right > left
        at = other + uint64(k)
        b_lo[at] = min(b_lo[at], left if some else far)
        b_hi[at] = max(b_hi[at], right if some else -far)


@njit(cache=True, nogil=True, error_model="numpy")
def _grown(busy_lo: Any, busy_hi: Any, reach: Any, nz: Any, ny: Any) -> tuple[Any, Any]:
    """Ends of the rows (not cut at the grid's) of the busy region grown by ``reach`` voxels."""
    far = np.int32(_FAR)
    wide_y, wide_z = _rounded(reach[1], reach[2]), _rounded(reach[0], reach[2])
    first_lo, first_hi = np.full(nz * ny, far, np.int32), np.full(nz * ny, -far, np.int32)
    last_lo, last_hi = first_lo.copy(), first_hi.copy()
    for z in range(nz):
        some = False
        for row in range(z * ny, (z + 1) * ny):
            some = some or busy_hi[row] > 0
        if not some:
            continue
        for d in range(max(-reach[1], 1 - ny), min(reach[1], ny - 1) + 1):
            y = max(0, -d)
            _widen(
                busy_lo, busy_hi, first_lo, first_hi, uint64(z * ny + y), uint64(z * ny + y + d),
                ny - abs(d), wide_y[abs(d)],
            )  # fmt: skip
        for d in range(-min(reach[0], z), min(reach[0], nz - 1 - z) + 1):
            _widen(
                first_lo, first_hi, last_lo, last_hi, uint64(z * ny), uint64((z + d) * ny), ny,
                np.int32(wide_z[abs(d)] - reach[2]),
            )  # fmt: skip
    return last_lo, last_hi


@njit(cache=True, nogil=True, error_model="numpy")
def grow(
    busy_lo: Any, busy_hi: Any, reach: Any, shape: Any, runs: Any, rows: Any, mixed: Any,
    mixed_rows: Any, lo: Any, hi: Any, work: Any, extra: Any,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Enlarge lo, hi to the busy region grown by ``reach`` (z, y, x) voxels; never shrinks.

    Returns the active rows, where the chunks begin among them (n + 1,), and what the stages need
    to know of each (active, 10): its first voxel and its number in the padded grid, its first
    active column and the last + 1, its tissue (-1: several), whether it touches the grid's edge,
    the first and last run and the first and last mixed voxel in it.  With the work ``extra`` (n,),
    that each chunk does besides, in plain voxels, the chunks cost about the same.
    """
    nz, ny, nx = shape[0], shape[1], shape[2]
    grown_lo, grown_hi = _grown(busy_lo, busy_hi, reach, nz, ny)
    active = np.empty(nz * ny, np.int32)
    inside = np.empty((nz * ny, 10), np.int64)
    cost = np.empty(nz * ny, np.int64)
    n, total = 0, 0
    for row in range(nz * ny):
        if grown_hi[row] > grown_lo[row]:
            lo[row] = min(lo[row], max(grown_lo[row], 0) // WIDTH * WIDTH)
            hi[row] = max(hi[row], min((grown_hi[row] + WIDTH - 1) // WIDTH * WIDTH, nx))
        if hi[row] <= lo[row]:
            continue
        r0, r1, m0, m1 = rows[row], rows[row + 1], mixed_rows[row], mixed_rows[row + 1]
        while r0 < r1 and runs[r0, 0] + runs[r0, 1] <= lo[row]:
            r0 += 1
        while r1 > r0 and runs[r1 - 1, 0] >= hi[row]:
            r1 -= 1
        while m0 < m1 and mixed[m0] < lo[row]:
            m0 += 1
        while m1 > m0 and mixed[m1 - 1] >= hi[row]:
            m1 -= 1
        z, y = row // ny, row % ny
        inside[n, 0] = ((z + 1) * (ny + 2) + y + 1) * (nx + 2) + 1
        inside[n, 1] = (z + 1) * (ny + 2) + y + 1
        inside[n, 2], inside[n, 3] = lo[row], hi[row]
        inside[n, 4] = -1
        if r1 == r0 + 1 and m0 == m1 and runs[r0, 0] <= lo[row]:
            inside[n, 4] = runs[r0, 2] if runs[r0, 0] + runs[r0, 1] >= hi[row] else -1
        at_edge = lo[row] == 0 or hi[row] == nx or y == 0 or y == ny - 1 or z == 0 or z == nz - 1
        inside[n, 5] = 1 if at_edge else 0
        inside[n, 6], inside[n, 7], inside[n, 8], inside[n, 9] = r0, r1, m0, m1
        spent = work[row] + (hi[row] - lo[row]) + _ROW_WORK + _MIXED_WORK * (m1 - m0)
        active[n] = row
        total += spent
        cost[n] = total
        n += 1
    count = extra.shape[0]
    chunks = np.empty(count + 1, np.int64)
    chunks[0], chunks[count] = 0, n
    share = (total + extra.sum()) / count
    at, besides = 0, 0
    for c in range(1, count):
        besides += extra[c - 1]
        while at < n and cost[at] < c * share - besides:
            at += 1
        chunks[c] = at
    return active[:n].copy(), chunks, inside[:n].copy()


@njit(cache=True, nogil=True, error_model="numpy")
def edge_rise(ta: Any, kind: Any, derived: Any, shape: Any, active: Any, lo: Any, hi: Any) -> Any:
    """Largest |tau| among the free voxels of the outermost layers, K."""
    nz, ny, nx = shape[0], shape[1], shape[2]
    sy, sz = nx + 2, (ny + 2) * (nx + 2)
    worst = np.float32(0.0)
    for a in range(active.shape[0]):
        row = active[a]
        z, y = row // ny, row % ny
        left, right = lo[row], hi[row]
        base = (z + 1) * sz + (y + 1) * sy + 1
        if z == 0 or z == nz - 1 or y == 0 or y == ny - 1:
            for x in range(left, right):
                if derived[kind[base + x], DC] > 0.0:
                    worst = max(worst, abs(ta[base + x]))
            continue
        if left == 0 and derived[kind[base], DC] > 0.0:
            worst = max(worst, abs(ta[base]))
        if right == nx and derived[kind[base + nx - 1], DC] > 0.0:
            worst = max(worst, abs(ta[base + nx - 1]))
    return worst


@njit(cache=True, nogil=True, error_model="numpy")
def stored(
    ta: Any, kind: Any, derived: Any, tau: Any, shape: Any, lo: Any, hi: Any
) -> float:  # fmt: skip
    """Sum of u over the free voxels between ``lo`` and ``hi`` of each row, MJ/m3."""
    nz, ny, nx = shape[0], shape[1], shape[2]
    sy, sz = nx + 2, (ny + 2) * (nx + 2)
    total = 0.0
    for z in range(nz):
        for y in range(ny):
            base = (z + 1) * sz + (y + 1) * sy + 1
            part = 0.0
            row = z * ny + y
            for i in range(base + lo[row], base + hi[row]):
                part += np.float64(enthalpy(ta[i], derived[kind[i]], tau))
            total += part
    return total
