"""Live checks against closed forms in a block of tissue."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irplan.errors import InputError
from irplan.geometry import Grid, Needle
from irplan.guidance.live import LiveCheck, LiveLimits, lost_reading, needle_from_transform
from irplan.image import LabelMap, structure

PLAN = Needle((0.0, 0.0, 0.0), (0.0, -100.0, 0.0))  # straight from the front to the back


def _block() -> LabelMap:
    """Body with a bone plate 30 to 35 mm beyond the tip and a vein 12 mm to its left."""
    grid = Grid.from_spacing((120, 200, 120), (1.0, 1.0, 1.0), (-60.0, -120.0, -60.0))
    array = np.ones(grid.shape, np.uint8)
    y = np.arange(200) - 120.0
    x = np.arange(120) - 60.0
    array[:, (y >= 30) & (y <= 35), :] = structure("bone").value
    beside = ((y >= -20) & (y <= 20))[:, None] & ((x >= 12) & (x <= 16))[None, :]
    array[:, beside] = structure("portal_vein").value
    names = ("body", "bone", "portal_vein")
    return LabelMap(array, grid, tuple(structure(n) for n in names))


def test_on_the_path_and_what_lies_behind_the_tip() -> None:
    check = LiveCheck(PLAN, labels=_block())
    reading = check.read((0.0, -40.0, 0.0), (0.0, 1.0, 0.0))
    assert reading.status == "on path"
    assert (reading.lateral_mm, reading.depth_to_go_mm, reading.angle_deg, reading.miss_mm) == (
        pytest.approx((0.0, 40.0, 0.0, 0.0), abs=1e-9)
    )
    assert [a.name for a in reading.ahead or ()] == ["bone"]
    # the plate's face is at y = 29.5 mm, 69.5 mm on; looked up every 0.5 mm
    assert (reading.ahead or ())[0].distance_mm == pytest.approx(69.5, abs=0.51)
    assert reading.now_in == "body"
    assert "lung" in check.not_checked
    assert "bone" not in check.not_checked


def test_a_needle_that_points_at_the_vein() -> None:
    way = np.array([math.sin(math.radians(20)), math.cos(math.radians(20)), 0.0])
    reading = LiveCheck(PLAN, labels=_block()).read((0.0, -20.0, 0.0), way)
    assert reading.status == "off path"
    assert reading.angle_deg == pytest.approx(20.0, abs=1e-9)
    # the tip is on the axis 20 mm short: pushed on it passes 20 sin 20 = 6.8 mm beside the target
    assert reading.miss_mm == pytest.approx(20 * math.sin(math.radians(20)), abs=1e-9)
    nearest = (reading.ahead or ())[0]
    assert nearest.name == "portal_vein"
    # its face is at x = 11.5; the needle's 2 mm ring gets there up to 2 / tan 20 earlier
    assert 24.0 < nearest.distance_mm < 34.0


@given(st.floats(-30, 30), st.floats(-30, 30), st.floats(-80, 60))
def test_distances_are_those_of_the_axis(x: float, z: float, y: float) -> None:
    reading = LiveCheck(PLAN).read((x, y, z), (0.0, 2.0, 0.0))
    assert reading.lateral_mm == pytest.approx(math.hypot(x, z), abs=1e-9)
    assert reading.depth_to_go_mm == pytest.approx(-y, abs=1e-9)
    assert reading.ahead is None  # not checked is not "clear"
    expected = "too deep" if y > 2.0 else "off path" if math.hypot(x, z) > 3.0 else "on path"
    assert reading.status == expected


def test_a_reading_takes_less_than_10_ms() -> None:
    check = LiveCheck(PLAN, labels=_block(), limits=LiveLimits(look_ahead_mm=300.0))
    rng = np.random.default_rng(1)
    times = []
    for _ in range(60):
        tip, way = rng.uniform(-40, 40, 3), rng.normal(size=3)
        start = time.perf_counter()
        check.read(tip, way)
        times.append(time.perf_counter() - start)
    assert np.median(times) < 0.010


def test_poses_are_checked() -> None:
    pose = np.eye(4)
    pose[:3, :3] = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]
    pose[:3, 3] = (1.0, 2.0, 3.0)
    tip, way = needle_from_transform(pose)
    assert tip.tolist() == [1.0, 2.0, 3.0]
    assert way.tolist() == [0.0, 1.0, 0.0]
    for wrong in (np.eye(3), np.eye(4) * 2.0, np.full((4, 4), np.nan), np.diag([1, 1, -1, 1])):
        with pytest.raises(InputError, match="pose"):
            needle_from_transform(wrong)
    with pytest.raises(InputError, match="direction"):
        LiveCheck(PLAN).read((0, 0, 0), (0, 0, 0))
    with pytest.raises(InputError, match="look_ahead"):
        LiveLimits(look_ahead_mm=0.0)
    assert lost_reading().status == "lost"
    assert math.isnan(lost_reading().lateral_mm)
