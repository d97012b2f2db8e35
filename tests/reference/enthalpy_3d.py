"""Slow, readable oracle: the enthalpy bioheat equation in 3-D with unlike tissues, float64.

Plain explicit Euler in small steps on temperature and enthalpy of each voxel's own tissue;
faces between unlike tissues conduct with the harmonic mean of both conductivities within each
phase, faces of held tissue with half a voxel of the other; the box is surrounded by body
temperature.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import TissueProperties
from irplan.ablation.line_source import LineSource

BLOOD = 1060.0 * 3639.0


def solve(
    index: NDArray[np.uint8],
    tissues: tuple[TissueProperties, ...],
    sources: tuple[LineSource, ...],
    surface_c: Callable[[float], float | None],
    *,
    h_mm: float,
    dt_s: float,
    duration_s: float,
    body_c: float = 37.0,
) -> NDArray[np.float64]:
    """Temperature at the end; ``surface_c(t)`` is every probe's temperature (None: off)."""
    h = h_mm * 1e-3
    ts, tl = tissues[0].solidus_c, tissues[0].liquidus_c
    capacity = np.array([t.heat_capacity_j_per_m3k for t in tissues])[index]
    conductivity = np.array([t.conductivity_w_per_mk for t in tissues])
    fixed = np.array(
        [np.nan if t.fixed_temperature_c is None else t.fixed_temperature_c for t in tissues]
    )[index]
    perfusion = np.array([t.perfusion_per_s for t in tissues])[index] * BLOOD
    padded = np.pad(index, 1, mode="edge")
    here = conductivity[padded]
    held = np.array([t.fixed_temperature_c is not None for t in tissues])
    here = np.where(held[padded][..., None], 1e9, here)  # its surface has its temperature

    def parts(c: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 3): temperature above the liquidus, within the mushy zone, below the solidus."""
        return np.stack([np.maximum(c - tl, 0), np.clip(c, ts, tl) - ts, np.minimum(c - ts, 0)], -1)

    def enthalpy(c: NDArray[np.float64]) -> NDArray[np.float64]:
        return (capacity * parts(c)).sum(-1)

    def temperature(e: NDArray[np.float64]) -> NDArray[np.float64]:
        cu, cm, cf = np.moveaxis(capacity, -1, 0)
        em = cm * (tl - ts)
        return ts + np.minimum(e, 0) / cf + np.clip(e, 0, em) / cm + np.maximum(e - em, 0) / cu

    faces = []
    for axis in range(3):
        a = [slice(1, -1)] * 3
        b = [slice(1, -1)] * 3
        a[axis], b[axis] = slice(0, -1), slice(1, None)
        k1, k2 = here[tuple(a)], here[tuple(b)]
        faces.append((axis, tuple(a), tuple(b), 2 * k1 * k2 / (k1 + k2)))

    c = np.where(np.isnan(fixed), body_c, fixed)
    e = enthalpy(c)
    for n in range(round(duration_s / dt_s)):
        p = parts(np.pad(c, 1, constant_values=body_c))
        gain = np.zeros(index.shape)
        for axis, a, b, k in faces:
            flow = (k * (p[b] - p[a])).sum(-1) / h**2
            lower = [slice(None)] * 3
            upper = [slice(None)] * 3
            lower[axis], upper[axis] = slice(0, -1), slice(1, None)
            gain += flow[tuple(upper)] - flow[tuple(lower)]
        gain += np.where(c > tl, perfusion * (body_c - c), 0.0)
        surface = surface_c(n * dt_s)
        if surface is not None:
            q = conductivity[index]
            theta = (q * (parts(np.full(index.shape, surface)) - parts(c))).sum(-1)
            for s in sources:
                at = tuple(s.voxels.T)
                for m in range(s.sample_ptr.size - 1):
                    e0, e1 = s.sample_ptr[m], s.sample_ptr[m + 1]
                    w, v = s.weight[e0:e1].astype(float), s.local[e0:e1]
                    heat = s.strength * 1e6 * float(w @ theta[at][v])
                    np.add.at(gain, tuple(x[v] for x in at), w * heat)
        e = e + dt_s * gain
        c = np.where(np.isnan(fixed), temperature(e), fixed)
        e = np.where(np.isnan(fixed), e, enthalpy(c))
    return c
