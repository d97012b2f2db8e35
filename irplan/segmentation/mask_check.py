"""A mask that a caller gives: is it one of its grid?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from irplan.errors import GridMismatchError
from irplan.geometry import Grid


def check_mask(name: str, mask: NDArray[np.bool_], grid: Grid) -> None:
    """Raise `GridMismatchError`, which has ``name``, unless ``mask`` is bool and on ``grid``."""
    if mask.shape != grid.shape or mask.dtype != np.bool_:
        raise GridMismatchError(
            name,
            got=f"{mask.dtype} of shape {mask.shape}",
            expected=f"bool of the grid's shape {grid.shape}",
            remedy="Resample the mask onto this grid explicitly, or give the grid it lies on.",
        )
