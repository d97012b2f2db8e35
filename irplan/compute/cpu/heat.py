"""Heating bioheat with boiling on a padded grid: one RKL1 super-step of the explicit march.

The state ``v`` and its units are those of `irplan.compute.cpu.heat_state`.

Conductivity is k (1 + 2 b T) up to a cap (T relative to rest here and below); its integral

    phi(T) = Tc + b Tc^2 + (T - Tc) (1 + 2 b cap),   Tc = min(T, cap)

makes the flux through a face g (phi(T_j) - phi(T_i)), with g and b of the pair of tissues.

Arrays are flat and padded by one voxel on every side.  A padding voxel is at rest (v = 0) and
repeats its neighbour's tissue: the outer faces lose heat to a body at rest half a voxel beyond.
``kind`` is the tissue of a padded voxel, ``tissues`` the tissue table, ``pair_g`` (3, n, n) the
conductivity between two tissues over the squared spacing of each axis, ``pair_b`` (n, n) its b.

A row of the grid is cut into *runs* (row r owns ``runs[rows[r]:rows[r + 1]]``, each start column,
length, tissue): where a voxel and its six neighbours are one tissue the loop reads nothing but v;
elsewhere (tissue -1) each voxel looks its pairs up.  Held voxels are in no run.  Rows whose own
and neighbouring rows are all below ``HOT_C`` skip the boiling, cap and perfusion terms.

RKL1: Meyer, Balsara, Aslam, J. Comput. Phys. 257 (2014) 594, eq. 14-16.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange, uint64

from irplan.compute.cpu.heat_state import (
    _FAST,
    BOIL,
    CAP,
    HOT,
    METABOLIC,
    PERFUSION,
    SHARE,
    STOP,
    WIDTH,
    B,
    C,
    K,
    _alive,
    _logistic,
    _phi,
    _rise,
)

#: Columns of the energy sums.
E_PERFUSION, E_METABOLIC, E_FIXED, E_BOUNDARY, E_SOURCE, E_SINKS = range(6)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _cold_run(
    v1: Any, v0: Any, start: Any, n: Any, sy: Any, sz: Any, q: Any, g: Any, step: Any
) -> tuple[float, float]:
    """Advance ``n`` voxels of one unboiled, fully perfused tissue; (perfusion, metabolism)."""
    alpha, beta, gamma = step[0], step[1], step[2]
    over = gamma / q[C]
    gz, gy, gx = over * g[0], over * g[1], over * g[2]
    b, two = q[B], np.float32(2.0)
    own = alpha - over * q[PERFUSION]
    plus = over * q[METABOLIC]
    total = np.float32(0.0)
    for k in range(n):
        i = start + uint64(k)
        t = v1[i]
        x0, x1, y0, y1 = v1[i - uint64(1)], v1[i + uint64(1)], v1[i - sy], v1[i + sy]
        z0, z1 = v1[i - sz], v1[i + sz]
        t2, tt = two * t, two * t * t
        lap = (
            gx * (x0 + x1 - t2 + b * (x0 * x0 + x1 * x1 - tt))
            + gy * (y0 + y1 - t2 + b * (y0 * y0 + y1 * y1 - tt))
            + gz * (z0 + z1 - t2 + b * (z0 * z0 + z1 * z1 - tt))
        )
        v0[i] = own * t + beta * v0[i] + lap + plus
        total += t
    return -np.float64(q[PERFUSION] * total), np.float64(n * q[METABOLIC])


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _hot_run(
    v1: Any, v0: Any, start: Any, n: Any, sy: Any, sz: Any, q: Any, g: Any, step: Any,
    levels: Any, alive: Any, use_alive: Any,
) -> tuple[float, float]:  # fmt: skip
    """Advance ``n`` voxels of one tissue with boiling, capped k(T) and perfusion that stops."""
    alpha, beta, gamma = step[0], step[1], step[2]
    over = gamma / q[C]
    gz, gy, gx = over * g[0], over * g[1], over * g[2]
    b, two, p, m = q[B], np.float32(2.0), q[PERFUSION], q[METABOLIC]
    boil, cap, stop, width, share = levels[BOIL], levels[CAP], levels[STOP], q[WIDTH], q[SHARE]
    flow_sum, heat_sum = np.float32(0.0), np.float32(0.0)
    for k in range(n):
        i = start + uint64(k)
        t = _rise(v1[i], boil, width, share)
        f2 = two * _phi(t, b, cap)
        lap = gx * (
            _phi(_rise(v1[i - uint64(1)], boil, width, share), b, cap)
            + _phi(_rise(v1[i + uint64(1)], boil, width, share), b, cap) - f2
        )  # fmt: skip
        lap += gy * (
            _phi(_rise(v1[i - sy], boil, width, share), b, cap)
            + _phi(_rise(v1[i + sy], boil, width, share), b, cap) - f2
        )  # fmt: skip
        lap += gz * (
            _phi(_rise(v1[i - sz], boil, width, share), b, cap)
            + _phi(_rise(v1[i + sz], boil, width, share), b, cap) - f2
        )  # fmt: skip
        v0[i] = alpha * v1[i] + beta * v0[i] + lap
    # blood in loops of their own: a choice inside the loop would not be vectorised
    if use_alive:
        for k in range(n):
            i = start + uint64(k)
            t, f = _rise(v1[i], boil, width, share), alive[i]
            flow, heat = -p * t * f, m * f
            v0[i] += over * (flow + heat)
            flow_sum += flow
            heat_sum += heat
    else:
        for k in range(n):
            i = start + uint64(k)
            t = _rise(v1[i], boil, width, share)
            f = _alive(t, stop)
            flow, heat = -p * t * f, m * f
            v0[i] += over * (flow + heat)
            flow_sum += flow
            heat_sum += heat
    return np.float64(flow_sum), np.float64(heat_sum)


@njit(cache=True, error_model="numpy", fastmath=_FAST, inline="always")
def _face(v1: Any, kind: Any, tissues: Any, j: Any, b: Any, levels: Any) -> Any:
    """phi of voxel j in its own tissue's boiling curve and the face's b."""
    q = tissues[kind[j]]
    return _phi(_rise(v1[j], levels[BOIL], q[WIDTH], q[SHARE]), b, levels[CAP])


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _mixed_run(
    v1: Any, v0: Any, start: Any, n: Any, sy: Any, sz: Any, kind: Any, tissues: Any,
    pair_g: Any, pair_b: Any, step: Any, levels: Any, alive: Any, use_alive: Any,
) -> tuple[float, float, float]:  # fmt: skip
    """Advance ``n`` voxels next to other tissue; (perfusion, metabolism, flux from held ones)."""
    alpha, beta, gamma = step[0], step[1], step[2]
    flow_sum, heat_sum, held_sum = np.float32(0.0), np.float32(0.0), np.float32(0.0)
    for k in range(n):
        i = start + uint64(k)
        own = kind[i]
        q = tissues[own]
        t = _rise(v1[i], levels[BOIL], q[WIDTH], q[SHARE])
        lap = np.float32(0.0)
        for axis in range(3):
            stride = sz if axis == 0 else (sy if axis == 1 else uint64(1))
            for side in range(2):
                j = i - stride if side == 0 else i + stride
                other = kind[j]
                b = pair_b[own, other]
                y = _face(v1, kind, tissues, j, b, levels) - _phi(t, b, levels[CAP])
                flux = pair_g[axis, own, other] * y
                lap += flux
                if tissues[other, C] <= np.float32(0.0):
                    held_sum += flux
        f = alive[i] if use_alive else _alive(t, levels[STOP])
        flow, heat = -q[PERFUSION] * t * f, q[METABOLIC] * f
        v0[i] = alpha * v1[i] + beta * v0[i] + gamma / q[C] * (lap + flow + heat)
        flow_sum += flow
        heat_sum += heat
    return np.float64(flow_sum), np.float64(heat_sum), np.float64(held_sum)


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _boundary_heat(
    v1: Any, kind: Any, tissues: Any, pair_g: Any, z: Any, shape: Any, sy: Any, sz: Any,
    levels: Any,
) -> float:  # fmt: skip
    """Heat into the free voxels of plane z through the grid's outer faces, MJ/(m3 s)."""
    nz, ny, nx = shape[0], shape[1], shape[2]
    total = 0.0
    base = uint64(z + 1) * sz + sy + uint64(1)
    z_faces = (1 if z == 0 else 0) + (1 if z == nz - 1 else 0)
    for y in range(ny):
        y_faces = (1 if y == 0 else 0) + (1 if y == ny - 1 else 0)
        for x in range(0, nx, 1 if z_faces + y_faces > 0 else max(nx - 1, 1)):
            i = base + uint64(y) * sy + uint64(x)
            own = kind[i]
            if v1[i] != 0.0 and tissues[own, C] > 0.0:
                x_faces = (1 if x == 0 else 0) + (1 if x == nx - 1 else 0)
                g = (
                    z_faces * pair_g[0, own, own]
                    + y_faces * pair_g[1, own, own]
                    + x_faces * pair_g[2, own, own]
                )
                total -= g * _face(v1, kind, tissues, i, tissues[own, B], levels)
    return total


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _responding_source(
    v1: Any, v0: Any, start: Any, n: Any, kind: Any, tissues: Any, levels: Any, gamma: Any,
    given: Any, logit: Any,
) -> float:  # fmt: skip
    """Add a source that falls with temperature to ``n`` voxels; returns its power."""
    c, d, boil, zero = logit[0], logit[1], levels[BOIL], np.float32(0.0)
    mega = np.float32(1e-6)
    total = zero
    for k in range(n):
        i = start + uint64(k)
        q = tissues[kind[i]]
        if q[C] > zero:
            y = c - d * _rise(v1[i], boil, q[WIDTH], q[SHARE])
            density = given[k] * mega * _logistic(y)
            total += density
            v0[i] += gamma * density / q[C]
    return np.float64(total)


