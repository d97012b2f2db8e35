"""A field carried along with moved probes and corrected by a coarser solution of the move."""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

from irplan.compute.cpu.bioheat_state import FAST


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def displacement(z: Any, y: Any, x: Any, ends: Any, turn: Any, shift: Any, out: Any) -> None:
    """Where the tissue's cold at (z, y, x) came from: out = old place - new place, mm.

    ``ends`` (p, 2, 3) are the active zones after the move; the old place of a point that follows
    probe p is ``turn[p] @ point + shift[p]``.  Probes count by the inverse fourth power of their
    distance, so that close to one only its own move matters.
    """
    total = np.float32(1e-12)
    out[0], out[1], out[2] = 0.0, 0.0, 0.0
    for p in range(ends.shape[0]):
        dz, dy, dx = (
            ends[p, 1, 0] - ends[p, 0, 0],
            ends[p, 1, 1] - ends[p, 0, 1],
            ends[p, 1, 2] - ends[p, 0, 2],
        )
        vz, vy, vx = z - ends[p, 0, 0], y - ends[p, 0, 1], x - ends[p, 0, 2]
        t = (vz * dz + vy * dy + vx * dx) / (dz * dz + dy * dy + dx * dx)
        t = min(np.float32(1.0), max(np.float32(0.0), t))
        far = (vz - t * dz) ** 2 + (vy - t * dy) ** 2 + (vx - t * dx) ** 2 + np.float32(0.25)
        w = np.float32(1.0) / (far * far)
        total += w
        r, s = turn[p], shift[p]
        out[0] += w * (r[0, 0] * z + r[0, 1] * y + r[0, 2] * x + s[0] - z)
        out[1] += w * (r[1, 0] * z + r[1, 1] * y + r[1, 2] * x + s[1] - y)
        out[2] += w * (r[2, 0] * z + r[2, 1] * y + r[2, 2] * x + s[2] - x)
    for c in range(3):
        out[c] /= total


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _foot(v: Any, n: Any) -> Any:
    """Index before the fractional index ``v``, clamped to ``n`` values, and the part beyond it."""
    v = min(max(v, np.float32(0.0)), np.float32(n) - np.float32(1.001))
    i = int(v)
    return i, v - np.float32(i)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST, parallel=True)
def moves(shape: Any, origin: Any, h: Any, ends: Any, turn: Any, shift: Any, out: Any) -> None:
    """`displacement` at each voxel of a grid that begins at ``origin`` mm: out[..., -3:]."""
    for i in prange(shape[0]):
        d = np.empty(3, np.float32)
        for j in range(shape[1]):
            for k in range(shape[2]):
                z, y, x = origin[0] + i * h[0], origin[1] + j * h[1], origin[2] + k * h[2]
                displacement(z, y, x, ends, turn, shift, d)
                for c in range(3):
                    out[i, j, k, out.shape[3] - 3 + c] = d[c]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST, parallel=True)
