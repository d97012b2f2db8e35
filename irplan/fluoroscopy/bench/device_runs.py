"""Devices in moving scenes through filters: retention, SNR, lag, structure, PSNR, SSIM."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

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
    ``corner`` (row, column): where in the scene's frame they begin.
    """

    scene: Scene
    dose_ngy: float
    detector: Detector
    noisy: NDArray[np.float32]
    noisy_without: NDArray[np.float32]
    clean: NDArray[np.float32]
    clean_without: NDArray[np.float32]
    corner: tuple[int, int] = (0, 0)

    @property
    def shape(self) -> tuple[int, int]:
        """Of a frame."""
        rows, columns = self.noisy.shape[1:]
        return rows, columns

    @property
    def facts(self) -> StreamFacts:
        """What a filter is told."""
        s = self.scene
        return StreamFacts(self.shape, s.rate_hz, photometry(self.detector), s.pixel_mm)

    def others(self, frame: int) -> Mask:
        """Pixels of the scene's further devices."""
        out: Mask = np.zeros(self.shape, np.bool_)
        (row, column), (rows, columns) = self.corner, self.shape
        for name in self.scene.devices[1:]:
            mask = self.scene.mask(name, frame, share=0.1)
            out |= mask[row : row + rows, column : column + columns]
        return out


def scene_pair(
    scene: Scene,
    dose_ngy: float,
    *,
    detector: Detector = DETECTORS["flat-panel-0.2"],
    window_px: int | None = None,
    progress: Progress = no_progress,
) -> ScenePair:
    """Simulate both runs; `InputError` for a scene without a device.

    ``window_px``: keep a square of that side about the device, where the scene is larger.
    """
    if not scene.devices:
        raise InputError(
            "scene",
            got=f"'{scene.name}', which has no device",
            expected="a scene with a device",
            remedy="Use abdomen, cardiac, neuro or peripheral.",
        )
    exposure = Exposure(dose_ngy)
    corner, cut = _window(scene, window_px)
    shape = (scene.frames, *np.empty(scene.shape, np.bool_)[cut].shape)

    def stacks(one: Scene, told: Progress) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        noisy, clean = np.empty(shape, np.float32), np.empty(shape, np.float32)
        for n, f in enumerate(simulate_frames(one, exposure, detector, seed=scene.seed)):
            told(n / scene.frames, "simulating scenes")
            noisy[n], clean[n] = f.noisy[cut], f.clean[cut]
        return noisy, clean

    with ThreadPoolExecutor(1) as pool:  # both at a time; each is one thread's work
        other = pool.submit(stacks, scene.without(scene.devices[0]), no_progress)
        with_it = stacks(scene, progress)
        without = other.result()
    return ScenePair(
        scene, dose_ngy, detector, with_it[0], without[0], with_it[1], without[1], corner
    )


def _window(scene: Scene, side: int | None) -> tuple[tuple[int, int], tuple[slice, slice]]:
    """Corner and slices of the square about the first device in the middle frame."""
    if side is None or side >= min(scene.shape):
        return (0, 0), (slice(None), slice(None))
    there = np.argwhere(scene.mask(scene.devices[0], scene.frames // 2))
    middle = np.median(there, axis=0) if len(there) else np.array(scene.shape) / 2
    row, column = (
        int(np.clip(m - side / 2, 0, n - side)) for m, n in zip(middle, scene.shape, strict=True)
    )
    return (row, column), (slice(row, row + side), slice(column, column + side))


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
    # a filter that forgets makes only the frames that are asked for
    spare = hasattr(with_it, "watch") and hasattr(with_it, "memory_frames")
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
        k = n - late
        wanted = k >= from_frame and (k - from_frame) % every == 0 and n < gone_at
        last = n == gone_at + late
        shown = _take(with_it, pair.noisy[n], wanted or not spare)
        if lag_filter is not None and gone_at <= n:
            left = _take(lag_filter, pair.noisy_without[n], last or not spare)
            empty = _take(never, pair.noisy_without[n], last or not spare)
            if last and left is not None and empty is not None:
                contrast = pair.clean_without[gone_at - 1] - pair.clean[gone_at - 1]
                values["lag"] = [device_residual(left, empty, contrast)]
        else:
            _take(never, pair.noisy_without[n], not spare)
        if n == gone_at - 1:
            lag_filter = factory(pair.facts)
            lag_filter.restore(with_it.state())
        if wanted and shown is not None:
            for key, value in _frame_values(pair, k, shown):
                values.setdefault(key, []).append(value)
    means = {key: float(np.mean(v)) for key, v in values.items()}
    return DeviceRow(name, pair.scene.name, pair.scene.seed, pair.dose_ngy, means)


def _take(each: FluoroFilter, frame: Frame, wanted: bool) -> Frame | None:
    if wanted:
        return each.step(frame)
    each.watch(frame)  # type: ignore[attr-defined]
    return None


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
