"""A report's content checked against itself: side, segment, plan, order, completeness, dose.

A check says "not checked" where what it needs is not recorded; only contradictions are errors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from irplan.procedure.events import Effective
from irplan.procedure.report_facts import Facts
from irplan.procedure.report_fields import Check, CheckStatus, Section, SourceRef
from irplan.procedure.report_sections import PLAN_FILE, phase_pairs, unmatched_stops
from irplan.procedure.times import parse_time

#: What no report should lack: section and field.
MANDATORY = (
    ("identifiers", "patient_id"),
    ("clinical", "indication"),
    ("team", "operator"),
    ("team", "time_out"),
    ("lesion", "lesion"),
    ("lesion", "organ"),
    ("technique", "energy"),
    ("result", "technical_success"),
    ("complications", "complications"),
)
#: Sum of events against the stated total of one dose system, part of the total.
DOSE_TOLERANCE = 0.02
#: A tip further off its plan than this is worth a look, mm (CT-guided needles: 2 to 6 mm).
FAR_MM = 10.0
_OF_THE_DAY = ("imaging", "dose_total", "reading", "needle", "device", "phase")
#: Couinaud's segments by the functional half of the liver they lie in; I lies in neither.
LEFT_LIVER, RIGHT_LIVER = ("2", "3", "4", "4a", "4b"), ("5", "6", "7", "8")
_ROMAN = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "iva": "4a", "ivb": "4b"} | {
    "v": "5",
    "vi": "6",
    "vii": "7",
    "viii": "8",
}
#: Organs as they are typed, in English or Dutch.
_PAIRED = ("kidney", "lung", "adrenal", "breast", "nier", "long", "borst", "mamma")
_LIVER = ("liver", "lever")
#: Between two segments: "V/VIII", "4a and 5", "7-8".
_BETWEEN = re.compile(r"\s*(?:[/,+&\u2013-]|\band\b|\ben\b)\s*")
#: Words that name a side; Dutch joins them to the organ ("linkernier", "rechtszijdig").
_SIDE_WORDS = {"left": r"left|links\w*|linker\w*", "right": r"right|rechts\w*|rechter\w*"}
#: Free text in which a wrong side may stand: kind and field.
_FREE_TEXT = (
    ("clinical", "text"),
    ("checklist", "text"),
    ("complication", "text"),
    ("adjunct", "text"),
    ("note", "text"),
    ("disposition", "text"),
    ("follow_up", "text"),
)


def couinaud(segment: str) -> str | None:
    """ "VII", "S7", "segment 4a" -> "7", "4a"; None where it is no segment of Couinaud."""
    word = re.sub(r"^(couinaud|segment|seg\.?|s)\s*", "", segment.strip().lower())
    word = _ROMAN.get(word, word)
    return word if word in ("1", *LEFT_LIVER, *RIGHT_LIVER) else None


def all_checks(facts: Facts, sections: Sequence[Section], log_state: str) -> tuple[Check, ...]:
    """Every check, in the order they are shown."""
    return (
        _log(log_state),
        _patient(facts),
        _laterality(facts),
        _laterality_words(facts),
        _segment(facts),
        _plan(facts),
        _needles(facts),
        _phases(facts),
        _order(facts),
        _clock(facts),
        _day(facts),
        _success(facts),
        _complications(sections),
        _dose(facts),
        _complete(sections),
    )


def _log(state: str) -> Check:
    status: dict[str, CheckStatus] = {"intact": "ok", "damaged": "error"}
    return Check("log", status.get(state, "not_checked"), {"log": state})


def _patient(facts: Facts) -> Check:
    case = facts.all("case")
    ids = {e.data["patient_id"] for e in case}
    if not ids:
        return Check("patient", "not_checked")
    detail = {"identifiers": str(len(ids))} if len(ids) > 1 else {}
    return Check(
        "patient", "error" if len(ids) > 1 else "ok", detail, _refs(facts, case, "patient_id")
    )


def _laterality(facts: Facts) -> Check:
    """One side a lesion, in lesion, plan, checklist and verification.

    What names no lesion, or one that the log does not know, must be on the side of one at least.
    """
    holding = [
        e for kind in ("lesion", "plan", "verification", "checklist") for e in facts.all(kind)
        if "side" in e.data
    ]  # fmt: skip
    if len(holding) < 2:
        return Check("laterality", "not_checked", {}, _refs(facts, holding, "side"))
    names = {e.data["lesion"] for e in facts.all("lesion")}
    detail: dict[str, str] = {}
    for name in sorted(names) or [""]:
        own = [e for e in holding if _about(e, name, len(names))]
        sides = {e.data["side"] for e in own}
        if len(sides) > 1:
            detail[name or "side"] = _said(own)
    stated = {e.data["side"] for e in holding if e.event.kind == "lesion"}
    loose = [e for e in holding if not any(_about(e, name, len(names)) for name in names)]
    astray = [e for e in loose if stated and e.data["side"] not in stated]
    if astray:
        detail["no lesion on that side"] = _said(astray)
    status: CheckStatus = "error" if detail else "ok"
    return Check("laterality", status, detail, _refs(facts, holding, "side"))


def _said(events: Sequence[Effective]) -> str:
    return ", ".join(f"{e.event.kind} {e.seq} {e.data['side']}" for e in events)


def _about(event: Effective, lesion: str, lesions: int) -> bool:
    """Whether the event's side is that lesion's; one without a name speaks of the only lesion."""
    named = event.data.get("lesion")
    return named == lesion if named is not None else lesions <= 1


def _laterality_words(facts: Facts) -> Check:
    """A side named in free text of a paired organ that is not the lesion's: a reader must look."""
    paired = [
        e for e in facts.all("lesion")
        if any(o in e.data["organ"].lower() for o in _PAIRED) and e.data.get("side") in _SIDE_WORDS
    ]  # fmt: skip
    sides = {e.data["side"] for e in paired}
    if len(sides) != 1:
        return Check("laterality_words", "not_checked")
    other = "right" if sides == {"left"} else "left"
    pattern = re.compile(rf"\b({_SIDE_WORDS[other]})\b", re.IGNORECASE)
    found = [
        (e, path) for kind, path in _FREE_TEXT for e in facts.all(kind)
        if pattern.search(str(e.data.get(path, "")))
    ]  # fmt: skip
    detail = {f"event {e.seq}": other for e, _ in found}
    refs = tuple(facts.ref(e, path) for e, path in found)
    return Check("laterality_words", "warning" if found else "ok", detail, refs)


