"""A case folder turned into a draft report's folder; its review; release of what was accepted."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from irplan import __version__
from irplan.compute.progress import Progress, no_progress
from irplan.errors import FileFormatError, InputError, ReviewError
from irplan.files.held import held
from irplan.files.json_text import load_json
from irplan.files.output import OutputFolder
from irplan.files.report_file import (
    EARLIER,
    REPORT_FILE,
    REVIEW_FILE,
    read_report,
    read_review,
    report_to_json,
    review_to_json,
)
from irplan.planning.review_states import ReviewState
from irplan.procedure.events import Event, Source, effective_events
from irplan.procedure.log import ProcedureLog
from irplan.procedure.log_store import EVENTS
from irplan.procedure.log_verify import verify_log
from irplan.procedure.report import draft_report
from irplan.procedure.report_document import Impression, ReportDocument, event_lines
from irplan.procedure.report_facts import CaseFile
from irplan.procedure.report_sections import PLAN_FILE
from irplan.procedure.review import Draft, judge, overrule, revise, sha256_hex
from irplan.procedure.times import now, utc_text
from irplan.reports.impression import rule_impression
from irplan.reports.impression_model import ModelEndpoint, model_impression
from irplan.reports.procedure_fhir import fhir_bundle
from irplan.reports.procedure_forms import render_form, site_of
from irplan.reports.procedure_language import Language, load_language

#: Forms and their file names.
FORMS: Mapping[str, str] = {
    "html": "report.html",
    "txt": "report.txt",
    "pdf": "report.pdf",
    "fhir": "report_fhir.json",
    "dicom-pdf": "report_pdf.dcm",
    "dicom-sr": "report_sr.dcm",
}
DEFAULT_FORMS = ("html", "txt", "pdf", "fhir")
TIMELINE, FORMS_FILE = "timeline.png", "forms.json"


@dataclass(frozen=True)
class ReportRequest:
    """What ``irplan report`` is asked.

    ``case``: a folder with a log (``log/`` in it, or itself) and, if there is one, ``plan.json``.
    ``who``, ``why``: needed where an earlier report in ``out`` was judged already.
    """

    case: Path
    out: Path
    language: str = "en"
    forms: Sequence[str] = DEFAULT_FORMS
    site: Path | None = None
    model: ModelEndpoint | None = None
    who: str = ""
    why: str = ""


@dataclass(frozen=True)
class MadeReport:
    """A report's folder: its document, its record, and what to tell the user."""

    document: ReportDocument
    draft: Draft
    messages: tuple[str, ...] = field(default=())


def run_report(request: ReportRequest, *, progress: Progress = no_progress) -> MadeReport:
    """Write the draft report of a case into ``request.out``, whole or not at all.

    An earlier report there is kept under ``earlier/`` and replaced by a new draft; one with the
    same content is left as it is.  Raises `InputError` or `FileFormatError` for a case without log
    and plan, an unknown form or language, a judged report without who and why.
    """
    forms = _forms(request.forms)
    language = load_language(request.language, request.site)
    progress(0.0, "reading the log")
    events, state = _log(request.case)
    files = _files(request.case)
    if state == "absent" and not files:
        raise FileFormatError(
            "case",
            got=f"'{request.case.name}', which holds neither a log nor a plan",
            expected="a folder with 'log' (irplan log new CASE/log) or plan.json",
            remedy="Give the case's folder.",
        )
    report = draft_report(events, files, log_state=state)
    progress(0.3, "wording the impression")
    said = Impression(rule_impression(report, language))
    if request.model is not None:
        said = model_impression(report, language, request.model, fallback=said)
    document = ReportDocument(report, request.language, said, event_lines(report, events))
    with held(request.out):
        draft, old = _draft(request, document)
        if draft is None:
            there = old[1]  # type: ignore[index]
            return MadeReport(document, there, ("The report is there already, with this content.",))
        with OutputFolder(request.out, keeps_evidence=old is not None) as stage:
            if old is not None:
                _keep(request.out, stage, old[1])
            timeline = _timeline(events, language)
            if timeline is not None:
                (stage / TIMELINE).write_bytes(timeline)
            _write(document, draft, stage, forms, request.site, timeline, progress)
    progress(1.0, "done")
    return MadeReport(document, draft, _messages(document))


