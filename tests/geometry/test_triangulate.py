"""Triangulation against its own projections: exact, and with a known pixel error."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.errors import GeometryError
from irplan.geometry.c_arm import CArm
from irplan.geometry.triangulate import triangulate


def _view(primary: float, secondary: float = 0.0) -> CArm:
    return CArm(785.0, 1200.0, (10.0, 0.0, -50.0), primary, secondary, (960, 1240), (0.3, 0.3))


def test_two_views_give_the_point_back() -> None:
    tip = np.array([-20.0, 15.0, -40.0])
    views = [_view(-20.0), _view(35.0, 15.0)]
    pixels = [tuple(v.project(tip)) for v in views]
    found = triangulate(views, pixels)
    np.testing.assert_allclose(found.point_mm, tip, atol=1e-6)
    assert found.residual_mm < 1e-6


def test_the_stated_error_is_the_error() -> None:
    tip = np.array([-20.0, 15.0, -40.0])
    views = [_view(-30.0), _view(40.0)]
    exact = np.array([v.project(tip) for v in views])
    rng = np.random.default_rng(0)
    errors, stated = [], 0.0
    for _ in range(400):
        noisy = exact + 2.0 * rng.standard_normal(exact.shape)
        found = triangulate(views, [tuple(p) for p in noisy], pixel_sd=2.0)
        errors.append(np.sum((np.array(found.point_mm) - tip) ** 2))
        stated = found.sd_mm
    assert np.sqrt(np.mean(errors)) == pytest.approx(stated, rel=0.1)


def test_views_too_near_are_refused() -> None:
    with pytest.raises(GeometryError, match="deg"):
        triangulate([_view(0.0), _view(5.0)], [(600.0, 480.0), (600.0, 480.0)])
