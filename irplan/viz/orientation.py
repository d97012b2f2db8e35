"""Directions in the patient in words and letters (LPS: +x left, +y back, +z head)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from irplan.errors import InputError

_LETTERS = (("R", "L"), ("A", "P"), ("F", "H"))
_WORDS = (("right", "left"), ("anterior", "posterior"), ("caudal", "cranial"))
#: A direction's component counts when it is at least this share of the unit vector (sin 15 deg).
_MINOR = 0.26


def orientation_letters(direction: ArrayLike) -> str:
    """Letters of an LPS direction, strongest first: ``"L"``, ``"AR"``, ``"HLP"``.

    R L = patient's right / left, A P = front / back, F H = feet / head.  A component within
    15 degrees of none is left out.  Raises `InputError` for a zero vector.
    """
    return "".join(_LETTERS[axis][side] for axis, side in _parts(direction))


def position_words(direction: ArrayLike) -> str:
    """The same in words, e.g. ``"posterior-left-cranial"``; strongest component first."""
    return "-".join(_WORDS[axis][side] for axis, side in _parts(direction))


def _parts(direction: ArrayLike) -> list[tuple[int, int]]:
    d = np.asarray(direction, dtype=np.float64)
    length = float(np.linalg.norm(d))
    if d.shape != (3,) or not np.isfinite(length) or length < 1e-9:
        raise InputError(
            "direction",
            got=repr(direction),
            expected="three finite numbers, not all zero",
            remedy="Give a direction in LPS.",
        )
    d = d / length
    order = np.argsort(-np.abs(d), kind="stable")
    return [(int(a), int(d[a] > 0)) for a in order if abs(d[a]) >= _MINOR]
