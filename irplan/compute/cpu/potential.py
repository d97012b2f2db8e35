"""What surrounds the potential's solve: conductances, levels, conductivity, heat and field.

Cells form a box with widths ``wz, wy, wx`` (mm) along slice, row and column; cell arrays are
padded by one cell and flat, as in `irplan.compute.cpu.multigrid`.  A cell stands for the voxels
``low[a][n] .. high[a][n]`` of the problem's grid.  Conductivity is S/m, conductance S.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

_FAST = {"nnan", "ninf", "nsz", "arcp", "contract", "reassoc"}
#: mm in a metre: conductance of 1 S/m across 1 mm2 over 1 mm is 1e-3 S.
_MM = 1e-3
#: Columns of the tissue table: conductivity at 37 degC, its relative rise per K, conductivity
#: when electroporated, field where that begins and where it is complete (V/cm).
SIGMA, PER_K, PULSED, ONSET, FULL = range(5)


@njit(cache=True, nogil=True, parallel=True, fastmath=_FAST)
def conductivity(
    kind: Any, temperature: Any, dry: Any, dry_at: Any, field: Any, table: Any, warmest: Any,
    driest: Any, lz: Any, hz: Any, ly: Any, hy: Any, lx: Any, hx: Any, window: Any, out: Any,
) -> None:  # fmt: skip
    """out (padded 3-D) = mean over each cell's voxels of sigma(tissue, T, water, field).

    sigma = [sigma37 + (pulsed - sigma37) ramp(field)] (1 + per_k (min(T, warmest) - 37))
            max(driest, (1 - dry)^2); ``field`` in V/cm per cell (padded; empty: none), ``dry`` the
    share of a voxel's water that has boiled off, in a box that begins at voxel ``dry_at``.  The
    square is Archie's saturation exponent (Trans. AIME 146 (1942) 54).  Cells without a voxel in
    the index box ``window`` (z0, z1, y0, y1, x0, x1) keep what they have.
    """
    pulsed = field.size > 0
    dz, dy, dx = dry.shape
    nx = kind.shape[2]
    one = np.float32(1.0)
    first_x, end_x = 0, lx.size
    while first_x < end_x and hx[first_x] <= window[4]:
        first_x += 1
    while end_x > first_x and lx[end_x - 1] >= window[5]:
        end_x -= 1
    if end_x <= first_x:
        return
    first_i, end_i = lx[first_x], hx[end_x - 1]
    for z in prange(lz.size):
        if hz[z] <= window[0] or lz[z] >= window[1]:
            continue
        line = np.empty(nx, np.float32)
        strength = np.zeros(nx, np.float32)
        for y in range(ly.size):
            if hy[y] <= window[2] or ly[y] >= window[3]:
                continue
            if pulsed:
                for x in range(lx.size):
                    strength[lx[x] : hx[x]] = field[z + 1, y + 1, x + 1]
            line[:] = np.float32(0.0)
            for k in range(lz[z], hz[z]):
                for j in range(ly[y], hy[y]):
                    for i in range(first_i, end_i):
                        t = table[kind[k, j, i]]
                        warm = min(temperature[k, j, i], warmest) - np.float32(37.0)
                        s = t[SIGMA]
                        if pulsed:
                            ramp = (strength[i] - t[ONSET]) / (t[FULL] - t[ONSET])
                            s += (t[PULSED] - s) * max(np.float32(0.0), min(one, ramp))
                        s *= one + t[PER_K] * warm
                        line[i] += s
                    a, b = k - dry_at[0], j - dry_at[1]
                    if 0 <= a < dz and 0 <= b < dy:  # take off what the lost water carried
                        for c in range(dx):
                            i = c + dry_at[2]
                            if dry[a, b, c] > np.float32(0.0):
                                t = table[kind[k, j, i]]
                                warm = min(temperature[k, j, i], warmest) - np.float32(37.0)
                                s = t[SIGMA]
                                if pulsed:
                                    ramp = (strength[i] - t[ONSET]) / (t[FULL] - t[ONSET])
                                    s += (t[PULSED] - s) * max(np.float32(0.0), min(one, ramp))
                                s *= one + t[PER_K] * warm
                                left = one - dry[a, b, c]
                                line[i] += s * (max(driest, left * left) - one)
            across = (hz[z] - lz[z]) * (hy[y] - ly[y])
            for x in range(first_x, end_x):
                total = np.float32(0.0)
                for i in range(lx[x], hx[x]):
                    total += line[i]
                count = np.float32(across * (hx[x] - lx[x]))
                out[z + 1, y + 1, x + 1] = max(np.float32(0.0), total / count)


@njit(cache=True, nogil=True)
def _outer(sigma: Any, area: Any, half: Any, normal: Any, r2: Any, order: Any) -> Any:
    """Conductance of an outer face to zero volts where V falls as r^-order beyond it."""
    slope = order * normal / r2
    if sigma <= 0.0 or slope <= 0.0:
        return 0.0
    return _MM * sigma * area / (half + 1.0 / slope)


@njit(cache=True, nogil=True, fastmath=_FAST)
def _links(a: Any, wa: Any, b: Any, wb: Any, area: Any, out: Any) -> None:
    """out[x] = conductance between cells a[x] and b[x] of lengths wa[x], wb[x] over area[x]."""
    tiny, factor = np.float32(1e-25), np.float32(2.0 * _MM)
    for x in range(out.size):
        p, q = a[x], b[x]
        out[x] = factor * area[x] * p * q / (wa[x] * q + wb[x] * p + tiny)


@njit(cache=True, nogil=True, parallel=True)
def faces(
    sigma: Any, wz: Any, wy: Any, wx: Any, mz: Any, my: Any, mx: Any, order: Any,
    gx: Any, gy: Any, gz: Any, own: Any,
) -> None:  # fmt: skip
    """Face conductances and the outer boundary's, all padded 3-D arrays of the finest level.

    ``mz, my, mx`` are the cells' middles relative to the centre of the sources, mm; at the outer
    faces dV/dn = -order V (n . r) / r^2: order 1 for a net current, 2 for a pair, 0 insulated.
    """
    nz, ny, nx = wz.size, wy.size, wx.size
    for z in prange(nz):
        w32, ones = wx.astype(np.float32), np.ones(nx, np.float32)
        k = z + 1
        for y in range(ny):
            j = y + 1
            row = sigma[k, j, 1 : nx + 1]
            _links(
                row[: nx - 1], w32[: nx - 1], row[1:], w32[1:],
                ones[1:] * np.float32(wz[z] * wy[y]), gx[k, j, 2 : nx + 1],
            )  # fmt: skip
            if y > 0:
                _links(
                    sigma[k, j - 1, 1 : nx + 1], ones * np.float32(wy[y - 1]), row,
                    ones * np.float32(wy[y]), w32 * np.float32(wz[z]), gy[k, j, 1 : nx + 1],
                )  # fmt: skip
            if z > 0:
                _links(
                    sigma[k - 1, j, 1 : nx + 1], ones * np.float32(wz[z - 1]), row,
                    ones * np.float32(wz[z]), w32 * np.float32(wy[y]), gz[k, j, 1 : nx + 1],
                )  # fmt: skip
            own[k, j, :] = np.float32(0.0)
            if order == 0.0:
                continue
            side = z == 0 or z == nz - 1 or y == 0 or y == ny - 1
            for x in range(0, nx, 1 if side else max(1, nx - 1)):
                s, total = row[x], 0.0
                r2 = mx[x] ** 2 + my[y] ** 2 + mz[z] ** 2
                if x == 0 or x == nx - 1:
                    n, half = abs(mx[x]), 0.5 * wx[x]
                    total += _outer(
                        s, wz[z] * wy[y], half, n + half, r2 + half * (half + 2 * n), order
                    )
                if y == 0 or y == ny - 1:
                    n, half = abs(my[y]), 0.5 * wy[y]
                    total += _outer(
                        s, wz[z] * wx[x], half, n + half, r2 + half * (half + 2 * n), order
                    )
                if z == 0 or z == nz - 1:
                    n, half = abs(mz[z]), 0.5 * wz[z]
                    total += _outer(
                        s, wy[y] * wx[x], half, n + half, r2 + half * (half + 2 * n), order
                    )
                own[k, j, x + 1] = total


@njit(cache=True, nogil=True, fastmath=_FAST, inline="always")
def _line(g: Any, at: Any, step: Any, before: Any, after: Any) -> Any:
    """A coarse link along one fine line: half an inner link, the face, half an inner link.

    ``before`` and ``after`` are 1 where there is such an inner link, else 0.
    """
    tiny, half = np.float32(1e-18), np.float32(0.5)
    middle = g[at]
    inverse = np.float32(1.0) / (middle + tiny)
    inverse += half * before / (g[at - step] + tiny) + half * after / (g[at + step] + tiny)
    link = max(np.float32(1.0) / inverse, np.float32(0.25) * middle)
    return link if link > np.float32(1e-16) else np.float32(0.0)


@njit(cache=True, nogil=True, fastmath=_FAST)
def _coarsen_plane(g: Any, shape: Any, level: Any, span_at: Any, child: Any, z: Any) -> None:
    """Slice z of level + 1 from the links of ``level``: lines summed, along x last."""
    _, nyf, nxf, offset_f = shape[level]
    _, ny, nx, offset = shape[level + 1]
    syf, szf = nxf + 2, (nyf + 2) * (nxf + 2)
    sy, sz = nx + 2, (ny + 2) * (nx + 2)
    pz, py, px = span_at[level]
    z0, cz = child[pz + z]
    one, none = np.float32(1.0), np.float32(0.0)
    zb = one if z > 0 and child[pz + z - 1, 1] == 2 else none
    za = one if cz == 2 else none
    # rows of fine cells along x, summed over the coarse cell's children along y and z
    across_y, across_z, leak = (
        np.empty(nxf, np.float32), np.empty(nxf, np.float32), np.empty(nxf, np.float32),
    )  # fmt: skip
    for y in range(ny):
        y0, cy = child[py + y]
        yb = one if y > 0 and child[py + y - 1, 1] == 2 else none
        ya = one if cy == 2 else none
        across_y[:], across_z[:], leak[:] = none, none, none
        for k in range(cz):
            for j in range(cy):
                row = offset_f + (z0 + k + 1) * szf + (y0 + j + 1) * syf + 1
                for i in range(nxf):
                    leak[i] += g[3, row + i]
                if j == 0 and y > 0:
                    for i in range(nxf):
                        across_y[i] += _line(g[1], row + i, syf, yb, ya)
                if k == 0 and z > 0:
                    for i in range(nxf):
                        across_z[i] += _line(g[2], row + i, szf, zb, za)
        out = offset + (z + 1) * sz + (y + 1) * sy + 1
        for x in range(nx):
            x0, cx = child[px + x]
            last = x0 + cx - 1  # the same cell where there is one child
            pair = np.float32(0.5) * np.float32(cx)
            g[1, out + x] = pair * (across_y[x0] + across_y[last])
            g[2, out + x] = pair * (across_z[x0] + across_z[last])
            g[3, out + x] = pair * (leak[x0] + leak[last])
            along = none
            if x > 0:
                xb = one if child[px + x - 1, 1] == 2 else none
                xa = one if cx == 2 else none
                for k in range(cz):
                    for j in range(cy):
                        row = offset_f + (z0 + k + 1) * szf + (y0 + j + 1) * syf + 1
                        along += _line(g[0], row + x0, 1, xb, xa)
            g[0, out + x] = along


@njit(cache=True, nogil=True, parallel=True)
def _coarsen(g: Any, shape: Any, level: Any, span_at: Any, child: Any) -> None:
    for z in prange(shape[level + 1, 0]):
        _coarsen_plane(g, shape, level, span_at, child, z)


@njit(cache=True, nogil=True, parallel=True, fastmath=_FAST)
def _invert(g: Any, shape: Any, level: Any) -> None:
    """g[4] = 1 / diagonal (0 in a cell that conducts nowhere)."""
    nz, ny, nx, offset = shape[level]
    sy, sz = nx + 2, (ny + 2) * (nx + 2)
    for z in prange(nz):
        for y in range(ny):
            row = offset + (z + 1) * sz + (y + 1) * sy + 1
            for x in range(nx):
                i = row + x
                total = g[3, i] + g[0, i] + g[0, i + 1] + g[1, i] + g[1, i + sy]
                total += g[2, i] + g[2, i + sz]
                g[4, i] = np.float32(1.0) / total if total > np.float32(1e-16) else np.float32(0.0)


@njit(cache=True, nogil=True, parallel=True, fastmath=_FAST)
def _weigh(g: Any, shape: Any, level: Any, table_at: Any, side: Any, share: Any) -> None:
    """g[5..7] = weight of the next coarse cell along column, row and slice.

    The geometric share, less where the link towards that cell is weak against the one to the
    cell's sibling: nothing is interpolated through an insulator.
    """
    nz, ny, nx, offset = shape[level]
    sy, sz = nx + 2, (ny + 2) * (nx + 2)
    tz, ty, tx = table_at[level]
    one, three, tiny = np.float32(1.0), np.float32(3.0), np.float32(1e-20)
    for z in prange(nz):
        up_z, wz = 1 if side[tz + z] > 0 else 0, share[tz + z]
        for y in range(ny):
            up_y, wy = 1 if side[ty + y] > 0 else 0, share[ty + y]
            row = offset + (z + 1) * sz + (y + 1) * sy + 1
            for x in range(nx):
                i = row + x
                up = side[tx + x] > 0
                a, b = g[0, i], g[0, i + 1]
                out = b if up else a
                g[5, i] = share[tx + x] * min(one, three * out / (a + b + tiny))
            for x in range(nx):
                i = row + x
                a, b = g[1, i], g[1, i + sy]
                g[6, i] = wy * min(one, three * g[1, i + up_y * sy] / (a + b + tiny))
            for x in range(nx):
                i = row + x
                a, b = g[2, i], g[2, i + sz]
                g[7, i] = wz * min(one, three * g[2, i + up_z * sz] / (a + b + tiny))


@njit(cache=True, nogil=True)
def build_levels(
    g: Any, shape: Any, table_at: Any, side: Any, share: Any, span_at: Any, child: Any
) -> None:
    """Everything that follows from the finest level's rows 0..3 of g (8, size)."""
    for level in range(shape.shape[0]):
        _invert(g, shape, level)
        if level + 1 < shape.shape[0]:
            _weigh(g, shape, level, table_at, side, share)
            _coarsen(g, shape, level, span_at, child)


