"""Probes in the bioheat kernels: distributed line sources (`irplan.ablation.line_source`)."""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, uint64

from irplan.compute.cpu.bioheat_state import (
    DC,
    DK,
    FAST,
    enthalpy,
    kirchhoff,
    temperature,
)


@njit(cache=True, nogil=True, inline="always")
def _surface(goal: Any, contact: Any, ref: Any, d: Any, tau: Any) -> Any:
    """Surface tau behind a contact resistance: solves T + contact theta(T) = goal + contact ref."""
    right = goal + contact * ref
    at_l = tau[0] + contact * kirchhoff(tau[0], d, tau)
    at_s = tau[1] + contact * kirchhoff(tau[1], d, tau)
    if right >= at_l:
        return right / (np.float32(1.0) + contact * d[DK])
    if right >= at_s:
        return tau[0] + (right - at_l) / (np.float32(1.0) + contact * (d[DK] + d[DK + 1]))
    slope = d[DK] + d[DK + 1] + d[DK + 2]
    return tau[1] + (right - at_s) / (np.float32(1.0) + contact * slope)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def gather(
    p: Any, ta1: Any, kind: Any, derived: Any, tau: Any, drive: Any, probe_ptr: Any,
    sample_ptr: Any, local: Any, weight: Any, voxel_ptr: Any, voxel: Any, strength: Any,
    contact: Any, middle: Any, gathered: Any, source: Any, power: Any,
) -> None:  # fmt: skip
    """Heat of probe ``p`` from the state Y_j-1 (ta1): ``source`` a voxel, their sum in power[p].

    ``drive`` is the probe's working tau; ``contact[p]`` its contact resistance times
    2 pi / ln(r_eff / r), K per W/m of theta; ``middle[m]`` the voxel a sample lies in.  Both in
    MJ/m3/s.  Writes nothing else, so that it can run beside the stage's rows.
    """
    v0, v1 = voxel_ptr[p], voxel_ptr[p + 1]
    resist = contact[p]
    for v in range(v0, v1):
        d = derived[kind[voxel[v]]]
        gathered[v] = kirchhoff(drive, d, tau) - kirchhoff(ta1[voxel[v]], d, tau)
        source[v] = 0.0
    here, there = gathered[v0:v1], source[v0:v1]
    sent = 0.0
    for m in range(probe_ptr[p], probe_ptr[p + 1]):
        total = np.float32(0.0)
        for e in range(sample_ptr[m], sample_ptr[m + 1]):
            total += weight[e] * here[uint64(local[e])]
        if resist > 0.0:
            d = derived[kind[middle[m]]]
            at_work = kirchhoff(drive, d, tau)
            surface = _surface(drive, resist, at_work - total, d, tau)
            total += kirchhoff(surface, d, tau) - at_work
        heat = strength[m] * total
        sent += heat
        for e in range(sample_ptr[m], sample_ptr[m + 1]):
            there[uint64(local[e])] += weight[e] * heat
    power[p] = sent


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def give(
    p: Any, ta0: Any, kind: Any, derived: Any, tau: Any, gamma: Any, voxel_ptr: Any, voxel: Any,
    source: Any,
) -> float:  # fmt: skip
    """Add ``gamma`` times the ``source`` of probe ``p`` to Y_j (ta0).

    Returns the part that fell on fixed voxels (it is not stored).
    """
    lost = 0.0
    for v in range(voxel_ptr[p], voxel_ptr[p + 1]):
        i = uint64(voxel[v])
        d = derived[kind[i]]
        if d[DC] <= 0.0:
            lost += source[v]
            continue
        u = enthalpy(ta0[i], d, tau) + gamma * source[v]
        ta0[i] = temperature(u, d, tau)
    return lost
