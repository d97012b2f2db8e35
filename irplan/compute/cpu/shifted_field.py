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
def _sample(field: Any, z: Any, y: Any, x: Any) -> Any:
    """Trilinear value at fractional indices, clamped to the array."""
    nz, ny, nx = field.shape
    one, zero = np.float32(1.0), np.float32(0.0)
    z = min(max(z, zero), np.float32(nz) - np.float32(1.001))
    y = min(max(y, zero), np.float32(ny) - np.float32(1.001))
    x = min(max(x, zero), np.float32(nx) - np.float32(1.001))
    i, j, k = int(z), int(y), int(x)
    c, b, a = z - np.float32(i), y - np.float32(j), x - np.float32(k)
    low = (one - b) * ((one - a) * field[i, j, k] + a * field[i, j, k + 1]) + b * (
        (one - a) * field[i, j + 1, k] + a * field[i, j + 1, k + 1]
    )
    high = (one - b) * ((one - a) * field[i + 1, j, k] + a * field[i + 1, j, k + 1]) + b * (
        (one - a) * field[i + 1, j + 1, k] + a * field[i + 1, j + 1, k + 1]
    )
    return (one - c) * low + c * high


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST, parallel=True)
def change(new: Any, old: Any, h: Any, ends: Any, turn: Any, shift: Any) -> Any:
    """Coarse new field less the old one carried along: what the move did beyond moving."""
    nz, ny, nx = new.shape
    out = np.empty_like(new)
    for i in prange(nz):
        d = np.empty(3, np.float32)
        for j in range(ny):
            for k in range(nx):
                z, y, x = i * h[0], j * h[1], k * h[2]
                displacement(z, y, x, ends, turn, shift, d)
                was = _sample(old, (z + d[0]) / h[0], (y + d[1]) / h[1], (x + d[2]) / h[2])
                out[i, j, k] = new[i, j, k] - was
    return out


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST, parallel=True)
def carried(
    old: Any, h: Any, coarse: Any, after: Any, coarse_h: Any, ends: Any, turn: Any, shift: Any,
    held: Any, rest: Any, tolerance: Any, lowest: Any, highest: Any, out: Any,
) -> None:  # fmt: skip
    """out = the fine old field carried along plus the coarse change; held voxels keep ``old``.

    ``after`` is the coarse solution after the move; where it is at rest, so is ``out``, which stays
    within ``lowest`` and ``highest``.
    """
    nz, ny, nx = old.shape
    cz, cy, cx = coarse.shape
    for i in prange(nz):
        d = np.empty(3, np.float32)
        for j in range(ny):
            for k in range(nx):
                z, y, x = i * h[0], j * h[1], k * h[2]
                ci, cj, ck = z / coarse_h[0], y / coarse_h[1], x / coarse_h[2]
                if held[i, j, k]:
                    out[i, j, k] = old[i, j, k]
                    continue
                i0, j0, k0 = min(cz - 1, int(ci)), min(cy - 1, int(cj)), min(cx - 1, int(ck))
                i1, j1, k1 = min(cz - 1, i0 + 1), min(cy - 1, j0 + 1), min(cx - 1, k0 + 1)
                if (
                    abs(after[i0, j0, k0] - rest) < tolerance
                    and abs(after[i1, j1, k1] - rest) < tolerance
                ):
                    out[i, j, k] = rest  # the move leaves nothing here
                    continue
                displacement(z, y, x, ends, turn, shift, d)
                t = _sample(old, (z + d[0]) / h[0], (y + d[1]) / h[1], (x + d[2]) / h[2]) + _sample(
                    coarse, ci, cj, ck
                )
                out[i, j, k] = min(max(t, lowest), highest)
