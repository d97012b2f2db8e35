"""Label maps: one coded structure a voxel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError
from irplan.geometry import Grid


@dataclass(frozen=True)
class Code:
    """A coded concept: value, coding scheme (``SCT`` = SNOMED CT) and meaning."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True)
class Label:
    """One structure: its voxel ``value`` (1..255), short ``name``, code and display colour."""

    value: int
    name: str
    code: Code
    colour: tuple[int, int, int]

    def __post_init__(self) -> None:
        if not 1 <= self.value <= 255:
            raise InputError(
                f"label '{self.name}'.value",
                got=str(self.value),
                expected="1 to 255 (0 is outside the body)",
                remedy="Choose a free value in that range.",
            )


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A label image: ``array`` uint8 (slice, row, column); 0 = outside the body.

    ``labels`` lists every structure that was *looked for*; one with no voxels was looked for
    and not found.  A structure that is not listed was not checked.  Raises `InputError` for a
    wrong shape or dtype, duplicate names or values, and voxel values without a label.
    """

    array: NDArray[np.uint8]
    grid: Grid
    labels: tuple[Label, ...]

    def __post_init__(self) -> None:
        array = np.asarray(self.array)
        if array.dtype != np.uint8 or array.shape != self.grid.shape:
            raise InputError(
                "labelmap.array",
                got=f"{array.dtype} of shape {array.shape}",
                expected=f"uint8 of the grid's shape {self.grid.shape}",
                remedy="Convert the labels to uint8 on the image's grid.",
            )
        names = [x.name for x in self.labels]
        values = [x.value for x in self.labels]
        if len(set(names)) < len(names) or len(set(values)) < len(values):
            raise InputError(
                "labelmap.labels",
                got=f"names {names}, values {values}",
                expected="each name and value once",
                remedy="Merge or rename the duplicates.",
            )
        counts = [np.bincount(plane.reshape(-1), minlength=256) for plane in array]
        present = np.flatnonzero(np.sum(counts, axis=0))
        unknown = sorted(set(present.tolist()) - set(values) - {0})
        if unknown:
            raise InputError(
                "labelmap.array",
                got=f"voxel values {unknown} without a label",
                expected=f"only 0 and {sorted(values)}",
                remedy="List a Label for every value.",
            )
        view = array.view()
        view.setflags(write=False)
        object.__setattr__(self, "array", view)
        object.__setattr__(self, "labels", tuple(self.labels))

    @classmethod
    def from_masks(cls, grid: Grid, masks: Iterable[tuple[Label, NDArray[np.bool_]]]) -> LabelMap:
        """Paint boolean masks in the order given; a later one covers an earlier one."""
        array = np.zeros(grid.shape, dtype=np.uint8)
        labels = []
        for label, mask in masks:
            array[mask] = label.value
            labels.append(label)
        return cls(array, grid, tuple(labels))

    def checked(self, name: str) -> bool:
        """True when the structure was looked for (found or not)."""
        return any(x.name == name for x in self.labels)

    def label(self, name: str) -> Label:
        """The `Label` of that name; `InputError` lists the names that exist."""
        for x in self.labels:
            if x.name == name:
                return x
        raise InputError(
            "structure",
            got=repr(name),
            expected="one of " + ", ".join(x.name for x in self.labels),
            remedy="Use one of these names, or segment the structure first.",
        )

    def mask(self, *names: str) -> NDArray[np.bool_]:
        """True where any of the named structures is; names not checked count as absent."""
        lut = np.zeros(256, dtype=bool)
        for x in self.labels:
            if x.name in names:
                lut[x.value] = True
        out: NDArray[np.bool_] = lut[self.array]
        return out

    def with_mask(self, label: Label, mask: NDArray[Any]) -> LabelMap:
        """A copy with ``mask`` painted over as ``label`` (replacing one of the same name)."""
        array = self.array.copy()
        array[np.asarray(mask, dtype=bool)] = label.value
        rest = tuple(x for x in self.labels if x.name != label.name)
        return LabelMap(array, self.grid, (*rest, label))

    def crop(self, start: Sequence[int], shape: Sequence[int]) -> LabelMap:
        """The part of ``shape`` voxels from index ``start``; LPS positions are unchanged."""
        grid = self.grid.crop(start, shape)
        part = tuple(slice(int(s), int(s) + int(n)) for s, n in zip(start, shape, strict=True))
        return LabelMap(self.array[part], grid, self.labels)
