"""Contrast-to-noise ratio of two regions, with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irplan.errors import InputError
from irplan.fluoroscopy.quality.frames import require_frames


@dataclass(frozen=True)
class ContrastToNoise:
    """CNR with a 95 % interval over frames (NaN with fewer than 3), and its parts in value units.

    ``contrast`` is object less ground (negative: darker), ``noise_sd`` the ground's.
    """

    cnr: float
    low: float
    high: float
    contrast: float
    noise_sd: float
    frames: int


def contrast_to_noise(
    images: ArrayLike, inside: NDArray[np.bool_], outside: NDArray[np.bool_]
) -> ContrastToNoise:
    """|mean inside - mean outside| / SD outside, each frame by itself, then averaged.

    Parameters
    ----------
    images : (frame, row, column) or one image.
    inside, outside : (row, column) masks; they may not overlap.

    Raises `InputError` for empty, overlapping or misfitting masks, or a ground without noise.
    """
    frames = require_frames(images, "images")
    shape = frames.shape[1:]
    bad = inside.shape != shape or outside.shape != shape
    if bad or inside.sum() < 1 or outside.sum() < 4 or bool((inside & outside).any()):
        raise InputError(
            "regions",
            got=f"{int(inside.sum())} and {int(outside.sum())} px of shapes {inside.shape}, "
            f"{outside.shape}",
            expected=f"two regions of {shape} that do not overlap, 4 px of ground or more",
            remedy="Draw the regions again.",
        )
    ground = frames[:, outside]
    contrast = frames[:, inside].mean(axis=1) - ground.mean(axis=1)
    sd = ground.std(axis=1, ddof=1)
    if float(sd.min()) <= 0.0:
        raise InputError(
            "regions",
            got="a ground without noise",
            expected="noise in every frame",
            remedy="Give images as they came, not clipped ones.",
        )
    value = float(abs(contrast.mean()) / np.sqrt((sd**2).mean()))
    low = high = float("nan")
    n = frames.shape[0]
    if n >= 3:
        half = 1.96 * float(np.std(contrast / sd, ddof=1)) / np.sqrt(n)
        low, high = value - half, value + half
    return ContrastToNoise(
        value, low, high, float(contrast.mean()), float(np.sqrt((sd**2).mean())), n
    )
