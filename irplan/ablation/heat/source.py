"""A heat source as callers give it: checked, and in a tight index box."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError, SolverError

#: (z0, z1, y0, y1, x0, x1), ends excluded.
Box = tuple[int, int, int, int, int, int]
_NO_SOURCE = np.zeros((0, 0, 0), np.float32)


def checked_source(
    source: NDArray[np.float32] | None, box: Box | None, shape: tuple[int, int, int]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The source and its index box (z0, z1, y0, y1, x0, x1), tight where ``box`` is None.

    Raises `InputError` for a wrong shape, `SolverError` for values below 0 or not finite.
    """
    if source is None:
        return _NO_SOURCE, np.zeros(6, np.int64)
    array = np.ascontiguousarray(source, dtype=np.float32)
    cut = np.array(box if box is not None else (0, shape[0], 0, shape[1], 0, shape[2]))
    size = tuple(int(n) for n in cut[1::2] - cut[::2])
    inside = np.all(cut[::2] >= 0) and np.all(cut[1::2] <= np.array(shape))
    if array.shape != size or not inside:
        raise InputError(
            "source_w_per_m3",
            got=f"shape {array.shape} for box {tuple(int(n) for n in cut)}",
            expected=f"the box's size, inside a grid of {shape}",
            remedy="Give the whole grid, or the array of the box only.",
        )
    low, high = float(array.min(initial=0.0)), float(array.max(initial=0.0))  # NaN goes through
    if not (low >= 0.0 and high < np.inf):
        raise SolverError(
            "source_w_per_m3",
            got="values that are negative or not finite",
            expected="power densities of 0 or more, W/m3",
            remedy="Check the field solution that the heat comes from.",
        )
    if box is None:
        away = [np.flatnonzero(array.any(axis=tuple({0, 1, 2} - {a}))) for a in range(3)]
        if away[0].size == 0:
            return _NO_SOURCE, np.zeros(6, np.int64)
        cut = np.array([v for w in away for v in (int(w[0]), int(w[-1]) + 1)])
        array = np.ascontiguousarray(array[cut[0] : cut[1], cut[2] : cut[3], cut[4] : cut[5]])
    return array, cut.astype(np.int64)


def box_of(mask: NDArray[np.bool_], first: NDArray[np.int64]) -> Box | None:
    """Tight index box of a (z, y, x) mask that begins at voxel ``first``; None: it is empty."""
    out: list[int] = []
    for axis in range(3):
        some = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
        if some.size == 0:
            return None
        out += [int(first[axis] + some[0]), int(first[axis] + some[-1]) + 1]
    return out[0], out[1], out[2], out[3], out[4], out[5]
