"""The heating march against closed forms: conduction, Pennes, boiling, walls, balance."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy.special import erf, i0, i1, k0, k1

from irplan.ablation.damage import Arrhenius
from irplan.ablation.heat.march import HeatMarch
from irplan.errors import CancelledError, InputError, SolverError

BODY = 37.0
BLOOD = 1060.0 * 3639.0


def axes(grid):
    return [(np.arange(n) - (n - 1) / 2) * h for n, h in zip(grid.shape, grid.spacing_mm)]  # noqa: B905


def distance(grid):
    z, y, x = axes(grid)
    return np.sqrt(z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2)


def cell_mean(grid, inside, parts=4):
    """Mean over each voxel of a function of (z, y, x), by sub-sampling."""
    off = (np.arange(parts) + 0.5) / parts - 0.5
    z, y, x = axes(grid)
    hz, hy, hx = grid.spacing_mm
    total = np.zeros(grid.shape)
    for a in off:
        for b in off:
            for c in off:
                total += inside(
                    (z + a * hz)[:, None, None], (y + b * hy)[None, :, None],
                    (x + c * hx)[None, None, :],
                )  # fmt: skip
    return (total / parts**3).astype(np.float32)


def gaussian_source(grid, sigma_mm, watts):
    r2 = distance(grid) ** 2
    q = watts * 1e9 * (2 * math.pi * sigma_mm**2) ** -1.5 * np.exp(-r2 / (2 * sigma_mm**2))
    return q.astype(np.float32)


def point_source_c(r_mm, sigma_mm, watts, seconds, k, c):
    """P / (4 pi k r) [erf(r / sqrt(2 s^2)) - erf(r / sqrt(2 s^2 + 4 a t))]: a Gaussian source."""
    spread = 2 * sigma_mm**2 + 4e6 * k / c * seconds
    r = np.maximum(r_mm, 1e-9)
    shape = erf(r / math.sqrt(2 * sigma_mm**2)) - erf(r / math.sqrt(spread))
    return BODY + watts / (4 * math.pi * k * r * 1e-3) * shape


def test_conduction_from_a_source_is_second_order(make_heat, plain):
    """60 s of 0.3 W in a Gaussian of 3 mm: error at 2 mm and at 1 mm falls fourfold."""
    errors = []
    for h, n in ((2.0, 21), (1.0, 41)):
        problem = make_heat(shape=(n,) * 3, spacing_mm=(h,) * 3, tissues=(plain,))
        march = HeatMarch(problem)
        source = gaussian_source(problem.grid, 3.0, 0.3)
        for _ in range(120):  # steps of 0.5 s: no error in time to speak of
            march.advance(source, 0.5, changed=False)
        exact = point_source_c(distance(problem.grid), 3.0, 0.3, 60.0, 0.5, 4e6)
        rise = float(exact.max()) - BODY
        every = round(2.0 / h)  # at the points that both grids have
        error = (march.temperature_c - exact)[::every, ::every, ::every]
        errors.append(float(np.abs(error).max()) / rise)
    assert errors[1] < 0.01
    assert errors[0] / errors[1] == pytest.approx(4.0, abs=0.6)


def test_steady_pennes_sphere_and_cylinder(make_heat, perfused):
    """A uniformly heated ball and rod of 6 mm in perfused tissue."""
    problem = make_heat(shape=(44, 44, 44), tissues=(perfused,))
    k = 0.5
    delta = 1e3 * math.sqrt(k / (0.01 * BLOOD))
    big, q = 6.0, 2e5
    top = q * (delta * 1e-3) ** 2 / k
    x = big / delta
    for rod in (False, True):

        def inside(z, y, x_, rod=rod):
            return (y**2 + x_**2 + (0.0 if rod else 1.0) * z**2 <= big**2).astype(float)

        source = cell_mean(problem.grid, inside) * np.float32(q)
        march = HeatMarch(problem)
        march.advance(source, 900.0)
        line = march.temperature_c[22, 22, 22:]
        z, y, c = (a[22:] for a in axes(problem.grid))
        r = np.sqrt((0.0 if rod else 1.0) * z[0] ** 2 + y[0] ** 2 + c**2)
        s = r / delta
        if rod:
            exact = np.where(r < big, top * (1 - x * k1(x) * i0(s)), top * x * i1(x) * k0(s))
        else:
            exact = np.where(
                r < big,
                top * (1 - (1 + x) * math.exp(-x) * np.sinh(s) / s),
                top / s * (x * math.cosh(x) - math.sinh(x)) * np.exp(-s),
            )
        near = r < 18.0
        assert np.abs(line - BODY - exact)[near].max() < 0.015 * float(exact.max())
        assert march.energy().residual_fraction < 1e-3


def test_conductivity_rising_with_temperature(make_heat, plain):
    """A slab between walls of 37 and 90 degC: the integral of k dT is linear across it."""
    warm = dataclasses.replace(plain, k_per_k=0.01)
    wall = dataclasses.replace(plain, name="wall", fixed_temperature_c=90.0, k_per_k=0.01)
    index = np.zeros((40, 40, 14), np.uint8)
    index[:, :, :2] = 1
    index[:, :, -2:] = 2
    cold = dataclasses.replace(wall, name="cold", fixed_temperature_c=37.0)
    problem = make_heat(shape=index.shape, index=index, tissues=(warm, wall, cold))
    march = HeatMarch(problem)
    march.advance(None, 2000.0)
    line = march.temperature_c[19, 19, 1:-1].astype(float) - BODY
    phi = line * (1 + 0.005 * line)
    x = np.array([0.0, *np.arange(0.5, 10.0), 10.0])  # from surface to surface of the walls
    assert np.abs(phi - phi[0] * (1.0 - x / 10.0)).max() < 0.01 * phi[0]
    assert line[5] - 53 * 0.55 > 2.0  # it is far from linear in T
    assert march.energy().residual_fraction < 1e-3


def test_wall_with_a_film(make_heat, perfused):
    """Blood at 20 degC behind h = 230 W/m2K beside perfused tissue: exp(-x / delta)."""
    blood = dataclasses.replace(
        perfused, name="blood", fixed_temperature_c=20.0, wall_transfer_w_per_m2k=230.0
    )
    index = np.zeros((44, 44, 40), np.uint8)
    index[:, :, :6] = 1
    problem = make_heat(shape=index.shape, index=index, tissues=(perfused, blood))
    march = HeatMarch(problem)
    march.advance(None, 900.0)
    delta = math.sqrt(0.5 / (0.01 * BLOOD))
    fall = 17.0 / (1 + 0.5 / (delta * 230.0))
    x = (np.arange(12) + 0.5) * 1e-3
    line = march.temperature_c[22, 22, 6:18]
    assert np.abs(line - (BODY - fall * np.exp(-x / delta))).max() < 0.1
    energy = march.energy()
    assert energy.residual_fraction < 1e-3
    assert energy.fixed_tissue_j < 0.0


def test_boiling_takes_its_time(make_heat, plain):
    """A uniform 2 W/cm3: 99 degC after C 62 / Q, 101 degC after the water's heat as well."""
    problem = make_heat(shape=(40, 40, 40), tissues=(plain,))
    q, c = 2e7, 4e6
    latent = 1000.0 * 0.7 * 2.26e6
    to_99, boiled = c * 62.0 / q, (2.0 * c + latent) / q
    source = np.full(problem.grid.shape, q, np.float32)
    march = HeatMarch(problem)
    march.advance(source, to_99 * 0.9)
    assert march.temperature_c[20, 20, 20] == pytest.approx(BODY + 62.0 * 0.9, abs=0.01)
    march.advance(source, to_99 * 0.1 + 0.25 * boiled, changed=False)
    assert march.temperature_c[20, 20, 20] == pytest.approx(99.5, abs=0.01)
    assert march.dry_fraction[20, 20, 20] == pytest.approx(0.25, abs=0.003)
    march.advance(source, 0.75 * boiled + 0.5 * to_99, changed=False)
    assert march.temperature_c[20, 20, 20] == pytest.approx(101.0 + 31.0, abs=0.1)
    assert march.hottest_c == pytest.approx(132.0, abs=1.0)
    assert march.energy().residual_fraction < 1e-3


