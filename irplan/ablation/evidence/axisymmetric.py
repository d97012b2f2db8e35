"""An independent solution of one straight probe: freezing in cylinder coordinates.

Explicit finite volumes in (r, z) on a grid that is fine at the probe, enthalpy formulation,
float64.  The probe is a cylinder of its true radius with its surface at the given temperature:
nothing here knows of line sources, super-time-stepping or voxels, and nothing is shared with the
solver.  One quadrant (z >= 0, mirror at z = 0) is computed; a few seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Tissue:
    """SI constants (unfrozen, mushy, frozen)."""

    k: tuple[float, float, float]
    c_per_m3: tuple[float, float, float]  # the mushy one holds the latent heat
    solidus_c: float
    liquidus_c: float
    perfusion_w_per_m3k: float


def _temperature(h: NDArray[np.float64], t: Tissue) -> NDArray[np.float64]:
    """Temperature of enthalpy per volume h (zero at the solidus)."""
    cu, cm, cf = t.c_per_m3
    hm = cm * (t.liquidus_c - t.solidus_c)
    return t.solidus_c + np.minimum(h, 0) / cf + np.clip(h, 0, hm) / cm + np.maximum(h - hm, 0) / cu


def _enthalpy(c: NDArray[np.float64], t: Tissue) -> NDArray[np.float64]:
    """Enthalpy per volume of temperature c."""
    cu, cm, cf = t.c_per_m3
    span = t.liquidus_c - t.solidus_c
    x = c - t.solidus_c
    return np.minimum(x, 0) * cf + np.clip(x, 0, span) * cm + np.maximum(x - span, 0) * cu


def _kirchhoff(c: NDArray[np.float64], t: Tissue) -> NDArray[np.float64]:
    """Integral of k dT from the solidus."""
    ku, km, kf = t.k
    span = t.liquidus_c - t.solidus_c
    x = c - t.solidus_c
    return np.minimum(x, 0) * kf + np.clip(x, 0, span) * km + np.maximum(x - span, 0) * ku


def solve(
    tissue: Tissue,
    *,
    probe_radius_mm: float = 0.75,
    active_length_mm: float = 30.0,
    probe_c: float = -140.0,
    ramp_s: float = 60.0,
    duration_s: float = 600.0,
    body_c: float = 37.0,
    outer_mm: float = 60.0,
    step_mm: float = 0.25,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return (r_mm, z_mm, temperature (r, z)) at the end; cell centres."""
    n_probe = max(2, round(probe_radius_mm / step_mm))
    dr_fine = probe_radius_mm / n_probe
    # faces: uniform to 30 mm, then growing
    faces_r = _faces(dr_fine, 30.0, outer_mm)
    faces_z = _faces(step_mm, active_length_mm / 2 + 15.0, active_length_mm / 2 + outer_mm)
    r, z = 0.5 * (faces_r[1:] + faces_r[:-1]) * 1e-3, 0.5 * (faces_z[1:] + faces_z[:-1]) * 1e-3
    fr, fz = faces_r * 1e-3, faces_z * 1e-3
    volume = np.pi * (fr[1:] ** 2 - fr[:-1] ** 2)[:, None] * np.diff(fz)[None, :]
    area_r = 2 * np.pi * fr[1:-1, None] * np.diff(fz)[None, :] / np.diff(r)[:, None]
    area_z = np.pi * (fr[1:] ** 2 - fr[:-1] ** 2)[:, None] / np.diff(z)[None, :]
    probe = (r[:, None] < probe_radius_mm * 1e-3) & (z[None, :] < active_length_mm / 2 * 1e-3)
    # a face between probe and tissue lies on the surface: half the distance
    edge_r = probe[1:] != probe[:-1]
    half_r = np.where(probe[:-1], r[1:, None] - fr[1:-1, None], fr[1:-1, None] - r[:-1, None])
    area_r = np.where(edge_r, area_r * np.diff(r)[:, None] / half_r, area_r)
    edge_z = probe[:, 1:] != probe[:, :-1]
    half_z = np.where(probe[:, :-1], z[None, 1:] - fz[None, 1:-1], fz[None, 1:-1] - z[None, :-1])
    area_z = np.where(edge_z, area_z * np.diff(z)[None, :] / half_z, area_z)

    total = np.zeros_like(volume)
    total[:-1] += area_r
    total[1:] += area_r
    total[:, :-1] += area_z
    total[:, 1:] += area_z
    worst = max(k / c for k, c in zip(tissue.k, tissue.c_per_m3, strict=True))
    dt = 0.95 / (worst * (total / volume)[~probe].max())
    steps = int(np.ceil(duration_s / dt))
    dt = duration_s / steps

    h = _enthalpy(np.full(volume.shape, body_c), tissue)
    for n in range(steps):
        c = _temperature(h, tissue)
        ramp = min(1.0, (n + 0.5) * dt / ramp_s) if ramp_s > 0 else 1.0
        c[probe] = body_c + (probe_c - body_c) * ramp
        theta = _kirchhoff(c, tissue)
        flow_r = area_r * (theta[1:] - theta[:-1])
        flow_z = area_z * (theta[:, 1:] - theta[:, :-1])
        gain = np.zeros_like(h)
        gain[:-1] += flow_r
        gain[1:] -= flow_r
        gain[:, :-1] += flow_z
        gain[:, 1:] -= flow_z
        source = np.where(c > tissue.liquidus_c, tissue.perfusion_w_per_m3k * (body_c - c), 0.0)
        h = h + dt * (gain / volume + source)
        h[-1] = h[:, -1] = _enthalpy(np.array(body_c), tissue)
    c = _temperature(h, tissue)
    c[probe] = probe_c
    return r * 1e3, z * 1e3, c


def _faces(fine: float, until: float, end: float) -> NDArray[np.float64]:
    n = round(until / fine)
    faces = list(np.arange(n + 1) * fine)
    step = fine
    while faces[-1] < end:
        step = min(2.0, step * 1.15)
        faces.append(faces[-1] + step)
    return np.array(faces)


def crossing_mm(x_mm: NDArray[np.float64], c: NDArray[np.float64], level: float) -> float:
    """First position where c rises through ``level``, linear between samples."""
    i = int(np.argmax(c > level))
    return float(x_mm[i - 1] + (level - c[i - 1]) / (c[i] - c[i - 1]) * (x_mm[i] - x_mm[i - 1]))


def volume_cm3(
    r_mm: NDArray[np.float64], z_mm: NDArray[np.float64], c: NDArray[np.float64], level: float
) -> float:
    """Volume at or below ``level``: both halves, edge of each column by interpolation."""
    total = 0.0
    for i, z in enumerate(z_mm):
        column = c[:, i]
        if column[0] > level:
            continue
        half = 0.5 * (z_mm[1] - z_mm[0]) if i == 0 else 0.5 * (z - z_mm[i - 1])
        half += 0.5 * (z_mm[min(i + 1, len(z_mm) - 1)] - z)
        total += 2 * np.pi * crossing_mm(r_mm, column, level) ** 2 * half
    return total / 1000.0