def _segment(facts: Facts) -> Check:
    """Liver segments exist, and one at least lies in the half of the liver that the side names."""
    holding = [
        e for e in facts.all("lesion")
        if "segment" in e.data and any(w in e.data["organ"].lower() for w in _LIVER)
    ]  # fmt: skip
    if not holding:
        return Check("segment", "not_checked")
    detail: dict[str, str] = {}
    for e in holding:
        side = e.data.get("side")
        named = [couinaud(part) for part in _BETWEEN.split(e.data["segment"])]
        other = {"right": LEFT_LIVER, "left": RIGHT_LIVER}.get(str(side), ())
        if None in named or all(name in other for name in named):
            detail[e.data["lesion"]] = f"segment {e.data['segment']}, {side or 'no side'}"
    return Check("segment", "error" if detail else "ok", detail, _refs(facts, holding, "segment"))


def _plan(facts: Facts) -> Check:
    """The plan beside the log is the one that the log says was used, and it was accepted."""
    plans, file = facts.all("plan"), facts.files.get(PLAN_FILE)
    if not plans:
        return Check("plan", "not_checked")
    detail: dict[str, str] = {}
    status: CheckStatus = "ok"
    judged = [e for e in facts.all("review") if e.data["document"].startswith("plan ")]
    state = max([*plans, *judged], key=lambda e: e.seq).data["state"]
    if state != "accepted":
        status, detail["state"] = "warning", state
    if file is not None and file.sha256 not in {e.data["sha256"] for e in (*plans, *judged)}:
        status, detail["file"] = "error", "another plan than the log names"
    return Check("plan", status, detail, _refs(facts, plans, "sha256"))


def _needles(facts: Facts) -> Check:
    planned = {e.data["number"] for e in facts.all("needle", status="planned")}
    done = {
        e.data["number"] for e in facts.all("needle") if e.data["status"] in ("placed", "moved")
    }
    if not planned or not done:
        return Check("needles", "not_checked")
    detail = {
        name: ", ".join(str(n) for n in sorted(numbers))
        for name, numbers in (("planned only", planned - done), ("placed only", done - planned))
        if numbers
    }
    far = _far_tips(facts)
    if far:
        detail["tip off plan"] = ", ".join(f"{n}: {far[n]:.0f} mm" for n in sorted(far))
    return Check("needles", "warning" if detail else "ok", detail)


def _far_tips(facts: Facts) -> dict[int, float]:
    """Tips further than `FAR_MM` from their plan in the same frame of reference, by needle, mm."""
    out = {}
    held = [e for e in facts.all("needle") if "tip_mm" in e.data]
    for planned in (e for e in held if e.data["status"] == "planned"):
        number, frame = planned.data["number"], planned.data.get("frame_uid")
        done = [
            e for e in held
            if e.data["number"] == number and e.data["status"] in ("placed", "moved")
            and frame in (None, e.data.get("frame_uid", frame))
        ]  # fmt: skip
        if done:
            off = math.dist(planned.data["tip_mm"], done[-1].data["tip_mm"])
            if off > FAR_MM:
                out[number] = off
    return out


def _phases(facts: Facts) -> Check:
    pairs = phase_pairs(facts)
    if not pairs and not facts.all("phase"):
        return Check("phases", "not_checked")
    open_ = [start for start, stop in pairs if stop is None]
    late = [s for s, t in pairs if t is not None and t.event.at < s.event.at]
    stray = unmatched_stops(facts)
    detail = {
        name: ", ".join(f"event {e.seq}" for e in events)
        for name, events in (
            ("no stop", open_),
            ("no start", stray),
            ("stop before start", late),
        )
        if events
    }
    status: CheckStatus = "error" if late else ("warning" if detail else "ok")
    return Check("phases", status, detail, _refs(facts, [*open_, *stray, *late], "action"))


