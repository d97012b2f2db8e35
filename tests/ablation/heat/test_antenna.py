"""The antenna's field against theory, and its power on the grid at any pose."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import kve

from irplan.ablation.heat.antenna import solve_field, solve_pattern, wave_number_per_mm
from irplan.ablation.heat.mwa import power_density
from irplan.errors import InputError

LIVER = (43.0, 1.7)


def test_wave_number_of_liver():
    """Field attenuation (w/c) Im sqrt(eps) of eps 43 - j 12.47 at 2.45 GHz: 48.3 Np/m."""
    k = wave_number_per_mm(2450.0, *LIVER)
    eps = 43.0 - 1j * 1.7 / (2 * math.pi * 2.45e9 * 8.8541878128e-12)
    assert k == pytest.approx(2 * math.pi * 2.45e9 / 299792458.0 * eps**0.5 * 1e-3, rel=1e-9)
    assert -1e3 * k.imag == pytest.approx(48.3, abs=0.1)


@pytest.mark.parametrize("frequency", [915.0, 2450.0])
def test_power_is_conserved(frequency):
    """Absorbed and outgoing power together are what comes through the slot, to rounding."""
    pattern = solve_pattern(frequency, 0.95, 11.0, 1.0, *LIVER)
    assert pattern.balance == pytest.approx(1.0, abs=1e-9)
    assert pattern.captured > 0.98
    nr = pattern.table.shape[1]
    ring = 2 * math.pi * (np.arange(nr) + 0.5) * 0.1 * 0.1 * 0.2 * 1e-9
    assert float((pattern.table * ring).sum()) == pytest.approx(pattern.captured, abs=0.002)


def test_gap_in_an_endless_cylinder():
    """psi of a gap far from the tip is the Fourier integral over K1(g r) / (g K0(g a))."""
    a, gap, offset = 0.95, 1.0, 60.0
    field = solve_field(2450.0, a, offset, gap, 43.0, 3.0, 0.12)
    k = field.wave_number_per_mm
    zeta = np.linspace(-60.0, 60.0, 60001)
    g = np.sqrt(zeta**2 - k * k + 0j)
    shape = gap * np.sinc(zeta * gap / (2 * np.pi))
    for r in (2.0, 5.0, 12.0):
        i = int(np.argmin(np.abs(field.r_mm - r)))
        at = field.r_mm[i]
        ratio = np.exp(-g * (at - a)) * kve(1, g * at) / kve(0, g * a)
        for dz in (0.0, 3.0, 8.0):
            j = int(np.argmin(np.abs(field.z_mm - offset - dz)))
            z = field.z_mm[j] - offset
            integrand = -shape * at * ratio / g * np.exp(1j * zeta * z)
            exact = np.sum(integrand) * (zeta[1] - zeta[0]) / (2 * np.pi)
            assert abs(field.psi[i, j] - exact) < 0.02 * abs(exact)


def test_far_field_decays_as_a_spherical_wave():
    """|psi| / (r / R^2...) along the equator falls as exp(-alpha R): slope within 3 %."""
    field = solve_field(2450.0, 0.5, 2.5, 1.0, *LIVER, 0.12)
    r = field.r_mm
    j = int(np.argmin(np.abs(field.z_mm - 2.5)))
    far = (r > 18.0) & (r < 32.0)
    log = np.log(np.abs(field.psi[far, j]))
    slope = np.polyfit(r[far], log, 1)[0]
    assert slope == pytest.approx(field.wave_number_per_mm.imag, rel=0.06)


def test_pattern_converges():
    """Power within 5, 10 and 20 mm of the axis, ahead of and behind the slot: to 1 %."""
    shares = []
    for fine in (0.4, 0.2, 0.1):
        pattern = solve_pattern(2450.0, 0.95, 11.0, 1.0, *LIVER, fine)
        nz, nr = pattern.table.shape
        ring = pattern.table * (2 * math.pi * (np.arange(nr) + 0.5) * 0.1 * 0.1 * 0.2 * 1e-9)
        split = round((11.0 - pattern.first_z_mm) / 0.2)
        shares.append([ring[a:b, :n].sum() for a, b in ((0, split), (split, nz))
                       for n in (50, 100, 200)])  # fmt: skip
    coarse, fine, finest = np.array(shares)
    assert np.abs(fine / finest - 1.0).max() < 0.01
    assert np.abs(fine - finest).max() < np.abs(coarse - finest).max()


def test_power_on_the_grid_is_exact_at_any_pose(make_heat, put_antenna):
    """1 W in all poses; the second moments of the deposit do not depend on the pose."""
    widths = []
    for axis, at in (
        ((0, 0, 1), (0, 0, 0)),
        ((1, 1, 0), (0, 0, 0.5)),
        ((1, 2, 3), (0.2, 0.4, 0.1)),
    ):
        problem = make_heat(shape=(96, 96, 96), placements=(put_antenna(at, axis),))
        density, box = power_density(problem, 0)
        assert float(density.sum(dtype=float)) * 1e-9 == pytest.approx(1.0, abs=2e-3)
        index = np.stack(
            np.meshgrid(*[np.arange(box[2 * a], box[2 * a + 1]) for a in range(3)], indexing="ij"),
            axis=-1,
        )
        d = np.asarray(axis, float) / np.linalg.norm(axis)
        offset = problem.grid.index_to_lps(index) - np.asarray(at)
        along = offset @ d
        across = np.linalg.norm(offset - along[..., None] * d, axis=-1)
        w = density / density.sum(dtype=float)
        widths.append((float((w * across).sum()), float((w * along).sum())))
    for across, along in widths[1:]:
        assert across == pytest.approx(widths[0][0], abs=0.05)
        assert along == pytest.approx(widths[0][1], abs=0.05)


def test_bad_antennas():
    with pytest.raises(InputError, match="slot_offset_mm"):
        solve_pattern(2450.0, 0.95, 1.0, 4.0, *LIVER)
    with pytest.raises(InputError, match="sigma_microwave"):
        solve_pattern(2450.0, 0.95, 11.0, 1.0, 43.0, 0.0)
