"""Resampling: exact on what it must reproduce, and only on request."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from irplan.geometry import Grid
from irplan.image import LabelMap, Volume, structure
from irplan.image.resample import resample_labels, resample_mask, resample_volume, to_sitk

GRID = Grid.from_spacing((20, 24, 28), (2.5, 0.8, 0.7), (-10, 20, 30))
WEIGHTS = np.array([1.0, 2.0, 3.0])


def oblique() -> Grid:
    affine = np.eye(4)
    turn = Rotation.from_euler("zyx", [10, 5, -8], degrees=True).as_matrix()
    affine[:3, :3] = turn @ GRID.direction * [1.0, 1.0, 1.0]
    affine[:3, 3] = GRID.centre_lps_mm - affine[:3, :3] @ np.array([4, 4, 4])
    return Grid((9, 9, 9), affine)


def positions(grid: Grid) -> np.ndarray:
    return grid.index_to_lps(np.moveaxis(np.indices(grid.shape), 0, -1))


def test_simpleitk_sees_the_same_positions():
    grid = oblique()
    image = to_sitk(np.zeros(grid.shape, np.float32), grid)
    for index in np.ndindex(2, 2, 2):
        i = np.array(index) * 8
        at = image.TransformIndexToPhysicalPoint([int(v) for v in i[::-1]])
        np.testing.assert_allclose(at, grid.index_to_lps(i), atol=1e-9)


def test_a_linear_field_is_reproduced_on_an_oblique_grid():
    source = Volume((positions(GRID) @ WEIGHTS).astype(np.float32), GRID, "mm")
    out = resample_volume(source, oblique(), outside=-1.0, smooth=False)
    np.testing.assert_allclose(out.array, positions(oblique()) @ WEIGHTS, atol=1e-3)
    assert out.quantity == "mm"
    assert out.array.dtype == np.float32


def test_the_same_grid_changes_nothing():
    array = np.random.default_rng(0).normal(size=GRID.shape).astype(np.float32)
    out = resample_volume(Volume(array, GRID), GRID, outside=0.0)
    np.testing.assert_allclose(out.array, array, atol=1e-5)


def test_smoothing_takes_noise_away_before_a_coarser_grid():
    """Sigma of 0.4 new voxels: white noise must fall, the mean must stay."""
    array = np.random.default_rng(0).normal(100, 20, GRID.shape).astype(np.float32)
    coarse = GRID.resized((2.5, 2.4, 2.1))
    rough = resample_volume(Volume(array, GRID), coarse, outside=100.0, smooth=False)
    fine = resample_volume(Volume(array, GRID), coarse, outside=100.0)
    assert fine.array.std() < 0.6 * rough.array.std()
    assert fine.array.mean() == pytest.approx(100, abs=1)


def test_outside_value():
    far = Grid.from_spacing((3, 3, 3), (1, 1, 1), (500, 500, 500))
    out = resample_volume(Volume(np.zeros(GRID.shape, np.int16), GRID), far, outside=-1024.0)
    assert np.all(out.array == -1024)


def test_labels_stay_labels_and_masks_keep_their_volume():
    centre = GRID.centre_lps_mm
    ball = np.linalg.norm(positions(GRID) - centre, axis=-1) <= 7.0
    fine = GRID.resized(0.5)
    labels = LabelMap.from_masks(GRID, [(structure("liver"), ball)])
    moved = resample_labels(labels, fine)
    assert moved.labels == labels.labels
    expected = 4 / 3 * np.pi * 7**3
    for mask in (moved.mask("liver"), resample_mask(ball, GRID, fine)):
        assert mask.sum() * fine.voxel_volume_mm3 == pytest.approx(expected, rel=0.06)
    np.testing.assert_array_equal(resample_mask(ball, GRID, GRID), ball)
