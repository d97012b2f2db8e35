"""Kernels that list the boundary voxels of groups of labels."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def _on_surface(labels, group, i, j, k):  # type: ignore[no-untyped-def]
    """True where a voxel of a group has a face neighbour of another, or lies at the array's end."""
    n0, n1, n2 = labels.shape
    g = group[labels[i, j, k]]
    if i == 0 or j == 0 or k == 0 or i == n0 - 1 or j == n1 - 1 or k == n2 - 1:
        return True  # cut by the image's end: its boundary is there
    return (
        group[labels[i - 1, j, k]] != g
        or group[labels[i + 1, j, k]] != g
        or group[labels[i, j - 1, k]] != g
        or group[labels[i, j + 1, k]] != g
        or group[labels[i, j, k - 1]] != g
        or group[labels[i, j, k + 1]] != g
    )


@njit(cache=True, nogil=True)
def count_surface(
    labels: NDArray[np.uint8],
    group: NDArray[np.uint8],
    first: int,
    last: int,
    counts: NDArray[np.int64],
) -> None:
    """Number of boundary voxels in each plane first..last-1 of axis 0.

    ``labels`` (a, b, c); ``group`` (256,) the group of each value, 255 = none.
    """
    _, n1, n2 = labels.shape
    for i in range(first, last):
        total = 0
        for j in range(n1):
            for k in range(n2):
                if group[labels[i, j, k]] != 255 and _on_surface(labels, group, i, j, k):
                    total += 1
        counts[i] = total


@njit(cache=True, nogil=True)
def list_surface(
    labels: NDArray[np.uint8],
    group: NDArray[np.uint8],
    first: int,
    last: int,
    starts: NDArray[np.int64],
    spacing: NDArray[np.float64],
    points: NDArray[np.float32],
    number: NDArray[np.uint8],
) -> None:
    """The boundary voxels of planes first..last-1 in array order, from ``starts`` of each plane.

    Writes ``points`` (n, 3) index times ``spacing``, and ``number`` (n,) the group.
    """
    _, n1, n2 = labels.shape
    for i in range(first, last):
        at = starts[i]
        for j in range(n1):
            for k in range(n2):
                g = group[labels[i, j, k]]
                if g != 255 and _on_surface(labels, group, i, j, k):
                    points[at, 0] = i * spacing[0]
                    points[at, 1] = j * spacing[1]
                    points[at, 2] = k * spacing[2]
                    number[at] = g
                    at += 1