def review_report(
    folder: Path,
    state: ReviewState,
    *,
    who: str,
    why: str,
    overrules: Mapping[str, str] | None = None,
    log: Path | None = None,
    progress: Progress = no_progress,
) -> MadeReport:
    """Judge the report in ``folder``: every form is set anew with its new state, in one step.

    Of two who judge at the same moment the second judges what the first one left.

    ``overrules``: check -> reason, for failed checks that the reviewer decides against.  With
    ``log`` the judgement is an event there, written before the folder changes.  Raises
    `ReviewError` where a failed check stands unanswered or the content was changed, `InputError`
    for a step that is not allowed.
    """
    with held(folder):
        return _review(folder, state, who, why, overrules or {}, log, progress)


def _review(
    folder: Path,
    state: ReviewState,
    who: str,
    why: str,
    overrules: Mapping[str, str],
    log: Path | None,
    progress: Progress,
) -> MadeReport:
    document, draft = read_report(folder / REPORT_FILE), read_review(folder / REVIEW_FILE)
    if sha256_hex((folder / REPORT_FILE).read_bytes()) != draft.content_sha256:
        raise ReviewError(
            "report",
            got="a report.json that was changed after it was made",
            expected="the content of this draft",
            remedy="Make the report again; a change makes a new draft.",
        )
    when = utc_text(now())
    for check, reason in overrules.items():
        if check not in draft.objections:
            raise InputError(
                "--overrule",
                got=f"'{check[:40]}', which did not fail",
                expected="one of " + (", ".join(draft.objections) or "no failed check"),
                remedy="Name a failed check.",
            )
        draft = overrule(draft, check, decision="accepted as it is", who=who, why=reason, when=when)
    judged = judge(draft, state, who=who, why=why, when=when)
    forms, site = _kept_forms(folder)
    timeline = (folder / TIMELINE).read_bytes() if (folder / TIMELINE).is_file() else None
    if log is not None:
        _log_review(log, judged, who, why)
    with OutputFolder(folder, keeps_evidence=True) as stage:
        if (folder / EARLIER).is_dir():
            shutil.copytree(folder / EARLIER, stage / EARLIER)
        if timeline is not None:
            (stage / TIMELINE).write_bytes(timeline)
        done = _write(document, judged, stage, forms, site, timeline, progress)
    return MadeReport(document, done)