def change(new: Any, old: Any, h: Any, out: Any) -> None:
    """out[..., f] = coarse new field f less the old one carried along by out[..., -3:].

    It is what the move did beyond moving.  ``new`` and ``old`` are (field, slice, row, column).
    """
    count, nz, ny, nx = new.shape
    one = np.float32(1.0)
    for i in prange(nz):
        for j in range(ny):
            for k in range(nx):
                d = out[i, j, k]
                iz, c = _foot(np.float32(i) + d[count] / h[0], nz)
                iy, b = _foot(np.float32(j) + d[count + 1] / h[1], ny)
                ix, a = _foot(np.float32(k) + d[count + 2] / h[2], nx)
                for f in range(count):
                    was = np.float32(0.0)
                    for m in range(2):
                        wz = c if m == 1 else one - c
                        for n in range(2):
                            w = wz * (b if n == 1 else one - b)
                            row = old[f, iz + m, iy + n]
                            was += w * ((one - a) * row[ix] + a * row[ix + 1])
                    d[f] = new[f, i, j, k] - was


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _weight(m: Any) -> Any:
    """Binomial weights of five neighbours: 1 4 6 4 1, over 16."""
    return np.float32(0.375 if m == 0 else 0.25 if abs(m) == 1 else 0.0625)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _blurred(new: Any, axis: Any, out: Any) -> None:
    """One pass along ``axis`` of (slice, row, column, value); the edge's values go on."""
    shape = new.shape
    for i in range(shape[0]):
        for j in range(shape[1]):
            for k in range(shape[2]):
                for f in range(shape[3]):
                    total = np.float32(0.0)
                    for m in range(-2, 3):
                        z, y, x = i, j, k
                        if axis == 0:
                            z = min(max(i + m, 0), shape[0] - 1)
                        elif axis == 1:
                            y = min(max(j + m, 0), shape[1] - 1)
                        else:
                            x = min(max(k + m, 0), shape[2] - 1)
                        total += _weight(m) * new[z, y, x, f]
                    out[i, j, k, f] = total


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def smooth(values: Any, sharp: Any) -> None:
    """Take the lattice's noise out of all but the last three ``values``, where not ``sharp``.

    Tissue freezes a voxel at a time, so a coarse front has steps of its own, which two lattices do
    not share; what a move does beyond moving is smooth, but at vessels and new probes.
    """
    count = values.shape[3] - 3
    first = values[:, :, :, :count].copy()
    second = np.empty_like(first)
    third = np.empty_like(first)
    _blurred(first, 2, second)
    _blurred(second, 1, third)
    _blurred(third, 0, second)
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            for k in range(values.shape[2]):
                if not sharp[i, j, k]:
                    for f in range(count):
                        values[i, j, k, f] = second[i, j, k, f]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def at_rest(new: Any, rest: Any, tolerance: Any) -> Any:
    """(slice, row, column) 1 where all fields are at rest at a voxel and the seven beyond it."""
    count, nz, ny, nx = new.shape
    away = np.zeros((nz, ny, nx), np.uint8)
    for f in range(count):
        for i in range(nz):
            for j in range(ny):
                for k in range(nx):
                    if abs(new[f, i, j, k] - rest) >= tolerance:
                        away[i, j, k] = 1
    out = np.zeros_like(away)
    for i in range(nz):
        for j in range(ny):
            for k in range(nx):
                some = away[i, j, k]
                for m in range(1, 8):
                    z, y, x = min(i + m // 4, nz - 1), min(j + m // 2 % 2, ny - 1), k + m % 2
                    some |= away[z, y, min(x, nx - 1)]
                out[i, j, k] = 1 - some
    return out


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _between(values: Any, qz: Any, qy: Any, c: Any, b: Any, row: Any) -> None:
    """row[x] = values between slices qz, qz + 1 (part c) and rows qy, qy + 1 (part b)."""
    one = np.float32(1.0)
    up, on = min(qz + 1, values.shape[0] - 1), min(qy + 1, values.shape[1] - 1)
    first, second, third, fourth = (
        values[qz, qy], values[qz, on], values[up, qy], values[up, on]
    )  # fmt: skip
    for x in range(row.shape[0]):
        for n in range(row.shape[1]):
            near = (one - b) * first[x, n] + b * second[x, n]
            far = (one - b) * third[x, n] + b * fourth[x, n]
            row[x, n] = (one - c) * near + c * far


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST, parallel=True)
def carried(
    old: Any, h: Any, corner: Any, ratio: Any, values: Any, quiet: Any, held: Any,
    rest: Any, lowest: Any, highest: Any, out: Any,
) -> None:  # fmt: skip
    """out[f] = the fine old field f carried along plus the coarse change.

    ``values`` (coarse slice, row, column, fields + 3) holds the change and the displacement (where
    3 wide: the latter alone, nothing changes beyond moving), its first voxel at the fine index
    ``corner`` and ``ratio`` fine voxels an edge.  Held voxels and those beyond the coarse box keep
    ``old``; ``quiet`` ones are at rest; all stay within ``lowest`` and ``highest``.
    """
    count, nz, ny, nx = old.shape
    cz, cy, cx, wide = values.shape
    known = wide - 3
    one = np.float32(1.0)
    for plane in prange(nz):
        i = np.int64(plane)
        row, value = np.empty((cx, wide), np.float32), np.empty(wide, np.float32)
        for j in range(ny):
            if (
                i < corner[0] or j < corner[1]
                or i > corner[0] + ratio * (cz - 1) or j > corner[1] + ratio * (cy - 1)
            ):  # fmt: skip
                out[:, i, j] = old[:, i, j]
                continue
            qz, qy = (i - corner[0]) // ratio, (j - corner[1]) // ratio
            c = np.float32(i - corner[0] - ratio * qz) / np.float32(ratio)
            b = np.float32(j - corner[1] - ratio * qy) / np.float32(ratio)
            _between(values, qz, qy, c, b, row)
            for k in range(nx):
                if k < corner[2] or k > corner[2] + ratio * (cx - 1) or held[i, j, k]:
                    for f in range(count):
                        out[f, i, j, k] = old[f, i, j, k]
                    continue
                qx = (k - corner[2]) // ratio
                if quiet[qz, qy, qx]:
                    for f in range(count):
                        out[f, i, j, k] = rest  # the move leaves nothing here
                    continue
                a = np.float32(k - corner[2] - ratio * qx) / np.float32(ratio)
                beyond = min(qx + 1, cx - 1)
                for n in range(wide):
                    value[n] = (one - a) * row[qx, n] + a * row[beyond, n]
                iz, cc = _foot(np.float32(i) + value[known] / h[0], nz)
                iy, bb = _foot(np.float32(j) + value[known + 1] / h[1], ny)
                ix, aa = _foot(np.float32(k) + value[known + 2] / h[2], nx)
                for f in range(count):
                    t = np.float32(0.0)
                    for m in range(2):
                        wz = cc if m == 1 else one - cc
                        for n in range(2):
                            w = wz * (bb if n == 1 else one - bb)
                            near = old[f, iz + m, iy + n]
                            t += w * ((one - aa) * near[ix] + aa * near[ix + 1])
                    if known > 0:
                        t += value[f]
                    out[f, i, j, k] = min(max(t, lowest[f]), highest[f])
