"""A planned case turned into the content of its report."""

from __future__ import annotations

import numpy as np

from irplan import RESEARCH_USE_ONLY
from irplan.image import STRUCTURES
from irplan.planning.case import PlannedCase
from irplan.planning.evaluation import Row, Status
from irplan.planning.ice_distance import LOOK_MM
from irplan.reports.content import Fact, ReportContent, Structure, Table, Verdict
from irplan.reports.physics import simulation_facts, tissue_table
from irplan.reports.quality import energy_table
from irplan.reports.words import counted, measured, number, plain, point, rule, sentence
from irplan.viz.orientation import orientation_letters, position_words
from irplan.viz.style import STATUS

_COUNTED = {"ok": "OK", "error": "failed", "not_checked": "not checked"}
_PHASES = {"freeze": "Freeze", "passive_thaw": "Passive thaw", "active_thaw": "Active thaw"}
#: What no part of this version looks at, whatever the case.
_ALWAYS_UNCHECKED = (
    "Breathing and motion between this CT and the treatment are not modelled; "
    "the plan holds for the position of this scan.",
    "Needle bending, placement error and the gantry's or table's clearance are not simulated.",
    "Skin is the CT's body surface; what lies on it (ports, wounds, drapes) is not known.",
    "The ice depends most on perfusion and latent heat, whose published values differ widely; "
    "the constants below are single values, without the patient's own measurements.",
    "The lethal temperature is a rule for dead tissue, not a finding of pathology.",
    "Applicators are generic classes, not a maker's validated ice charts.",
)


def plan_report(case: PlannedCase) -> ReportContent:
    """All statements of the report on ``case``; the same case gives the same content."""
    evaluation, plan = case.evaluation, case.plan
    verdicts = tuple(_verdict(row) for row in evaluation.rows)
    structures = _structures(case)
    return ReportContent(
        title="Cryoablation plan: liver target",
        banner=plan.review.state.upper(),
        research_notice=RESEARCH_USE_ONLY,
        overall=_overall(evaluation.status),
        summary=_summary(case),
        target=_target(case),
        placements=_placements(case),
        schedule=Table(
            "Schedule",
            ("Phase", "What", "Length (min)", "Ends at (min)"),
            _schedule_rows(case),
        ),
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
            "Size of the ice",
            ("Zone", "Volume (ml)"),
            tuple(
                (name.replace("degC", "°C").replace("-", "\N{MINUS SIGN}"), number(ml))
                for name, ml in evaluation.zone_volume_ml.items()
            ),
            "Isotherms at the end of the last freeze; lethal: " + _lethal_rule(case) + ".",
        ),
        organs=Table(
            "Distance of the ice's edge (0 °C) to structures",
            ("Structure", "Smallest distance (mm)"),
            tuple(
                (sentence(name), _ice_distance(mm))
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
        messages=(*case.messages, *case.result.warnings),
        limits=_limits(verdicts, structures),
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
    )


def _lethal_rule(case: PlannedCase) -> str:
    lethal = case.plan.lethal
    times = "one freeze" if lethal.cycles == 1 else f"each of {lethal.cycles} freezes"
    return f"{measured(lethal.threshold_c, 'degC')} or colder in {times}"


def _side(case: PlannedCase) -> str:
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


def _ice_distance(mm: float) -> str:
    if mm >= LOOK_MM:
        return f"more than {number(LOOK_MM, 0)}"
    return number(mm) + (" (ice reaches in)" if mm < 0 else "")


def _overall(status: Status) -> Verdict:
    words = {
        "ok": "All checks passed",
        "warning": "Passed with warnings",
        "error": "A goal or rule is not met",
        "not_checked": "No check failed, but some could not be made",
    }
    colour, symbol, word = STATUS[status]
    return Verdict("Overall", words[status], "", status, word, symbol, colour, "", "")


def _summary(case: PlannedCase) -> tuple[str, ...]:
    plan, evaluation = case.plan, case.evaluation
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
        f"{counted(len(plan.placements), 'cryoprobe')} ({kinds}) for a target of "
        f"{number(plan.target.diameter_mm)} mm diameter ({number(plan.target.volume_ml)} ml).",
        f"Simulated minimal ablative margin {measured(evaluation.minimal_margin_mm, 'mm')} "
        f"({_side(case)} of the target's centre); the goal of {number(goal, 0)} mm is "
        f"{'reached' if reached else 'NOT reached'}. "
        f"{number(100 * evaluation.target_coverage)} % of the target and "
        f"{number(100 * evaluation.margin_coverage)} % of target plus margin are in the "
        "lethal zone.",
        f"Checks: {counts or 'none'}.",
    )


