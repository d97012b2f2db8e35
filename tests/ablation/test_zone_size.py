"""Sizes of zones against analytic ellipsoids and cylinders, to 0.05 mm."""

from __future__ import annotations

import math

import numpy as np
import pytest

from irplan.ablation import applicator
from irplan.ablation.placement import Placement
from irplan.ablation.zone_size import zone_size
from irplan.errors import InputError
from irplan.geometry import Grid, Needle
from irplan.image import Volume


def _needle(axis, offset=(0.0, 0.0, 0.0)):
    d = np.asarray(axis, float) / np.linalg.norm(axis)
    tip = np.asarray(offset, float) - 15.0 * d
    return Placement(Needle(tuple(tip), tuple(tip + 100.0 * d)), applicator("cryo-17g-sphere"))


def _ellipsoid(axis, across_mm, along_mm, centre, spacing_mm=1.0, edge=-20.0):
    """Temperature that is ``edge`` on the ellipsoid and rises by 8 degC a mm or so outwards."""
    d = np.asarray(axis, float) / np.linalg.norm(axis)
    n = int(64 / spacing_mm)
    origin = [-0.5 * (n - 1) * spacing_mm] * 3
    grid = Grid.from_spacing((n, n, n), (spacing_mm,) * 3, origin)
    index = np.stack(np.meshgrid(*[np.arange(n)] * 3, indexing="ij"), axis=-1)
    p = grid.index_to_lps(index) - np.asarray(centre)
    along = p @ d
    across2 = (p**2).sum(-1) - along**2
    r = np.sqrt(across2 / (across_mm / 2) ** 2 + along**2 / (along_mm / 2) ** 2)
    t = np.minimum(edge + 100.0 * np.log(np.maximum(r, 0.05)), 37.0)
    return Volume(t.astype(np.float32), grid, "degC")


@pytest.mark.parametrize("axis", [(0, 0, 1), (1, 0, 0), (1, 1, 0), (0.3, -0.5, 0.8)])
@pytest.mark.parametrize("shift", [(0.0, 0.0, 0.0), (0.37, -0.21, 0.45)])
def test_ellipsoid_at_any_angle(axis, shift):
    field = _ellipsoid(axis, 24.3, 33.7, shift)
    found = zone_size(field, _needle(axis, shift), -20.0)
    assert found.short_mm == pytest.approx(24.3, abs=0.05)
    assert found.mean_mm == pytest.approx(24.3, abs=0.05)
    assert found.wide_mm == pytest.approx(24.3, abs=0.05)
    assert found.around_mm == pytest.approx(24.3, abs=0.05)
    assert found.long_mm == pytest.approx(33.7, abs=0.05)
    assert found.volume_cm3 == pytest.approx(math.pi / 6 * 24.3**2 * 33.7 / 1000, rel=2e-3)
    assert not found.touches_edge


def test_two_needles_and_a_zone_beside_them():
    """An ellipsoid 6 mm off the needles' middle line reaches 6 mm further round it."""
    field = _ellipsoid((0, 0, 1), 20.0, 30.0, (6.0, 0.0, 0.0))
    pair = (_needle((0, 0, 1), (-8, 0, 0)), _needle((0, 0, 1), (8, 0, 0)))
    assert zone_size(field, pair, -20.0).around_mm == pytest.approx(32.0, abs=0.05)


def test_heat_is_above_its_level_and_cold_below():
    cold = _ellipsoid((0, 0, 1), 20.0, 30.0, (0, 0, 0))
    heat = Volume((60.0 - 20.0 - cold.array).astype(np.float32), cold.grid, "degC")
    a = zone_size(cold, _needle((0, 0, 1)), -20.0)
    b = zone_size(heat, _needle((0, 0, 1)), 60.0)
    assert b.mean_mm == pytest.approx(a.mean_mm, abs=1e-3)
    none = zone_size(cold, _needle((0, 0, 1)), -1000.0)
    assert (none.mean_mm, none.long_mm, none.around_mm, none.volume_cm3) == (0, 0, 0, 0)
    big = zone_size(_ellipsoid((0, 0, 1), 70.0, 70.0, (0, 0, 0)), _needle((0, 0, 1)), -20.0)
    assert big.touches_edge


def test_bad_input():
    field = _ellipsoid((0, 0, 1), 20.0, 30.0, (0, 0, 0), spacing_mm=4.0)
    with pytest.raises(InputError, match="a level of the field"):
        zone_size(field, _needle((0, 0, 1)))
    with pytest.raises(InputError, match="finite level"):
        zone_size(field, _needle((0, 0, 1)), float("nan"))
    with pytest.raises(InputError, match="placements"):
        zone_size(field, (), -20.0)
    with pytest.raises(InputError, match="what"):
        zone_size(field.array, _needle((0, 0, 1)), -20.0)
