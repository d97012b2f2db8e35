"""Kernels for distances to a mask up to a cap, and for the obstacle raster made of them."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def squares_along_slices(
    mask: NDArray[np.uint8],
    square: NDArray[np.float32],
    first: int,
    last: int,
    out: NDArray[np.float32],
) -> None:
    """First pass: squared distance along axis 0 to the nearest set voxel, rows first..last-1.

    ``mask`` (a, b, c) not zero = set; ``square`` (reach + 1,) squared distance of 0, 1, ...
    voxels; writes ``out`` (a, b, c), +inf where none is within reach.
    """
    n0, _, n2 = mask.shape
    reach = square.shape[0] - 1
    count = np.empty(n2, np.int32)
    for j in range(first, last):
        count[:] = reach + 1
        for i in range(n0):
            for k in range(n2):
                count[k] = 0 if mask[i, j, k] else min(count[k] + 1, reach + 1)
                out[i, j, k] = count[k]
        count[:] = reach + 1
        for i in range(n0 - 1, -1, -1):
            for k in range(n2):
                count[k] = 0 if mask[i, j, k] else min(count[k] + 1, reach + 1)
                near = min(count[k], int(out[i, j, k]))
                out[i, j, k] = square[near] if near <= reach else np.float32(np.inf)


@njit(cache=True, nogil=True)
def distances_in_planes(
    field: NDArray[np.float32],
    square1: NDArray[np.float32],
    square2: NDArray[np.float32],
    cap_square: np.float32,
    first: int,
    last: int,
) -> None:
    """The other passes, in place: planes first..last-1 of axis 0, then the root up to the cap.

    ``field`` (a, b, c) squared distances along axis 0; becomes the distance, +inf beyond the cap.
    """
    _, n1, n2 = field.shape
    reach1, reach2 = square1.shape[0] - 1, square2.shape[0] - 1
    source = np.empty((n1, n2), np.float32)
    row = np.empty(n2, np.float32)
    some = np.empty(n1, np.bool_)
    infinite = np.float32(np.inf)
    for i in range(first, last):
        plane = field[i]
        for j in range(n1):
            least = infinite
            for k in range(n2):
                v = plane[j, k]
                source[j, k] = v
                least = v if v < least else least
            some[j] = least < infinite
        for j in range(n1):
            target = plane[j]
            found = some[j]
            for d in range(1, reach1 + 1):
                c = square1[d]
                for other in (j - d, j + d):
                    if other < 0 or other >= n1 or not some[other]:
                        continue
                    found = True
                    line = source[other]
                    for k in range(n2):
                        v = line[k] + c
                        target[k] = v if v < target[k] else target[k]
            if not found:
                continue
            for k in range(n2):  # an assigned slice takes numba a second to compile
                row[k] = target[k]
            for d in range(1, min(reach2, n2 - 1) + 1):
                c = square2[d]
                for k in range(n2 - d):
                    v = row[k] + c
                    target[k + d] = v if v < target[k + d] else target[k + d]
                for k in range(n2 - d):
                    v = row[k + d] + c
                    target[k] = v if v < target[k] else target[k]
            for k in range(n2):
                v = target[k]
                target[k] = math.sqrt(v) if v <= cap_square else infinite


@njit(cache=True, nogil=True)
def add_obstacle(
    words: NDArray[np.uint32],
    at: NDArray[np.int64],
    distance: NDArray[np.float32],
    number: int,
    hard_mm: np.float32,
    soft_mm: np.float32,
    half_mm: np.float32,
    first: int,
    last: int,
) -> None:
    """Paint one obstacle into the packed raster (layout: `rays`), planes first..last-1 of its box.

    ``words`` is the whole raster, ``distance`` (a, b, c) the distance of voxel centres in the box
    that starts at ``at``; the gap is ``half_mm`` less.  Below ``hard_mm`` the bit ``number`` is
    set; the soft deficit (0 at ``soft_mm``, 255 at ``hard_mm``) stays where it is the largest.
    """
    _, n1, n2 = distance.shape
    bit = np.uint32(1 << number)
    width = np.float32(max(np.float32(1e-6), soft_mm - hard_mm))
    for i in range(first, last):
        for j in range(n1):
            line = words[at[0] + i, at[1] + j]
            for k in range(n2):
                d = distance[i, j, k]
                gap = d - half_mm
                if gap >= soft_mm:
                    continue
                word = line[at[2] + k]
                if gap < hard_mm or d == np.float32(0.0):
                    word |= bit
                share = np.float32((soft_mm - gap) / width)
                share = min(max(share, np.float32(0.0)), np.float32(1.0))
                level = np.uint32(math.ceil(np.float32(255.0) * share))
                if level > ((word >> np.uint32(16)) & np.uint32(0xFF)):
                    word = (word & np.uint32(0xF000FFFF)) | (level << np.uint32(16))
                    word |= np.uint32(number) << np.uint32(24)
                line[at[2] + k] = word
