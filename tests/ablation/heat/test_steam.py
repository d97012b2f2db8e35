"""Steam that leaves boiling tissue: where its heat goes, and that none is lost."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from irplan.ablation.heat.march import HeatMarch
from irplan.errors import InputError


def strong(shape: tuple[int, ...], w_per_m3: float = 1e8) -> np.ndarray:
    """Heat in the eight voxels round the middle."""
    out = np.zeros(shape, np.float32)
    out[tuple(slice(n // 2 - 1, n // 2 + 1) for n in shape)] = w_per_m3
    return out


def test_all_heat_brings_tissue_to_the_boil(make_heat, plain):
    """Hardly any conduction: E = Q V t warms E / (C 62 K) of tissue from 37 to 99 degC."""
    dull = dataclasses.replace(plain, k_unfrozen_w_per_mk=0.005)
    problem = make_heat(shape=(32, 32, 32), tissues=(dull,))
    march = HeatMarch(problem, steam_rewet_s=10.0)
    march.advance(strong(problem.grid.shape), 60.0)
    joule = 1e8 * 8e-9 * 60.0
    warmed = float((march.temperature_c - 37.0).sum()) * 4e6 * 1e-9
    assert warmed == pytest.approx(joule, rel=2e-3)
    full_mm3 = joule / (4e6 * 62.0) * 1e9  # 194: a ball of 3.6 mm
    warm = march.temperature_c > 40.0
    assert (march.temperature_c > 98.0).sum() <= full_mm3 <= warm.sum()
    far = np.linalg.norm(np.argwhere(warm) - 15.5, axis=1)
    assert far.max() < (0.75 / np.pi * full_mm3) ** (1 / 3) + 1.5  # the front is a voxel thick
    assert march.temperature_c.max() < 99.2
    assert march.energy().residual_fraction < 1e-5


def test_without_steam_the_water_keeps_the_heat(make_heat, plain):
    problem = make_heat(shape=(32, 32, 32), tissues=(plain,))
    found = {}
    for rewet in (None, 10.0):
        march = HeatMarch(problem, steam_rewet_s=rewet)
        march.advance(strong(problem.grid.shape), 30.0)
        assert march.energy().residual_fraction < 1e-4
        found[rewet] = int((march.temperature_c > 60.0).sum())
    assert found[10.0] > 1.5 * found[None]


def test_it_goes_the_same_way_on_all_sides(make_heat, plain):
    problem = make_heat(shape=(32, 32, 32), tissues=(plain,))
    march = HeatMarch(problem, steam_rewet_s=10.0)
    march.advance(strong(problem.grid.shape), 30.0)
    c = march.temperature_c
    for axis in range(3):
        assert np.abs(c - np.flip(c, axis)).max() < 0.05
        assert np.abs(c - np.swapaxes(c, axis, (axis + 1) % 3)).max() < 0.05


def test_water_lost(make_heat, plain):
    """Hardly any conduction: (Q t - C 62 K) / (rho L w)."""
    dull = dataclasses.replace(plain, k_unfrozen_w_per_mk=0.005)
    march = HeatMarch(make_heat(shape=(32, 32, 32), tissues=(dull,)), steam_rewet_s=10.0)
    q, boil = 5e7, 1000.0 * 0.7 * 2.26e6
    march.advance(strong((32, 32, 32), q), 15.0)
    expected = (q * 15.0 - 4e6 * 62.0) / boil
    assert march.dry_fraction[16, 16, 16] == pytest.approx(expected, rel=0.05)


def test_water_comes_back(make_heat, plain):
    """With the time constant, once tissue no longer boils."""
    march = HeatMarch(make_heat(shape=(32, 32, 32), tissues=(plain,)), steam_rewet_s=10.0)
    march.advance(strong((32, 32, 32)), 15.0)
    assert march.dry_fraction.max() > 0.25
    march.advance(None, 10.0)
    assert march.temperature_c.max() < 98.0
    before = march.dry_fraction.max()
    march.advance(None, 10.0)
    assert march.dry_fraction.max() == pytest.approx(before * np.exp(-1.0), rel=1e-3)


def test_held_tissue_takes_none(make_heat, plain):
    """A vessel beside the boiling voxels: steam goes elsewhere, the balance closes."""
    vessel = dataclasses.replace(plain, name="vessel", fixed_temperature_c=37.0)
    index = np.zeros((32, 32, 32), np.uint8)
    index[:, :, 18:20] = 1
    problem = make_heat(shape=(32, 32, 32), tissues=(plain, vessel), index=index)
    march = HeatMarch(problem, steam_rewet_s=10.0)
    march.advance(strong(problem.grid.shape), 30.0)
    assert np.allclose(march.temperature_c[:, :, 18:20], 37.0)
    assert march.energy().residual_fraction < 1e-4
    again = HeatMarch(problem, steam_rewet_s=10.0)
    again.restore(march.state())
    march.advance(None, 10.0)
    again.advance(None, 10.0)
    np.testing.assert_allclose(again.temperature_c, march.temperature_c, atol=1e-3)


def test_refused(make_heat, plain):
    with pytest.raises(InputError, match="steam_rewet_s"):
        HeatMarch(make_heat(shape=(32, 32, 32), tissues=(plain,)), steam_rewet_s=0.0)
