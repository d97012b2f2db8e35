"""Painting of a layered anatomy into a CT grid, one slice a thread.

A layer is either a smooth implicit field (negative inside, mm) held on a coarse lattice and read
through the cubic B-spline, or a set of tapered capsules.  Coverage of a voxel is the box-slab
partial volume of the local tangent plane: clip(1/2 - f / w, 0, 1) with w the extent of the
voxel's point spread along the surface normal (in-plane ``blur_mm``, across slices the slice
thickness).  Layers are composited in order, later over earlier.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray


@njit(cache=True, inline="always")
def _weights(t: float) -> tuple[float, float, float, float]:
    s = 1.0 - t
    t2, s2 = t * t, s * s
    return (
        s2 * s / 6.0,
        (4.0 - 6.0 * t2 + 3.0 * t2 * t) / 6.0,
        (4.0 - 6.0 * s2 + 3.0 * s2 * s) / 6.0,
        t2 * t / 6.0,
    )


@njit(cache=True)
def _plane(
    field: NDArray[np.float32], z: float, y: NDArray[np.float32], plane: NDArray[np.float32]
) -> None:
    """plane[row, coarse column] = the field's B-spline at lattice height z and rows y."""
    nz, ny, nx = field.shape
    iz = min(max(int(math.floor(z)), 1), nz - 3)
    a0, a1, a2, a3 = _weights(min(max(z - iz, 0.0), 1.0))
    mid = np.empty((ny, nx), dtype=np.float32)
    for j in range(ny):
        for i in range(nx):
            mid[j, i] = (
                a0 * field[iz - 1, j, i]
                + a1 * field[iz, j, i]
                + a2 * field[iz + 1, j, i]
                + a3 * field[iz + 2, j, i]
            )
    for r in range(y.size):
        iy = min(max(int(math.floor(y[r])), 1), ny - 3)
        b0, b1, b2, b3 = _weights(min(max(y[r] - iy, 0.0), 1.0))
        for i in range(nx):
            plane[r, i] = (
                b0 * mid[iy - 1, i] + b1 * mid[iy, i] + b2 * mid[iy + 1, i] + b3 * mid[iy + 2, i]
            )


