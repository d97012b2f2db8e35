"""Devices, structure, PSNR and SSIM on images whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from irplan.errors import InputError
from irplan.fluoroscopy.quality.device import device_quality, device_residual, ring_of
from irplan.fluoroscopy.quality.similarity import psnr_db, ssim
from irplan.fluoroscopy.quality.structure import structure_change

rng = np.random.default_rng(20)
Y, X = np.mgrid[:200, :200].astype(float)
WITHOUT = 1000.0 + 2.0 * X
WIRE = np.abs(X - 100.0) <= 1.5
WITH = WITHOUT - 200.0 * WIRE


@pytest.mark.parametrize("kept", [1.0, 0.7])
def test_retention_and_snr_of_a_faded_wire(kept: float) -> None:
    noise = 50.0 * rng.normal(size=WITH.shape)
    shown = WITHOUT - kept * 200.0 * WIRE + noise + 13.0  # a common offset is no loss
    quality = device_quality(shown, WITH, WITHOUT)
    assert quality.pixels == int(WIRE.sum())
    assert quality.contrast == pytest.approx(200.0)
    # 600 wire pixels of SD 50 over a contrast of 200: standard error 0.01
    assert quality.retention == pytest.approx(kept, abs=0.04)
    # within 4 px: 11 columns, of which 3 miss 200 (1 - kept): that error counts as well
    lost = 200.0 * (1.0 - kept) * np.sqrt(3 * 8) / 11
    assert quality.noise_sd == pytest.approx(np.hypot(50.0, lost), rel=0.05)
    assert quality.snr == pytest.approx(kept * 200.0 / np.hypot(50.0, lost), rel=0.08)


def test_residual_of_a_device_that_left() -> None:
    noise = 30.0 * rng.normal(size=WITH.shape)
    shown = WITHOUT + noise - 0.12 * 200.0 * WIRE
    assert device_residual(shown, WITHOUT + noise, WITHOUT - WITH) == pytest.approx(0.12)


def test_ring_is_three_to_twelve_pixels_off() -> None:
    one = np.zeros((61, 61), dtype=bool)
    one[30, 30] = True
    far = np.maximum(*np.abs(np.mgrid[-30:31, -30:31]))
    assert (ring_of(one) == ((far > 3) & (far <= 12))).all()


def test_no_device_is_refused() -> None:
    with pytest.raises(InputError):
        device_quality(WITHOUT, WITHOUT, WITHOUT)


def test_structure_lost_and_invented() -> None:
    truth = np.full((200, 200), 500.0)
    for row, column in ((50, 50), (50, 150), (150, 50), (150, 150)):
        truth -= 50.0 * np.exp(-((Y - row) ** 2 + (X - column) ** 2) / (2 * 2.5**2))
    same = structure_change(truth, truth)
    assert (same.lost, same.invented_per_mpx) == (0.0, 0.0)
    assert same.structure_px > 0
    half_gone = truth.copy()
    half_gone[:, 100:] = 500.0  # two of four spots erased
    assert structure_change(half_gone, truth).lost == pytest.approx(0.5, abs=0.01)
    extra = truth - 60.0 * np.exp(-((Y - 100) ** 2 + (X - 100) ** 2) / (2 * 2.5**2))
    found = structure_change(extra, truth)
    assert found.lost == 0.0
    assert found.invented_per_mpx * 0.04 >= 1.0  # at least one spot, in one band or more
    with pytest.raises(InputError):
        structure_change(truth, truth - 1000.0)


def test_smoothing_loses_and_noise_invents() -> None:
    truth = 500.0 - 100.0 * gaussian_filter((rng.random((200, 200)) < 0.003).astype(float), 1.0) * 6
    smooth = gaussian_filter(truth, 4.0)
    noisy = truth + 25.0 * rng.normal(size=truth.shape)
    assert structure_change(smooth, truth).lost > 0.8
    counts = [structure_change(truth + s * (noisy - truth), truth).invented_per_mpx
              for s in (0.5, 1.0, 2.0, 4.0)]  # fmt: skip
    assert counts[0] > 1000
    assert counts == sorted(counts)  # more noise invents more, also where its spots touch
    assert structure_change(smooth, truth).invented_per_mpx == 0


def test_psnr_and_ssim() -> None:
    truth = 100.0 + 20.0 * np.sin(X / 9.0)
    shown = truth + 5.0 * rng.normal(size=truth.shape)
    assert psnr_db(shown, truth, peak=255.0) == pytest.approx(10 * np.log10(255**2 / 25), abs=0.1)
    assert psnr_db(truth, truth) == np.inf
    assert ssim(truth, truth) == pytest.approx(1.0)
    # constant images: SSIM = (2 a b + C1) / (a^2 + b^2 + C1)
    c1 = (0.01 * 100.0) ** 2
    flat = ssim(np.full((40, 40), 60.0), np.full((40, 40), 50.0), peak=100.0)
    assert flat == pytest.approx((2 * 60 * 50 + c1) / (60**2 + 50**2 + c1))
