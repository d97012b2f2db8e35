"""The benchmark's parts against theory: discs, observers, dose factor, lag, peers, own runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from irplan.compute.cpu.fluoro_nvca import conditioned_average
from irplan.errors import InputError, MissingExtraError
from irplan.fluoroscopy import DETECTORS, Exposure, Raw, Recursive, StreamFacts, scene, simulate
from irplan.fluoroscopy.bench import peers, suite
from irplan.fluoroscopy.bench.device_runs import measure_devices, scene_pair
from irplan.fluoroscopy.bench.disc_observers import EmptyFrames, observe_cell
from irplan.fluoroscopy.bench.disc_runs import (
    DISC_CELLS,
    DiscCell,
    DiscSetting,
    empty_run,
    frames_with_discs,
)
from irplan.fluoroscopy.bench.dose_factor import dose_factor
from irplan.fluoroscopy.bench.dsa_runs import measure_dsa
from irplan.fluoroscopy.bench.recorded import measure_recorded
from irplan.fluoroscopy.bench.request import BenchRequest
from irplan.fluoroscopy.bench.suite import run_bench
from irplan.fluoroscopy.bench.summary import demands, worst_cell
from irplan.fluoroscopy.devices import Tube
from irplan.fluoroscopy.filter import Frame, State
from irplan.fluoroscopy.pipeline import Pipeline
from irplan.fluoroscopy.quality.observer import Detectability, detectability_ratio
from irplan.image import FluoroSequence, Photometry

IDEAL = DETECTORS["ideal"]


class Late:
    """Raw, two frames late."""

    latency_frames = 2

    def __init__(self, facts: StreamFacts) -> None:
        self._held: list[Frame] = []
        del facts

    def step(self, frame: Frame) -> Frame:
        self._held = [*self._held, frame][-3:]
        return self._held[0]

    def state(self) -> State:
        return {"held": np.stack(self._held)} if self._held else {}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._held = list(state["held"]) if "held" in state else []


def test_empty_runs_are_the_simulator_s() -> None:
    setting = DiscSetting(10.0, (160, 160), 8, (3,))
    made = scene("flat", shape=(160, 160), frames=8)
    noisy, _ = simulate(made, Exposure(10.0, pulse_ms=0.0), setting.detector, seed=3)
    fast = empty_run(setting, 3).frames
    assert np.abs(noisy.frames - fast).max() <= 0.6  # the converter rounds to whole numbers


def test_discs_take_their_quanta_and_nothing_else() -> None:
    setting = DiscSetting(40.0, (160, 160), 8, (4,), detector=IDEAL)
    run = empty_run(setting, 4)
    cell = DiscCell(6.0, 0.2, 2.0)
    frames = list(frames_with_discs(setting, run, cell))
    change = frames[-1] - run.frames[-1]
    centres = setting.centres(cell)
    v, u = np.mgrid[:160, :160]
    inside = np.any([np.hypot(v - r, u - c) <= 4.0 for r, c in centres], axis=0)
    outside = np.all([np.hypot(v - r, u - c) >= 8.0 for r, c in centres], axis=0)
    assert not change[outside].any()
    expected = -0.2 * IDEAL.quanta(40.0) * IDEAL.gain
    assert change[inside].mean() == pytest.approx(expected, rel=0.05)
    # the disc moved 2 px a frame to the right
    before = frames[-4] - run.frames[-4]
    assert np.corrcoef(before[:, :-6].ravel(), change[:, 6:].ravel())[0, 1] > 0.8


@pytest.fixture(scope="module")
def recursive_results() -> dict[float, dict[str, dict[str, Detectability]]]:
    """d' of raw, recursive 0.5 and a late raw for a still and a fast small disc (white noise)."""
    setting = DiscSetting(10.0, (256, 256), 16, tuple(range(200, 212)), detector=IDEAL)
    runs = [empty_run(setting, s) for s in setting.seeds]
    filters = {"raw": Raw, "recursive": Recursive, "late": Late}
    out = {}
    for speed in (0.0, 5.0):
        cell = DiscCell(2.0, 0.3, speed)
        results = observe_cell(cell, setting, runs, filters, EmptyFrames(), draws=100)
        out[speed] = {r.filter_name: r.d_prime for r in results}
    return out