@njit(cache=True, parallel=True)
def paint_layers(
    fields: NDArray[np.float32],
    boxes: NDArray[np.int64],
    tubes: NDArray[np.float32],
    layers: NDArray[np.int64],
    hu: NDArray[np.float32],
    texture: NDArray[np.float32],
    texture_index: int,
    lattice_z: NDArray[np.float32],
    lattice_y: NDArray[np.float32],
    lattice_x: NDArray[np.float32],
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
    """Paint slices ``first_slice``.. of ``image`` (HU, float32) and ``labels`` (uint8).

    fields : (F, nz, ny, nx) lattice values, mm.  boxes : (F, 6) first and last output slice, row
        and column in which a field may be below its blur.
    tubes : (T, 9) x0, y0, z0, x1, y1, z1, r0, r1, gas level y (only y below it is painted).
    layers : (L, 4) kind (0 field, 1 tubes), first field or tube, one past the last tube, label.
    hu, texture : (L,) value and amplitude on the field ``texture_index``.
    lattice_* : the output axes in lattice index units; *_mm : in mm; half_slice in lattice units.
    image, labels : the output part, slice 0 of it being ``first_slice`` of the axes.
    """
    n_rows, n_cols = y_mm.size, x_mm.size
    n_lat = fields.shape[3]
    column = np.empty(n_cols, dtype=np.int64)
    weight = np.empty((n_cols, 4), dtype=np.float32)
    for c in range(n_cols):
        i = min(max(int(math.floor(lattice_x[c])), 1), n_lat - 3)
        column[c] = i - 1
        w0, w1, w2, w3 = _weights(min(max(lattice_x[c] - i, 0.0), 1.0))
        weight[c, 0], weight[c, 1], weight[c, 2], weight[c, 3] = w0, w1, w2, w3
    for k in prange(image.shape[0]):
        s = first_slice + k
        out, lab = image[k], labels[k]
        low = np.empty((n_rows, n_lat), dtype=np.float32)
        mid = np.empty((n_rows, n_lat), dtype=np.float32)
        top = np.empty((n_rows, n_lat), dtype=np.float32)
        grain = np.empty((n_rows, n_cols), dtype=np.float32)
        cover = np.zeros((n_rows, n_cols), dtype=np.float32)
        _plane(fields[texture_index], lattice_z[s], lattice_y, mid)
        for r in range(n_rows):
            for c in range(n_cols):
                i = column[c]
                grain[r, c] = (
                    weight[c, 0] * mid[r, i]
                    + weight[c, 1] * mid[r, i + 1]
                    + weight[c, 2] * mid[r, i + 2]
                    + weight[c, 3] * mid[r, i + 3]
                )
        for layer in range(layers.shape[0]):
            value, amplitude = hu[layer], texture[layer]
            label = np.uint8(layers[layer, 3])
            first = layers[layer, 1]
            if layers[layer, 0] == 0:
                if s < boxes[first, 0] or s > boxes[first, 1]:
                    continue
                ra, rb, ca, cb = boxes[first, 2:6]
                rows = lattice_y[ra : rb + 1]
                _plane(fields[first], lattice_z[s] - half_slice, rows, low)
                _plane(fields[first], lattice_z[s], rows, mid)
                _plane(fields[first], lattice_z[s] + half_slice, rows, top)
                for r in range(ra, rb + 1):
                    q = r - ra
                    for c in range(ca, cb + 1):
                        i = column[c]
                        g0, g1, g2, g3 = weight[c, 0], weight[c, 1], weight[c, 2], weight[c, 3]
                        f = g0 * mid[q, i] + g1 * mid[q, i + 1]
                        f += g2 * mid[q, i + 2] + g3 * mid[q, i + 3]
                        if f > 6.0 + slice_mm:
                            continue
                        u = g0 * (top[q, i] - low[q, i]) + g1 * (top[q, i + 1] - low[q, i + 1])
                        u += g2 * (top[q, i + 2] - low[q, i + 2])
                        u += g3 * (top[q, i + 3] - low[q, i + 3])
                        a = 0.5 - f / math.sqrt(blur_mm * blur_mm + u * u)
                        if a <= 0.0:
                            continue
                        a = min(a, 1.0)
                        out[r, c] += a * (value + amplitude * grain[r, c] - out[r, c])
                        if f < 0.0:
                            lab[r, c] = label
                continue
            r_lo, r_hi, c_lo, c_hi = n_rows, -1, n_cols, -1
            for t in range(first, layers[layer, 2]):
                x0, y0, z0 = tubes[t, 0], tubes[t, 1], tubes[t, 2]
                dx, dy, dz = tubes[t, 3] - x0, tubes[t, 4] - y0, tubes[t, 5] - z0
                reach = max(tubes[t, 6], tubes[t, 7]) + blur_mm
                z = z_mm[s]
                if z < min(z0, z0 + dz) - reach - slice_mm:
                    continue
                if z > max(z0, z0 + dz) + reach + slice_mm:
                    continue
                length2 = dx * dx + dy * dy + dz * dz
                ra = np.searchsorted(y_mm, min(y0, y0 + dy) - reach)
                rb = np.searchsorted(y_mm, max(y0, y0 + dy) + reach)
                ca = np.searchsorted(x_mm, min(x0, x0 + dx) - reach)
                cb = np.searchsorted(x_mm, max(x0, x0 + dx) + reach)
                r_lo, r_hi = min(r_lo, ra), max(r_hi, rb)
                c_lo, c_hi = min(c_lo, ca), max(c_hi, cb)
                for r in range(ra, rb):
                    for c in range(ca, cb):
                        px, py, pz = x_mm[c] - x0, y_mm[r] - y0, z - z0
                        g = 0.0
                        if length2 > 0.0:
                            g = min(max((px * dx + py * dy + pz * dz) / length2, 0.0), 1.0)
                        px, py, pz = px - g * dx, py - g * dy, pz - g * dz
                        d2 = px * px + py * py + pz * pz
                        radius = tubes[t, 6] + g * (tubes[t, 7] - tubes[t, 6])
                        w2 = blur_mm * blur_mm
                        if d2 > 1e-6:
                            w2 += (slice_mm * slice_mm - w2) * pz * pz / d2
                        w = math.sqrt(w2)
                        d = math.sqrt(d2)
                        a = min(max((radius - d) / w + 0.5, 0.0), 1.0)
                        a -= min(max((-radius - d) / w + 0.5, 0.0), 1.0)
                        level = (tubes[t, 8] - y_mm[r]) / blur_mm + 0.5
                        a *= min(max(level, 0.0), 1.0)
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
