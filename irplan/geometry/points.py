"""Points in LPS millimetres and their validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from irplan.errors import GeometryError

Point3 = tuple[float, float, float]


def as_point(value: Sequence[float] | NDArray[np.floating], *, field: str) -> Point3:
    """Return ``value`` as three finite floats (LPS, mm); raise `GeometryError` naming ``field``."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.shape != (3,) or not np.all(np.isfinite(array)):
        raise GeometryError(
            field,
            got=repr(value),
            expected="three finite numbers x, y, z in LPS mm",
            remedy="Give the point as x,y,z "
            "(x to the patient's left, y to the back, z to the head).",
        )
    return (float(array[0]), float(array[1]), float(array[2]))
