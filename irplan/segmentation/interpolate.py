"""Trilinear interpolation between grids whose axes are parallel: one axis after the other.

The working grid lies along the patient's axes and so do most scans; then each axis is
interpolated on its own, which is many times quicker than voxel by voxel.  Grids at an angle go
through `irplan.image.resample`, which gives the same values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.geometry import Grid
from irplan.image.resample import resample_mask, resample_volume
from irplan.image.volume import Volume
from irplan.segmentation.morphology import Mask, box_of

#: A direction cosine below this is zero, and a sum of weights this near one half is one half.
_ROUNDING = 1e-6


def field_on(
    values: NDArray[np.floating], source: Grid, target: Grid, outside: float
) -> NDArray[np.float32]:
    """A real-valued field of ``source`` on ``target``, float32, not smoothed.

    As `resample_volume`: constant over the outer half of the border voxels, ``outside`` beyond.
    """
    order = _order(source, target)
    if order is None:
        volume = Volume(values, source, "mm")
        return resample_volume(volume, target, outside=outside, smooth=False).array
    return _separable(values, source, target, order, (0, 0, 0), outside)


def mask_on(mask: Mask, source: Grid, target: Grid) -> Mask:
    """A mask of ``source`` on ``target``: trilinear occupancy of at least one half."""
    order = _order(source, target)
    if order is None:
        return resample_mask(mask, source, target)
    if not mask.any():
        return np.zeros(target.shape, dtype=bool)
    box = box_of(mask, (1, 1, 1))
    start = (box[0].start, box[1].start, box[2].start)
    out: Mask = _separable(mask[box], source, target, order, start, 0.0) >= 0.5 - _ROUNDING
    return out


def _order(source: Grid, target: Grid) -> tuple[int, int, int] | None:
    """Which axis of ``source`` each axis of ``target`` is parallel to; None at an angle."""
    cosines = np.abs(source.direction.T @ target.direction)
    if np.any((cosines > _ROUNDING) & (cosines < 1.0 - _ROUNDING)):
        return None
    a, b, c = (int(n) for n in np.argmax(cosines, axis=0))
    return a, b, c


def _separable(
    values: NDArray[Any],
    source: Grid,
    target: Grid,
    order: tuple[int, int, int],
    start: tuple[int, int, int],
    outside: float,
) -> NDArray[np.float32]:
    """``values`` is the part of ``source``'s array from index ``start`` on."""
    matrix = source.inverse @ target.affine
    turned = values.transpose(order)
    lines = []
    for axis, own in enumerate(order):
        at = matrix[own, axis] * np.arange(target.shape[axis]) + matrix[own, 3] - start[own]
        lines.append(_line(at, turned.shape[axis]))
    (z0, z1, zf, z_in), (y0, y1, yf, y_in), (x0, x1, xf, x_in) = lines
    # Columns first, where the array is still small; then whole rows are taken at a time.
    wide = np.ascontiguousarray(turned, dtype=np.float32)
    left, right = wide[:, :, x0], wide[:, :, x1]
    right -= left
    right *= xf
    wide = left
    wide += right
    out = np.full(target.shape, outside, dtype=np.float32)
    ys = slice(int(np.argmax(y_in)), target.shape[1] - int(np.argmax(y_in[::-1])))
    xs = slice(int(np.argmax(x_in)), target.shape[2] - int(np.argmax(x_in[::-1])))
    if not (y_in.any() and x_in.any()):
        return out
    y0, y1, yf = y0[ys], y1[ys], yf[ys, None]
    wide = wide[:, :, xs]
    for k in np.flatnonzero(z_in):
        plane = wide[z0[k]] + zf[k] * (wide[z1[k]] - wide[z0[k]])
        upper = plane[y0]
        lower = plane[y1]
        lower -= upper
        lower *= yf
        np.add(upper, lower, out=out[k, ys, xs])
    return out


def _line(
    at: NDArray[np.float64], count: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32], NDArray[np.bool_]]:
    """Along an axis of ``count`` voxels: both neighbours, the second one's weight, if inside."""
    inside = (at >= -0.5) & (at < count - 0.5)
    held = np.clip(at, 0.0, count - 1.0)
    first = np.minimum(held.astype(np.intp), max(count - 2, 0))
    second = np.minimum(first + 1, count - 1)
    return first, second, (held - first).astype(np.float32), inside
