"""One frame of an XA or RF run with the C-arm's pose from its own tags."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

from irplan.dicom.frame_groups import frame_levels, frame_number, frame_numbers, frame_text
from irplan.dicom.pixels import read_pixels
from irplan.dicom.reading import number, numbers, read_dataset, text
from irplan.errors import DicomError, InputError
from irplan.geometry import CArm, Point3, as_point
from irplan.geometry.patient_position import PATIENT_POSITIONS


@dataclass(frozen=True)
class PoseTags:
    """What a frame's pose is made of; None where the file does not say it.

    The names are the options by which a user states what is missing.
    """

    primary_deg: float | None = None
    secondary_deg: float | None = None
    source_detector_mm: float | None = None
    source_isocentre_mm: float | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    patient_position: str | None = None

    def filled(self, stated: PoseTags) -> PoseTags:
        """These tags, with what they lack taken from ``stated``."""
        return PoseTags(
            *(
                getattr(stated, f.name) if getattr(self, f.name) is None else getattr(self, f.name)
                for f in fields(self)
            )
        )


#: Field -> DICOM keyword, tag, and the option that states it.
POSE_TAGS: dict[str, tuple[str, str, str]] = {
    "primary_deg": ("PositionerPrimaryAngle", "(0018,1510)", "--primary"),
    "secondary_deg": ("PositionerSecondaryAngle", "(0018,1511)", "--secondary"),
    "source_detector_mm": ("DistanceSourceToDetector", "(0018,1110)", "--sid"),
    "source_isocentre_mm": ("DistanceSourceToPatient", "(0018,1111)", "--sod"),
    "pixel_spacing_mm": ("ImagerPixelSpacing", "(0018,1164)", "--pixel"),
    "patient_position": ("PatientPosition", "(0018,5100)", "--position"),
}


@dataclass(frozen=True, eq=False)
class XaFrame:
    """``pixels`` (row, column) of one frame, the pose, and what the user should know."""

    pixels: NDArray[np.float32]
    c_arm: CArm
    from_file: PoseTags
    notes: tuple[str, ...]


def read_xa_frame(
    path: str | Path,
    *,
    isocentre_mm: Point3 | None,
    frame: int = 1,
    stated: PoseTags | None = None,
) -> XaFrame:
    """Read frame ``frame`` (from 1) of an XA, RF or enhanced XA file.

    Angles are those about the patient (0018,1510/1511), in an enhanced file those of its
    positioner group, never the equipment's (0018,9463/9464); increments of a moving run
    (0018,1520/1521) are added.  The image is taken as patient-oriented (head up), its middle as
    the central beam.  No tag says where the isocentre is in the plan's image: it comes from
    registration.

    Parameters
    ----------
    isocentre_mm : LPS mm of the plan's image.
    stated : values for tags that the file lacks, or a position DICOM does not know; those it has
        are kept.

    Raises `DicomError` that lists every missing tag with the option that states it; `InputError`
    for a frame that is not there, a mirrored or turned image, or no isocentre.
    """
    file = Path(path)
    data = read_dataset(file, pixels=False)
    field = f"XA file '{file.name}'"
    if text(data, "Modality") not in ("XA", "RF"):
        raise DicomError(
            field,
            got=f"modality {text(data, 'Modality') or 'unknown'}",
            expected="XA or RF",
            remedy="Give a frame of the fluoroscopy or angiography run.",
        )
    count = int(number(data, "NumberOfFrames") or 1)
    if not 1 <= frame <= count:
        raise InputError(
            "--frame", got=str(frame), expected=f"1 to {count}", remedy="Choose one of them."
        )
    own = pose_tags(data, frame)
    position, unknown = own.patient_position, ""
    if position is not None and position not in PATIENT_POSITIONS:
        own = replace(own, patient_position=None)
        unknown = f" (the file says {position!r}: expected {', '.join(PATIENT_POSITIONS)})"
    pose = own.filled(PoseTags() if stated is None else stated)
    missing = [name for name in POSE_TAGS if getattr(pose, name) is None]
    if missing or isocentre_mm is None:
        raise DicomError(
            f"{field}, pose of the C-arm",
            got="no "
            + ", ".join(
                [
                    f"{POSE_TAGS[n][0]} {POSE_TAGS[n][1]}"
                    + (unknown if n == "patient_position" else "")
                    for n in missing
                ]
                + (["isocentre in the plan's image"] if isocentre_mm is None else [])
            ),
            expected="the whole pose: it is not guessed",
            remedy="State it: "
            + " ".join(
                [POSE_TAGS[n][2] for n in missing]
                + (["--isocentre x,y,z"] if isocentre_mm is None else [])
            ),
        )
    _require_upright(data, frame, field)
    rows, columns = int(number(data, "Rows") or 0), int(number(data, "Columns") or 0)
    given: dict[str, Any] = {f.name: getattr(pose, f.name) for f in fields(pose)}
    arm = CArm(
        isocentre_mm=as_point(isocentre_mm, field="--isocentre"),
        detector_shape=(rows, columns),
        **given,
    )
    notes = []
    taken = [n for n in POSE_TAGS if getattr(own, n) is None]
    if taken:
        notes.append("Stated by the user, not by the file: " + ", ".join(taken) + ".")
    pixels = read_pixels(file).array[frame - 1].astype(np.float32)
    if text(data, "PhotometricInterpretation") == "MONOCHROME1":
        pixels = pixels.max() - pixels
    return XaFrame(pixels, arm, own, tuple(notes))


def pose_tags(data: FileDataset, frame: int) -> PoseTags:
    """The pose tags of frame ``frame`` (from 1), None where absent or unreadable."""
    spacing = frame_numbers(data, frame, "ImagerPixelSpacing", 2)
    position = frame_text(data, frame, "PatientPosition") or None
    tags = PoseTags(
        frame_number(data, frame, "PositionerPrimaryAngle"),
        frame_number(data, frame, "PositionerSecondaryAngle"),
        frame_number(data, frame, "DistanceSourceToDetector"),
        frame_number(data, frame, "DistanceSourceToPatient"),
        None if spacing is None else (spacing[0], spacing[1]),
        position,
    )
    for name, keyword in (
        ("primary_deg", "PositionerPrimaryAngleIncrement"),
        ("secondary_deg", "PositionerSecondaryAngleIncrement"),
    ):
        count = int(number(data, "NumberOfFrames") or 1)
        steps = numbers(data, keyword, count)
        angle = getattr(tags, name)
        if steps is not None and angle is not None:
            tags = replace(tags, **{name: angle + steps[frame - 1]})
    return tags


def _require_upright(data: FileDataset, frame: int, field: str) -> None:
    turned = frame_number(data, frame, "FieldOfViewRotation") or 0.0
    flipped = any(
        text(d, "FieldOfViewHorizontalFlip").upper() == "YES" for d in frame_levels(data, frame)
    )
    if turned % 360.0 or flipped:
        raise DicomError(
            f"{field}, orientation",
            got="a mirrored image" if flipped else f"an image turned by {turned:g} deg",
            expected="an image as the detector sees it, head up",
            remedy="Export the run without rotation and flip.",
        )
