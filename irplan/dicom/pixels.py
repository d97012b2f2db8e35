"""Stored pixel values of a file, native or compressed, checked for length."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from irplan.dicom.reading import READ_ERRORS, number, quiet, read_dataset, sound, text
from irplan.dicom.slices import Slice
from irplan.errors import DicomError


@dataclass(frozen=True, eq=False)
class Pixels:
    """``array`` (frame, row, column) of one file.

    ``rescaled`` is True where the decoder has applied slope and intercept already; ``padding``
    is the range of stored values (low, high) that mean "nothing was reconstructed here".
    """

    array: NDArray[Any]
    rescaled: bool
    padding: tuple[int, int] | None
    transfer_syntax: str


#: A small compressed file may claim any size: beyond this nothing is decoded.
MOST_PIXEL_BYTES = 4 << 30


def read_pixels(file: Path) -> Pixels:
    """Decode the pixels of ``file``.

    What pydicom cannot decode without plug-ins (JPEG lossless, JPEG-LS) goes to GDCM, which
    SimpleITK carries.  Raises `DicomError` naming the file: no pixels, too few bytes
    (truncated), a compression neither can decode, damaged compressed data, more pixels than
    `MOST_PIXEL_BYTES`.
    """
    with sound(file):
        return _read(file)


def _read(file: Path) -> Pixels:
    data = read_dataset(file)
    field = f"DICOM file '{file.name}', PixelData"
    if "PixelData" not in data:
        raise DicomError(
            field,
            got="nothing",
            expected="the pixels of the slice",
            remedy="The file is truncated or holds no image; copy or export it again.",
        )
    syntax = UID(text(data.file_meta, "TransferSyntaxUID") or "1.2.840.10008.1.2")
    if not syntax.is_transfer_syntax:
        raise DicomError(
            field,
            got=f"the transfer syntax '{syntax}', which is not known here",
            expected="uncompressed, RLE, JPEG, JPEG-LS or JPEG 2000 pixels",
            remedy="Convert the file to uncompressed DICOM where it was made.",
        )
    frames = int(number(data, "NumberOfFrames") or 1)
    rows, columns = int(number(data, "Rows") or 0), int(number(data, "Columns") or 0)
    depth = int(number(data, "BitsAllocated") or 16) * int(number(data, "SamplesPerPixel") or 1)
    if frames * rows * columns * depth // 8 > MOST_PIXEL_BYTES:
        raise DicomError(
            field,
            got=f"a header that claims {frames} x {rows} x {columns} pixels",
            expected=f"at most {MOST_PIXEL_BYTES >> 30} GiB of pixels in one object",
            remedy="The file is damaged, or made to fill memory; leave it out.",
        )
    if not syntax.is_compressed:
        need = frames * rows * columns * int(number(data, "BitsAllocated") or 16) // 8
        if len(data.PixelData) < need:
            raise DicomError(
                field,
                got=f"{len(data.PixelData)} bytes",
                expected=f"{need} bytes for {rows} x {columns} pixels",
                remedy="The file is truncated; copy or export it again.",
            )
    decodable = not syntax.is_compressed or _pydicom_can(syntax)
    if not decodable:
        return Pixels(
            _by_gdcm(file, field, syntax).reshape(-1, rows, columns), True, None, syntax.name
        )
    if "TransferSyntaxUID" not in data.file_meta:
        data.file_meta.TransferSyntaxUID = syntax
    lowest = _lowest_bit(data, syntax)
    try:
        with quiet():
            if lowest:  # else pydicom cuts what lies above the stored bits' number
                data.BitsStored, data.HighBit = data.BitsAllocated, data.BitsAllocated - 1
            array = np.asarray(data.pixel_array).reshape(-1, rows, columns)
    except (RuntimeError, *READ_ERRORS) as error:
        raise DicomError(
            field,
            got=f"pixels that cannot be decoded ({syntax.name})",
            expected=f"{rows} x {columns} pixels",
            remedy="The file is damaged or its compression is an unusual one; export it again, "
            "uncompressed.",
        ) from error
    if array.shape[0] != frames:
        raise DicomError(
            field,
            got=f"{array.shape[0]} frames",
            expected=f"{frames} frames",
            remedy="The file is damaged; export it again.",
        )
    array = array >> lowest if lowest else _sign(array, data)
    return Pixels(array, False, _padding(data), syntax.name)


def same_pixels(a: Slice, b: Slice) -> bool:
    """Whether two slices hold the same stored values."""
    first, second = (read_pixels(s.file).array[s.frame or 0] for s in (a, b))
    return bool(np.array_equal(first, second))


def _pydicom_can(syntax: UID) -> bool:
    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False


def _by_gdcm(file: Path, field: str, syntax: UID) -> NDArray[Any]:
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(file))
    try:
        out: NDArray[Any] = SimpleITK.GetArrayFromImage(reader.Execute())
    except RuntimeError as error:
        raise DicomError(
            field,
            got=f"the compression '{syntax.name}', which cannot be decoded here",
            expected="uncompressed, RLE, JPEG, JPEG-LS or JPEG 2000 pixels",
            remedy="Convert the series to uncompressed DICOM, for example with dcmdjpeg.",
        ) from error
    return out


def _sign(array: NDArray[Any], data: FileDataset) -> NDArray[Any]:
    """Only the stored bits count; bits above them (old overlays) are cut, the sign extended."""
    allocated = 8 * array.dtype.itemsize
    stored = int(number(data, "BitsStored") or allocated)
    if array.dtype.kind not in "iu" or not 0 < stored < allocated:
        return array
    shift = allocated - stored
    return (array << shift) >> shift


def _lowest_bit(data: FileDataset, syntax: UID) -> int:
    """Where values begin in files that store them in the upper bits, as old ones do; else 0."""
    allocated, stored, high = (
        int(number(data, k) or 0) for k in ("BitsAllocated", "BitsStored", "HighBit")
    )
    if syntax.is_encapsulated or not 0 < stored < allocated or high != allocated - 1:
        return 0
    return allocated - stored


def _padding(data: FileDataset) -> tuple[int, int] | None:
    value = number(data, "PixelPaddingValue")
    if value is None:
        return None
    limit = number(data, "PixelPaddingRangeLimit")
    ends = [int(value), int(value if limit is None else limit)]
    bits = int(number(data, "BitsAllocated") or 16)
    if number(data, "PixelRepresentation") == 1:  # some headers write the bits as unsigned
        ends = [e - (1 << bits) if e >= 1 << (bits - 1) else e for e in ends]
    return min(ends), max(ends)
