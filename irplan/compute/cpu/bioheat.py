"""Enthalpy bioheat on a padded cubic grid: one RKL1 super-step and its helpers.

State and units
---------------
The state is the Kirchhoff variable ``theta`` = integral of k dT from body temperature, W/m, in
each voxel's own tissue (float32, zero at rest).  ``tau`` is T - T_body in K, ``u`` the enthalpy
relative to rest in MJ/m3; lengths are mm and times s, so that d(u)/dt = lap(theta) / h^2 has no
further factors.  All three are piecewise linear in one another with the common breakpoints
``tau_l`` (liquidus) and ``tau_s`` (solidus); with

    a = max(x, x_l),  b = clip(x, x_s, x_l) - x_l,  c = min(x - x_s, 0)

each is a weighted sum of the other's a, b and c.

Arrays are flat, padded by one resting voxel on every side, so no face is special.  A row of the
grid is cut into *runs*: where a voxel and its six neighbours are one tissue the loop reads
nothing but theta; elsewhere ("mixed") each face carries its own conductivity, the harmonic mean
of both tissues' within each phase, and ``tau`` of both sides is kept in a second array.
Voxels held at a fixed temperature are in no run and never change.

RKL1: Meyer, Balsara, Aslam, J. Comput. Phys. 257 (2014) 594, eq. 14-16.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange, uint64

_FAST = {"nnan", "ninf", "nsz", "arcp", "contract", "reassoc"}

#: Columns of the tissue table.
CU, CM, CF, KU, KM, KF, PERFUSION, METABOLIC = range(8)
#: Columns of the mixed table: conductivity of 6 faces when unfrozen (0: like tissue on the other
#: side), the own row of the tissue table, the 6 faces when mushy and when frozen.
G_OWN, G_MUSHY, G_FROZEN = 6, 14, 20
#: Voxels of a run that are looked at together for having frozen.
_PIECE = 64
#: Columns of the energy sums.
E_PERFUSION, E_METABOLIC, E_FIXED, E_BOUNDARY, E_PROBES = range(5)


@njit(cache=True, fastmath=_FAST, inline="always")
def _a(x: Any, low: Any) -> Any:
    return max(x, low)


@njit(cache=True, fastmath=_FAST, inline="always")
def _b(x: Any, low: Any, high: Any) -> Any:
    return min(max(x, low), high) - high


@njit(cache=True, fastmath=_FAST, inline="always")
def _c(x: Any, low: Any) -> Any:
    return min(x - low, np.float32(0.0))


@njit(cache=True)
def derive(tissues: Any, tau: Any) -> Any:
    """Per tissue: theta and u at liquidus and solidus, the slopes between them, sources."""
    out = np.empty((tissues.shape[0], 12), np.float32)
    for n in range(tissues.shape[0]):
        q, d = tissues[n], out[n]
        d[0] = q[KU] * tau[0]
        d[1] = d[0] + q[KM] * (tau[1] - tau[0])
        d[2] = q[CU] * tau[0]
        d[3] = d[2] + q[CM] * (tau[1] - tau[0])
        for phase in range(3):
            d[4 + phase] = q[CU + phase] / q[KU + phase]
            d[7 + phase] = q[KU + phase] / q[CU + phase] if q[CU] > 0.0 else 0.0
        d[10], d[11] = q[PERFUSION] / q[KU], q[METABOLIC]
    return out


@njit(cache=True, fastmath=_FAST)
def _uniform_run(
    th1: Any, th0: Any, start: Any, n: Any, sy: Any, sz: Any, d: Any, step: Any
) -> tuple[float, float]:
    """Advance ``n`` voxels of one tissue; returns (sum of perfusion, of metabolic heat).

    A piece that is unfrozen in both old states is linear and takes a third of the work; where
    it begins to freeze in this very stage its new values are bent onto the enthalpy curve after.
    """
    zero, one, six = np.float32(0.0), np.float32(1.0), np.float32(6.0)
    tl, ts, ul, us = d[0], d[1], d[2], d[3]
    au, am, af = d[4], d[5], d[6]
    bu, bm, bf = d[7], d[8], d[9]
    p, metabolic = d[10], d[11]
    alpha, beta, gamma, gamma_h2 = step[0], step[1], step[2], step[3]
    linear_1, linear_lap = alpha - gamma * p * bu, gamma_h2 * bu
    linear_const = gamma * metabolic * bu
    perfused, alive = zero, zero
    for piece in range(0, n, _PIECE):
        first, m = start + uint64(piece), min(_PIECE, n - piece)
        cold = zero  # counted, not minimised: LLVM vectorises sums
        for k in range(m):
            i = first + uint64(k)
            cold += one if min(th1[i], th0[i]) <= tl else zero
        if cold == zero:
            total = zero
            for k in range(m):
                i = first + uint64(k)
                t = th1[i]
                lap = (
                    th1[i - uint64(1)] + th1[i + uint64(1)] + th1[i - sy] + th1[i + sy]
                    + th1[i - sz] + th1[i + sz] - six * t
                )  # fmt: skip
                total += t
                t = linear_1 * t + beta * th0[i] + linear_lap * lap + linear_const
                cold += one if t <= tl else zero
                th0[i] = t
            perfused -= p * total
            alive += np.float32(m)
            if cold > zero:
                for k in range(m):
                    i = first + uint64(k)
                    u = au * th0[i]
                    th0[i] = bu * _a(u, ul) + bm * _b(u, us, ul) + bf * _c(u, us)
        else:
            for k in range(m):
                i = first + uint64(k)
                t = th1[i]
                lap = (
                    th1[i - uint64(1)] + th1[i + uint64(1)] + th1[i - sy] + th1[i + sy]
                    + th1[i - sz] + th1[i + sz] - six * t
                )  # fmt: skip
                t0 = th0[i]
                u1 = au * _a(t, tl) + am * _b(t, ts, tl) + af * _c(t, ts)
                u0 = au * _a(t0, tl) + am * _b(t0, ts, tl) + af * _c(t0, ts)
                is_alive = one if t > tl else zero
                flow = -p * t * is_alive
                perfused += flow
                alive += is_alive
                u = alpha * u1 + beta * u0 + gamma_h2 * lap + gamma * (flow + metabolic * is_alive)
                th0[i] = bu * _a(u, ul) + bm * _b(u, us, ul) + bf * _c(u, us)
    return np.float64(perfused), np.float64(alive * metabolic)


@njit(cache=True, fastmath=_FAST)
def _flux(g: Any, m: Any, f: Any, y: Any, x: Any, tau: Any) -> Any:
    """Flux through an unlike face of mixed voxel m: integral of its conductivity from x to y."""
    tl, ts = tau[0], tau[1]
    return (
        g[m, f] * (_a(y, tl) - _a(x, tl))
        + g[m, G_MUSHY + f] * (_b(y, ts, tl) - _b(x, ts, tl))
        + g[m, G_FROZEN + f] * (_c(y, ts) - _c(x, ts))
    )


@njit(cache=True, fastmath=_FAST)
def _mixed_run(
    th1: Any, th0: Any, ta1: Any, ta0: Any, start: Any, n: Any, sy: Any, sz: Any,
    g: Any, fixed_faces: Any, first: Any, tau: Any, step: Any,
) -> tuple[float, float, float]:  # fmt: skip
    """Advance ``n`` voxels whose faces carry their own conductivity (rows of ``g``).

    Returns (sum of perfusion, of metabolic heat, of flux from fixed neighbours).
    """
    zero, one = np.float32(0.0), np.float32(1.0)
    tl, ts = tau[0], tau[1]
    alpha, beta, gamma, gamma_h2 = step[0], step[1], step[2], step[3]
    perfused, metabolised, from_fixed = zero, zero, zero
    for k in range(n):
        i = start + uint64(k)
        m = first + uint64(k)
        j0, j1, j2, j3, j4, j5 = i - uint64(1), i + uint64(1), i - sy, i + sy, i - sz, i + sz
        t, x, x0 = th1[i], ta1[i], ta0[i]
        y0, y1, y2, y3, y4, y5 = ta1[j0], ta1[j1], ta1[j2], ta1[j3], ta1[j4], ta1[j5]
        low = min(min(min(x, x0), min(y0, y1)), min(min(y2, y3), min(y4, y5)))
        if low > tl:
            f0, f1, f2 = g[m, 0] * (y0 - x), g[m, 1] * (y1 - x), g[m, 2] * (y2 - x)
            f3, f4, f5 = g[m, 3] * (y3 - x), g[m, 4] * (y4 - x), g[m, 5] * (y5 - x)
        else:
            f0, f1 = _flux(g, m, 0, y0, x, tau), _flux(g, m, 1, y1, x, tau)
            f2, f3 = _flux(g, m, 2, y2, x, tau), _flux(g, m, 3, y3, x, tau)
            f4, f5 = _flux(g, m, 4, y4, x, tau), _flux(g, m, 5, y5, x, tau)
        faces = fixed_faces[m]
        if faces != 0:
            from_fixed += f0 * np.float32(faces & 1) + f1 * np.float32((faces >> 1) & 1)
            from_fixed += f2 * np.float32((faces >> 2) & 1) + f3 * np.float32((faces >> 3) & 1)
            from_fixed += f4 * np.float32((faces >> 4) & 1) + f5 * np.float32((faces >> 5) & 1)
        f0 = f0 if g[m, 0] > zero else th1[j0] - t
        f1 = f1 if g[m, 1] > zero else th1[j1] - t
        f2 = f2 if g[m, 2] > zero else th1[j2] - t
        f3 = f3 if g[m, 3] > zero else th1[j3] - t
        f4 = f4 if g[m, 4] > zero else th1[j4] - t
        f5 = f5 if g[m, 5] > zero else th1[j5] - t
        lap = f0 + f1 + f2 + f3 + f4 + f5
        cu, cm, cf = g[m, G_OWN + CU], g[m, G_OWN + CM], g[m, G_OWN + CF]
        if low > tl:
            flow, heat = -g[m, G_OWN + PERFUSION] * x, g[m, G_OWN + METABOLIC]
            u = cu * (alpha * x + beta * x0) + gamma_h2 * lap + gamma * (flow + heat)
        else:
            is_alive = one if x > tl else zero
            flow = -g[m, G_OWN + PERFUSION] * x * is_alive
            heat = g[m, G_OWN + METABOLIC] * is_alive
            u1 = cu * _a(x, tl) + cm * _b(x, ts, tl) + cf * _c(x, ts)
            u0 = cu * _a(x0, tl) + cm * _b(x0, ts, tl) + cf * _c(x0, ts)
            u = alpha * u1 + beta * u0 + gamma_h2 * lap + gamma * (flow + heat)
        perfused += flow
        metabolised += heat
        ul = cu * tl
        if u > ul:
            x = u / cu
            ta0[i] = x
            th0[i] = g[m, G_OWN + KU] * x
        else:
            us = ul + cm * (ts - tl)
            x = tl + _b(u, us, ul) / cm + _c(u, us) / cf
            ta0[i] = x
            th0[i] = (
                g[m, G_OWN + KU] * tl
                + g[m, G_OWN + KM] * _b(x, ts, tl)
                + g[m, G_OWN + KF] * _c(x, ts)
            )
    return np.float64(perfused), np.float64(metabolised), np.float64(from_fixed)


@njit(cache=True, fastmath=_FAST)
def _boundary_heat(
    th1: Any, kind: Any, derived: Any, z: Any, shape: Any, sy: Any, sz: Any
) -> float:
    """Sum of -theta over the outer faces of plane z (heat into the grid's free voxels), W/m."""
    nz, ny, nx = shape[0], shape[1], shape[2]
    total = 0.0
    base = uint64(z + 1) * sz + sy + uint64(1)
    ends = (1 if z == 0 else 0) + (1 if z == nz - 1 else 0)
    for y in range(ny):
        faces = ends + (1 if y == 0 else 0) + (1 if y == ny - 1 else 0)
        for x in range(0, nx, 1 if faces > 0 else max(nx - 1, 1)):
            i = base + uint64(y) * sy + uint64(x)
            if th1[i] != 0.0 and derived[kind[i], 7] > 0.0:
                n = faces + (1 if x == 0 else 0) + (1 if x == nx - 1 else 0)
                total -= n * th1[i]
    return total


@njit(cache=True, parallel=True, fastmath=_FAST)
def _stage(
    th1: Any, th0: Any, ta1: Any, ta0: Any, kind: Any, shape: Any, window: Any, runs: Any,
    rows: Any, derived: Any, g: Any, fixed_faces: Any, tau: Any, step: Any,
    at_boundary: Any, sums: Any,
) -> None:  # fmt: skip
    """One RKL1 stage over the active window: th0 (Y_j-2) becomes Y_j; per-plane heat sums."""
    ny = shape[1]
    sy = uint64(shape[2] + 2)
    sz = uint64((shape[1] + 2) * (shape[2] + 2))
    for z in prange(window[0], window[1]):
        perfused, metabolised, from_fixed = 0.0, 0.0, 0.0
        for y in range(window[2], window[3]):
            for r in range(rows[z * ny + y], rows[z * ny + y + 1]):
                lo = max(runs[r, 1], window[4])
                hi = min(runs[r, 1] + runs[r, 2], window[5])
                if hi > lo:
                    start = uint64(runs[r, 0] + lo - runs[r, 1])
                    if runs[r, 3] >= 0:
                        p, m = _uniform_run(
                            th1, th0, start, hi - lo, sy, sz, derived[runs[r, 3]], step
                        )
                    else:
                        first = uint64(runs[r, 4] + lo - runs[r, 1])
                        p, m, f = _mixed_run(
                            th1, th0, ta1, ta0, start, hi - lo, sy, sz,
                            g, fixed_faces, first, tau, step,
                        )  # fmt: skip
                        from_fixed += f
                    perfused += p
                    metabolised += m
        sums[z, E_PERFUSION] = perfused
        sums[z, E_METABOLIC] = metabolised
        sums[z, E_FIXED] = from_fixed
        sums[z, E_BOUNDARY] = (
            _boundary_heat(th1, kind, derived, z, shape, sy, sz) if at_boundary else 0.0
        )


@njit(cache=True, fastmath=_FAST)
def _kirchhoff(x: Any, q: Any, tau: Any) -> Any:
    """theta of tau in the tissue with constants q."""
    return q[KU] * _a(x, tau[0]) + q[KM] * _b(x, tau[1], tau[0]) + q[KF] * _c(x, tau[1])


@njit(cache=True, fastmath=_FAST)
def kelvin(t: Any, q: Any, tau: Any) -> Any:
    """tau of theta in the tissue with constants q."""
    tl = q[KU] * tau[0]
    ts = tl + q[KM] * (tau[1] - tau[0])
    return _a(t, tl) / q[KU] + _b(t, ts, tl) / q[KM] + _c(t, ts) / q[KF]


@njit(cache=True, fastmath=_FAST)
def _enthalpy(x: Any, q: Any, tau: Any) -> Any:
    """u of tau in the tissue with constants q."""
    return q[CU] * _a(x, tau[0]) + q[CM] * _b(x, tau[1], tau[0]) + q[CF] * _c(x, tau[1])


@njit(cache=True)
def _line_sources(
    th1: Any, th0: Any, ta0: Any, kind: Any, tissues: Any, tau: Any, drive: Any, gamma: Any,
    probe_ptr: Any, sample_ptr: Any, local: Any, weight: Any, voxel_ptr: Any, voxel: Any,
    strength: Any, gathered: Any, source: Any, power: Any,
) -> float:  # fmt: skip
    """Add the probes' heat to Y_j (th0) from the state Y_j-1 (th1).

    ``drive[p]`` is the probe's surface tau, NaN when it is switched off.  Writes power[p] in
    MJ/m3/s summed over voxels; returns the part that fell on fixed voxels (it is not stored).
    """
    lost = 0.0
    for p in range(probe_ptr.shape[0] - 1):
        power[p] = 0.0
        if np.isnan(drive[p]):
            continue
        v0, v1 = voxel_ptr[p], voxel_ptr[p + 1]
        surface = np.float32(drive[p])
        for v in range(v0, v1):
            q = tissues[kind[voxel[v]]]
            gathered[v] = _kirchhoff(surface, q, tau) - th1[voxel[v]]
            source[v] = 0.0
        for m in range(probe_ptr[p], probe_ptr[p + 1]):
            total = np.float32(0.0)
            for e in range(sample_ptr[m], sample_ptr[m + 1]):
                total += weight[e] * gathered[v0 + local[e]]
            heat = strength[m] * total
            power[p] += heat
            for e in range(sample_ptr[m], sample_ptr[m + 1]):
                source[v0 + local[e]] += weight[e] * heat
        for v in range(v0, v1):
            i = voxel[v]
            q = tissues[kind[i]]
            if q[CU] <= 0.0:
                lost += source[v]
                continue
            ul = q[CU] * tau[0]
            us = ul + q[CM] * (tau[1] - tau[0])
            u = _enthalpy(kelvin(th0[i], q, tau), q, tau) + gamma * source[v]
            x = _a(u, ul) / q[CU] + _b(u, us, ul) / q[CM] + _c(u, us) / q[CF]
            th0[i] = _kirchhoff(x, q, tau)
            ta0[i] = x
    return lost


@njit(cache=True)
def super_step(
    tha: Any, thb: Any, taa: Any, tab: Any, kind: Any, shape: Any, window: Any,
    runs: Any, rows: Any, tissues: Any, g: Any, fixed_faces: Any, tau: Any,
    h_mm: Any, dt_s: Any, stages: Any, at_boundary: Any, drives: Any,
    probe_ptr: Any, sample_ptr: Any, local: Any, weight: Any, voxel_ptr: Any, voxel: Any,
    strength: Any, gathered: Any, source: Any, sums: Any, heat: Any,
) -> None:  # fmt: skip
    """Advance tha (and taa) by ``dt_s`` in ``stages`` RKL1 stages, ending in tha or thb.

    The result is in tha when ``stages`` is even, else in thb.  ``drives[j, p]`` is probe p's
    surface tau at stage j (NaN: off).  ``heat[c]`` gains the energy of column c in J: the same
    recursion as the field's, so that the balance closes to rounding.
    """
    s = stages
    w = 2.0 / (s * s + s)
    volume = h_mm**3 * 1e-3  # MJ/m3 in a voxel -> J
    columns = heat.shape[0]
    e1, e0 = np.zeros(columns), np.zeros(columns)
    power = np.zeros(drives.shape[1])
    step = np.empty(4, np.float32)
    derived = derive(tissues, tau)
    for j in range(1, s + 1):
        alpha, beta, gamma = (2.0 * j - 1.0) / j, (1.0 - j) / j, (2.0 * j - 1.0) / j * w * dt_s
        step[0], step[1], step[2], step[3] = alpha, beta, gamma, gamma / (h_mm * h_mm)
        if j % 2 == 1:
            th1, th0, ta1, ta0 = tha, thb, taa, tab
        else:
            th1, th0, ta1, ta0 = thb, tha, tab, taa
        _stage(
            th1, th0, ta1, ta0, kind, shape, window, runs, rows, derived, g, fixed_faces,
            tau, step, at_boundary, sums,
        )  # fmt: skip
        lost = _line_sources(
            th1, th0, ta0, kind, tissues, tau, drives[j - 1], np.float32(gamma),
            probe_ptr, sample_ptr, local, weight, voxel_ptr, voxel, strength, gathered, source,
            power,
        )  # fmt: skip
        for col in range(columns):
            rate = 0.0
            if col >= E_PROBES:
                rate = power[col - E_PROBES]
            else:
                for z in range(window[0], window[1]):
                    rate += sums[z, col]
                if col in (E_FIXED, E_BOUNDARY):
                    rate /= h_mm * h_mm
                if col == E_FIXED:
                    rate -= lost
            e = alpha * e1[col] + beta * e0[col] + gamma * rate
            e0[col] = e1[col]
            e1[col] = e
    for col in range(columns):
        heat[col] += e1[col] * volume


@njit(cache=True, fastmath=_FAST)
def record(th: Any, low: Any, kind: Any, edge: Any, shape: Any, window: Any) -> int:
    """low = min(low, th) in the window; returns the voxels with theta <= edge of their tissue."""
    sy = shape[2] + 2
    sz = (shape[1] + 2) * sy
    count = 0
    for z in range(window[0], window[1]):
        for y in range(window[2], window[3]):
            row = (z + 1) * sz + (y + 1) * sy + 1
            n = 0
            for i in range(uint64(row + window[4]), uint64(row + window[5])):
                t = th[i]
                low[i] = min(low[i], t)
                n += 1 if t <= edge[kind[i]] else 0
            count += n
    return count


@njit(cache=True, fastmath=_FAST)
def read_out(
    th: Any, kind: Any, tissues: Any, tau: Any, offset: Any, shape: Any, window: Any, out: Any
) -> float:
    """Temperature and stored energy of the padded theta ``th`` inside the window.

    Writes ``out`` (slice, row, column), degC; returns the sum of u over the voxels, MJ/m3.
    Voxels of fixed temperature store nothing.
    """
    sy = shape[2] + 2
    sz = (shape[1] + 2) * sy
    total = 0.0
    for z in range(window[0], window[1]):
        for y in range(window[2], window[3]):
            row = (z + 1) * sz + (y + 1) * sy + 1
            part = 0.0
            for x in range(window[4], window[5]):
                i = uint64(row + x)
                q = tissues[kind[i]]
                t = kelvin(th[i], q, tau)
                out[z, y, x] = offset + t
                part += np.float64(_enthalpy(t, q, tau))
            total += part
    return total
