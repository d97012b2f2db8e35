"""State of the heating bioheat: temperature from enthalpy, sources, and what is read from it.

State and units
---------------
``v`` is the enthalpy relative to rest over the unboiled heat capacity, K: below 99 degC it is the
temperature rise T - T_body itself; between 99 and 101 degC the tissue's water boils off and v
runs on by ``latent`` kelvin; above, v - latent is the temperature rise.  So the update is linear
in v and no latent heat can be skipped.  Lengths are mm, times s, capacities MJ/(m3 K): the unit
of power is MJ/(m3 s) = W/mm3 * 1e3.

Arrays are flat and padded by one voxel on every side.  ``kind`` (uint8) is the tissue of a padded
voxel, ``tissues`` (n, 8) float32 the tissue table (columns below).  A tissue of capacity 0 is held
at its temperature.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange, uint64

_FAST = {"nnan", "ninf", "nsz", "arcp", "contract", "reassoc"}
#: ``error_model="numpy"`` everywhere: a test for division by zero would stop vectorisation.

#: Columns of the tissue table: capacity, conductivity at rest, its b, perfusion (w rho_b c_b),
#: metabolic heat, width of the boiling interval in v, share of it that is temperature.
C, K, B, PERFUSION, METABOLIC, WIDTH, SHARE = range(7)
#: Entries of ``levels``, K above rest: start of boiling, cap of k(T), end of perfusion, hot rows.
BOIL, CAP, STOP, HOT = range(4)
#: A row above this is treated in full; perfusion is whole below it to 1e-3, degC.
HOT_C = 56.0


@njit(cache=True, error_model="numpy", fastmath=_FAST, inline="always")
def _rise(v: Any, boil: Any, width: Any, share: Any) -> Any:
    """Temperature rise of the state v."""
    over = max(v - boil, np.float32(0.0))
    boiling = min(over, width)
    return v - boiling + boiling * share


@njit(cache=True, error_model="numpy", fastmath=_FAST, inline="always")
def _phi(t: Any, b: Any, cap: Any) -> Any:
    """Integral of the relative conductivity from rest to t."""
    one, two = np.float32(1.0), np.float32(2.0)
    tc = min(t, cap)
    return tc * (one + b * tc) + (t - tc) * (one + two * b * cap)


@njit(cache=True, error_model="numpy", fastmath=_FAST, inline="always")
def _alive(t: Any, stop: Any) -> Any:
    """(1 + tanh(stop - t)) / 2 by a rational function: within 0.012, exact beyond 3 K."""
    x = min(max(stop - t, np.float32(-3.0)), np.float32(3.0))
    x2 = x * x
    n27, n9, half = np.float32(27.0), np.float32(9.0), np.float32(0.5)
    return half + half * x * (n27 + x2) / (n27 + n9 * x2)


@njit(cache=True, error_model="numpy", fastmath=_FAST, inline="always")
def _logistic(y: Any) -> Any:
    """1 / (1 + exp(-y)) by a continued fraction of tanh: within 3e-4 everywhere."""
    half, most = np.float32(0.5), np.float32(4.97)
    x = min(max(half * y, -most), most)
    x2 = x * x
    top = np.float32(135135.0) + x2 * (np.float32(17325.0) + x2 * (np.float32(378.0) + x2))
    low = np.float32(135135.0) + x2 * (
        np.float32(62370.0) + x2 * (np.float32(3150.0) + np.float32(28.0) * x2)
    )
    return half + half * x * top / low


@njit(cache=True, parallel=True, error_model="numpy", fastmath=_FAST)
def source_rate(
    given: Any, v: Any, kind: Any, tissues: Any, levels: Any, box: Any, shape: Any,
    logit: Any, out: Any, row_power: Any,
) -> None:  # fmt: skip
    """``out`` = K/s of the power density ``given`` (W/m3) in ``box``; ``row_power`` its sums.

    ``logit`` = (c, d): the power is multiplied by 1 / (1 + exp(-(c - d T))), T relative to rest;
    d = 0 leaves it as it is.  Held voxels take none: it leaves with the blood.
    """
    sy = shape[2] + 2
    sz = (shape[1] + 2) * sy
    responds = logit[1] != 0.0
    c, d, boil = logit[0], logit[1], levels[BOIL]
    over = np.zeros(tissues.shape[0], np.float32)
    for n in range(tissues.shape[0]):
        if tissues[n, C] > 0.0:
            over[n] = np.float32(1.0) / tissues[n, C]
    width, share = tissues[:, WIDTH].copy(), tissues[:, SHARE].copy()
    free = (over > np.float32(0.0)).astype(np.float32) * np.float32(1e-6)
    n_x = box[5] - box[4]
    for z in prange(box[0], box[1]):
        for y in range(box[2], box[3]):
            row = uint64((z + 1) * sz + (y + 1) * sy + 1 + box[4])
            part, gets = given[z - box[0], y - box[2]], out[z - box[0], y - box[2]]
            some = np.float32(0.0)
            first, others = kind[row], 0
            for x in range(n_x):
                others += 1 if kind[row + uint64(x)] != first else 0
            for x in range(n_x):
                gets[x] = part[x]
            if responds and others == 0:  # one tissue: loops without a look-up
                w, s = width[first], share[first]
                for x in range(n_x):
                    gets[x] *= _logistic(c - d * _rise(v[row + uint64(x)], boil, w, s))
            elif responds:
                for x in range(n_x):
                    i = row + uint64(x)
                    own = kind[i]
                    gets[x] *= _logistic(c - d * _rise(v[i], boil, width[own], share[own]))
            if others == 0:
                factor = free[first] * over[first]
                for x in range(n_x):
                    some += gets[x]
                    gets[x] *= factor
                some *= free[first]
            else:
                for x in range(n_x):
                    own = kind[row + uint64(x)]
                    density = gets[x] * free[own]
                    some += density
                    gets[x] = density * over[own]
            row_power[z - box[0], y - box[2]] = some


@njit(cache=True, parallel=True, error_model="numpy", fastmath=_FAST)
def record(v: Any, highest: Any, shape: Any, window: Any) -> None:
    """highest = max(highest, v) inside the window (padded flat arrays)."""
    sy = shape[2] + 2
    sz = (shape[1] + 2) * sy
    for z in prange(window[0], window[1]):
        for y in range(window[2], window[3]):
            row = (z + 1) * sz + (y + 1) * sy + 1
            for i in range(uint64(row + window[4]), uint64(row + window[5])):
                highest[i] = max(highest[i], v[i])


@njit(cache=True, parallel=True, error_model="numpy", fastmath=_FAST)
def read_out(
    v: Any, kind: Any, tissues: Any, levels: Any, body: Any, shape: Any, window: Any, out: Any
) -> None:
    """Temperature, degC, of the padded ``v`` inside the window into ``out`` (z, y, x)."""
    sy = shape[2] + 2
    sz = (shape[1] + 2) * sy
    for z in prange(window[0], window[1]):
        for y in range(window[2], window[3]):
            row = (z + 1) * sz + (y + 1) * sy + 1
            for x in range(window[4], window[5]):
                q = tissues[kind[row + x]]
                out[z, y, x] = body + _rise(v[row + x], levels[BOIL], q[WIDTH], q[SHARE])


@njit(cache=True, parallel=True)
def stored_heat(v: Any, kind: Any, tissues: Any, shape: Any, window: Any) -> float:
    """Sum of the enthalpy relative to rest over the voxels of the window, MJ/m3."""
    sy = shape[2] + 2
    sz = (shape[1] + 2) * sy
    total = 0.0
    for z in prange(window[0], window[1]):
        for y in range(window[2], window[3]):
            row = (z + 1) * sz + (y + 1) * sy + 1
            part = 0.0
            for i in range(row + window[4], row + window[5]):
                part += np.float64(v[i]) * np.float64(tissues[kind[i], C])
            total += part
    return total
