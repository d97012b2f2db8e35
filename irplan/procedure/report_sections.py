"""The sections of an ablation's report, each from the events of its kind.

Fields follow Ahmed et al., Radiology 2014;273:241 and the CIRSE standards of practice; a clinician
must check the list.  Technique efficacy and local progression are later terms and not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from irplan.procedure.event_kinds import CLINICAL
from irplan.procedure.events import Effective
from irplan.procedure.report_facts import Facts
from irplan.procedure.report_fields import ReportField, Section, SourceRef

_DEVICE = (("maker", ""), ("model", ""), ("gauge", "{gauge}"), ("active_mm", "mm"))
_DOSE = (
    ("kap_gy_cm2", "Gy.cm2"),
    ("air_kerma_mgy", "mGy"),
    ("fluoroscopy_s", "s"),
    ("dlp_mgy_cm", "mGy.cm"),
)
PLAN_FILE = "plan.json"


def identifiers(facts: Facts) -> list[Section]:
    """Patient, study, site; beginning and end of the ablation."""
    case = facts.all("case")
    names = ("patient_name", "patient_id", "birth_date", "accession", "site")
    fields = [facts.agreed(n, case) for n in names]
    fields.insert(3, facts.agreed("sex", case, choice=True))
    fields.append(facts.over("study_uids", "listed", case, "study_uids"))
    starts, stops = facts.all("phase", action="start"), facts.all("phase", action="stop")
    for key, events in (("ablation_start", starts[:1]), ("ablation_end", stops[-1:])):
        fields.append(facts.derived(key, "time", [facts.ref(e, "at") for e in events]))
    return [Section("identifiers", tuple(fields))]


def clinical(facts: Facts) -> list[Section]:
    """What was known and agreed before, and laboratory values."""
    fields = [facts.last(item, facts.all("clinical", item=item), "text") for item in CLINICAL]
    out = [Section("clinical", tuple(fields))]
    labs = {e.data["name"]: e for e in facts.all("lab")}  # the last of each name counts
    for number, lab in enumerate(labs.values(), start=1):
        value = facts.last("value", [lab], unit=lab.data["unit"])
        out.append(Section("lab", (facts.last("name", [lab]), value), str(number)))
    return out


def team(facts: Facts) -> list[Section]:
    """Who took part, anaesthesia, antibiotics, checklist."""
    staff = [
        facts.over(role, "listed", facts.all("staff", role=role), "name")
        for role in ("operator", "assistant", "anaesthetist")
    ]
    fields = [
        *staff,
        facts.last("anaesthesia", facts.all("anaesthesia"), "method", choice=True),
        facts.over("antibiotic", "listed", facts.all("drug", purpose="antibiotic"), "name"),
    ]
    for step in ("sign_in", "time_out", "sign_out"):
        fields.append(facts.last(step, facts.all("checklist", step=step), "complete"))
    return [Section("team", tuple(fields))]


def lesions(facts: Facts) -> list[Section]:
    """Each target: place, size, histology, what lies near."""
    events = facts.all("lesion")
    names = list(dict.fromkeys(e.data["lesion"] for e in events))
    out = []
    for name in names:
        own = facts.all("lesion", lesion=name)
        fields = (
            facts.last("lesion", own),
            facts.agreed("organ", own, choice=True),
            facts.agreed("side", own, choice=True),
            facts.agreed("segment", own),
            facts.last("size_mm", own, unit="mm"),
            facts.last("histology", own),
            facts.last("near", own),
            facts.last("visible", own),
        )
        out.append(Section("lesion", fields, name))
    return out or [Section("lesion", (ReportField("lesion"),))]


def technique(facts: Facts) -> list[Section]:
    """Energy, access, guidance, registration, number and spacing of applicators."""
    used, placed = facts.all("technique"), _placed(facts)
    tips = [facts.ref(e, "tip_mm") for e in placed if "tip_mm" in e.data]
    registrations = facts.all("registration")
    spacing = facts.derived(
        "least_spacing_mm", "least_distance", tips if len(tips) > 1 else [], "mm"
    )
    fields = (
        facts.agreed("energy", used, choice=True),
        facts.last("route", used, choice=True),
        facts.over("guidance", "listed", used, "guidance"),
        facts.over("monitoring", "listed", used, "monitoring"),
        facts.last("position", used),
        facts.last("registration_method", registrations, "method"),
        facts.last("registration_error_mm", registrations, "error_mm", "mm"),
        facts.count("applicators", placed, "number"),
        spacing,
    )
    return [Section("technique", fields)]


def needles(facts: Facts) -> list[Section]:
    """Each applicator: what it is, planned against achieved, repositionings."""
    in_file = _placements(facts)
    numbers = sorted({e.data["number"] for e in facts.all("needle")} | set(in_file))
    out = []
    for number in numbers:
        planned = facts.all("needle", number=number, status="planned")[-1:]
        moved = facts.all("needle", number=number, status="moved")
        done = [e for e in _placed(facts) if e.data["number"] == number]
        device = facts.all("device", number=number, action="in")
        a, b = _refs(facts, planned), _refs(facts, done)
        frames = _frames(planned) | _frames(done)
        if not planned and number in in_file:
            a, frame = in_file[number]
            frames |= {frame} - {None}
        both = bool(a and b and len(frames) <= 1)
        fields = (
            facts.last("number", [*planned, *done]),
            _applicator(facts, number, [*planned, *done]),
            *(facts.last(name, device, unit=unit) for name, unit in _DEVICE),
            facts.derived("planned_entry_mm", "same", a[:1], "mm"),
            facts.derived("planned_tip_mm", "same", a[1:], "mm"),
            facts.last("entry_mm", done, unit="mm"),
            facts.last("tip_mm", done, unit="mm"),
            facts.derived("entry_error_mm", "distance", [a[0], b[0]] if both else [], "mm"),
            facts.derived("tip_error_mm", "distance", [a[1], b[1]] if both else [], "mm"),
            facts.derived("angle_error_deg", "angle", [*a, *b] if both else [], "deg"),
            facts.derived("depth_mm", "distance", b, "mm"),
            facts.count("repositionings", moved, "number"),
        )
        out.append(Section("needle", fields, str(number)))
    return out


def phases(facts: Facts) -> list[Section]:
    """Each phase: what, which needles, how long, with what power, temperature or energy."""
    out = []
    for number, (start, stop) in enumerate(phase_pairs(facts), start=1):
        both = [start] if stop is None else [start, stop]
        pair = [facts.ref(e, "at") for e in both] if len(both) == 2 else []
        fields = (
            facts.last("phase", [start], choice=True),
            facts.last("lesion", both),
            facts.last("needles", both),
            facts.last("cycle", both, unit="1"),
            facts.derived("start", "time", [facts.ref(start, "at")]),
            facts.derived("minutes", "minutes", pair, "min"),
            facts.last("power_w", both, unit="W"),
            facts.last("temperature_c", both, unit="Cel"),
            facts.last("energy_kj", both, unit="kJ"),
            facts.last("pulses", both, unit="1"),
        )
        out.append(Section("phase", fields, str(number)))
    readings = facts.all("reading")
    return [
        *out,
        Section(
            "readings",
            (
                facts.extreme("least_temperature_c", "least", readings, "temperature_c", "Cel"),
                facts.extreme("most_temperature_c", "most", readings, "temperature_c", "Cel"),
                facts.extreme("most_power_w", "most", readings, "power_w", "W"),
            ),
        ),
    ]


def given(facts: Facts) -> list[Section]:
    """Protection of what lies near, contrast, drugs."""
    out = []
    for number, e in enumerate(facts.all("adjunct"), start=1):
        fields = (
            facts.last("what", [e], choice=True),
            facts.last("agent", [e]),
            facts.last("volume_ml", [e], unit="mL"),
            facts.last("text", [e]),
        )
        out.append(Section("adjunct", fields, str(number)))
    for number, e in enumerate(facts.all("drug"), start=1):
        dose = facts.last("dose", [e], unit=e.data.get("unit", ""))
        fields = (
            facts.last("name", [e]),
            dose,
            facts.last("drug_route", [e], "route"),
            facts.last("purpose", [e], choice=True),
        )
        out.append(Section("drug", fields, str(number)))
    contrast = facts.all("contrast")
    return [
        *out,
        Section(
            "contrast",
            (
                facts.over("agent", "listed", contrast, "agent"),
                facts.over("volume_ml", "sum", contrast, "volume_ml", "mL"),
            ),
        ),
    ]


def results(facts: Facts) -> list[Section]:
    """Each lesion's zone, margin, coverage and technical success; adverse events."""
    events = facts.all("verification")
    names = list(dict.fromkeys(e.data.get("lesion", "") for e in events)) or [""]
    out = []
    for name in names:
        own = [e for e in events if e.data.get("lesion", "") == name]
        fields = (
            facts.last("lesion", own),
            facts.last("method", own),
            facts.last("zone_mm", own, unit="mm"),
            facts.last("zone_volume_ml", own, unit="mL"),
            facts.last("minimal_margin_mm", own, unit="mm"),
            facts.last("covered_percent", own, unit="%"),
            facts.last("margin_covered_percent", own, unit="%"),
            facts.last("technical_success", own, choice=True),
        )
        out.append(Section("result", fields, name))
    return [*out, *_complications(facts)]


