"""A report document as a FHIR R4 bundle: DiagnosticReport, Patient, Procedure, ImagingStudy,
Observations."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from irplan.procedure.report_document import ReportDocument
from irplan.procedure.report_fields import ReportField, Section
from irplan.procedure.review import Draft
from irplan.reports.procedure_language import Language, load_language

_UCUM, _LOINC = "http://unitsofmeasure.org", "http://loinc.org"
_DCM, _SCT = "http://dicom.nema.org/resources/ontology/DCM", "http://snomed.info/sct"
_OWN = "urn:irplan:report-field"
_STATUS = {"draft": "preliminary", "reviewed": "preliminary", "accepted": "final"}
_SEX = {"M": "male", "F": "female", "O": "other", "U": "unknown"}
#: SNOMED CT procedures by energy (general ablation where there is no narrower code here).
_PROCEDURE = {
    "cryo": ("26782000", "Cryotherapy"),
    "rfa": ("879916008", "Radiofrequency ablation"),
}
#: Dose: LOINC 73569-6 as a panel, DCM codes as components (PS3.16, TID 10001).
_DOSE = {
    "kap_gy_cm2": ("113722", "Dose Area Product Total"),
    "air_kerma_mgy": ("113725", "Dose (RP) Total"),
    "fluoroscopy_s": ("113730", "Total Fluoro Time"),
}
#: Sections whose numbers become Observations.
_MEASURED = ("lab", "lesion", "technique", "needle", "readings", "result", "contrast", "dose")


def fhir_bundle(
    document: ReportDocument, draft: Draft, *, pdf: bytes | None = None
) -> dict[str, Any]:
    """The bundle (type "collection") as data; ``status`` is "final" only for an accepted report.

    A rejected report is "entered-in-error".  Every Observation names the events it comes from.
    ``pdf`` goes in as the presented form.
    """
    report = document.report
    language = load_language(document.language)
    case = report.one("identifiers")
    seed = draft.content_sha256
    patient = _url(seed, "patient")
    subject = {"reference": patient}
    status = _STATUS.get(draft.review.state, "entered-in-error")
    observed = _observations(report.sections, seed, subject, status, language)
    studies = _studies(case, seed, subject)
    procedure = _procedure(document, seed, subject, draft)
    result: dict[str, Any] = {
        "resourceType": "DiagnosticReport",
        "status": status,
        "code": {
            "coding": [
                {"system": _LOINC, "code": "18748-4", "display": "Diagnostic imaging study"}
            ],
            "text": language("title"),
        },
        "subject": subject,
        "result": [{"reference": url} for url, _ in observed],
        "conclusion": "\n".join(document.impression.sentences),
        "identifier": [{"system": "urn:irplan:draft", "value": draft.draft_id}],
    }
    if studies:
        result["imagingStudy"] = [{"reference": url} for url, _ in studies]
    if draft.review.state != "draft":
        result["resultsInterpreter"] = [{"display": draft.review.by}]
    if draft.review.state == "accepted":
        result["issued"] = draft.review.when
    if pdf is not None:
        result["presentedForm"] = [
            {
                "contentType": "application/pdf",
                "language": document.language,
                "data": base64.b64encode(pdf).decode("ascii"),
                "hash": base64.b64encode(hashlib.sha1(pdf).digest()).decode("ascii"),
                "title": language("title"),
            }
        ]
    entries = [
        (_url(seed, "report"), result),
        (patient, _patient(case)),
        procedure,
        *studies,
        *observed,
    ]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "identifier": {"system": "urn:irplan:content-sha256", "value": seed},
        "entry": [{"fullUrl": url, "resource": resource} for url, resource in entries],
    }


def _patient(case: Section) -> dict[str, Any]:
    out: dict[str, Any] = {"resourceType": "Patient"}
    number, name = case.field("patient_id"), case.field("patient_name")
    if number.state == "recorded":
        out["identifier"] = [{"value": number.value}]
    if name.state == "recorded":
        family, _, rest = str(name.value).partition("^")
        given = [p for p in rest.split("^")[:1] if p]
        out["name"] = [{"family": family} | ({"given": given} if given else {})]
    born = case.field("birth_date")
    if born.state == "recorded" and _is_date(str(born.value)):
        out["birthDate"] = born.value
    sex = case.field("sex")
    if sex.state == "recorded":
        out["gender"] = _SEX[sex.value]
    return out


def _procedure(
    document: ReportDocument, seed: str, subject: dict[str, Any], draft: Draft
) -> tuple[str, dict[str, Any]]:
    report = document.report
    energy = report.one("technique").field("energy")
    code: dict[str, Any] = {"text": "ablation"}
    if energy.state == "recorded":
        language = load_language(document.language)
        code = {"text": language.word("choices", energy.value)}
        if energy.value in _PROCEDURE:
            number, words = _PROCEDURE[energy.value]
            code["coding"] = [{"system": _SCT, "code": number, "display": words}]
    out: dict[str, Any] = {
        "resourceType": "Procedure",
        "status": "completed" if draft.review.state != "rejected" else "entered-in-error",
        "code": code,
        "subject": subject,
    }
    case = report.one("identifiers")
    start, end = case.field("ablation_start"), case.field("ablation_end")
    if start.state == end.state == "recorded":
        out["performedPeriod"] = {"start": start.value, "end": end.value}
    stated = report.one("complications").field("complications")
    texts = [s.field("text") for s in report.of("complication")]
    if stated.state == "recorded":
        seen = [{"text": t.value} for t in texts if t.state == "recorded"]
        out["complication"] = seen or [{"text": "adverse event observed"}]
    follow = report.one("after").field("follow_up")
    if follow.state == "recorded":
        out["followUp"] = [{"text": t} for t in follow.value]
    operators = report.one("team").field("operator")
    if operators.state == "recorded":
        out["performer"] = [{"actor": {"display": name}} for name in operators.value]
    return _url(seed, "procedure"), out


def _studies(case: Section, seed: str, subject: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    uids = case.field("study_uids")
    if uids.state != "recorded":
        return []
    out = []
    for n, uid in enumerate(uids.value):
        study = {
            "resourceType": "ImagingStudy",
            "status": "available",
            "subject": subject,
            "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}],
        }
        out.append((_url(seed, f"study {n}"), study))
    return out


def _observations(
    sections: tuple[Section, ...],
    seed: str,
    subject: dict[str, Any],
    status: str,
    language: Language,
) -> list[tuple[str, dict[str, Any]]]:
    out = []
    for section in sections:
        if section.key not in _MEASURED:
            continue
        parts = [c for f in section.fields for c in _components(f, section, language)]
        if not parts:
            continue
        title = language.word("sections", section.key) + (
            f": {section.item}" if section.item else ""
        )
        code: dict[str, Any] = {"text": title}
        if section.key == "dose":
            panel = {
                "system": _LOINC,
                "code": "73569-6",
                "display": "Radiation exposure and protection",
            }
            code["coding"] = [panel]
        observation = {
            "resourceType": "Observation",
            "status": status,
            "code": code,
            "subject": subject,
            "component": parts,
        }
        out.append((_url(seed, f"{section.key} {section.item}"), observation))
    return out


def _components(field: ReportField, section: Section, language: Language) -> list[dict[str, Any]]:
    if field.state != "recorded" or isinstance(field.value, (str, bool)):
        return []
    values = field.value if isinstance(field.value, list) else [field.value]
    if not all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
        return []
    out = []
    for n, value in enumerate(values, start=1):
        words = language.word("fields", field.key) + (f" {n}" if len(values) > 1 else "")
        coding = [
            {
                "system": _OWN,
                "code": f"{section.key}.{field.key}" + (f".{n}" if len(values) > 1 else ""),
            }
        ]
        if field.key in _DOSE:
            number, name = _DOSE[field.key]
            coding.insert(0, {"system": _DCM, "code": number, "display": name})
        unit = field.unit or "1"
        out.append(
            {
                "code": {"coding": coding, "text": words},
                "valueQuantity": {"value": value, "unit": unit, "system": _UCUM, "code": unit},
                "extension": [
                    {
                        "url": "urn:irplan:source",
                        "valueString": f"log event {r.seq}, {r.path}"
                        if r.where == "log"
                        else f"{r.name}, {r.path}",
                    }
                    for r in field.sources
                ],
            }
        )
    return out


def _url(seed: str, name: str) -> str:
    """A urn:uuid made from the content: the same report gives the same bundle."""
    h = hashlib.sha256(f"{seed} {name}".encode()).hexdigest()
    return f"urn:uuid:{h[:8]}-{h[8:12]}-8{h[13:16]}-8{h[17:20]}-{h[20:32]}"


def _is_date(text: str) -> bool:
    from datetime import date

    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
