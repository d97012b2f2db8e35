"""The procedure's report as it is edited: what a person types becomes an event of the log.

A field is filled by a new event, and corrected by a correction of the event it came from, if a
person typed that one.  What devices, images or the plan state is never typed over here.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from irplan.errors import InputError
from irplan.procedure.event_kinds import KINDS, Field
from irplan.procedure.event_values import value_from_text
from irplan.procedure.events import CORRECTION, Effective, Event, NewEvent, Source, effective_events
from irplan.procedure.log import ProcedureLog
from irplan.procedure.log_store import EVENTS
from irplan.procedure.report_checks import MANDATORY

if TYPE_CHECKING:
    from irplan.case.report_case import MadeReport
    from irplan.procedure.report_document import ReportDocument
    from irplan.procedure.report_fields import ReportField, Section

_NONE_SEEN = "none seen"
_COLOURS = {"recorded": "", "none": "", "missing": "#a9b6c4", "conflict": "#ff7a6b"}


@dataclass(frozen=True)
class _Way:
    """The event that fills a field: its kind and field, what it says besides.

    ``needs``: what such an event must say besides, taken from the report (which lesion, its organ).
    ``adds``: a list; typing adds to it.  ``also``: a field that is typed behind a comma.
    """

    kind: str
    name: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    adds: bool = False
    also: str = ""


def _ways() -> dict[tuple[str, str], _Way]:
    out: dict[tuple[str, str], _Way] = {("identifiers", "patient_id"): _Way("case", "patient_id")}
    for name in ("patient_name", "birth_date", "sex", "accession", "site"):
        out["identifiers", name] = _Way("case", name, needs=("patient_id",))
    for item in next(f for f in KINDS["clinical"].fields if f.name == "item").choices:
        out["clinical", item] = _Way("clinical", "text", {"item": item})
    for role in ("operator", "assistant", "anaesthetist"):
        out["team", role] = _Way("staff", "name", {"role": role}, adds=True)
    out["team", "anaesthesia"] = _Way("anaesthesia", "method")
    out["team", "antibiotic"] = _Way("drug", "name", {"purpose": "antibiotic"}, adds=True)
    for step in ("sign_in", "time_out", "sign_out"):
        out["team", step] = _Way("checklist", "complete", {"step": step})
    out["lesion", "lesion"] = _Way("lesion", "lesion", also="organ")
    for name in ("organ", "side", "segment", "size_mm", "histology", "near", "visible"):
        out["lesion", name] = _Way("lesion", name, needs=("lesion", "organ"))
    out["technique", "energy"] = _Way("technique", "energy")
    for name in ("route", "guidance", "monitoring", "position"):
        out["technique", name] = _Way("technique", name, needs=("energy",))
    out["result", "technical_success"] = _Way("verification", "technical_success")
    out["complications", "complications"] = _Way("complication", "observed")
    for name, kind in (("disposition",) * 2, ("follow_up",) * 2, ("notes", "note")):
        out["after", name] = _Way(kind, "text", adds=True)
    return out


_WAYS = _ways()


@dataclass(frozen=True)
class Blank:
    """A field that may be typed; ``event``: the typed event that a new value corrects."""

    section: str
    key: str
    item: str
    words: str
    value: str
    missing: bool
    mandatory: bool
    choices: tuple[str, ...]
    event: int | None = None
    hint: str = ""

    @property
    def link(self) -> str:
        """Its address in the page."""
        return f"type:{self.section}/{self.key}/{self.item}"


@dataclass(frozen=True)
class Worded:
    """The report as shown: its page (HTML for a text browser) and what may be typed into it."""

    page: str
    blanks: tuple[Blank, ...]


def read_events(folder: Path | None) -> tuple[Event, ...]:
    """The events of the log in a case's folder; none where there is no log."""
    if folder is None or not (folder / "log" / EVENTS).is_file():
        return ()
    with ProcedureLog.open(folder / "log", readonly=True) as log:
        return tuple(log.events())


def worded(made: MadeReport, events: Sequence[Event]) -> Worded:
    """The page of a report that was made, each field with its source; what lacks can be typed."""
    from irplan.reports.procedure_forms import document_page, site_of
    from irplan.reports.procedure_page import shown_value

    document = made.document
    page, language = document_page(document, made.draft, site_of(None))
    known = effective_events(events)
    out = [
        f"<h2>{html.escape(page.title)} &mdash; {html.escape(page.banner)}</h2>",
        f"<p><b>{html.escape(page.impression_title)}</b><br>"
        + "<br>".join(html.escape(x) for x in page.impression) + "</p>",
    ]  # fmt: skip
    blanks = []
    for section in document.report.sections:
        title = language.word("sections", section.key)
        rows, absent = [], []
        for f in section.fields:
            label = language.word("fields", f.key)
            blank = _blank(section, f, f"{title}: {label}", shown_value(f, language), known)
            if blank is not None:
                blanks.append(blank)
            if f.state == "missing" and blank is None:
                absent.append(label)
                continue
            rows.append(
                f"<tr><td>{html.escape(label)}</td>"
                f"<td style='color:{_COLOURS[f.state]}'>{html.escape(shown_value(f, language))}"
                f"</td><td>{_from(f, known)}</td><td>{_edit(blank)}</td></tr>"
            )
        if rows:
            item = f" {html.escape(section.item)}" if section.item else ""
            out.append(f"<h3>{html.escape(title)}{item}</h3><table cellpadding='3' width='98%'>")
            out += [*rows, "</table>"]
        if absent:
            listed = html.escape(", ".join(absent))
            out.append(f"<p>{html.escape(title)}, {page.absent_word.lower()}: {listed}.</p>")
    out.append(f"<h3>{html.escape(page.checks_title)}</h3><table cellpadding='3'>")
    for c in page.checks:
        out.append(
            f"<tr><td>{html.escape(c.symbol)} {html.escape(c.word)}</td>"
            f"<td>{html.escape(c.name)}</td><td>{html.escape(c.detail)}</td></tr>"
        )
    return Worded("".join(out) + "</table>", tuple(blanks))