def _complications(facts: Facts) -> list[Section]:
    seen, clear = (
        facts.all("complication", observed=True),
        facts.all("complication", observed=False),
    )
    refs = tuple(facts.ref(e, "observed") for e in (*seen, *clear))
    if seen and clear and clear[-1].event.seq > seen[-1].event.seq:
        stated = ReportField("complications", None, "", "conflict", refs)
    elif seen:
        stated = facts.count("complications", seen, "observed")
    elif clear:
        stated = ReportField("complications", False, "", "none", refs)
    else:
        stated = ReportField("complications")
    out = [Section("complications", (stated,))]
    for number, e in enumerate(seen, start=1):
        fields = (
            facts.last("text", [e]),
            facts.last("grading", [e]),
            facts.last("grade", [e]),
            facts.last("onset", [e], choice=True),
        )
        out.append(Section("complication", fields, str(number)))
    return out


def dose(facts: Facts) -> list[Section]:
    """Radiation: what the systems state as totals, else the sum over what was acquired."""
    totals, images = facts.all("dose_total"), facts.all("imaging")
    fields = []
    for name, unit in _DOSE:
        stated = [e for e in totals if name in e.data]
        fields.append(facts.over(name, "sum", stated or images, name, unit))
    stated = [e for e in totals if "runs" in e.data]
    runs = [e for e in images if e.data["modality"] in ("RUN", "CBCT")]
    cbct = [e for e in images if e.data["modality"] == "CBCT"]
    ct = [e for e in images if e.data["modality"] == "CT"]
    for key, some in (("runs", runs), ("cbct", cbct)):
        own = [e for e in totals if key in e.data]
        fields.append(
            facts.over(key, "whole_sum", own, key, "1")
            if own
            else facts.count(key, some, "modality")
        )
    fields.append(facts.count("ct_scans", ct, "modality"))
    fields.append(facts.over("dose_alerts", "listed", facts.all("dose_alert"), "text"))
    return [Section("dose", tuple(fields))]


