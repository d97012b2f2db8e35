"""Conjugate gradients with a multigrid preconditioner for div(sigma grad V) = 0, with electrodes.

Unknowns and units
------------------
``V`` in volts in each cell of a box (float32), 7-point finite volumes: ``gx, gy, gz`` hold the
conductance (S) of the face towards the *lower* neighbour along column, row and slice, ``own`` a
conductance to zero volts (outer boundary).  An electrode is a set of samples m, each a set of
weights W_m that sum to 1, joined to its metal by the conductance ``link[m]`` (S): the current
from the metal into the cells is I_m = link (U_m - W_m V), put into cell i as W_mi I_m.  The metal
is at U_m = fixed_m + sum_f modes[f, m] c_f with unknowns c_f (a floating electrode): the matrix of
(V, c) is symmetric and positive definite.  Potentials c_f carry no net current.

All levels lie in flat buffers, each level as a block padded by one cell of zero conductance;
`irplan.compute.levels.Levels` holds their places.  ``g`` (8, size): gx, gy, gz, own, the inverse
diagonal, and the interpolation's weights along column, row and slice.  The preconditioner is one
V-cycle: linear interpolation (from a cell's parent and the next coarse cell along each axis, but
not across insulators), its transpose, coarse conductances from series and parallel links of the
fine ones, two steps of Chebyshev's fourth kind before and after (Lottes, Numer. Linear Algebra
Appl. 30 (2023) e2518, eq. 3.6), and the samples' term lumped on the diagonal.  Cost of an
iteration: five passes over the finest level, some 40 bytes a cell each.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange, uint64

_FAST = {"nnan", "ninf", "nsz", "arcp", "contract", "reassoc"}
#: Levels with fewer cells than this are swept by one thread.
_PARALLEL = 20000
#: Symmetric Gauss-Seidel sweeps on the coarsest level.
_COARSEST_SWEEPS = 10
#: Chebyshev coefficients for a spectrum of 0..2: first step, then memory and gain of the second.
_FIRST, _MEMORY, _SECOND = np.float32(2.0 / 3.0), np.float32(0.2), np.float32(1.2)


@njit(cache=True, nogil=True, fastmath=_FAST)
def _smooth_plane(
    x: Any, d: Any, y: Any, b: Any, gx: Any, gy: Any, gz: Any, own: Any, dinv: Any,
    start: Any, ny: Any, nx: Any, sy: Any, sz: Any, memory: Any, gain: Any,
) -> None:  # fmt: skip
    """d = memory d + gain D^-1 (b - A x) and y = x + d over one slice."""
    for j in range(ny):
        row = start + uint64(j) * sy
        for k in range(nx):
            i = row + uint64(k)
            v = x[i]
            r = (
                b[i] - own[i] * v
                + gx[i] * (x[i - uint64(1)] - v) + gx[i + uint64(1)] * (x[i + uint64(1)] - v)
                + gy[i] * (x[i - sy] - v) + gy[i + sy] * (x[i + sy] - v)
                + gz[i] * (x[i - sz] - v) + gz[i + sz] * (x[i + sz] - v)
            )  # fmt: skip
            e = memory * d[i] + gain * dinv[i] * r
            d[i] = e
            y[i] = v + e


@njit(cache=True, nogil=True, fastmath=_FAST)
def _residual_plane(
    x: Any, out: Any, b: Any, gx: Any, gy: Any, gz: Any, own: Any,
    start: Any, ny: Any, nx: Any, sy: Any, sz: Any,
) -> None:  # fmt: skip
    """out = b - A x over one slice."""
    for j in range(ny):
        row = start + uint64(j) * sy
        for k in range(nx):
            i = row + uint64(k)
            v = x[i]
            out[i] = (
                b[i] - own[i] * v
                + gx[i] * (x[i - uint64(1)] - v) + gx[i + uint64(1)] * (x[i + uint64(1)] - v)
                + gy[i] * (x[i - sy] - v) + gy[i + sy] * (x[i + sy] - v)
                + gz[i] * (x[i - sz] - v) + gz[i + sz] * (x[i + sz] - v)
            )  # fmt: skip


@njit(cache=True, nogil=True, fastmath=_FAST)
def _apply_plane(
    x: Any, out: Any, gx: Any, gy: Any, gz: Any, own: Any,
    start: Any, ny: Any, nx: Any, sy: Any, sz: Any,
) -> float:  # fmt: skip
    """out = A x over one slice; returns x . out."""
    total = 0.0
    for j in range(ny):
        row = start + uint64(j) * sy
        part = np.float32(0.0)
        for k in range(nx):
            i = row + uint64(k)
            v = x[i]
            a = (
                own[i] * v
                - gx[i] * (x[i - uint64(1)] - v) - gx[i + uint64(1)] * (x[i + uint64(1)] - v)
                - gy[i] * (x[i - sy] - v) - gy[i + sy] * (x[i + sy] - v)
                - gz[i] * (x[i - sz] - v) - gz[i + sz] * (x[i + sz] - v)
            )  # fmt: skip
            out[i] = a
            part += a * v
        total += np.float64(part)
    return total


@njit(cache=True, nogil=True, parallel=True)
def _smooth_parallel(
    x: Any, d: Any, y: Any, b: Any, gx: Any, gy: Any, gz: Any, own: Any, dinv: Any,
    start: Any, nz: Any, ny: Any, nx: Any, sy: Any, sz: Any, memory: Any, gain: Any,
) -> None:  # fmt: skip
    for z in prange(nz):
        at = start + uint64(z) * sz
        _smooth_plane(x, d, y, b, gx, gy, gz, own, dinv, at, ny, nx, sy, sz, memory, gain)


@njit(cache=True, nogil=True, parallel=True)
def _residual_parallel(
    x: Any, out: Any, b: Any, gx: Any, gy: Any, gz: Any, own: Any,
    start: Any, nz: Any, ny: Any, nx: Any, sy: Any, sz: Any,
) -> None:  # fmt: skip
    for z in prange(nz):
        at = start + uint64(z) * sz
        _residual_plane(x, out, b, gx, gy, gz, own, at, ny, nx, sy, sz)


@njit(cache=True, nogil=True, parallel=True)
def _apply_parallel(
    x: Any, out: Any, gx: Any, gy: Any, gz: Any, own: Any,
    start: Any, nz: Any, ny: Any, nx: Any, sy: Any, sz: Any, sums: Any,
) -> None:  # fmt: skip
    for z in prange(nz):
        at = start + uint64(z) * sz
        sums[z] = _apply_plane(x, out, gx, gy, gz, own, at, ny, nx, sy, sz)


@njit(cache=True, nogil=True)
def _place(shape: Any, level: Any) -> tuple[Any, Any, Any, Any, Any, Any]:
    """(nz, ny, nx, row stride, slice stride, flat index of the first inner cell)."""
    nz, ny, nx, offset = shape[level]
    sy, sz = uint64(nx + 2), uint64((ny + 2) * (nx + 2))
    return nz, ny, nx, sy, sz, uint64(offset) + sz + sy + uint64(1)


@njit(cache=True, nogil=True)
def _smooth(
    x: Any, d: Any, y: Any, b: Any, g: Any, shape: Any, level: Any, memory: Any, gain: Any
) -> None:
    nz, ny, nx, sy, sz, start = _place(shape, level)
    if nz * ny * nx >= _PARALLEL:
        _smooth_parallel(
            x, d, y, b, g[0], g[1], g[2], g[3], g[4], start, nz, ny, nx, sy, sz, memory, gain
        )
    else:
        for z in range(nz):
            _smooth_plane(
                x, d, y, b, g[0], g[1], g[2], g[3], g[4], start + uint64(z) * sz,
                ny, nx, sy, sz, memory, gain,
            )  # fmt: skip


@njit(cache=True, nogil=True)
def _residual(x: Any, out: Any, b: Any, g: Any, shape: Any, level: Any) -> None:
    nz, ny, nx, sy, sz, start = _place(shape, level)
    if nz * ny * nx >= _PARALLEL:
        _residual_parallel(x, out, b, g[0], g[1], g[2], g[3], start, nz, ny, nx, sy, sz)
    else:
        for z in range(nz):
            at = start + uint64(z) * sz
            _residual_plane(x, out, b, g[0], g[1], g[2], g[3], at, ny, nx, sy, sz)


@njit(cache=True, nogil=True, fastmath=_FAST)
def _restrict_plane(
    fine: Any, coarse: Any, w: Any, shape: Any, level: Any, table_at: Any, side: Any,
    span_at: Any, child: Any, z: Any,
) -> None:  # fmt: skip
    """Transpose of the interpolation into slice z of level + 1."""
    nzf, nyf, nxf, syf, szf, start_f = _place(shape, level)
    _, ny, nx, sy, sz, start = _place(shape, level + 1)
    tz, ty, tx = table_at[level]
    pz, py, px = span_at[level]
    z0, cz = child[pz + z]
    one, none = np.float32(1.0), np.float32(0.0)
    line, along = np.empty(nxf, np.float32), np.empty(nxf, np.float32)
    for j in range(ny):
        y0, cy = child[py + j]
        line[:], along[:] = none, none
        for zf in range(max(0, z0 - 1), min(nzf, z0 + cz + 1)):
            in_z = z0 <= zf < z0 + cz
            if not in_z and side[tz + zf] != (1 if zf < z0 else -1):
                continue
            for jf in range(max(0, y0 - 1), min(nyf, y0 + cy + 1)):
                in_y = y0 <= jf < y0 + cy
                if not (in_z or in_y) or (not in_y and side[ty + jf] != (1 if jf < y0 else -1)):
                    continue
                row = start_f + uint64(zf) * szf + uint64(jf) * syf
                if in_z and in_y:
                    for k in range(nxf):
                        i = row + uint64(k)
                        r = fine[i]
                        along[k] += w[0, i] * r
                        line[k] += (one - w[0, i] - w[1, i] - w[2, i]) * r
                elif in_z:
                    for k in range(nxf):
                        line[k] += w[1, row + uint64(k)] * fine[row + uint64(k)]
                else:
                    for k in range(nxf):
                        line[k] += w[2, row + uint64(k)] * fine[row + uint64(k)]
        row = start + uint64(z) * sz + uint64(j) * sy
        for k in range(nx):
            x0, cx = child[px + k]
            total = line[x0] + (line[x0 + 1] if cx == 2 else none)
            if x0 > 0 and side[tx + x0 - 1] == 1:
                total += along[x0 - 1]
            if x0 + cx < nxf and side[tx + x0 + cx] == -1:
                total += along[x0 + cx]
            coarse[row + uint64(k)] = total


@njit(cache=True, nogil=True, fastmath=_FAST)
def _prolong_plane(
    fine: Any, coarse: Any, w: Any, shape: Any, level: Any, table_at: Any, parent: Any, side: Any,
    z: Any,
) -> None:  # fmt: skip
    """Add the interpolated correction of level + 1 to slice z of ``level``."""
    _, nyf, nxf, syf, szf, start_f = _place(shape, level)
    _, _, _, sy, sz, start = _place(shape, level + 1)
    tz, ty, tx = table_at[level]
    own_z = start + uint64(parent[tz + z]) * sz
    next_z = start + uint64(parent[tz + z] + side[tz + z]) * sz
    for j in range(nyf):
        at_y = uint64(parent[ty + j]) * sy
        here, above = own_z + at_y, next_z + at_y
        beside = own_z + uint64(parent[ty + j] + side[ty + j]) * sy
        row = start_f + uint64(z) * szf + uint64(j) * syf
        for k in range(nxf):
            p = uint64(parent[tx + k])
            i = row + uint64(k)
            e = coarse[here + p]
            fine[i] += (
                e
                + w[0, i] * (coarse[here + uint64(parent[tx + k] + side[tx + k])] - e)
                + w[1, i] * (coarse[beside + p] - e)
                + w[2, i] * (coarse[above + p] - e)
            )


@njit(cache=True, nogil=True, parallel=True)
def _restrict_parallel(
    fine: Any, coarse: Any, w: Any, shape: Any, level: Any, table_at: Any, side: Any,
    span_at: Any, child: Any,
) -> None:  # fmt: skip
    for z in prange(shape[level + 1, 0]):
        _restrict_plane(fine, coarse, w, shape, level, table_at, side, span_at, child, z)


@njit(cache=True, nogil=True, parallel=True)
def _prolong_parallel(
    fine: Any, coarse: Any, w: Any, shape: Any, level: Any, table_at: Any, parent: Any, side: Any
) -> None:
    for z in prange(shape[level, 0]):
        _prolong_plane(fine, coarse, w, shape, level, table_at, parent, side, z)


@njit(cache=True, nogil=True)
def _coarsest(y: Any, b: Any, g: Any, shape: Any, level: Any) -> None:
    """Symmetric Gauss-Seidel from zero."""
    nz, ny, nx, sy, sz, start = _place(shape, level)
    cells = nz * ny * nx
    for z in range(nz):
        for j in range(ny):
            for k in range(nx):
                y[start + uint64(z) * sz + uint64(j) * sy + uint64(k)] = np.float32(0.0)
    for sweep in range(2 * _COARSEST_SWEEPS):
        for n in range(cells):
            m = n if sweep % 2 == 0 else cells - 1 - n
            z, rest = divmod(m, ny * nx)
            j, k = divmod(rest, nx)
            i = start + uint64(z) * sz + uint64(j) * sy + uint64(k)
            y[i] = g[4, i] * (
                b[i]
                + g[0, i] * y[i - uint64(1)] + g[0, i + uint64(1)] * y[i + uint64(1)]
                + g[1, i] * y[i - sy] + g[1, i + sy] * y[i + sy]
                + g[2, i] * y[i - sz] + g[2, i + sz] * y[i + sz]
            )  # fmt: skip


@njit(cache=True, nogil=True)
def v_cycle(
    x: Any, y: Any, d: Any, b: Any, g: Any, shape: Any, table_at: Any, parent: Any, side: Any,
    span_at: Any, child: Any,
) -> None:  # fmt: skip
    """y = M^-1 b on the finest level (b's coarser levels, x and d are overwritten)."""
    last = shape.shape[0] - 1
    w = g[5:8]
    for level in range(last):
        nz, ny, nx, _, sz, start = _place(shape, level)
        first, past = start - uint64(1), start + uint64(nz) * sz
        d[first:past] = _FIRST * g[4, first:past] * b[first:past]
        x[first:past] = d[first:past]
        _smooth(x, d, y, b, g, shape, level, _MEMORY, _SECOND)
        _residual(y, d, b, g, shape, level)
        if nz * ny * nx >= _PARALLEL:
            _restrict_parallel(d, b, w, shape, level, table_at, side, span_at, child)
        else:
            for z in range(shape[level + 1, 0]):
                _restrict_plane(d, b, w, shape, level, table_at, side, span_at, child, z)
    _coarsest(y, b, g, shape, last)
    for back in range(last):
        level = last - 1 - back
        if shape[level, 0] * shape[level, 1] * shape[level, 2] >= _PARALLEL:
            _prolong_parallel(y, y, w, shape, level, table_at, parent, side)
        else:
            for z in range(shape[level, 0]):
                _prolong_plane(y, y, w, shape, level, table_at, parent, side, z)
        _smooth(y, d, x, b, g, shape, level, np.float32(0.0), _FIRST)
        _smooth(x, d, y, b, g, shape, level, _MEMORY, _SECOND)


@njit(cache=True, nogil=True, parallel=True, fastmath=_FAST)
def _dot(a: Any, b: Any, planes: Any, size: Any) -> float:
    """a . b over ``planes`` blocks of ``size`` entries (padding is zero)."""
    total = 0.0
    for z in prange(planes):
        part = np.float64(0.0)
        for i in range(z * size, (z + 1) * size):
            part += np.float64(a[i]) * np.float64(b[i])
        total += part
    return total


@njit(cache=True, nogil=True, parallel=True, fastmath=_FAST)
def _advance(v: Any, r: Any, p: Any, q: Any, alpha: Any, n: Any) -> None:
    """v += alpha p, r -= alpha q."""
    for i in prange(n):
        v[i] += alpha * p[i]
        r[i] -= alpha * q[i]


@njit(cache=True, nogil=True, parallel=True, fastmath=_FAST)
def _turn(p: Any, z: Any, beta: Any, n: Any) -> None:
    """p = z + beta p."""
    for i in prange(n):
        p[i] = z[i] + beta * p[i]


@njit(cache=True, nogil=True)
def gather(v: Any, cell: Any, local: Any, weight: Any, ptr: Any, out: Any) -> None:
    """out[m] = W_m v."""
    for m in range(ptr.size - 1):
        total = 0.0
        for e in range(ptr[m], ptr[m + 1]):
            total += np.float64(weight[e]) * np.float64(v[cell[local[e]]])
        out[m] = total


@njit(cache=True, nogil=True)
def _matrix(
    p: Any, q: Any, pc: Any, qc: Any, g: Any, shape: Any, sums: Any,
    cell: Any, local: Any, weight: Any, ptr: Any, link: Any, modes: Any, lump: Any,
) -> float:  # fmt: skip
    """(q, qc) = matrix (p, pc); returns the inner product of both."""
    nz, ny, nx, sy, sz, start = _place(shape, 0)
    if nz * ny * nx >= _PARALLEL:
        _apply_parallel(p, q, g[0], g[1], g[2], g[3], start, nz, ny, nx, sy, sz, sums)
    else:
        for z in range(nz):
            at = start + uint64(z) * sz
            sums[z] = _apply_plane(p, q, g[0], g[1], g[2], g[3], at, ny, nx, sy, sz)
    total = 0.0
    for z in range(nz):
        total += sums[z]
    for n in range(cell.size):  # the lumped term belongs to the preconditioner only
        i = cell[n]
        total -= np.float64(lump[n]) * np.float64(p[i]) ** 2
        q[i] -= lump[n] * p[i]
    for f in range(qc.size):
        qc[f] = 0.0
    for m in range(ptr.size - 1):
        metal = 0.0
        for f in range(pc.size):
            metal += modes[f, m] * pc[f]
        fall = -metal
        for e in range(ptr[m], ptr[m + 1]):
            fall += np.float64(weight[e]) * np.float64(p[cell[local[e]]])
        current = link[m] * fall
        total += current * fall
        for e in range(ptr[m], ptr[m + 1]):
            q[cell[local[e]]] += weight[e] * np.float32(current)
        for f in range(pc.size):
            qc[f] -= modes[f, m] * current
    return total


@njit(cache=True, nogil=True)
def solve(
    v: Any, c: Any, fixed: Any, p: Any, x: Any, y: Any, d: Any, b: Any, g: Any, shape: Any,
    table_at: Any, parent: Any, side: Any, span_at: Any, child: Any,
    cell: Any, local: Any, weight: Any, ptr: Any, link: Any, modes: Any, lump: Any,
    tolerance: Any, most: Any,
) -> tuple[int, float]:  # fmt: skip
    """Solve for (v, c) from their present values; returns (iterations, relative error reached).

    Ends when the preconditioned residual sqrt(r . M^-1 r), an estimate of the error's energy
    norm, is below ``tolerance`` times the solution's sqrt(power), or when the next step is bound
    to bring it there (at the last step's rate, with half as much in hand).  ``p`` is a
    finest-level buffer.
    """
    nz, ny, nx = shape[0, 0], shape[0, 1], shape[0, 2]
    plane = (ny + 2) * (nx + 2)
    planes, n = nz + 2, (nz + 2) * plane
    sums, free = np.zeros(nz), c.size
    rc, zc, pc, qc, scale = (
        np.zeros(free), np.zeros(free), np.zeros(free), np.zeros(free), np.zeros(free),
    )  # fmt: skip
    _matrix(v, d, c, qc, g, shape, sums, cell, local, weight, ptr, link, modes, lump)
    for i in range(n):
        b[i] = -d[i]
    for f in range(free):
        rc[f] = -qc[f]
    for m in range(ptr.size - 1):
        into = link[m] * fixed[m]
        for e in range(ptr[m], ptr[m + 1]):
            b[cell[local[e]]] += weight[e] * np.float32(into)
        for f in range(free):
            rc[f] -= modes[f, m] * into
            scale[f] += modes[f, m] ** 2 * link[m]
    rho, error, before, rate = 0.0, 1.0, 0.0, 0.4
    for iteration in range(most + 1):
        v_cycle(x, y, d, b, g, shape, table_at, parent, side, span_at, child)
        new = _dot(b, y, planes, plane)
        for f in range(free):
            zc[f] = rc[f] / scale[f]
            new += rc[f] * zc[f]
        power = 0.0  # of the present solution: metal potential times current
        for m in range(ptr.size - 1):
            metal = fixed[m]
            for f in range(free):
                metal += modes[f, m] * c[f]
            fall = metal
            for e in range(ptr[m], ptr[m + 1]):
                fall -= np.float64(weight[e]) * np.float64(v[cell[local[e]]])
            power += link[m] * metal * fall
        error = np.sqrt(max(new, 0.0) / max(power, 1e-300))
        if error <= tolerance or iteration == most:
            return iteration, error
        if iteration > 0:
            rate = max(0.2, 1.5 * error / before)
        before = error
        beta = new / rho if iteration > 0 else 0.0
        rho = new
        _turn(p, y, np.float32(beta), n)
        for f in range(free):
            pc[f] = zc[f] + beta * pc[f]
        energy = _matrix(p, d, pc, qc, g, shape, sums, cell, local, weight, ptr, link, modes, lump)
        alpha = rho / energy if energy > 0.0 else 0.0
        _advance(v, b, p, d, np.float32(alpha), n)
        for f in range(free):
            c[f] += alpha * pc[f]
            rc[f] -= alpha * qc[f]
        if error * rate <= tolerance:
            return iteration + 1, error * rate
    return most, error