def append_typed(
    folder: Path, document: ReportDocument, blank: Blank, text: str, *, who: str, why: str
) -> Event:
    """Write what was typed into the log of a case's folder (made where there is none).

    Raises `InputError` for a value that does not fit its field, nobody named, a correction without
    a reason; `OutputError` where the log cannot be written.
    """
    if not who.strip():
        raise InputError(
            "your name",
            got="nothing",
            expected="who types this: it stands beside it in the log",
            remedy="Write it into the field on the page Report.",
        )
    new = _event(document, blank, text.strip(), who.strip(), why.strip(), read_events(folder))
    place = folder / "log"
    with (
        ProcedureLog.open(place) if (place / EVENTS).is_file() else ProcedureLog.create(place)
    ) as log:
        return log.append_many([new])[0]


def _event(
    document: ReportDocument, blank: Blank, text: str, who: str, why: str, events: Sequence[Event]
) -> NewEvent:
    way = _WAYS[blank.section, blank.key]
    kind = way.kind
    if not text:
        raise InputError(
            blank.words, got="nothing", expected="a value", remedy="Leave a field as it is by Esc."
        )
    data = dict(way.fixed)
    if kind == "complication":
        data |= {"observed": text != _NONE_SEEN} | ({} if text == _NONE_SEEN else {"text": text})
    else:
        data |= _values(way, text, blank)
    if blank.event is not None:
        old = next(e for e in effective_events(events) if e.event.seq == blank.event)
        if not why:
            raise InputError(
                "reason",
                got="nothing",
                expected="why it is corrected: the old value stays in the log",
                remedy="Write it beside the value.",
            )
        kept = {k: v for k, v in old.data.items() if kind != "complication" or k == "observed"}
        return NewEvent(
            CORRECTION,
            {"corrects": blank.event, "action": "replace", "kind": kind, "data": kept | data,
             "why": why},
            Source("typed", who=who),
        )  # fmt: skip
    section = next(s for s in document.report.of(blank.section) if s.item == blank.item)
    for name in way.needs:
        value, words = section.field(name).value, name.replace("_", " ")
        if name not in data and value is None:
            raise InputError(
                blank.words,
                got=f"no {words} yet",
                expected=f"the {words} that it is of",
                remedy=f"Type the {words} first.",
            )
        data.setdefault(name, value)
    if kind == "verification" and blank.item:
        data["lesion"] = blank.item
    return NewEvent(kind, data, Source("typed", who=who))


def _values(way: _Way, text: str, blank: Blank) -> dict[str, Any]:
    """What was typed, as fields of the event."""
    if not way.also or blank.event is not None:
        return {way.name: value_from_text(way.kind, way.name, text)}
    first, comma, second = (part.strip() for part in text.rpartition(","))
    if not (comma and first and second):
        raise InputError(
            blank.words,
            got=repr(text[:40]),
            expected=f"{way.name} and {way.also} with a comma between, as in 'L1, liver'",
            remedy="Type both.",
        )
    return {
        way.name: value_from_text(way.kind, way.name, first),
        way.also: value_from_text(way.kind, way.also, second),
    }


def _blank(
    section: Section, f: ReportField, words: str, value: str, known: Sequence[Effective]
) -> Blank | None:
    way = _WAYS.get((section.key, f.key))
    if way is None:
        return None
    event = None
    if f.state != "missing" and not way.adds:
        typed = [e for r in f.sources for e in known if e.seq == r.seq]
        if len(typed) != 1 or typed[0].event.source.how != "typed":
            return None  # devices, images or several people say so: not typed over
        event = typed[0].event.seq
        if typed[0].event.kind != way.kind:
            return None
    spec = next(x for x in KINDS[way.kind].fields if x.name == way.name)
    choices = ("yes", "no") if spec.type == "boolean" else spec.choices
    if way.kind == "complication":
        choices = (_NONE_SEEN,)
    words = f"{words} ({section.item})" if section.item else words
    return Blank(
        section.key, f.key, section.item, words,
        "" if f.state == "missing" else value, f.state == "missing",
        (section.key, f.key) in MANDATORY, choices, event, _hint(way, spec, event),
    )  # fmt: skip


def _hint(way: _Way, spec: Field, event: int | None) -> str:
    """How the value is written."""
    if way.also and event is None:
        return f"{spec.words}, {way.also}: with a comma between"
    kinds = {"numbers": "numbers by commas", "texts": "several by semicolons", "number": "a number"}
    return f"{spec.words}; {kinds[spec.type]}" if spec.type in kinds else spec.words


def _from(f: ReportField, known: Sequence[Effective]) -> str:
    """Where a value comes from, in a word or two."""
    out = []
    for r in f.sources:
        e = next((e for e in known if r.where == "log" and e.seq == r.seq), None)
        if e is None:
            out.append(r.name)
        else:
            source = e.event.source
            out.append(f"{r.seq}: {source.how} {source.who}".strip())
    return "<span style='color:#a9b6c4'>" + html.escape("; ".join(dict.fromkeys(out))) + "</span>"


def _edit(blank: Blank | None) -> str:
    if blank is None:
        return ""
    word = "correct" if blank.event is not None else "type in" if blank.missing else "add"
    link = html.escape(quote(blank.link, safe=":/"), quote=True)
    return f"<a href='{link}' style='color:#4cc2ff'>{word}</a>"