def after(facts: Facts) -> list[Section]:
    """Where the patient goes and what follows; free remarks."""
    notes = [e for e in facts.all("note") if e.event.source.how == "typed"]
    fields = (
        facts.over("disposition", "listed", facts.all("disposition"), "text"),
        facts.over("follow_up", "listed", facts.all("follow_up"), "text"),
        facts.over("notes", "listed", notes, "text"),
    )
    return [Section("after", fields)]


def comparison(facts: Facts) -> list[Section]:
    """The plan beside what was done: energy, applicators, time of treatment, margin."""
    plan = facts.files.get(PLAN_FILE)
    plans, used = facts.all("plan"), facts.all("technique")
    placed = _placed(facts)
    planned_needles = _planned_numbers(facts)
    energy = facts.last("planned", plans, "energy", choice=True)
    if energy.state == "missing" and plan is not None and plan.data.get("placements"):
        kind = [facts.file_ref(PLAN_FILE, "$.placements[0].applicator.kind")]
        energy = facts.derived("planned", "same", kind, choice=True)
    used_energy = facts.agreed("done", used, "energy", choice=True)
    count = facts.last("planned", plans, "needles", "1")
    if count.state == "missing":
        count = facts.count("planned", planned_needles, "number")
    if count.state == "missing":
        refs = [
            facts.file_ref(PLAN_FILE, f"$.placements[{n - 1}].status") for n in _placements(facts)
        ]
        count = facts.derived("planned", "count", refs, "1")
    goal = facts.last("planned", plans, "margin_goal_mm", "mm")
    if goal.state == "missing" and plan is not None and "margin_goal_mm" in plan.data:
        goal = facts.derived(
            "planned", "same", [facts.file_ref(PLAN_FILE, "$.margin_goal_mm")], "mm"
        )
    margin = facts.last("done", facts.all("verification"), "minimal_margin_mm", "mm")
    both = goal.state == margin.state == "recorded"
    refs = [*goal.sources, *margin.sources] if both else []
    return [
        Section("comparison", (energy, used_energy), "energy"),
        Section("comparison", (count, facts.count("done", placed, "number")), "applicators"),
        Section(
            "comparison",
            (goal, margin, facts.derived("difference", "difference", refs, "mm")),
            "margin_mm",
        ),
        Section("comparison", _treatment(facts, plan is not None), "treatment_min"),
    ]


