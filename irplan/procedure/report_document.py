"""A draft report as one document: content, impression, the events referred to; as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from irplan import RESEARCH_USE_ONLY
from irplan.procedure.events import Event
from irplan.procedure.report_fields import Check, ProcedureReport, ReportField, Section, SourceRef

#: Name and version of the document's schema.
REPORT_SCHEMA, REPORT_SCHEMA_VERSION = "irplan-procedure-report", 1


@dataclass(frozen=True)
class Impression:
    """The closing words and how they were made; ``refused``: why a model's text was not used."""

    sentences: tuple[str, ...]
    how: Literal["rules", "model"] = "rules"
    model: str = ""
    refused: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sentences", tuple(self.sentences))


@dataclass(frozen=True)
class EventLine:
    """An event that the report refers to."""

    seq: int
    kind: str
    at: str
    source: str
    sha256: str


@dataclass(frozen=True)
class ReportDocument:
    """What is kept as report.json, and what its review vouches for."""

    report: ProcedureReport
    language: str
    impression: Impression
    events: tuple[EventLine, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "events", tuple(self.events))


def event_lines(report: ProcedureReport, events: Sequence[Event]) -> tuple[EventLine, ...]:
    """Those of ``events`` that a field or check of ``report`` names."""
    used = {
        r.seq
        for refs in (
            *(f.sources for s in report.sections for f in s.fields),
            *(c.sources for c in report.checks),
        )
        for r in refs
    }
    return tuple(
        EventLine(e.seq, e.kind, e.at, f"{e.source.how} {e.source.who}".strip(), e.sha256)
        for e in events
        if e.seq in used
    )


def document_to_data(document: ReportDocument) -> dict[str, Any]:
    """The document as plain data for JSON."""
    report = document.report
    return {
        "schema": REPORT_SCHEMA,
        "schema_version": REPORT_SCHEMA_VERSION,
        "notice": RESEARCH_USE_ONLY,
        "irplan_version": report.irplan_version,
        "language": document.language,
        "log": {
            "head_sha256": report.log_head_sha256,
            "count": report.log_count,
            "state": report.log_state,
        },
        "files": dict(report.files),
        "sections": [
            {"key": s.key, "item": s.item, "fields": [_field(f) for f in s.fields]}
            for s in report.sections
        ],
        "checks": [
            {
                "name": c.name,
                "status": c.status,
                "detail": dict(c.detail),
                "sources": [asdict(r) for r in c.sources],
            }
            for c in report.checks
        ],
        "impression": {
            "sentences": list(document.impression.sentences),
            "how": document.impression.how,
            "model": document.impression.model,
            "refused": document.impression.refused,
        },
        "events": [asdict(e) for e in document.events],
    }


def document_from_data(data: Mapping[str, Any]) -> ReportDocument:
    """The document in data that fit the schema."""
    report = ProcedureReport(
        tuple(
            Section(s["key"], tuple(_field_from(f) for f in s["fields"]), s["item"])
            for s in data["sections"]
        ),
        tuple(
            Check(c["name"], c["status"], c["detail"], tuple(SourceRef(**r) for r in c["sources"]))
            for c in data["checks"]
        ),
        data["log"]["head_sha256"],
        data["log"]["count"],
        data["log"]["state"],
        data["files"],
        data["irplan_version"],
    )
    said = data["impression"]
    impression = Impression(tuple(said["sentences"]), said["how"], said["model"], said["refused"])
    lines = tuple(EventLine(**e) for e in data["events"])
    return ReportDocument(report, data["language"], impression, lines)


def _field(f: ReportField) -> dict[str, Any]:
    return {
        "key": f.key,
        "value": f.value,
        "unit": f.unit,
        "state": f.state,
        "rule": f.rule,
        "choice": f.choice,
        "sources": [asdict(r) for r in f.sources],
    }


def _field_from(data: Mapping[str, Any]) -> ReportField:
    return ReportField(**{**data, "sources": tuple(SourceRef(**r) for r in data["sources"])})
