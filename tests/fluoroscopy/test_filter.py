"""The filter protocol, and the plain recursive filter against its closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from irplan.errors import InputError
from irplan.fluoroscopy import Chain, Recursive, StreamFacts, filtered, make_filter
from irplan.fluoroscopy.filter import Raw
from irplan.fluoroscopy.pipeline import Pipeline


def not_a_filter(facts: StreamFacts) -> object:
    return facts


def test_recursive_variance_ratio() -> None:
    rng = np.random.default_rng(1)
    facts = StreamFacts((128, 128))
    for gain in (0.15, 0.5):
        each = Recursive(facts, gain)
        for _ in range(40):
            out = each.step(rng.normal(size=(128, 128)).astype(np.float32))
        assert out.var() == pytest.approx(gain / (2 - gain), rel=0.05)


def test_state_goes_on_where_it_was() -> None:
    rng = np.random.default_rng(2)
    frames = rng.normal(size=(6, 32, 32)).astype(np.float32)
    facts = StreamFacts((32, 32))
    whole = Chain([make_filter("recursive:0.3", facts), make_filter("raw", facts)])
    expected = list(filtered(whole, frames))
    first = Chain([make_filter("recursive:0.3", facts), make_filter("raw", facts)])
    list(filtered(first, frames[:3]))
    second = Chain([make_filter("recursive:0.3", facts), make_filter("raw", facts)])
    second.restore(first.state())
    assert np.array_equal(list(filtered(second, frames[3:])), expected[3:])


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ("recursive:x", "number"),
        ("recursive:0", "above 0"),
        ("none", "module:function"),
        ("os:nothing", "imported"),
        ("tests.fluoroscopy.test_filter:not_a_filter", "step, state"),
    ],
)
def test_filters_that_cannot_be_had(spec: str, word: str) -> None:
    with pytest.raises(InputError, match=word):
        make_filter(spec, StreamFacts((8, 8)))


@pytest.mark.parametrize(
    ("own", "word"),
    [(lambda facts: None, "step"), (lambda: None, "one argument"), (3, "one argument")],
)
def test_stages_that_are_no_filters(own: Any, word: str) -> None:
    with pytest.raises(InputError, match=word):
        Pipeline(StreamFacts((16, 16)), own={"spatial": own})


def test_a_stage_that_returns_nothing_is_told() -> None:
    class Silent(Raw):
        def step(self, frame: Any) -> Any:
            return None

    with pytest.raises(InputError, match="NoneType"):
        Pipeline(StreamFacts((16, 16)), own={"spatial": Silent}).step(np.ones((16, 16), np.float32))


def test_frames_of_another_size_or_with_nan() -> None:
    each = Recursive(StreamFacts((8, 8)))
    with pytest.raises(InputError, match="mid-run"):
        each.step(np.zeros((8, 9), np.float32))
    with pytest.raises(InputError, match="NaN"):
        each.step(np.full((8, 8), np.nan, np.float32))