def _order(facts: Facts) -> Check:
    """Time-out before the first needle and the first phase."""
    outs = facts.all("checklist", step="time_out")
    first = [e for e in facts.all("needle") if e.data["status"] == "placed"]
    first += facts.all("phase", action="start")
    if not outs or not first:
        return Check("order", "not_checked")
    before = min(e.event.at for e in outs) <= min(e.event.at for e in first)
    detail = {} if before else {"time_out": "after the first needle or phase"}
    return Check("order", "ok" if before else "warning", detail, _refs(facts, outs, "step"))


def _clock(facts: Facts) -> Check:
    jumps = facts.all("clock_jump")
    ahead = [
        e for e in facts.effective
        if (parse_time(e.event.at) - parse_time(e.event.recorded)).total_seconds() > 60.0
    ]  # fmt: skip
    detail: dict[str, str] = {}
    if jumps:
        detail["jumps"] = ", ".join(f"{e.data['seconds']:+.0f} s" for e in jumps)
    if ahead:
        detail["later than recorded"] = ", ".join(f"event {e.seq}" for e in ahead[:10])
    if not facts.effective:
        return Check("clock", "not_checked")
    return Check("clock", "warning" if detail else "ok", detail, _refs(facts, jumps, "seconds"))


def _day(facts: Facts) -> Check:
    """Images, dose, readings and needles are of the ablation's day: another report's are not."""
    begun = [*facts.all("phase", action="start"), *facts.all("checklist", step="time_out")]
    held = [e for kind in _OF_THE_DAY for e in facts.all(kind)]
    if not begun or not held:
        return Check("day", "not_checked")
    first = min(parse_time(e.event.at) for e in begun)
    far = [e for e in held if abs((parse_time(e.event.at) - first).total_seconds()) > 86400.0]
    words = ", ".join(f"event {e.seq}" for e in far[:5]) + (", ..." if len(far) > 5 else "")
    return Check("day", "warning" if far else "ok", {"another day": words} if far else {})


def _success(facts: Facts) -> Check:
    """Technical success needs the whole target inside the zone (Ahmed 2014)."""
    judged = [e for e in facts.all("verification") if "technical_success" in e.data]
    measured = [e for e in judged if "covered_percent" in e.data or "minimal_margin_mm" in e.data]
    if not measured:
        return Check("success", "not_checked")
    detail: dict[str, str] = {}
    for e in measured:
        uncovered = e.data.get("covered_percent", 100.0) < 100.0
        uncovered = uncovered or e.data.get("minimal_margin_mm", 0.0) < 0.0
        if e.data["technical_success"] == "yes" and uncovered:
            detail[e.data.get("lesion", f"event {e.seq}")] = "success, but not wholly covered"
    refs = _refs(facts, measured, "technical_success")
    return Check("success", "error" if detail else "ok", detail, refs)


def _complications(sections: Sequence[Section]) -> Check:
    stated = next(s for s in sections if s.key == "complications").field("complications")
    if stated.state == "missing":
        return Check("complications", "not_checked")
    wrong = stated.state == "conflict"
    detail = {"recorded": "both an adverse event and that none was seen"} if wrong else {}
    return Check("complications", "error" if wrong else "ok", detail, stated.sources)


def _dose(facts: Facts) -> Check:
    """A system's stated kerma-area product against the sum of its own events."""
    detail: dict[str, str] = {}
    checked = False
    for total in facts.all("dose_total"):
        file = total.event.source.ref.partition("#")[0]
        own = [
            e.data["kap_gy_cm2"] for e in facts.all("imaging")
            if file and e.event.source.ref.partition("#")[0] == file and "kap_gy_cm2" in e.data
        ]  # fmt: skip
        stated: Any = total.data.get("kap_gy_cm2")
        if stated is None or not own:
            continue
        checked = True
        if abs(sum(own) - stated) > DOSE_TOLERANCE * max(stated, sum(own)):
            detail[f"event {total.seq}"] = f"total {stated:.4g}, events {sum(own):.4g} Gy.cm2"
    if not checked:
        return Check("dose", "not_checked")
    return Check("dose", "warning" if detail else "ok", detail)


def _complete(sections: Sequence[Section]) -> Check:
    missing = []
    for key, name in MANDATORY:
        own = [s for s in sections if s.key == key]
        if not own or any(s.field(name).state == "missing" for s in own):
            missing.append(f"{key}.{name}")
    detail = {"missing": ", ".join(missing)} if missing else {}
    return Check("complete", "warning" if missing else "ok", detail)


def _refs(facts: Facts, events: Sequence[Effective], path: str) -> tuple[SourceRef, ...]:
    return tuple(facts.ref(e, path) for e in events if path in e.data)
