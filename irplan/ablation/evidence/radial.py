"""A slow solution of the infinitely long probe in perfused tissue: one dimension, explicit."""

from __future__ import annotations

import numpy as np

from irplan.ablation.evidence.closed_forms import FreezingTissue, pennes_length_mm


def radial_ice_radius_mm(
    t: FreezingTissue,
    body_c: float,
    probe_c: float,
    probe_radius_mm: float,
    perfusion_per_s: float,
    time_s: float,
    *,
    outer_mm: float = 60.0,
    step_mm: float = 0.4,
) -> float:
    """Radius of the ice after ``time_s`` of freezing, mm; its limit is `limiting_ice_radius_mm`.

    Enthalpy on rings, latent heat at one temperature, perfusion where nothing is frozen, the far
    wall ``outer_mm`` away at body temperature.  O(time / step^3); some seconds.  A ring is perfused
    wholly or not at all: first order, the radius comes out about two rings short at most.
    """
    count = round((outer_mm - probe_radius_mm) / step_mm)
    edge = probe_radius_mm + step_mm * np.arange(count + 1)
    middle = 0.5 * (edge[1:] + edge[:-1])
    area = edge[1:] ** 2 - edge[:-1] ** 2  # over pi
    pull = t.k_unfrozen / pennes_length_mm(t.k_unfrozen, perfusion_per_s) ** 2
    dt = 0.4 * step_mm**2 / (2.0 * t.a_frozen)
    steps = int(np.ceil(time_s / dt))
    dt = time_s / steps
    heat = np.full(count, t.c_unfrozen * (body_c - t.freezing_c))  # MJ/m3 above thawed, freezing
    first = t.k_frozen * (probe_c - t.freezing_c)
    last = t.k_unfrozen * (body_c - t.freezing_c)
    for _ in range(steps):
        cold = np.minimum(heat + t.latent, 0.0) / t.c_frozen
        warm = np.maximum(heat, 0.0) / t.c_unfrozen
        c = cold + warm
        theta = t.k_frozen * cold + t.k_unfrozen * warm
        flux = np.empty(count + 1)
        flux[1:-1] = edge[1:-1] * np.diff(theta) / step_mm
        flux[0] = (theta[0] - first) / np.log(middle[0] / probe_radius_mm)
        flux[-1] = outer_mm * (last - theta[-1]) / (0.5 * step_mm)
        heat += dt * (
            2.0 * np.diff(flux) / area
            + np.where(heat > 0.0, pull * (body_c - t.freezing_c - c), 0.0)
        )
    frozen = np.clip(-heat / t.latent, 0.0, 1.0)
    return float(np.sqrt(probe_radius_mm**2 + np.sum(frozen * area)))
