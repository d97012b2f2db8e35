"""A DICOM object written as a whole or not at all."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import FileDataset

from irplan.dicom.reading import quiet
from irplan.files.atomic import atomic_path


def save_dicom(data: FileDataset, path: str | Path) -> Path:
    """Write ``data`` (explicit VR); `OutputError` where the place cannot be written."""
    with quiet(), atomic_path(path) as place:
        data.save_as(place, enforce_file_format=True, little_endian=True, implicit_vr=False)
    return Path(path)
