"""Vessels inside a given liver: both modes, a liver of uneven brightness, no contrast."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage as ndi

from irplan.errors import InputError
from irplan.image import Volume
from irplan.segmentation import dice, segment_liver_vessels


def _veins(data) -> np.ndarray:
    names = ("portal_vein", "hepatic_vein", "vessel", "artery")
    return data.phantom.labels.mask(*names) & data.liver


@pytest.mark.parametrize(("mode", "least"), [("fast", 0.70), ("fine", 0.75)])
def test_both_modes_find_the_trees(portal, mode, least):
    found = segment_liver_vessels(portal.phantom.volume, portal.liver, mode=mode)
    assert dice(found.mask, _veins(portal)) >= least
    assert not (found.mask & ~portal.liver).any()


def test_fine_finds_more_of_the_thin_ones(portal):
    truth = _veins(portal)
    recall = [
        np.mean(segment_liver_vessels(portal.phantom.volume, portal.liver, mode=m).mask[truth])
        for m in ("fast", "fine")
    ]
    assert recall[1] > recall[0]


def test_uneven_parenchyma_is_no_vessel(portal):
    volume = portal.phantom.volume
    rng = np.random.default_rng(2)
    shape = volume.grid.shape
    coarse = rng.normal(
        0.0, 1.0, [max(2, n * s // 60) for n, s in zip(shape, (3, 1, 1), strict=True)]
    )
    trend = ndi.zoom(coarse, np.divide(shape, coarse.shape), order=3)
    trend *= 8.0 / trend[portal.liver].std()
    uneven = Volume((volume.array + np.where(portal.liver, trend, 0)).astype(np.int16), volume.grid)
    even = segment_liver_vessels(volume, portal.liver).mask
    found = segment_liver_vessels(uneven, portal.liver).mask
    assert dice(found, _veins(portal)) >= dice(even, _veins(portal)) - 0.05


def _noisier(data, sd: float) -> Volume:
    """More noise, of a soft kernel's grain (a Gaussian of 1 mm), in every slice on its own."""
    volume = data.phantom.volume
    sigma = [0.0, *(1.0 / s for s in volume.grid.spacing_mm[1:])]
    grain = ndi.gaussian_filter(np.random.default_rng(3).normal(size=volume.grid.shape), sigma)
    return Volume((volume.array + sd * grain / grain.std()).astype(np.int16), volume.grid)


def test_thick_veins_are_found_in_noise_or_said_to_be_missing(portal):
    truth = _veins(portal)
    depth = ndi.distance_transform_edt(truth, portal.phantom.volume.grid.spacing_mm)
    thick = depth > 2.5  # the middle of veins of 5 mm and more
    found = segment_liver_vessels(_noisier(portal, 12.0), portal.liver)
    assert found.complete
    assert "4 mm" in found.note
    assert found.mask[thick].mean() > 0.98  # smoothed by .8 mm only: .947
    lost = segment_liver_vessels(_noisier(portal, 40.0), portal.liver)
    assert not lost.complete
    assert "noise" in lost.note


def test_faded_veins_are_said_to_be_found_in_part(portal):
    """As in the delayed phase: the same veins at 40 % of their contrast, in the same noise."""
    volume, truth = portal.phantom.volume, _veins(portal)
    array = volume.array.astype(np.float64)
    soft = ndi.gaussian_filter(truth.astype(float), [0.8 / s for s in volume.grid.spacing_mm])
    tissue = np.median(array[portal.liver & ~truth])
    contrast = np.median(array[ndi.binary_erosion(truth)]) - tissue
    faded = Volume((array - 0.6 * contrast * soft).astype(np.int16), volume.grid)
    found = segment_liver_vessels(faded, portal.liver)
    assert found.mask is not None
    assert found.mask[truth].mean() < 0.5
    assert not found.complete
    assert "delayed" in found.note


@pytest.mark.parametrize("mode", ["fast", "fine"])
def test_without_contrast_nothing_is_claimed(unenhanced, mode):
    found = segment_liver_vessels(unenhanced.phantom.volume, unenhanced.liver, mode=mode)
    assert found.mask is None
    assert "unenhanced" in found.note


def test_bad_input_is_named(portal):
    volume = portal.phantom.volume
    with pytest.raises(InputError, match="vessel mode"):
        segment_liver_vessels(volume, portal.liver, mode="frangi")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="liver mask"):
        segment_liver_vessels(volume, np.zeros_like(portal.liver))
