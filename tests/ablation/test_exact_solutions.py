"""The solver against closed forms: two-phase Neumann, line sink, steady Pennes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import erf, erfc, exp1, k0, k1

from irplan.ablation import Phase, Schedule, TissueProperties, simulate
from irplan.ablation.march import March

BODY = 37.0
#: Sharp freezing: 250 MJ/m3 within 0.1 K below -1 degC; 3.6/1.8 MJ/m3K, 0.5/2 W/mK.
SHARP = TissueProperties(
    "sharp", 0.5, 1.0, 2.0, 1000.0, 3600.0, 1800.0, 1800.0, 250e3, -1.1, -1.0
)  # fmt: skip
K_U, K_F, C_U, C_F, LATENT, T_F = 0.5, 2.0, 3.6, 1.8, 250.0, -1.0
A_U, A_F = K_U / C_U, K_F / C_F


def crossing(x: np.ndarray, c: np.ndarray, level: float) -> float:
    i = int(np.argmax(c > level))
    return float(x[i - 1] + (level - c[i - 1]) / (c[i] - c[i - 1]) * (x[i] - x[i - 1]))


def test_planar_neumann(make_problem, make_placed, make_probe):
    """A wall at -140 degC freezes X = 2 lambda sqrt(a_f t); front within a tenth of a voxel."""
    surface = -140.0

    def balance(lam: float) -> float:
        ratio = math.sqrt(A_F / A_U)
        ice = math.exp(-(lam**2)) / erf(lam)
        warm = (K_U / K_F) * ratio * (BODY - T_F) / (T_F - surface)
        warm *= math.exp(-(lam**2) * A_F / A_U) / erfc(lam * ratio)
        return ice - warm - lam * math.sqrt(math.pi) * LATENT / (C_F * (T_F - surface))

    lam = brentq(balance, 0.1, 2.0)
    assert lam == pytest.approx(0.505407, abs=2e-6)  # the specification's value
    wall = TissueProperties(
        "wall", 2.0, 2.0, 2.0, 1000.0, 1800.0, 1800.0, 1800.0, 0.0, -1.1, -1.0,
        fixed_temperature_c=surface,
    )  # fmt: skip
    shape = (96, 96, 48)
    index = np.zeros(shape, np.uint8)
    index[:, :, :10] = 1
    inside_wall = make_placed((-23.5 + 5, 0, 0), (0, 0, 1), make_probe(20.0, ramp_s=0.0))
    problem = make_problem(
        shape=shape,
        index=index,
        tissues=(SHARP, wall),
        placements=(inside_wall,),
        schedule=Schedule((Phase("freeze", 150.0),)),
    )
    result = simulate(problem, time_error_mm=0.03)
    line = 0.25 * result.end_of_freeze_c.array[47:49, 47:49, 10:].sum(axis=(0, 1))
    front = crossing(0.5 + np.arange(line.size), line, T_F)  # from the wall's surface
    assert front == pytest.approx(2 * lam * math.sqrt(A_F * 150.0), abs=0.1)
    assert result.energy.residual_fraction <= 1e-3


def test_line_sink(make_problem, make_placed, make_probe, monkeypatch):
    """A long probe that draws 1500 W/m freezes a cylinder R = 2 lambda sqrt(a_f t)."""
    q, duration = 1500.0, 240.0

    def balance(lam: float) -> float:
        ei = -exp1(lam**2 * A_F / A_U)
        warm = K_U * (BODY - T_F) * math.exp(-(lam**2) * A_F / A_U) / ei
        return q / (4 * math.pi) * math.exp(-(lam**2)) + warm - LATENT * A_F * lam**2

    lam = brentq(balance, 0.05, 2.0)
    assert 2 * lam * math.sqrt(A_F * 600.0) == pytest.approx(22.850, abs=1e-3)  # specification

    def surface(self, segment, probe, at_s):  # exact temperature at the probe's radius
        t = np.maximum(at_s, 0.5)
        part = exp1(0.75**2 / (4 * A_F * t)) - exp1(lam**2)
        return np.minimum(0.0, T_F - q / (4 * math.pi * K_F) * part - BODY)

    monkeypatch.setattr(March, "_drive", surface)
    problem = make_problem(
        shape=(110, 72, 72),
        tissues=(SHARP,),
        placements=(make_placed((0, 0, 0), (0, 0, 1), make_probe(95.0)),),
        schedule=Schedule((Phase("freeze", duration),)),
    )
    result = simulate(problem, time_error_mm=0.02)
    radius = mean_radius(result.end_of_freeze_c, T_F)
    assert radius == pytest.approx(2 * lam * math.sqrt(A_F * duration), abs=0.5)
    # held at the infinite line's temperature, a line of finite length draws a little more
    assert result.energy.probes_j == pytest.approx(-q * 0.095 * duration, rel=0.05)


def mean_radius(volume, level: float) -> float:
    """Radius of an isotherm round the z axis in the mid plane, mean over 24 directions."""
    r = np.arange(1.0, 34.0, 0.1)
    found = []
    for phi in np.arange(24) * math.pi / 12:
        points = np.stack([r * math.cos(phi), r * math.sin(phi), 0 * r], axis=1)
        found.append(crossing(r, volume.at(points), level))
    return float(np.mean(found))


def test_limiting_ice_cylinder_under_perfusion(make_problem, make_placed, make_probe):
    """Perfusion of .0036 /s holds the ice of a long probe at 22.85 mm.

    A voxel perfuses wholly or not at all, so the standing front is first order: at most .75
    voxel, always on the small side when it grows into place (measured: -.6 voxel).
    """
    tissue = TissueProperties(
        "perfused", 0.5, 1.0, 2.0, 1000.0, 3600.0, 1800.0, 1800.0, 250e3, -1.1, -1.0,
        perfusion_per_s=0.0036,
    )  # fmt: skip
    delta = math.sqrt(K_U / (0.0036 * 1060 * 3639)) * 1e3

    def balance(radius: float) -> float:
        ice = K_F * (T_F + 140.0) / (radius * math.log(radius / 0.75))
        return ice - K_U * (BODY - T_F) / delta * k1(radius / delta) / k0(radius / delta)

    limit = brentq(balance, 2.0, 60.0)
    assert limit == pytest.approx(22.85, abs=0.02)  # the specification's value
    problem = make_problem(
        shape=(56, 44, 44),
        spacing_mm=2.0,
        tissues=(tissue,),
        placements=(make_placed((0, 0, 0), (0, 0, 1), make_probe(95.0)),),
        schedule=Schedule((Phase("freeze", 7200.0),)),
    )
    result = simulate(problem, time_error_mm=0.3)
    assert mean_radius(result.end_of_freeze_c, T_F) == pytest.approx(limit, abs=1.5)


def _plane_error(make_problem, make_placed, make_probe, h: float) -> float:
    """Largest error of the steady profile before a wall at 10 degC, relative to its height."""
    tissue = TissueProperties(
        "perfused", 0.302, 1.25, 2.0, 1079.0, 3540.0, 3087.0, 1860.0, perfusion_per_s=0.02
    )
    wall = TissueProperties(
        "wall", 0.302, 0.302, 0.302, 1079.0, 3540.0, 3540.0, 3540.0, fixed_temperature_c=10.0
    )
    n, thick = round(36 / h), round(9 / h)
    shape = (n, n, round(26 / h))
    index = np.zeros(shape, np.uint8)
    index[:, :, :thick] = 1
    x_wall = (thick - shape[2] / 2) * h  # the wall's surface
    inside = make_placed(
        (x_wall - 4.5, 0, 0), (0, 0, 1), make_probe(6.0, temperature_c=10.0, ramp_s=0.0)
    )
    problem = make_problem(
        shape=shape,
        spacing_mm=h,
        index=index,
        tissues=(tissue, wall),
        placements=(inside,),
        schedule=Schedule((Phase("freeze", 500.0),)),
    )
    field = simulate(problem).end_of_freeze_c
    x = np.arange(0.5, 7.0)
    points = np.stack([x_wall + x, 0 * x + h / 2 * (n % 2 == 0), 0 * x + h / 2 * (n % 2 == 0)], 1)
    delta = math.sqrt(0.302 / (0.02 * 1060 * 3639)) * 1e3
    exact = BODY + (10.0 - BODY) * np.exp(-x / delta)
    return float(np.abs(field.at(points) - exact).max() / (BODY - 10.0))


def test_steady_pennes_plane_converges_with_second_order(make_problem, make_placed, make_probe):
    """exp(-x / delta): halving the voxel quarters the error (delta = 1.98 mm)."""
    coarse = _plane_error(make_problem, make_placed, make_probe, 1.0)
    fine = _plane_error(make_problem, make_placed, make_probe, 0.5)
    assert coarse < 0.025
    assert math.log2(coarse / fine) > 1.7


def test_steady_pennes_sphere(make_problem, make_placed, make_probe):
    """Round a ball at 20 degC the departure falls as (a / r) exp(-(r - a) / delta)."""
    tissue = TissueProperties(
        "perfused", 0.5, 1.25, 2.0, 1000.0, 3600.0, 3087.0, 1860.0, perfusion_per_s=0.005
    )
    ball = TissueProperties(
        "ball", 0.5, 0.5, 0.5, 1000.0, 3600.0, 3600.0, 3600.0, fixed_temperature_c=20.0
    )
    n, a = 72, 8.0
    x = np.arange(n) - (n - 1) / 2
    r = np.sqrt(x[:, None, None] ** 2 + x[None, :, None] ** 2 + x[None, None, :] ** 2)
    problem = make_problem(
        shape=(n, n, n),
        index=(r <= a).astype(np.uint8),
        tissues=(tissue, ball),
        placements=(
            make_placed((0, 0, 0), (0, 0, 1), make_probe(6.0, temperature_c=20.0, ramp_s=0.0)),
        ),
        schedule=Schedule((Phase("freeze", 1200.0),)),
    )
    result = simulate(problem)
    delta = math.sqrt(0.5 / (0.005 * 1060 * 3639)) * 1e3
    departure = BODY - result.end_of_freeze_c.array
    far = (r > a + 2) & (r < a + 14)
    # the ball of voxels stands for a ball whose radius is known to half a voxel only: fit it
    shape_only = departure[far] * r[far] * np.exp(r[far] / delta)
    radius = brentq(lambda b: b * math.exp(b / delta) * 17.0 - shape_only.mean(), 6.0, 10.0)
    assert radius == pytest.approx(a, abs=0.5)
    # the pure 1/r exp(-r/delta) form is then met to the size of the ball's staircase
    assert shape_only.std() / shape_only.mean() < 0.03
    assert result.energy.residual_fraction <= 1e-3
