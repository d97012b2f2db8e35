"""Devices in moving scenes through filters: retention, SNR, lag, structure, PSNR, SSIM."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from irplan.compute.progress import Progress, no_progress
from irplan.errors import InputError
from irplan.fluoroscopy.detector import DETECTORS, Detector
from irplan.fluoroscopy.filter import FilterFactory, FluoroFilter, Frame, StreamFacts
from irplan.fluoroscopy.quality.device import device_mask, device_quality, device_residual
from irplan.fluoroscopy.quality.similarity import psnr_db, ssim
from irplan.fluoroscopy.quality.structure import structure_change
from irplan.fluoroscopy.scene import Mask, Scene
from irplan.fluoroscopy.simulate import Exposure, photometry, simulate_frames

#: What is measured of one filter on one run: (name, unit, what is better).
DEVICE_MEASURES = (
    ("device_snr", "", "more"),
    ("retention", "", "1"),
    ("lag", "", "less"),
    ("lost", "", "less"),
    ("invented_per_mpx", "1/Mpx", "less"),
    ("psnr_db", "dB", "more"),
    ("device_psnr_db", "dB", "more"),
    ("ssim", "", "more"),
)


@dataclass(frozen=True)
class DeviceRow:
    """One filter on one scene: the means over its frames, by name (`DEVICE_MEASURES`)."""

    filter_name: str
    scene: str
    seed: int
    dose_ngy: float
    values: dict[str, float]


@dataclass(frozen=True, eq=False)
class ScenePair:
    """A scene's frames with and without its first device, under the same noise.

    ``noisy``, ``noisy_without``, ``clean``, ``clean_without``: (frame, row, column) float32;
    the first of them is frame ``first`` of the scene.
    """

    scene: Scene
    dose_ngy: float
    detector: Detector
    noisy: NDArray[np.float32]
    noisy_without: NDArray[np.float32]
    clean: NDArray[np.float32]
    clean_without: NDArray[np.float32]
    first: int = 0

    @property
    def facts(self) -> StreamFacts:
        """What a filter is told."""
        s = self.scene
        return StreamFacts(s.shape, s.rate_hz, photometry(self.detector), s.pixel_mm)

    def part(self, first: int, count: int) -> ScenePair:
        """``count`` frames from ``first`` (for filters that remember little and are slow)."""
        cut = slice(first, first + count)
        return replace(
            self,
            scene=replace(self.scene, frames=count),
            noisy=self.noisy[cut],
            noisy_without=self.noisy_without[cut],
            clean=self.clean[cut],
            clean_without=self.clean_without[cut],
            first=self.first + first,
        )

    def others(self, frame: int) -> Mask:
        """Pixels of the scene's further devices."""
        out: Mask = np.zeros(self.scene.shape, np.bool_)
        for name in self.scene.devices[1:]:
            out |= self.scene.mask(name, self.first + frame, share=0.1)
        return out


def scene_pair(
    scene: Scene,
    dose_ngy: float,
    *,
    detector: Detector = DETECTORS["flat-panel-0.2"],
    progress: Progress = no_progress,
) -> ScenePair:
    """Simulate both runs; `InputError` for a scene without a device."""
    if not scene.devices:
        raise InputError(
            "scene",
            got=f"'{scene.name}', which has no device",
            expected="a scene with a device",
            remedy="Use abdomen, cardiac, neuro or peripheral.",
        )
    exposure = Exposure(dose_ngy)
    stacks = []
    for part, one in enumerate((scene, scene.without(scene.devices[0]))):
        noisy = np.empty((scene.frames, *scene.shape), np.float32)
        clean = np.empty_like(noisy)
        for n, f in enumerate(simulate_frames(one, exposure, detector, seed=scene.seed)):
            progress((part + n / scene.frames) / 2, "simulating scenes")
            noisy[n], clean[n] = f.noisy, f.clean
        stacks += [noisy, clean]
    return ScenePair(scene, dose_ngy, detector, stacks[0], stacks[2], stacks[1], stacks[3])


def measure_devices(
    pair: ScenePair,
    name: str,
    factory: FilterFactory,
    *,
    from_frame: int = 10,
    every: int = 2,
    progress: Progress = no_progress,
) -> DeviceRow:
    """Run one filter over the pair and measure frames ``from_frame``, then every ``every``th.

    Lag: near the end the device is taken away; what is left of it in the first frame without it,
    against the run in which it never was.  Images of a filter that answers late are compared with
    the frames they belong to.
    """
    with_it, never = factory(pair.facts), factory(pair.facts)
    late = int(getattr(with_it, "latency_frames", 0))
    total = pair.scene.frames
    if from_frame + late >= total - 2:
        raise InputError(
            "frames",
            got=f"{total} frames",
            expected=f"more than {from_frame + late + 2}",
            remedy="Simulate longer runs.",
        )
    values: dict[str, list[float]] = {}
    gone_at = total - 1 - late
    lag_filter: FluoroFilter | None = None
    for n in range(total):
        progress(n / total, f"filter {name}")
        shown = with_it.step(pair.noisy[n])
        if n == gone_at - 1:
            lag_filter = factory(pair.facts)
            lag_filter.restore(with_it.state())
        empty = never.step(pair.noisy_without[n])
        if lag_filter is not None and gone_at <= n:
            left = lag_filter.step(pair.noisy_without[n])
            if n == gone_at + late:
                contrast = pair.clean_without[gone_at - 1] - pair.clean[gone_at - 1]
                values["lag"] = [device_residual(left, empty, contrast)]
        k = n - late
        if k >= from_frame and (k - from_frame) % every == 0:
            for key, value in _frame_values(pair, k, shown):
                values.setdefault(key, []).append(value)
    means = {key: float(np.mean(v)) for key, v in values.items()}
    return DeviceRow(name, pair.scene.name, pair.scene.seed, pair.dose_ngy, means)


def _frame_values(pair: ScenePair, k: int, shown: Frame) -> Iterator[tuple[str, float]]:
    image = shown.astype(np.float64)
    clean, without = pair.clean[k].astype(np.float64), pair.clean_without[k].astype(np.float64)
    quality = device_quality(image, clean, without, avoid=pair.others(k))
    yield "device_snr", quality.snr
    yield "retention", quality.retention
    offset = pair.detector.offset
    change = structure_change(image - offset, clean - offset)
    yield "lost", change.lost
    yield "invented_per_mpx", change.invented_per_mpx
    peak = float(clean.max() - offset)
    yield "psnr_db", psnr_db(image, clean, peak=peak)
    yield "device_psnr_db", psnr_db(image, clean, peak=peak, where=device_mask(clean, without))
    yield "ssim", ssim(image, clean, peak=peak)
