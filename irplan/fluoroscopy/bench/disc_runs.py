"""Uniform runs with and without discs under the same noise, made fast.

As `irplan.fluoroscopy.simulate` makes them (quanta, MTF, lag, electronic noise), without scatter,
glare, pulse blur and rounding by the converter.  A run with discs is the run without plus what the
changed quanta do, so 48 kinds of disc cost one run of noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2

from irplan.compute.cpu import fluoro_draw, fluoro_noise
from irplan.errors import InputError
from irplan.fluoroscopy.detector import DETECTORS, Detector
from irplan.fluoroscopy.filter import Frame, StreamFacts
from irplan.fluoroscopy.simulate import photometry

_QUANTA, _ELECTRONS = 1, 2
#: Half the side of the patch an observer looks at, px; discs keep this distance from the border.
HALF_PATCH_PX = 40
_ROW_STEP_PX, _COLUMN_STEP_PX = 52, 64
_NO_SCATTER = replace(DETECTORS["flat-panel-0.2"], scatter_ratio=0.0, glare=0.0)


@dataclass(frozen=True)
class DiscCell:
    """A disc of ``radius_px`` and ``contrast`` (0 to 1, darker) at ``speed_px`` a frame."""

    radius_px: float
    contrast: float
    speed_px: float

    def __post_init__(self) -> None:
        ok = 0.5 <= self.radius_px <= 20.0 and 0.0 < self.contrast < 1.0
        if not (ok and 0.0 <= self.speed_px <= 10.0):
            raise InputError(
                "disc",
                got=f"radius {self.radius_px:g} px, contrast {self.contrast:g}, "
                f"{self.speed_px:g} px/frame",
                expected="0.5 to 20 px, contrast between 0 and 1, up to 10 px/frame",
                remedy="Correct the disc.",
            )


#: Size x contrast x speed: the cells of the worst case.
DISC_CELLS = tuple(
    DiscCell(r, c, v)
    for v in (0.0, 1.0, 3.0, 5.0)
    for r in (2.0, 3.0, 5.0, 8.0)
    for c in (0.03, 0.05, 0.10)
)


@dataclass(frozen=True)
class DiscSetting:
    """How the runs are made.

    Parameters
    ----------
    dose_ngy : detector air kerma a frame.
    shape : of a frame.
    frames : of a run; the last three are looked at.
    seeds : one run each; runs of odd seeds are turned (discs move down instead of right).
    detector : without scatter and glare.
    """

    dose_ngy: float = 10.0
    shape: tuple[int, int] = (512, 512)
    frames: int = 24
    seeds: tuple[int, ...] = (100, 101, 102, 103)
    rate_hz: float = 15.0
    detector: Detector = _NO_SCATTER

    def __post_init__(self) -> None:
        if self.frames < 6 or min(self.shape) < 2 * HALF_PATCH_PX + 48 or not self.dose_ngy > 0:
            raise InputError(
                "disc runs",
                got=f"{self.frames} frames of {self.shape}, {self.dose_ngy:g} nGy",
                expected=f"6 frames or more, sides of {2 * HALF_PATCH_PX + 48} px or more, a dose",
                remedy="Correct the setting.",
            )

    @property
    def facts(self) -> StreamFacts:
        """What a filter is told."""
        return StreamFacts(
            self.shape, self.rate_hz, photometry(self.detector), self.detector.pixel_mm
        )

    @cached_property
    def _mtf(self) -> NDArray[np.float32]:
        rows = np.fft.fftfreq(self.shape[0], self.detector.pixel_mm)[:, None]
        columns = np.fft.rfftfreq(self.shape[1], self.detector.pixel_mm)[None, :]
        return self.detector.mtf(np.hypot(rows, columns)).astype(np.float32)

    def blurred(self, counts: Frame) -> Frame:
        """Through the detector's MTF."""
        out: Frame = irfft2(rfft2(counts) * self._mtf, s=self.shape).astype(np.float32)
        return out

    def centres(self, cell: DiscCell) -> NDArray[np.int_]:
        """(n, 2) row, column of the discs in the last frame (unturned); whole pixels.

        All were in view for at least the last 10 frames.
        """
        rows = np.arange(HALF_PATCH_PX, self.shape[0] - HALF_PATCH_PX, _ROW_STEP_PX)
        first = max(HALF_PATCH_PX, int(np.ceil(10 * cell.speed_px + cell.radius_px)))
        columns = np.arange(first, self.shape[1] - HALF_PATCH_PX, _COLUMN_STEP_PX)
        out: NDArray[np.int_] = np.array([(r, c) for r in rows for c in columns])
        return out

    def everywhere(self, pitch_px: int) -> NDArray[np.int_]:
        """(n, 2) row, column of patches every ``pitch_px`` that lie wholly in the frame."""
        rows, columns = (np.arange(HALF_PATCH_PX, n - HALF_PATCH_PX, pitch_px) for n in self.shape)
        out: NDArray[np.int_] = np.array([(r, c) for r in rows for c in columns])
        return out


