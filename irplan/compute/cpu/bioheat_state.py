"""State and units of the bioheat kernels: constants, enthalpy and theta of a temperature.

`irplan.compute.cpu.bioheat` says what they mean.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

FAST = {"nnan", "ninf", "nsz", "arcp", "contract", "reassoc"}

#: Columns of the tissue table.
CU, CM, CF, KU, KM, KF, PERFUSION, METABOLIC = range(8)
#: Columns of a tissue's derived row: ku, km - ku, kf - km; cu, cm, cf; 1/cu, 1/cm, 1/cf; u
#: at liquidus and solidus; perfusion; metabolic heat.
DK, DC, DI, UL, US, DP, DM, DERIVED = 0, 3, 6, 9, 10, 11, 12, 13
#: Columns of a signature: 6 faces unfrozen, 6 faces mushy - unfrozen, 6 faces frozen - mushy
#: (conductivity over distance squared), then the own derived row.
G_MUSHY, G_FROZEN, G_OWN, SIGNATURE = 6, 12, 18, 18 + 13
#: First cold column of a row that has none (its last is then 0).
NONE = 1 << 20
#: Cold columns begin and end at multiples of this, so that the processor's vectors fill up.
GRAIN = 8
#: A voxel is cold within this much above the liquidus, K.
BAND_K = 8.0
#: Smallest temperature span of a voxel that the liquidus crosses, K.
_LEAST_SPAN_K = 1.0
#: Columns of the energy sums.
E_PERFUSION, E_METABOLIC, E_FIXED, E_BOUNDARY, E_PROBES = range(5)


@njit(cache=True, nogil=True, error_model="numpy")
def derive(tissues: Any, tau: Any) -> Any:
    """Per tissue of the (n, 8) table: its derived row, (n, 13) float32."""
    out = np.zeros((tissues.shape[0], DERIVED), np.float32)
    for n in range(tissues.shape[0]):
        q, d = tissues[n], out[n]
        d[DK], d[DK + 1], d[DK + 2] = q[KU], q[KM] - q[KU], q[KF] - q[KM]
        if q[CU] > 0.0:
            for phase in range(3):
                d[DC + phase], d[DI + phase] = q[CU + phase], 1.0 / q[CU + phase]
            d[UL] = q[CU] * tau[0]
            d[US] = d[UL] + q[CM] * (tau[1] - tau[0])
        d[DP], d[DM] = q[PERFUSION], q[METABOLIC]
    return out


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST, inline="always")
def below(x: Any, level: Any) -> Any:
    """How far x is below ``level``, as a number <= 0."""
    return min(x - level, np.float32(0.0))


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def kirchhoff(x: Any, d: Any, tau: Any) -> Any:
    """theta of tau in the tissue with derived row d."""
    return d[DK] * x + d[DK + 1] * below(x, tau[0]) + d[DK + 2] * below(x, tau[1])


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def enthalpy(x: Any, d: Any, tau: Any) -> Any:
    """u of tau in the tissue with derived row d."""
    return enthalpy_of(x, d[DC], d[DC + 1], d[DC + 2], tau[0], tau[1], d[UL])


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST, inline="always")
def enthalpy_of(t: Any, cu: Any, cm: Any, cf: Any, tl: Any, ts: Any, ul: Any) -> Any:
    """u of tau from the constants of a derived row, one by one."""
    return max(cu * t, ul) + cm * (min(max(t, ts), tl) - tl) + cf * below(t, ts)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST, inline="always")
def temperature_of(u: Any, iu: Any, im: Any, jf: Any, ul: Any, us: Any, tl: Any) -> Any:
    """tau of u, likewise."""
    return max(iu * u, tl) + im * (min(max(u, us), ul) - ul) + jf * below(u, us)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def temperature(u: Any, d: Any, tau: Any) -> Any:
    """tau of u in the tissue with derived row d."""
    return temperature_of(u, d[DI], d[DI + 1], d[DI + 2], d[UL], d[US], tau[0])
