"""The figures of a plan report: their order, titles and what they show in words."""

from __future__ import annotations

from dataclasses import dataclass

from irplan.planning.case import PlannedCase
from irplan.reports.words import counted, measured, number
from irplan.viz.orientation import orientation_letters


@dataclass(frozen=True)
class FigureNote:
    """``key`` is the file's stem; ``alt`` says in words what a reader without it misses."""

    key: str
    title: str
    alt: str


def figure_notes(case: PlannedCase) -> tuple[FigureNote, ...]:
    """The figures a complete report on ``case`` holds, in reading order."""
    plan, evaluation = case.plan, case.evaluation
    count = len(plan.placements)
    notes = [
        FigureNote(
            "scene",
            "3D view",
            f"3D view from the entry side: body, bone, liver, vessels, the target, the ice at 0, "
            f"-20 and -40 °C and {counted(count, 'needle')}.",
        )
    ]
    for k, placement in enumerate(plan.placements, start=1):
        needle = placement.needle
        notes += [
            FigureNote(
                f"planes_{k}",
                f"Needle {k}: three planes through its tip",
                f"Axial, coronal and sagittal CT through the tip of needle {k} with liver, "
                "vessels, target, target plus margin, isotherms and needles.",
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
            "Temperature at chosen points and frozen volume over the schedule: "
            f"{phases.replace('_', ' ')}.",
        ),
        FigureNote(
            "paths",
            "Terms of the paths' scores",
            f"Bars of the cost of each term of the score for {counted(count, 'needle')}; the "
            "values are in the tables of the paths.",
        ),
    ]
    return tuple(notes)
