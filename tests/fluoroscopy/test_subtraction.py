"""Pixel shift against shifts put in, and vessels after subtraction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import fourier_shift

from irplan.errors import InputError
from irplan.fluoroscopy import DETECTORS, Exposure, StreamFacts, scene, simulate
from irplan.fluoroscopy.anatomy import skull
from irplan.fluoroscopy.filter import Raw, filtered
from irplan.fluoroscopy.registration import moved, phase_shift, pixel_shift
from irplan.fluoroscopy.simulate import photometry
from irplan.fluoroscopy.subtraction import Subtraction, choose_mask
from irplan.image import Photometry

FLAT = DETECTORS["flat-panel-0.2"]


def turned(image: np.ndarray, shift: tuple[float, float]) -> np.ndarray:
    return np.fft.ifft2(fourier_shift(np.fft.fft2(image), shift)).real.astype(np.float32)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (3.4, -7.3), (-12.0, 5.5)])
def test_shift_is_found_to_a_fraction_of_a_pixel(shift: tuple[float, float]) -> None:
    rng = np.random.default_rng(1)
    picture = 20.0 - 6.0 * skull((512, 512), 3100, 5.0)
    mask = picture + 0.5 * rng.normal(size=picture.shape).astype(np.float32)
    live = turned(picture, shift) + rng.normal(size=picture.shape).astype(np.float32)
    assert np.allclose(phase_shift(mask, live), np.rint(shift), atol=1.01)
    found = pixel_shift(mask, live)
    assert np.hypot(*(np.array(found.rigid) - shift)) <= 0.2
    back = moved(picture.astype(np.float32), found)[40:-40, 40:-40]
    assert np.abs(back - turned(picture, shift)[40:-40, 40:-40]).mean() < 0.1


def test_elastic_shift_follows_a_bend() -> None:
    from scipy.ndimage import map_coordinates

    picture = (20.0 - 6.0 * skull((384, 384), 3101, 5.0)).astype(np.float32)
    rows, columns = np.meshgrid(*map(np.arange, picture.shape), indexing="ij")
    bend = 2.5 * np.sin(np.pi * columns / 384)
    live = map_coordinates(picture, [rows - bend, columns], order=3, mode="nearest")
    clean = live.copy()
    live += 0.3 * np.random.default_rng(2).normal(size=live.shape).astype(np.float32)
    inner = (slice(40, -40), slice(40, -40))
    rigid = moved(picture, pixel_shift(picture, live))
    elastic = moved(picture, pixel_shift(picture, live, blocks=12))
    left = [float(np.std((m - clean)[inner])) for m in (rigid, elastic)]
    assert left[1] < 0.6 * left[0]


def test_vessels_at_a_quarter_of_the_dose_against_plain_subtraction() -> None:
    made = scene("neuro-dsa", shape=(384, 384), frames=16, rate_hz=5.0, seed=104)
    path = made.path("contrast", 15)
    vessel, ground = path > 0.5 * path.max(), path == 0.0

    def cnr(dose: float, use: bool) -> float:
        noisy, _ = simulate(made, Exposure(dose), FLAT, seed=7)
        each = Subtraction(StreamFacts((384, 384), 5.0, photometry(FLAT)), filtered=use)
        last = list(filtered(each, noisy.frames))[-1]
        return float((last[vessel].mean() - last[ground].mean()) / last[ground].std())

    assert cnr(10.0, True) >= cnr(40.0, False)


def test_mask_choice_and_refusals() -> None:
    made = scene("neuro-dsa", shape=(192, 192), frames=14, rate_hz=5.0, seed=105)
    noisy, _ = simulate(made, Exposure(40.0), FLAT, seed=7)
    frames = choose_mask(noisy)
    arrives = next(n for n in range(14) if made.path("contrast", n).max() > 0.02)
    assert frames[0] == 0
    assert len(frames) <= max(arrives + 1, 1)
    short = replace(noisy, frames=noisy.frames[:2], times_s=noisy.times_s[:2],
                    detector_dose_ngy=None)  # fmt: skip
    assert choose_mask(short) == (0,)  # a frame is left to subtract from
    facts = StreamFacts((192, 192), 5.0, Photometry("display"))
    with pytest.raises(InputError, match="proportion"):
        Subtraction(facts)
    with pytest.raises(InputError, match="rigid"):
        Subtraction(StreamFacts((192, 192)), shift="warp")


def test_stages_are_left_out_and_replaced_after_subtraction_too() -> None:
    rng = np.random.default_rng(3)
    run = [(rng.poisson(40.0, (64, 64)) * 24.0).astype(np.float32) for _ in range(12)]
    facts, kinds = StreamFacts((64, 64)), ({}, {"off": ("spatial",)}, {"own": {"spatial": Raw}})
    each = [Subtraction(facts, shift="none", **kind) for kind in kinds]
    last = [list(filtered(s, run))[-1] for s in each]
    assert last[1].std() > 1.2 * last[0].std()
    assert np.array_equal(last[1], last[2])
    other = Subtraction(facts, shift="none", off=("spatial",))
    other.restore(each[1].state())
    assert np.array_equal(other.step(run[0]), each[1].step(run[0]))


def test_another_dose_in_mid_run_is_no_contrast() -> None:
    made = scene("neuro-dsa", shape=(256, 256), frames=14, rate_hz=5.0, seed=104)
    noisy, _ = simulate(made, Exposure(20.0, automatic=False), FLAT, seed=7)
    stepped = [
        f if n < 10 else (FLAT.offset + 2.5 * (f - FLAT.offset)).astype(np.float32)
        for n, f in enumerate(noisy.frames.astype(np.float32))
    ]
    path = made.path("contrast", 13)
    vessel, ground = path > 0.5 * path.max(), path == 0.0
    facts = StreamFacts((256, 256), 5.0, photometry(FLAT))
    shown = [list(filtered(Subtraction(facts), run))[10:] for run in (noisy.frames, stepped)]
    for same, changed in zip(*shown, strict=True):
        assert abs(changed[ground].mean() - same[ground].mean()) < 0.02  # ln 2.5 = 0.92 untreated
        contrast = [x[vessel].mean() - x[ground].mean() for x in (same, changed)]
        assert contrast[1] == pytest.approx(contrast[0], rel=0.1)
