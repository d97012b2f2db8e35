"""The impression by rules: sentences whose places are filled from recorded fields, or left out."""

from __future__ import annotations

import re

from irplan.procedure.report_fields import ProcedureReport, Section
from irplan.reports.procedure_language import Language
from irplan.reports.procedure_page import clean, shown_value

_PLACE = re.compile(r"\{(\w+)\}")


def rule_impression(report: ProcedureReport, language: Language) -> tuple[str, ...]:
    """Sentences on technique, targets, result, adverse events, dose and follow-up.

    A part of a sentence (between commas) whose place is not recorded is left out; where nothing of
    it is recorded, the whole sentence says so.  No number is made here.
    """
    out = []
    out += _filled("technique", report.one("technique"), language)
    for lesion in report.of("lesion"):
        out += _filled("lesion", lesion, language)
    for result in report.of("result"):
        out += _filled("result", result, language)
    stated = report.one("complications").field("complications")
    if stated.state == "none":
        out.append(language.tables["impression"]["none_seen"])
    else:
        out += _filled("complications", report.one("complications"), language)
    out += _filled("dose", report.one("dose"), language)
    out += _filled("follow_up", report.one("after"), language)
    return tuple(out)


def _filled(name: str, section: Section, language: Language) -> list[str]:
    pattern = language.tables["impression"][name]
    recorded = {
        p: shown_value(section.field(p), language)
        for p in _PLACE.findall(pattern)
        if section.field(p).state == "recorded"
    }
    if not recorded:
        title = language.word("sections", section.key)
        return [f"{title}: {language('missing')}."]
    kept = []
    for part in pattern.removesuffix(".").split(", "):
        places = _PLACE.findall(part)
        if all(p in recorded for p in places):
            kept.append(_PLACE.sub(lambda m: recorded[m[1]], part))
        elif name == "technique" and "energy" in recorded:
            bare = " ".join(recorded[p] for p in ("route", "energy") if p in recorded)
            kept.append(bare)
        elif name == "result" and "lesion" not in recorded and "{lesion}" in part:
            rest = part.partition(": ")[2]
            if rest and all(p in recorded for p in _PLACE.findall(rest)):
                kept.append(_PLACE.sub(lambda m: recorded[m[1]], rest))
        elif ": " in part and part.partition(": ")[0].count("{lesion}") and "lesion" in recorded:
            kept.append(_PLACE.sub(lambda m: recorded[m[1]], part.partition(": ")[0]) + ":")
    text = clean(", ".join(kept)).replace(":, ", ": ")
    return [text[:1].upper() + text[1:] + "."] if text else []
