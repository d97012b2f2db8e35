"""X-ray radiation dose structured reports (RDSR, TID 10001) and the dose in XA / RF headers.

Tolerant where vendors differ (each tolerance is a ``DoseFlag``), strict on what a number means: a
value whose unit is missing or unknown is left out and flagged.  No patient data is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from irplan.dicom.dose_items import Items, date_time, item_code, parts, read_plane, read_totals
from irplan.dicom.dose_items import event as read_event
from irplan.dicom.reading import READ_ERRORS, number, numbers, quiet, read_dataset, text
from irplan.errors import DicomError
from irplan.procedure.dose import DoseEvent, DoseFlag, DoseReport
from irplan.procedure.dose_checks import check_dose

_REPORT, _TOTALS, _EVENT = "113701", "113702", "113706"
_PROJECTION, _CT = "113704", ("P5-08000", "77477000")
_IMAGE_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.12.1": "XA",
    "1.2.840.10008.5.1.4.1.1.12.2": "RF",
    "1.2.840.10008.5.1.4.1.1.12.1.1": "enhanced XA",
    "1.2.840.10008.5.1.4.1.1.12.2.1": "enhanced RF",
}


def read_dose(path: str | Path) -> DoseReport:
    """The dose of an RDSR, or what an XA / RF image's header says of it.

    Raises `DicomError` for another kind of file, a CT dose report, one without any dose content,
    or a file that breaks off.
    """
    path = Path(path)
    data = read_dataset(path, pixels=False)
    _require_whole(data, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    kind = text(data, "SOPClassUID")
    if kind in _IMAGE_CLASSES:
        return _from_image(data, path, digest)
    with quiet():
        return _from_report(data, path, digest)


def _require_whole(data: Dataset, path: Path) -> None:
    """pydicom keeps a last element that breaks off; a dose with its end missing is no dose."""
    for tag in data.keys():  # noqa: SIM118  (iterating the data set would parse the elements)
        element: Any = data.get_item(tag)
        if not isinstance(element, RawDataElement) or element.length == 0xFFFFFFFF:
            continue
        value: bytes | None = element.value
        if value is not None and len(value) < element.length:
            raise DicomError(
                f"DICOM file '{path.name}'",
                got=f"a file that breaks off in element {element.tag}",
                expected="a whole DICOM file",
                remedy="The file is truncated; copy or export it again.",
            )


def _from_report(data: Dataset, path: Path, digest: str) -> DoseReport:
    field = f"DICOM file '{path.name}'"
    title = item_code(data)
    if title != _REPORT:
        modality = text(data, "Modality") or "none"
        raise DicomError(
            field,
            got=f"modality {modality}, not a radiation dose report (its title is "
            f"{title or 'missing'})",
            expected="an X-ray radiation dose structured report (title 113701), or an XA or RF "
            "image",
            remedy="Give the RDSR of the procedure, or its XA runs.",
        )
    try:
        top = Items(data)
        procedure = top.code("121058")
        if procedure in _CT or any(c == "113811" for c, _ in _containers(data)):
            raise DicomError(
                field,
                got="a CT dose report",
                expected="a projection X-ray dose report",
                remedy="CT dose is not read; give the RDSR of the angiography system.",
            )
        notes: list[DoseFlag] = []
        containers = list(_containers(data))
        totals = tuple(read_totals(Items(i, notes)) for c, i in containers if c == _TOTALS)
        events = [read_event(Items(i, notes)) for c, i in containers if c == _EVENT]
    except (*READ_ERRORS, OSError) as error:  # sequences are parsed late, from memory
        raise DicomError(
            field,
            got=f"a content tree that cannot be read ({type(error).__name__})",
            expected="content items as DICOM PS3.16 TID 10001 has them",
            remedy="Export the report again.",
        ) from error
    if not (totals or events):
        raise DicomError(
            field,
            got="a dose report without totals and without irradiation events",
            expected="accumulated dose (113702) or events (113706)",
            remedy="Export the report again after the procedure has ended.",
        )
    template = ""
    for each in parts(data, "ContentTemplateSequence"):
        template = text(each, "TemplateIdentifier")
    flags = _report_flags(data, template, procedure)
    ordered = tuple(sorted(events, key=_start))
    return DoseReport(
        "RDSR",
        path.name,
        digest,
        text(data, "Manufacturer"),
        text(data, "ManufacturerModelName"),
        totals,
        ordered,
        (*flags, *_counted(notes), *check_dose(totals, ordered)),
        text(data, "StudyInstanceUID"),
        template,
    )


def _report_flags(data: Dataset, template: str, procedure: str) -> list[DoseFlag]:
    flags = []
    if template != "10001":
        flags.append(
            DoseFlag("template", f"Template identifier {template or 'missing'} instead of 10001.")
        )
    if procedure != _PROJECTION:
        flags.append(
            DoseFlag(
                "procedure",
                f"Procedure reported is {procedure or 'missing'}, not projection X-ray.",
            )
        )
    if text(data, "CompletionFlag").upper() == "PARTIAL":
        flags.append(
            DoseFlag("partial", "The system marked the report PARTIAL: more may follow it.")
        )
    return flags


def _counted(notes: list[DoseFlag]) -> list[DoseFlag]:
    """Each different note once, with how often it occurred."""
    count: dict[DoseFlag, int] = {}
    for note in notes:
        count[note] = count.get(note, 0) + 1
    return [
        note if n == 1 else DoseFlag(note.code, f"{note.text.rstrip('.')} ({n} times).")
        for note, n in count.items()
    ]


def _start(event: DoseEvent) -> tuple[bool, datetime]:
    """Sorts by local start; the few zones vendors write are those of one system."""
    if event.started is None:
        return True, datetime.min
    return False, event.started.replace(tzinfo=None)


def _containers(data: Dataset, depth: int = 0) -> Iterator[tuple[str, Dataset]]:
    """Totals and events wherever they hang in the tree (vendors nest them differently)."""
    for item in parts(data, "ContentSequence"):
        code = item_code(item)
        if code in (_TOTALS, _EVENT, "113811"):
            yield code, item
        elif depth < 8:
            yield from _containers(item, depth + 1)


def _from_image(data: Dataset, path: Path, digest: str) -> DoseReport:
    kind = _IMAGE_CLASSES[text(data, "SOPClassUID")]
    flags = [
        DoseFlag(
            "image_header",
            f"From the header of one {kind} run: other runs and fluoroscopy are not in it.",
        )
    ]
    dap = number(data, "ImageAndFluoroscopyAreaDoseProduct")  # dGy.cm2, PS3.3 C.8.7.2
    kerma = number(data, "EntranceDoseInmGy")
    if dap is not None:
        flags.append(
            DoseFlag(
                "image_dap",
                "The header's area dose product (0018,115E) is of this run on some systems and "
                "accumulated over the study on others.",
            )
        )
    frames = number(data, "NumberOfFrames")
    frame_ms = number(data, "FrameTime")
    event = DoseEvent(
        uid=text(data, "IrradiationEventUID"),
        kind="unknown",
        plane=read_plane(text(data, "ImageType")),
        started=_image_start(data),
        dap_gy_cm2=_amount(None if dap is None else dap / 10.0),
        air_kerma_mgy=_amount(kerma),
        primary_angle_deg=number(data, "PositionerPrimaryAngle"),
        secondary_angle_deg=number(data, "PositionerSecondaryAngle"),
        kvp=_several(data, "KVP"),
        tube_current_ma=_several(data, "XRayTubeCurrent"),
        pulse_width_ms=_several(data, "AveragePulseWidth"),
        pulse_rate_per_s=1000.0 / frame_ms if frame_ms else None,
        pulses=None if frames is None else int(frames),
        source_detector_mm=_amount(number(data, "DistanceSourceToDetector")),
        source_isocentre_mm=_amount(number(data, "DistanceSourceToIsocenter")),
    )
    return DoseReport(
        "image header",
        path.name,
        digest,
        text(data, "Manufacturer"),
        text(data, "ManufacturerModelName"),
        (),
        (event,),
        (*flags, *check_dose((), (event,))),
        text(data, "StudyInstanceUID"),
    )


def _amount(value: float | None) -> float | None:
    return None if value is None or value < 0 else value


def _several(data: Dataset, keyword: str) -> tuple[float, ...]:
    one = numbers(data, keyword, 1)
    return () if one is None or one[0] < 0 else one


def _image_start(data: Dataset) -> datetime | None:
    whole = text(data, "AcquisitionDateTime")
    if not whole:
        day, hour = text(data, "AcquisitionDate"), text(data, "AcquisitionTime")
        whole = day + hour if day and hour else ""
    return date_time(whole)
