"""A planned case turned into the content of its report."""

from __future__ import annotations

import numpy as np

from irplan import RESEARCH_USE_ONLY
from irplan.image import STRUCTURES
from irplan.planning.case import PlannedAblation
from irplan.planning.evaluation import Row, Status
from irplan.planning.ice_distance import LOOK_MM
from irplan.planning.modality import lethal_field
from irplan.planning.obstacles import target_organ
from irplan.reports.content import Fact, ReportContent, Structure, Table, Verdict
from irplan.reports.physics import simulation_facts, tissue_table
from irplan.reports.quality import energy_table
from irplan.reports.words import counted, measured, number, plain, point, rule, sentence
from irplan.viz.orientation import orientation_letters, position_words
from irplan.viz.style import STATUS
from irplan.viz.zone_layers import DEVICE_WORDS

_COUNTED = {"ok": "OK", "error": "failed", "not_checked": "not checked"}
_PHASES = {
    "freeze": "Freeze", "passive_thaw": "Passive thaw", "active_thaw": "Active thaw",
    "power": "Power", "pause": "Pause",
}  # fmt: skip
_METHODS = {
    "cryo": "Cryoablation", "mwa": "Microwave ablation", "rfa": "Radiofrequency ablation",
    "ire": "Irreversible electroporation",
}  # fmt: skip
#: What no part of this version looks at, whatever the case.
_ALWAYS_UNCHECKED = (
    "Breathing and motion between this CT and the treatment are not modelled; "
    "the plan holds for the position of this scan.",
    "Needle bending, placement error and the gantry's or table's clearance are not simulated.",
    "Skin is the CT's body surface; what lies on it (ports, wounds, drapes) is not known.",
    "The lethal rule is a rule for dead tissue, not a finding of pathology.",
    "Applicators are generic classes, not a maker's validated charts.",
)
#: What decides most, by kind.
_DECIDES = {
    "cryo": "The ice depends most on perfusion and latent heat",
    "mwa": "The zone depends most on perfusion and on how drying tissue absorbs",
    "rfa": "The zone depends most on perfusion, thermal conductivity and roll-off",
    "ire": "The zone depends most on the conductivity of tissue and on the field's threshold",
}


def plan_report(case: PlannedAblation) -> ReportContent:
    """All statements of the report on ``case``; the same case gives the same content."""
    evaluation, plan = case.evaluation, case.plan
    kind = plan.placements[0].applicator.kind
    verdicts = tuple(_verdict(row) for row in evaluation.rows)
    structures = _structures(case)
    return ReportContent(
        title=f"{_METHODS[kind]} plan: {_organ(case)} target",
        banner=plan.review.state.upper(),
        research_notice=RESEARCH_USE_ONLY,
        overall=_overall(evaluation.status),
        summary=_summary(case),
        target=_target(case),
        placements=_placements(case),
        schedule=_schedule(case),
        verdicts=verdicts,
        margins=_margins(case),
        shells=Table(
            "Shells round the target inside the lethal zone",
            ("From the target's edge to (mm)", "Covered (%)"),
            tuple(
                (number(mm, 0), number(100.0 * share))
                for mm, share in sorted(evaluation.shell_coverage.items())
            ),
            "Each shell reaches from the target's surface to the distance given.",
        ),
        zones=Table(
            "Size of the ice" if kind == "cryo" else "Size of the zone",
            ("Zone", "Volume (ml)"),
            tuple(
                (name.replace("degC", "°C").replace("-", "\N{MINUS SIGN}"), number(ml))
                for name, ml in evaluation.zone_volume_ml.items()
            ),
            ("Isotherms at the end of the last freeze; lethal: " if kind == "cryo" else "Lethal: ")
            + f"{_lethal_rule(case)}.",
        ),
        organs=Table(
            f"Distance of the {'ice' if kind == 'cryo' else 'zone'}'s edge "
            f"{'(0 °C) ' if kind == 'cryo' else ''}to structures",
            ("Structure", "Smallest distance (mm)"),
            tuple(
                (sentence(name), _distance(mm, "ice" if kind == "cryo" else "zone"))
                for name, mm in sorted(evaluation.organ_distance_mm.items(), key=lambda x: x[1])
            ),
            "Only structures that were segmented are listed.",
        ),
        paths=_paths(case),
        search=_search(case),
        blocked=Table(
            "Why paths were rejected",
            ("Rule", "Paths rejected"),
            tuple((rule(words), str(count)) for words, count in case.search.blocked_by),
            "A path can break several rules.",
        ),
        simulation=simulation_facts(case),
        energy=energy_table(case.result.energy),
        tissues=tissue_table(case),
        structures=structures,
        messages=tuple(dict.fromkeys((*case.messages, *case.result.warnings))),
        limits=_limits(verdicts, structures, kind),
        provenance=_provenance(case),
        options=Table(
            "Options of this plan",
            ("Option", "Value"),
            tuple(
                (plain(name), f"{value:g}" if isinstance(value, float) else str(value))
                for name, value in sorted(plan.provenance.options.items())
            ),
            "Lengths are in mm, angles in degrees, temperatures in °C.",
        ),
        zone_word="ice" if kind == "cryo" else "zone",
    )


