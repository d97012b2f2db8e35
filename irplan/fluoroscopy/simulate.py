"""From a scene to a noisy run: dose, scatter, glare, blur, quanta, electronics, lag, converter."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2
from scipy.ndimage import gaussian_filter, zoom

from irplan.compute.cpu import fluoro_noise
from irplan.compute.progress import Progress, no_progress
from irplan.errors import InputError
from irplan.fluoroscopy.detector import Detector
from irplan.fluoroscopy.scene import Image, Scene
from irplan.image import FluoroSequence, Photometry, Technique

_QUANTA, _ELECTRONS = 1, 2  # streams of the noise
_SMEAR = 4  # moments within a pulse


@dataclass(frozen=True)
class Exposure:
    """How a scene is exposed.

    Parameters
    ----------
    dose_ngy : air kerma at the detector a frame, averaged over the measuring field (the central
        half), in the frame the exposure control has settled on.
    pulse_ms : length of the pulse (motion blur); 0: none.
    automatic : exposure control follows the scene with ``settle`` of the gap a frame; False: the
        tube output stays as set for the first frame.
    dose_steps : (frame, factor) pairs: from that frame on the dose is multiplied by factor.
    """

    dose_ngy: float = 10.0
    pulse_ms: float = 8.0
    automatic: bool = True
    settle: float = 0.4
    dose_steps: tuple[tuple[int, float], ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.dose_ngy) and self.dose_ngy > 0.0 and self.pulse_ms >= 0.0):
            raise InputError(
                "exposure",
                got=f"{self.dose_ngy} nGy, pulses of {self.pulse_ms} ms",
                expected="a positive dose, and pulses of 0 ms or more",
                remedy="Fluoroscopy takes 5 to 100 nGy a frame.",
            )


@dataclass(frozen=True, eq=False)
class SimulatedFrame:
    """One frame: ``noisy`` and its noise-free ``clean`` twin (same blur, lag and scatter).

    Both (row, column) float32, value units of the detector; ``dose_ngy`` actually given.
    """

    noisy: Image
    clean: Image
    dose_ngy: float


def photometry(detector: Detector) -> Photometry:
    """What values of this detector mean."""
    sd = detector.electronic_sd_quanta * detector.gain
    return Photometry(
        "linear",
        gain=detector.gain,
        electronic_sd=sd if sd > 0.0 else None,
        offset=detector.offset,
        saturation=float(2**detector.bits - 1),
        bits=detector.bits,
    )


def simulate_frames(
    scene: Scene,
    exposure: Exposure,
    detector: Detector,
    *,
    seed: int = 0,
    frames: int | None = None,
) -> Iterator[SimulatedFrame]:
    """Frames of ``scene`` one by one.

    The same ``seed`` gives paired noise: the uniform number behind each pixel's quanta depends
    on seed, frame and pixel only, so runs that differ in dose, or in one layer, share it.
    """
    mtf = _mtf(scene.shape, detector) if detector.mtf_c > 0.0 else None
    tube = 0.0
    lag_noisy = np.zeros(scene.shape, np.float32)
    lag_clean = np.zeros(scene.shape, np.float32)
    for n in range(scene.frames if frames is None else frames):
        primary = _pulse(scene, scene.time_s(n), exposure.pulse_ms)
        light = _scattered(primary, detector)
        factor = math.prod(f for at, f in exposure.dose_steps if n >= at)
        measured = float(_field(light).mean())
        wanted = detector.quanta(exposure.dose_ngy * factor) / max(measured, 1e-9)
        if n == 0 or not exposure.automatic:
            tube = wanted if n == 0 else tube
        else:
            tube += exposure.settle * (wanted - tube)
        if any(at == n for at, _ in exposure.dose_steps):
            tube = wanted
        mean = np.ascontiguousarray(light * np.float32(tube))
        counts = np.empty_like(mean)
        fluoro_noise.poisson(mean, fluoro_noise.noise_key(seed, n, _QUANTA), counts)
        if mtf is not None:
            counts, mean = _blurred(counts, mtf), _blurred(mean, mtf)
        if detector.lag > 0.0:
            if n == 0:  # the run before went on with the same mean
                lag_noisy = lag_clean = np.float32(detector.lag / (1.0 - detector.lag_decay)) * mean
            read, lag_noisy = _lagged(counts, lag_noisy, detector)
            mean, lag_clean = _lagged(mean, lag_clean, detector)
        else:
            read = counts
        noisy = read * np.float32(detector.gain)
        if detector.equal_noise_dose_ngy > 0.0:
            sd = detector.electronic_sd_quanta * detector.gain
            fluoro_noise.add_normal(sd, fluoro_noise.noise_key(seed, n, _ELECTRONS), noisy)
        values = np.clip(np.rint(noisy + detector.offset), 0.0, 2.0**detector.bits - 1.0)
        clean = mean * np.float32(detector.gain) + np.float32(detector.offset)
        dose = exposure.dose_ngy * factor * tube / wanted
        yield SimulatedFrame(values.astype(np.float32), clean.astype(np.float32), dose)


def simulate(
    scene: Scene,
    exposure: Exposure,
    detector: Detector,
    *,
    seed: int = 0,
    progress: Progress = no_progress,
) -> tuple[FluoroSequence, FluoroSequence]:
    """(noisy, clean) runs of ``scene``; noisy is uint16 as a detector gives it, clean float32."""
    noisy = np.empty((scene.frames, *scene.shape), np.uint16)
    clean = np.empty((scene.frames, *scene.shape), np.float32)
    dose = np.empty(scene.frames)
    for n, frame in enumerate(simulate_frames(scene, exposure, detector, seed=seed)):
        progress(n / scene.frames, "frames")
        noisy[n], clean[n], dose[n] = frame.noisy, frame.clean, frame.dose_ngy
    times = np.arange(scene.frames) / scene.rate_hz
    pixel = (scene.pixel_mm, scene.pixel_mm)
    technique = Technique(pulse_ms=exposure.pulse_ms)
    facts = photometry(detector)
    return (
        FluoroSequence(noisy, times, facts, pixel, None, technique, dose),
        FluoroSequence(clean, times, facts, pixel, None, technique, dose),
    )


def _pulse(scene: Scene, time_s: float, pulse_ms: float) -> Image:
    """Transmission averaged over the pulse."""
    if pulse_ms <= 0.0:
        return scene.transmission(time_s)
    total = np.zeros(scene.shape, np.float32)
    for k in range(_SMEAR):
        total += scene.transmission(time_s + 1e-3 * pulse_ms * ((k + 0.5) / _SMEAR - 0.5))
    out: Image = total / np.float32(_SMEAR)
    return out


def _scattered(primary: Image, detector: Detector) -> Image:
    """Primary + scatter, then glare; both broad, so computed on every 8th pixel."""
    out = primary
    if detector.scatter_ratio > 0.0:
        out = out + np.float32(detector.scatter_ratio) * _broad(
            primary, detector.scatter_sigma_mm / detector.pixel_mm
        )
    if detector.glare > 0.0:
        share = np.float32(detector.glare)
        out = (1 - share) * out + share * _broad(out, detector.glare_sigma_mm / detector.pixel_mm)
    return out


def _broad(image: Image, sigma_px: float) -> Image:
    rows, columns = image.shape
    step = 8
    padded = np.pad(image, ((0, -rows % step), (0, -columns % step)), mode="edge")
    small = padded.reshape(padded.shape[0] // step, step, -1, step).mean(axis=(1, 3))
    small = gaussian_filter(small, sigma_px / step, mode="nearest")
    out: Image = zoom(small, step, order=1, grid_mode=True, mode="nearest")[:rows, :columns]
    return out.astype(np.float32)


def _mtf(shape: tuple[int, int], detector: Detector) -> NDArray[np.float32]:
    rows = np.fft.fftfreq(shape[0], detector.pixel_mm)[:, None]
    columns = np.fft.rfftfreq(shape[1], detector.pixel_mm)[None, :]
    return detector.mtf(np.hypot(rows, columns)).astype(np.float32)


def _blurred(image: Image, mtf: NDArray[np.float32]) -> Image:
    out: Image = irfft2(rfft2(image) * mtf, s=image.shape).astype(np.float32)
    return out


def _lagged(charge: Image, held: Image, detector: Detector) -> tuple[Image, Image]:
    """(read now, held for the next frames): ``lag`` of new charge is held; it decays."""
    stay = np.float32(detector.lag_decay)
    read = (1 - np.float32(detector.lag)) * charge + (1 - stay) * held
    return read, np.float32(detector.lag) * charge + stay * held


def _field(image: Image) -> Image:
    rows, columns = image.shape
    return image[rows // 4 : rows - rows // 4, columns // 4 : columns - columns // 4]
