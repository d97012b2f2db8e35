"""Any DICOM file or folder in words: what it is and its technical facts, never whose."""

from __future__ import annotations

from pathlib import Path

import pydicom
from pydicom.uid import UID

from irplan.compute.progress import Progress, no_progress
from irplan.dicom.find import FoundSeries, scan_folder
from irplan.dicom.info import header_info
from irplan.dicom.pixels import same_pixels
from irplan.dicom.reading import is_dicom, number, numbers, read_dataset, text
from irplan.dicom.slices import slices_of
from irplan.dicom.stack import stack_slices
from irplan.errors import DicomError, IrplanError

#: Tags `describe` may show.  Technical facts only: names, numbers, dates and free text of the
#: patient or the hospital are not read at all.
_TAGS = (
    "BitsStored",
    "CineRate",
    "Columns",
    "CompletionFlag",
    "ConceptNameCodeSequence",
    "DistanceSourceToDetector",
    "DistanceSourceToPatient",
    "FrameTime",
    "FrameTimeVector",
    "ImagerPixelSpacing",
    "KVP",
    "LossyImageCompression",
    "Manufacturer",
    "ManufacturerModelName",
    "Modality",
    "NumberOfFrames",
    "PhotometricInterpretation",
    "PixelSpacing",
    "PositionerPrimaryAngle",
    "PositionerSecondaryAngle",
    "Rows",
    "SOPClassUID",
    "SliceThickness",
    "VerificationFlag",
)

Facts = list[tuple[str, str]]


def describe(path: str | Path, *, progress: Progress = no_progress) -> Facts:
    """(name, value) rows on a DICOM file or on each image series of a folder.

    A CT series says whether it can be used as a volume and, if not, why.  A multi-frame X-ray
    run says its frames, timing, detector pixel and C-arm angles (positive primary = LAO,
    positive secondary = CRA; DICOM (0018,1510), (0018,1511)); a report says which kind it is.
    Raises `DicomError` for a path that does not exist or a file that is broken.
    """
    root = Path(path)
    if root.is_file():
        if not is_dicom(root):
            raise DicomError(
                f"file '{root.name}'",
                got="a file that is not DICOM",
                expected="a DICOM file or folder",
                remedy="Check the path.",
            )
        return _file_facts(root)
    found = scan_folder(root, progress)
    rows: Facts = [("series in the folder", str(len(found.series)))]
    for series in found.series:
        rows.extend(_series_facts(series, found.name))
    rows.extend(("left aside", sentence) for sentence in found.left_aside())
    return rows


def _series_facts(series: FoundSeries, name: str) -> Facts:
    rows: Facts = [("series", series.in_words())]
    try:
        stack = stack_slices(slices_of(series), name=name, same_pixels=same_pixels)
        info = header_info(series, stack)
    except IrplanError as error:
        return [*rows, ("usable as a volume", f"no: {error}")]
    thickness = info.slice_thickness_mm
    rows += [
        ("usable as a volume", "yes" if info.modality == "CT" else f"no: modality {info.modality}"),
        ("size", f"{info.slices} slices of {info.rows} x {info.columns}"),
        ("spacing", " x ".join(f"{v:.3f}" for v in info.spacing_mm) + " mm (slice, row, column)"),
        ("slice thickness", "not stated" if thickness is None else f"{thickness:.3f} mm"),
        ("orientation", f"{info.plane}: {info.orientation}, as stored"),
        ("scale", info.rescale),
        ("kernel", info.kernel or "not stated"),
        ("contrast agent", "stated" if info.contrast_agent else "not stated"),
    ]
    if info.phase:
        rows.append(("phase (from the description)", info.phase))
    rows.append(("frame of reference", "stated" if info.frame_of_reference_uid else "not stated"))
    rows.extend(("note", sentence) for sentence in info.notes)
    return rows


def _file_facts(file: Path) -> Facts:
    data = read_dataset(file, pixels=False, tags=_TAGS)
    rows: Facts = [("object", UID(text(data, "SOPClassUID")).name or "not stated")]
    rows.append(("modality", text(data, "Modality") or "not stated"))
    maker = f"{text(data, 'Manufacturer')} {text(data, 'ManufacturerModelName')}".strip()
    if maker:
        rows.append(("made by", maker))
    syntax = text(data.file_meta, "TransferSyntaxUID")
    rows.append(("encoding", UID(syntax).name if syntax else "not stated"))
    rows.extend(_report_facts(data))
    if number(data, "Rows") is not None:
        rows.extend(_image_facts(data))
        rows.extend(_run_facts(data))
    return rows


def _report_facts(data: pydicom.Dataset) -> Facts:
    title = data.get("ConceptNameCodeSequence")
    if not title:
        return []
    return [
        ("report", text(title[0], "CodeMeaning")),
        ("completion", text(data, "CompletionFlag").lower() or "not stated"),
        ("verification", text(data, "VerificationFlag").lower() or "not stated"),
    ]


def _image_facts(data: pydicom.Dataset) -> Facts:
    rows: Facts = [
        ("image", f"{text(data, 'Rows')} x {text(data, 'Columns')} (rows x columns)"),
        (
            "grey levels",
            f"{text(data, 'BitsStored')} bits, {text(data, 'PhotometricInterpretation')}",
        ),
    ]
    for name, keyword in (
        ("pixel spacing", "PixelSpacing"),
        ("detector pixel", "ImagerPixelSpacing"),
    ):
        spacing = numbers(data, keyword, 2)
        if spacing is not None:
            rows.append((name, f"{spacing[0]:.4f} x {spacing[1]:.4f} mm"))
    if (thickness := number(data, "SliceThickness")) is not None:
        rows.append(("slice thickness", f"{thickness:.3f} mm"))
    if text(data, "LossyImageCompression") == "01":
        rows.append(("compression", "lossy: grey levels are not those measured"))
    return rows


def _run_facts(data: pydicom.Dataset) -> Facts:
    rows: Facts = []
    frames = number(data, "NumberOfFrames")
    if frames is not None:
        rows.append(("frames", f"{frames:.0f}"))
    time_ms, rate = number(data, "FrameTime"), number(data, "CineRate")
    if time_ms is not None and time_ms > 0:
        rows.append(("frame time", f"{time_ms:g} ms ({1000 / time_ms:.1f} frames/s)"))
    elif "FrameTimeVector" in data:
        rows.append(("frame time", "varies (FrameTimeVector)"))
    elif rate is not None:
        rows.append(("frame rate", f"{rate:g} frames/s"))
    for name, keyword, positive, negative in (
        ("C-arm primary angle", "PositionerPrimaryAngle", "LAO", "RAO"),
        ("C-arm secondary angle", "PositionerSecondaryAngle", "CRA", "CAU"),
    ):
        angle = number(data, keyword)
        if angle is not None:
            side = f" {positive if angle > 0 else negative}" if angle else ""
            rows.append((name, f"{abs(angle):g} deg{side}"))
    for name, keyword, unit in (
        ("source to detector", "DistanceSourceToDetector", "mm"),
        ("source to patient", "DistanceSourceToPatient", "mm"),
        ("tube voltage", "KVP", "kV"),
    ):
        value = number(data, keyword)
        if value is not None:
            rows.append((name, f"{value:g} {unit}"))
    return rows