@njit(cache=True, nogil=True, parallel=True)
def heat(
    v: Any, sigma: Any, gx: Any, gy: Any, gz: Any, wz: Any, wy: Any, wx: Any, out: Any
) -> None:
    """out = Joule heat per cell, W/m3: each face's heat, shared as its two half cells resist.

    Padded 3-D arrays; sum(out * volume) is exactly V . A V without the outer boundary.
    """
    for z in prange(wz.size):
        for y in range(wy.size):
            for x in range(wx.size):
                k, j, i = z + 1, y + 1, x + 1
                s = sigma[k, j, i]
                u = v[k, j, i]
                if s <= 0.0:
                    out[k, j, i] = 0.0
                    continue
                a, b = gx[k, j, i] * (u - v[k, j, i - 1]), gx[k, j, i + 1] * (v[k, j, i + 1] - u)
                q = (a * a + b * b) * wx[x] / (wy[y] * wz[z])
                a, b = gy[k, j, i] * (u - v[k, j - 1, i]), gy[k, j + 1, i] * (v[k, j + 1, i] - u)
                q += (a * a + b * b) * wy[y] / (wx[x] * wz[z])
                a, b = gz[k, j, i] * (u - v[k - 1, j, i]), gz[k + 1, j, i] * (v[k + 1, j, i] - u)
                q += (a * a + b * b) * wz[z] / (wx[x] * wy[y])
                out[k, j, i] = 0.5e12 * q / (s * wz[z] * wy[y] * wx[x])