@njit(cache=True, parallel=True, error_model="numpy", fastmath=_FAST)
def _stage(
    v1: Any, v0: Any, hot1: Any, hot0: Any, sticky: Any, kind: Any, shape: Any, window: Any,
    runs: Any, rows: Any, tissues: Any, pair_g: Any, pair_b: Any, levels: Any, step: Any,
    given: Any, logit: Any, source: Any, row_power: Any, box: Any, alive: Any, use_alive: Any,
    at_boundary: Any, sums: Any,
) -> None:  # fmt: skip
    """One RKL1 stage over the window: v0 (Y_j-2) becomes Y_j; per-plane heat sums."""
    ny = shape[1]
    sy = uint64(shape[2] + 2)
    sz = uint64((shape[1] + 2) * (shape[2] + 2))
    for z in prange(window[0], window[1]):
        perfused, metabolised, held, absorbed = 0.0, 0.0, 0.0, 0.0
        for y in range(window[2], window[3]):
            row = uint64(z + 1) * sz + uint64(y + 1) * sy + uint64(1)
            is_hot = (
                hot1[z + 1, y + 1] + hot1[z, y + 1] + hot1[z + 2, y + 1]
                + hot1[z + 1, y] + hot1[z + 1, y + 2]
            ) > 0  # fmt: skip
            for r in range(rows[z * ny + y], rows[z * ny + y + 1]):
                lo = max(runs[r, 0], window[4])
                hi = min(runs[r, 0] + runs[r, 1], window[5])
                if hi <= lo:
                    continue
                start, own = row + uint64(lo), runs[r, 2]
                if own < 0:
                    p, m, f = _mixed_run(
                        v1, v0, start, hi - lo, sy, sz, kind, tissues, pair_g, pair_b, step,
                        levels, alive, use_alive,
                    )  # fmt: skip
                    held += f
                elif is_hot:
                    p, m = _hot_run(
                        v1, v0, start, hi - lo, sy, sz, tissues[own], pair_g[:, own, own], step,
                        levels, alive, use_alive,
                    )  # fmt: skip
                else:
                    p, m = _cold_run(
                        v1, v0, start, hi - lo, sy, sz, tissues[own], pair_g[:, own, own], step
                    )
                perfused += p
                metabolised += m
            if box[0] <= z < box[1] and box[2] <= y < box[3]:
                first, n = row + uint64(box[4]), box[5] - box[4]
                if is_hot and logit[1] != 0.0:
                    absorbed += _responding_source(
                        v1, v0, first, n, kind, tissues, levels, step[2],
                        given[z - box[0], y - box[2]], logit,
                    )  # fmt: skip
                else:
                    part, gamma = source[z - box[0], y - box[2]], step[2]
                    for k in range(n):
                        v0[first + uint64(k)] += gamma * part[k]
                    absorbed += row_power[z - box[0], y - box[2]]
            count = 0
            limit = levels[HOT]
            for i in range(row + uint64(window[4]), row + uint64(window[5])):
                count += 1 if v0[i] > limit else 0
            hot0[z + 1, y + 1] = 1 if count > 0 else sticky[z + 1, y + 1]
        sums[z, E_PERFUSION] = perfused
        sums[z, E_METABOLIC] = metabolised
        sums[z, E_FIXED] = held
        sums[z, E_SOURCE] = absorbed
        sums[z, E_BOUNDARY] = (
            _boundary_heat(v1, kind, tissues, pair_g, z, shape, sy, sz, levels)
            if at_boundary
            else 0.0
        )


