"""What a fluoroscopy filter is: a causal object that takes frames one by one."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError
from irplan.fluoroscopy.own_code import OwnFilter, own_code
from irplan.fluoroscopy.settings import PRESETS
from irplan.image import FluoroSequence, Photometry

Frame = NDArray[np.float32]
#: Everything a filter must remember, as arrays by name (fit for ``numpy.savez``).
State = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class StreamFacts:
    """What a filter may know before the first frame."""

    shape: tuple[int, int]
    rate_hz: float = 15.0
    photometry: Photometry = field(default_factory=Photometry)
    pixel_mm: float | None = None

    @staticmethod
    def of(run: FluoroSequence) -> StreamFacts:
        """The facts of a recorded run."""
        spacing = run.pixel_spacing_mm
        return StreamFacts(
            run.shape, run.rate_hz or 15.0, run.photometry, None if spacing is None else spacing[0]
        )


class FluoroFilter(Protocol):
    """Causal: what `step` returns depends on this and earlier frames only.

    Frames are float32 (row, column) in the run's own units (linear in intensity unless its
    `Photometry` says otherwise); what comes back is a new array in the same units.
    """

    def step(self, frame: Frame) -> Frame:
        """Take the next frame, give the filtered one."""

    def state(self) -> State:
        """Copies of all it remembers; empty before the first frame."""

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved state (an empty one: start anew)."""


#: Makes a filter for a stream.  A user's own is named "module:function".
FilterFactory = Callable[[StreamFacts], FluoroFilter]


class Raw:
    """No filter."""

    def __init__(self, facts: StreamFacts) -> None:
        self._shape = facts.shape

    def step(self, frame: Frame) -> Frame:
        """The frame as it came (a copy)."""
        return checked(frame, self._shape).copy()

    def state(self) -> State:
        """Nothing."""
        return {}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Nothing."""


class Recursive:
    """y = y + gain (x - y), the plain recursive filter; variance gain / (2 - gain)."""

    def __init__(self, facts: StreamFacts, gain: float = 0.5) -> None:
        if not 0.0 < gain <= 1.0:
            raise InputError(
                "recursive gain",
                got=f"{gain}",
                expected="above 0, at most 1",
                remedy="0.5 is usual; 1 is no filter.",
            )
        self._facts, self._gain = facts, np.float32(gain)
        self._mean: Frame | None = None

    def step(self, frame: Frame) -> Frame:
        """The running mean with this frame in it."""
        new = checked(frame, self._facts.shape)
        old = new if self._mean is None else self._mean
        self._mean = old + self._gain * (new - old)
        return self._mean.copy()

    def state(self) -> State:
        """The running mean."""
        return {} if self._mean is None else {"mean": self._mean.copy()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved mean."""
        self._mean = np.array(state["mean"], np.float32) if "mean" in state else None


class Chain:
    """Filters one after another; itself a filter."""

    def __init__(self, filters: Iterable[FluoroFilter]) -> None:
        self._filters = tuple(filters)

    def step(self, frame: Frame) -> Frame:
        """Through all of them."""
        for each in self._filters:
            frame = each.step(frame)
        return frame

    def state(self) -> State:
        """All states, each name led by its filter's number."""
        return {f"{n}.{k}": v for n, f in enumerate(self._filters) for k, v in f.state().items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a saved state."""
        for n, each in enumerate(self._filters):
            lead = f"{n}."
            each.restore({k[len(lead) :]: v for k, v in state.items() if k.startswith(lead)})


def checked(frame: NDArray[Any], shape: tuple[int, int]) -> Frame:
    """``frame`` as float32; `InputError` for another size, or NaN or infinity in it."""
    if not isinstance(frame, np.ndarray):
        raise InputError(
            "frame", got=f"{type(frame).__name__}", expected="an array of pixels",
            remedy="A filter's step returns the filtered frame.",
        )  # fmt: skip
    if frame.shape != shape:
        raise InputError(
            "frame",
            got=f"{' x '.join(map(str, frame.shape))} pixels in mid-run",
            expected=f"{shape[0]} x {shape[1]}, as before",
            remedy="Start a new filter for the new size.",
        )
    out = np.asarray(frame, np.float32)
    if not np.isfinite(out.sum(dtype=np.float64)):
        raise InputError(
            "frame",
            got="NaN or infinite values",
            expected="finite pixel values",
            remedy="Correct defective pixels before the filter.",
        )
    return out


def filtered(each: FluoroFilter, frames: Iterable[NDArray[Any]]) -> Iterator[Frame]:
    """The filtered frames of a stream, one by one (nothing is kept: it may be endless)."""
    for frame in frames:
        yield each.step(np.asarray(frame, np.float32))


def make_filter(spec: str, facts: StreamFacts) -> FluoroFilter:
    """The filter that ``spec`` names: "raw", "recursive:0.25", a preset, or "module:function".

    The function is a `FilterFactory`.  Raises `InputError` where it cannot be had, or makes no
    filter.
    """
    name, _, rest = spec.partition(":")
    if name == "raw":
        return Raw(facts)
    if name == "recursive":
        try:
            gain = float(rest) if rest else 0.5
        except ValueError:
            raise _no_filter(spec, "a number after 'recursive:'") from None
        return Recursive(facts, gain)
    if name in PRESETS and not rest:
        from irplan.fluoroscopy.pipeline import Pipeline

        return Pipeline(facts, PRESETS[name])
    return own_filter(spec, facts)


def own_filter(own: FilterFactory | str, facts: StreamFacts) -> FluoroFilter:
    """What a user's factory, or the one "module:function" names, makes of ``facts``.

    Raises `InputError` where it cannot be had, takes something else, or makes no filter.
    """
    spec = own if isinstance(own, str) else getattr(own, "__name__", repr(own))
    factory = find_factory(own) if isinstance(own, str) else own
    try:
        inspect.signature(factory).bind(facts)
    except TypeError as error:
        raise _no_filter(spec, f"a function of one argument, StreamFacts ({error})") from error
    with own_code(spec, "start"):
        made = factory(facts)
    if not all(callable(getattr(made, method, None)) for method in ("step", "state", "restore")):
        raise _no_filter(spec, "a function that returns an object with step, state and restore")
    return OwnFilter(spec, made)


def find_factory(spec: str) -> FilterFactory:
    """The function "module:function" names; `InputError` where it cannot be imported."""
    name, _, rest = spec.partition(":")
    if not rest:
        raise _no_filter(spec, f"raw, recursive:GAIN, {', '.join(PRESETS)}, or module:function")
    with own_code(spec, "import"):
        try:
            found: FilterFactory = getattr(importlib.import_module(name), rest)
        except (ImportError, AttributeError) as error:
            raise _no_filter(spec, f"a function that can be imported ({error})") from error
    return found


def _no_filter(spec: str, expected: str) -> InputError:
    return InputError(
        "filter", got=repr(spec), expected=expected, remedy="See docs/fluoroscopy.md, own filters."
    )
