"""Projection of a water ball against its closed form."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.errors import InputError
from irplan.fluoroscopy.projection import WATER_PER_MM, projected
from irplan.geometry import Grid
from irplan.image import Volume

GRID = Grid.from_spacing((40, 40, 40), (3.0, 3.0, 3.0))


def ball(radius_mm: float, off: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Volume:
    index = np.stack(np.meshgrid(*map(np.arange, GRID.shape), indexing="ij"), axis=-1)
    away = GRID.index_to_lps(index) - GRID.centre_lps_mm - np.array(off)
    inside = np.linalg.norm(away, axis=-1) <= radius_mm
    return Volume(np.where(inside, 0, -1000).astype(np.int16), GRID)


@pytest.mark.parametrize("angles", [(0.0, 0.0), (30.0, 20.0)])
def test_a_ball_of_water(angles: tuple[float, float]) -> None:
    layer = projected(
        ball(45.0), shape=(128, 128), pixel_mm=1.5,
        primary_angle_deg=angles[0], secondary_angle_deg=angles[1],
    )  # fmt: skip
    path = layer.path((128, 128), 0.0)
    assert path[60:68, 60:68].mean() == pytest.approx(2 * 45.0 * WATER_PER_MM, rel=0.04)
    # the shadow of a ball: tangent rays, sin(a) = r / SOD
    shadow = 1200.0 * np.tan(np.arcsin(45.0 / 750.0))
    area = 1.5**2 * float((path > 0.15 * path.max()).sum())
    assert np.sqrt(area / np.pi) == pytest.approx(shadow, rel=0.04)


def test_sides() -> None:
    layer = projected(ball(15.0, (30.0, 0.0, 30.0)), shape=(128, 128), pixel_mm=1.5)
    path = layer.path((128, 128), 0.0)
    row, column = np.average(np.indices(path.shape).reshape(2, -1), axis=1, weights=path.ravel())
    assert column - 63.5 == pytest.approx(30.0 * 1200 / 750 / 1.5, abs=1.5)  # left: to the right
    assert row - 63.5 == pytest.approx(-30.0 * 1200 / 750 / 1.5, abs=1.5)  # head: upwards


def test_refusals() -> None:
    with pytest.raises(InputError, match="distance"):
        projected(ball(20.0), shape=(64, 64), pixel_mm=1.0, source_isocentre_mm=1300.0)
