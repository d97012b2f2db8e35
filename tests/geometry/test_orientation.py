"""Axes are re-indexed without moving a voxel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from irplan.geometry import Grid
from irplan.geometry.orientation import (
    UPRIGHT,
    direction_in_words,
    plane_in_words,
    reorder_axes,
)


@given(
    order=st.permutations([0, 1, 2]),
    flips=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    turn=st.tuples(*[st.floats(-3.2, 3.2)] * 3),
)
def test_every_voxel_stays_and_the_result_is_a_grid(order, flips, turn):
    array = np.arange(60).reshape(3, 4, 5)
    rotation = Rotation.from_rotvec(turn).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.eye(3)[:, order] * np.where(flips, -1, 1) * [0.7, 0.8, 2.5]
    affine[:3, 3] = [10, 20, 30]
    new, placed = reorder_axes(array, affine)
    grid = Grid(new.shape, placed)  # refuses a mirrored one
    index = np.indices(array.shape).reshape(3, -1).T
    lps = index @ affine[:3, :3].T + affine[:3, 3]
    nearest = np.rint(grid.lps_to_index(lps)).astype(int)
    np.testing.assert_allclose(grid.index_to_lps(nearest), lps, atol=1e-9)
    np.testing.assert_array_equal(new[tuple(nearest.T)], array.reshape(-1))
    assert np.shares_memory(new, array)


@given(turn=st.tuples(*[st.floats(-0.4, 0.4)] * 3), order=st.permutations([0, 1, 2]))
def test_a_grid_is_found_again_after_any_reordering(turn, order):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_rotvec(turn).as_matrix() @ UPRIGHT * [2.5, 0.8, 0.7]
    array = np.arange(60).reshape(3, 4, 5)
    back, placed = reorder_axes(
        array.transpose(order), affine[:, [*order, 3]], affine[:3, :3] / [2.5, 0.8, 0.7]
    )
    np.testing.assert_array_equal(back, array)
    np.testing.assert_allclose(placed, affine)


@pytest.mark.parametrize(
    ("vector", "words"),
    [
        ((0, 0, 1), "head"),
        ((0, 0, -2), "feet"),
        ((0, 1, 0), "back"),
        ((0, -1, 0), "front"),
        ((1, 0, 0), "left"),
        ((-1, 0.001, 0), "right"),
        ((0, np.sin(np.radians(20)), np.cos(np.radians(20))), "head (20 deg oblique)"),
    ],
)
def test_words(vector, words):
    assert direction_in_words(vector) == words


def test_planes():
    assert plane_in_words((0, 0, 1)) == "axial"
    assert plane_in_words((0, -1, 0.2)) == "coronal"
    assert plane_in_words((1, 0, 0)) == "sagittal"