def test_flat_voxels_agree_with_cubic_ones(make_heat, plain):
    """Voxels of 2 x 1 x 1 mm against the closed form, as good as 2 mm cubes are."""
    problem = make_heat(shape=(24, 48, 40), spacing_mm=(2.0, 1.0, 1.25), tissues=(plain,))
    march = HeatMarch(problem, time_error_mm=0.005)
    march.advance(gaussian_source(problem.grid, 3.0, 0.3), 60.0)
    exact = point_source_c(distance(problem.grid), 3.0, 0.3, 60.0, 0.5, 4e6)
    error = np.abs(march.temperature_c - exact).max() / (exact.max() - BODY)
    assert error < 0.03
    assert march.energy().residual_fraction < 1e-4


def test_balance_with_everything(make_heat, put_antenna):
    """Boiling, vessels with a wall, two tissues, coolant, outer faces reached."""
    from irplan.ablation import TISSUES
    from irplan.ablation.heat.coolant import coolant

    liver = TISSUES["liver"].properties()
    blood = dataclasses.replace(
        liver, name="b", fixed_temperature_c=37.0, wall_transfer_w_per_m2k=230.0
    )
    fat = TISSUES["fat"].properties()
    index = np.zeros((36, 36, 36), np.uint8)
    index[:, 24:27, :] = 1
    index[:, :, 25:] = 2
    place = put_antenna((0, 0, 0), (1, 0.4, 0.2))
    problem = make_heat(shape=index.shape, index=index, tissues=(liver, blood, fat))
    sink = coolant(
        place, problem.grid, from_tip_mm=12.0, to_tip_mm=60.0, temperature_c=20.0,
        transfer_w_per_m2k=3000.0,
    )  # fmt: skip
    march = HeatMarch(problem, (Arrhenius(),), coolants=(sink,), perfusion="damage")
    march.advance(gaussian_source(problem.grid, 5.0, 30.0), 200.0)
    march.advance(None, 60.0, cooling=[False])
    energy = march.energy()
    assert energy.residual_fraction < 1e-3
    assert march.coolant_j < -10.0
    assert march.boundary_rise_c > 1.0
    assert any("edge of the simulated box" in w for w in march.warnings())