def _write(
    document: ReportDocument,
    draft: Draft,
    stage: Path,
    forms: Sequence[str],
    site_folder: Path | None,
    timeline: bytes | None,
    progress: Progress,
) -> Draft:
    """All files of the folder; an accepted draft's record lists the bytes that may leave."""
    site = site_of(site_folder)
    made: dict[str, bytes] = {REPORT_FILE: report_to_json(document).encode("utf-8")}

    def pdf() -> bytes:
        if "report.pdf" not in made:
            made["report.pdf"] = render_form("pdf", document, draft, site=site, timeline=timeline)
        return made["report.pdf"]

    for number, form in enumerate(forms):
        progress(0.4 + 0.6 * number / len(forms), f"setting {form}")
        if form == "fhir":
            bundle = fhir_bundle(document, draft, pdf=pdf() if "pdf" in forms else None)
            text = json.dumps(bundle, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
            made[FORMS[form]] = text.encode("utf-8")
        elif form in ("dicom-pdf", "dicom-sr"):
            made[FORMS[form]] = _dicom(form, document, draft, pdf())
        elif form == "pdf":
            pdf()
        else:
            made[FORMS[form]] = render_form(form, document, draft, site=site, timeline=timeline)
    kept = {n: d for n, d in made.items() if n == REPORT_FILE or n in {FORMS[f] for f in forms}}
    for name, data in kept.items():
        (stage / name).write_bytes(data)
    if draft.review.state == "accepted":
        from dataclasses import replace

        draft = replace(draft, files={name: sha256_hex(data) for name, data in kept.items()})
    choice = {
        "forms": list(forms),
        "site": None if site_folder is None else str(site_folder.resolve()),
    }
    (stage / FORMS_FILE).write_text(json.dumps(choice) + "\n", encoding="utf-8")
    (stage / REVIEW_FILE).write_text(review_to_json(draft), encoding="utf-8")
    return draft


def _dicom(form: str, document: ReportDocument, draft: Draft, pdf: bytes) -> bytes:
    from irplan.dicom.report_objects import encapsulated_pdf, report_sr, to_bytes

    holder = encapsulated_pdf(document, draft, pdf)
    return to_bytes(holder if form == "dicom-pdf" else report_sr(document, draft, holder))


def _log(case: Path) -> tuple[list[Event], Any]:
    for place in (case / "log", case):
        if (place / EVENTS).is_file():
            with ProcedureLog.open(place, readonly=True) as log:
                events = list(log.events())
            while events and _judges_report(events[-1]):
                events.pop()  # a judgement of the report is no part of what it reports
            return events, "intact" if verify_log(place).intact else "damaged"
    if not case.is_dir():
        raise FileFormatError(
            "case",
            got=f"'{case.name}', which is no folder",
            expected="a case's folder",
            remedy="Check the path.",
        )
    return [], "absent"


def _judges_report(event: Event) -> bool:
    return event.kind == "review" and str(event.data["document"]).startswith("report ")


def _files(case: Path) -> tuple[CaseFile, ...]:
    """plan.json beside the log, checked as a plan."""
    from irplan.files.plan_file import read_plan

    file = case / PLAN_FILE
    if not file.is_file():
        return ()
    read_plan(file)
    data = load_json(file, what="plan file")
    return (CaseFile(PLAN_FILE, hashlib.sha256(file.read_bytes()).hexdigest(), data),)


def _timeline(events: Sequence[Event], language: Language) -> bytes | None:
    from irplan.viz.procedure_timeline import procedure_timeline
    from irplan.viz.style import png_bytes

    try:
        return png_bytes(
            procedure_timeline(effective_events(events), words=language.tables["timeline"])
        )
    except InputError:
        return None  # nothing that has a place on it


def _draft(
    request: ReportRequest, document: ReportDocument
) -> tuple[Draft | None, tuple[Path, Draft] | None]:
    """The record of the new draft (None: nothing changed), and the earlier report with its."""
    digest = sha256_hex(report_to_json(document).encode("utf-8"))
    when, made_by = utc_text(now()), f"irplan {__version__}"
    objections = document.report.objections
    old_file = request.out / REVIEW_FILE
    if not old_file.is_file():
        name = f"report-{digest[:12]}-1"
        draft = Draft(name, "report", made_by, when, digest, objections=objections)
        return draft, None
    old = read_review(old_file)
    if old.content_sha256 == digest:
        return None, (request.out, old)
    judged = old.review.state != "draft" or old.overrules
    if judged and not (request.who.strip() and request.why.strip()):
        raise ReviewError(
            "output folder",
            got=f"a report there that is {old.review.state}",
            expected="who changes it and why (--by, --why), or another folder",
            remedy="The earlier report is kept; the new one is a new draft.",
        )
    new = revise(
        old,
        f"report-{digest[:12]}-{old.revision + 1}",
        digest,
        who=request.who or made_by,
        why=request.why or "made again from the case",
        when=when,
        objections=objections,
        made_by=made_by,
    )
    return new, (request.out, old)


def _keep(out: Path, stage: Path, old: Draft) -> None:
    """The earlier report, with those before it, under ``earlier/``."""
    if (out / EARLIER).is_dir():
        shutil.copytree(out / EARLIER, stage / EARLIER)
    place = stage / EARLIER / str(old.revision)
    place.mkdir(parents=True)
    for file in out.iterdir():
        if file.is_file() and not file.name.startswith("."):
            shutil.copy2(file, place / file.name)


def _log_review(folder: Path, draft: Draft, who: str, why: str) -> None:
    data = {
        "document": f"{draft.kind} {draft.draft_id}",
        "state": draft.review.state,
        "who": who,
        "why": why,
        "sha256": draft.content_sha256,
        "overruled": [o.check for o in draft.overrules] or None,
    }
    with ProcedureLog.open(folder) as log:
        log.append("review", data, source=Source("typed", who=who))


def _kept_forms(folder: Path) -> tuple[tuple[str, ...], Path | None]:
    data = load_json(folder / FORMS_FILE, what="list of forms")
    site = data.get("site")
    return _forms(data.get("forms") or ()), None if site is None else Path(str(site))


def _forms(given: Sequence[str]) -> tuple[str, ...]:
    """In the order of `FORMS`; the master, ``"json"``, may be named and is always written."""
    given = [{"text": "txt"}.get(f, f) for f in given if f != "json"]
    for form in given:
        if form not in FORMS:
            raise InputError(
                "--format",
                got=f"'{str(form)[:30]}'",
                expected="one or more of " + ", ".join(FORMS),
                remedy="report.json is always written.",
            )
    return tuple(f for f in FORMS if f in given)


def _messages(document: ReportDocument) -> tuple[str, ...]:
    bad = [c for c in document.report.checks if c.status in ("error", "warning")]
    out = [
        f"{c.status}: {c.name}" + "".join(f"; {k}: {v}" for k, v in c.detail.items()) for c in bad
    ]
    if document.impression.refused:
        out.append(f"the model's impression was refused: {document.impression.refused}")
    return tuple(out)
