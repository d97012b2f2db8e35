"""A plan's needles as a DICOM structured report (TID 1500, Comprehensive 3D SR), out and in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from irplan import __version__
from irplan.errors import DicomError, InputError, MissingExtraError
from irplan.geometry import Needle, Point3
from irplan.planning.plan import AblationPlan

_COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"
_GROUP, _TRACKING = "125007", "112039"


def placement_sr(plan: AblationPlan, source: Any, *, written: datetime | None = None) -> Any:
    """The needles and the target's centre of ``plan`` as a Comprehensive 3D SR (a pydicom dataset).

    Each needle is a measurement group of TID 1500 with a POLYLINE of two points, entry first and
    tip last, in the plan's frame of reference, its length and a tracking identifier "needle 1
    (applicator, planned)"; the target's centre is a POINT.  The review state is in the document:
    only an accepted plan is VERIFIED (by its reviewer); all others are UNVERIFIED.

    Parameters
    ----------
    plan : made on an image with a frame of reference.
    source : a slice of that image (pydicom dataset): patient and study are taken from it.
    written : date of the document; None: now.

    Raises
    ------
    MissingExtraError : the extra "pacs" (highdicom) is not installed.
    InputError : the plan has no frame of reference, or the slice lies in another one.
    """
    try:
        import highdicom as hd
        from highdicom.sr import GraphicTypeValues3D, ImageRegion3D, ObservationContext
    except ImportError as error:
        raise MissingExtraError("needles as DICOM SR", package="highdicom", extra="pacs") from error
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    frame = plan.frame_of_reference_uid
    theirs = getattr(source, "FrameOfReferenceUID", None)
    if frame is None or theirs != frame:
        raise InputError(
            "source",
            got="a plan without a frame of reference" if frame is None else "an image of another",
            expected="a slice of the image the plan was made on",
            remedy="Plan on the DICOM series, and give one of its slices.",
        )

    def uid(*what: str) -> str:
        return str(generate_uid(entropy_srcs=["irplan", str(plan), *what]))

    def group(name: str, region: Any, finding: Any, measurements: Any) -> Any:
        return hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=hd.sr.TrackingIdentifier(uid=uid(name), identifier=name),
            referenced_region=region,
            finding_type=finding,
            measurements=measurements,
        )

    import numpy as np

    groups = []
    for number, placement in enumerate(plan.placements, start=1):
        needle = placement.needle
        region = ImageRegion3D(
            GraphicTypeValues3D.POLYLINE, np.array([needle.entry_mm, needle.tip_mm]), frame
        )
        length = hd.sr.Measurement(
            name=codes.SCT.Length, value=round(needle.depth_mm, 3), unit=codes.UCUM.Millimeter
        )
        name = f"needle {number} ({placement.applicator.name}, {placement.status})"
        needle_code = hd.sr.CodedConcept("79068005", "SCT", "Needle")
        groups.append(group(name, region, needle_code, [length]))
    centre = ImageRegion3D(GraphicTypeValues3D.POINT, np.array([plan.target.centroid_mm]), frame)
    diameter = hd.sr.Measurement(
        name=codes.SCT.Diameter, value=round(plan.target.diameter_mm, 3), unit=codes.UCUM.Millimeter
    )
    groups.append(group("target centre", centre, codes.SCT.Neoplasm, [diameter]))
    device = hd.sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=str(generate_uid(entropy_srcs=["irplan", "device"])), name="irplan",
            model_name=f"irplan {__version__}",
        ),
    )  # fmt: skip
    report = hd.sr.MeasurementReport(
        observation_context=ObservationContext(observer_device_context=device),
        procedure_reported=codes.LN.CTUnspecifiedBodyRegion,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    accepted = plan.review.state == "accepted"
    document = hd.sr.Comprehensive3DSR(
        evidence=[source],
        content=report,
        series_instance_uid=uid("series"),
        series_number=900,
        sop_instance_uid=uid("instance"),
        instance_number=1,
        manufacturer="irplan",
        series_description=f"irplan needles, {plan.review.state}, research use only",
        is_complete=True,
        is_final=accepted,
        is_verified=accepted,
        verifying_observer_name=_person(plan.review.by) if accepted else None,
        verifying_organization="unknown" if accepted else None,
    )
    when = datetime.now() if written is None else written
    for date, time in (("ContentDate", "ContentTime"), ("SeriesDate", "SeriesTime")):
        setattr(document, date, when.strftime("%Y%m%d"))
        setattr(document, time, when.strftime("%H%M%S"))
    return document


def _person(name: str) -> str:
    """A person's name as DICOM wants it: a single part ends in a caret."""
    return name if "^" in name else f"{name}^"


def read_placement_sr(path: str | Path) -> tuple[tuple[str, Needle], ...]:
    """Name and needle of each two-point POLYLINE group in a 3D structured report.

    Read item by item, so a report of another maker that uses TID 1500 so is read too.  Raises
    `DicomError` for a file that is no such report, holds no needle or lines in several frames.
    """
    import pydicom

    file = Path(path)
    try:
        document = pydicom.dcmread(file)
    except (OSError, pydicom.errors.InvalidDicomError) as error:
        raise _refused(file, "a file that is not DICOM") from error
    if document.get("SOPClassUID") != _COMPREHENSIVE_3D_SR:
        raise _refused(file, "another kind of DICOM object")
    found, frames = [], set()
    for group in _groups(document):
        items = list(group.get("ContentSequence", []))
        name = next((i.TextValue for i in items if _code(i) == _TRACKING), "needle")
        for item in items:
            data = [float(v) for v in item.get("GraphicData", None) or ()]
            if item.get("GraphicType") == "POLYLINE" and len(data) == 6:
                frames.add(str(item.get("ReferencedFrameOfReferenceUID")))
                found.append((str(name), _needle(file, data)))
    if not found or len(frames) > 1:
        raise _refused(file, "no line of two points" if not found else "lines in several frames")
    return tuple(found)


def _needle(file: Path, data: list[float]) -> Needle:
    entry: Point3 = (data[0], data[1], data[2])
    tip: Point3 = (data[3], data[4], data[5])
    if entry == tip:
        raise _refused(file, "a line of no length")
    return Needle(tip_mm=tip, entry_mm=entry)


def _groups(item: Any) -> Iterator[Any]:
    for child in item.get("ContentSequence", []):
        if child.get("ValueType") == "CONTAINER" and _code(child) == _GROUP:
            yield child
        yield from _groups(child)


def _code(item: Any) -> str:
    names = item.get("ConceptNameCodeSequence", None)
    return str(names[0].get("CodeValue", "")) if names else ""


def _refused(file: Path, got: str) -> DicomError:
    return DicomError(
        f"needles '{file.name}'",
        got=got,
        expected="a Comprehensive 3D SR with a line of two points for each needle",
        remedy="Give the structured report that holds the planned needles.",
    )
