"""A scalar image on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irplan.errors import InputError
from irplan.geometry import Grid

#: What the numbers mean: Hounsfield units, degrees Celsius, field strength, 0..1, mm; "1" is a
#: plain number (Arrhenius integral), "min" CEM43, "K/min" a cooling rate, "W/kg" SAR.
Quantity = Literal["HU", "degC", "V/cm", "probability", "mm", "1", "min", "s", "K/min", "W/kg"]


@dataclass(frozen=True, eq=False)
class Volume:
    """A real-valued image.

    Parameters
    ----------
    array : (slice, row, column), integer or floating, finite everywhere.  Held as a read-only
        view; it is not copied.
    grid : where its voxels lie; same shape.
    quantity : what the numbers mean, with unit.

    Raises
    ------
    InputError : not 3-D, not numeric, shape differs from the grid, NaN or infinite values.
    """

    array: NDArray[Any]
    grid: Grid
    quantity: Quantity = "HU"

    def __post_init__(self) -> None:
        array = np.asarray(self.array)
        if array.ndim != 3 or array.shape != self.grid.shape:
            raise InputError(
                "volume.array",
                got=f"shape {array.shape}",
                expected=f"the grid's shape {self.grid.shape} (slice, row, column)",
                remedy="Give a 3-D image; a single slice is not a volume.",
            )
        if array.dtype.kind not in "iuf":
            raise InputError(
                "volume.array",
                got=f"type {array.dtype}",
                expected="integer or floating numbers",
                remedy="Convert the image to a numeric type.",
            )
        bad = 0 if array.dtype.kind != "f" else _not_finite(array)
        if bad:
            raise InputError(
                "volume.array",
                got=f"{bad} voxels that are NaN or infinite",
                expected="finite values everywhere",
                remedy="Find out where they come from; replace them in the source image.",
            )
        view = array.view()
        view.setflags(write=False)
        object.__setattr__(self, "array", view)

    def crop(self, start: Sequence[int], shape: Sequence[int]) -> Volume:
        """The part of ``shape`` voxels from index ``start``; LPS positions are unchanged."""
        grid = self.grid.crop(start, shape)
        part = tuple(slice(int(s), int(s) + int(n)) for s, n in zip(start, shape, strict=True))
        return Volume(self.array[part], grid, self.quantity)

    def at(self, points: ArrayLike) -> NDArray[np.float64]:
        """(...,) values at (..., 3) LPS points, trilinear; `InputError` if any lies outside."""
        from scipy.ndimage import map_coordinates

        p = np.asarray(points, dtype=np.float64)
        if not bool(np.all(self.grid.contains(p))):
            raise InputError(
                "points",
                got="at least one point outside the image",
                expected="points inside the grid",
                remedy="Check the points' frame (LPS mm).",
            )
        index = self.grid.lps_to_index(p).reshape(-1, 3).T
        values = map_coordinates(self.array, index, order=1, mode="nearest", output=np.float64)
        out: NDArray[np.float64] = values.reshape(p.shape[:-1])
        return out


def _not_finite(array: NDArray[Any]) -> int:
    """How many values are NaN or infinite; a finite sum says none, at a quarter of the cost."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(array.sum()):
            return 0
    return int(array.size - np.count_nonzero(np.isfinite(array)))
