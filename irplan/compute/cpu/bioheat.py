"""Enthalpy bioheat on a padded grid: one RKL1 super-step.

State and units
---------------
The state is ``tau`` = T - T_body in K (float32, zero at rest).  ``u`` is the enthalpy relative to
rest in MJ/m3 and ``theta`` the Kirchhoff variable, the integral of k dT from body temperature, in
W/m; lengths are mm and times s, so that du/dt = lap(theta) has no further factors.  Both are
piecewise linear in tau with the common breakpoints ``tau_l`` (liquidus) and ``tau_s`` (solidus):

    theta = ku tau + (km - ku) min(tau - tau_l, 0) + (kf - km) min(tau - tau_s, 0)

For u and its inverse the three parts are clipped instead of added as differences: below the
liquidus a step of one unit in the last place of tau is a large step of u, and a constant rounding
of the slopes would be a source of heat.  Arrays are flat and padded by one resting voxel on every
side, so no face is special.

Rows are worked on between their active columns only (`bioheat_window`), run by run
(`bioheat_layout`).  Away from freezing the step is linear and cheap.  Each row knows its first and
last cold column, those near freezing or below; between them, and where they touch the neighbouring
rows', the full step is made.  These bounds are double buffered: a stage reads what the last one
wrote, so the result does not depend on the order of rows.

Perfusion acts on the unfrozen part of a voxel: where the liquidus crosses it, the part is found
from the local gradient and the latent heat left, so that a front can stand within a voxel.

RKL1: Meyer, Balsara, Aslam, J. Comput. Phys. 257 (2014) 594, eq. 14-16.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange, uint64

from irplan.compute.cpu.bioheat_sources import gather, give
from irplan.compute.cpu.bioheat_state import (
    _LEAST_SPAN_K,
    BAND_K,
    DC,
    DI,
    DK,
    DM,
    DP,
    E_BOUNDARY,
    E_FIXED,
    E_METABOLIC,
    E_PERFUSION,
    E_PROBES,
    FAST,
    G_OWN,
    GRAIN,
    NONE,
    UL,
    US,
    enthalpy_of,
    kirchhoff,
    temperature_of,
)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST, inline="always")
def _warm(
    ta1: Any, ta0: Any, start: Any, n: Any, sy: Any, sz: Any, w: Any, d: Any, step: Any
) -> Any:
    """Advance ``n`` voxels of one tissue far from freezing: sum of tau."""
    two = np.float32(2.0)
    beta = step[1]
    own = step[0] - step[2] * d[DP] * d[DI]
    lap = step[2] * d[DK] * d[DI]
    wx, wy, wz = lap * w[2], lap * w[1], lap * w[0]
    own -= two * (wx + wy + wz)
    add = step[2] * d[DM] * d[DI]
    total = np.float32(0.0)
    for k in range(n):
        i = start + uint64(k)
        t = ta1[i]
        total += t
        ta0[i] = (
            own * t
            + wx * (ta1[i - uint64(1)] + ta1[i + uint64(1)])
            + wy * (ta1[i - sy] + ta1[i + sy])
            + wz * (ta1[i - sz] + ta1[i + sz])
            + beta * ta0[i]
            + add
        )
    return total


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST, inline="always")
def _unfrozen(t: Any, span: Any, tl: Any, mushy: Any) -> Any:
    """Part of a voxel that the liquidus leaves unfrozen.

    Above the liquidus it follows from the temperature's ``span`` towards the warm side; below it
    falls with the liquid part of the latent heat as well (``mushy`` is half of 1/(tl - ts)).
    """
    zero, one, half = np.float32(0.0), np.float32(1.0), np.float32(0.5)
    x = t - tl
    return min(one, max(zero, half + x / span + mushy * min(x, zero)))


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _cold(
    ta1: Any, ta0: Any, start: Any, n: Any, sy: Any, sz: Any, w: Any, d: Any, tau: Any, step: Any
) -> tuple[Any, Any]:  # fmt: skip
    """Advance ``n`` voxels of one tissue, frozen or near it.

    Returns (sum of perfusion, of metabolic heat).
    """
    zero, three = np.float32(0.0), np.float32(3.0)
    least = np.float32(_LEAST_SPAN_K)
    tl, ts = tau[0], tau[1]
    mushy = np.float32(0.5) / (tl - ts)
    wx, wy, wz = w[2], w[1], w[0]
    ws = np.float32(2.0) * (wx + wy + wz)
    ku, km, kf = d[DK], d[DK + 1], d[DK + 2]
    cu, cm, cf = d[DC], d[DC + 1], d[DC + 2]
    iu, im, jf = d[DI], d[DI + 1], d[DI + 2]
    ul, us, p, metabolic = d[UL], d[US], d[DP], d[DM]
    alpha, beta, gamma = step[0], step[1], step[2]
    perfused, alive = zero, zero
    for k in range(n):
        i = start + uint64(k)
        t = ta1[i]
        x0, x1 = ta1[i - uint64(1)], ta1[i + uint64(1)]
        y0, y1 = ta1[i - sy], ta1[i + sy]
        z0, z1 = ta1[i - sz], ta1[i + sz]
        tm, tf = min(t, tl), min(t, ts)  # constants fall out of a Laplacian
        flow = (
            ku * (wx * (x0 + x1) + wy * (y0 + y1) + wz * (z0 + z1) - ws * t)
            + km
            * (
                wx * (min(x0, tl) + min(x1, tl))
                + wy * (min(y0, tl) + min(y1, tl))
                + wz * (min(z0, tl) + min(z1, tl))
                - ws * tm
            )
            + kf
            * (
                wx * (min(x0, ts) + min(x1, ts))
                + wy * (min(y0, ts) + min(y1, ts))
                + wz * (min(z0, ts) + min(z1, ts))
                - ws * tf
            )
        )
        span = max(max(x0, x1) + max(y0, y1) + max(z0, z1) - three * t, least)
        part = _unfrozen(t, span, tl, mushy)
        blood = -p * part * max(t, tl)
        perfused += blood
        alive += part
        t0 = ta0[i]
        u = (
            alpha * enthalpy_of(t, cu, cm, cf, tl, ts, ul)
            + beta * enthalpy_of(t0, cu, cm, cf, tl, ts, ul)
            + gamma * (flow + blood + metabolic * part)
        )
        ta0[i] = temperature_of(u, iu, im, jf, ul, us, tl)
    return perfused, alive * metabolic


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST, inline="always")
def _mixed(
    ta1: Any, ta0: Any, base: Any, mixed: Any, first: Any, last: Any, sy: Any, sz: Any,
    table: Any, sig: Any, fixed_faces: Any, tau: Any, step: Any, band: Any, hot: Any,
) -> tuple[Any, Any, Any, Any, Any]:  # fmt: skip
    """Advance the mixed voxels ``first`` to ``last`` of a row by their signatures.

    Returns (sum of perfusion, of metabolic heat, of flux from fixed neighbours, first cold column,
    last cold column + 1).
    """
    zero = np.float32(0.0)
    cold_lo, cold_hi = NONE, 0
    least = np.float32(_LEAST_SPAN_K)
    tl, ts = tau[0], tau[1]
    mushy = np.float32(0.5) / (tl - ts)
    alpha, beta, gamma = step[0], step[1], step[2]
    perfused, metabolised, from_fixed = zero, zero, zero
    for k in range(first, last):
        i = base + uint64(mixed[k])
        s = uint64(sig[k])
        t, t0 = ta1[i], ta0[i]
        a0, a1, a2 = ta1[i - uint64(1)] - t, ta1[i + uint64(1)] - t, ta1[i - sy] - t
        a3, a4, a5 = ta1[i + sy] - t, ta1[i - sz] - t, ta1[i + sz] - t
        f0, f1, f2 = table[s, 0] * a0, table[s, 1] * a1, table[s, 2] * a2
        f3, f4, f5 = table[s, 3] * a3, table[s, 4] * a4, table[s, 5] * a5
        p, q = table[s, G_OWN + DP], table[s, G_OWN + DM]
        cu, iu = table[s, G_OWN + DC], table[s, G_OWN + DI]
        if hot:
            m, f = min(t, tl), min(t, ts)
            f0 += table[s, 6] * (min(a0 + t, tl) - m) + table[s, 12] * (min(a0 + t, ts) - f)
            f1 += table[s, 7] * (min(a1 + t, tl) - m) + table[s, 13] * (min(a1 + t, ts) - f)
            f2 += table[s, 8] * (min(a2 + t, tl) - m) + table[s, 14] * (min(a2 + t, ts) - f)
            f3 += table[s, 9] * (min(a3 + t, tl) - m) + table[s, 15] * (min(a3 + t, ts) - f)
            f4 += table[s, 10] * (min(a4 + t, tl) - m) + table[s, 16] * (min(a4 + t, ts) - f)
            f5 += table[s, 11] * (min(a5 + t, tl) - m) + table[s, 17] * (min(a5 + t, ts) - f)
            span = max(max(a0, a1) + max(a2, a3) + max(a4, a5), least)
            part = _unfrozen(t, span, tl, mushy)
            blood, heat = -p * part * max(t, tl), q * part
            cm, cf = table[s, G_OWN + DC + 1], table[s, G_OWN + DC + 2]
            im, jf = table[s, G_OWN + DI + 1], table[s, G_OWN + DI + 2]
            ul, us = table[s, G_OWN + UL], table[s, G_OWN + US]
            u = (
                alpha * enthalpy_of(t, cu, cm, cf, tl, ts, ul)
                + beta * enthalpy_of(t0, cu, cm, cf, tl, ts, ul)
                + gamma * (f0 + f1 + f2 + f3 + f4 + f5 + blood + heat)
            )
            t = temperature_of(u, iu, im, jf, ul, us, tl)
        else:
            blood, heat = -p * t, q
            t = alpha * t + beta * t0 + gamma * iu * (f0 + f1 + f2 + f3 + f4 + f5 + blood + heat)
            if t <= tl:
                im, jf = table[s, G_OWN + DI + 1], table[s, G_OWN + DI + 2]
                t = temperature_of(
                    cu * t, iu, im, jf, table[s, G_OWN + UL], table[s, G_OWN + US], tl
                )
        faces = fixed_faces[s]
        if faces != 0:
            from_fixed += f0 * np.float32(faces & 1) + f1 * np.float32((faces >> 1) & 1)
            from_fixed += f2 * np.float32((faces >> 2) & 1) + f3 * np.float32((faces >> 3) & 1)
            from_fixed += f4 * np.float32((faces >> 4) & 1) + f5 * np.float32((faces >> 5) & 1)
        perfused += blood
        metabolised += heat
        if t <= band:
            cold_lo = min(cold_lo, mixed[k])
            cold_hi = mixed[k] + 1
        ta0[i] = t
    return perfused, metabolised, from_fixed, cold_lo, cold_hi


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _through_edge(
    ta1: Any,
    kind: Any,
    derived: Any,
    tau: Any,
    w: Any,
    shape: Any,
    z: Any,
    y: Any,
    lo: Any,
    hi: Any,
) -> float:
    """Heat through the outer faces into the free voxels of one row, MJ/m3/s summed."""
    nz, ny, nx = shape[0], shape[1], shape[2]
    sides = w[0] * ((z == 0) + (z == nz - 1)) + w[1] * ((y == 0) + (y == ny - 1))
    if sides == 0.0 and lo > 0 and hi < nx:
        return 0.0
    total = 0.0
    base = ((z + 1) * (ny + 2) + y + 1) * (nx + 2) + 1
    step = 1 if sides > 0.0 else max(nx - 1, 1)  # only the ends of a row inside
    for x in range(lo if step == 1 or lo == 0 else nx - 1, hi, step):
        i = uint64(base + x)
        d = derived[kind[i]]
        if ta1[i] != 0.0 and d[DC] > 0.0:
            ends = w[2] * ((x == 0) + (x == nx - 1))
            total -= (sides + ends) * kirchhoff(ta1[i], d, tau)
    return total


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def cold_columns(ta: Any, base: Any, left: Any, right: Any, band: Any) -> tuple[Any, Any]:
    """First cold column and last + 1 of the row at ``base`` between two columns."""
    while left < right and ta[base + uint64(left)] > band:
        left += 1
    while right > left and ta[base + uint64(right - 1)] > band:
        right -= 1
    if left == right:
        return NONE, 0
    return left, right


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _rows(
    ta1: Any, ta0: Any, kind: Any, shape: Any, rows: Any, first: Any, last: Any, runs: Any,
    mixed: Any, derived: Any, table: Any, sig: Any, fixed_faces: Any, tau: Any, w: Any, step: Any,
    was: Any, now: Any, sums: Any,
) -> None:  # fmt: skip
    """One stage over the rows[first:last]: ta0 (Y_j-2) becomes Y_j; heat into ``sums``.

    ``rows`` has what `bioheat_window.grow` says of each active row; ``was`` and ``now`` (2, padded
    rows) the cold columns of Y_j-1 and of Y_j.  A voxel without a cold neighbour is `BAND_K` or
    more above the liquidus and cannot pass it in one stage: cold columns are looked for only where
    the full step is made.
    """
    nx = shape[2]
    sy = uint64(nx + 2)
    sz = uint64((shape[1] + 2) * (nx + 2))
    plane = shape[1] + 2
    band = tau[0] + np.float32(BAND_K)
    perfused, metabolised, from_fixed, outer = 0.0, 0.0, 0.0, 0.0
    for a in range(first, last):
        base, q, left, right = uint64(rows[a, 0]), rows[a, 1], rows[a, 2], rows[a, 3]
        h0 = min(was[0, q] - 1, min(was[0, q - 1], was[0, q + 1]))
        h0 = min(h0, min(was[0, q - plane], was[0, q + plane]))
        h1 = max(was[1, q] + 1, max(was[1, q - 1], was[1, q + 1]))
        h1 = max(h1, max(was[1, q - plane], was[1, q + plane]))
        quiet = h0 >= h1
        if quiet and rows[a, 4] >= 0:  # one tissue, far from freezing
            d = derived[rows[a, 4]]
            total = _warm(ta1, ta0, base + uint64(left), right - left, sy, sz, w, d, step)
            perfused -= d[DP] * total
            metabolised += d[DM] * (right - left)
            now[0, q], now[1, q] = NONE, 0
        else:
            cold_lo, cold_hi = was[0, q], was[1, q]  # probes' voxels are cold from the first stage
            h0, h1 = np.int64(h0 // GRAIN * GRAIN), np.int64((h1 + GRAIN - 1) // GRAIN * GRAIN)
            for r in range(rows[a, 6], rows[a, 7]):
                x = max(np.int64(runs[r, 0]), left)
                end = min(np.int64(runs[r, 0] + runs[r, 1]), right)
                d = derived[runs[r, 2]]
                while x < end:
                    hot = h0 <= x < h1
                    stop = end
                    if hot:
                        stop = min(end, h1)
                    elif x < h0:
                        stop = min(end, h0)
                    start = base + uint64(x)
                    n = stop - x
                    if hot:
                        p, m = _cold(ta1, ta0, start, n, sy, sz, w, d, tau, step)
                        perfused += p
                        metabolised += m
                        c0, c1 = cold_columns(ta0, base, x, stop, band)
                        cold_lo, cold_hi = min(cold_lo, c0), max(cold_hi, c1)
                    else:
                        perfused -= d[DP] * _warm(ta1, ta0, start, n, sy, sz, w, d, step)
                        metabolised += d[DM] * n
                    x = stop
            m0, m1 = rows[a, 8], rows[a, 9]
            if m1 > m0:
                p, m, g, c0, c1 = _mixed(
                    ta1, ta0, base, mixed, m0, m1, sy, sz, table, sig, fixed_faces, tau, step,
                    band, not quiet,
                )  # fmt: skip
                perfused += p
                metabolised += m
                from_fixed += g
                cold_lo, cold_hi = min(cold_lo, c0), max(cold_hi, c1)
            now[0, q], now[1, q] = cold_lo, cold_hi
        if rows[a, 5] != 0:  # at the edge of the grid
            z, y = q // plane - 1, q % plane - 1
            outer += _through_edge(ta1, kind, derived, tau, w, shape, z, y, left, right)
    sums[E_PERFUSION], sums[E_METABOLIC] = perfused, metabolised
    sums[E_FIXED], sums[E_BOUNDARY] = from_fixed, outer


@njit(cache=True, nogil=True, error_model="numpy")
def _chunk(
    c: Any, ta1: Any, ta0: Any, kind: Any, shape: Any, rows: Any, chunks: Any, runs: Any,
    mixed: Any, derived: Any, table: Any, sig: Any, fixed_faces: Any, tau: Any, w: Any, step: Any,
    was: Any, now: Any, sums: Any, drive: Any, probe_ptr: Any, sample_ptr: Any, local: Any,
    weight: Any, voxel_ptr: Any, voxel: Any, strength: Any, contact: Any, middle: Any,
    gathered: Any, source: Any, power: Any,
) -> None:  # fmt: skip
    """Chunk ``c`` of a stage: the heat of the probes that fall to it, and its rows."""
    probes, count = drive.shape[0], chunks.shape[0] - 1
    for p in range((c * probes + count - 1) // count, ((c + 1) * probes + count - 1) // count):
        if drive[p] == drive[p]:  # on: not NaN
            gather(
                p, ta1, kind, derived, tau, np.float32(drive[p]), probe_ptr, sample_ptr, local,
                weight, voxel_ptr, voxel, strength, contact, middle, gathered, source, power,
            )  # fmt: skip
    _rows(
        ta1, ta0, kind, shape, rows, chunks[c], chunks[c + 1], runs, mixed, derived, table, sig,
        fixed_faces, tau, w, step, was, now, sums[c],
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def _chunks_parallel(
    ta1: Any, ta0: Any, kind: Any, shape: Any, rows: Any, chunks: Any, runs: Any, mixed: Any,
    derived: Any, table: Any, sig: Any, fixed_faces: Any, tau: Any, w: Any, step: Any, was: Any,
    now: Any, sums: Any, drive: Any, probe_ptr: Any, sample_ptr: Any, local: Any, weight: Any,
    voxel_ptr: Any, voxel: Any, strength: Any, contact: Any, middle: Any, gathered: Any,
    source: Any, power: Any,
) -> None:  # fmt: skip
    for c in prange(chunks.shape[0] - 1):
        _chunk(
            np.int64(c), ta1, ta0, kind, shape, rows, chunks, runs, mixed,
            derived, table, sig, fixed_faces, tau, w, step, was, now, sums, drive, probe_ptr,
            sample_ptr, local, weight, voxel_ptr, voxel, strength, contact, middle, gathered,
            source, power,
        )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def super_step(
    taa: Any, tab: Any, kind: Any, shape: Any, rows: Any, chunks: Any, many: Any, runs: Any,
    mixed: Any, derived: Any, table: Any, sig: Any, fixed_faces: Any, tau: Any,
    w: Any, stages: Any, drives: Any, probe_ptr: Any, sample_ptr: Any, local: Any,
    weight: Any, voxel_ptr: Any, voxel: Any, strength: Any, contact: Any, middle: Any,
    gathered: Any, source: Any, near: Any, spare: Any, sums: Any, heat: Any, volume: Any,
) -> None:  # fmt: skip
    """Advance taa through ``stages`` (n, 3: alpha, beta, gamma); the result is in taa or tab.

    It is in taa when n is even, else in tab.  ``drives[j, p]`` is probe p's surface tau at
    stage j (NaN: off); ``w`` has 1/h^2 per array axis, 1/mm^2; ``near`` has the cold columns of
    each padded row (``spare`` is room for them); ``many``: use numba's threads.  ``heat[c]``
    gains the energy of column c in J (``volume`` of a voxel in mm3 x 1e-3): the same recursion as
    the field's, so that the balance closes to rounding.
    """
    columns = heat.shape[0]
    e1, e0 = np.zeros(columns), np.zeros(columns)
    power = np.zeros(drives.shape[1])
    step = np.empty(3, np.float32)
    for j in range(1, stages.shape[0] + 1):
        alpha, beta, gamma = stages[j - 1, 0], stages[j - 1, 1], stages[j - 1, 2]
        step[0], step[1], step[2] = alpha, beta, gamma
        if j % 2 == 1:
            ta1, ta0, was, now = taa, tab, near, spare
        else:
            ta1, ta0, was, now = tab, taa, spare, near
        drive = drives[j - 1]
        if many:
            _chunks_parallel(
                ta1, ta0, kind, shape, rows, chunks, runs, mixed, derived, table,
                sig, fixed_faces, tau, w, step, was, now, sums, drive, probe_ptr, sample_ptr,
                local, weight, voxel_ptr, voxel, strength, contact, middle, gathered, source,
                power,
            )  # fmt: skip
        else:
            for c in range(chunks.shape[0] - 1):
                _chunk(
                    c, ta1, ta0, kind, shape, rows, chunks, runs, mixed, derived,
                    table, sig, fixed_faces, tau, w, step, was, now, sums, drive, probe_ptr,
                    sample_ptr, local, weight, voxel_ptr, voxel, strength, contact, middle,
                    gathered, source, power,
                )  # fmt: skip
        lost = 0.0
        for p in range(drive.shape[0]):
            if drive[p] == drive[p]:
                lost += give(
                    p, ta0, kind, derived, tau, np.float32(gamma), voxel_ptr, voxel, source
                )
            else:
                power[p] = 0.0
        for col in range(columns):
            rate = 0.0
            if col >= E_PROBES:
                rate = power[col - E_PROBES]
            else:
                for c in range(chunks.shape[0] - 1):
                    rate += sums[c, col]
                if col == E_FIXED:
                    rate -= lost
            e = alpha * e1[col] + beta * e0[col] + gamma * rate
            e0[col] = e1[col]
            e1[col] = e
    for col in range(columns):
        heat[col] += e1[col] * volume
