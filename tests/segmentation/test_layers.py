"""Skin and diaphragm: thickness of the layers, and where they are."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.geometry import Grid
from irplan.segmentation.layers import DIAPHRAGM_MM, SKIN_MM, diaphragm_layer, skin_layer
from irplan.segmentation.morphology import dilate


@pytest.mark.parametrize("pixel", [0.5, 0.8, 1.3])
def test_skin_of_a_cylinder_is_two_millimetres(pixel):
    count = round(130 / pixel)
    grid = Grid.from_spacing((4, count, count), (5.0, pixel, pixel))
    at = (np.arange(count) - count / 2) * pixel
    body = np.broadcast_to(np.hypot(at[:, None], at) < 50.0, grid.shape)
    skin = skin_layer(body, grid)
    assert not (skin & ~body).any()
    # Ring of 2 mm: area 2 pi 49 x 2; whole voxels leave half a pixel.
    thickness = skin[0].sum() * pixel**2 / (2.0 * np.pi * 49.0)
    assert thickness == pytest.approx(SKIN_MM, abs=0.5 * pixel)
    # The first and last slice are faces of the image, not skin.
    np.testing.assert_array_equal(skin[0], skin[2])


def test_the_diaphragm_lies_under_the_lung(portal):
    image = portal.found.liver.stages.image
    layer = diaphragm_layer(portal.found.liver)
    lung = portal.found.liver.stages.lung
    assert not (layer & lung).any()
    reach = DIAPHRAGM_MM + image.spacing_mm
    assert not (layer & ~dilate(lung, reach, image.grid.spacing_mm)).any()
    grid = portal.phantom.labels.grid
    here = image.give(layer, grid)
    truth = portal.phantom.labels.mask("diaphragm")
    # 4 mm of layer about 2.5 mm of muscle; its parts below heart and crura are not claimed.
    assert np.mean(dilate(truth, 3.0, grid.spacing_mm)[here]) >= 0.75
    assert np.mean(dilate(here, 3.0, grid.spacing_mm)[truth]) >= 0.5
