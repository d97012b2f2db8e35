"""A picture as DICOM Secondary Capture, in the study it belongs to: what every PACS shows."""

from __future__ import annotations

import os
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from irplan import __version__
from irplan.dicom.reading import quiet, text
from irplan.errors import InputError

_SC = UID("1.2.840.10008.5.1.4.1.1.7")
_TAKEN = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber",
    "ReferringPhysicianName", "StudyDescription", "SpecificCharacterSet",
)  # fmt: skip
_NEEDED = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip


def capture(
    picture: NDArray[np.uint8],
    source: Dataset,
    *,
    title: str,
    number: int = 1,
    written: datetime | None = None,
) -> FileDataset:
    """``picture`` (row, column, RGB) as a Secondary Capture of the study of ``source``.

    ``title`` goes into the series description, with "RESEARCH USE ONLY".  The same picture, title
    and study give the same UIDs.  Raises `InputError` for another kind of array or a source
    without a study.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise InputError(
            "picture",
            got=f"{picture.dtype} of shape {picture.shape}",
            expected="uint8 (row, column, 3)",
            remedy="Convert it to RGB.",
        )
    study = text(source, "StudyInstanceUID")
    if not study:
        raise InputError(
            "source",
            got="no StudyInstanceUID",
            expected="an object of the study",
            remedy="Give one of its images.",
        )
    pixels = np.ascontiguousarray(picture).tobytes()
    seed = [study, title]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = _SC
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[*seed, sha256(pixels).hexdigest()])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    with quiet():
        for keyword in _TAKEN:
            if keyword in source:
                data[keyword] = source[keyword]
    for keyword in _NEEDED:
        if keyword not in data:
            setattr(data, keyword, "")
    when = datetime.now() if written is None else written
    facts: dict[str, Any] = {
        "SOPClassUID": _SC,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "SeriesInstanceUID": generate_uid(entropy_srcs=[*seed, "series"]),
        "SeriesNumber": 950,
        "InstanceNumber": number,
        "Modality": "OT",
        "ConversionType": "WSD",
        "Manufacturer": "irplan",
        "SoftwareVersions": __version__,
        "SeriesDescription": f"{title[:40]}: RESEARCH USE ONLY",
        "BurnedInAnnotation": "NO",
        "PatientOrientation": "",
        "Laterality": "",
        "ContentDate": when.strftime("%Y%m%d"),
        "ContentTime": when.strftime("%H%M%S"),
        "SamplesPerPixel": 3,
        "PhotometricInterpretation": "RGB",
        "PlanarConfiguration": 0,
        "Rows": picture.shape[0],
        "Columns": picture.shape[1],
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
        "PixelData": pixels + b"\0" * (len(pixels) % 2),
    }
    for keyword, value in facts.items():
        setattr(data, keyword, value)
    data["PixelData"].VR = "OB"
    return data


def write_capture(data: FileDataset, path: Path) -> None:
    """Write one in one piece (a temporary file beside it, then renamed)."""
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        with quiet():
            data.save_as(part, enforce_file_format=True)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
