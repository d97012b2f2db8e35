"""Tumours from a stroke: against the phantom's truth, and every stroke that is none."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.errors import GridMismatchError, InputError
from irplan.geometry import Grid
from irplan.image import Volume
from irplan.segmentation import Stroke, dice, segment_tumour

GRID = Grid.from_spacing((44, 90, 90), (2.0, 1.0, 1.0), (-45.0, -45.0, -44.0))
AWAY = np.linalg.norm(GRID.index_to_lps(np.moveaxis(np.indices(GRID.shape), 0, -1)), axis=-1)
LIVER = AWAY < 42.0


def _volume(contrast: float, radius: float, noise: float = 12.0) -> Volume:
    rng = np.random.default_rng(4)
    hu = np.where(LIVER, 110.0, -100.0) + contrast * (radius > AWAY)
    return Volume((hu + rng.normal(0.0, noise, GRID.shape)).astype(np.int16), GRID)


@pytest.mark.parametrize("contrast", [-50.0, 45.0])
@pytest.mark.parametrize("scale", [0.85, 1.15])
def test_a_ball_is_found_whatever_the_stroke(contrast, scale):
    # Click 2 mm off, diameter 15 % off: the edge is the image's, not the stroke's.
    truth = AWAY < 10.0
    stroke = Stroke.from_point((1.2, -1.2, 1.0), 20.0 * scale)
    found = segment_tumour(_volume(contrast, 10.0), stroke, liver=LIVER)
    assert found.method == "cut"
    assert dice(found.mask, truth) >= 0.93
    assert found.contrast_hu == pytest.approx(contrast, abs=5.0)
    assert found.volume_ml == pytest.approx(found.mask.sum() * 0.002)


def test_the_outer_edge_lies_two_millimetres_further_out():
    volume = _volume(-50.0, 10.0)
    found = segment_tumour(volume, Stroke.from_point((0, 0, 0), 24.0), liver=LIVER, edge="outer")
    assert found.edge == "outer"
    assert dice(found.mask, AWAY < 12.0) >= 0.93


@pytest.mark.parametrize("margin", [-3.0, 5.0])
def test_the_margin_moves_the_surface(margin):
    stroke = Stroke((-10.0, 0.0, 0.0), (10.0, 0.0, 0.0))
    volume = _volume(-50.0, 10.0)
    radius = [
        (3.0 * segment_tumour(volume, stroke, margin_mm=m).volume_ml * 1000.0 / (4.0 * np.pi))
        ** (1.0 / 3.0)
        for m in (0.0, margin)
    ]
    # Half of the 0.8 mm voxels that the lesion is cut on.
    assert radius[0] == pytest.approx(10.0, abs=0.4)
    assert radius[1] - radius[0] == pytest.approx(margin, abs=0.4)


def test_growth_stays_in_the_liver():
    stroke = Stroke.from_point((0.0, 0.0, 36.0), 14.0)
    found = segment_tumour(
        _volume(0.0, 1.0), stroke, liver=LIVER, method="ellipsoid", margin_mm=8.0
    )
    ball = np.linalg.norm(
        GRID.index_to_lps(np.moveaxis(np.indices(GRID.shape), 0, -1)) - [0, 0, 36.0], axis=-1
    )
    assert not (found.mask & ~LIVER & (ball > 8.5)).any()


def test_an_isodense_lesion_is_the_ellipsoid_that_was_drawn_and_says_so():
    stroke = Stroke.from_point((0.0, 0.0, 0.0), 20.0, axes_mm=(24.0, 16.0, 20.0))
    found = segment_tumour(_volume(-3.0, 10.0), stroke, liver=LIVER)
    assert found.method == "ellipsoid"
    assert any("as drawn" in n for n in found.notes)
    assert found.volume_ml == pytest.approx(np.pi / 6 * 24 * 16 * 20 / 1000.0, rel=0.05)


def test_a_lesion_at_the_scans_edge_is_told():
    stroke = Stroke.from_point((0.0, 0.0, -41.0), 14.0)
    found = segment_tumour(_volume(0.0, 1.0), stroke, method="ellipsoid")
    assert any("edge of the scan" in n for n in found.notes)


@pytest.mark.parametrize("length", [0.0, 2.0, 151.0, float("nan")])
def test_strokes_that_are_none(length):
    with pytest.raises(InputError, match=r"stroke|diameter"):
        Stroke.from_point((0.0, 0.0, 0.0), length)


def test_bad_places_and_words_are_named():
    volume = _volume(-50.0, 10.0)
    good = Stroke.from_point((0.0, 0.0, 0.0), 20.0)
    with pytest.raises(InputError, match="RAS"):
        segment_tumour(volume, Stroke.from_point((300.0, 0.0, 0.0), 20.0))
    with pytest.raises(InputError, match="from the liver"):
        segment_tumour(volume, Stroke.from_point((43.0, -43.0, 0.0), 6.0), liver=LIVER)
    with pytest.raises(GridMismatchError, match="liver mask"):
        segment_tumour(volume, good, liver=LIVER[:-1])
    with pytest.raises(InputError, match="outer"):
        segment_tumour(volume, good, edge="inner")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="margin"):
        segment_tumour(volume, good, margin_mm=30.0)
    with pytest.raises(InputError, match="leaves nothing"):
        segment_tumour(volume, Stroke.from_point((0.0, 0.0, 0.0), 8.0), margin_mm=-9.0)
