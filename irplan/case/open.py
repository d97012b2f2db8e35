"""Images and masks from whatever the user has: DICOM or NIfTI, told apart by content."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from irplan import dicom
from irplan.compute.progress import Progress, no_progress
from irplan.errors import FileFormatError, InputError
from irplan.files import nifti
from irplan.geometry import Grid
from irplan.image import LabelMap, Volume
from irplan.image.hounsfield import doubt_about_hu

_GZIP_MAGIC = b"\x1f\x8b"


def open_image(
    path: str | Path, *, series_uid: str | None = None, progress: Progress = no_progress
) -> Volume:
    """The CT at ``path`` in HU: a DICOM folder or file, or a NIfTI file (.nii, .nii.gz).

    The content decides, not the extension.  ``series_uid`` picks a series of a DICOM folder.
    Raises `DicomError`, `FileFormatError`, `InputError` (see `irplan.dicom.read_series` and
    `irplan.files.nifti.read_volume`).
    """
    return open_image_and_notes(path, series_uid=series_uid, progress=progress)[0]


def open_image_and_notes(
    path: str | Path, *, series_uid: str | None = None, progress: Progress = no_progress
) -> tuple[Volume, tuple[str, ...]]:
    """`open_image` and what the user should know of it: files left aside, padding, doubts."""
    file = Path(path)
    if _is_nifti(file, field="image"):
        progress(0.0, "reading the image")
        volume, notes = nifti.read_volume_and_notes(file)
        progress(1.0, "image read")
    else:
        volume, info = dicom.load_series(file, series_uid=series_uid, progress=progress)
        notes = info.notes
    doubt = doubt_about_hu(volume)
    return volume, (*notes, doubt) if doubt else notes


def open_mask(
    path: str | Path, grid: Grid, *, progress: Progress = no_progress
) -> NDArray[np.bool_]:
    """The mask at ``path`` (NIfTI file, DICOM folder or file, or SEG) as bool on ``grid``.

    True where it is not zero.  Of a DICOM segmentation the only segment counts, or the only one
    that is a tumour.  Raises `GridMismatchError` when its voxels are not the image's,
    `InputError` when it is empty, else as `open_image`.
    """
    return open_mask_and_notes(path, grid, progress=progress)[0]


def open_mask_and_notes(
    path: str | Path, grid: Grid, *, progress: Progress = no_progress
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """`open_mask` and what had to be assumed, in words."""
    file = Path(path)
    if _is_nifti(file, field="mask"):
        progress(0.0, "reading the mask")
        mask, notes = nifti.read_mask_and_notes(file, grid)
        progress(1.0, "mask read")
    elif file.is_file() and dicom.is_segmentation(file):
        mask, notes = _segment_of(file, grid)
    elif file.is_file() and dicom.is_rtstruct(file):
        mask, notes = _structure_of(file, grid)
    else:
        mask, notes = dicom.load_mask(file, grid, progress=progress)
    if not mask.any():
        raise InputError(
            f"mask '{file.name}'",
            got="no voxel that is not zero (an empty mask)",
            expected="at least one voxel of the target",
            remedy="Check that it is the right structure and the right patient's file.",
        )
    return mask, notes


def open_labels(path: str | Path) -> LabelMap:
    """The structures in irplan's label map at ``path`` (NIfTI with its label table beside it).

    Raises `InputError` where no structure "body" says which voxels are the patient's, and what
    `irplan.files.read_labels` raises.
    """
    file = Path(path)
    labels = nifti.read_labels(file)
    if not labels.checked("body"):
        raise InputError(
            f"labels '{file.name}'",
            got="no structure 'body': " + ", ".join(x.name for x in labels.labels),
            expected="labels in which every voxel of the patient is body or a structure",
            remedy="Use the labels that irplan segment --structures all or irplan plan wrote.",
        )
    return labels


def _segment_of(file: Path, grid: Grid) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    found = dicom.read_segmentation(file)
    tumours = [s for s in found.segments if s.name == "tumour"]
    chosen = found.segments if len(found.segments) == 1 else tumours
    if len(chosen) != 1:
        raise InputError(
            f"mask '{file.name}'",
            got=f"{len(found.segments)} segments: {', '.join(s.label for s in found.segments)}",
            expected="one segment, or one that is coded as a tumour",
            remedy="Export the target's segment alone.",
        )
    notes = [f"The target is segment {chosen[0].number} of '{file.name}' ({chosen[0].label})."]
    uid = found.frame_of_reference_uid
    if uid and grid.frame_of_reference_uid and uid != grid.frame_of_reference_uid:
        notes.append(
            "The segmentation names another frame of reference than the image; it was accepted "
            "because its voxels lie where the image's do."
        )
    return found.mask(chosen[0].number, grid), tuple(notes)


def _structure_of(file: Path, grid: Grid) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """The only structure of an RTSTRUCT, or the only one whose name says that it is the target."""
    found = dicom.read_rtstruct(file, grid)
    words = ("tumour", "tumor", "gtv", "lesion", "target")
    places = range(len(found.names))
    named = [n for n in places if any(w in found.names[n].lower() for w in words)]
    chosen = list(places) if len(found.names) == 1 else named
    if len(chosen) != 1:
        raise InputError(
            f"mask '{file.name}'",
            got=f"{len(found.names)} structures: {', '.join(found.names)[:200]}",
            expected="one structure, or one with tumour, lesion, target or GTV in its name",
            remedy="Export the target's structure alone.",
        )
    name = found.names[chosen[0]]
    return found.masks[chosen[0]], (f"The target is structure '{name}'.", *found.notes)


def _is_nifti(file: Path, *, field: str) -> bool:
    """True for NIfTI (also a broken one, whose reader says what is wrong), False for DICOM."""
    if file.is_dir():
        return False
    if not file.exists():
        raise FileFormatError(
            f"{field} '{file.name}'",
            got="nothing at that path",
            expected="a DICOM folder or a NIfTI file",
            remedy="Check the path.",
        )
    if dicom.is_dicom(file):
        return False
    if nifti.is_nifti(file) or file.name.lower().endswith((".nii", ".nii.gz")):
        return True
    raise FileFormatError(
        f"{field} '{file.name}'",
        got="a file that is neither DICOM nor NIfTI",
        expected="a DICOM folder or file, or .nii / .nii.gz",
        remedy="Convert it, or give the folder of the DICOM series.",
    )
