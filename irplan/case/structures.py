"""Structures from a label map or mask (NIfTI) or a DICOM segmentation, asked for by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from irplan import dicom
from irplan.errors import FileFormatError, InputError
from irplan.files import nifti
from irplan.geometry import Grid
from irplan.image.labels import Label, LabelMap
from irplan.image.structures import structure

Mask = NDArray[np.bool_]
Part = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Structures:
    """What a file holds: ``names`` and voxel (or segment) ``values``, on ``grid``.

    ``named`` is False where the file has no names (then they are ``"value 3"``).  A ``sparse``
    file (SEG) stores no empty slices, so its grid may be taken for a part of a larger one.
    """

    file: str
    grid: Grid
    names: tuple[str, ...]
    values: tuple[int, ...]
    named: bool
    sparse: bool
    _mask: Callable[[Sequence[int], Grid, Part], Mask]

    def mask(self, values: Sequence[int], grid: Grid, part: Part | None = None) -> Mask:
        """Where any of ``values`` is, on ``grid`` (which a sparse file is placed on) or a part."""
        return self._mask(values, grid, part or (slice(None), slice(None), slice(None)))

    def find(self, wanted: str) -> tuple[int, ...]:
        """The values meant by ``"liver"``, ``"5"`` or ``"liver+vessel"``; `InputError` lists all.

        A file without names and with one value is that structure, whatever it is called.
        """
        out = []
        for word in (w.strip() for w in wanted.split("+")):
            if word in self.names:
                out.append(self.values[self.names.index(word)])
            elif word.isdecimal() and int(word) in self.values:
                out.append(int(word))
            elif not self.named and len(self.values) == 1 and not word.isdecimal():
                out.append(self.values[0])
            else:
                listed = ", ".join(
                    f"{n} ({v})" if self.named else str(v)
                    for n, v in zip(self.names, self.values, strict=True)
                )
                raise InputError(
                    f"label of '{self.file}'",
                    got=repr(word),
                    expected=f"one of {listed or 'nothing: it is empty'}",
                    remedy="Use a name or value of the file; join several with '+'.",
                )
        return tuple(dict.fromkeys(out))


def open_structures(path: str | Path) -> Structures:
    """The structures in a NIfTI label map or mask, or a DICOM SEG; told apart by content.

    A NIfTI's names come from the ``.json`` table beside it, if there is one.  Raises
    `FileFormatError`, `DicomError`, or `InputError` for an image instead of labels.
    """
    file = Path(path)
    if file.is_file() and dicom.is_dicom(file):
        return _of_segmentation(file)
    if file.is_file() and (nifti.is_nifti(file) or file.name.endswith((".nii", ".nii.gz"))):
        return of_labels(*_labels(file), file=file.name)
    raise FileFormatError(
        f"'{file.name}'",
        got="a folder" if file.is_dir() else "nothing there, or neither NIfTI nor DICOM",
        expected="a label map or mask (.nii, .nii.gz) or a DICOM segmentation file",
        remedy="Give the file with the labels.",
    )


def of_labels(labels: LabelMap, named: bool, *, file: str) -> Structures:
    """The structures of a label map in memory; ``file`` stands in errors and tables."""

    def mask(values: Sequence[int], grid: Grid, part: Part) -> Mask:
        labels.grid.require_same(grid, field=f"'{file}'")
        table = np.zeros(256, dtype=bool)
        table[list(values)] = True
        out: Mask = table[labels.array[part]]
        return out

    ordered = sorted(labels.labels, key=lambda x: x.value)
    return Structures(
        file,
        labels.grid,
        tuple(x.name for x in ordered),
        tuple(x.value for x in ordered),
        named,
        False,
        mask,
    )


def _labels(file: Path) -> tuple[LabelMap, bool]:
    if nifti.sidecar(file, ".json").exists():
        return nifti.read_labels(file), True
    volume = nifti.read_volume(file, "1")
    array = volume.array
    if array.min() < 0 or array.max() > 255 or not np.array_equal(array, np.floor(array)):
        raise InputError(
            f"'{file.name}'",
            got=f"values from {array.min():g} to {array.max():g}",
            expected="labels: whole numbers from 0 to 255",
            remedy="Give a label map or mask, not an image or a probability.",
        )
    whole = array.astype(np.uint8)
    code = structure("body").code
    found = [int(v) for v in np.flatnonzero(np.bincount(whole.reshape(-1), minlength=256)) if v]
    made = tuple(Label(v, f"value {v}", code, (128, 128, 128)) for v in found)
    return LabelMap(whole, volume.grid, made), False


def _of_segmentation(file: Path) -> Structures:
    found = dicom.read_segmentation(file)

    def mask(values: Sequence[int], grid: Grid, part: Part) -> Mask:
        out = np.zeros(grid.shape, dtype=bool)
        for value in values:
            out |= found.mask(int(value), grid)
        return out[part]

    return Structures(
        file.name,
        found.grid,
        tuple(s.name for s in found.segments),
        tuple(s.number for s in found.segments),
        True,
        True,
        mask,
    )