def test_restart_continues_to_the_same_numbers(make_heat):
    problem = make_heat(shape=(32, 32, 32))
    source = gaussian_source(problem.grid, 4.0, 15.0)
    march = HeatMarch(problem, (Arrhenius(),))
    march.advance(source, 40.0)
    state = march.state()
    march.advance(source, 60.0)
    through = march.temperature_c, march.damage_volumes()["arrhenius"].array
    march.restore(state)
    march.advance(source, 60.0)
    assert np.array_equal(march.temperature_c, through[0])
    assert np.array_equal(march.damage_volumes()["arrhenius"].array, through[1])
    other = HeatMarch(problem, (Arrhenius(),))
    other.restore(state)
    other.advance(source, 60.0)
    assert np.array_equal(other.temperature_c, through[0])
    assert other.trace().time_s[1] == pytest.approx(40.0)


def test_perfusion_stops_for_good_with_damage(make_heat, perfused):
    """After death a heated, then cooling voxel has no blood: it cools slower than with blood."""
    problem = make_heat(shape=(40, 40, 40), tissues=(perfused,))
    source = gaussian_source(problem.grid, 5.0, 8.0)
    end = {}
    for rule in ("temperature", "damage"):
        march = HeatMarch(problem, (Arrhenius(),), perfusion=rule)
        march.advance(source, 120.0)
        assert march.hottest_c > 65.0
        march.advance(None, 120.0)
        end[rule] = march.temperature_c[20, 20, 20]
    assert end["damage"] > end["temperature"] + 3.0


def test_bad_input(make_heat):
    problem = make_heat(shape=(24, 24, 24))
    with pytest.raises(InputError, match="each name once"):
        HeatMarch(problem, (Arrhenius(), Arrhenius()))
    with pytest.raises(InputError, match="perfusion"):
        HeatMarch(problem, perfusion="damage")
    march = HeatMarch(problem)
    with pytest.raises(InputError, match="duration_s"):
        march.advance(None, -1.0)
    source = np.zeros(problem.grid.shape, np.float32)
    with pytest.raises(InputError, match="box"):
        march.advance(source, 1.0, (0, 4, 0, 4, 0, 4))
    source[3, 3, 3] = np.nan
    with pytest.raises(SolverError, match="not finite"):
        march.advance(source, 1.0)
    source[3, 3, 3] = 1e38
    with pytest.raises(SolverError, match="not finite"):
        march.advance(source, 3000.0)


def test_cancelling(make_heat):
    problem = make_heat(shape=(24, 24, 24))

    def stop(at_s: float) -> None:
        raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        HeatMarch(problem).advance(None, 10.0, on_step=stop)


def test_edge_error_is_that_of_a_held_surface(make_heat, plain, perfused):
    """Against the error function without blood, and exp(-x / L) long after with blood."""
    for tissue in (plain, perfused):
        problem = make_heat(shape=(40, 40, 40), tissues=(tissue,))
        march = HeatMarch(problem)
        march._window.boundary_rise_c = 2.0
        x, a = 12.0, 0.5 / 4.0  # mm, mm2/s
        lo, hi = np.full(3, 12), np.full(3, 28)
        if tissue is plain:
            s = math.sqrt(a * 200.0)
            expected = 2.0 * math.sqrt(math.pi) * s * math.erfc(x / (2.0 * s))
        else:
            length = 1e3 * math.sqrt(0.5 / (0.01 * 1060.0 * 3639.0))
            expected = 2.0 * length * math.exp(-x / length)
        found = march._window.edge_error_c(200.0 if tissue is plain else 1e5, lo, hi)
        assert found == pytest.approx(expected, rel=1e-3)
