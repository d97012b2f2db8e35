"""Devices and test objects as layers: wire, catheter, needle, coil, contrast bolus, disc."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.compute.cpu import fluoro_draw
from irplan.fluoroscopy.motion import STILL, Motion
from irplan.fluoroscopy.scene import Image


@dataclass(frozen=True, eq=False)
class Tube:
    """A wire (``inner_px`` 0), catheter, needle or coil along a curve that moves.

    Parameters
    ----------
    name : of the layer.
    points_px : (n, 2) row, column of the axis at rest, pixels.
    radius_px, inner_px : of the tube and of its lumen, pixels.
    mu_per_px : attenuation of its material a pixel of length.
    motion : of the whole.
    advance_px_s, advance_from_px : the tip stands ``advance_from_px`` along the curve at time 0
        and moves on at this speed (0: the whole curve is there).
    """

    name: str
    points_px: NDArray[np.float64]
    radius_px: float
    mu_per_px: float
    inner_px: float = 0.0
    motion: Motion = STILL
    advance_px_s: float = 0.0
    advance_from_px: float = math.inf
    is_device: bool = True

    def path(self, shape: tuple[int, int], time_s: float) -> Image:
        """(row, column) line integral at a time."""
        points = self.points_px
        shown = self.advance_from_px + self.advance_px_s * time_s
        if math.isfinite(shown):
            points = _part(points, shown)
        out = np.zeros(shape, np.float32)
        if len(points) > 1:
            n = len(points)
            fluoro_draw.tube(
                points + self.motion.shift(time_s, points),
                np.full(n, self.radius_px),
                np.full(n, self.inner_px),
                np.full(n, self.mu_per_px),
                out,
            )
        return out


@dataclass(frozen=True, eq=False)
class Bolus:
    """Contrast agent that runs through a vessel tree.

    Parameters
    ----------
    branches : each (n, 4): row, column, radius (pixels) and distance from the injection (pixels).
    mu_per_px : attenuation of the undiluted agent a pixel of length.
    start_s : of the injection; ``speed_px_s`` of the flow; ``rise_s`` to the peak, after which it
        falls as a gamma variate (power 2).
    """

    name: str
    branches: tuple[NDArray[np.float64], ...]
    mu_per_px: float
    start_s: float = 0.5
    speed_px_s: float = 400.0
    rise_s: float = 0.8
    motion: Motion = STILL
    is_device: bool = True

    def path(self, shape: tuple[int, int], time_s: float) -> Image:
        """(row, column) line integral at a time."""
        out = np.zeros(shape, np.float32)
        for branch in self.branches:
            age = np.maximum(0.0, time_s - self.start_s - branch[:, 3] / self.speed_px_s)
            x = age / self.rise_s
            share = (x * np.exp(1.0 - x)) ** 2
            if share.max() < 1e-3:
                continue
            points = np.ascontiguousarray(branch[:, :2])
            fluoro_draw.tube(
                points + self.motion.shift(time_s, points),
                np.ascontiguousarray(branch[:, 2]),
                np.zeros(len(branch)),
                self.mu_per_px * share,
                out,
            )
        return out


@dataclass(frozen=True, eq=False)
class Discs:
    """Flat round test objects: transmission 1 - ``contrast`` inside; all move at one velocity.

    ``centres_px`` (n, 2) row, column at time 0; ``velocity_px_s`` (row, column).
    """

    name: str
    centres_px: NDArray[np.float64]
    radius_px: float
    contrast: float
    velocity_px_s: tuple[float, float] = (0.0, 0.0)
    is_device: bool = True

    def centres(self, time_s: float) -> NDArray[np.float64]:
        """(n, 2) row, column at a time."""
        out: NDArray[np.float64] = self.centres_px + time_s * np.array(self.velocity_px_s)
        return out

    def path(self, shape: tuple[int, int], time_s: float) -> Image:
        """(row, column) line integral at a time."""
        out = np.zeros(shape, np.float32)
        value = -math.log1p(-self.contrast)
        for row, column in self.centres(time_s):
            fluoro_draw.disc(row, column, self.radius_px, value, out)
        return out


def _part(points: NDArray[np.float64], length: float) -> NDArray[np.float64]:
    """The first ``length`` pixels of a curve."""
    steps = np.hypot(*np.diff(points, axis=0).T)
    at = np.concatenate(([0.0], np.cumsum(steps)))
    if length >= at[-1]:
        return points
    keep = int(np.searchsorted(at, max(length, 0.0), side="right"))
    end = [np.interp(length, at, points[:, k]) for k in (0, 1)]
    return np.vstack([points[:keep], end])
