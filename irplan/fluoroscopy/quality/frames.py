"""What every quality measure asks of its images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irplan.errors import InputError


def require_frames(value: ArrayLike, field: str, *, least: int = 1) -> NDArray[np.float64]:
    """``value`` as float64 (frame, row, column); one image becomes one frame.

    Raises `InputError` for another dimension, fewer than ``least`` frames, NaN or infinity.
    """
    array = np.asarray(value)
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or array.dtype.kind not in "iuf" or array.shape[0] < least:
        raise InputError(
            field,
            got=f"{array.dtype} of shape {array.shape}",
            expected=f"numbers (frame, row, column), at least {least} frame(s)",
            remedy="Give grey images, one or several of the same size.",
        )
    out = array.astype(np.float64, copy=False)
    if not np.isfinite(out).all():
        raise InputError(
            field,
            got="values that are NaN or infinite",
            expected="finite values everywhere",
            remedy="Leave those frames out, or mend the filter that made them.",
        )
    return out


def require_image(value: ArrayLike, field: str) -> NDArray[np.float64]:
    """One finite image (row, column) as float64; several frames raise `InputError`."""
    frames = require_frames(value, field)
    if frames.shape[0] != 1:
        raise InputError(
            field,
            got=f"{frames.shape[0]} frames",
            expected="one image (row, column)",
            remedy="Average the frames, or measure them one by one.",
        )
    image: NDArray[np.float64] = frames[0]
    return image


def require_positive(value: float, field: str, unit: str) -> float:
    """``value`` if it is finite and above zero, else `InputError`."""
    if not (np.isfinite(value) and value > 0):
        raise InputError(
            field,
            got=f"{value} {unit}",
            expected=f"more than 0 {unit}",
            remedy="Correct the value.",
        )
    return float(value)


def require_same_shape(a: NDArray[Any], b: NDArray[Any], field: str) -> None:
    """`InputError` unless both arrays have one shape."""
    if a.shape != b.shape:
        raise InputError(
            field,
            got=f"shape {b.shape}",
            expected=f"the shape of what it is compared with, {a.shape}",
            remedy="Give images of one size; crop or pad before measuring.",
        )