def _target(case: PlannedCase) -> tuple[Fact, ...]:
    target = case.plan.target
    return (
        Fact("Given by", target.source),
        Fact("Volume", f"{number(target.volume_ml, 2)} ml"),
        Fact("Diameter", f"{number(target.diameter_mm)} mm", "of the ball of equal volume"),
        Fact("Centre (LPS x, y, z)", f"{point(target.centroid_mm)} mm"),
        Fact("Margin goal", f"{number(case.plan.margin_goal_mm)} mm"),
        Fact("Counts as lethal", _lethal_rule(case)),
    )


def _placements(case: PlannedCase) -> Table:
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


def _schedule_rows(case: PlannedCase) -> tuple[tuple[str, ...], ...]:
    rows, end = [], 0.0
    for k, phase in enumerate(case.plan.schedule.phases, start=1):
        end += phase.duration_s / 60.0
        rows.append((str(k), _PHASES[phase.kind], number(phase.duration_s / 60.0), number(end)))
    return tuple(rows)


def _margins(case: PlannedCase) -> tuple[Fact, ...]:
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


def _paths(case: PlannedCase) -> tuple[Table, ...]:
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


def _search(case: PlannedCase) -> tuple[Fact, ...]:
    search = case.search
    facts = [
        Fact("Paths tested", str(search.tested)),
        Fact("Admissible under the hard rules", str(search.admissible)),
        Fact("Kept and ranked", str(len(search.candidates))),
    ]
    if search.nearest_miss:
        facts.append(Fact("Nearest miss", rule(search.nearest_miss)))
    return tuple(facts)


def _structures(case: PlannedCase) -> tuple[Structure, ...]:
    labels = case.labels
    count = np.bincount(labels.array.reshape(-1), minlength=256)
    known = {x.name: x.value for x in labels.labels}
    out = []
    for name in dict.fromkeys([*(x.name for x in STRUCTURES), *known]):
        if name not in known:
            out.append(Structure(sentence(name), "not checked", "–"))
        elif count[known[name]] == 0:
            out.append(Structure(sentence(name), "looked for, not found", "0.0"))
        else:
            volume = count[known[name]] * labels.grid.voxel_volume_mm3 / 1000.0
            out.append(Structure(sentence(name), "found", number(volume)))
    return tuple(out)


def _limits(verdicts: tuple[Verdict, ...], structures: tuple[Structure, ...]) -> tuple[str, ...]:
    rows = [f"{v.name}: {v.note or 'could not be measured'}." for v in verdicts
            if v.status == "not_checked"]  # fmt: skip
    unseen = [s.name.lower() for s in structures if s.state == "not checked"]
    if unseen:
        rows.append("Not segmented, so the needles and the ice were not checked against: "
                    + ", ".join(unseen) + ".")  # fmt: skip
    return tuple(r.replace("..", ".") for r in rows) + _ALWAYS_UNCHECKED


def _provenance(case: PlannedCase) -> tuple[Fact, ...]:
    made, review = case.plan.provenance, case.plan.review
    facts = [
        Fact("Software", f"irplan {made.irplan_version}"),
        Fact("Seed", str(made.seed)),
        Fact("Review state", review.state, " ".join(x for x in (review.by, review.reason) if x)),
        Fact("Frame of reference", case.plan.frame_of_reference_uid or "not given by the image"),
    ]
    facts += [Fact(f"Input: {name} (SHA-256)", sha) for name, sha in sorted(made.inputs.items())]
    return tuple(facts)
