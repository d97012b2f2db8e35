from __future__ import annotations

import numpy as np
import pytest

from irplan.errors import InputError
from irplan.viz import orientation_letters, position_words


@pytest.mark.parametrize(
    ("direction", "letters", "words"),
    [
        ((1, 0, 0), "L", "left"),
        ((-3, 0, 0), "R", "right"),
        ((0, 1, 0), "P", "posterior"),
        ((0, -1, 0), "A", "anterior"),
        ((0, 0, 1), "H", "cranial"),
        ((0, 0, -1), "F", "caudal"),
        ((0.5, 0.8, 0.33), "PLH", "posterior-left-cranial"),
        ((1, 0.1, 0), "L", "left"),
    ],
)
def test_direction_in_letters_and_words(
    direction: tuple[float, float, float], letters: str, words: str
) -> None:
    assert orientation_letters(direction) == letters
    assert position_words(direction) == words


def test_component_counts_from_15_degrees() -> None:
    for degrees, letters in ((14.0, "L"), (16.0, "LP")):
        a = np.radians(degrees)
        assert orientation_letters((np.cos(a), np.sin(a), 0.0)) == letters


@pytest.mark.parametrize("bad", [(0, 0, 0), (np.nan, 0, 1), (1, 0)])
def test_no_direction_is_refused(bad: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="direction"):
        orientation_letters(bad)
