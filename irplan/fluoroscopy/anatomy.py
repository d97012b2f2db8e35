"""Anatomy as layers: soft tissue, bones, an organ that breathes; from patterns or from a volume."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from irplan.fluoroscopy.motion import STILL, Motion
from irplan.fluoroscopy.scene import Image


@dataclass(frozen=True, eq=False)
class Texture:
    """A picture of line integrals that moves; seen beyond its edge as mirrored.

    ``picture`` (row, column) float32, of any size; centred on the frame.
    """

    name: str
    picture: Image
    motion: Motion = STILL
    is_device: bool = False

    def path(self, shape: tuple[int, int], time_s: float) -> Image:
        """(row, column) line integral at a time (linear interpolation)."""
        row, column = self.motion.at(time_s)
        top = (self.picture.shape[0] - shape[0]) / 2.0 - row
        left = (self.picture.shape[1] - shape[1]) / 2.0 - column
        return _window(self.picture, top, left, shape)


def _window(picture: Image, top: float, left: float, shape: tuple[int, int]) -> Image:
    i, j = int(np.floor(top)), int(np.floor(left))
    a, b = np.float32(top - i), np.float32(left - j)
    rows = _mirror(np.arange(i, i + shape[0] + 1), picture.shape[0])
    columns = _mirror(np.arange(j, j + shape[1] + 1), picture.shape[1])
    part = picture[np.ix_(rows, columns)]
    down = (1 - a) * part[:-1] + a * part[1:]
    out: Image = ((1 - b) * down[:, :-1] + b * down[:, 1:]).astype(np.float32)
    return out


def _mirror(index: NDArray[np.int_], size: int) -> NDArray[np.int_]:
    period = 2 * size - 2 if size > 1 else 1
    index = np.abs(index) % period
    out: NDArray[np.int_] = np.minimum(index, period - index)
    return out


@lru_cache(maxsize=32)
def clouds(shape: tuple[int, int], seed: int, slope: float, smallest_px: float) -> Image:
    """(row, column) random pattern, mean 0, SD 1, with a power spectrum f^-slope.

    The exponent of anatomical background is about 3 (Burgess 1999); nothing is finer than
    ``smallest_px``.
    """
    rng = np.random.default_rng(seed)
    f = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :])
    f[0, 0] = np.inf
    wave = rng.normal(size=f.shape) + 1j * rng.normal(size=f.shape)
    low = np.maximum(f, 1.5 / max(shape))
    out = np.fft.irfft2(wave * low ** (-slope / 2) * np.exp(-((f * smallest_px) ** 2)), s=shape)
    out -= out.mean()
    scaled: Image = (out / out.std()).astype(np.float32)
    return scaled


def spine(shape: tuple[int, int], seed: int, scale: float) -> Image:
    """(row, column) line integral of a vertebral column, upright, ``scale`` pixels a mm."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    x = (columns - shape[1] * 0.5) / scale
    y = (rows + rng.uniform(0, 30) * scale) / scale
    part = (y % 38.0) / 38.0
    half = 22.0 + 4.0 * np.cos(2 * np.pi * part)
    body = np.clip((half - np.abs(x)) / 2.0, 0.0, 1.0)
    disc = np.clip(np.abs(part - 0.5) * 38.0 / 2.0 - 1.4, 0.15, 1.0)
    pedicles = sum(
        np.exp(-(((x - side * 14.0) / 3.5) ** 2) - (((part - 0.78) * 38.0) / 5.0) ** 2)
        for side in (-1.0, 1.0)
    )
    out = 0.45 * body * disc + 0.35 * pedicles
    return gaussian_filter(out.astype(np.float32), 0.6 * scale)


def ribs(shape: tuple[int, int], seed: int, scale: float) -> Image:
    """(row, column) line integral of ribs, ``scale`` pixels a mm."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    x = (columns - shape[1] * 0.5) / scale
    y = rows / scale + rng.uniform(0, 28)
    bent = y + 0.0035 * x**2 + 0.12 * np.abs(x)
    part = np.abs((bent % 28.0) - 14.0)
    edge = np.exp(-(((part - 5.0) / 1.1) ** 2))
    out = 0.16 * edge + 0.10 * np.clip((5.5 - part) / 1.0, 0.0, 1.0)
    return gaussian_filter(out.astype(np.float32), 0.5 * scale)


def dome(shape: tuple[int, int], seed: int, scale: float) -> Image:
    """(row, column) line integral of an organ below a dome (liver under the diaphragm)."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    x = (columns - shape[1] * rng.uniform(0.3, 0.5)) / scale
    top = shape[0] * rng.uniform(0.25, 0.4) / scale + 0.0035 * x**2
    depth = rows / scale - top
    out = 0.55 * (1.0 - np.exp(-np.maximum(depth, 0.0) / 25.0))
    return gaussian_filter(out.astype(np.float32), 0.8 * scale)


def skull(shape: tuple[int, int], seed: int, scale: float) -> Image:
    """(row, column) line integral of the skull's base and sutures, still."""
    base = clouds(shape, seed, 2.2, 3.0)
    lines = np.exp(-((clouds(shape, seed + 1, 3.2, 6.0) / 0.06) ** 2))
    ridge = np.exp(-((clouds(shape, seed + 2, 3.4, 12.0) / 0.25) ** 2))
    out = 0.10 * base + 0.10 * lines + 0.22 * ridge + 0.6
    return gaussian_filter(out.astype(np.float32), 0.4 * scale)


def resampled(picture: Image, shape: tuple[int, int]) -> Image:
    """``picture`` stretched to ``shape`` (linear)."""
    rows = np.linspace(0, picture.shape[0] - 1, shape[0])
    columns = np.linspace(0, picture.shape[1] - 1, shape[1])
    grid = np.meshgrid(rows, columns, indexing="ij")
    out: Image = map_coordinates(picture, grid, order=1, mode="nearest").astype(np.float32)
    return out
