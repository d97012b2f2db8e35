"""Undo and redo over whole states; older label maps and simulations are kept small or let go."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from irplan.image import Label, LabelMap
from irplan_planner.model.state import CaseState

#: States that undo can reach back to.
LONGEST = 200
#: Newest states that keep their simulation and their liver (masks of the whole scan).
KEEP_SIMULATIONS, KEEP_LIVERS = 6, 10


@dataclass(frozen=True, eq=False)
class LabelsDelta:
    """A label map as what differs from another one: a box of voxels, packed."""

    box: tuple[slice, slice, slice]
    packed: bytes
    labels: tuple[Label, ...]

    @classmethod
    def between(cls, old: LabelMap, new: LabelMap) -> LabelsDelta:
        """What turns ``new`` back into ``old`` (same grid)."""
        box = _box_of_change(old.array, new.array)
        part = np.ascontiguousarray(old.array[box])
        return cls(box, zlib.compress(part.tobytes(), 1), old.labels)

    def applied(self, to: LabelMap) -> LabelMap:
        """The label map that ``to`` differs from by this."""
        array = to.array.copy()
        shape = array[self.box].shape
        array[self.box] = np.frombuffer(zlib.decompress(self.packed), np.uint8).reshape(shape)
        return LabelMap(array, to.grid, self.labels)


@dataclass(eq=False)
class _Entry:
    state: CaseState
    words: str
    delta: LabelsDelta | None = None
    """How to get its labels back from those of the neighbour nearer to the present."""


class History:
    """The present state, those before it and those that were undone."""

    def __init__(self, state: CaseState) -> None:
        self._past: list[_Entry] = []
        self._future: list[_Entry] = []
        self._now = _Entry(state, "")

    @property
    def now(self) -> CaseState:
        """The present state."""
        return self._now.state

    @property
    def undo_words(self) -> str | None:
        """What undo would take back; None where there is nothing."""
        return self._now.words if self._past else None

    @property
    def redo_words(self) -> str | None:
        """What redo would bring back; None where there is nothing."""
        return self._future[-1].words if self._future else None

    def push(self, state: CaseState, words: str) -> None:
        """A new present; what was undone is forgotten."""
        self._past.append(_packed(self._now, state))
        self._now = _Entry(state, words)
        self._future.clear()
        self._thin()

    def amend(self, state: CaseState) -> None:
        """The present with something added that is no step of its own (a finished simulation)."""
        if state.labels is not self.now.labels:
            for entry in (*self._past[-1:], *self._future[-1:]):
                entry.state, entry.delta = _unpacked(entry, self.now), None
        self._now = _Entry(state, self._now.words)

    def undo(self) -> CaseState:
        """One step back; the present where there is none."""
        if self._past:
            before = self._past.pop()
            now = _unpacked(before, self.now)
            self._future.append(_packed(self._now, now))
            self._now = _Entry(now, before.words)
        return self.now

    def redo(self) -> CaseState:
        """One undone step forward again."""
        if self._future:
            after = self._future.pop()
            now = _unpacked(after, self.now)
            self._past.append(_packed(self._now, now))
            self._now = _Entry(now, after.words)
        return self.now

    def _thin(self) -> None:
        del self._past[:-LONGEST]
        livers: list[int] = []
        for back, entry in enumerate(reversed(self._past)):
            if back >= KEEP_SIMULATIONS and entry.state.simulation is not None:
                entry.state = replace(entry.state, simulation=None)
            if entry.state.liver is not None and id(entry.state.liver) not in livers:
                livers.append(id(entry.state.liver))
            if len(livers) > KEEP_LIVERS:
                del self._past[: len(self._past) - back]
                return


def _packed(entry: _Entry, neighbour: CaseState) -> _Entry:
    """The entry with its labels as a difference from the neighbour's, where that is possible."""
    old, new = entry.state.labels, neighbour.labels
    if old is None or old is new or new is None or not old.grid.same_as(new.grid):
        if old is not None and old is new:
            return _Entry(replace(entry.state, labels=None), entry.words, _SAME)
        return _Entry(entry.state, entry.words)
    delta = LabelsDelta.between(old, new)
    return _Entry(replace(entry.state, labels=None), entry.words, delta)


def _unpacked(entry: _Entry, neighbour: CaseState) -> CaseState:
    if entry.delta is None:
        return entry.state
    assert neighbour.labels is not None
    if entry.delta is _SAME:
        return replace(entry.state, labels=neighbour.labels)
    return replace(entry.state, labels=entry.delta.applied(neighbour.labels))


def _box_of_change(old: NDArray[np.uint8], new: NDArray[np.uint8]) -> tuple[slice, slice, slice]:
    slices = np.flatnonzero([not np.array_equal(a, b) for a, b in zip(old, new, strict=True)])
    if slices.size == 0:
        return slice(0, 0), slice(0, 0), slice(0, 0)
    first, last = int(slices[0]), int(slices[-1]) + 1
    flat = (old[first:last] != new[first:last]).any(axis=0)
    rows, columns = np.flatnonzero(flat.any(axis=1)), np.flatnonzero(flat.any(axis=0))
    return (
        slice(first, last),
        slice(int(rows[0]), int(rows[-1]) + 1),
        slice(int(columns[0]), int(columns[-1]) + 1),
    )


_NONE = (slice(0, 0), slice(0, 0), slice(0, 0))
#: Stands for "the very labels of the neighbour".
_SAME = LabelsDelta(_NONE, b"", ())
