"""Slow, readable oracle: one microwave antenna by explicit finite volumes in (r, z), float64.

The needle's cooled wall is a real boundary with a film coefficient, cells are 0.2 mm where it
matters, temperature is advanced by plain forward Euler, perfusion by the true tanh and the
dielectric change at every step.  It shares with the solver under test only the antenna field.
"""

from __future__ import annotations

import numpy as np

BLOOD_J_PER_M3K = 1060.0 * 3639.0


def graded(knots, fine, coarse, growth, end):
    """Cell faces from 0: ``fine`` near ``knots``, growing by ``growth`` per mm of distance."""
    faces = [0.0]
    while faces[-1] < end:
        gap = min(abs(faces[-1] - k) for k in knots)
        faces.append(faces[-1] + min(coarse, fine + growth * max(0.0, gap - 2.0)))
    return np.array(faces)


def resample_power(field, r_faces, z_faces):
    """Power (W per W) of the antenna field's cells in the oracle's cells, by overlap."""

    def overlap(old, new, square):
        f = (lambda x: x**2) if square else (lambda x: x)
        out = np.zeros((old.size - 1, new.size - 1))
        for i in range(old.size - 1):
            lo, hi = np.maximum(old[i], new[:-1]), np.minimum(old[i + 1], new[1:])
            part = np.where(hi > lo, f(np.maximum(hi, lo)) - f(lo), 0.0)
            out[i] = part / (f(old[i + 1]) - f(old[i]))
        return out

    total = field.cell_w.sum() + field.outflow_w
    a, b = overlap(field.r_mm, r_faces, True), overlap(field.z_mm, z_faces, False)
    return a.T @ (field.cell_w / total) @ b


def heat(
    field,
    tissue,
    *,
    watts,
    seconds,
    radius_mm,
    cooled_from_mm,
    coolant_c,
    film_w_per_m2k,
    logit=(6.583, 0.0598),
    body_c=37.0,
    fine_mm=0.2,
    reach_mm=45.0,
):
    """(r, z, T at the end, T maximum): cell centres in mm (z behind the tip) and degC (r, z)."""
    r = graded([radius_mm], fine_mm, 1.2, 0.06, reach_mm)
    r *= 1.0  # the shaft's wall must be a face
    wall = int(np.argmin(np.abs(r - radius_mm)))
    r[: wall + 1] = np.linspace(0.0, radius_mm, wall + 1)
    behind = graded([0.0, cooled_from_mm], 1.5 * fine_mm, 1.2, 0.06, cooled_from_mm + reach_mm)
    ahead = graded([0.0], 1.5 * fine_mm, 1.2, 0.06, reach_mm)
    z = np.concatenate([-ahead[:0:-1], behind])
    cool = int(np.argmin(np.abs(z - cooled_from_mm)))
    z[cool] = cooled_from_mm
    rc, zc = 0.5 * (r[1:] + r[:-1]), 0.5 * (z[1:] + z[:-1])
    dr, dz = np.diff(r), np.diff(z)
    volume = np.pi * np.diff(r**2)[:, None] * dz[None, :]  # mm3
    shaft = (rc[:, None] < radius_mm) & (zc[None, :] > cooled_from_mm)
    metal = (rc[:, None] < radius_mm) & (zc[None, :] > 0.0)
    power = resample_power(field, r, z) * watts
    power[metal] = 0.0
    q0 = power / volume * 1e9  # W/m3
    c = tissue.density_kg_per_m3 * tissue.c_unfrozen_j_per_kgk
    latent = tissue.density_kg_per_m3 * tissue.water_fraction * 2.26e6
    steam = c * 2.0 + latent  # J/m3 between 99 and 101 degC

    def temperature(h):
        over = np.clip(h - c * (99.0 - body_c), 0.0, steam)
        return body_c + (h - over) / c + 2.0 * over / steam

    # face areas over distances, mm
    a_r = 2.0 * np.pi * r[1:-1, None] * dz[None, :] / (rc[1:] - rc[:-1])[:, None]
    a_z = np.pi * np.diff(r**2)[:, None] / (zc[1:] - zc[:-1])[None, :]
    a_r[shaft[1:, :] | shaft[:-1, :]] = 0.0
    a_z[shaft[:, 1:] | shaft[:, :-1]] = 0.0
    log_part = np.log(rc[wall] / radius_mm)
    film = np.where(zc > cooled_from_mm, 1.0, 0.0) * 2.0 * np.pi * dz  # mm
    q_edge_r = 2.0 * np.pi * r[-1] * dz / (0.5 * dr[-1])
    dt = 0.9 * c / (2 * 0.58e6 * (1.0 / dr.min() ** 2 + 1.0 / dz.min() ** 2))
    steps = int(np.ceil(seconds / dt))
    dt = seconds / steps
    h = np.zeros(volume.shape)
    highest = np.full(volume.shape, body_c)
    for _ in range(steps):
        t = temperature(h)
        k = tissue.k_unfrozen_w_per_mk * (1.0 + tissue.k_per_k * (np.minimum(t, 100.0) - 37.0))
        f_r = a_r * 2.0 * k[1:] * k[:-1] / (k[1:] + k[:-1]) * (t[1:] - t[:-1])
        f_z = a_z * 2.0 * k[:, 1:] * k[:, :-1] / (k[:, 1:] + k[:, :-1]) * (t[:, 1:] - t[:, :-1])
        flux = np.zeros_like(h)
        flux[:-1] += f_r
        flux[1:] -= f_r
        flux[:, :-1] += f_z
        flux[:, 1:] -= f_z
        resistance = log_part / k[wall] + 1.0 / (radius_mm * 1e-3 * film_w_per_m2k)
        flux[wall] += film * (coolant_c - t[wall]) / resistance
        flux[-1] += q_edge_r * k[-1] * (body_c - t[-1])
        x = np.clip(60.0 - t, -20.0, 20.0)
        flow = tissue.perfusion_per_s * BLOOD_J_PER_M3K * (body_c - t) * 0.5 * (1 + np.tanh(x))
        q = q0 / (1.0 + np.exp(np.minimum(logit[1] * t - logit[0], 50.0)))
        rate = flux / volume * 1e6 + flow + q
        rate[shaft] = 0.0
        h += dt * rate
        np.maximum(highest, t, out=highest)
    return rc, zc, temperature(h), np.maximum(highest, temperature(h))
