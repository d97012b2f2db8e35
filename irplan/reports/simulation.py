"""The report of a simulation: what was asked, the zones, how good the numbers are."""

from __future__ import annotations

from dataclasses import dataclass

from irplan import RESEARCH_USE_ONLY, __version__
from irplan.ablation.problem import AblationProblem
from irplan.ablation.result import FieldResult
from irplan.ablation.simulated_case import SimulatedCase
from irplan.reports.content import Fact, Table
from irplan.reports.figures import FigureNote
from irplan.reports.quality import (
    balance_fact,
    edge_fact,
    energy_table,
    grid_fact,
    processor_facts,
    setting_facts,
)
from irplan.reports.words import number, plain, point, rule

_KINDS = {
    "cryo": "Cryoablation",
    "rfa": "Radiofrequency ablation",
    "mwa": "Microwave ablation",
    "ire": "Irreversible electroporation",
}
_MODEL = {
    "cryo": (
        "Pennes bioheat with latent heat (enthalpy form), finite volumes, explicit in time; "
        "perfusion stops where tissue freezes"
    ),
    "rfa": "quasi-static electric potential with conductivity by temperature, and Pennes bioheat",
    "mwa": "absorbed power of a coaxial antenna with drying tissue, and Pennes bioheat",
    "ire": "quasi-static electric potential with conductivity by field, and Pennes bioheat",
}


@dataclass(frozen=True)
class SimulationContent:
    """Everything a simulation report states."""

    title: str
    banner: str
    research_notice: str
    summary: tuple[str, ...]
    warnings: tuple[str, ...]
    zones: Table
    applicators: Table
    schedule: Table
    quality: tuple[Fact, ...]
    energy: Table
    tissues: Table
    limits: tuple[str, ...]
    provenance: tuple[Fact, ...]


def simulation_report(case: SimulatedCase) -> SimulationContent:
    """The content of ``report.html``, from the case alone."""
    kind = _KINDS[case.kind]
    largest = max(case.measures, key=lambda m: m.volume_ml, default=None)
    lines = [
        f"{number(m.volume_ml)} ml {z.words}, {number(m.length_mm)} mm along and "
        f"{number(m.width_mm)} mm across."
        for z, m in zip(case.zones, case.measures, strict=True)
        if m is case.measures[0] or m is largest
    ]
    return SimulationContent(
        title=f"{kind}: {case.name}",
        banner="SIMULATION",
        research_notice=RESEARCH_USE_ONLY,
        summary=tuple(lines),
        warnings=tuple(rule(w) for w in case.result.warnings),
        zones=_zones(case),
        applicators=_applicators(case.problem),
        schedule=_schedule(case),
        quality=_quality(case),
        energy=energy_table(case.result.energy),
        tissues=_tissues(case.problem),
        limits=(
            "The uncertainty of the tissue's constants, perfusion above all, is larger than every "
            "numerical error given here; vary them.",
            "Needles are straight, tissue does not move, swell or tear, and one density serves "
            "all phases.",
            "A zone is where a model says that tissue dies or freezes, not what pathology shows.",
        ),
        provenance=_provenance(case),
    )


def simulation_notes(case: SimulatedCase) -> tuple[FigureNote, ...]:
    """Title and alternative text of the figures a simulation can have, in their order."""
    shown = "electric field" if case.kind == "ire" else "temperature"
    when = {
        "cryo": "at the end of the last freeze",
        "ire": "as the largest over all electrode pairs",
    }.get(case.kind, "at the end of the last power phase")
    out = [
        FigureNote(
            "planes",
            f"{shown.capitalize()} in two planes",
            f"The {shown} {when}, along the needles (entry at the top) and across them in the "
            "middle of the active zone, with the edges of the zones and of other tissue.",
        )
    ]
    if case.kind == "ire":
        out.append(
            FigureNote("heat", "Temperature in two planes", "The temperature after the last pulse.")
        )
    out += [
        FigureNote(
            "profile",
            "Profile of the zones",
            "Mean radius of each zone at every position along the needles.",
        ),
        FigureNote(
            "curves",
            "Temperature over time",
            "Temperature at the applicators and the chosen points; phases are shaded.",
        ),
    ]
    if case.result.trace.extra:
        out.append(
            FigureNote(
                "extra", "Generator over time", "What the applicators did: one panel a unit."
            )
        )
    return tuple(out)


