"""NIfTI images and label maps: exact positions, checked headers, reproducible bytes.

Readers re-index the axes (never resample) so that slices run to the head, rows to the back
and columns to the left as nearly as the stored axes allow; every voxel keeps its LPS place.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.errors import FileFormatError, InputError
from irplan.files.atomic import atomic_path
from irplan.files.label_table import read_label_table, write_label_table
from irplan.files.nifti_header import HEADER_BYTES, NiftiHeader, header_bytes, parse_header
from irplan.geometry import Grid
from irplan.geometry.orientation import UPRIGHT, reorder_axes
from irplan.image import Label, LabelMap, Volume
from irplan.image.hounsfield import compact_hu, fill_padding
from irplan.image.volume import Quantity

#: zlib level of .nii.gz: level 3 is 3 times as fast as 6 on CT and 5 % larger.
_GZIP_LEVEL = 3
_GZIP_MAGIC = b"\x1f\x8b"


def is_nifti(path: str | Path) -> bool:
    """True when the content (not the name) is a NIfTI-1 or NIfTI-2 file, gzipped or not."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(2)
            file.seek(0)
            if head == _GZIP_MAGIC:
                with gzip.GzipFile(fileobj=file) as packed:
                    start = packed.read(HEADER_BYTES)
            else:
                start = file.read(HEADER_BYTES)
    except (OSError, EOFError, zlib.error):
        return False
    return start[344:347] in (b"n+1", b"ni1") or start[4:7] == b"n+2"


def read_header(path: str | Path) -> NiftiHeader:
    """The checked header alone; errors as `read_volume`."""
    file = Path(path)
    return parse_header(_bytes(file, HEADER_BYTES), name=file.name)


def read_volume(path: str | Path, quantity: Quantity = "HU") -> Volume:
    """The volume in a .nii or .nii.gz file.

    HU become int16 where that loses nothing (else float32), and numbers below -1024 HU, which
    only mark voxels that were not reconstructed, become -1024; other quantities stay as they
    are (float64 becomes float32).  Raises `FileFormatError` (not NIfTI, truncated, no
    orientation, sheared, 2-D or 4-D) and `InputError` (NaN, infinity).
    """
    volume, _ = read_volume_and_notes(path, quantity)
    return volume


def read_volume_and_notes(
    path: str | Path, quantity: Quantity = "HU"
) -> tuple[Volume, tuple[str, ...]]:
    """`read_volume` and what was changed on the way, in words."""
    array, affine = _read(Path(path), like=UPRIGHT)
    notes = []
    if quantity == "HU":
        array = compact_hu(array)
        array, padded = fill_padding(array)
        if padded:
            notes.append(f"{padded} voxels below -1024 HU (padding) were set to -1024 HU.")
    elif array.dtype == np.float64:
        array = array.astype(np.float32)
    volume = Volume(np.ascontiguousarray(array), _grid(array, affine), quantity)
    return volume, tuple(notes)


def read_mask(path: str | Path, grid: Grid) -> NDArray[np.bool_]:
    """Bool (slice, row, column) on ``grid``: True where the file is not zero.

    The file's axes may be stored in any order or direction; its voxels must be those of
    ``grid`` to 0.001 mm, else `GridMismatchError`.  Other errors as `read_volume`.
    """
    return read_mask_and_notes(path, grid)[0]


def read_mask_and_notes(path: str | Path, grid: Grid) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """`read_mask` and what had to be assumed (values other than 0 and 1)."""
    file = Path(path)
    array, affine = _read(file, like=grid.direction)
    if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
        raise InputError(
            f"mask '{file.name}'",
            got="NaN or infinite voxels",
            expected="0 outside and another number inside",
            remedy="Write the mask as whole numbers.",
        )
    grid.require_same(_grid(array, affine), field=f"mask '{file.name}'")
    if array.min() < 0:
        raise InputError(
            f"mask '{file.name}'",
            got=f"values from {array.min():g} to {array.max():g}: an image",
            expected="0 outside and another number inside",
            remedy="Give the mask, not the scan it was drawn on.",
        )
    mask: NDArray[np.bool_] = np.ascontiguousarray(array != 0)
    values = np.unique(array[mask])
    notes: tuple[str, ...] = ()
    if values.size > 1:
        shown = ", ".join(f"{v:g}" for v in values[:4])
        more = ", ..." if values.size > 4 else ""
        notes = (f"The mask holds {values.size} values ({shown}{more}); all that is not 0 counts.",)
    return mask, notes


def read_labels(path: str | Path, labels: Sequence[Label] | None = None) -> LabelMap:
    """The label map in ``path`` with the names of its table.

    ``labels`` gives the table; without it the ``.json`` beside the image that `write_labels`
    made is read.  Raises `FileFormatError` when there is none, `InputError` for voxel values
    that are not whole, not 0..255 or not in the table.
    """
    file = Path(path)
    array, affine = _read(file, like=UPRIGHT)
    table = tuple(labels) if labels is not None else read_label_table(sidecar(file, ".json"))
    whole = np.array_equal(array, np.floor(array)) if array.dtype.kind == "f" else True
    if not whole or array.min() < 0 or array.max() > 255:
        raise InputError(
            f"label map '{file.name}'",
            got=f"values from {array.min():g} to {array.max():g}"
            + ("" if whole else ", not all whole numbers"),
            expected="whole numbers from 0 to 255",
            remedy="Give a label map, not an image or a probability.",
        )
    return LabelMap(np.ascontiguousarray(array.astype(np.uint8)), _grid(array, affine), table)


