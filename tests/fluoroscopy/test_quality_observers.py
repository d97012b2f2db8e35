"""Model observers against closed forms, and their intervals against repetition."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from irplan.errors import InputError
from irplan.fluoroscopy.quality.channels import gabor, laguerre_gauss
from irplan.fluoroscopy.quality.npwe import Viewing, eye_filter, npwe, npwe_from_spectra
from irplan.fluoroscopy.quality.observer import channel_outputs, detectability_ratio, hotelling

SIZE = 33


def disc(radius: float = 4.0, contrast: float = 1.0) -> NDArray[np.float64]:
    v, u = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    return contrast * (np.hypot(v, u) <= radius)


def closed_form(signal: NDArray[np.float64], channels: NDArray[np.float64], sd: float) -> float:
    """White noise: d'^2 = (T's)' (T'T)^-1 (T's) / sd^2."""
    seen = channels.T @ signal.ravel()
    return float(np.sqrt(seen @ np.linalg.solve(channels.T @ channels, seen))) / sd


def test_laguerre_gauss_is_orthonormal() -> None:
    channels = laguerre_gauss(101, 5, 20.0)
    assert channels.T @ channels == pytest.approx(np.eye(5), abs=1e-6)


def test_gabor_has_one_octave() -> None:
    f = 0.125
    channel = gabor(129, frequencies_per_px=(f,), orientations=1, phases=(0.0,)).reshape(129, 129)
    power = np.abs(np.fft.rfft(channel.sum(axis=0), 4096))
    frequency = np.fft.rfftfreq(4096)
    inside = frequency[power >= 0.5 * power.max()]
    assert inside[0] == pytest.approx(f * 2 / 3, rel=0.02)
    assert inside[-1] == pytest.approx(f * 4 / 3, rel=0.02)
    assert gabor(33).shape == (33 * 33, 4 * 4 * 2)


@pytest.mark.parametrize("kind", ["lg", "gabor"])
@pytest.mark.parametrize("paired", [False, True])
def test_hotelling_in_white_noise(kind: str, paired: bool) -> None:
    channels = laguerre_gauss(SIZE, 6, 12.0) if kind == "lg" else gabor(SIZE, orientations=2)
    signal, sd = disc(contrast=0.25), 1.0
    expected = closed_form(signal, channels, sd)
    rng = np.random.default_rng(10)
    noise = rng.normal(size=(600, SIZE, SIZE))
    other = noise if paired else rng.normal(size=noise.shape)
    result = hotelling(
        channel_outputs(signal + noise, channels), channel_outputs(other, channels),
        paired=paired, draws=200,
    )  # fmt: skip
    assert result.low <= expected <= result.high
    assert result.d_prime == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize("paired", [False, True])
def test_estimate_is_unbiased_and_intervals_cover(paired: bool) -> None:
    """60 repetitions: the mean within two standard errors; at least 51 intervals hold the truth.

    (With a coverage of 0.95, 51 or fewer of 60 come by chance in 0.6 % of cases.)
    """
    channels = laguerre_gauss(SIZE, 8, 12.0)
    signal = disc(contrast=0.25)
    expected = closed_form(signal, channels, 1.0)
    rng = np.random.default_rng(11)
    found, held = [], 0
    spread = np.linalg.cholesky(channels.T @ channels)
    seen = channels.T @ signal.ravel()
    for k in range(60):
        a = rng.normal(size=(80, 8)) @ spread.T
        b = a if paired else rng.normal(size=(80, 8)) @ spread.T
        result = hotelling(a + seen, b, paired=paired, draws=100, seed=k)
        found.append(result.d_prime**2)
        held += result.low <= expected <= result.high
    error = np.std(found) / np.sqrt(60)
    assert np.mean(found) == pytest.approx(expected**2, abs=2.5 * error)
    assert held >= 51


def test_ratio_of_two_filters_on_the_same_noise() -> None:
    """Halving the noise doubles d'; sharing the noise makes that nearly exact."""
    channels = laguerre_gauss(SIZE, 5, 12.0)
    signal = disc(contrast=0.3)
    noise = np.random.default_rng(12).normal(size=(200, SIZE, SIZE))
    a = channel_outputs(signal + 0.5 * noise, channels), channel_outputs(0.5 * noise, channels)
    b = channel_outputs(signal + noise, channels), channel_outputs(noise, channels)
    both = (hotelling(*x, paired=True, draws=50) for x in (a, b))
    ratio = detectability_ratio(*both)
    assert ratio.value == pytest.approx(2.0, rel=1e-6)
    assert ratio.high - ratio.low < 1e-6


def test_npwe_in_white_noise() -> None:
    viewing = Viewing()
    signal = disc(contrast=0.3)
    rng = np.random.default_rng(13)
    noise = rng.normal(size=(1500, SIZE, SIZE))
    e2 = eye_filter(SIZE, viewing) ** 2
    power = np.abs(np.fft.fft2(signal)) ** 2
    # white noise of SD 1: d'^2 = (sum S^2 E^2)^2 / sum S^2 E^4 / n^2
    expected = float(np.sqrt((power * e2).sum() ** 2 / (power * e2**2).sum() / SIZE**2))
    assert npwe_from_spectra(signal, np.ones((SIZE, SIZE)), viewing) == pytest.approx(expected)
    result = npwe(signal + noise, noise, viewing, paired=True, draws=200)
    assert result.low <= expected <= result.high
    assert result.d_prime == pytest.approx(expected, rel=0.05)


def test_eye_filter_peaks_at_four_cycles_a_degree() -> None:
    viewing = Viewing(600.0, 0.29)
    curve = eye_filter(512, viewing)[0, :256]
    per_degree = np.fft.fftfreq(512)[:256] * 600.0 * np.pi / 180 / 0.29
    assert per_degree[curve.argmax()] == pytest.approx(np.sqrt(1.3 / (2 * 0.0406)), abs=0.1)


def test_observer_refuses() -> None:
    with pytest.raises(InputError):
        hotelling(np.ones((5, 4)), np.ones((5, 4)))
    with pytest.raises(InputError):
        hotelling(np.full((20, 2), np.nan), np.ones((20, 2)))
    with pytest.raises(InputError):
        laguerre_gauss(32, 4, 10.0)
    with pytest.raises(InputError):
        channel_outputs(np.ones((3, 9, 9)), laguerre_gauss(11, 2, 4.0))


def test_covariance_from_further_patches() -> None:
    """White noise, few pairs and many further outputs: d' is the closed form |s| / sigma."""
    rng = np.random.default_rng(11)
    signal = np.array([0.8, -0.5, 0.3, 0.0])
    absent = rng.normal(size=(20, 4))
    more = rng.normal(size=(4000, 4))
    d = hotelling(absent + signal, absent, paired=True, noise=more, draws=100)
    exact = float(np.linalg.norm(signal))
    assert d.d_prime == pytest.approx(exact, rel=0.04)
    assert d.low < exact < d.high
    assert d.high - d.low < 0.12 * exact
    with pytest.raises(InputError, match="noise"):
        hotelling(absent + signal, absent, noise=more)
    with pytest.raises(InputError, match="noise"):
        hotelling(absent + signal, absent, paired=True, noise=more[:, :3])
