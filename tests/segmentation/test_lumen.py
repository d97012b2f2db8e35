"""The gut's lumen on drawn shapes: a stomach of known wall against a liver, and ascites."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.geometry import Grid
from irplan.segmentation.landmarks import Landmarks
from irplan.segmentation.lumen import STOMACH_WALL_MM, find_lumen
from irplan.segmentation.working import WorkingImage

SHAPE = (70, 80, 90)
OUTER_MM = 36.0
CENTRE_MM = np.array([70.0, 80.0, 110.0])  # (slice, row, column); the spine is at column 60 mm


@pytest.fixture(scope="module")
def scene():
    """Fat, liver right of a ball of stomach that it touches; gas in front, water behind a level."""
    grid = Grid.from_spacing(SHAPE, (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))
    z, y, x = (2.0 * a for a in np.meshgrid(*map(np.arange, SHAPE), indexing="ij"))
    r = np.sqrt((z - CENTRE_MM[0]) ** 2 + (y - CENTRE_MM[1]) ** 2 + (x - CENTRE_MM[2]) ** 2)
    hu = np.full(SHAPE, -100.0, dtype=np.float32)
    liver = (x < CENTRE_MM[2] - 20.0) & (y > 30.0) & (r >= OUTER_MM)
    hu[liver] = 110.0
    hu[r < OUTER_MM] = 90.0
    lumen = r < OUTER_MM - STOMACH_WALL_MM
    hu[lumen] = np.where(y[lumen] < CENTRE_MM[1] - 8.0, -990.0, 15.0)
    rng = np.random.default_rng(3)
    hu += rng.normal(0.0, 6.0, SHAPE).astype(np.float32)
    whole = np.ones(SHAPE, dtype=bool)
    marks = Landmarks(np.full(SHAPE[0], 30.0), np.full(SHAPE[0], 75.0), ~whole, whole, whole, None)
    core = liver & (x < CENTRE_MM[2] - 34.0)
    return WorkingImage(hu, whole, grid), marks, liver, lumen, core, r


def test_gas_and_water_are_the_lumen_and_the_wall_ends_at_the_liver(scene):
    image, marks, liver, lumen, core, r = scene
    whole = image.covered
    found = find_lumen(image, image.hu, whole, ~whole, marks, core, 110.0, 10.0)
    assert np.mean(found.stomach[lumen]) >= 0.97
    assert not (found.mask & liver).any()
    assert not found.bowel.any()
    # The wall's outer surface is the ball's, to half a voxel of 2 mm.
    beyond = found.beyond_wall_mm(2.0)
    near = np.abs(r - OUTER_MM) < 4.0
    assert abs(float(np.mean((beyond - (r - OUTER_MM))[near]))) <= 1.0


def test_ascites_behind_a_wall_is_no_content(scene):
    image, marks, _, _, core, r = scene
    whole = image.covered
    hu = np.where(r < OUTER_MM, np.float32(-100.0), image.hu)
    z, y, x = (2.0 * a for a in np.meshgrid(*map(np.arange, SHAPE), indexing="ij"))
    # A bubble in a wall of 4 mm that lies before a pool of fluid.
    bubble = np.sqrt((z - 70.0) ** 2 + (y - 60.0) ** 2 + (x - 110.0) ** 2)
    hu[bubble < 20.0] = 90.0
    hu[bubble < 16.0] = -990.0
    pool = (y >= 76.0) & (y < 100.0) & (x > 88.0) & (bubble >= 20.0)
    hu[pool] = 8.0
    other = WorkingImage(hu.astype(np.float32), whole, image.grid)
    found = find_lumen(other, other.hu, whole, ~whole, marks, core, 110.0, 10.0)
    assert not (found.mask & pool).any()
    assert np.mean(found.stomach[bubble < 15.0]) >= 0.97


def test_food_as_bright_as_liver_is_contents_below_its_level(scene):
    image, marks, liver, lumen, core, _ = scene
    whole = image.covered
    hu = np.where(lumen & (image.hu > -400.0), image.hu + np.float32(95.0), image.hu)
    other = WorkingImage(hu, whole, image.grid)
    # All that is as bright counts as core, as it does when the wall is not seen.
    wrong = core | (lumen & (hu > 0.0))
    found = find_lumen(other, hu, whole, ~whole, marks, wrong, 110.0, 10.0)
    # The cone of height 30 mm on the level, whose radius is 31 mm: a third of the half ball.
    share = np.count_nonzero(found.stomach & lumen & (hu > 0.0)) / np.count_nonzero(
        lumen & (hu > 0.0)
    )
    assert 0.25 <= share <= 0.5
    assert not (found.mask & liver).any()
