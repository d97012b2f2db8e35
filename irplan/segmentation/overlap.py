"""How well two masks agree: overlap, volume and surface distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from irplan.errors import GridMismatchError, InputError
from irplan.geometry import Grid
from irplan.segmentation.morphology import Mask, distance_mm


@dataclass(frozen=True)
class SurfaceDistances:
    """Symmetric distances between two surfaces, mm: average, root mean square, largest, 95 %."""

    average_mm: float
    rms_mm: float
    largest_mm: float
    hd95_mm: float


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """2 |A and B| / (|A| + |B|), 0..1.  Raises `InputError` when both are empty."""
    _same_shape(a, b)
    total = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    if total == 0:
        raise _empty("both masks")
    return 2.0 * int(np.count_nonzero(a & b)) / total


def volumetric_overlap_error(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """100 (1 - |A and B| / |A or B|), percent (VOE of SLIVER07).  `InputError` if both empty."""
    _same_shape(a, b)
    union = int(np.count_nonzero(a | b))
    if union == 0:
        raise _empty("both masks")
    return 100.0 * (1.0 - int(np.count_nonzero(a & b)) / union)


def relative_volume_difference(mask: NDArray[np.bool_], reference: NDArray[np.bool_]) -> float:
    """100 (|A| - |R|) / |R|, percent, signed: positive = too large.  `InputError`: R is empty."""
    _same_shape(mask, reference)
    size = int(np.count_nonzero(reference))
    if size == 0:
        raise _empty("the reference mask")
    return 100.0 * (int(np.count_nonzero(mask)) - size) / size


def surface_distances(a: NDArray[np.bool_], b: NDArray[np.bool_], grid: Grid) -> SurfaceDistances:
    """Distances from each surface voxel of one mask to the nearest surface voxel of the other.

    A surface voxel has at least one of its 6 face neighbours outside the mask (the array's end
    counts as outside), as in SLIVER07 (Heimann et al., IEEE TMI 28 (2009) 1251, section II.C):
    average and RMS are over both sets pooled; ``hd95`` is the larger of the two directed 95th
    percentiles.  Distances are between voxel centres, so equal masks give 0; the discretisation
    error is below one voxel.  Raises `InputError` if a mask is empty.
    """
    _same_shape(a, b)
    for mask, name in ((a, "the first mask"), (b, "the second mask")):
        if not mask.any():
            raise _empty(name)
    if a.shape != grid.shape:
        raise GridMismatchError(
            "grid",
            got=f"masks of shape {a.shape}",
            expected=f"the grid's shape {grid.shape}",
            remedy="Give the grid that both masks lie on.",
        )
    found = np.argwhere(a | b)
    low, high = found.min(axis=0), found.max(axis=0) + 1
    part = tuple(slice(int(i), int(j)) for i, j in zip(low, high, strict=True))
    first, second = _surface(a[part]), _surface(b[part])
    to_second = distance_mm(second, grid.spacing_mm)[first].astype(np.float64)
    to_first = distance_mm(first, grid.spacing_mm)[second].astype(np.float64)
    pooled = np.concatenate([to_second, to_first])
    return SurfaceDistances(
        float(pooled.mean()),
        float(np.sqrt(np.mean(pooled**2))),
        float(pooled.max()),
        float(max(np.percentile(to_second, 95.0), np.percentile(to_first, 95.0))),
    )


def _surface(mask: Mask) -> Mask:
    out: Mask = mask & ~ndi.binary_erosion(mask)
    return out


def _same_shape(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> None:
    for mask in (a, b):
        if mask.dtype != np.bool_:
            raise InputError(
                "mask",
                got=f"type {mask.dtype}",
                expected="boolean masks",
                remedy="Compare with mask > 0 or label == value.",
            )
    if a.shape != b.shape:
        raise GridMismatchError(
            "masks",
            got=f"shapes {a.shape} and {b.shape}",
            expected="two masks on one grid",
            remedy="Resample one onto the other's grid explicitly.",
        )


def _empty(name: str) -> InputError:
    return InputError(
        name,
        got="no voxel set",
        expected="at least one voxel",
        remedy="Check the label value: an empty mask has no overlap or surface.",
    )