@dataclass(frozen=True, eq=False)
class EmptyRun:
    """A run without discs: ``frames`` (frame, row, column) and the ``quanta`` behind them."""

    seed: int
    frames: NDArray[np.float32]
    quanta: NDArray[np.uint16]


def empty_run(setting: DiscSetting, seed: int) -> EmptyRun:
    """The run without discs."""
    d = setting.detector
    mean = np.full(setting.shape, d.quanta(setting.dose_ngy), np.float32)
    frames = np.empty((setting.frames, *setting.shape), np.float32)
    quanta = np.empty(frames.shape, np.uint16)
    held = np.float32(d.lag / (1.0 - d.lag_decay)) * mean if d.lag else np.zeros_like(mean)
    counts = np.empty_like(mean)
    for n in range(setting.frames):
        fluoro_noise.poisson(mean, fluoro_noise.noise_key(seed, n, _QUANTA), counts)
        quanta[n] = counts
        read, held = _lagged(setting.blurred(counts), held, d)
        frame = read * np.float32(d.gain) + np.float32(d.offset)
        if d.equal_noise_dose_ngy > 0.0:
            sd = d.electronic_sd_quanta * d.gain
            fluoro_noise.add_normal(sd, fluoro_noise.noise_key(seed, n, _ELECTRONS), frame)
        frames[n] = frame
    return EmptyRun(seed, frames, quanta)


def frames_with_discs(setting: DiscSetting, empty: EmptyRun, cell: DiscCell) -> Iterator[Frame]:
    """The frames of ``empty`` with discs in them, same noise."""
    d = setting.detector
    full = np.float32(d.quanta(setting.dose_ngy))
    held = np.zeros(setting.shape, np.float32)
    last = setting.centres(cell).astype(np.float64)
    turned = empty.seed % 2 == 1
    value = -float(np.log1p(-cell.contrast))
    for n in range(setting.frames):
        at = last - [0.0, cell.speed_px * (setting.frames - 1 - n)]
        path = np.zeros(setting.shape, np.float32)
        for row, column in at:
            if column > -cell.radius_px:
                fluoro_draw.disc(row, column, cell.radius_px, value, path)
        if turned:
            path = np.ascontiguousarray(path.T)
        index = np.flatnonzero(path)
        mean = full * np.exp(-path)
        counts = empty.quanta[n].astype(np.float32)
        fluoro_noise.poisson_at(mean, index, fluoro_noise.noise_key(empty.seed, n, _QUANTA), counts)
        change = counts - empty.quanta[n]
        read, held = _lagged(setting.blurred(change), held, d)
        yield empty.frames[n] + np.float32(d.gain) * read


def unturned(frame: Frame, seed: int) -> Frame:
    """A filtered frame with its discs moving right."""
    return np.ascontiguousarray(frame.T) if seed % 2 else frame


def _lagged(charge: Frame, held: Frame, d: Detector) -> tuple[Frame, Frame]:
    if d.lag == 0.0:
        return charge, held
    stay = np.float32(d.lag_decay)
    part = np.float32(d.lag)
    return (1 - part) * charge + (1 - stay) * held, part * charge + stay * held
