"""Distance of a ball of ice to walls and balls: closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.geometry import Grid
from irplan.image import LabelMap, Volume, structure
from irplan.planning.ice_distance import LOOK_MM, ice_distances

RADIUS_MM = 12.0


@pytest.fixture(scope="module")
def made() -> tuple[Volume, LabelMap]:
    """A ball of ice (linear cold, 0 degC at its edge) in a body with a wall and two balls."""
    grid = Grid.from_spacing((90, 90, 90), (1.0, 1.0, 1.0), origin_lps_mm=(-45.0, -45.0, -45.0))
    z, y, x = np.meshgrid(*3 * [np.arange(90) - 45.0], indexing="ij")
    away = np.sqrt(x**2 + y**2 + z**2)
    cold = Volume((away - RADIUS_MM).astype(np.float32), grid, "degC")
    kinds = [structure(n) for n in ("body", "bone", "stomach", "gallbladder", "spleen")]
    array = np.full(grid.shape, kinds[0].value, dtype=np.uint8)
    array[x >= 20.0] = kinds[1].value  # a wall; voxels from 19.5 mm on
    array[(x + 22.0) ** 2 + (y + 10.0) ** 2 + z**2 <= 6.0**2] = kinds[2].value
    array[(x + 10.0) ** 2 + y**2 + z**2 <= 5.0**2] = kinds[3].value  # 7 mm inside the ice
    array[(np.abs(x) < 1) & (np.abs(y + 44.0) < 1) & (np.abs(z) < 1)] = kinds[4].value
    return cold, LabelMap(array, grid, tuple(kinds))


def test_walls_balls_and_what_the_ice_reaches(made: tuple[Volume, LabelMap]) -> None:
    cold, labels = made
    names = ("bone", "stomach", "gallbladder", "spleen", "heart")
    found = ice_distances(cold, labels, names)
    assert "heart" not in found  # nobody looked for it
    assert found["bone"].distance_mm == pytest.approx(19.5 - RADIUS_MM, abs=0.15)
    at = found["bone"].at_mm
    assert at is not None
    assert at == pytest.approx((20.0, 0.0, 0.0), abs=1.5)
    gap = np.hypot(22.0, 10.0) - 6.0 - RADIUS_MM
    assert found["stomach"].distance_mm == pytest.approx(gap, abs=0.6)
    assert found["gallbladder"].distance_mm == pytest.approx(-RADIUS_MM + 5.0, abs=0.8)
    assert found["spleen"].distance_mm == LOOK_MM
    assert found["spleen"].at_mm is None


def test_no_point_is_overlooked(made: tuple[Volume, LabelMap]) -> None:
    """Against every voxel of the structure in turn (the search leaves most of them out)."""
    cold, labels = made
    for name in ("bone", "stomach"):
        points = labels.grid.index_to_lps(np.argwhere(labels.mask(name)))
        nearest = float(np.min(np.linalg.norm(points, axis=1))) - RADIUS_MM - 0.5
        found = ice_distances(cold, labels, (name,))[name].distance_mm
        assert found == pytest.approx(max(0.0, nearest), abs=0.1)
