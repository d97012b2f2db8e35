"""A procedure report's content as a page in one language, from which every form is set."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from irplan.procedure.report_fields import ProcedureReport, ReportField, Section, SourceRef
from irplan.procedure.review import Draft
from irplan.reports.procedure_language import Language
from irplan.viz.style import STATUS

#: Sections whose items stand side by side (fields down, items across), and how many at most.
_ACROSS, _MOST_ACROSS = ("lesion", "needle", "result"), 4
#: Sections whose items are rows.
_DOWN = ("lab", "phase", "adjunct", "drug", "complication", "comparison")
_UNITS = {
    "Cel": "°C", "mL": "ml", "deg": "°", "Gy.cm2": "Gy·cm²", "mGy.cm": "mGy·cm", "{gauge}": "G",
    "1": "",
}  # fmt: skip
_POINTS = ("entry_mm", "tip_mm", "planned_entry_mm", "planned_tip_mm")
#: Characters that turn the direction of text round, and would let a name rewrite its line.
_TURNS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\u061c\ufeff\u2028\u2029]")


@dataclass(frozen=True)
class Cell:
    """One value as it is read: text, state, whether it was calculated, where it comes from."""

    text: str
    state: str
    calculated: bool = False
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class PageRow:
    """A name with one value, or a line of a table."""

    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Block:
    """A section: rows of name and value (no ``heads``), or a table; ``absent`` lists what is not
    recorded in any line of it."""

    key: str
    title: str
    rows: tuple[PageRow, ...]
    heads: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckRow:
    """One check in words."""

    name: str
    status: str
    word: str
    symbol: str
    colour: str
    detail: str


@dataclass(frozen=True)
class ProcedurePage:
    """Everything a person reads; plain text throughout."""

    language: str
    title: str
    banner: str
    state: str
    research: str
    judged: tuple[str, ...]
    overruled: tuple[str, ...]
    impression_title: str
    impression: tuple[str, ...]
    impression_note: str
    blocks: tuple[Block, ...]
    checks_title: str
    checks: tuple[CheckRow, ...]
    source_note: str
    absent_word: str
    sources_title: str
    source_heads: tuple[str, ...]
    sources: tuple[tuple[str, str, str, str], ...]
    footer: tuple[str, ...]


def clean(text: str) -> str:
    """Text without control characters and without signs that turn its direction."""
    text = _TURNS.sub("", unicodedata.normalize("NFC", text))
    return "".join(
        c if c == "\n" or unicodedata.category(c) not in ("Cc", "Cs", "Co") else " " for c in text
    )


def procedure_page(
    report: ProcedureReport,
    language: Language,
    draft: Draft,
    *,
    impression: Sequence[str] = (),
    impression_note: str = "",
    events: Sequence[tuple[str, str, str, str]] = (),
) -> ProcedurePage:
    """``report`` in words.  ``events``: number, kind, time, source of those referred to."""
    state = draft.review.state
    review = draft.review
    judged = []
    if state != "draft":
        when = _time(review.when)
        words = {"state": language(state), "who": review.by, "when": when, "why": review.reason}
        judged.append(language("judged", **words))
    head = report.log_head_sha256[:16] or "–"
    footer = (
        language(
            "log_line", count=report.log_count, head=head, state=language(f"log_{report.log_state}")
        ),
        language("draft_line", id=draft.draft_id, n=draft.revision),
        language("made_by", version=report.irplan_version),
        language("research"),
    )
    return ProcedurePage(
        language.name,
        language("title"),
        language(state),
        state,
        language("research"),
        tuple(clean(j) for j in judged),
        tuple(
            clean(
                language(
                    "overruled",
                    check=language.word("checks", o.check),
                    found=o.found,
                    decision=o.decision,
                    who=o.who,
                    why=o.why,
                )
            )
            for o in draft.overrules
        ),
        language("impression"),
        tuple(clean(i) for i in impression),
        clean(impression_note),
        tuple(b for b in _blocks(report, language) if b.rows),
        language("checks"),
        tuple(_check(c, language) for c in report.checks),
        language("source_note"),
        language("not_recorded_list"),
        language("sources"),
        tuple(language(k) for k in ("event", "kind", "time", "how")),
        tuple((a, clean(b), _time(c), clean(d)) for a, b, c, d in events),
        footer,
    )


def shown_value(field: ReportField, language: Language) -> str:
    """The value in words with its unit, as it stands in the report."""
    if field.state == "missing":
        return language("missing")
    if field.state == "conflict":
        return language("conflict")
    if field.key == "complications":
        return (
            language("none_seen") if field.state == "none" else language("observed", n=field.value)
        )
    text = _value(field, language)
    unit = _UNITS.get(field.unit, field.unit)
    return clean(f"{text}{'' if unit in ('', '°') else ' '}{unit}")


def source_words(ref: SourceRef) -> str:
    """``"12"`` for event 12, ``"plan.json: $.x"`` for a place in a file."""
    return str(ref.seq) if ref.where == "log" else f"{ref.name}: {ref.path}"


def _blocks(report: ProcedureReport, language: Language) -> list[Block]:
    out = []
    for key in dict.fromkeys(s.key for s in report.sections):
        own = report.of(key)
        title = language.word("sections", key)
        if key in _ACROSS:
            for n in range(0, len(own), _MOST_ACROSS):
                out.append(_across(key, title, own[n : n + _MOST_ACROSS], language))
        elif key in _DOWN:
            out.append(_down(key, title, own, language))
        else:
            rows = [PageRow(_label(f, language), (_cell(f, language),)) for f in own[0].fields]
            out.append(Block(key, title, tuple(rows)))
    return out


def _across(key: str, title: str, own: Sequence[Section], language: Language) -> Block:
    names = list(dict.fromkeys(f.key for s in own for f in s.fields))
    first = names[0]
    heads = [clean(s.item) or language("missing") for s in own]
    rows = [
        PageRow(language.word("fields", n), tuple(_cell(s.field(n), language) for s in own))
        for n in names
        if n != first or any(not s.item for s in own)
    ]
    return Block(key, title, tuple(rows), (language.word("fields", first), *heads))


def _down(key: str, title: str, own: Sequence[Section], language: Language) -> Block:
    names = list(dict.fromkeys(f.key for s in own for f in s.fields))
    kept = [n for n in names if any(s.field(n).state != "missing" for s in own)]
    absent = tuple(language.word("fields", n) for n in names if n not in kept)
    labels = [
        language.word("fields", s.item) if key == "comparison" else clean(s.item) for s in own
    ]
    if key == "comparison":
        kept, absent = names, ()
    rows = [
        PageRow(label, tuple(_cell_of(s, n, language) for n in kept))
        for label, s in zip(labels, own, strict=True)
    ]
    return Block(key, title, tuple(rows), ("", *(language.word("fields", n) for n in kept)), absent)


def _cell_of(section: Section, key: str, language: Language) -> Cell:
    """A dash where the section has no such field: nothing is missing there."""
    held = any(f.key == key for f in section.fields)
    return _cell(section.field(key), language) if held else Cell("–", "absent")


def _cell(field: ReportField, language: Language) -> Cell:
    calculated = field.state == "recorded" and field.rule not in ("same", "listed", "time")
    refs = tuple(dict.fromkeys(source_words(r) for r in field.sources))
    return Cell(shown_value(field, language), field.state, calculated, _ranges(refs))


def _ranges(refs: tuple[str, ...]) -> tuple[str, ...]:
    """Runs of more than two event numbers as "21-33"."""
    numbers = sorted(int(r) for r in refs if r.isdigit())
    out: list[str] = []
    while numbers:
        last = 0
        while last + 1 < len(numbers) and numbers[last + 1] == numbers[last] + 1:
            last += 1
        if last < 2:
            last = 0
        out.append(str(numbers[0]) if last == 0 else f"{numbers[0]}–{numbers[last]}")
        numbers = numbers[last + 1 :]
    return (*out, *(r for r in refs if not r.isdigit()))


def _label(field: ReportField, language: Language) -> str:
    return language.word("fields", field.key)


def _value(field: ReportField, language: Language) -> str:
    value = field.value
    if isinstance(value, bool):
        return language("yes" if value else "no")
    if field.rule == "time":
        return _time(value)
    if isinstance(value, (int, float)):
        return _number(value, language, exact=field.rule in ("same", "count"))
    if isinstance(value, list):
        return _list(field, value, language)
    if field.choice:
        return language.tables["choices"].get(str(value), str(value))
    if field.key == "patient_name":
        return ", ".join(p for p in str(value).split("^")[:2] if p)
    return str(value)


def _list(field: ReportField, value: Sequence[Any], language: Language) -> str:
    if value and isinstance(value[0], (int, float)):
        numbers = [_number(v, language, exact=True) for v in value]
        if field.key in _POINTS:  # a position on an image is known to a tenth of a mm at best
            numbers = [_number(round(v, 1), language, exact=True) for v in value]
            return ("; " if language.decimal == "," else ", ").join(numbers)
        return (" × " if field.unit == "mm" else ", ").join(numbers)
    return "; ".join(str(v) for v in value)


def _number(value: float, language: Language, *, exact: bool) -> str:
    """As recorded to six digits; what was calculated to one decimal, or two digits below 1."""
    if exact or isinstance(value, int):
        text = f"{value:.6g}"
    else:
        text = f"{value:.1f}" if abs(value) >= 1.0 or value == 0.0 else f"{value:.2g}"
    if "e" in text:
        text = f"{value:.12f}".rstrip("0").rstrip(".")
    return text.replace("-", "\N{MINUS SIGN}").replace(".", language.decimal)


def _time(text: str) -> str:
    return (
        text[:16].replace("T", " ") + " UTC"
        if re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d", text)
        else text
    )


def _check(check: Any, language: Language) -> CheckRow:
    colour, symbol, _ = STATUS[check.status]
    detail = ""
    if check.status != "ok":
        detail = "; ".join(_detail(check.name, k, v, language) for k, v in check.detail.items())
    name = language.word("checks", check.name)
    return CheckRow(name, check.status, language(check.status), symbol, colour, clean(detail))


#: What checks say, by the key of its word; the names of lesions and of events stay.
_PHRASES = {
    "planned only": "planned_only", "placed only": "placed_only", "tip off plan": "off_plan",
    "no lesion on that side": "no_lesion_side",
    "another plan than the log names": "other_plan", "no stop": "no_stop", "no start": "no_start",
    "stop before start": "early_stop", "after the first needle or phase": "late",
    "later than recorded": "later", "another day": "another_day",
    "success, but not wholly covered": "not_covered",
    "both an adverse event and that none was seen": "both", "no side": "no_side",
}  # fmt: skip
_SAID = re.compile(
    r"\b(event|lesion|plan|checklist|verification|total|events|segment)(?= \S)|\b(left|right)\b"
)


def _detail(check: str, key: str, value: str, language: Language) -> str:
    """One finding of a check in words."""
    details = language.tables["details"]
    name = details.get(_PHRASES.get(key, key), key)
    if check == "complete":
        parts = [p.partition(".") for p in value.split(", ")]
        said = ", ".join(
            f"{language.word('sections', a)}: {language.word('fields', b)}" for a, _, b in parts
        )
    elif value in ("draft", "reviewed", "accepted", "rejected"):
        said = language(value)
    elif value in _PHRASES:
        said = details[_PHRASES[value]]
    else:
        said = _SAID.sub(
            lambda m: details[m[1]] if m[1] else language.word("choices", m[2]), value
        ).replace("no side", details["no_side"])
    return f"{name}: {said}"