def write_volume(volume: Volume, path: str | Path) -> None:
    """Write ``volume`` as .nii or .nii.gz (by the name), whole or not at all.

    int16, uint8, float32 ... stay what they are; 64-bit and bool become the next type NIfTI
    readers know (int64 -> int32 where it fits).  The quantity goes into ``descrip``.
    The same volume gives the same bytes.  Raises `OutputError`, `InputError`.
    """
    array = volume.array
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        if max(abs(int(array.min())), abs(int(array.max()))) > np.iinfo(np.int32).max:
            raise InputError(
                "volume.array",
                got="64-bit integers beyond 32 bits",
                expected="values that fit into 32 bits",
                remedy="Scale the volume first.",
            )
        array = array.astype(np.int32)
    elif array.dtype == np.float16:
        array = array.astype(np.float32)
    _write(array, volume.grid, path, description=f"irplan {volume.quantity}", labels=False)


def write_mask(mask: NDArray[np.bool_], grid: Grid, path: str | Path) -> None:
    """Write a bool mask of ``grid.shape`` as uint8 0 and 1; otherwise as `write_volume`."""
    array = np.asarray(mask)
    if array.dtype != np.bool_ or array.shape != grid.shape:
        raise InputError(
            "mask",
            got=f"{array.dtype} of shape {array.shape}",
            expected=f"bool of the grid's shape {grid.shape}",
            remedy="Compare the image with a threshold first.",
        )
    _write(array.astype(np.uint8), grid, path, description="irplan mask", labels=True)


def write_labels(labels: LabelMap, path: str | Path) -> tuple[Path, ...]:
    """Write a label map and, beside it, its names: ``.json`` (codes) and ``.ctbl`` (3D Slicer).

    ``labels.nii.gz`` gets ``labels.json`` and ``labels.ctbl``.  Returns the three paths.  In 3D
    Slicer drop the ``.ctbl`` first, then the image, and choose that colour table.
    """
    file = Path(path)
    _write(labels.array, labels.grid, file, description="irplan labels", labels=True)
    tables = (sidecar(file, ".json"), sidecar(file, ".ctbl"))
    write_label_table(labels.labels, *tables)
    return (file, *tables)


def sidecar(path: str | Path, suffix: str) -> Path:
    """``labels.nii.gz`` and ``".json"`` -> ``labels.json``."""
    file = Path(path)
    name = file.name
    for end in (".nii.gz", ".nii"):
        if name.lower().endswith(end):
            name = name[: -len(end)]
            break
    return file.with_name(name + suffix)


def _grid(array: NDArray[Any], affine: NDArray[np.float64]) -> Grid:
    return Grid((array.shape[0], array.shape[1], array.shape[2]), affine)


def _read(file: Path, *, like: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Scaled voxels and affine with axes ordered nearest to ``like`` (native byte order)."""
    data = _bytes(file)
    header = parse_header(data, name=file.name)
    count = int(np.prod(header.shape_ijk, dtype=np.int64))
    need = header.data_offset + count * header.dtype.itemsize
    if header.data_offset < HEADER_BYTES or len(data) < need:
        raise FileFormatError(
            f"NIfTI file '{file.name}'",
            got=f"{len(data)} bytes, voxels said to start at {header.data_offset}",
            expected=f"{need} bytes for {header.shape_ijk} voxels",
            remedy="The file is truncated or damaged; copy or export it again.",
        )
    flat = np.frombuffer(data, header.dtype, count, header.data_offset)
    array: NDArray[Any] = flat.reshape(header.shape_ijk, order="F")
    array = array.astype(header.dtype.newbyteorder("="), copy=False)
    if (header.slope, header.intercept) != (1.0, 0.0):
        array = array * np.float64(header.slope) + np.float64(header.intercept)
    return reorder_axes(array, header.affine, like)


def _bytes(file: Path, limit: int = -1) -> bytes:
    try:
        with file.open("rb") as stream:
            packed = stream.read(2) == _GZIP_MAGIC
            stream.seek(0)
            if not packed:
                return stream.read(limit)
            with gzip.GzipFile(fileobj=stream) as plain:
                return plain.read(limit)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileFormatError(
            f"NIfTI file '{file.name}'",
            got="a gzip stream that breaks off or is damaged",
            expected="a whole .nii.gz file",
            remedy="The file is truncated; copy or export it again.",
        ) from error
    except OSError as error:
        raise FileFormatError(
            f"NIfTI file '{file.name}'",
            got=f"a file that cannot be read ({(error.strerror or 'unknown').lower()})",
            expected="a .nii or .nii.gz file",
            remedy="Check the path.",
        ) from error


def _write(
    array: NDArray[Any], grid: Grid, path: str | Path, *, description: str, labels: bool
) -> None:
    file = Path(path)
    name = file.name.lower()
    if not name.endswith((".nii", ".nii.gz")):
        raise InputError(
            "NIfTI path",
            got=f"'{file.name}'",
            expected="a name that ends in .nii or .nii.gz",
            remedy="Add .nii.gz to the name.",
        )
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    data = little.reshape(-1).view(np.uint8).data
    head = header_bytes(grid, array.dtype, description=description, labels=labels)
    with atomic_path(file) as temporary, temporary.open("wb") as stream:
        if name.endswith(".gz"):
            with gzip.GzipFile("", "wb", _GZIP_LEVEL, stream, mtime=0) as packed:
                packed.write(head)
                packed.write(data)
        else:
            stream.write(head)
            stream.write(data)
