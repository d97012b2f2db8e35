"""Distances and morphology against SciPy's exact transform and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage as ndi

from irplan.segmentation.morphology import (
    box_of,
    closed,
    dilate,
    distance_mm,
    erode,
    filled,
    filled_slices,
    largest_part,
    opened,
    parts_of_at_least,
    short_distance_mm,
    stepped,
    touching,
)

SPACING = (2.5, 0.8, 1.1)


def _ball(radius_mm: float, shape=(30, 80, 60)) -> np.ndarray:
    middle = np.asarray(shape) / 2
    grid = np.indices(shape).transpose(1, 2, 3, 0)
    return np.linalg.norm((grid - middle) * SPACING, axis=-1) <= radius_mm


def test_distance_is_the_exact_euclidean_distance():
    rng = np.random.default_rng(1)
    mask = rng.random((12, 20, 17)) > 0.97
    exact = ndi.distance_transform_edt(~mask, sampling=SPACING)
    np.testing.assert_allclose(distance_mm(mask, SPACING), exact, atol=1e-4)


@pytest.mark.parametrize("reach_mm", [7.0, 31.0])
def test_short_distances_are_exact_up_to_their_reach(reach_mm):
    rng = np.random.default_rng(4)
    mask = rng.random((14, 25, 40)) > 0.999
    before = mask.copy()
    exact = np.minimum(ndi.distance_transform_edt(~mask, sampling=2.0), reach_mm)
    np.testing.assert_allclose(short_distance_mm(mask, reach_mm, 2.0), exact, rtol=1e-6)
    in_plane = np.stack(
        [
            ndi.distance_transform_edt(~s, sampling=2.0) if s.any() else np.full(s.shape, np.inf)
            for s in mask
        ]
    )
    found = short_distance_mm(mask, reach_mm, 2.0, axes=(1, 2))
    np.testing.assert_allclose(found, np.minimum(in_plane, reach_mm), rtol=1e-6)
    np.testing.assert_array_equal(mask, before)


def test_steps_through_faces_and_holes_match_scipy():
    rng = np.random.default_rng(5)
    mask = rng.random((12, 30, 29)) > 0.97
    np.testing.assert_array_equal(stepped(mask, 2), ndi.binary_dilation(mask, iterations=2))
    dense = rng.random((12, 30, 29)) > 0.45
    np.testing.assert_array_equal(filled(dense), ndi.binary_fill_holes(dense))
    each = np.stack([ndi.binary_fill_holes(s) for s in dense])
    np.testing.assert_array_equal(filled_slices(dense), each)


def test_a_ball_wider_than_the_array_covers_it():
    mask = np.zeros((3, 4, 5), dtype=bool)
    mask[1, 2, 2] = True
    assert dilate(mask, 50.0, SPACING).all()
    assert not erode(mask, 50.0, SPACING).any()
    assert erode(np.ones_like(mask), 50.0, SPACING).all()


def test_distance_to_nothing_is_infinite():
    assert np.isinf(distance_mm(np.zeros((3, 3, 3), dtype=bool), SPACING)).all()


@pytest.mark.parametrize("radius", [3.1, 6.45])
def test_dilation_and_erosion_match_the_distance_definition(radius):
    rng = np.random.default_rng(2)
    mask = ndi.binary_dilation(rng.random((20, 40, 30)) > 0.995, iterations=4)
    grown = ndi.distance_transform_edt(~mask, sampling=SPACING) <= radius
    shrunk = ndi.distance_transform_edt(mask, sampling=SPACING) > radius
    # SciPy's erosion distance also counts no voxel beyond the array, as ours.
    np.testing.assert_array_equal(dilate(mask, radius, SPACING), grown)
    np.testing.assert_array_equal(erode(mask, radius, SPACING), shrunk)


def test_the_arrays_end_does_not_erode():
    mask = np.zeros((10, 20, 20), dtype=bool)
    mask[:, 5:15, 5:15] = True
    assert erode(mask, 2.0, SPACING)[0, 10, 10]


def test_ball_grows_by_the_radius():
    grown = dilate(_ball(10.0), 5.0, SPACING).sum()
    # From voxel centres, which lie up to half a voxel (1.25 mm) inside the ball's surface.
    assert _ball(13.75).sum() < grown <= _ball(15.0).sum()


def test_opening_removes_the_thin_and_closing_fills_it():
    mask = np.zeros((20, 60, 60), dtype=bool)
    mask[4:16, 10:50, 10:50] = True
    sheet = mask.copy()
    sheet[9:10, 50:58, 10:50] = True  # 2.5 mm thick
    assert not opened(sheet, 3.0, SPACING)[9, 55, 30]
    slit = mask.copy()
    slit[4:16, 30:32, 10:50] = False  # 1.6 mm wide
    assert closed(slit, 2.0, SPACING)[10, 31, 30]


def test_parts_and_hysteresis():
    mask = np.zeros((5, 20, 20), dtype=bool)
    mask[2, 2:5, 2:5] = True
    mask[2, 10:18, 10:18] = True
    seeds = np.zeros_like(mask)
    seeds[2, 3, 3] = True
    assert touching(mask, seeds).sum() == 9
    assert largest_part(mask).sum() == 64
    assert parts_of_at_least(mask, 10).sum() == 64
    assert largest_part(np.zeros_like(mask)).sum() == 0
    assert box_of(mask) == (slice(2, 3), slice(2, 18), slice(2, 18))
    assert box_of(mask, (1, 5, 5)) == (slice(1, 4), slice(0, 20), slice(0, 20))


def test_slices_are_filled_and_the_argument_is_not_touched():
    ring = np.zeros((3, 9, 9), dtype=bool)
    ring[1, 2:7, 2:7] = True
    ring[1, 3:6, 3:6] = False
    before = ring.copy()
    assert filled_slices(ring)[1].sum() == 25
    np.testing.assert_array_equal(ring, before)
