"""Supervoxels of a region: masked SLIC, made connected, with their contact graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from irplan.errors import InputError
from irplan.segmentation.morphology import Mask, box_of

#: Pieces smaller than this part of a full supervoxel join a neighbour.
LEAST_PIECE = 0.1


@dataclass(frozen=True, eq=False)
class Supervoxels:
    """``labels`` int32 (slice, row, column), 0..count-1, -1 outside; means, sizes and contacts.

    ``mean`` intensity and ``voxels`` per supervoxel; ``edges`` (E, 2) pairs a < b that touch,
    ``faces`` (E,) voxel faces they share.
    """

    labels: NDArray[np.int32]
    mean: NDArray[np.float64]
    voxels: NDArray[np.int64]
    edges: NDArray[np.int64]
    faces: NDArray[np.float64]

    @property
    def count(self) -> int:
        """Number of supervoxels."""
        return int(self.voxels.size)

    def total(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Sum of a voxel image over each supervoxel."""
        inside = self.labels >= 0
        out: NDArray[np.float64] = np.bincount(
            self.labels[inside], weights=values[inside], minlength=self.count
        ).astype(np.float64)
        return out

    def fraction(self, mask: Mask) -> NDArray[np.float64]:
        """Part of each supervoxel inside ``mask``."""
        return self.total(mask.astype(np.float32)) / self.voxels

    def paint(self, chosen: NDArray[np.bool_]) -> Mask:
        """Voxel mask of the chosen supervoxels."""
        out: Mask = np.append(chosen, False)[self.labels]
        return out


def make_supervoxels(
    image: NDArray[np.float32], mask: Mask, *, step: int, weight: float, rounds: int = 6
) -> Supervoxels:
    """Cut ``mask`` into connected pieces of about ``step``^3 voxels that follow the intensity.

    SLIC [1]_ with distance D^2 = dI^2 + (ds / S)^2 m^2, S = ``step`` voxels and m = ``weight``
    intensity units; ``image`` is isotropic.  Cost: about 0.2 s for 300 000 voxels.

    .. [1] Achanta et al., SLIC superpixels compared to state-of-the-art superpixel methods,
       IEEE TPAMI 34 (2012) 2274, section 3.
    """
    if not mask.any():
        raise InputError(
            "mask",
            got="no voxel",
            expected="a region to cut into supervoxels",
            remedy="Find the volume of interest first.",
        )
    from irplan.compute.cpu.slic import seg_slic

    box = box_of(mask)
    sub = np.ascontiguousarray(mask[box])
    crop = np.ascontiguousarray(image[box], dtype=np.float32)
    raw, _ = seg_slic(crop, sub, step, float(weight), rounds)
    pieces = _connected(raw, sub, crop, LEAST_PIECE * step**3)
    labels = np.full(mask.shape, -1, dtype=np.int32)
    labels[box] = pieces
    return describe(labels, image)


def _faces(labels: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Flat indices of voxel pairs that share a face, both inside (label >= 0)."""
    index = np.arange(labels.size).reshape(labels.shape)
    first, second = [], []
    for axis in range(3):
        low = tuple(slice(0, -1) if a == axis else slice(None) for a in range(3))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        both = (labels[low] >= 0) & (labels[high] >= 0)
        first.append(index[low][both])
        second.append(index[high][both])
    return np.concatenate(first), np.concatenate(second)


def _connected(
    raw: NDArray[np.int32], mask: Mask, image: NDArray[np.float32], least: float
) -> NDArray[np.int32]:
    """Split clusters into face-connected pieces; small ones join the most alike neighbour."""
    inside = np.where(mask, np.maximum(raw, 0), -1).astype(np.int32)
    a, b = _faces(inside)
    flat = inside.reshape(-1)
    same = flat[a] == flat[b]
    where = np.flatnonzero(flat >= 0)
    node = np.empty(flat.size, dtype=np.int32)
    node[where] = np.arange(where.size)
    ends = node[a[same]], node[b[same]]
    graph = sp.coo_array(
        (np.ones(ends[0].size, dtype=np.int8), ends), shape=(where.size, where.size)
    )
    _, piece = connected_components(graph, directed=False)
    values = image.reshape(-1)[where]
    labels = np.full(flat.size, -1, dtype=np.int64)
    labels[where] = piece
    for _ in range(4):  # a small piece may only touch other small pieces at first
        count = int(labels.max()) + 1
        size = np.bincount(labels[where], minlength=count)
        mean = np.bincount(labels[where], weights=values, minlength=count) / size
        la, lb = labels[a], labels[b]
        differ = (la != lb) & ((size[la] < least) | (size[lb] < least))
        a, b, la, lb = a[differ], b[differ], la[differ], lb[differ]
        code = np.unique(np.concatenate([la * count + lb, lb * count + la]))
        one, other = code // count, code % count
        one, other = one[size[one] < least], other[size[one] < least]
        if one.size == 0:
            break
        # The most alike neighbour of each small piece, the lower number among equals.
        order = np.lexsort((other, np.abs(mean[one] - mean[other]), one))
        small, at = np.unique(one[order], return_index=True)
        goal = other[order][at]
        # Join a piece that is large enough, or a small one of lower number: no cycles.
        joins = (size[goal] >= least) | (goal < small)
        into = np.arange(count)
        into[small[joins]] = goal[joins]
        while np.any(into[into] != into):
            into = into[into]
        labels[where] = _renumbered(into[labels[where]])
    return labels.reshape(raw.shape).astype(np.int32)


def _renumbered(values: NDArray[np.integer]) -> NDArray[np.int64]:
    """Non-negative numbers replaced by 0..n-1 in their order."""
    used = np.bincount(values) > 0
    out: NDArray[np.int64] = (np.cumsum(used) - 1)[values]
    return out


def describe(labels: NDArray[np.int32], image: NDArray[np.float32]) -> Supervoxels:
    """Means, sizes and contacts of pieces numbered 0..n-1 (-1 outside), none of them empty."""
    inside = labels >= 0
    count = int(labels.max()) + 1
    voxels = np.bincount(labels[inside], minlength=count)
    mean = np.bincount(labels[inside], weights=image[inside], minlength=count) / voxels
    a, b = _faces(labels)
    flat = labels.reshape(-1)
    la, lb = flat[a].astype(np.int64), flat[b].astype(np.int64)
    differ = la != lb
    low, high = np.minimum(la, lb)[differ], np.maximum(la, lb)[differ]
    code, faces = np.unique(low * count + high, return_counts=True)
    edges = np.stack([code // count, code % count], axis=1)
    return Supervoxels(labels, mean, voxels, edges, faces.astype(np.float64))
