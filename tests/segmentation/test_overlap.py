"""Overlap and surface distances: closed forms, and SimpleITK as the independent program."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from irplan.errors import GridMismatchError, InputError
from irplan.geometry import Grid
from irplan.segmentation import (
    dice,
    relative_volume_difference,
    surface_distances,
    volumetric_overlap_error,
)

GRID = Grid.from_spacing((40, 64, 64), (1.5, 1.0, 1.0))


def _cube(start, size) -> np.ndarray:
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))] = True
    return mask


def _ball(radius_mm: float, centre=(20, 32, 32)) -> np.ndarray:
    index = np.indices(GRID.shape).transpose(1, 2, 3, 0)
    return np.linalg.norm((index - np.asarray(centre)) * GRID.spacing_mm, axis=-1) <= radius_mm


def test_a_shifted_cube_has_its_closed_form():
    a, b = _cube((10, 10, 10), (10, 20, 20)), _cube((10, 10, 15), (10, 20, 20))
    # 15 of 20 columns overlap: Dice 15/20, Jaccard 15/25.
    assert dice(a, b) == pytest.approx(0.75)
    assert volumetric_overlap_error(a, b) == pytest.approx(40.0)
    assert relative_volume_difference(a, b) == pytest.approx(0.0)
    found = surface_distances(a, b, GRID)
    assert found.largest_mm == pytest.approx(5.0)  # the end faces are 5 columns apart


def test_volume_difference_is_signed():
    small, large = _cube((5, 5, 5), (10, 10, 10)), _cube((5, 5, 5), (10, 10, 12))
    assert relative_volume_difference(large, small) == pytest.approx(20.0)
    assert relative_volume_difference(small, large) == pytest.approx(-100.0 / 6.0)


def test_concentric_balls_are_their_radii_apart():
    found = surface_distances(_ball(12.0), _ball(18.0), GRID)
    # The surfaces are 6 mm apart everywhere; voxel centres scatter by less than a voxel (1.5 mm).
    assert found.average_mm == pytest.approx(6.0, abs=0.5)
    assert found.rms_mm == pytest.approx(6.0, abs=0.5)
    assert found.hd95_mm == pytest.approx(6.0, abs=1.0)
    assert found.largest_mm == pytest.approx(6.0, abs=1.5)
    volume_ratio = (18.0**3 - 12.0**3) / 18.0**3
    assert volumetric_overlap_error(_ball(12.0), _ball(18.0)) == pytest.approx(
        100.0 * volume_ratio, abs=1.0
    )


def test_equal_masks_agree_perfectly():
    ball = _ball(10.0)
    found = surface_distances(ball, ball, GRID)
    assert (found.average_mm, found.rms_mm, found.largest_mm, found.hd95_mm) == (0, 0, 0, 0)
    assert dice(ball, ball) == 1.0
    assert volumetric_overlap_error(ball, ball) == 0.0


def test_simpleitk_agrees():
    a, b = _ball(12.0), _ball(13.0, centre=(22, 30, 35))
    images = []
    for mask in (a, b):
        image = sitk.GetImageFromArray(mask.astype(np.uint8))
        image.SetSpacing(GRID.spacing_mm[::-1])
        images.append(image)
    measures = sitk.LabelOverlapMeasuresImageFilter()
    measures.Execute(*images)
    assert dice(a, b) == pytest.approx(measures.GetDiceCoefficient(), abs=1e-12)
    jaccard = measures.GetJaccardCoefficient()
    assert volumetric_overlap_error(a, b) == pytest.approx(100.0 * (1.0 - jaccard), abs=1e-9)
    hausdorff = sitk.HausdorffDistanceImageFilter()
    hausdorff.Execute(*images)
    # SimpleITK measures from every voxel of one set to the other; the largest is on the surface.
    assert surface_distances(a, b, GRID).largest_mm == pytest.approx(
        hausdorff.GetHausdorffDistance(), abs=1e-4
    )


def test_symmetry():
    a, b = _ball(12.0), _cube((12, 20, 22), (16, 22, 20))
    assert surface_distances(a, b, GRID) == surface_distances(b, a, GRID)
    assert dice(a, b) == dice(b, a)
    assert not math.isnan(surface_distances(a, b, GRID).average_mm)


def test_bad_input_is_named():
    ball, empty = _ball(5.0), np.zeros(GRID.shape, dtype=bool)
    with pytest.raises(InputError, match="both masks"):
        dice(empty, empty)
    with pytest.raises(InputError, match="both masks"):
        volumetric_overlap_error(empty, empty)
    with pytest.raises(InputError, match="reference mask"):
        relative_volume_difference(ball, empty)
    with pytest.raises(InputError, match="second mask"):
        surface_distances(ball, empty, GRID)
    with pytest.raises(GridMismatchError, match="masks"):
        dice(ball, ball[:-1])
    with pytest.raises(InputError, match="boolean"):
        dice(ball, ball.astype(np.uint8))
    with pytest.raises(GridMismatchError, match="grid"):
        surface_distances(ball, ball, Grid.from_spacing((4, 4, 4), (1, 1, 1)))
