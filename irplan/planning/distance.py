"""Euclidean distance up to a cap, by separable minimum of parabolas cut off at the cap."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from irplan.compute.parts import in_parts

#: Returned where nothing lies within the cap.
FAR = np.float32(np.inf)


def capped_distance_mm(
    mask: NDArray[np.bool_], spacing_mm: Sequence[float], cap_mm: float
) -> NDArray[np.float32]:
    """Distance in mm from each voxel's centre to the nearest True voxel's centre.

    ``mask`` (slice, row, column); exact up to ``cap_mm``, +inf beyond.  Cost: voxels x sum over
    the axes of cap / spacing; a box round the True voxels is all that is touched.  Separable
    transform after Felzenszwalb and Huttenlocher 2012 (Theory of Computing 8:415, eq. 1), with
    the lower envelope replaced by a window, which is exact below the cap.  The work is cut into
    parts for the cores; the result does not depend on how many there are.
    """
    from irplan.compute.cpu import distance_field as kernels

    out = np.full(mask.shape, FAR, dtype=np.float32)
    box = bounding_box(mask)
    if box is None:
        return out
    reach = [math.ceil(cap_mm / s) for s in spacing_mm]
    part = tuple(
        slice(max(0, b.start - r), min(n, b.stop + r))
        for b, r, n in zip(box, reach, mask.shape, strict=True)
    )
    inside = np.ascontiguousarray(mask[part]).view(np.uint8)
    square = [
        np.array([(k * s) ** 2 for k in range(r + 1)], dtype=np.float32)
        for s, r in zip(spacing_mm, reach, strict=True)
    ]
    # float32 rounds a squared sum by 1e-7 of itself: a voxel exactly at the cap stays in.
    most = np.float32(cap_mm**2 * (1.0 + 1e-6))
    field = np.empty(inside.shape, dtype=np.float32)
    in_parts(
        inside.shape[1],
        lambda a, b: kernels.squares_along_slices(inside, square[0], a, b, field),
    )
    in_parts(
        inside.shape[0],
        lambda a, b: kernels.distances_in_planes(field, square[1], square[2], most, a, b),
    )
    out[part] = field
    return out


def bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, slice, slice] | None:
    """Smallest box of slices that holds every True voxel; None when there is none."""
    parts = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if hit.size == 0:
            return None
        parts.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return (parts[0], parts[1], parts[2])


def grown_box(
    box: tuple[slice, slice, slice], by_mm: float, spacing_mm: Sequence[float], shape: Sequence[int]
) -> tuple[slice, slice, slice]:
    """``box`` grown by ``by_mm`` on every side, clipped to an array of ``shape``."""
    out = [
        slice(max(0, b.start - math.ceil(by_mm / s)), min(n, b.stop + math.ceil(by_mm / s)))
        for b, s, n in zip(box, spacing_mm, shape, strict=True)
    ]
    return (out[0], out[1], out[2])
