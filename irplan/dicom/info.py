"""The facts of a series that its headers hold; nothing that identifies a patient."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from irplan.dicom.find import FoundSeries
from irplan.dicom.reading import number, text
from irplan.dicom.stack import Stack
from irplan.geometry.orientation import direction_in_words, plane_in_words

#: Words of a description that say which contrast phase it is; no other word of it is shown.
_PHASES = frozenset(
    (
        "unenhanced",
        "native",
        "nativ",
        "plain",
        "noncontrast",
        "arterial",
        "art",
        "portal",
        "portalvenous",
        "venous",
        "ven",
        "hepatic",
        "parenchymal",
        "delayed",
        "late",
        "equilibrium",
        "nephrographic",
    )
)


@dataclass(frozen=True)
class SeriesInfo:
    """Facts of a series as stored; nothing in it identifies a patient.

    Lengths in mm; ``slice_thickness_mm`` is what the header says and need not be the spacing.
    ``phase`` holds only known words of the description (``"portal venous"``).  ``padding_voxels``
    counts voxels set to -1024 HU.  ``notes`` says in words what was assumed or left aside.
    """

    series_uid: str
    modality: str
    slices: int
    rows: int
    columns: int
    spacing_mm: tuple[float, float, float]
    slice_thickness_mm: float | None
    plane: str
    orientation: str
    kernel: str
    phase: str
    contrast_agent: bool
    rescale: str
    padding_voxels: int
    frame_of_reference_uid: str | None
    transfer_syntax: str
    notes: tuple[str, ...]


def header_info(series: FoundSeries, stack: Stack) -> SeriesInfo:
    """What the headers say of a stacked series (no pixel is read)."""
    first = series.headers[0].data
    steps = np.linalg.norm(stack.affine[:3, :3], axis=0)
    directions = [direction_in_words(stack.affine[:3, n]) for n in range(3)]
    thickness = number(first, "SliceThickness")
    scales = sorted({s.scale for s in stack.slices})
    words = re.findall(
        r"[a-z]+", f"{text(first, 'SeriesDescription')} {text(first, 'ProtocolName')}".lower()
    )
    return SeriesInfo(
        series_uid=series.uid,
        modality=series.modality,
        slices=len(stack.slices),
        rows=stack.slices[0].shape[0],
        columns=stack.slices[0].shape[1],
        spacing_mm=(float(steps[0]), float(steps[1]), float(steps[2])),
        slice_thickness_mm=thickness,
        plane=plane_in_words(stack.affine[:3, 0]),
        orientation=f"slices to {directions[0]}, rows to {directions[1]}, "
        f"columns to {directions[2]}",
        kernel=text(first, "ConvolutionKernel"),
        phase=" ".join(dict.fromkeys(w for w in words if w in _PHASES)),
        contrast_agent=bool(text(first, "ContrastBolusAgent")),
        rescale=f"slope {scales[0][0]:g}, intercept {scales[0][1]:g}"
        + (f" ({len(scales)} scales)" if len(scales) > 1 else ""),
        padding_voxels=0,
        frame_of_reference_uid=stack.slices[0].frame_of_reference_uid,
        transfer_syntax="",
        notes=tuple(_header_notes(series, stack)),
    )


def _header_notes(series: FoundSeries, stack: Stack) -> list[str]:
    first = series.headers[0].data
    notes = []
    if any(s.slope is None or s.intercept is None for s in stack.slices):
        notes.append("No rescale tags: stored values were taken as Hounsfield units.")
    kind = text(first, "RescaleType").upper()
    if kind not in ("", "HU"):
        notes.append(f"RescaleType is '{kind}', not HU.")
    if text(first, "LossyImageCompression") == "01":
        notes.append("The images went through lossy compression: HU are not exact.")
    if stack.largest_jitter_mm > 0.001:
        notes.append(f"Slices lie up to {stack.largest_jitter_mm:.3f} mm off their regular places.")
    step = float(np.linalg.norm(stack.affine[:3, 0]))
    stated = number(first, "SpacingBetweenSlices")
    if stated is not None and abs(abs(stated) - step) > 0.01:
        notes.append(
            f"SpacingBetweenSlices says {abs(stated):g} mm, positions say {step:.3f} mm; "
            "positions were used."
        )
    if text(first, "PhotometricInterpretation") == "MONOCHROME1":
        notes.append("MONOCHROME1 concerns display only; Hounsfield units were read as stored.")
    return notes