def _organ(case: PlannedAblation) -> str:
    organ = target_organ(case.labels, case.target_mask)
    return "soft tissue" if organ is None else plain(organ)


def _lethal_rule(case: PlannedAblation) -> str:
    lethal = case.plan.lethal
    if case.plan.placements[0].applicator.kind != "cryo":
        return plain(lethal_field(case.result, lethal, case.plan.placements)[2])
    times = "one freeze" if lethal.cycles == 1 else f"each of {lethal.cycles} freezes"
    return f"{measured(lethal.threshold_c, 'degC')} or colder in {times}"


def _side(case: PlannedAblation) -> str:
    towards = np.array(case.evaluation.minimal_margin_at_mm) - np.array(
        case.plan.target.centroid_mm
    )
    return position_words(towards) if np.linalg.norm(towards) > 1e-6 else "central"


def _verdict(row: Row) -> Verdict:
    colour, symbol, word = STATUS[row.status]
    value = "not measured" if row.value is None else measured(row.value, row.unit)
    return Verdict(
        rule(sentence(row.name)),
        value,
        rule(row.limit),
        row.status,
        word,
        symbol,
        colour,
        rule(row.note),
        rule(row.source),
    )


def _distance(mm: float, zone: str) -> str:
    if mm >= LOOK_MM:
        return f"more than {number(LOOK_MM, 0)}"
    return number(mm) + (f" ({zone} reaches in)" if mm < 0 else "")


def _overall(status: Status) -> Verdict:
    words = {
        "ok": "All checks passed",
        "warning": "Passed with warnings",
        "error": "A goal or rule is not met",
        "not_checked": "No check failed, but some could not be made",
    }
    colour, symbol, word = STATUS[status]
    return Verdict("Overall", words[status], "", status, word, symbol, colour, "", "")


def _summary(case: PlannedAblation) -> tuple[str, ...]:
    plan, evaluation = case.plan, case.evaluation
    kind = plan.placements[0].applicator.kind
    kinds = ", ".join(dict.fromkeys(p.applicator.name for p in plan.placements))
    goal = plan.margin_goal_mm
    reached = evaluation.minimal_margin_mm >= goal
    by_status = {s: [r.name for r in evaluation.rows if r.status == s] for s in STATUS}
    counts = ", ".join(
        counted(len(names), "warning") if s == "warning" else f"{len(names)} {_COUNTED[s]}"
        for s, names in by_status.items()
        if names
    )
    return (
        f"{counted(len(plan.placements), DEVICE_WORDS[kind])} ({kinds}) for a target of "
        f"{number(plan.target.diameter_mm)} mm diameter ({number(plan.target.volume_ml)} ml).",
        f"Simulated minimal ablative margin {measured(evaluation.minimal_margin_mm, 'mm')} "
        f"({_side(case)} of the target's centre); the goal of {number(goal, 0)} mm is "
        f"{'reached' if reached else 'NOT reached'}. "
        f"{number(100 * evaluation.target_coverage)} % of the target and "
        f"{number(100 * evaluation.margin_coverage)} % of target plus margin are in the "
        "lethal zone.",
        f"Checks: {counts or 'none'}.",
    )


