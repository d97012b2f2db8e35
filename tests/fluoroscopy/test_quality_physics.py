"""Noise power, transfer functions, DQE and lag against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import erf

from irplan.errors import InputError
from irplan.fluoroscopy.quality.contrast import contrast_to_noise
from irplan.fluoroscopy.quality.dqe import dqe
from irplan.fluoroscopy.quality.lag import frame_correlation, recursive_variance_ratio, step_lag
from irplan.fluoroscopy.quality.mtf import disc_ttf, edge_mtf, round_wire_transfer, wire_mtf
from irplan.fluoroscopy.quality.nps import lag_corrected, noise_power

PIXEL = 0.2
Image = NDArray[np.float64]


# ---- noise power


def test_white_noise_integral_is_the_variance() -> None:
    images = 100.0 + 5.0 * np.random.default_rng(1).normal(size=(4, 512, 512))
    result = noise_power(images, PIXEL, region_px=256)
    assert result.integral == pytest.approx(25.0, rel=0.01)
    assert result.regions == 4 * 9
    # flat: sigma^2 dx dy in each tenth of the frequencies
    for part in np.array_split(result.radial_power[4:], 10):
        assert part.mean() == pytest.approx(25.0 * PIXEL**2, rel=0.03)
    assert result.normalised.mean() == pytest.approx(25.0 * PIXEL**2 / 1e4, rel=0.02)


def test_coloured_noise_has_the_filter_s_power() -> None:
    white = np.random.default_rng(2).normal(size=(6, 256, 256))
    sigma_px = 1.2
    soft = np.stack([gaussian_filter(w, sigma_px, mode="wrap") for w in white])
    result = noise_power(soft, PIXEL, region_px=128)
    f = result.radial_per_mm * PIXEL
    expected = PIXEL**2 * np.exp(-((2 * np.pi * sigma_px * f) ** 2))
    near = (f > 0.03) & (f < 0.2)
    assert result.radial_power[near] == pytest.approx(expected[near], rel=0.12)


def test_shading_is_not_noise() -> None:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[-1:1:256j, -1:1:256j]
    shaded = 50.0 + 20.0 * x + 9.0 * y**2 + 2.0 * rng.normal(size=(256, 256))
    assert noise_power(shaded, PIXEL, region_px=128).integral == pytest.approx(4.0, rel=0.02)


@pytest.mark.parametrize("bad", [np.full((64, 64), np.nan), np.ones((8, 8)), np.ones(5)])
def test_noise_power_refuses(bad: Image) -> None:
    with pytest.raises(InputError):
        noise_power(bad, PIXEL, region_px=64)
    with pytest.raises(InputError):
        noise_power(np.ones((64, 64)), -1.0, region_px=64)


# ---- transfer


def edge(sigma_px: float, angle_deg: float, size: int = 200, box: bool = False) -> Image:
    """A Gaussian-blurred edge sampled exactly (erf), off the columns by ``angle_deg``."""
    v, u = np.mgrid[:size, :size] - (size - 1) / 2.0
    d = u * np.cos(np.radians(angle_deg)) - v * np.sin(np.radians(angle_deg))
    return 100.0 + 50.0 * erf(d / (np.sqrt(2) * sigma_px))


@pytest.mark.parametrize("angle", [2.0, 5.0, -7.0])
@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("turned", [False, True])
def test_edge_mtf_of_a_gaussian(angle: float, sigma: float, turned: bool) -> None:
    image = edge(sigma, angle)
    result = edge_mtf(image.T if turned else -image, PIXEL)
    f = result.frequency_per_mm * PIXEL
    assert result.transfer == pytest.approx(np.exp(-2 * (np.pi * sigma * f) ** 2), abs=0.01)
    assert abs(result.angle_deg) == pytest.approx(abs(angle), abs=0.1)
    assert result.contrast == pytest.approx(100.0, rel=0.01)


def test_edge_mtf_with_noise() -> None:
    noisy = edge(1.0, 3.0, 300) + np.random.default_rng(4).normal(size=(300, 300))
    result = edge_mtf(noisy, PIXEL, reach_mm=4.0)
    f = result.frequency_per_mm * PIXEL
    assert result.transfer == pytest.approx(np.exp(-2 * (np.pi * f) ** 2), abs=0.03)


@pytest.mark.parametrize("sigma", [0.7, 1.5])
def test_wire_mtf_of_a_gaussian(sigma: float) -> None:
    size = 200
    v, u = np.mgrid[:size, :size] - (size - 1) / 2.0
    d = u * np.cos(np.radians(3.0)) - v * np.sin(np.radians(3.0))
    wire = 200.0 + 0.1 * u - 40.0 * np.exp(-0.5 * (d / sigma) ** 2)
    result = wire_mtf(wire, PIXEL)
    f = result.frequency_per_mm * PIXEL
    assert result.transfer == pytest.approx(np.exp(-2 * (np.pi * sigma * f) ** 2), abs=0.01)


def test_wire_width_is_taken_out() -> None:
    """A strip 2 px wide under a Gaussian: known wire, known answer."""
    v, u = np.mgrid[:200, :200] - 99.5
    d = u * np.cos(np.radians(4.0)) - v * np.sin(np.radians(4.0))
    s = np.sqrt(2.0) * 1.0
    strip = erf((d + 1.0) / s) - erf((d - 1.0) / s)
    result = wire_mtf(strip, PIXEL, wire_mm=2.0 * PIXEL)
    f = result.frequency_per_mm * PIXEL
    low = f < 0.35
    assert result.transfer[low] == pytest.approx(np.exp(-2 * (np.pi * f[low]) ** 2), abs=0.012)
    # a round wire's shadow: the transform of a half circle, first zero at 1.2197 / diameter
    assert round_wire_transfer([0.0, 1.2197 / 0.5], 0.5) == pytest.approx([1.0, 0.0], abs=1e-4)


def test_disc_ttf_of_a_gaussian() -> None:
    v, u = np.mgrid[:161, :161] - 80.0
    sub = np.zeros((161, 161))
    for a in (-0.375, -0.125, 0.125, 0.375):
        for b in (-0.375, -0.125, 0.125, 0.375):
            sub += np.hypot(v + a, u + b) <= 40.0
    disc = 100.0 - 5.0 * gaussian_filter(sub / 16.0, 1.5, truncate=6)
    result = disc_ttf(disc, PIXEL, (80.0, 80.0), 40.0, reach_px=20.0)
    f = result.frequency_per_mm * PIXEL
    low = f < 0.3  # the pixel's own aperture is in the image as well
    expected = np.exp(-2 * (np.pi * 1.5 * f) ** 2) * np.sinc(f)
    assert result.transfer[low] == pytest.approx(expected[low], abs=0.012)
    assert result.contrast == pytest.approx(5.0, rel=0.01)


@pytest.mark.parametrize(
    "bad", [np.ones((64, 64)), edge(1.0, 0.0, 64), np.ones((8, 8)), edge(1.0, 40.0, 64)]
)
def test_no_edge_is_refused(bad: Image) -> None:
    with pytest.raises(InputError):
        edge_mtf(bad, PIXEL)


# ---- DQE


def test_dqe_of_counted_quanta_is_their_share() -> None:
    """A detector that counts 60 % of the quanta with a Gaussian blur after: DQE 0.6 everywhere."""
    rng = np.random.default_rng(5)
    dose, snr2 = 0.04, 30174.0
    quanta = dose * snr2 * PIXEL**2 * 0.6
    flat = rng.poisson(quanta, size=(12, 256, 256)).astype(float)
    f = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None, :])
    blur = np.exp(-2 * (np.pi * 0.6 * f) ** 2)
    blurred = np.fft.irfft2(np.fft.rfft2(flat) * blur, s=(256, 256))
    result = edge_mtf(edge(0.6, 3.0), PIXEL)
    at, values = dqe(result, noise_power(blurred, PIXEL, region_px=128), dose)
    near = (at > 0.2) & (at < 2.2)
    for part in np.array_split(values[near], 6):
        # the lowest sixth averages some 300 independent samples: 3 % standard error
        assert part.mean() == pytest.approx(0.6, abs=0.03)


# ---- lag


@pytest.mark.parametrize("gain", [0.2, 0.5, 0.8])
def test_recursive_filter_lag_and_noise(gain: float) -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=(60, 96, 96))
    y = np.empty_like(x)
    y[0] = x[0] * np.sqrt(recursive_variance_ratio(gain))  # in its steady state
    for n in range(1, 60):
        y[n] = y[n - 1] + gain * (x[n] - y[n - 1])
    assert y.var() == pytest.approx(gain / (2 - gain), rel=0.03)
    rho = frame_correlation(y)
    assert rho == pytest.approx(1.0 - gain, abs=0.01)
    power = noise_power(y, PIXEL, region_px=64)
    corrected = lag_corrected(power.power, rho)
    step = power.frequency_per_mm[1] - power.frequency_per_mm[0]
    assert corrected.sum() * step**2 == pytest.approx(1.0, rel=0.05)
    step_on = np.r_[np.full(10, 7.0), 7.0 * (1 - gain) ** np.arange(1, 5)]
    assert step_lag(step_on, 9).first_frame == pytest.approx(1 - gain)
    assert step_lag(step_on + 2.0, 9, dark=2.0).residual == pytest.approx(
        (1 - gain) ** np.arange(1, 5)
    )


def test_lag_refuses() -> None:
    with pytest.raises(InputError):
        step_lag([1.0, 1.0], 1)
    with pytest.raises(InputError):
        step_lag([0.0, 0.0, 0.0], 1)
    with pytest.raises(InputError):
        frame_correlation(np.ones((8, 8, 8)))
    with pytest.raises(InputError):
        lag_corrected(np.ones(3), 1.0)


# ---- contrast to noise


def test_contrast_to_noise() -> None:
    rng = np.random.default_rng(7)
    images = 100.0 + 4.0 * rng.normal(size=(200, 64, 64))
    v, u = np.mgrid[:64, :64] - 31.5
    inside, outside = np.hypot(v, u) < 8, np.hypot(v, u) > 14
    images[:, inside] -= 6.0
    result = contrast_to_noise(images, inside, outside)
    assert result.low <= 1.5 <= result.high
    assert result.cnr == pytest.approx(1.5, rel=0.02)
    assert result.contrast == pytest.approx(-6.0, rel=0.02)
    with pytest.raises(InputError):
        contrast_to_noise(images, inside, inside)


# ---- pylinac 3.49.0, in an environment of its own (python -m venv v && v/bin/pip install pylinac):
#
#   import numpy as np; from scipy.special import erf; from scipy.ndimage import gaussian_filter
#   from pylinac.core.nps import noise_power_spectrum_1d, noise_power_spectrum_2d
#   from pylinac.core.mtf import EdgeSpreadFunctionMTF
#   soft = [gaussian_filter(w, 1.2, mode="wrap")
#           for w in np.random.default_rng(2).normal(size=(6, 256, 256))]
#   rois = [f[r:r+128, c:c+128] for f in soft for r in (0, 64, 128) for c in (0, 64, 128)]
#   one = noise_power_spectrum_1d(noise_power_spectrum_2d(0.2, rois)); print(one[[8, 12, 16, 20]])
#   v, u = np.mgrid[:200, :200] - 99.5; a = np.radians(5)
#   image = 100 + 50 * erf((u * np.cos(a) - v * np.sin(a)) / np.sqrt(2))
#   m = EdgeSpreadFunctionMTF(list(image[60:140]), sample_spacing=0.2, windowing=None)
#   print(np.interp([0.25, 0.5, 0.75, 1.0], m.freq, m.mtf))


def test_noise_power_equals_pylinac() -> None:
    white = np.random.default_rng(2).normal(size=(6, 256, 256))
    soft = np.stack([gaussian_filter(w, 1.2, mode="wrap") for w in white])
    power = noise_power(soft, PIXEL, region_px=128, degree=0).power
    ring = np.hypot(*(np.indices(power.shape) - 64)).astype(int)  # pylinac rounds down
    ours = [power[ring == k].mean() for k in (8, 12, 16, 20)]
    assert ours == pytest.approx([0.0310303, 0.0241722, 0.0158678, 0.00971383], rel=1e-5)


def test_edge_agrees_with_pylinac() -> None:
    """pylinac takes numpy.gradient along each row and leaves its transfer, sinc(2 f p), in."""
    result = edge_mtf(edge(1.0, 5.0), PIXEL)
    f = np.array([0.25, 0.5, 0.75, 1.0])
    ours = result.at(f) * np.sinc(2 * f * PIXEL)
    assert ours == pytest.approx([0.9359, 0.7668, 0.5487, 0.3416], abs=0.005)
