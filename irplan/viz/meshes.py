"""Closed triangle surfaces in LPS mm from masks and temperature fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.measure import marching_cubes

from irplan.geometry import Grid

#: Blur along an axis is at least this share of the voxel's side there.
_SLICE_BLUR = 0.6


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles: ``vertices`` (n, 3) LPS mm, ``faces`` (m, 3) indices, outward-facing."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]


def mask_surface(
    mask: NDArray[np.bool_],
    grid: Grid,
    *,
    voxel_mm: float,
    smooth_mm: float,
    closed: bool = True,
) -> Mesh | None:
    """Surface of a mask, or None when it is empty or too small for ``voxel_mm``.

    The mask is averaged down to voxels of about ``voxel_mm``, blurred by a Gaussian of
    ``smooth_mm`` (at least 0.6 of the voxel's side, so that thick slices show no steps) and cut
    at one half (marching cubes).  A convex shape shrinks by about ``smooth_mm``^2 / radius: for
    pictures, not for measurements.  ``closed`` caps it where the image ends; otherwise it stays
    open there.
    """
    box = _bounding_box(mask)
    if box is None:
        return None
    stride = [max(1, round(voxel_mm / s)) for s in grid.spacing_mm]
    blur_mm = np.maximum(smooth_mm, _SLICE_BLUR * np.array(grid.spacing_mm))
    pad = [
        2 * n + int(np.ceil(3 * b / s))
        for n, b, s in zip(stride, blur_mm, grid.spacing_mm, strict=True)
    ]
    start = [max(0, a - p) for (a, _), p in zip(box, pad, strict=True)]
    stop = [min(n, b + p) for (_, b), p, n in zip(box, pad, mask.shape, strict=True)]
    part = _block_mean(mask[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))], stride)
    step = np.array(stride, dtype=np.float64)
    field = np.pad(part, 2, mode="constant" if closed else "edge")
    sigma = blur_mm / (np.array(grid.spacing_mm) * step)
    field = gaussian_filter(field, sigma, mode="nearest", truncate=3.0)
    if not field.min() < 0.5 < field.max():
        return None
    vertices, faces, _, _ = marching_cubes(field, 0.5, gradient_direction="descent")
    index = np.array(start) + (step - 1) / 2 + (vertices - 2.0) * step
    return _in_lps(index, faces, grid)


def isosurface(field: NDArray[Any], grid: Grid, level: float) -> Mesh | None:
    """Surface round where ``field`` is below ``level``; None where there is no such place."""
    cold = field <= level
    box = _bounding_box(cold)
    if box is None or bool(cold.all()):
        return None
    start = [max(0, a - 2) for a, _ in box]
    stop = [min(n, b + 2) for (_, b), n in zip(box, field.shape, strict=True)]
    part = field[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    vertices, faces, _, _ = marching_cubes(
        np.ascontiguousarray(part, dtype=np.float32), level, gradient_direction="ascent"
    )
    return _in_lps(np.array(start) + vertices, faces, grid)


def _bounding_box(mask: NDArray[np.bool_]) -> list[tuple[int, int]] | None:
    box = []
    for axis in range(3):
        other = tuple(a for a in range(3) if a != axis)
        used = np.flatnonzero(mask.any(axis=other))
        if used.size == 0:
            return None
        box.append((int(used[0]), int(used[-1]) + 1))
    return box


def _block_mean(mask: NDArray[np.bool_], stride: list[int]) -> NDArray[np.float32]:
    """Mean over blocks of ``stride`` voxels; the far edge is filled up with its last voxels."""
    more = [(0, -n % s) for n, s in zip(mask.shape, stride, strict=True)]
    full = np.pad(mask, more, mode="edge") if any(b for _, b in more) else mask
    total = full.view(np.uint8)
    for axis, s in enumerate(stride):
        if s > 1:
            edges = np.arange(0, total.shape[axis], s)
            total = np.add.reduceat(total, edges, axis=axis, dtype=np.uint16)
    out: NDArray[np.float32] = total.astype(np.float32) / float(np.prod(stride))
    return out


def _in_lps(index: NDArray[np.float64], faces: NDArray[Any], grid: Grid) -> Mesh:
    # skimage winds triangles for a left-handed system, which (slice, row, column) is in LPS.
    return Mesh(grid.index_to_lps(index), faces.astype(np.int64))
