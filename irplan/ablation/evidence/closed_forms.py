"""Exact solutions that the solvers are held against; SI inside, mm, s and degC outside."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.tissue_table import BLOOD_DENSITY, BLOOD_HEAT_CAPACITY


@dataclass(frozen=True)
class FreezingTissue:
    """Sharp freezing at ``freezing_c``: k in W/(m K), c in MJ/(m3 K), latent in MJ/m3."""

    k_unfrozen: float = 0.5
    k_frozen: float = 2.0
    c_unfrozen: float = 3.6
    c_frozen: float = 1.8
    latent: float = 250.0
    freezing_c: float = -1.0

    @property
    def a_unfrozen(self) -> float:
        """Diffusivity, mm2/s."""
        return self.k_unfrozen / self.c_unfrozen

    @property
    def a_frozen(self) -> float:
        """Diffusivity, mm2/s."""
        return self.k_frozen / self.c_frozen


def planar_front_mm(t: FreezingTissue, body_c: float, surface_c: float, time_s: float) -> float:
    """Front of the two-phase Neumann problem: X = 2 lambda sqrt(a_f t).

    Carslaw & Jaeger, Conduction of Heat in Solids (1959), section 11.2; equation (a) of the
    specification.
    """
    from scipy.optimize import brentq
    from scipy.special import erf, erfc

    span = t.freezing_c - surface_c

    def balance(lam: float) -> float:
        ratio = math.sqrt(t.a_frozen / t.a_unfrozen)
        ice = math.exp(-(lam**2)) / float(erf(lam))
        warm = (t.k_unfrozen / t.k_frozen) * ratio * (body_c - t.freezing_c) / span
        warm *= math.exp(-(lam**2) * t.a_frozen / t.a_unfrozen) / float(erfc(lam * ratio))
        return ice - warm - lam * math.sqrt(math.pi) * t.latent / (t.c_frozen * span)

    lam = float(brentq(balance, 1e-3, 3.0))
    return 2.0 * lam * math.sqrt(t.a_frozen * time_s)


def line_sink_number(t: FreezingTissue, body_c: float, draw_w_per_m: float) -> float:
    """lambda of freezing round a line that draws constant heat: R = 2 lambda sqrt(a_f t).

    Carslaw & Jaeger (1959), section 11.6; equation (b) of the specification.
    """
    from scipy.optimize import brentq
    from scipy.special import exp1

    def balance(lam: float) -> float:
        x = lam**2 * t.a_frozen / t.a_unfrozen
        warm = -t.k_unfrozen * (body_c - t.freezing_c) * math.exp(-x) / float(exp1(x))
        ice = draw_w_per_m / (4.0 * math.pi) * math.exp(-(lam**2))
        return ice + warm - t.latent * t.a_frozen * lam**2

    return float(brentq(balance, 0.02, 3.0))


def line_sink_surface_c(
    t: FreezingTissue, lam: float, draw_w_per_m: float, radius_mm: float, time_s: float
) -> float:
    """Exact temperature at ``radius_mm`` in the ice of `line_sink_number`."""
    from scipy.special import exp1

    part = float(exp1(radius_mm**2 / (4.0 * t.a_frozen * time_s))) - float(exp1(lam**2))
    return t.freezing_c - draw_w_per_m / (4.0 * math.pi * t.k_frozen) * part


def pennes_length_mm(k_w_per_mk: float, perfusion_per_s: float) -> float:
    """delta = sqrt(k / (w rho_b c_b)): how far heat reaches against blood."""
    flow = perfusion_per_s * BLOOD_DENSITY.value * BLOOD_HEAT_CAPACITY.value
    return 1e3 * math.sqrt(k_w_per_mk / flow)


def limiting_ice_radius_mm(
    t: FreezingTissue, body_c: float, probe_c: float, probe_radius_mm: float, perfusion_per_s: float
) -> float:
    """Radius at which blood holds the ice of a long probe; equation (c) of the specification."""
    from scipy.optimize import brentq
    from scipy.special import k0, k1

    delta = pennes_length_mm(t.k_unfrozen, perfusion_per_s)

    def balance(radius: float) -> float:
        ice = t.k_frozen * (t.freezing_c - probe_c) / (radius * math.log(radius / probe_radius_mm))
        warm = t.k_unfrozen * (body_c - t.freezing_c) / delta
        return ice - warm * float(k1(radius / delta)) / float(k0(radius / delta))

    return float(brentq(balance, 1.05 * probe_radius_mm, 200.0))


def point_source_rise_c(
    power_w: float, k_w_per_mk: float, diffusivity_mm2_per_s: float,
    distance_mm: NDArray[np.float64], time_s: float,
) -> NDArray[np.float64]:  # fmt: skip
    """Q / (4 pi k r) erfc(r / sqrt(4 a t)); Carslaw & Jaeger (1959), section 10.4."""
    from scipy.special import erfc

    out: NDArray[np.float64] = (power_w / (4.0 * math.pi * k_w_per_mk * 1e-3 * distance_mm)) * erfc(
        distance_mm / math.sqrt(4.0 * diffusivity_mm2_per_s * time_s)
    )
    return out


def cem43_of_ramp_min(start_c: float, rate_c_per_s: float, time_s: float) -> float:
    """CEM43 of T = start + rate t, R = .25 below and .5 above 43 degC, in closed form."""

    def part(r: float, low_c: float, high_c: float) -> float:
        a = -math.log(r)  # R^(43 - T) = e^(a (T - 43))
        if high_c <= low_c:
            return 0.0
        return (math.exp(a * (high_c - 43.0)) - math.exp(a * (low_c - 43.0))) / (a * rate_c_per_s)

    end = start_c + rate_c_per_s * time_s
    below = part(0.25, start_c, min(end, 43.0))
    above = part(0.5, max(start_c, 43.0), end)
    return (below + above) / 60.0


def arrhenius_of_ramp(
    frequency_per_s: float, energy_j_per_mol: float, start_c: float, rate_c_per_s: float,
    time_s: float,
) -> float:  # fmt: skip
    """Omega = int A exp(-E / R T) dt of T = start + rate t.

    With x = E / R T the integral is (A E / (rate R)) [e^-x / x - E1(x)] between both ends.
    """
    from scipy.special import expn

    gas = 8.314462618

    def part(celsius: float) -> float:
        x = energy_j_per_mol / (gas * (celsius + 273.15))
        return float(expn(2, x)) / x  # e^-x / x - E1(x) = E2(x) / x

    scale = frequency_per_s * energy_j_per_mol / (rate_c_per_s * gas)
    return scale * (part(start_c + rate_c_per_s * time_s) - part(start_c))


def two_spheres_siemens(radius_mm: float, distance_mm: float, sigma_s_per_m: float) -> float:
    """Conductance between two metal spheres in an endless medium, by the series of images.

    Maxwell, Treatise (1873), section 173: charges alternate between the spheres and shift towards
    the middle.
    """
    charge, shift, total = 1.0, 0.0, 0.0
    for _ in range(80):
        total += charge
        gap = distance_mm - shift
        charge, shift = charge * radius_mm / gap, radius_mm**2 / gap
    return 4.0 * math.pi * sigma_s_per_m * radius_mm * 1e-3 * 0.5 * total


def parallel_lines_ohm(length_mm: float, distance_mm: float, sigma_s_per_m: float) -> float:
    """Mutual resistance of two parallel lines of even current, ohm (the double integral of 1/r)."""
    x = distance_mm / length_mm
    mean = 2.0 * (math.asinh(1.0 / x) - math.sqrt(1.0 + x * x) + x) / length_mm
    return 1e3 * mean / (4.0 * math.pi * sigma_s_per_m)
