"""Modulation transfer function from a slanted edge, a wire, or the rim of a disc (TTF).

All pixels are binned by their distance from the line (IEC 62220-1-1; Fujita et al., IEEE Trans.
Med. Imaging 11:34, 1992; discs: Richard et al., Med. Phys. 39:4115, 2012).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import j1

from irplan.errors import InputError
from irplan.fluoroscopy.quality.frames import require_frames, require_image, require_positive

#: Bins a pixel of the oversampled profile.
_OVERSAMPLING = 4


@dataclass(frozen=True, eq=False)
class Transfer:
    """MTF or TTF: 1 at zero frequency by definition.

    ``frequency_per_mm`` (k,) up to the Nyquist frequency; ``transfer`` (k,); ``angle_deg`` between
    the line and the image's axis (NaN for a disc); ``contrast`` step height, or the wire's peak, in
    image values.
    """

    frequency_per_mm: NDArray[np.float64]
    transfer: NDArray[np.float64]
    angle_deg: float
    contrast: float

    def at(self, frequency_per_mm: ArrayLike) -> NDArray[np.float64]:
        """Linear interpolation; NaN above the highest frequency."""
        out: NDArray[np.float64] = np.interp(
            np.asarray(frequency_per_mm, dtype=np.float64),
            self.frequency_per_mm,
            self.transfer,
            right=np.nan,
        )
        return out

    def frequency_at(self, level: float) -> float:
        """First frequency at which the transfer falls to ``level``; NaN where it never does."""
        below = np.flatnonzero(self.transfer <= level)
        if below.size == 0:
            return float("nan")
        k = int(below[0])
        if k == 0:
            return float(self.frequency_per_mm[0])
        f, t = self.frequency_per_mm, self.transfer
        return float(f[k - 1] + (t[k - 1] - level) / (t[k - 1] - t[k]) * (f[k] - f[k - 1]))


def edge_mtf(image: ArrayLike, pixel_mm: float, *, reach_mm: float | None = None) -> Transfer:
    """MTF from one straight edge, 1 to 15 degrees off the rows or columns.

    ``reach_mm``: half the length of the profile used (default: all that fits).
    Raises `InputError` for no edge, an edge along the pixels (nothing is oversampled) or NaN.
    """
    pixel = require_positive(pixel_mm, "pixel_mm", "mm")
    upright, angle, distance = _line(require_image(image, "image"), edge=True)
    values = upright.ravel()
    profile, bins = _profile(distance, values, _reach(distance, reach_mm, pixel))
    n = max(4, profile.size // 10)
    low, high = float(profile[:n].mean()), float(profile[-n:].mean())
    if high < low:
        profile = -profile
    spread = np.diff(profile)
    at = (bins[:-1] + bins[1:]) / 2.0
    # A difference over one bin multiplies the transfer by sinc(f w), the bin itself once more.
    return _transform(at, spread, pixel, angle, abs(high - low), orders=2)


def wire_mtf(
    image: ArrayLike, pixel_mm: float, *, wire_mm: float = 0.0, reach_mm: float | None = None
) -> Transfer:
    """MTF from a thin straight wire or slit on a smooth ground, 1 to 15 degrees off the pixels.

    ``wire_mm``: width of a slit or flat strip, taken out of the result (0: far below a pixel).
    A straight line through both ends of the profile is taken off as its ground.
    Raises `InputError` as `edge_mtf`.
    """
    pixel = require_positive(pixel_mm, "pixel_mm", "mm")
    upright, angle, distance = _line(require_image(image, "image"), edge=False)
    profile, bins = _profile(distance, upright.ravel(), _reach(distance, reach_mm, pixel))
    n = max(4, profile.size // 8)
    ends = np.r_[0:n, profile.size - n : profile.size]
    slope, offset = np.polyfit(bins[ends], profile[ends], 1)
    spread = profile - slope * bins - offset
    peak = float(spread[np.abs(spread).argmax()])
    return _transform(
        bins, spread * np.sign(peak), pixel, angle, peak, orders=1, width_px=wire_mm / pixel
    )


def disc_ttf(
    images: ArrayLike,
    pixel_mm: float,
    centre_px: tuple[float, float],
    radius_px: float,
    *,
    reach_px: float | None = None,
) -> Transfer:
    """Task transfer function at the contrast of a disc: from the mean profile across its rim.

    Parameters
    ----------
    images : (frame, row, column) of the same disc; averaged over frames.
    centre_px : (row, column).
    radius_px : of the rim; at least 6 px, so that the rim is nearly straight.
    reach_px : profile used each side of the rim; default the radius less 2 px.

    Raises `InputError` for a disc that leaves the image, is too small, or shows no contrast.
    """
    frames = require_frames(images, "images")
    pixel = require_positive(pixel_mm, "pixel_mm", "mm")
    reach = radius_px - 2.0 if reach_px is None else float(reach_px)
    row, column = centre_px
    out = radius_px + reach
    inside = min(row, column, frames.shape[1] - 1 - row, frames.shape[2] - 1 - column) >= out
    if radius_px < 6.0 or not 2.0 < reach <= radius_px or not inside:
        raise InputError(
            "disc",
            got=f"radius {radius_px:g} px, reach {reach:g} px at ({row:g}, {column:g})",
            expected="a radius of 6 px or more, and the profile inside the image and the disc",
            remedy="Use a larger disc or a shorter reach.",
        )
    mean = frames.mean(axis=0)
    v, u = np.indices(mean.shape)
    distance = np.hypot(v - row, u - column).ravel() - radius_px
    profile, bins = _profile(distance, mean.ravel(), reach)
    n = max(3, profile.size // 10)
    low, high = float(profile[:n].mean()), float(profile[-n:].mean())
    if high < low:
        profile = -profile
    at = (bins[:-1] + bins[1:]) / 2.0
    return _transform(at, np.diff(profile), pixel, float("nan"), abs(high - low), orders=2)


def round_wire_transfer(frequency_per_mm: ArrayLike, diameter_mm: float) -> NDArray[np.float64]:
    """Transfer of a thin round wire's own shadow (chord lengths): 2 J1(pi d f) / (pi d f)."""
    x = np.pi * diameter_mm * np.asarray(frequency_per_mm, dtype=np.float64)
    safe = np.where(x == 0, 1.0, x)
    out: NDArray[np.float64] = np.where(x == 0, 1.0, 2.0 * j1(safe) / safe)
    return out


