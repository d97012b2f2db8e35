"""A target as a ball: the honest first version of point + diameter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError
from irplan.geometry import as_point
from irplan.image.volume import Volume
from irplan.segmentation.morphology import Mask

#: Diameters that can be a target of ablation, mm.
DIAMETER_MM = (3.0, 120.0)
#: HU below which the centre is not tissue.
_TISSUE_HU = -300.0


def target_from_point(
    volume: Volume,
    point_mm: Sequence[float] | NDArray[np.floating],
    diameter_mm: float,
    *,
    body: Mask | None = None,
) -> Mask:
    """A ball of ``diameter_mm`` about ``point_mm`` (LPS mm) as a mask on the volume's grid.

    Voxels whose centre is inside are the target, and the voxel that holds the point always.
    The ball does not follow the image: it is what was asked for, not a segmented lesion.

    Parameters
    ----------
    body : optional mask of the body on the same grid; else tissue above -300 HU stands for it.

    Raises
    ------
    GeometryError : the point is not three finite numbers.
    InputError : diameter below 3 or above 120 mm; point outside the image, or in air.
    """
    point = as_point(point_mm, field="target point")
    if not DIAMETER_MM[0] <= float(diameter_mm) <= DIAMETER_MM[1]:
        raise InputError(
            "target diameter",
            got=f"{diameter_mm} mm",
            expected=f"{DIAMETER_MM[0]:.0f} to {DIAMETER_MM[1]:.0f} mm",
            remedy="Give the lesion's largest diameter in mm.",
        )
    grid = volume.grid
    index = require_inside(volume, point, field="target point", body=body)
    mask = np.zeros(grid.shape, dtype=bool)
    start, shape = grid.box_around(point, float(diameter_mm) / 2.0)
    offsets = np.indices(shape).reshape(3, -1).T + np.asarray(start)
    gap = np.linalg.norm(grid.index_to_lps(offsets) - np.asarray(point), axis=1)
    part = tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True))
    mask[part] = (gap <= float(diameter_mm) / 2.0).reshape(shape)
    mask[index] = True
    return mask


def require_inside(
    volume: Volume,
    point: Sequence[float] | NDArray[np.floating],
    *,
    field: str,
    body: Mask | None = None,
) -> tuple[int, int, int]:
    """Index of the voxel that holds ``point``; `InputError` outside the image or in air."""
    grid = volume.grid
    if not bool(grid.contains(point)):
        low, high = _extent(volume)
        raise InputError(
            field,
            got=_text(point),
            expected=f"a point inside the image, {_text(low)} to {_text(high)} (LPS mm)",
            remedy="Give x,y,z in LPS mm (x to the patient's left, y to the back, z to the head); "
            "many viewers show RAS, where x and y have the other sign.",
        )
    centre = np.clip(np.round(grid.lps_to_index(point)).astype(int), 0, np.array(grid.shape) - 1)
    index = (int(centre[0]), int(centre[1]), int(centre[2]))
    if body is not None:
        inside = bool(body[index])
    else:
        around = tuple(slice(max(0, i - 1), i + 2) for i in index)
        inside = float(np.median(volume.array[around])) > _TISSUE_HU
    if not inside:
        raise InputError(
            field,
            got=f"{_text(point)}, where the image shows {float(volume.array[index]):.0f} HU",
            expected="a point in the patient's tissue",
            remedy="Check the point's frame (LPS mm) and sign; it lies in air or outside the body.",
        )
    return index


def _extent(volume: Volume) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ends = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in volume.grid.shape])).reshape(3, -1).T
    corners = volume.grid.index_to_lps(ends)
    return corners.min(axis=0), corners.max(axis=0)


def _text(point: Sequence[float] | NDArray[np.floating]) -> str:
    return "(" + ", ".join(f"{float(v):.1f}" for v in point) + ")"
