"""Pixels that may show who the patient is: judged by the header, masked where asked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydicom.dataset import FileDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from irplan.dicom.deid_options import PixelBox
from irplan.dicom.reading import READ_ERRORS, number, quiet, text
from irplan.errors import DicomError

#: Modalities whose images carry text in the pixels more often than not.
_OFTEN = frozenset(("US", "ES", "SC", "OT", "XC", "GM", "DOC", "IVUS", "OP", "OPT", "PX", "BMD"))
_CAPTURE_CLASSES = ("1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.77.")
_CAPTURE_WORDS = ("SCREEN", "CAPTURE", "DOSE", "PRINT", "REPORT")


def has_pixels(data: FileDataset) -> bool:
    """Whether there is any kind of pixel data."""
    return any(k in data for k in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"))


def text_in_pixels_likely(data: FileDataset) -> str:
    """Why text burned into the pixels is likely, in words; empty where nothing says so.

    By the header only: stated (BurnedInAnnotation, RecognizableVisualFeatures), a secondary
    capture, a modality that often carries text, a screen shot by its image type.
    """
    if not has_pixels(data):
        return ""
    if text(data, "BurnedInAnnotation").upper() == "YES":
        return "BurnedInAnnotation says YES"
    if text(data, "RecognizableVisualFeatures").upper() == "YES":
        return "RecognizableVisualFeatures says YES"
    said_no = text(data, "BurnedInAnnotation").upper() == "NO"
    if text(data, "SOPClassUID").startswith(_CAPTURE_CLASSES) and not said_no:
        return "a secondary capture or photograph"
    if text(data, "Modality").upper() in _OFTEN and not said_no:
        return f"modality {text(data, 'Modality').upper()}"
    kinds = text(data, "ImageType").upper()
    if any(word in kinds for word in _CAPTURE_WORDS) and not said_no:
        return "the image type says screen, print or report"
    return ""


def mask_pixels(data: FileDataset, boxes: Sequence[PixelBox], field: str) -> None:
    """Set ``boxes`` to 0 in every frame of ``data``, in place; it is uncompressed afterwards.

    Raises `DicomError` where the pixels cannot be decoded or a box lies outside the image.
    """
    rows, columns = int(number(data, "Rows") or 0), int(number(data, "Columns") or 0)
    for x0, y0, x1, y1 in boxes:
        if x1 > columns or y1 > rows:
            raise DicomError(
                field,
                got=f"the mask {x0},{y0},{x1},{y1} on {columns} x {rows} pixels",
                expected="rectangles within the image",
                remedy="Run images of one size at a time, with a mask for that size.",
            )
    syntax = UID(text(data.file_meta, "TransferSyntaxUID"))
    try:
        with quiet():
            array = np.array(data.pixel_array)
    except (RuntimeError, MemoryError, *READ_ERRORS) as error:
        raise DicomError(
            field,
            got=f"pixels that cannot be decoded ({type(error).__name__})",
            expected="pixels that can be masked",
            remedy="Uncompress the image first, or leave it out.",
        ) from error
    samples = int(number(data, "SamplesPerPixel") or 1)
    frames = array.reshape((-1, rows, columns, samples))
    for x0, y0, x1, y1 in boxes:
        frames[:, y0:y1, x0:x1] = 0
    if samples > 1 and (int(number(data, "PlanarConfiguration") or 0) or syntax.is_compressed):
        data.PlanarConfiguration = 0
    if syntax.is_compressed:
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        if text(data, "PhotometricInterpretation").startswith("YBR"):
            data.PhotometricInterpretation = "RGB"  # the decoder has converted it
    if int(number(data, "BitsAllocated") or 0) == 1:
        raise DicomError(
            field,
            got="single-bit pixels",
            expected="an image of 8 bits or more",
            remedy="Leave segmentations out of a masked run.",
        )
    raw = frames.tobytes()
    data.PixelData = raw + b"\0" * (len(raw) % 2)
    data["PixelData"].VR = "OW" if int(number(data, "BitsAllocated") or 8) > 8 else "OB"


def clear_unused_bits(data: FileDataset, field: str) -> None:
    """Old overlays live in the bits above the stored ones: cut them off, in place."""
    allocated = int(number(data, "BitsAllocated") or 0)
    stored = int(number(data, "BitsStored") or allocated)
    if "PixelData" not in data or allocated != 16 or not 0 < stored < 16:
        return
    syntax = UID(text(data.file_meta, "TransferSyntaxUID"))
    if syntax.is_compressed or not syntax.is_little_endian:
        raise DicomError(
            field,
            got="an overlay inside compressed pixels",
            expected="an overlay of its own, or uncompressed little-endian pixels",
            remedy="Uncompress the image first, or leave it out.",
        )
    values = np.frombuffer(data.PixelData, dtype="<u2")
    low = int(number(data, "HighBit") or stored - 1) + 1 - stored
    if int(number(data, "PixelRepresentation") or 0) == 1:
        up = 16 - stored - low
        kept = ((values << up).view("<i2") >> (up + low) << low).view("<u2")
    else:
        kept = values & np.uint16(((1 << stored) - 1) << low)
    data.PixelData = kept.tobytes()