def _line(
    image: NDArray[np.float64], *, edge: bool
) -> tuple[NDArray[np.float64], float, NDArray[np.float64]]:
    """The image turned so that its line runs down, the angle, every pixel's signed distance, px."""
    if min(image.shape) < 16:
        raise _no_line(f"an image of {image.shape}", edge)
    across, down = (np.abs(np.diff(image, axis=k)).sum() for k in (1, 0))
    upright = image if across >= down else image.T
    weight = _steepness(upright, edge)
    column = np.arange(weight.shape[1], dtype=np.float64) + (0.5 if edge else 0.0)
    total = weight.sum(axis=1)
    use = total > 0.2 * total.max()
    if use.sum() < 8 or not np.isfinite(total).all() or total.max() <= 0:
        raise _no_line("an image without one", edge)
    rows = np.arange(upright.shape[0], dtype=np.float64)
    centre = (weight * column).sum(axis=1)[use] / total[use]
    slope, offset = np.polyfit(rows[use], centre, 1)
    for reach in (12.0, 6.0, 6.0):  # again, near the line only: noise far away moves centroids
        near = weight * (np.abs(column[None, :] - (slope * rows + offset)[:, None]) <= reach)
        total = near.sum(axis=1)
        use = total > 0.2 * total.max()
        if use.sum() < 8:
            raise _no_line("an image without one", edge)
        centre = (near * column).sum(axis=1)[use] / total[use]
        slope, offset = np.polyfit(rows[use], centre, 1)
    angle = float(np.degrees(np.arctan(slope)))
    if not 0.8 <= abs(angle) <= 20.0 or float(np.std(centre - slope * rows[use] - offset)) > 2.0:
        raise _no_line(f"one at {angle:.2f} degrees, or not straight", edge)
    v, u = np.indices(upright.shape)
    distance = (u - slope * v - offset) * np.cos(np.radians(angle))
    return upright, angle, distance.ravel()


