"""A draft report's content from the log and the files beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from irplan import __version__
from irplan.procedure import report_sections as parts
from irplan.procedure.events import Event
from irplan.procedure.report_checks import all_checks
from irplan.procedure.report_facts import CaseFile, Facts
from irplan.procedure.report_fields import ProcedureReport, Section
from irplan.procedure.report_rules import derive, look_up

_SECTIONS = (
    parts.identifiers,
    parts.clinical,
    parts.team,
    parts.lesions,
    parts.technique,
    parts.needles,
    parts.phases,
    parts.given,
    parts.results,
    parts.dose,
    parts.comparison,
    parts.after,
)


def draft_report(
    events: Iterable[Event],
    files: Sequence[CaseFile] = (),
    *,
    log_state: Literal["intact", "damaged", "not_checked", "absent"] = "not_checked",
) -> ProcedureReport:
    """Everything a report on this case states; the same case gives the same content.

    Every value follows from its sources (events, places in ``files``) by a named rule; what has
    no source is missing.  ``log_state`` is what `irplan.procedure.log_verify` found.
    """
    held = list(events)
    facts = Facts(held, files)
    sections: list[Section] = []
    for part in _SECTIONS:
        sections += part(facts)
    return ProcedureReport(
        tuple(sections),
        all_checks(facts, sections, log_state),
        held[-1].sha256 if held else "",
        len(held),
        log_state,
        {f.name: f.sha256 for f in files},
        __version__,
    )


def untraceable(
    report: ProcedureReport, events: Iterable[Event], files: Mapping[str, Any]
) -> tuple[str, ...]:
    """Fields whose value does not follow from their sources; none in a report that is whole.

    Each value is computed again from the log and ``files`` (name -> content).
    """
    held = {e.seq: e for e in events}
    wrong = []
    for section in report.sections:
        for f in section.fields:
            name = f"{section.key}[{section.item}].{f.key}"
            if f.state == "missing":
                continue
            try:
                values = [look_up(r, held, files) for r in f.sources]
                if (
                    f.state == "recorded" and derive(f.rule, f.sources, values, held) != f.value
                ) or (f.state == "none" and any(values)):
                    wrong.append(name)
            except (KeyError, IndexError, TypeError, ValueError):
                wrong.append(name)
    return tuple(wrong)