@njit(cache=True)
def _line_sinks(
    v1: Any, v0: Any, kind: Any, tissues: Any, levels: Any, gamma: Any, coolant: Any,
    log_part: Any, film_part: Any, per_volume: Any, sink_ptr: Any, sample_ptr: Any, local: Any,
    weight: Any, voxel_ptr: Any, voxel: Any, gathered: Any, k_here: Any, spread: Any, power: Any,
) -> float:  # fmt: skip
    """Add the coolants' heat to Y_j (v0) from Y_j-1 (v1).

    Sink p's coolant is at ``coolant[p]`` (NaN: off); per length it takes (T_ref - T_coolant) /
    (log_part / k + film_part).  ``power[p]`` becomes its heat; returns what fell on held voxels.
    """
    lost = 0.0
    for p in range(sink_ptr.shape[0] - 1):
        power[p] = 0.0
        if np.isnan(coolant[p]):
            continue
        v_first, v_end = voxel_ptr[p], voxel_ptr[p + 1]
        for n in range(v_first, v_end):
            q = tissues[kind[voxel[n]]]
            gathered[n] = _rise(v1[voxel[n]], levels[BOIL], q[WIDTH], q[SHARE])
            tc = min(gathered[n], levels[CAP])
            k_here[n] = q[K] * (np.float32(1.0) + np.float32(2.0) * q[B] * tc)
            spread[n] = 0.0
        for m in range(sink_ptr[p], sink_ptr[p + 1]):
            t, k = 0.0, 0.0
            for e in range(sample_ptr[m], sample_ptr[m + 1]):
                t += weight[e] * gathered[v_first + local[e]]
                k += weight[e] * k_here[v_first + local[e]]
            heat = per_volume[p] * (coolant[p] - t) / (log_part[p] / k + film_part[p])
            power[p] += heat
            for e in range(sample_ptr[m], sample_ptr[m + 1]):
                spread[v_first + local[e]] += weight[e] * heat
        for n in range(v_first, v_end):
            capacity = tissues[kind[voxel[n]], C]
            if capacity > 0.0:
                v0[voxel[n]] += gamma * spread[n] / capacity
            else:
                lost += spread[n]
    return lost


