"""How a tissue map is laid out for the bioheat kernels: runs of one tissue, and mixed voxels.

A row of the grid is cut into *runs*.  Where a voxel and its six neighbours are one tissue the
stage reads nothing but temperature; the others ("mixed") are listed, each with its *signature*, the
row of face and own constants that all voxels with this tissue and these neighbours share.  Voxels
held at a fixed temperature are in neither.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, uint64

#: A run of one tissue shorter than this is not worth a loop of its own.
_SHORTEST_RUN = 6
#: Bits of one tissue in a signature's key (own tissue and six neighbours in 63 bits).
_BITS = 9
#: Voxels are numbered by 512 tissues at most; a tissue map holds 256.
_EMPTY = -1


@njit(cache=True, nogil=True)
def tissues_present(index: Any) -> Any:
    """(256,) bool: which values occur in the flat uint8 ``index``."""
    seen = np.zeros(256, np.bool_)
    last = -1
    for i in range(index.size):
        value = index[i]
        if value != last:
            seen[value] = True
            last = value
    return seen


@njit(cache=True, nogil=True)
def padded_kind(index: Any, lut: Any, out: Any) -> None:
    """out (nz+2, ny+2, nx+2) = lut[index], the edge repeated in the padding."""
    nz, ny, nx = index.shape
    for z in range(nz + 2):
        zi = min(max(z - 1, 0), nz - 1)
        for y in range(ny + 2):
            yi = min(max(y - 1, 0), ny - 1)
            for x in range(nx):
                out[z, y, x + 1] = lut[index[zi, yi, x]]
            out[z, y, 0] = out[z, y, 1]
            out[z, y, nx + 1] = out[z, y, nx]


@njit(cache=True, nogil=True)
def _alike(kind: Any, base: Any, nx: Any, sy: Any, sz: Any, out: Any) -> int:
    """out[x] = 1 where voxel x of the row and its six neighbours are one tissue; their number."""
    count = 0
    for x in range(nx):
        i = base + uint64(x)
        k = kind[i]
        odd = (
            (kind[i - uint64(1)] ^ k) | (kind[i + uint64(1)] ^ k) | (kind[i - sy] ^ k)
            | (kind[i + sy] ^ k) | (kind[i - sz] ^ k) | (kind[i + sz] ^ k)
        )  # fmt: skip
        same = np.uint8(1) if odd == 0 else np.uint8(0)
        out[x] = same
        count += int(same)
    return count


@njit(cache=True, nogil=True)
def _row_runs(
    kind: Any, fixed: Any, alike: Any, base: Any, nx: Any, runs: Any, at: int, mixed: Any, m: int
) -> tuple[int, int]:
    """Cut one row into runs from ``runs[at]`` and mixed voxels from ``mixed[m]`` on."""
    x = 0
    while x < nx:
        k = kind[base + uint64(x)]
        if fixed[k]:
            x += 1
            continue
        end = x
        while end < nx and alike[end] == 1:  # voxels alike in a row are of one tissue
            end += 1
        if end - x >= min(_SHORTEST_RUN, nx):
            runs[at, 0], runs[at, 1], runs[at, 2] = x, end - x, k
            at += 1
            x = end
            continue
        for v in range(x, max(end, x + 1)):
            mixed[m] = v
            m += 1
        x = max(end, x + 1)
    return at, m


@njit(cache=True, nogil=True)
def find_runs(kind: Any, fixed: Any, shape: Any) -> tuple[Any, Any, Any, Any]:
    """Runs and mixed voxels of the flat padded tissue map ``kind``.

    Returns runs (r, 3) int32 [column, length, tissue], where each row's begin (nz*ny+1,) int32,
    the column of each mixed voxel (m,) int32 and where each row's begin.
    """
    nz, ny, nx = shape[0], shape[1], shape[2]
    sy, sz = uint64(nx + 2), uint64((ny + 2) * (nx + 2))
    rows = np.zeros(nz * ny + 1, np.int32)
    mixed_rows = np.zeros(nz * ny + 1, np.int32)
    runs = np.empty((nz * ny + nx, 3), np.int32)
    mixed = np.empty(nz * ny // 4 + nx, np.int32)
    alike = np.empty(nx, np.uint8)
    at, m = np.int64(0), np.int64(0)
    for row in range(nz * ny):
        base = uint64(row // ny + 1) * sz + uint64(row % ny + 1) * sy + uint64(1)
        if at + nx > runs.shape[0]:
            grown = np.empty((2 * runs.shape[0], 3), np.int32)
            for k in range(at):  # a loop: numba compiles the slices' error text for seconds
                grown[k, 0], grown[k, 1], grown[k, 2] = runs[k, 0], runs[k, 1], runs[k, 2]
            runs = grown
        if m + nx > mixed.shape[0]:
            longer = np.empty(2 * mixed.shape[0], np.int32)
            for k in range(m):
                longer[k] = mixed[k]
            mixed = longer
        if _alike(kind, base, nx, sy, sz, alike) == nx:
            if not fixed[kind[base]]:
                runs[at, 0], runs[at, 1], runs[at, 2] = 0, nx, kind[base]
                at += 1
        else:
            at, m = _row_runs(kind, fixed, alike, base, nx, runs, at, mixed, m)
        rows[row + 1] = at
        mixed_rows[row + 1] = m
    return runs[:at].copy(), rows, mixed[:m].copy(), mixed_rows


@njit(cache=True, nogil=True)
def signatures(kind: Any, mixed: Any, mixed_rows: Any, shape: Any) -> tuple[Any, Any]:
    """Signature of each mixed voxel (m,) int32 and the keys (s, 7) int32 of the signatures.

    A key is the tissue of the voxel and of its neighbours at -x, +x, -y, +y, -z, +z.
    """
    nz, ny, nx = shape[0], shape[1], shape[2]
    sy, sz = (nx + 2), (ny + 2) * (nx + 2)
    steps = np.array([0, -1, 1, -sy, sy, -sz, sz])
    out = np.empty(mixed.shape[0], np.int32)
    size = 1024
    table = np.full(size, _EMPTY, np.int32)
    codes = np.empty(size, np.int64)
    count = 0
    for row in range(nz * ny):
        z, y = row // ny, row % ny
        base = (z + 1) * sz + (y + 1) * sy + 1
        for m in range(mixed_rows[row], mixed_rows[row + 1]):
            i = base + mixed[m]
            code = np.int64(0)
            for s in range(7):
                code = (code << _BITS) | np.int64(kind[i + steps[s]])
            slot = (code * np.int64(0x9E3779B97F4A7C1) >> 20) & (size - 1)
            while table[slot] != _EMPTY and codes[table[slot]] != code:
                slot = (slot + 1) & (size - 1)
            if table[slot] == _EMPTY:
                table[slot] = count
                codes[count] = code
                count += 1
                out[m] = count - 1
                if 2 * count > size:  # grow and enter all again
                    size *= 2
                    grown = np.empty(size, np.int64)
                    for n in range(count):
                        grown[n] = codes[n]
                    codes = grown
                    table = np.full(size, _EMPTY, np.int32)
                    for n in range(count):
                        slot = (codes[n] * np.int64(0x9E3779B97F4A7C1) >> 20) & (size - 1)
                        while table[slot] != _EMPTY:
                            slot = (slot + 1) & (size - 1)
                        table[slot] = n
            else:
                out[m] = table[slot]
    keys = np.empty((count, 7), np.int32)
    for n in range(count):
        for s in range(7):
            keys[n, s] = (codes[n] >> (_BITS * (6 - s))) & ((1 << _BITS) - 1)
    return out, keys
