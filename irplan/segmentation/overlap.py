"""How well two masks agree by volume: overlap, volume difference, leaks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from irplan.errors import GridMismatchError, InputError
from irplan.geometry import Grid


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """2 |A and B| / (|A| + |B|), 0..1.  Raises `InputError` when both are empty."""
    require_comparable(a, b)
    total = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    if total == 0:
        raise empty_mask("both masks")
    return 2.0 * int(np.count_nonzero(a & b)) / total


def volumetric_overlap_error(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """100 (1 - |A and B| / |A or B|), percent (VOE of SLIVER07).  `InputError` if both empty."""
    require_comparable(a, b)
    union = int(np.count_nonzero(a | b))
    if union == 0:
        raise empty_mask("both masks")
    return 100.0 * (1.0 - int(np.count_nonzero(a & b)) / union)


def relative_volume_difference(mask: NDArray[np.bool_], reference: NDArray[np.bool_]) -> float:
    """100 (|A| - |R|) / |R|, percent, signed: positive = too large.  `InputError`: R is empty."""
    require_comparable(mask, reference)
    size = int(np.count_nonzero(reference))
    if size == 0:
        raise empty_mask("the reference mask")
    return 100.0 * (int(np.count_nonzero(mask)) - size) / size


def volume_bias_ml(mask: NDArray[np.bool_], reference: NDArray[np.bool_], grid: Grid) -> float:
    """|A| - |R| in ml, signed: positive = too large."""
    require_comparable(mask, reference, grid)
    voxels = int(np.count_nonzero(mask)) - int(np.count_nonzero(reference))
    return voxels * grid.voxel_volume_mm3 / 1000.0


def leaks_ml(
    mask: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    others: Mapping[str, NDArray[np.bool_]],
    grid: Grid,
) -> dict[str, float]:
    """How much of ``mask``, where the reference is not, lies in each of the other structures, ml.

    ``others`` are masks of what the structure must not run into (heart, spleen, stomach ...).
    Every name is in the result, 0 where nothing leaked.
    """
    require_comparable(mask, reference, grid)
    excess = mask & ~reference
    out = {}
    for name, other in others.items():
        require_comparable(excess, other, grid)
        out[name] = int(np.count_nonzero(excess & other)) * grid.voxel_volume_mm3 / 1000.0
    return out


def require_comparable(
    a: NDArray[np.bool_], b: NDArray[np.bool_], grid: Grid | None = None
) -> None:
    """Raise `InputError` unless both are bool, `GridMismatchError` unless shapes are the grid's."""
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
    if grid is not None and a.shape != grid.shape:
        raise GridMismatchError(
            "grid",
            got=f"masks of shape {a.shape}",
            expected=f"the grid's shape {grid.shape}",
            remedy="Give the grid that both masks lie on.",
        )


def empty_mask(name: str) -> InputError:
    """The error for a mask without a voxel."""
    return InputError(
        name,
        got="no voxel set",
        expected="at least one voxel",
        remedy="Check the label value: an empty mask has no overlap or surface.",
    )
