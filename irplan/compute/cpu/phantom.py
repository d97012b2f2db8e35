"""Painting of a layered anatomy into a CT grid, slice by slice.

A layer is either a smooth implicit field (negative inside, mm) held on a coarse lattice and read
through the cubic B-spline, or a set of tapered capsules.  Coverage of a voxel is the box-slab
partial volume of the local tangent plane: clip(1/2 - f / w, 0, 1) with w the extent of the
voxel's point spread along the surface normal (in-plane ``blur_mm``, across slices the slice
thickness).  Layers are composited in order, later over earlier.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, error_model="numpy")
def _weights(t: float, w: NDArray[np.float32]) -> None:
    s = 1.0 - t
    w[0] = s * s * s / 6.0
    w[1] = (4.0 - 6.0 * t * t + 3.0 * t * t * t) / 6.0
    w[2] = (4.0 - 6.0 * s * s + 3.0 * s * s * s) / 6.0
    w[3] = t * t * t / 6.0


@njit(cache=True, error_model="numpy")
def _cell(t: float, n: int) -> int:
    return min(max(math.floor(t), 1), n - 3)


@njit(cache=True, error_model="numpy")
def _plane(
    field: NDArray[np.float32],
    z: float,
    y: NDArray[np.float32],
    first: int,
    last: int,
    plane: NDArray[np.float32],
) -> None:
    """plane[row, lattice column] = the field's B-spline at lattice height z, rows first..last."""
    nz, ny, nx = field.shape
    w = np.empty(4, dtype=np.float32)
    iz = _cell(z, nz)
    _weights(min(max(z - iz, 0.0), 1.0), w)
    flat = np.zeros((ny, nx), dtype=np.float32)
    for k in range(4):
        a = w[k]
        for j in range(ny):
            for i in range(nx):
                flat[j, i] += a * field[iz - 1 + k, j, i]
    for r in range(first, last + 1):
        iy = _cell(float(y[r]), ny)
        _weights(min(max(y[r] - iy, 0.0), 1.0), w)
        for i in range(nx):
            plane[r, i] = (
                w[0] * flat[iy - 1, i]
                + w[1] * flat[iy, i]
                + w[2] * flat[iy + 1, i]
                + w[3] * flat[iy + 2, i]
            )


@njit(cache=True, error_model="numpy")
def _spread(
    plane: NDArray[np.float32],
    row: int,
    column: NDArray[np.int64],
    weight: NDArray[np.float32],
    first: int,
    last: int,
    line: NDArray[np.float32],
) -> None:
    """line[c] = B-spline along x of one lattice row, columns first..last."""
    for c in range(first, last + 1):
        i = column[c]
        line[c] = (
            weight[c, 0] * plane[row, i]
            + weight[c, 1] * plane[row, i + 1]
            + weight[c, 2] * plane[row, i + 2]
            + weight[c, 3] * plane[row, i + 3]
        )


@njit(cache=True, error_model="numpy")
def _paint_field(
    field: NDArray[np.float32],
    box: NDArray[np.int64],
    z: float,
    half_slice: float,
    slice_mm: float,
    y: NDArray[np.float32],
    column: NDArray[np.int64],
    weight: NDArray[np.float32],
    blur_mm: float,
    value: float,
    amplitude: float,
    label: int,
    grain: NDArray[np.float32],
    out: NDArray[np.float32],
    lab: NDArray[np.uint8],
    planes: NDArray[np.float32],
) -> None:
    """Composite one field layer over one slice."""
    ra, rb, ca, cb = box[2], box[3], box[4], box[5]
    for k in range(3):
        _plane(field, z + (k - 1.0) * half_slice, y, ra, rb, planes[k])
    low, mid, top = planes[0], planes[1], planes[2]
    for r in range(ra, rb + 1):  # low becomes the field's change across the slice
        for i in range(low.shape[1]):
            low[r, i] = top[r, i] - low[r, i]
    n = column.size
    f, u = np.empty(n, dtype=np.float32), np.empty(n, dtype=np.float32)
    reach = blur_mm + 2.0 * slice_mm  # beyond it a voxel is wholly outside or inside
    for r in range(ra, rb + 1):
        least = mid[r, 0]
        for i in range(mid.shape[1]):
            least = min(least, mid[r, i])
        if least > reach:  # a B-spline stays above its least control value
            continue
        _spread(mid, r, column, weight, ca, cb, f)
        _spread(low, r, column, weight, ca, cb, u)
        for c in range(ca, cb + 1):
            if f[c] > reach:
                continue
            a = 1.0
            if f[c] > -reach:
                a = min(0.5 - f[c] / math.sqrt(blur_mm * blur_mm + u[c] * u[c]), 1.0)
            if a > 0.0:
                out[r, c] += a * (value + amplitude * grain[r, c] - out[r, c])
                if f[c] < 0.0:
                    lab[r, c] = label


