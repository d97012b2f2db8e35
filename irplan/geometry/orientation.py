"""Order and direction of array axes: lossless re-indexing and orientation in words."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Columns: slices towards the head (+z), rows towards the back (+y), columns to the left (+x).
UPRIGHT: NDArray[np.float64] = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
UPRIGHT.setflags(write=False)

_WORDS = (("right", "left"), ("front", "back"), ("feet", "head"))


def reorder_axes(
    array: NDArray[Any], affine: ArrayLike, like: ArrayLike = UPRIGHT
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Permute and reverse array axes so that they run as nearly along ``like`` as possible.

    Parameters
    ----------
    array : (n0, n1, n2); a view of it is returned, no voxel is interpolated or copied.
    affine : 4 x 4 from its index to LPS mm; may be mirrored.
    like : 3 x 3, column n the LPS direction wanted for axis n; default (head, back, left).

    Returns
    -------
    (array, affine) with the same voxel at the same LPS position.  Where ``like`` is a rotation
    of (head, back, left) the result is never mirrored: should the nearest axes be (possible
    only beyond 45 deg of obliquity) the least certain one is reversed.
    """
    a = np.array(affine, dtype=np.float64)
    wanted = np.asarray(like, dtype=np.float64)
    direction = a[:3, :3] / np.linalg.norm(a[:3, :3], axis=0)
    cosines = wanted.T @ direction  # [wanted axis, stored axis]
    order = max(permutations(range(3)), key=lambda p: sum(abs(cosines[i, p[i]]) for i in range(3)))
    chosen = np.array([cosines[i, order[i]] for i in range(3)])
    signs = np.where(chosen < 0, -1, 1)
    if np.linalg.det(direction[:, order] * signs) * np.linalg.det(wanted) < 0:
        signs[int(np.argmin(np.abs(chosen)))] *= -1
    out = array.transpose(order)
    linear, origin = a[:3, :3][:, order], a[:3, 3].copy()
    for axis in range(3):
        if signs[axis] < 0:
            origin += linear[:, axis] * (out.shape[axis] - 1)
            out = np.flip(out, axis)
    result = np.eye(4)
    result[:3, :3] = linear * signs
    result[:3, 3] = origin
    return out, result


def direction_in_words(direction: ArrayLike) -> str:
    """``"head"``, ``"left"`` ... for a LPS vector, with degrees when it is over 1 deg off."""
    v = np.asarray(direction, dtype=np.float64)
    v = v / np.linalg.norm(v)
    axis = int(np.argmax(np.abs(v)))
    word = _WORDS[axis][int(v[axis] > 0)]
    off = float(np.degrees(np.arccos(min(1.0, abs(float(v[axis]))))))
    return word if off <= 1.0 else f"{word} ({off:.0f} deg oblique)"


def plane_in_words(slice_direction: ArrayLike) -> str:
    """``"axial"``, ``"coronal"`` or ``"sagittal"`` for the direction across the slices."""
    v = np.asarray(slice_direction, dtype=np.float64)
    return ("sagittal", "coronal", "axial")[int(np.argmax(np.abs(v)))]