def _zones(case: SimulatedCase) -> Table:
    rows = tuple(
        (
            z.words + (" – CUT OFF by the box" if m.cut_off else ""),
            number(m.volume_ml, 2),
            number(m.length_mm),
            number(m.width_mm),
            f"{number(m.least_width_mm)} to {number(m.most_width_mm)}",
            number(m.width_mm / 2),
        )
        for z, m in zip(case.zones, case.measures, strict=True)
    )
    return Table(
        "Sizes",
        (
            "Zone",
            "Volume (ml)",
            "Along (mm)",
            "Across, mean (mm)",
            "Across, least to most (mm)",
            "Mean radius (mm)",
        ),
        rows,
        "Along: the longest chord parallel to the needles. Across: at the widest station, "
        "measured from the middle line of the needles.",
    )


def _applicators(problem: AblationProblem) -> Table:
    rows = tuple(
        (
            str(n + 1),
            p.applicator.name,
            point(p.needle.tip_mm),
            point(p.needle.entry_mm),
            number(p.applicator.active_length_mm),
            p.applicator.source,
        )
        for n, p in enumerate(problem.placements)
    )
    return Table(
        "Applicators",
        ("No.", "Name", "Tip, LPS (mm)", "Entry, LPS (mm)", "Active zone (mm)", "Data"),
        rows,
    )


def _schedule(case: SimulatedCase) -> Table:
    rows = tuple(
        (
            "all" if len(case.schedules) == 1 else str(n),
            "pulses" if case.kind == "ire" else plain(p.kind),
            number(p.duration_s / 60.0, 2),
            "–" if p.power_w is None or case.kind == "ire" else number(p.power_w),
            number(p.withdraw_mm) if p.withdraw_mm else "–",
        )
        for n, schedule in enumerate(case.schedules, start=1)
        for p in schedule.phases
    )
    return Table(
        "Schedule", ("Applicator", "Phase", "Minutes", "Power (W)", "Pulled back by (mm)"), rows
    )


def _quality(case: SimulatedCase) -> tuple[Fact, ...]:
    result = case.result
    facts = [Fact("Model", _MODEL[case.kind]), grid_fact(result), balance_fact(result)]
    if result.error is not None:
        facts.append(
            Fact(
                "Numerical error of the zone's radius",
                f"{number(result.error.total_mm, 2)} mm",
                f"{number(result.error.time_mm, 3)} in time, {number(result.error.space_mm, 3)} "
                f"in space; {result.error.basis}",
            )
        )
    facts.append(edge_fact(result))
    if isinstance(result, FieldResult) and result.currents_a:
        facts.append(
            Fact("Currents of the pairs", ", ".join(f"{a:.1f} A" for a in result.currents_a))
        )
    return tuple(facts)


def _tissues(problem: AblationProblem) -> Table:
    rows = []
    for t in problem.tissues:
        fixed = "–" if t.fixed_temperature_c is None else number(t.fixed_temperature_c)
        rows.append(
            (
                t.name,
                f"{t.k_unfrozen_w_per_mk:.3g} / {t.k_frozen_w_per_mk:.3g}",
                f"{t.density_kg_per_m3:.4g}",
                f"{t.c_unfrozen_j_per_kgk:.4g} / {t.c_frozen_j_per_kgk:.4g}",
                f"{t.latent_j_per_kg / 1e3:.4g}",
                f"{1e3 * t.perfusion_per_s:.3g}",
                f"{t.sigma_s_per_m:.3g}",
                fixed,
            )
        )
    return Table(
        "Tissue in the box, as simulated",
        (
            "Tissue",
            "k unfrozen / frozen (W/(m K))",
            "Density (kg/m³)",
            "c unfrozen / frozen (J/(kg K))",
            "Latent heat (kJ/kg)",
            "Perfusion (10⁻³/s)",
            "σ (S/m)",
            "Held at (°C)",
        ),
        tuple(rows),
        "Sources, ranges and status of the table's values: irplan tissue NAME.",
    )


def _provenance(case: SimulatedCase) -> tuple[Fact, ...]:
    result = case.result
    return (Fact("irplan", __version__), *processor_facts(result), *setting_facts(result))