def _target(case: PlannedAblation) -> tuple[Fact, ...]:
    target = case.plan.target
    return (
        Fact("Given by", target.source),
        Fact("Volume", f"{number(target.volume_ml, 2)} ml"),
        Fact("Diameter", f"{number(target.diameter_mm)} mm", "of the ball of equal volume"),
        Fact("Centre (LPS x, y, z)", f"{point(target.centroid_mm)} mm"),
        Fact("Margin goal", f"{number(case.plan.margin_goal_mm)} mm"),
        Fact("Counts as lethal", _lethal_rule(case)),
    )


def _placements(case: PlannedAblation) -> Table:
    rows = []
    for k, placement in enumerate(case.plan.placements):
        needle = placement.needle
        rows.append(
            (
                str(k + 1),
                placement.applicator.name,
                placement.status,
                point(needle.entry_mm),
                point(needle.tip_mm),
                number(needle.depth_mm),
                number(needle.axial_angle_deg),
                number(needle.craniocaudal_tilt_deg),
                orientation_letters(needle.direction),
            )
        )
    return Table(
        "Needles",
        (
            "No.",
            "Applicator",
            "Status",
            "Entry, LPS x, y, z (mm)",
            "Tip, LPS x, y, z (mm)",
            "Depth (mm)",
            "Axial angle (°)",
            "Tilt to the head (°)",
            "Runs towards",
        ),
        tuple(rows),
        "Axial angle: 0 is from front to back, positive turns the tip to the patient's left. "
        "Tilt: out of the axial plane, positive towards the head. LPS: x to the patient's left, "
        "y to the back, z to the head. R L A P H F: right, left, front, back, head, feet.",
    )


def _schedule(case: PlannedAblation) -> Table:
    kind = case.plan.placements[0].applicator.kind
    if kind == "ire":
        return _pulses(case)
    powered = kind != "cryo"
    lines, end = [], 0.0
    for k, phase in enumerate(case.plan.schedule.phases, start=1):
        end += phase.duration_s / 60.0
        line = [str(k), _PHASES[phase.kind], number(phase.duration_s / 60.0), number(end)]
        if powered:
            line.append("by the generator" if phase.power_w is None else number(phase.power_w, 0))
        lines.append(tuple(line))
    heads = ("Phase", "What", "Length (min)", "Ends at (min)")
    return Table("Schedule", (*heads, "Power (W)") if powered else heads, tuple(lines))


def _pulses(case: PlannedAblation) -> Table:
    """Voltage and current of every pair of electrodes, as simulated, in the order of delivery."""
    result, count = case.result, len(case.plan.placements)
    o = {k: float(result.options[k]) for k in ("pulses", "pulse_us", "rate_hz", "pulse_energy_j")}
    train_s = o["pulses"] / o["rate_hz"]
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    rows = []
    for k, (a, b) in enumerate(pairs):
        at = np.flatnonzero(result.trace.time_s <= (k + 1) * train_s + 1e-6)[-1]
        volts, amperes = (float(result.trace.extra[n][at]) for n in ("voltage_v", "current_a"))
        rows.append((f"{a + 1} and {b + 1}", number(volts, 0), number(amperes)))
    return Table(
        "Pulses",
        ("Between needles", "Voltage (V)", "Current at the last pulse (A)"),
        tuple(rows),
        f"Every pair in turn: {o['pulses']:g} pulses of {o['pulse_us']:g} µs at "
        f"{o['rate_hz']:g} Hz; {number(o['pulse_energy_j'], 0)} J in all.",
    )


def _margins(case: PlannedAblation) -> tuple[Fact, ...]:
    evaluation = case.evaluation
    left_out = float(
        evaluation.margin.area_mm2[~evaluation.margin.counted].sum()
        / max(1e-9, float(evaluation.margin.area_mm2.sum()))
    )
    return (
        Fact(
            "Minimal ablative margin, subcapsular surface left out",
            measured(evaluation.minimal_margin_mm, "mm"),
            f"{_side(case)} of the target's centre, at LPS "
            f"{point(evaluation.minimal_margin_at_mm)} mm",
        ),
        Fact(
            "Minimal ablative margin, whole surface",
            measured(evaluation.minimal_margin_all_mm, "mm"),
        ),
        Fact(
            "Surface left out by the subcapsular rule",
            f"{number(100.0 * left_out)} %",
            "the part of the target's surface close to the organ's capsule",
        ),
        Fact("Target in the lethal zone", f"{number(100.0 * evaluation.target_coverage)} %"),
        Fact(
            f"Target + {number(case.plan.margin_goal_mm, 0)} mm (inside the organ) in the "
            "lethal zone",
            f"{number(100.0 * evaluation.margin_coverage)} %",
        ),
        Fact(
            "Method",
            "signed distance from each point of the target's surface to the simulated lethal "
            "zone's surface",
            "planned on one CT: no image registration enters",
        ),
    )


