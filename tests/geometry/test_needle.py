"""Needle: lengths and angles against the hand-made case, distances under rigid motion."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from irplan.errors import GeometryError
from irplan.geometry import Needle, as_point

coordinate = st.floats(-300, 300)
points = st.tuples(coordinate, coordinate, coordinate)


@given(tip=points, entry=points, p=points, turn=points, shift=points)
def test_distances_do_not_change_under_rigid_motion(tip, entry, p, turn, shift):
    assume(math.dist(tip, entry) > 1.5)
    rotation = Rotation.from_rotvec(np.array(turn) / 100)

    def move(x):
        return rotation.apply(x) + shift

    before = Needle(tip, entry)
    after = Needle(tuple(move(tip)), tuple(move(entry)))
    assert after.depth_mm == pytest.approx(before.depth_mm, abs=1e-9)
    assert after.distance_to(move(p)) == pytest.approx(float(before.distance_to(p)), abs=1e-8)
    np.testing.assert_allclose(move(before.segment(5, 35)[0]), after.segment(5, 35)[0], atol=1e-8)


@given(tip=points, entry=points, p=points)
def test_distance_is_that_of_the_nearest_of_many_points(tip, entry, p):
    assume(math.dist(tip, entry) > 1.5)
    needle = Needle(tip, entry)
    along = np.linspace(0, needle.depth_mm, 2001)
    sampled = min(math.dist(needle.point_at(float(d)), p) for d in along)
    step = needle.depth_mm / 2000
    assert sampled - step <= needle.distance_to(p) <= sampled + 1e-9


def test_angles():
    down = Needle((0, 100, 0), (0, 0, 0))  # straight from front to back
    assert (down.axial_angle_deg, down.craniocaudal_tilt_deg) == (0.0, 0.0)
    from_right = Needle((100, 0, 0), (0, 0, 0))  # tip to the patient's left
    assert from_right.axial_angle_deg == pytest.approx(90)
    up = Needle((0, 100, 100), (0, 0, 0))  # 45 deg towards the head
    assert up.craniocaudal_tilt_deg == pytest.approx(45)
    assert Needle((0, 0, -50), (0, 0, 0)).craniocaudal_tilt_deg == pytest.approx(-90)


def test_points_on_the_needle():
    needle = Needle((0, 100, 0), (0, 0, 0))
    np.testing.assert_allclose(needle.point_at(30), (0, 30, 0))
    assert needle.segment(0, 30) == ((0, 100, 0), (0, 70, 0))
    assert needle.segment(-5, 0) == ((0, 105, 0), (0, 100, 0))
    np.testing.assert_allclose(
        needle.distance_to([(3, 50, 4), (0, 110, 0), (0, -7, 0)]), [5, 10, 7]
    )


@pytest.mark.parametrize(
    ("tip", "entry"),
    [((0, 0, 0), (0, 0, 0.5)), ((0, 0, math.nan), (0, 0, 9)), ((0, 0), (0, 0, 9))],
)
def test_impossible_needles(tip, entry):
    with pytest.raises(GeometryError, match="needle"):
        Needle(tip, entry)


@pytest.mark.parametrize("bad", [(1, 2), (1, 2, math.inf), "abc", None, (1, 2, "x"), [[1, 2, 3]]])
def test_bad_points(bad):
    with pytest.raises(GeometryError, match=r"target: got .* LPS"):
        as_point(bad, field="target")


def test_point_from_an_array():
    assert as_point(np.array([1, 2, 3]), field="p") == (1.0, 2.0, 3.0)