def test_recursive_filter_keeps_the_law(
    recursive_results: dict[float, dict[str, dict[str, Detectability]]],
) -> None:
    """Gain 0.5 in white noise: still sqrt(3); fast, in place sqrt(3)/2; with its trail 1.

    (d' ratio h(0)/sqrt(sum h^2), and the mean gain over frequencies is 1.)
    """
    for speed, observer, expected in (
        (0.0, "in-place", np.sqrt(3.0)),
        (5.0, "in-place", np.sqrt(3.0) / 2.0),
        (5.0, "trail-aware", 1.0),
    ):
        d = recursive_results[speed]
        ratio = detectability_ratio(d["recursive"][observer], d["raw"][observer])
        # the interval, and 0.06 for the tail of the 2 px disc that stays under the channels
        assert ratio.low - 0.06 <= expected <= ratio.high + 0.06, (speed, observer, ratio)
        assert ratio.high - ratio.low < 0.4


def test_a_late_filter_is_judged_on_its_own_frames(
    recursive_results: dict[float, dict[str, dict[str, Detectability]]],
) -> None:
    for speed in (0.0, 5.0):
        d = recursive_results[speed]
        late, raw = d["late"]["in-place"], d["raw"]["in-place"]
        assert late.d_prime == pytest.approx(raw.d_prime, rel=0.15)


def seen(d: float) -> Detectability:
    rng = np.random.default_rng(int(100 * d))
    return Detectability(d, d, d, 100, 5, 0, d * (1.0 + 0.01 * rng.normal(size=200)))


def test_dose_factor_of_quanta() -> None:
    ladder = [(x, seen(4.0 * np.sqrt(x))) for x in (1.0, 0.4, 0.25, 0.14)]
    # twice raw's d' at 25 %: raw needs 4 times the dose, at the ladder's very end
    inside = dose_factor(seen(3.9), 0.25, ladder)
    assert inside.value == pytest.approx(4.0 * (3.9 / 4.0) ** 2, rel=0.01)
    assert inside.low < inside.value < inside.high
    assert not inside.extrapolated
    beyond = dose_factor(seen(8.0), 0.25, ladder)
    assert beyond.value == pytest.approx(16.0, rel=0.02)
    assert beyond.extrapolated
    assert dose_factor(seen(2.0), 0.25, ladder).value == pytest.approx(1.0, rel=0.01)
    with pytest.raises(InputError):
        dose_factor(seen(2.0), 0.25, ladder[:1])


def test_lag_and_retention_of_a_still_wire() -> None:
    line = np.column_stack([np.linspace(-5.0, 200.0, 60), np.full(60, 96.0)])
    still = scene("flat", shape=(192, 192), frames=16).with_layers(Tube("wire", line, 2.0, 0.1))
    pair = scene_pair(still, 40.0, detector=IDEAL)
    raw = measure_devices(pair, "raw", Raw).values
    slow = measure_devices(pair, "slow", lambda facts: Recursive(facts, 0.25)).values
    assert raw["lag"] == pytest.approx(0.0, abs=1e-6)
    assert raw["retention"] == pytest.approx(1.0, abs=0.1)
    assert slow["lag"] == pytest.approx(0.75, abs=0.01)  # 1 - gain
    # variance gain/(2 - gain) = 1/7
    assert slow["psnr_db"] - raw["psnr_db"] == pytest.approx(10 * np.log10(7.0), abs=0.3)
    assert slow["invented_per_mpx"] < raw["invented_per_mpx"]
    late = measure_devices(pair, "late", Late).values
    assert late["retention"] == pytest.approx(raw["retention"], abs=0.05)


def test_stabilised_noise_has_sd_one_and_the_inverse_no_bias() -> None:
    photometry = Photometry("linear", gain=24.0, electronic_sd=30.0, offset=100.0)
    rng = np.random.default_rng(5)
    y = 24.0 * rng.poisson(9.0, (400, 400)) + 100.0 + 30.0 * rng.normal(size=(400, 400))
    f = peers.stabilised(y.astype(np.float32), photometry)
    assert f.std() == pytest.approx(1.0, abs=0.02)
    back = peers.restored(np.full((4, 4), f.mean(), np.float32), photometry)
    assert back.mean() == pytest.approx(24.0 * 9.0 + 100.0, rel=0.01)


def test_conditioned_average_against_plain_loops() -> None:
    frames = np.random.default_rng(6).normal(size=(3, 12, 13)).astype(np.float32)
    out = np.empty((12, 13), np.float32)
    conditioned_average(frames, 1, 1.0, out)
    for i, j in ((0, 0), (5, 6), (11, 12), (3, 0)):
        block = frames[:, max(0, i - 1) : i + 2, max(0, j - 1) : j + 2]
        near = block[np.abs(block - frames[2, i, j]) <= 1.0]
        assert out[i, j] == pytest.approx(near.mean(), rel=1e-5)


