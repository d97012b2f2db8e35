"""Point + diameter: the ball, and everything that is not a target."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.errors import GeometryError, InputError
from irplan.geometry import Grid
from irplan.image import Volume
from irplan.segmentation import target_from_point


@pytest.fixture
def block() -> Volume:
    grid = Grid.from_spacing((40, 80, 80), (2.5, 1.0, 1.0), (-40.0, -30.0, 100.0))
    hu = np.full(grid.shape, -1000, dtype=np.int16)
    hu[5:35, 10:70, 10:70] = 60
    return Volume(hu, grid)


@pytest.mark.parametrize("diameter", [12.0, 20.0, 31.0])
def test_the_ball_has_its_volume_and_centre(block, diameter):
    point = (1.3, 9.7, 149.2)
    mask = target_from_point(block, point, diameter)
    ml = mask.sum() * block.grid.voxel_volume_mm3
    # A ball sampled at 2.5 x 1 x 1 mm: the count scatters by about (surface / volume) x 0.3 mm.
    assert ml == pytest.approx(np.pi / 6 * diameter**3, rel=6 * 0.3 / diameter)
    centre = block.grid.index_to_lps(np.argwhere(mask)).mean(axis=0)
    np.testing.assert_allclose(centre, point, atol=0.6)


def test_a_small_target_holds_at_least_its_voxel(block):
    mask = target_from_point(block, (0.4, 0.4, 151.2), 3.0)
    index = np.round(block.grid.lps_to_index((0.4, 0.4, 151.2))).astype(int)
    assert mask[tuple(index)]


@pytest.mark.parametrize("diameter", [2.9, 121.0, 0.0, -5.0, float("nan"), float("inf")])
def test_absurd_diameters_are_refused(block, diameter):
    with pytest.raises(InputError, match="target diameter"):
        target_from_point(block, (0.0, 0.0, 150.0), diameter)


def test_a_point_outside_the_image_names_the_image(block):
    with pytest.raises(InputError, match=r"-40\.5.*RAS"):
        target_from_point(block, (200.0, 0.0, 150.0), 20.0)


def test_a_point_in_air_is_refused(block):
    with pytest.raises(InputError, match="-1000 HU"):
        target_from_point(block, (-38.0, -28.0, 150.0), 20.0)


def test_a_body_mask_decides_when_given(block):
    body = np.zeros(block.grid.shape, dtype=bool)
    with pytest.raises(InputError, match="tissue"):
        target_from_point(block, (0.0, 0.0, 150.0), 20.0, body=body)


@pytest.mark.parametrize("point", [(1.0, 2.0), (0.0, float("nan"), 0.0), "abc"])
def test_a_point_is_three_finite_numbers(block, point):
    with pytest.raises(GeometryError, match="target point"):
        target_from_point(block, point, 20.0)
