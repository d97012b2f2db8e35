"""Simulated runs against the statistics and optics they are built on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from irplan.compute.cpu import fluoro_noise
from irplan.errors import InputError
from irplan.fluoroscopy import DETECTORS, SCENES, Exposure, scene, simulate
from irplan.fluoroscopy.devices import Discs, Tube

FLAT = DETECTORS["flat-panel-0.2"]


@pytest.mark.parametrize("mean", [0.5, 9.0, 36.0, 200.0])
def test_quanta_are_poisson(mean: float) -> None:
    counts = np.empty((300, 300), np.float32)
    fluoro_noise.poisson(np.full_like(counts, mean), fluoro_noise.noise_key(3, 1, 1), counts)
    n = counts.size
    assert counts.mean() == pytest.approx(mean, abs=4 * np.sqrt(mean / n))
    # the variance of a Poisson sample variance is (mu + 2 mu^2) / n
    assert counts.var() == pytest.approx(mean, abs=4 * np.sqrt((mean + 2 * mean**2) / n))
    assert stats.skew(counts.ravel()) == pytest.approx(mean**-0.5, abs=4 * np.sqrt(6 / n))
    shifted = np.corrcoef(counts[:, 1:].ravel(), counts[:, :-1].ravel())[0, 1]
    assert abs(shifted) < 4 / np.sqrt(n)


def test_quanta_a_pixel_of_the_specification() -> None:
    assert FLAT.quanta(40.0) == pytest.approx(36.2, abs=0.1)
    assert FLAT.electronic_sd_quanta**2 == pytest.approx(FLAT.quanta(4.0))


def test_variance_is_gain_times_mean_plus_electronics() -> None:
    ideal = DETECTORS["ideal"]
    made = scene("flat", shape=(256, 256), frames=2)
    noisy, clean = simulate(made, Exposure(10.0), ideal, seed=5)
    signal = clean.frames - ideal.offset
    spread = (noisy.frames[1] - clean.frames[1]).var()
    assert spread == pytest.approx(ideal.gain * signal[1].mean(), rel=0.03)
    assert signal[1].mean() == pytest.approx(ideal.gain * ideal.quanta(10.0), rel=1e-4)
    two, _ = simulate(made, Exposure(10.0), ideal, seed=6)
    across = np.corrcoef(noisy.frames[0].ravel(), two.frames[0].ravel())[0, 1]
    assert abs(across) < 4 / 256


def test_noise_is_paired() -> None:
    made = scene("flat", shape=(128, 128), frames=2)
    disc = Discs("disc", np.array([[64.0, 64.0]]), 8.0, 0.05)
    with_it, clean = simulate(made.with_layers(disc), Exposure(10.0), FLAT, seed=1)
    without, empty = simulate(made, Exposure(10.0), FLAT, seed=1)
    change = with_it.frames[1].astype(float) - without.frames[1]
    truth = clean.frames[1] - empty.frames[1]
    inside = disc.path((128, 128), 0.0) > 0.04
    # paired: the difference's noise is that of the few quanta the disc takes, not of all
    assert (change - truth)[inside].std() < 0.4 * (without.frames[1] - empty.frames[1]).std()
    far = np.hypot(*(np.mgrid[:128, :128] - 64.0)) > 40
    assert np.abs(change[far]).mean() < 0.05 * (without.frames[1] - empty.frames[1]).std()
    low, _ = simulate(made, Exposure(5.0), FLAT, seed=1)
    both = np.corrcoef(low.frames[1].ravel(), without.frames[1].ravel())[0, 1]
    assert both > 0.95


def test_wire_absorbs_what_its_chord_says() -> None:
    line = np.column_stack([np.linspace(-5, 70, 30), np.full(30, 32.0)])
    wire = Tube("wire", line, 2.1, 0.1)
    path = wire.path((64, 64), 0.0)
    assert path[32].sum() == pytest.approx(0.1 * np.pi * 2.1**2, rel=0.02)  # area of the circle
    assert path[32].max() == pytest.approx(0.1 * 4.2, rel=0.03)
    tube = Tube("tube", line, 3.1, 0.1, inner_px=2.1).path((64, 64), 0.0)
    assert tube[32].sum() == pytest.approx(0.1 * np.pi * (3.1**2 - 2.1**2), rel=0.03)


@pytest.mark.parametrize("name", SCENES)
def test_every_scene_has_truth_and_layers_multiply(name: str) -> None:
    made = scene(name, shape=(128, 96), frames=3, seed=100)
    whole = made.transmission(0.4)
    assert 0.0 < whole.min() <= whole.max() <= 1.0
    for device in made.devices:
        there = made.path(device, 6)
        ratio = made.transmission(made.time_s(6)) / made.without(device).transmission(
            made.time_s(6)
        )
        np.testing.assert_allclose(ratio, np.exp(-there), rtol=1e-4)
    assert np.array_equal(whole, scene(name, shape=(128, 96), seed=100).transmission(0.4))


def test_lag_first_frame() -> None:
    made = scene("flat", shape=(64, 64), frames=14)
    ideal = DETECTORS["ideal"]
    from dataclasses import replace

    lagging = replace(ideal, lag=0.05, lag_decay=0.5)
    _, clean = simulate(made, Exposure(10.0, dose_steps=((8, 0.25),)), lagging)
    level = clean.frames[:, 0, 0] - ideal.offset
    before, after = level[7], level[13]
    # one frame after the step the held charge of the frame before is still read: (1-d)(lag + ...)
    held = 0.05 / (1 - 0.5)  # steady
    first = (1 - 0.05) * 0.25 + (1 - 0.5) * held
    assert level[8] / before == pytest.approx(first, rel=1e-3)
    assert after / before == pytest.approx(0.25, abs=0.01)


def test_unknown_names_are_listed() -> None:
    with pytest.raises(InputError, match="abdomen"):
        scene("belly")
    with pytest.raises(InputError, match="dose"):
        Exposure(0.0)