def test_recorded_run_of_white_noise() -> None:
    rng = np.random.default_rng(7)
    frames = (1000.0 + 50.0 * rng.normal(size=(40, 128, 128))).astype(np.float32)
    run = FluoroSequence(frames, np.arange(40) / 15.0)
    raw, half = measure_recorded(run, {"raw": Raw, "recursive:0.5": Recursive})
    assert (raw.noise_left, raw.motion_loss) == (1.0, 1.0)
    assert half.noise_left == pytest.approx(np.sqrt(1 / 3), abs=0.03)
    assert half.frame_correlation == pytest.approx(0.5, abs=0.05)
    with pytest.raises(InputError):
        measure_recorded(replace(run, frames=frames[:4], times_s=run.times_s[:4]), {"raw": Raw})


def test_recorded_runs_without_light_or_noise() -> None:
    rng = np.random.default_rng(4)
    frames = (rng.poisson(40.0, (24, 64, 64)) * 20).astype(np.uint16)
    times = np.arange(24) / 15.0
    dark = frames.copy()
    dark[15] = 0
    general = {"general": Pipeline}
    left = [measure_recorded(FluoroSequence(f, times), general)[0].noise_left
            for f in (frames, dark)]  # fmt: skip
    assert left[0] < 0.6
    assert left[1] == pytest.approx(left[0], abs=0.05)
    with pytest.raises(InputError, match="all alike"):
        measure_recorded(FluoroSequence(np.full_like(frames, 500), times), general)


def test_whole_benchmark_and_a_peer_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = (DiscCell(5.0, 0.1, 0.0), DiscCell(5.0, 0.1, 3.0))
    tiny = suite._Size((192, 192), 160, (100,), 18, (208, 208), (100, 101, 102, 103), cells, 40)
    monkeypatch.setattr(suite, "_size", lambda level: tiny)
    absent = replace(peers.PEERS["bm3d"], needs="no_such_module_of_irplan")
    monkeypatch.setitem(peers.PEERS, "bm3d", absent)
    request = BenchRequest(("recursive:0.25", "bm3d"), ("abdomen",), (1.0, 0.25), level="quick")
    told: list[float] = []
    result = run_bench(request, progress=lambda fraction, message: told.append(fraction))
    status = {f.name: f.status for f in result.filters}
    assert status == {
        "raw": "measured", "recursive:0.5": "measured", "recursive:0.25": "measured",
        "bm3d": "not installed",
    }  # fmt: skip
    assert told == sorted(told)
    assert told[-1] == 1.0
    worst = worst_cell(result, "recursive:0.25", "in-place")
    assert worst is not None
    assert worst.cell.speed_px == 3.0
    still = [f for f in result.factors if f.cell.speed_px == 0.0 and f.dose == 0.25
             and f.observer == "in-place" and f.against == "raw"]  # fmt: skip
    assert {f.filter_name for f in still} == {"recursive:0.5", "recursive:0.25"}
    # still disc: variance ratio 1/3 less what the detector's lag has done already
    half = next(f.factor for f in still if f.filter_name == "recursive:0.5")
    assert half.low < 3.0 < half.high * 1.3
    verdicts = {d.name: d.verdict for d in demands(result, "recursive:0.25")}
    assert verdicts["still discs, least d' over raw"] == "not measured"
    assert verdicts["first-frame lag at 25 % dose"] == "MISSED"
    with pytest.raises(MissingExtraError):
        peers.peer("bm3d")


@pytest.mark.parametrize(
    "change",
    [{"doses": (0.25,)}, {"doses": (1.0, -1.0)}, {"scenes": ("flat",)}, {"level": "huge"},
     {"full_dose_ngy": 0.0}],
)  # fmt: skip
def test_requests_that_cannot_be_run(change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        BenchRequest(("raw",), **change)
    assert len(DISC_CELLS) == 48


def test_subtraction_finds_the_drift() -> None:
    """Half a run at full dose: within the limit of 0.2 px, and filtered beats unprocessed."""
    rows = {
        r.method: r
        for r in measure_dsa(
            40.0,
            ("unprocessed", "rigid shift, filtered"),
            seeds=(100,),
            shape=(384, 384),
            frames=18,
        )
    }
    assert rows["rigid shift, filtered"].misregistration_px <= 0.2
    assert np.isnan(rows["unprocessed"].misregistration_px)
    assert rows["unprocessed"].true_shift_px > 0.5
    assert rows["rigid shift, filtered"].vessel_cnr > 1.5 * rows["unprocessed"].vessel_cnr
    with pytest.raises(InputError):
        measure_dsa(40.0, frames=8)
