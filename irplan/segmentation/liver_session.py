"""Correcting a liver by clicks, with undo and redo: every state is immutable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from irplan.compute.progress import Progress, no_progress
from irplan.errors import InputError
from irplan.image.volume import Volume
from irplan.segmentation.clicks import Click
from irplan.segmentation.liver import segment_liver
from irplan.segmentation.liver_click import clicked
from irplan.segmentation.liver_result import LiverSegmentation


@dataclass(frozen=True, eq=False)
class LiverSession:
    """A liver, the states that led to it, and those that were undone.

    ``states[0]`` is the automatic result, ``states[position]`` the present one; each click adds
    one.  A state keeps a mask of the scan: one byte a voxel.  Made by `start`; `click`, `undo` and
    `redo` return another session and leave this one as it is.
    """

    volume: Volume
    states: tuple[LiverSegmentation, ...]
    position: int

    def __post_init__(self) -> None:
        if not 0 <= self.position < len(self.states):
            raise InputError(
                "session.position",
                got=f"{self.position} of {len(self.states)} states",
                expected="one of the states, counted from 0",
                remedy="Start a session with LiverSession.start(volume).",
            )
        if any(s.mask.shape != self.volume.grid.shape for s in self.states):
            raise InputError(
                "session.states",
                got="a liver of another scan",
                expected=f"masks of the volume's shape {self.volume.grid.shape}",
                remedy="Start a session with LiverSession.start(volume).",
            )

    @classmethod
    def start(
        cls,
        volume: Volume,
        *,
        result: LiverSegmentation | None = None,
        progress: Progress = no_progress,
    ) -> LiverSession:
        """Segment automatically (or take ``result``, which came from this volume) and wait."""
        first = segment_liver(volume, progress=progress) if result is None else result
        return cls(volume, (first,), 0)

    @property
    def result(self) -> LiverSegmentation:
        """The liver as it is now."""
        return self.states[self.position]

    @property
    def clicks(self) -> tuple[Click, ...]:
        """The clicks that count now."""
        return self.result.clicks

    @property
    def can_undo(self) -> bool:
        """Whether a click can be taken back."""
        return self.position > 0

    @property
    def can_redo(self) -> bool:
        """Whether an undone click can be brought back."""
        return self.position + 1 < len(self.states)

    def click(self, point_mm: Sequence[float], inside: bool) -> LiverSession:
        """Say that ``point_mm`` (LPS) is liver, or is not; undone clicks are forgotten.

        Raises `GeometryError` for a point that is not three finite numbers, `InputError` for one
        outside of the image or already clicked the other way.
        """
        x, y, z = (*point_mm,) if len(point_mm) == 3 else (float("nan"),) * 3
        new = clicked(self.volume, self.result, Click((x, y, z), inside))
        kept = self.states[: self.position + 1]
        if new is self.result:
            return self
        return LiverSession(self.volume, (*kept, new), self.position + 1)

    def undo(self) -> LiverSession:
        """Before the last click; `InputError` when there is none."""
        if not self.can_undo:
            raise _nothing("undo", "no click to take back")
        return replace(self, position=self.position - 1)

    def redo(self) -> LiverSession:
        """With the last undone click again; `InputError` when there is none."""
        if not self.can_redo:
            raise _nothing("redo", "no undone click")
        return replace(self, position=self.position + 1)


def _nothing(field: str, got: str) -> InputError:
    return InputError(
        field, got=got, expected="a click before it", remedy="Ask can_undo and can_redo first."
    )
