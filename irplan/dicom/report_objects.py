"""A procedure report as DICOM: Encapsulated PDF, and numbers as Comprehensive 3D SR (TID 1500)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from irplan import __version__
from irplan.errors import InputError, MissingExtraError
from irplan.procedure.report_document import ReportDocument
from irplan.procedure.report_fields import ReportField, Section
from irplan.procedure.review import Draft
from irplan.procedure.times import parse_time

_ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
_SCHEME = "99IRPLAN"
#: Field -> code value, scheme, meaning.  Codes of `_SCHEME` are irplan's own.
_CODES = {
    "size_mm": ("81827009", "SCT", "Diameter"),
    "zone_mm": ("IRP001", _SCHEME, "Diameter of ablation zone"),
    "zone_volume_ml": ("118565006", "SCT", "Volume"),
    "minimal_margin_mm": ("IRP002", _SCHEME, "Minimal ablative margin"),
    "covered_percent": ("IRP003", _SCHEME, "Target inside ablation zone"),
    "margin_covered_percent": ("IRP004", _SCHEME, "Target with margin inside ablation zone"),
    "depth_mm": ("131197000", "SCT", "Depth"),
    "tip_error_mm": ("IRP005", _SCHEME, "Distance of needle tip from plan"),
    "entry_error_mm": ("IRP006", _SCHEME, "Distance of needle entry from plan"),
    "angle_error_deg": ("IRP007", _SCHEME, "Angle of needle from plan"),
    "repositionings": ("IRP008", _SCHEME, "Number of repositionings"),
    "minutes": ("103335007", "SCT", "Duration"),
    "power_w": ("386131004", "SCT", "Ablation power"),
    "temperature_c": ("IRP009", _SCHEME, "Temperature"),
    "energy_kj": ("IRP010", _SCHEME, "Energy given"),
    "pulses": ("IRP011", _SCHEME, "Number of pulses"),
    "kap_gy_cm2": ("113722", "DCM", "Dose Area Product Total"),
    "air_kerma_mgy": ("113725", "DCM", "Dose (RP) Total"),
    "fluoroscopy_s": ("113730", "DCM", "Total Fluoro Time"),
    "dlp_mgy_cm": ("113813", "DCM", "CT Dose Length Product Total"),
}
_FINDINGS = {
    "lesion": ("108369006", "SCT", "Neoplasm"),
    "result": ("IRP020", _SCHEME, "Ablation zone"),
    "needle": ("79068005", "SCT", "Needle"),
    "phase": ("IRP021", _SCHEME, "Ablation phase"),
    "dose": ("113702", "DCM", "Accumulated X-Ray Dose Data"),
}
_UNITS = {
    "mm": "millimeter", "mL": "milliliter", "%": "percent", "deg": "degree", "min": "minute",
    "W": "watt", "Cel": "degree Celsius", "kJ": "kilojoule", "1": "no units", "Gy.cm2": "Gy.cm2",
    "mGy": "milligray", "s": "second", "mGy.cm": "mGy.cm",
}  # fmt: skip


def encapsulated_pdf(document: ReportDocument, draft: Draft, pdf: bytes) -> Any:
    """The PDF as an Encapsulated PDF Storage instance (a pydicom dataset).

    Patient and study are those of the log's case; a study UID is made where none is recorded.
    The title and the series say the review state.  The same draft gives the same bytes.  Raises
    `InputError` for a patient number or name that DICOM cannot hold.
    """
    from pydicom.dataset import Dataset

    when = _when(draft)
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    _patient_and_study(ds, document, draft)
    ds.SOPClassUID = _ENCAPSULATED_PDF
    ds.SOPInstanceUID = _uid(draft, "pdf", draft.review.state)
    ds.SeriesInstanceUID = _uid(draft, "pdf series", draft.review.state)
    ds.Modality = "DOC"
    ds.SeriesNumber, ds.InstanceNumber = 910, 1
    ds.SeriesDescription = f"irplan report, {draft.review.state}, research use only"
    ds.Manufacturer, ds.ManufacturerModelName = "irplan", "irplan"
    ds.SoftwareVersions = __version__
    ds.ConversionType = "WSD"
    ds.SeriesDate = ds.ContentDate = when.strftime("%Y%m%d")
    ds.SeriesTime = ds.ContentTime = when.strftime("%H%M%S")
    ds.AcquisitionDateTime = ""
    ds.BurnedInAnnotation = "YES"
    ds.DocumentTitle = f"Ablation report, {draft.review.state}"
    ds.VerificationFlag = "VERIFIED" if draft.review.state == "accepted" else "UNVERIFIED"
    ds.ConceptNameCodeSequence = []
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocumentLength = len(pdf)
    ds.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    _file_meta(ds)
    return ds


def report_sr(document: ReportDocument, draft: Draft, evidence: Any) -> Any:
    """The report's numbers as Comprehensive 3D SR, one measurement group an item (TID 1500, 1501).

    Every recorded number of targets, results, needles, phases and dose, with its UCUM unit;
    technical success as a coded evaluation.  (Needle positions: `irplan.dicom.placement_sr`.)
    ``evidence``: the encapsulated PDF of the same draft.  Only an accepted report is VERIFIED, by
    its reviewer.  Raises `MissingExtraError` without the extra "pacs",
    `InputError` where nothing was measured.
    """
    try:
        import highdicom as hd
    except ImportError as error:
        raise MissingExtraError(
            "the report as DICOM SR", package="highdicom", extra="pacs"
        ) from error
    from pydicom.sr.codedict import codes

    groups = [
        made
        for key in _FINDINGS
        for section in document.report.of(key)
        if (made := _group(hd, section, draft)) is not None
    ]
    if not groups:
        raise InputError(
            "dicom-sr",
            got="a report without any measured number",
            expected="targets, results, needles, phases or dose in the log",
            remedy="Leave this form out, or complete the log.",
        )
    device = hd.sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=_uid(None, "device"), name="irplan", model_name=f"irplan {__version__}"
        ),
    )
    energy = document.report.one("technique").field("energy").value
    procedure = codes.SCT.RadiofrequencyAblation if energy == "rfa" else codes.SCT.Procedure
    language = {"en": ("en", "English"), "nl": ("nl", "Dutch")}.get(
        document.language, ("en", "English")
    )
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=device),
        procedure_reported=procedure,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
        language_of_content_item_and_descendants=hd.sr.LanguageOfContentItemAndDescendants(
            hd.sr.CodedConcept(language[0], "RFC5646", language[1])
        ),
    )
    accepted = draft.review.state == "accepted"
    out = hd.sr.Comprehensive3DSR(
        evidence=[evidence],
        content=content,
        series_instance_uid=_uid(draft, "sr series", draft.review.state),
        series_number=911,
        sop_instance_uid=_uid(draft, "sr", draft.review.state),
        instance_number=1,
        manufacturer="irplan",
        series_description=f"irplan numbers, {draft.review.state}, research use only",
        is_complete=True,
        is_final=accepted,
        is_verified=accepted,
        verifying_observer_name=_person(draft.review.by) if accepted else None,
        verifying_organization="unknown" if accepted else None,
    )
    when = _when(draft)
    for day, hour in (("ContentDate", "ContentTime"), ("SeriesDate", "SeriesTime")):
        setattr(out, day, when.strftime("%Y%m%d"))
        setattr(out, hour, when.strftime("%H%M%S"))
    out.SpecificCharacterSet = "ISO_IR 192"
    return out


def to_bytes(dataset: Any) -> bytes:
    """The instance as a DICOM file."""
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _group(hd: Any, section: Section, draft: Draft) -> Any | None:
    measured = [m for f in section.fields for m in _measurements(hd, f)]
    success = section.field("technical_success")
    said = []
    if success.state == "recorded":
        said.append(
            hd.sr.QualitativeEvaluation(
                name=hd.sr.CodedConcept("IRP030", _SCHEME, "Technical success"),
                value=hd.sr.CodedConcept(
                    {"yes": "IRP031", "no": "IRP032"}.get(success.value, "IRP033"),
                    _SCHEME,
                    str(success.value).replace("_", " "),
                ),
            )
        )
    if not (measured or said):
        return None
    name = f"{section.key} {section.item}".strip()[:64]
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=_uid(draft, name), identifier=name),
        finding_type=hd.sr.CodedConcept(*_FINDINGS[section.key]),
        measurements=measured or None,
        qualitative_evaluations=said or None,
    )


def _measurements(hd: Any, field: ReportField) -> list[Any]:
    if field.state != "recorded" or field.key not in _CODES:
        return []
    values: Sequence[Any] = field.value if isinstance(field.value, list) else [field.value]
    unit = hd.sr.CodedConcept(field.unit or "1", "UCUM", _UNITS.get(field.unit or "1", field.unit))
    name = hd.sr.CodedConcept(*_CODES[field.key])
    return [hd.sr.Measurement(name=name, value=float(v), unit=unit) for v in values]


def _patient_and_study(ds: Any, document: ReportDocument, draft: Draft) -> None:
    from pydicom.uid import UID

    case = document.report.one("identifiers")

    def text(key: str) -> str:
        field = case.field(key)
        value = str(field.value) if field.state == "recorded" else ""
        if len(value) > 64 or "\\" in value or "\n" in value:
            raise InputError(
                f"case.{key}",
                got="a text with a backslash or line end, or of more than 64 characters",
                expected="what a DICOM attribute can hold",
                remedy="Correct it in the log; it is never cut.",
            )
        return value

    name = text("patient_name")
    if name.count("=") > 2 or any(part.count("^") > 4 for part in name.split("=")):
        raise InputError(
            "case.patient_name",
            got="more than two '=' or four '^'",
            expected="what a DICOM name can hold: 3 groups of 5 parts",
            remedy="Correct it in the log; it is never cut.",
        )
    ds.PatientName, ds.PatientID = name, text("patient_id")
    born = text("birth_date").replace("-", "")
    ds.PatientBirthDate = born if len(born) == 8 and born.isdigit() else ""
    sex = text("sex")
    ds.PatientSex = sex if sex in ("M", "F", "O") else ""
    uids = case.field("study_uids")
    first = str(uids.value[0]) if uids.state == "recorded" else ""
    valid = bool(first) and UID(first).is_valid
    ds.StudyInstanceUID = first if valid else _uid(draft, "study")
    ds.StudyDate = ds.StudyTime = ds.ReferringPhysicianName = ds.StudyID = ""
    ds.AccessionNumber = text("accession")[:16] if len(text("accession")) <= 16 else ""


def _file_meta(ds: Any) -> None:
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian


def _when(draft: Draft) -> datetime:
    return parse_time(draft.review.when or draft.made_at).astimezone(UTC)


def _uid(draft: Draft | None, *what: str) -> str:
    from pydicom.uid import generate_uid

    own = [] if draft is None else [draft.draft_id, draft.content_sha256]
    return str(generate_uid(entropy_srcs=["irplan report", *own, *what]))


def _person(name: str) -> str:
    """A person's name as DICOM wants it: a single part ends in a caret."""
    return (name if "^" in name else f"{name}^").replace("\\", "/")[:64]
