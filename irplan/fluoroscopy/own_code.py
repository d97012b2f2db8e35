"""A user's own filter at work: what goes wrong in it is said with its place, in its own words."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError, IrplanError

if TYPE_CHECKING:
    from irplan.fluoroscopy.filter import FluoroFilter, Frame, State


@contextmanager
def own_code(spec: str, doing: str) -> Iterator[None]:
    """Turn what a user's code raises while ``doing`` (an "import", a "step") into an `InputError`.

    The error names the exception, its words and the line of the user's file; the exception itself
    is its cause.
    """
    try:
        yield
    except (IrplanError, MemoryError):
        raise
    except Exception as error:
        raise InputError(
            f"filter {spec}",
            got=f"{type(error).__name__} in its {doing}{_place(error)}: {error}",
            expected="code that runs on the frames it is given",
            remedy="Mend that line; docs/fluoroscopy.md says what a filter of one's own is given.",
        ) from error


def _place(error: Exception) -> str:
    """The last line in a file that was not installed, as " (FILE, line N)"."""
    if isinstance(error, SyntaxError):
        return f" ({error.filename}, line {error.lineno})"
    lines = traceback.extract_tb(error.__traceback__)[1:]
    own = [f for f in lines if not f.filename.startswith("<") and "-packages" not in f.filename]
    return f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""


class OwnFilter:
    """A user's filter, whose faults are named (`own_code`)."""

    def __init__(self, spec: str, made: FluoroFilter) -> None:
        self._spec, self._made = spec, made

    def step(self, frame: Frame) -> Frame:
        """The user's step."""
        with own_code(self._spec, "step"):
            return self._made.step(frame)

    def state(self) -> State:
        """The user's state, as arrays."""
        with own_code(self._spec, "state"):
            return {str(k): np.asarray(v) for k, v in self._made.state().items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """The user's restore."""
        with own_code(self._spec, "restore"):
            self._made.restore(state)
