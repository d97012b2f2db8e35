"""The cut in the band against closed forms, and the refusals of what cannot be a liver."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.errors import SegmentationError
from irplan.geometry import Grid
from irplan.image import Volume
from irplan.segmentation import segment_liver
from irplan.segmentation.liver_band import edge_model, refine_native
from irplan.segmentation.lumen import Lumen
from irplan.segmentation.working import working_image


def _ball(spacing, *, inside=110.0, outside=40.0, noise=0.0, radius=30.0):
    """A ball of tissue in tissue in air, each voxel its mean over 27 points (partial volume)."""
    shape = tuple(round(120.0 / s) for s in spacing)
    grid = Grid.from_spacing(shape, spacing, (-60.0, -60.0, -60.0))
    hu = np.zeros(shape)
    for step in np.ndindex(3, 3, 3):
        z, y, x = np.meshgrid(*map(np.arange, shape), indexing="ij", sparse=True)
        at = [
            (v + (n - 1) / 3.0) * s - 60.0 for v, n, s in zip((z, y, x), step, spacing, strict=True)
        ]
        r = np.sqrt(sum(a**2 for a in at))
        hu += np.where(r < radius, inside, np.where(r < 52.0, outside, -1000.0)) / 27.0
    z, y, x = np.meshgrid(*map(np.arange, shape), indexing="ij", sparse=True)
    at = [v * s - 60.0 for v, s in zip((z, y, x), spacing, strict=True)]
    truth = np.sqrt(sum(a**2 for a in at)) < radius
    hu += np.random.default_rng(4).normal(0.0, noise, shape) if noise else 0.0
    return Volume(np.rint(hu).astype(np.int16), grid), truth


@pytest.mark.parametrize("spacing", [(1.5, 0.8, 0.8), (3.0, 0.7, 0.7), (5.0, 0.9, 0.9)])
@pytest.mark.parametrize("outside", [40.0, 180.0, -100.0])
def test_a_ball_is_found_at_half_the_step_whatever_is_outside(spacing, outside):
    volume, truth = _ball(spacing, outside=outside, noise=12.0)
    image = working_image(volume)
    z, y, x = (image.grid.index_to_lps(np.argwhere(np.ones(image.grid.shape, bool)))).T[::-1]
    r = np.sqrt(x**2 + y**2 + z**2).reshape(image.grid.shape)
    body, lung = r < 52.0, np.zeros(image.grid.shape, dtype=bool)
    # The coarse mask is 1.5 mm too large on one side and as much too small on the other.
    coarse = r < 30.0 + 1.5 * np.sign(x.reshape(r.shape))
    box, mask = refine_native(
        volume, image, edge_model(coarse, image, body, lung, Lumen.none(body), 110.0, 10.0)
    )
    found = np.zeros(volume.grid.shape, dtype=bool)
    found[box] = mask
    # Voxels cut by the sphere hold the error of either labelling: 4 pi r^2 x a quarter of a
    # voxel's width on each side; a shift of the edge by 0.4 mm would add 4 pi r^2 x 0.4 mm.
    area = 4.0 * np.pi * 30.0**2
    wrong = np.count_nonzero(found ^ truth) * volume.grid.voxel_volume_mm3
    assert wrong <= area * (0.25 * np.mean(spacing) + 0.2)
    volume_mm3 = np.count_nonzero(found) * volume.grid.voxel_volume_mm3
    assert abs(volume_mm3 - 4.0 / 3.0 * np.pi * 30.0**3) <= 0.35 * area


def test_swapped_axes_are_refused_in_words(portal):
    volume = portal.phantom.volume
    turned = np.ascontiguousarray(volume.array[:, ::-1, ::-1])
    with pytest.raises(SegmentationError, match="orientation"):
        segment_liver(Volume(turned, volume.grid))
    mirrored = np.ascontiguousarray(volume.array[:, :, ::-1])
    with pytest.raises(SegmentationError, match="mirrored"):
        segment_liver(Volume(mirrored, volume.grid))
    upside_down = np.ascontiguousarray(volume.array[::-1])
    with pytest.raises(SegmentationError, match="head and feet"):
        segment_liver(Volume(upside_down, volume.grid))


def test_a_scan_that_ends_below_the_liver_has_none(portal):
    volume = portal.phantom.volume
    first = int(np.flatnonzero(portal.liver.any(axis=(1, 2)))[0])
    with pytest.raises(SegmentationError, match="liver"):
        segment_liver(volume.crop((0, 0, 0), (first, *volume.grid.shape[1:])))
