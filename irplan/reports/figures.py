"""The figures of a plan report: their order, titles and what they show in words."""

from __future__ import annotations

from dataclasses import dataclass

from irplan.planning.case import PlannedAblation
from irplan.reports.words import counted, measured, number
from irplan.viz.orientation import orientation_letters
from irplan.viz.zone_layers import zone_layers


@dataclass(frozen=True)
class FigureNote:
    """``key`` is the file's stem; ``alt`` says in words what a reader without it misses."""

    key: str
    title: str
    alt: str


def figure_notes(case: PlannedAblation) -> tuple[FigureNote, ...]:
    """The figures a complete report on ``case`` holds, in reading order."""
    plan, evaluation = case.plan, case.evaluation
    count = len(plan.placements)
    cold = plan.placements[0].applicator.kind == "cryo"
    notes = [
        FigureNote(
            "scene",
            "3D view",
            "3D view from the entry side: body, bone, liver, vessels, the target, the zone at "
            f"{_levels(case)} and {counted(count, 'needle')}.",
        )
    ]
    for k, placement in enumerate(plan.placements, start=1):
        needle = placement.needle
        notes += [
            FigureNote(
                f"planes_{k}",
                f"Needle {k}: three planes through its tip",
                f"Axial, coronal and sagittal CT through the tip of needle {k} with liver, "
                "vessels, target, target plus margin, the zone and needles.",
            ),
            FigureNote(
                f"needle_{k}",
                f"Needle {k}: needle's eye and lengthwise",
                f"CT across needle {k} at the target's depth and along it in two planes; it runs "
                f"{number(needle.depth_mm, 0)} mm towards "
                f"{orientation_letters(needle.direction)}.",
            ),
        ]
    phases = ", ".join(f"{p.duration_s / 60:g} min {p.kind}" for p in plan.schedule.phases)
    if plan.placements[0].applicator.kind == "ire":
        phases = "the pulses of every pair in turn"
    notes += [
        FigureNote(
            "margin",
            "Margin map",
            "Map of the ablative margin on the target's surface and its histogram; minimum "
            f"{measured(evaluation.minimal_margin_mm, 'mm')}.",
        ),
        FigureNote(
            "temperature",
            "Temperature over time",
            f"Temperature at chosen points and {'frozen volume' if cold else 'power'} over the "
            f"schedule: {phases.replace('_', ' ')}.",
        ),
        FigureNote(
            "paths",
            "Terms of the paths' scores",
            f"Bars of the cost of each term of the score for {counted(count, 'needle')}; the "
            "values are in the tables of the paths.",
        ),
    ]
    return tuple(notes)


def _levels(case: PlannedAblation) -> str:
    names = [x.name.replace("degC", "°C") for x in zone_layers(case.result)]
    return f"{', '.join(names[:-1])} and {names[-1]}"
