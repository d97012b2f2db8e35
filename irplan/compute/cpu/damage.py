"""Damage of warm voxels over one step: dose integrals and the three-state cell model.

Temperature is taken as linear in time between the step's ends.  Rates come from tables over
temperature (linear between entries), so no exponential is computed per voxel.  Only voxels that
have once been warm are visited: per row the columns ``extents[z, y] = (first, end)``, which grow
and never shrink.  Padded flat arrays as in `irplan.compute.cpu.heat_state`; temperatures
relative to rest, K.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

from irplan.compute.cpu.heat_state import BOIL, SHARE, WIDTH, _rise

_FAST = {"nnan", "ninf", "nsz", "arcp", "contract", "reassoc"}
#: Below this rise within a step one point is enough (Arrhenius: 0.3 per K, error 1e-4) ...
_ONE_POINT_K = 0.15
#: ... and a panel of two Gauss points may span this much (error 1e-4).
_PANEL_K = 1.0
#: Longest step of the cell model's Runge-Kutta rule, s (its rates stay below 0.1 /s).
_CELL_STEP_S = 2.5


@njit(cache=True, error_model="numpy", fastmath=_FAST, inline="always")
def rate_at(t: Any, table: Any, first: Any, per_k: Any) -> Any:
    """Linear interpolation in ``table`` whose entry 0 is at ``first`` with ``per_k`` a kelvin."""
    x = (t - first) * per_k
    x = min(max(x, np.float32(0.0)), np.float32(table.shape[0] - 1.001))
    n = int(x)
    return table[n] + (x - np.float32(n)) * (table[n + 1] - table[n])


@njit(cache=True, parallel=True, error_model="numpy", fastmath=_FAST)
def grow_extents(
    v: Any, floor: Any, shape: Any, window: Any, extents: Any, before: Any, states: Any, rest: Any
) -> None:
    """Take in voxels with v > ``floor``; their ``before`` is the floor, their states ``rest``."""
    sy = shape[2] + 2
    sz = (shape[1] + 2) * sy
    for z in prange(window[0], window[1]):
        for y in range(window[2], window[3]):
            row = (z + 1) * sz + (y + 1) * sy + 1
            count = 0
            for i in range(row + window[4], row + window[5]):
                count += 1 if v[i] > floor else 0
            if count == 0:
                continue
            lo, hi = window[4], window[5]
            while v[row + lo] <= floor:
                lo += 1
            while v[row + hi - 1] <= floor:
                hi -= 1
            old_lo, old_hi = extents[z, y, 0], extents[z, y, 1]
            lo, hi = min(lo, old_lo), max(hi, old_hi)
            for x in range(lo, hi):
                if not old_lo <= x < old_hi:
                    before[row + x] = min(floor, max(v[row + x], np.float32(0.0)))
                    for n in range(states.shape[0]):
                        states[n, row + x] = rest[n]
            extents[z, y, 0], extents[z, y, 1] = lo, hi


@njit(cache=True, parallel=True, error_model="numpy", fastmath=_FAST)
def add_dose(
    v: Any, before: Any, kind: Any, tissues: Any, levels: Any, dt_s: Any, table: Any, first: Any,
    per_k: Any, most: Any, shape: Any, extents: Any, dose: Any,
) -> None:  # fmt: skip
    """dose += integral over the step of the tabulated rate, up to ``most``."""
    sy = shape[2] + 2
    sz = (shape[1] + 2) * sy
    half, gauss = np.float32(0.5), np.float32(0.28867513)
    for z in prange(shape[0]):
        for y in range(shape[1]):
            row = (z + 1) * sz + (y + 1) * sy + 1
            for i in range(row + extents[z, y, 0], row + extents[z, y, 1]):
                q = tissues[kind[i]]
                t0, t1 = before[i], _rise(v[i], levels[BOIL], q[WIDTH], q[SHARE])
                span = abs(t1 - t0)
                if span <= np.float32(_ONE_POINT_K):
                    mean = rate_at(half * (t0 + t1), table, first, per_k)
                else:
                    panels = int(span / np.float32(_PANEL_K)) + 1
                    mean = np.float32(0.0)
                    part = (t1 - t0) / np.float32(panels)
                    for n in range(panels):
                        middle = t0 + (np.float32(n) + half) * part
                        mean += rate_at(middle - gauss * part, table, first, per_k)
                        mean += rate_at(middle + gauss * part, table, first, per_k)
                    mean *= half / np.float32(panels)
                dose[i] = min(dose[i] + dt_s * mean, most)


@njit(cache=True, error_model="numpy", fastmath=_FAST, inline="always")
def _cell_rates(a: Any, d: Any, kf: Any, kb: Any) -> tuple[Any, Any]:
    one = np.float32(1.0)
    forward = kf * (one - a)
    vulnerable = one - a - d
    return kb * vulnerable - forward * a, forward * vulnerable


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def cell_step(a: Any, d: Any, t0: Any, t1: Any, dt: Any, kb: Any, table: Any, first: Any,
              per_k: Any) -> tuple[Any, Any]:  # fmt: skip
    """Alive and dead fraction after ``dt``, T linear from t0 to t1: classical Runge-Kutta."""
    half, two, six = np.float32(0.5), np.float32(2.0), np.float32(6.0)
    k0 = rate_at(t0, table, first, per_k)
    km = rate_at(half * (t0 + t1), table, first, per_k)
    k1 = rate_at(t1, table, first, per_k)
    a1, d1 = _cell_rates(a, d, k0, kb)
    a2, d2 = _cell_rates(a + half * dt * a1, d + half * dt * d1, km, kb)
    a3, d3 = _cell_rates(a + half * dt * a2, d + half * dt * d2, km, kb)
    a4, d4 = _cell_rates(a + dt * a3, d + dt * d3, k1, kb)
    return (
        a + dt / six * (a1 + two * (a2 + a3) + a4),
        d + dt / six * (d1 + two * (d2 + d3) + d4),
    )


@njit(cache=True, parallel=True, error_model="numpy", fastmath=_FAST)
def add_cells(
    v: Any, before: Any, kind: Any, tissues: Any, levels: Any, dt_s: Any, kb: Any, table: Any,
    first: Any, per_k: Any, shape: Any, extents: Any, alive: Any, dead: Any,
) -> None:  # fmt: skip
    """One step of the three-state model; ``alive`` and ``dead`` are fractions."""
    sy = shape[2] + 2
    sz = (shape[1] + 2) * sy
    count = int(np.ceil(dt_s / np.float32(_CELL_STEP_S) - np.float32(1e-4)))
    dt = dt_s / np.float32(count)
    for z in prange(shape[0]):
        for y in range(shape[1]):
            row = (z + 1) * sz + (y + 1) * sy + 1
            for i in range(row + extents[z, y, 0], row + extents[z, y, 1]):
                q = tissues[kind[i]]
                t0, t1 = before[i], _rise(v[i], levels[BOIL], q[WIDTH], q[SHARE])
                part = (t1 - t0) / np.float32(count)
                a, d = alive[i], dead[i]
                for n in range(count):
                    low = t0 + np.float32(n) * part
                    a, d = cell_step(a, d, low, low + part, dt, kb, table, first, per_k)
                alive[i], dead[i] = a, d


@njit(cache=True)
def remember(v: Any, kind: Any, tissues: Any, levels: Any, shape: Any, extents: Any,
             before: Any) -> None:  # fmt: skip
    """before = temperature, within the extents."""
    sy = shape[2] + 2
    sz = (shape[1] + 2) * sy
    for z in range(shape[0]):
        for y in range(shape[1]):
            row = (z + 1) * sz + (y + 1) * sy + 1
            for i in range(row + extents[z, y, 0], row + extents[z, y, 1]):
                q = tissues[kind[i]]
                before[i] = _rise(v[i], levels[BOIL], q[WIDTH], q[SHARE])


@njit(cache=True)
def count_at_least(state: Any, level: Any, shape: Any, extents: Any) -> int:
    """Voxels within the extents whose ``state`` is at or above ``level``."""
    sy = shape[2] + 2
    sz = (shape[1] + 2) * sy
    total = 0
    for z in range(shape[0]):
        for y in range(shape[1]):
            row = (z + 1) * sz + (y + 1) * sy + 1
            part = 0
            for i in range(row + extents[z, y, 0], row + extents[z, y, 1]):
                part += 1 if state[i] >= level else 0
            total += part
    return total


@njit(cache=True)
def stop_perfusion(state: Any, shape: Any, extents: Any, kind_of: Any, alive: Any,
                   sticky: Any) -> None:  # fmt: skip
    """alive = exp(-state) (``kind_of`` 0: a dose) or the state itself (1: a living fraction)."""
    sy = shape[2] + 2
    sz = (shape[1] + 2) * sy
    for z in range(shape[0]):
        for y in range(shape[1]):
            if extents[z, y, 1] > extents[z, y, 0]:
                sticky[z + 1, y + 1] = 1
            row = (z + 1) * sz + (y + 1) * sy + 1
            for i in range(row + extents[z, y, 0], row + extents[z, y, 1]):
                alive[i] = np.exp(-state[i]) if kind_of == 0 else state[i]