def _steepness(upright: NDArray[np.float64], edge: bool) -> NDArray[np.float64]:
    """Non-negative weight along each row, large at the line."""
    if edge:
        step = np.diff(upright, axis=1)
        sign = np.sign(upright[:, -4:].mean() - upright[:, :4].mean()) or 1.0
        step = step * sign
    else:
        step = upright - np.median(upright, axis=1, keepdims=True)
        sign = np.sign(step.ravel()[np.abs(step).argmax()]) or 1.0
        step = step * sign
    out: NDArray[np.float64] = np.clip(step - 0.4 * step.max(axis=1, keepdims=True), 0.0, None)
    return out


def _reach(distance: NDArray[np.float64], reach_mm: float | None, pixel: float) -> float:
    most = min(-float(distance.min()), float(distance.max())) - 1.0
    reach = most if reach_mm is None else min(most, reach_mm / pixel)
    if reach < 6.0:
        raise InputError(
            "line",
            got=f"one with {max(reach, 0.0):.1f} px of image beside it",
            expected="at least 6 px on both sides",
            remedy="Give a larger region with the line in its middle.",
        )
    return reach


def _profile(
    distance: NDArray[np.float64], values: NDArray[np.float64], reach: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean value of every bin (a quarter pixel) and the bins' centres, px."""
    half = int(np.floor(reach * _OVERSAMPLING))
    index = np.rint(distance * _OVERSAMPLING).astype(int) + half
    use = (index >= 0) & (index <= 2 * half)
    count = np.bincount(index[use], minlength=2 * half + 1)
    total = np.bincount(index[use], weights=values[use], minlength=2 * half + 1)
    bins = (np.arange(2 * half + 1) - half) / _OVERSAMPLING
    filled = count > 0
    if filled.mean() < 0.9:
        raise InputError(
            "line",
            got=f"only {100 * filled.mean():.0f} % of the quarter-pixel bins filled",
            expected="a line long enough, and slanted",
            remedy="Slant it by 2 to 5 degrees, or give a longer one.",
        )
    mean = np.interp(bins, bins[filled], total[filled] / count[filled])
    return mean, bins


def _transform(
    at_px: NDArray[np.float64],
    spread: NDArray[np.float64],
    pixel: float,
    angle: float,
    contrast: float,
    *,
    orders: int,
    width_px: float = 0.0,
) -> Transfer:
    """|FT| of the line spread at frequencies to Nyquist, over its own bins' transfer."""
    taper = _flat_top(at_px)
    weighted = spread * taper
    area = float(weighted.sum())
    if not area > 0 or abs(contrast) <= 0:
        raise _no_line("one without contrast", orders == 2)
    frequency_px = np.linspace(0.0, 0.5, 129)
    wave = np.exp(-2j * np.pi * frequency_px[:, None] * at_px[None, :])
    transfer = np.abs(wave @ weighted) / area
    transfer /= np.sinc(frequency_px / _OVERSAMPLING) ** orders
    if width_px > 0:
        transfer /= np.sinc(frequency_px * width_px)
    return Transfer(frequency_px / pixel, transfer, angle, float(contrast))


def _flat_top(at_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 over the inner 70 %, then a cosine to 0: the ends hold noise, a long tail is kept."""
    reach = float(np.abs(at_px).max())
    x = np.clip((np.abs(at_px) / reach - 0.7) / 0.3, 0.0, 1.0)
    out: NDArray[np.float64] = 0.5 * (1.0 + np.cos(np.pi * x))
    return out


def _no_line(got: str, edge: bool) -> InputError:
    what = "edge" if edge else "wire"
    return InputError(
        "image",
        got=got,
        expected=f"one straight {what}, 1 to 15 degrees off the rows or columns, of clear contrast",
        remedy=f"Crop a region with one slanted {what} in its middle.",
    )
