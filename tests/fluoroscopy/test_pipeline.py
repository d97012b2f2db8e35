"""The pipeline against the law of linear filters, its own state, and steps of exposure."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from irplan.errors import InputError
from irplan.fluoroscopy import DETECTORS, Exposure, StreamFacts, scene, simulate
from irplan.fluoroscopy.filter import filtered, make_filter
from irplan.fluoroscopy.lines import MEDIAN_BEST, LineFinder
from irplan.fluoroscopy.noise import block_noise, fit_noise
from irplan.fluoroscopy.pipeline import Pipeline
from irplan.fluoroscopy.quality.lag import step_lag
from irplan.fluoroscopy.settings import PRESETS, FluoroSettings, TemporalSettings, preset
from irplan.fluoroscopy.simulate import photometry
from irplan.fluoroscopy.spatial import SpatialStage
from irplan.fluoroscopy.temporal import TemporalStage
from irplan.image import Photometry

IDEAL, FLAT = DETECTORS["ideal"], DETECTORS["flat-panel-0.2"]


def white(frames: int, size: int = 192, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 20.0 + rng.normal(size=(frames, size, size)).astype(np.float32)


def test_temporal_stage_obeys_the_law_of_linear_filters() -> None:
    """White noise: variance is sum h^2 of the weights that an impulse in time shows."""
    settings = TemporalSettings()
    frames = white(40)
    tiny = np.zeros_like(frames[0])
    tiny[96, 96] = 0.01  # too weak for any gate
    plain, bumped = (TemporalStage((192, 192), settings) for _ in range(2))
    weights = []
    for n, frame in enumerate(frames):
        a = plain.step(frame).copy()
        b = bumped.step(frame + (tiny if n == 20 else 0.0)).copy()
        if n >= 20:
            weights.append((b - a)[96, 96] / 0.01)
    assert weights[0] == pytest.approx(settings.show, abs=0.01)
    # a still object is seen with all weights, an object of one frame with the first alone
    late = plain.step(white(1, seed=9)[0])
    variance = float(np.var(late - 20.0))
    gain_still, gain_fast = variance**-0.5, settings.show * variance**-0.5
    assert gain_still >= 2.4
    assert gain_fast >= 0.90


def test_noise_model_is_found_from_the_run() -> None:
    made = scene("abdomen", shape=(256, 256), frames=2, seed=101)
    noisy, _ = simulate(made, Exposure(20.0), IDEAL, seed=4)
    first, second = (f.astype(np.float32) for f in noisy.frames)
    model = fit_noise(*block_noise(second, first), photometry(IDEAL))
    assert model.gain == pytest.approx(IDEAL.gain, rel=0.05)
    stable = np.empty_like(first)
    other = np.empty_like(first)
    model.stabilise(first, stable)
    model.stabilise(second, other)
    assert np.std(stable - other) / np.sqrt(2) == pytest.approx(1.0, abs=0.04)
    back = np.empty_like(first)
    model.unstabilise(stable, back)
    np.testing.assert_allclose(back, first + 0.25 * model.gain, rtol=1e-3, atol=0.5)


def test_table_model_where_values_are_not_linear() -> None:
    rng = np.random.default_rng(3)
    level = np.linspace(20, 220, 256)[None, :].repeat(256, axis=0)
    sd = 2.0 + 0.03 * level
    one, two = ((level + sd * rng.normal(size=level.shape)).astype(np.float32) for _ in range(2))
    model = fit_noise(*block_noise(two, one), Photometry("display", saturation=255.0))
    assert model.knots.size
    for value in (60.0, 120.0, 180.0):
        assert model.variance(value) ** 0.5 == pytest.approx(2.0 + 0.03 * value, rel=0.12)


def test_line_noise_constant_and_finder() -> None:
    rng = np.random.default_rng(0)
    finder = LineFinder((256, 256))
    picture = rng.normal(size=(256, 256)).astype(np.float32)
    along = np.convolve(np.ones(21) / 21, [0.25, 0.5, 0.25])
    sd = float(np.sqrt((along**2).sum() * 0.375))  # of one smoothed line mean in white noise
    finder.find(picture, sd)
    assert finder.noise_sd(np.empty(8192, np.float32)) == pytest.approx(sd, rel=0.04)
    assert np.median(np.abs(finder.best)) == pytest.approx(MEDIAN_BEST * sd, rel=0.03)
    picture[:, 128:130] -= 3.0
    finder.find(picture, sd)
    assert np.median(finder.which[20:-20, 128]) == 12  # of 24 over 180 degrees: upright
    assert np.median(finder.best[20:-20, 128]) < -8 * sd


def test_spatial_stage_keeps_wires_and_lowers_noise() -> None:
    rng = np.random.default_rng(5)
    wire = np.zeros((192, 192), np.float32)
    rows = np.arange(192)
    for r in rows:
        wire[r, 60 + r // 3 : 63 + r // 3] = -2.0
    stage = SpatialStage((192, 192), PRESETS["general"].spatial)
    noise = rng.normal(size=(8, 192, 192)).astype(np.float32)
    shown = np.mean([stage.step(wire + n) - stage.step(n) for n in noise], axis=0)
    on = wire < 0
    on[:24], on[-24:] = False, False
    assert 0.85 <= float(shown[on].mean() / -2.0) <= 1.2
    assert np.std(stage.step(noise[0])) < 0.72


def test_first_frame_lag() -> None:
    made = scene("flat", shape=(192, 192), frames=16)
    noisy, clean = simulate(made, Exposure(10.0), replace(FLAT, lag=0.0), seed=2)
    block = np.zeros((192, 192), bool)
    block[64:128, 64:128] = True
    each = Pipeline(StreamFacts((192, 192), 15.0, photometry(FLAT)))
    shown = []
    for n, frame in enumerate(noisy.frames.astype(np.float32)):
        if n < 12:
            frame = frame - 0.35 * (clean.frames[n] - 100.0) * block
        out = each.step(frame)
        shown.append(float(out[~block].mean() - out[72:120, 72:120].mean()))
    assert step_lag(shown, 11).first_frame <= 0.15


def test_a_step_of_exposure_leaves_no_lag_and_is_told() -> None:
    made = scene("abdomen", shape=(192, 192), frames=14, seed=102)
    steps = Exposure(20.0, dose_steps=((10, 0.5),))
    noisy, clean = simulate(made, steps, replace(FLAT, lag=0.0), seed=2)
    each = Pipeline(StreamFacts((192, 192), 15.0, photometry(FLAT)))
    outs = list(filtered(each, noisy.frames))
    for n in (10, 11):
        error = outs[n] - clean.frames[n]
        assert abs(error.mean()) < 0.02 * (clean.frames[n].mean() - 100.0)
    assert each.exposure_changes == 1
    assert "exposure changed 1" in each.notes[0]


@pytest.mark.parametrize("dark", [(0,), (9, 10), (9, 10, 11, 12, 13, 14)])
def test_frames_without_light_are_passed_over(dark: tuple[int, ...]) -> None:
    """The beam was off: shown as they came; what follows is as if they had not been, or begins."""
    rng = np.random.default_rng(5)
    frames = [(rng.poisson(9.0, (64, 64)) * 24.0 + 100.0).astype(np.float32) for _ in range(24)]
    run = [np.full((64, 64), 100.0, np.float32) if n in dark else f for n, f in enumerate(frames)]
    facts = StreamFacts((64, 64), photometry=Photometry(gain=24.0, offset=100.0))
    each = Pipeline(facts)
    shown = [each.step(f) for f in run]
    for n in dark[:3]:
        assert np.abs(shown[n] - 100.0).max() < 1.0
    kept = [f for n, f in enumerate(frames) if n not in dark]
    fresh = Pipeline(facts)
    if len(dark) > 3 or dark[0] == 0:  # of another order for long: a run that begins anew
        kept = kept[dark[0] :]
    assert np.array_equal(shown[-1], [fresh.step(f) for f in kept][-1])
    assert each.dark_frames == (0 if dark[0] == 0 else min(3, len(dark)))
    other = Pipeline(facts)
    other.restore(each.state())
    assert np.array_equal(other.step(frames[0]), each.step(frames[0]))


def test_frames_too_small_for_blocks_are_refused() -> None:
    with pytest.raises(InputError, match="16 or more"):
        Pipeline(StreamFacts((8, 64)))


def test_state_goes_on_and_nothing_grows() -> None:
    noisy, _ = simulate(scene("cardiac", shape=(130, 140), frames=14, seed=103), Exposure(), FLAT)
    facts = StreamFacts((130, 140), 15.0, photometry(FLAT))
    whole = Pipeline(facts)
    expected = list(filtered(whole, noisy.frames))
    assert expected[0].shape == (130, 140)
    for at in (3, 10):
        first = Pipeline(facts)
        list(filtered(first, noisy.frames[:at]))
        second = Pipeline(facts)
        second.restore(first.state())
        after = list(filtered(second, noisy.frames[at:]))
        np.testing.assert_allclose(after, expected[at:], rtol=1e-5, atol=1e-3)
    sizes = {k: np.asarray(v).nbytes for k, v in whole.state().items()}
    for frame in noisy.frames:
        whole.step(frame.astype(np.float32))
    assert sizes == {k: np.asarray(v).nbytes for k, v in whole.state().items()}


def halved_spatial(facts: StreamFacts) -> object:
    class Half:
        def step(self, frame: np.ndarray) -> np.ndarray:
            return (0.5 * frame).astype(np.float32)

        def state(self) -> dict[str, np.ndarray]:
            return {}

        def restore(self, state: object) -> None:
            del state

    return Half()


def test_stages_can_be_left_out_or_replaced() -> None:
    facts = StreamFacts((64, 64), 15.0, photometry(FLAT))
    frame = np.full((64, 64), 400.0, np.float32)
    frame += np.random.default_rng(1).normal(size=frame.shape).astype(np.float32)
    bare = Pipeline(facts, off=("motion", "temporal", "spatial", "enhance"))
    np.testing.assert_allclose(bare.step(frame), frame + 0.25 * bare.model.gain, atol=0.6)
    own = Pipeline(
        facts,
        off=("temporal", "motion"),
        own={"spatial": "tests.fluoroscopy.test_pipeline:halved_spatial"},
    )
    x = np.empty_like(frame)
    shown = own.step(frame)
    own.model.stabilise(frame, x)
    back = np.empty_like(frame)
    own.model.unstabilise(0.5 * x, back)
    np.testing.assert_allclose(shown, back, rtol=1e-4, atol=0.1)
    with pytest.raises(InputError, match="spatial"):
        Pipeline(facts, off=("sharpen",))


def test_presets_and_the_knob() -> None:
    assert preset("cardiac").temporal.show > preset("neuro").temporal.show
    with pytest.raises(InputError, match="cardiac"):
        preset("heart")
    with pytest.raises(InputError, match=r"0.05 to 1"):
        FluoroSettings().with_show(0.0)
    raw = FluoroSettings().with_show(1.0)
    stage = TemporalStage((64, 64), raw.temporal)
    for frame in white(5, 64):
        out = stage.step(frame)
    np.testing.assert_allclose(out, frame, atol=1e-4)
    assert isinstance(make_filter("neuro", StreamFacts((64, 64))), Pipeline)


def test_frames_that_are_wrong() -> None:
    each = Pipeline(StreamFacts((64, 64)))
    each.step(white(1, 64)[0])
    with pytest.raises(InputError, match="mid-run"):
        each.step(white(1, 72)[0])
    with pytest.raises(InputError, match="NaN"):
        each.step(np.full((64, 64), np.nan, np.float32))
    with pytest.raises(InputError, match="step first"):
        _ = Pipeline(StreamFacts((64, 64))).model


def test_it_keeps_pace() -> None:
    """Processor time (a shared machine) within 3 times the target's, at a quarter of the size."""
    frames = white(8, 512)
    each = Pipeline(StreamFacts((512, 512)))
    spent = []
    for frame in frames:
        began = time.process_time()
        each.step(frame)
        spent.append(time.process_time() - began)
    assert min(spent) < 3 * 2 * 0.0333 / 4
