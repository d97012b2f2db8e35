"""Padding, compact storage and doubt about Hounsfield numbers."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.geometry import Grid
from irplan.image import Volume
from irplan.image.hounsfield import compact_hu, doubt_about_hu, fill_padding

GRID = Grid.from_spacing((1, 1, 4), (1, 1, 1))


def test_padding_is_raised_and_counted_without_touching_the_argument():
    array = np.array([-3024, -1025, -1024, 40], np.int16)
    out, count = fill_padding(array)
    assert out.tolist() == [-1024, -1024, -1024, 40]
    assert count == 2
    assert array[0] == -3024
    same, none = fill_padding(out)
    assert same is out
    assert none == 0


def test_infinity_is_not_padding():
    out, count = fill_padding(np.array([-np.inf, -2000.0, np.nan]))
    assert count == 1
    assert np.isneginf(out[0])
    assert np.isnan(out[2])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.array([-1024, 3071], np.int32), np.int16),
        (np.array([0, 255], np.uint8), np.int16),
        (np.array([0, 40000], np.uint16), np.float32),
        (np.array([-1000.0, 40.0]), np.int16),
        (np.array([-1000.0, 40.5]), np.float32),
        (np.array([1e6]), np.float32),
        (np.array([np.nan, 1.0]), np.float32),
    ],
)
def test_compact(values, kind):
    out = compact_hu(values)
    assert out.dtype == kind
    np.testing.assert_array_equal(out, values.astype(kind))


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ([-1000, 0, 40, 900], ""),
        ([0, 24, 1064, 2000], "lowest value is 0"),
        ([-1000, -900, -800, -700], "highest value is -700"),
    ],
)
def test_doubt(values, word):
    words = doubt_about_hu(Volume(np.array(values, np.int16).reshape(GRID.shape), GRID))
    assert word in words
    assert bool(word) == bool(words)