def phase_pairs(facts: Facts) -> list[tuple[Effective, Effective | None]]:
    """Starts with their stops (None: no stop recorded), in order."""
    open_: list[Effective] = []
    pairs: dict[int, Effective | None] = {}
    starts = []
    for e in facts.all("phase"):
        if e.data["action"] == "start":
            open_.append(e)
            starts.append(e)
            continue
        fits = [s for s in open_ if _belongs(s, e)]
        if fits:
            pairs[fits[0].event.seq] = e
            open_.remove(fits[0])
    return [(s, pairs.get(s.event.seq)) for s in starts]


def unmatched_stops(facts: Facts) -> list[Effective]:
    """Stops of phases whose start was not recorded."""
    matched = {stop.event.seq for _, stop in phase_pairs(facts) if stop is not None}
    return [e for e in facts.all("phase", action="stop") if e.event.seq not in matched]


def _belongs(start: Effective, stop: Effective) -> bool:
    if start.data["phase"] != stop.data["phase"]:
        return False
    shared = ("needles", "cycle", "lesion")
    return all(start.data[k] == stop.data[k] for k in shared if k in start.data and k in stop.data)


def _placed(facts: Facts) -> list[Effective]:
    """The last position of each needle that was placed and not taken out without effect."""
    last: dict[int, Effective] = {}
    for e in facts.all("needle"):
        if e.data["status"] in ("placed", "moved"):
            last[e.data["number"]] = e
    return [last[n] for n in sorted(last)]


def _planned_numbers(facts: Facts) -> list[Effective]:
    last = {e.data["number"]: e for e in facts.all("needle", status="planned")}
    return [last[n] for n in sorted(last)]


def _refs(facts: Facts, events: Sequence[Effective]) -> list[SourceRef]:
    whole = [e for e in events if "entry_mm" in e.data and "tip_mm" in e.data]
    return [facts.ref(whole[-1], p) for p in ("entry_mm", "tip_mm")] if whole else []


def _frames(events: Sequence[Effective]) -> set[str | None]:
    """Frames of reference: positions in two of them have no distance, and none is computed."""
    return {e.data["frame_uid"] for e in events if "frame_uid" in e.data}


def _placements(facts: Facts) -> dict[int, tuple[list[SourceRef], str | None]]:
    """Needles of the plan file by number: entry and tip, and their frame of reference."""
    plan = facts.files.get(PLAN_FILE)
    if plan is None:
        return {}
    listed: Any = plan.data.get("placements", ())
    frame = plan.data.get("frame_of_reference_uid")
    return {
        n + 1: (
            [
                facts.file_ref(PLAN_FILE, f"$.placements[{n}].needle.{end}")
                for end in ("entry_mm", "tip_mm")
            ],
            frame,
        )
        for n, p in enumerate(listed)
        if p["status"] == "planned"
    }


def _applicator(facts: Facts, number: int, events: Sequence[Effective]) -> ReportField:
    stated = facts.last("applicator", events)
    if stated.state == "missing" and number in _placements(facts):
        place = f"$.placements[{number - 1}].applicator.name"
        return facts.derived("applicator", "same", [facts.file_ref(PLAN_FILE, place)])
    return stated


def _treatment(facts: Facts, has_plan: bool) -> tuple[ReportField, ReportField, ReportField]:
    active = ("freeze", "heat", "pulses")
    first = _first_needle(facts)
    done = [
        ref
        for start, stop in phase_pairs(facts)
        if stop is not None and start.data["phase"] in active and _concerns(start, first)
        for ref in (facts.ref(start, "at"), facts.ref(stop, "at"))
    ]
    planned: list[SourceRef] = []
    if has_plan:
        listed: Any = facts.files[PLAN_FILE].data["schedule"]["phases"]
        planned = [
            facts.file_ref(PLAN_FILE, f"$.schedule.phases[{n}].duration_s")
            for n, phase in enumerate(listed)
            if phase["kind"] in active
        ]
    both = [*planned, *done] if planned and done else []
    return (
        facts.derived("planned", "minutes_planned", planned, "min"),
        facts.derived("done", "minutes", done, "min"),
        facts.derived("difference", "minutes_difference", both, "min"),
    )


def _first_needle(facts: Facts) -> int | None:
    numbers = {n for e in facts.all("phase") for n in e.data.get("needles", ())}
    return min(numbers, default=None)


def _concerns(start: Effective, needle: int | None) -> bool:
    """Needles run at the same time: time is counted on one of them."""
    return needle is None or "needles" not in start.data or needle in start.data["needles"]