def _paths(case: PlannedAblation) -> tuple[Table, ...]:
    tables = []
    for k, path in enumerate(case.paths, start=1):
        nearest = ", ".join(
            f"{plain(name)} {number(mm)} mm"
            for name, mm in sorted(path.clearance_mm.items(), key=lambda x: x[1])
        )
        tables.append(
            Table(
                f"Needle {k}: cost {number(path.cost, 2)}, limited by "
                f"{plain(path.limiting_structure)}",
                ("Term", "Measured", "Weight", "Cost (0 = ideal)", "Note"),
                tuple(
                    (
                        sentence(t.name),
                        measured(t.value, t.unit),
                        f"{t.weight:g}",
                        number(t.cost, 3),
                        rule(t.note),
                    )
                    for t in path.terms
                ),
                f"Closest to the needle's axis: {nearest or 'nothing segmented'}. Limiting point "
                f"at LPS {point(path.limiting_point_mm)} mm.",
            )
        )
    return tuple(tables)


def _search(case: PlannedAblation) -> tuple[Fact, ...]:
    search = case.search
    facts = [
        Fact("Paths tested", str(search.tested)),
        Fact("Admissible under the hard rules", str(search.admissible)),
        Fact("Kept and ranked", str(len(search.candidates))),
    ]
    if search.nearest_miss:
        facts.append(Fact("Nearest miss", rule(search.nearest_miss)))
    return tuple(facts)


def _structures(case: PlannedAblation) -> tuple[Structure, ...]:
    labels = case.labels
    count = np.bincount(labels.array.reshape(-1), minlength=256)
    known = {x.name: x.value for x in labels.labels}
    out = []
    for name in dict.fromkeys([*(x.name for x in STRUCTURES), *known]):
        if name not in known and name == "vessel_in_part":
            continue  # a word for doubt, not a structure to look for
        if name not in known:
            out.append(Structure(sentence(name), "not checked", "–"))
        elif count[known[name]] == 0:
            out.append(Structure(sentence(name), "looked for, not found", "0.0"))
        else:
            volume = count[known[name]] * labels.grid.voxel_volume_mm3 / 1000.0
            out.append(Structure(sentence(name), "found", number(volume)))
    return tuple(out)


def _limits(
    verdicts: tuple[Verdict, ...], structures: tuple[Structure, ...], kind: str
) -> tuple[str, ...]:
    rows = [f"{v.name}: {v.note or 'could not be measured'}." for v in verdicts
            if v.status == "not_checked"]  # fmt: skip
    unseen = [s.name.lower() for s in structures if s.state == "not checked"]
    if unseen:
        rows.append("Not segmented, so the needles and the zone were not checked against: "
                    + ", ".join(unseen) + ".")  # fmt: skip
    rows.append(
        f"{_DECIDES[kind]}, whose published values differ widely; the constants below are single "
        "values, without the patient's own measurements."
    )
    return tuple(r.replace("..", ".") for r in rows) + _ALWAYS_UNCHECKED


def _provenance(case: PlannedAblation) -> tuple[Fact, ...]:
    made, review = case.plan.provenance, case.plan.review
    facts = [
        Fact("Software", f"irplan {made.irplan_version}"),
        Fact("Seed", str(made.seed)),
        Fact("Review state", review.state, " ".join(x for x in (review.by, review.reason) if x)),
        Fact("Frame of reference", case.plan.frame_of_reference_uid or "not given by the image"),
    ]
    facts += [Fact(f"Input: {name} (SHA-256)", sha) for name, sha in sorted(made.inputs.items())]
    return tuple(facts)
