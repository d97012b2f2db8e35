"""Where a needle can enter: points on the skin, and where what was seen of the body ends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from irplan.geometry import Grid


def skin_points(
    grid: Grid,
    outside: NDArray[np.bool_],
    unknown: NDArray[np.bool_] | None,
    faces: Sequence[tuple[bool, bool]],
    spacing_mm: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Body voxels beside air, and body voxels where what was seen ends, one a cube of 3 mm each.

    ``outside`` and ``unknown`` bool on ``grid``; ``faces`` says for both ends of each axis
    whether the image ends there (True) or only the crop: voxels on a face are no skin.
    """
    seen = ~outside if unknown is None else ~outside & ~unknown
    skin = seen & _beside(outside)
    edge = np.zeros_like(seen)
    if unknown is not None:
        edge |= seen & _beside(unknown) & ~skin
    for axis, ends in enumerate(faces):
        for place, ends_here in zip((0, -1), ends, strict=True):
            face = tuple(place if a == axis else slice(None) for a in range(3))
            skin[face] = False
            if ends_here:
                edge[face] = seen[face]
            else:
                edge[face] = False
    return _thinned(skin, grid, spacing_mm), _thinned(edge, grid, spacing_mm)


def _beside(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Voxels with a face neighbour in the mask."""
    out = np.zeros_like(mask)
    for axis in range(3):
        here, there = np.moveaxis(out, axis, 0), np.moveaxis(mask, axis, 0)
        here[1:] |= there[:-1]
        here[:-1] |= there[1:]
    return out


def _thinned(mask: NDArray[np.bool_], grid: Grid, spacing_mm: float) -> NDArray[np.float64]:
    """LPS points: of the mask's voxels the first in each cube of ``spacing_mm``."""
    index = np.argwhere(mask)
    cell = np.floor(index * (grid.spacing_mm[0] / spacing_mm)).astype(np.int64)
    number = np.ravel_multi_index(tuple(cell.T), tuple(cell.max(axis=0, initial=0) + 1))
    _, first = np.unique(number, return_index=True)
    return grid.index_to_lps(index[np.sort(first)])
