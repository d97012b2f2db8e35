"""Axis-by-axis interpolation against SimpleITK's, voxel by voxel."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.geometry import Grid
from irplan.image import Volume
from irplan.image.resample import resample_mask, resample_volume
from irplan.segmentation.interpolate import field_on, mask_on

SOURCE = Grid.from_spacing((14, 20, 23), (2.0, 2.0, 2.0), (-20.0, 5.0, 30.0))


def _turned() -> Grid:
    """Rows and slices exchanged, columns to the other side: parallel axes in another order."""
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, -0.83], [1.3, 0, 0], [0, 0.9, 0]]
    affine[:3, 3] = [18.0, 8.0, 31.0]
    return Grid((22, 25, 40), affine)


def _oblique() -> Grid:
    c, s = np.cos(0.2), np.sin(0.2)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ [
        [0, 0, 1],
        [0, 1, 0],
        [1, 0, 0],
    ]
    affine[:3, 3] = [-15.0, 10.0, 32.0]
    return Grid((18, 24, 26), affine)


TARGETS = {
    # Reaches beyond the source on all sides.
    "parallel": Grid.from_spacing((29, 60, 70), (1.25, 0.83, 0.77), (-25.0, 0.0, 27.0)),
    "one voxel thick": Grid.from_spacing((1, 12, 9), (1.25, 0.83, 0.77), (-10.0, 9.0, 40.0)),
    "elsewhere": Grid.from_spacing((5, 6, 7), (1.0, 1.0, 1.0), (500.0, 0.0, 0.0)),
    "turned": _turned(),
    "oblique": _oblique(),
}


@pytest.mark.parametrize("name", TARGETS)
def test_a_field_is_as_simpleitk_has_it(name):
    target = TARGETS[name]
    values = np.random.default_rng(1).normal(0.0, 10.0, SOURCE.shape).astype(np.float32)
    expected = resample_volume(Volume(values, SOURCE), target, outside=99.0, smooth=False).array
    np.testing.assert_allclose(field_on(values, SOURCE, target, 99.0), expected, atol=2e-5)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("margin", [0, 4])
def test_a_mask_is_as_simpleitk_has_it(name, margin):
    target = TARGETS[name]
    mask = np.zeros(SOURCE.shape, dtype=bool)
    inner = tuple(slice(margin, n - margin) for n in SOURCE.shape)
    mask[inner] = np.random.default_rng(2).random(mask[inner].shape) > 0.4
    expected = resample_mask(mask, SOURCE, target)
    np.testing.assert_array_equal(mask_on(mask, SOURCE, target), expected)


def test_an_empty_mask_stays_empty():
    assert not mask_on(np.zeros(SOURCE.shape, dtype=bool), SOURCE, TARGETS["parallel"]).any()
