"""The click that a perfect reader would make next: the middle of the largest wrong part."""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndi

from irplan.geometry import Grid
from irplan.segmentation.clicks import Click


def ideal_click(mask: np.ndarray, truth: np.ndarray, grid: Grid) -> Click | None:
    """The deepest point of the largest face-connected part where mask and truth differ.

    Parts are counted after an erosion of the rim that both surfaces share (one voxel in plane),
    so that a large thin shell is not taken for one error; without any thicker part the largest
    thin one counts.  None when the masks agree.  Ties go to the lowest index: deterministic.
    """
    wrong = mask != truth
    if not wrong.any():
        return None
    index = np.argwhere(wrong)
    low, high = index.min(axis=0), index.max(axis=0) + 1
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    part, inside = wrong[box], truth[box]
    depth = ndi.distance_transform_edt(np.pad(part, 1), sampling=grid.spacing_mm)[1:-1, 1:-1, 1:-1]
    thick = depth > 2.0
    kind = thick if thick.any() else part
    # Missing and excess tissue that touch are two errors.
    best, where = 0, None
    for missing in (True, False):
        labels, count = ndi.label(kind & (inside == missing))
        if count:
            sizes = np.bincount(labels.reshape(-1))[1:]
            largest = int(np.argmax(sizes))
            if sizes[largest] > best:
                best, where = int(sizes[largest]), labels == largest + 1
    assert where is not None
    at = np.unravel_index(np.argmax(np.where(where, depth, -1.0)), depth.shape)
    point = grid.index_to_lps(np.asarray(at) + low)
    return Click((float(point[0]), float(point[1]), float(point[2])), bool(inside[at]))
