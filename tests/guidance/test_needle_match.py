"""Matching and errors of placed needles on cases made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irplan.geometry import Needle
from irplan.guidance import match_needles, placement_error

PLAN = Needle((0.0, 0.0, 0.0), (0.0, -100.0, 0.0))


def test_errors_are_told_apart() -> None:
    error = placement_error(PLAN, Needle((3.0, 4.0, 0.0), (3.0, -96.0, 0.0)))
    assert (error.lateral_mm, error.depth_mm, error.angle_deg) == pytest.approx((3.0, 4.0, 0.0))
    assert error.tip_mm == pytest.approx(5.0)
    assert error.entry_mm == pytest.approx(3.0)
    short = placement_error(PLAN, Needle((0.0, -6.0, 0.0), (0.0, -106.0, 0.0)))
    assert (short.lateral_mm, short.depth_mm) == pytest.approx((0.0, -6.0))


@given(st.floats(0.05, 40.0), st.floats(0.0, 6.28))
def test_a_tilt_about_the_tip_is_an_angle_alone(tilt_deg: float, turn: float) -> None:
    tilt = math.radians(tilt_deg)
    way = np.array([math.sin(tilt) * math.cos(turn), -math.cos(tilt),
                    math.sin(tilt) * math.sin(turn)])  # fmt: skip
    error = placement_error(PLAN, Needle((0.0, 0.0, 0.0), tuple(100.0 * way)))
    assert error.angle_deg == pytest.approx(tilt_deg, abs=1e-6)
    assert error.lateral_mm == pytest.approx(0.0, abs=1e-9)
    assert error.entry_mm == pytest.approx(100.0 * math.sin(tilt), rel=1e-6)


def _parallel(x: float, depth: float = 0.0) -> Needle:
    return Needle((x, depth, 0.0), (x, depth - 100.0, 0.0))


def test_assignment_beats_nearest_first() -> None:
    """Planned at 0 and 10; found at 9 and 16: nearest-first would give 9 to 10, leaving 16 to 0."""
    found = match_needles([_parallel(0), _parallel(10)], [_parallel(16), _parallel(9)])
    assert [(p.planned, p.achieved) for p in found.pairs] == [(0, 1), (1, 0)]
    assert [p.error.lateral_mm for p in found.pairs] == pytest.approx([9.0, 6.0])


def test_depth_counts_less_than_side() -> None:
    """A needle 20 mm short on its own path is that path's, not its neighbour's."""
    found = match_needles([_parallel(0), _parallel(12)], [_parallel(0, -20.0), _parallel(12, 2.0)])
    assert [(p.planned, p.achieved) for p in found.pairs] == [(0, 0), (1, 1)]
    assert found.pairs[0].error.depth_mm == pytest.approx(-20.0)


def test_more_and_fewer_needles_than_planned() -> None:
    more = match_needles([_parallel(0)], [_parallel(30), _parallel(1)])
    assert [(p.planned, p.achieved) for p in more.pairs] == [(0, 1)]
    assert (more.missing, more.extra) == ((), (0,))
    fewer = match_needles([_parallel(0), _parallel(15)], [_parallel(14)])
    assert (fewer.missing, fewer.extra) == ((0,), ())
    none = match_needles([_parallel(0)], [])
    assert (none.pairs, none.missing, none.extra) == ((), (0,), ())
    far = match_needles([_parallel(0)], [_parallel(80)])
    assert (far.pairs, far.missing, far.extra) == ((), (0,), (0,))
    across = match_needles([PLAN], [Needle((0.0, 0.0, 0.0), (100.0, 0.0, 0.0))])
    assert across.pairs == ()