@njit(cache=True, error_model="numpy")
def _paint_tubes(
    tubes: NDArray[np.float32],
    z: float,
    slice_mm: float,
    y_mm: NDArray[np.float32],
    x_mm: NDArray[np.float32],
    blur_mm: float,
    value: float,
    amplitude: float,
    label: int,
    grain: NDArray[np.float32],
    out: NDArray[np.float32],
    lab: NDArray[np.uint8],
    cover: NDArray[np.float32],
) -> None:
    """Composite one layer of capsules over one slice; ``cover`` is zero before and after."""
    n_rows, n_cols = out.shape
    dy_mm, dx_mm = y_mm[1] - y_mm[0], x_mm[1] - x_mm[0]
    r_lo, r_hi, c_lo, c_hi = n_rows, 0, n_cols, 0
    for t in range(tubes.shape[0]):
        x0, y0, z0 = tubes[t, 0], tubes[t, 1], tubes[t, 2]
        dx, dy, dz = tubes[t, 3] - x0, tubes[t, 4] - y0, tubes[t, 5] - z0
        reach = max(tubes[t, 6], tubes[t, 7]) + blur_mm
        high = reach + slice_mm
        if z < min(z0, z0 + dz) - high or z > max(z0, z0 + dz) + high:
            continue
        length2 = max(dx * dx + dy * dy + dz * dz, 1e-9)
        ra = max(math.floor((min(y0, y0 + dy) - reach - y_mm[0]) / dy_mm), 0)
        rb = min(math.ceil((max(y0, y0 + dy) + reach - y_mm[0]) / dy_mm) + 1, n_rows)
        ca = max(math.floor((min(x0, x0 + dx) - reach - x_mm[0]) / dx_mm), 0)
        cb = min(math.ceil((max(x0, x0 + dx) + reach - x_mm[0]) / dx_mm) + 1, n_cols)
        r_lo, r_hi, c_lo, c_hi = min(r_lo, ra), max(r_hi, rb), min(c_lo, ca), max(c_hi, cb)
        for r in range(ra, rb):
            level = min(max((tubes[t, 8] - y_mm[r]) / blur_mm + 0.5, 0.0), 1.0)
            if level <= 0.0:
                continue
            for c in range(ca, cb):
                px, py, pz = x_mm[c] - x0, y_mm[r] - y0, z - z0
                g = min(max((px * dx + py * dy + pz * dz) / length2, 0.0), 1.0)
                px, py, pz = px - g * dx, py - g * dy, pz - g * dz
                d2 = px * px + py * py + pz * pz
                w2 = blur_mm * blur_mm
                if d2 > 1e-6:
                    w2 += (slice_mm * slice_mm - w2) * pz * pz / d2
                w, d = math.sqrt(w2), math.sqrt(d2)
                radius = tubes[t, 6] + g * (tubes[t, 7] - tubes[t, 6])
                a = min(max((radius - d) / w + 0.5, 0.0), 1.0)
                a = level * (a - min(max((-radius - d) / w + 0.5, 0.0), 1.0))
                if a > cover[r, c]:
                    cover[r, c] = a
                if d < radius and level > 0.5:
                    lab[r, c] = label
    for r in range(r_lo, r_hi):
        for c in range(c_lo, c_hi):
            a = cover[r, c]
            if a > 0.0:
                out[r, c] += a * (value + amplitude * grain[r, c] - out[r, c])
                cover[r, c] = 0.0


@njit(cache=True, error_model="numpy")
def paint_layers(
    fields: NDArray[np.float32],
    boxes: NDArray[np.int64],
    tubes: NDArray[np.float32],
    layers: NDArray[np.int64],
    tissue: NDArray[np.float32],
    lattice_z: NDArray[np.float32],
    lattice_y: NDArray[np.float32],
    column: NDArray[np.int64],
    weight: NDArray[np.float32],
    z_mm: NDArray[np.float32],
    y_mm: NDArray[np.float32],
    x_mm: NDArray[np.float32],
    half_slice: float,
    slice_mm: float,
    blur_mm: float,
    first_slice: int,
    image: NDArray[np.float32],
    labels: NDArray[np.uint8],
) -> None:
    """Paint slices ``first_slice``.. of ``image`` (HU, float32) and ``labels`` (uint8) in place.

    fields : (F + 1, nz, ny, nx) lattice values, mm; the last is the texture (SD 1).
    boxes : (F, 6) first and last output slice, row and column in which a field may paint.
    tubes : (T, 9) x0, y0, z0, x1, y1, z1, r0, r1, level: painted only where y is below level, mm.
    layers : (L, 4) kind (0 field, 1 tubes), first field or tube, one past the last tube, label.
    tissue : (L, 2) HU and amplitude of the texture, HU.
    lattice_z, lattice_y : output slices and rows in lattice index units.
    column, weight : (C,), (C, 4) first lattice column and B-spline weights of every output column.
    *_mm : the output axes in mm, at least two rows and columns; ``half_slice`` in lattice units.
    image, labels : the output part whose slice 0 is ``first_slice`` of the axes.
    """
    n_rows, n_cols = image.shape[1], image.shape[2]
    planes = np.empty((3, n_rows, fields.shape[3]), dtype=np.float32)
    grain = np.empty((n_rows, n_cols), dtype=np.float32)
    cover = np.zeros((n_rows, n_cols), dtype=np.float32)
    for i in range(image.shape[0]):
        s = first_slice + i
        out, lab, z = image[i], labels[i], float(lattice_z[s])
        _plane(fields[-1], z, lattice_y, 0, n_rows - 1, planes[1])
        for r in range(n_rows):
            _spread(planes[1], r, column, weight, 0, n_cols - 1, grain[r])
        for k in range(layers.shape[0]):
            kind, first, last, label = layers[k, 0], layers[k, 1], layers[k, 2], layers[k, 3]
            value, amplitude = tissue[k, 0], tissue[k, 1]
            if kind == 1:
                _paint_tubes(
                    tubes[first:last], z_mm[s], slice_mm, y_mm, x_mm, blur_mm,
                    value, amplitude, label, grain, out, lab, cover,
                )  # fmt: skip
            elif boxes[first, 0] <= s <= boxes[first, 1]:
                _paint_field(
                    fields[first], boxes[first], z, half_slice, slice_mm, lattice_y, column,
                    weight, blur_mm, value, amplitude, label, grain, out, lab, planes,
                )  # fmt: skip