@njit(cache=True, nogil=True, parallel=True)
def field_strength(
    v: Any, sigma: Any, gx: Any, gy: Any, gz: Any, wz: Any, wy: Any, wx: Any, out: Any
) -> None:
    """out = |E| per cell, V/cm: mean current density of opposite faces over conductivity."""
    for z in prange(wz.size):
        for y in range(wy.size):
            for x in range(wx.size):
                k, j, i = z + 1, y + 1, x + 1
                s = sigma[k, j, i]
                u = v[k, j, i]
                if s <= 0.0:
                    out[k, j, i] = 0.0
                    continue
                a = gx[k, j, i] * (u - v[k, j, i - 1]) + gx[k, j, i + 1] * (v[k, j, i + 1] - u)
                b = gy[k, j, i] * (u - v[k, j - 1, i]) + gy[k, j + 1, i] * (v[k, j + 1, i] - u)
                c = gz[k, j, i] * (u - v[k - 1, j, i]) + gz[k + 1, j, i] * (v[k + 1, j, i] - u)
                a /= wy[y] * wz[z]
                b /= wx[x] * wz[z]
                c /= wx[x] * wy[y]
                out[k, j, i] = 0.5e4 * np.sqrt(a * a + b * b + c * c) / s


@njit(cache=True, nogil=True, parallel=True)
def expand(cells: Any, of_z: Any, of_y: Any, of_x: Any, factor: Any, out: Any) -> None:
    """out[voxel] = factor * the value of the cell that holds the voxel (cells padded 3-D)."""
    for z in prange(of_z.size):
        for y in range(of_y.size):
            for x in range(of_x.size):
                out[z, y, x] = factor * cells[of_z[z] + 1, of_y[y] + 1, of_x[x] + 1]