@njit(cache=True)
def super_step(
    va: Any, vb: Any, hot_a: Any, hot_b: Any, sticky: Any, kind: Any, shape: Any, window: Any,
    runs: Any, rows: Any, tissues: Any, pair_g: Any, pair_b: Any, levels: Any, dt_s: Any,
    stages: Any, at_boundary: Any, given: Any, logit: Any, source: Any, row_power: Any, box: Any,
    alive: Any, use_alive: Any, coolant: Any, log_part: Any, film_part: Any, per_volume: Any,
    sink_ptr: Any, sample_ptr: Any, local: Any, weight: Any, voxel_ptr: Any, voxel: Any,
    gathered: Any, k_here: Any, spread: Any, voxel_mm3: Any, sums: Any, heat: Any,
) -> None:  # fmt: skip
    """Advance va by ``dt_s`` in ``stages`` RKL1 stages, ending in va (even) or vb (odd).

    ``source`` and ``row_power`` are `source_rate`'s at the start, in the index box ``box`` (z0, z1,
    y0, y1, x0, x1) inside the window; in hot rows a responding source is taken anew from
    ``given`` at every stage.  ``heat[c]`` gains the energy of column c (then one a sink) in J by
    the field's own recursion, so the balance
    closes to rounding.
    """
    s = stages
    w = 2.0 / (s * s + s)
    columns = heat.shape[0]
    e1, e0 = np.zeros(columns), np.zeros(columns)
    power = np.zeros(coolant.shape[0])
    step = np.empty(3, np.float32)
    for j in range(1, s + 1):
        alpha, beta, gamma = (2.0 * j - 1.0) / j, (1.0 - j) / j, (2.0 * j - 1.0) / j * w * dt_s
        step[0], step[1], step[2] = alpha, beta, gamma
        if j % 2 == 1:
            v1, v0, hot1, hot0 = va, vb, hot_a, hot_b
        else:
            v1, v0, hot1, hot0 = vb, va, hot_b, hot_a
        _stage(
            v1, v0, hot1, hot0, sticky, kind, shape, window, runs, rows, tissues, pair_g, pair_b,
            levels, step, given, logit, source, row_power, box, alive, use_alive,
            at_boundary, sums,
        )  # fmt: skip
        lost = _line_sinks(
            v1, v0, kind, tissues, levels, np.float32(gamma), coolant, log_part, film_part,
            per_volume, sink_ptr, sample_ptr, local, weight, voxel_ptr, voxel, gathered, k_here,
            spread, power,
        )  # fmt: skip
        for col in range(columns):
            rate = 0.0
            if col >= E_SINKS:
                rate = power[col - E_SINKS]
            else:
                for z in range(window[0], window[1]):
                    rate += sums[z, col]
                if col == E_FIXED:
                    rate -= lost
            e = alpha * e1[col] + beta * e0[col] + gamma * rate
            e0[col] = e1[col]
            e1[col] = e
    for col in range(columns):
        heat[col] += e1[col] * voxel_mm3 * 1e-3
