"""Plans by heat or electroporation, and alternatives of any kind, written to a folder."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from irplan import RESEARCH_USE_ONLY, __version__
from irplan.compute.progress import Progress, no_progress
from irplan.files import (
    write_evaluation_csv,
    write_labels,
    write_mask,
    write_needles_markups,
    write_plan,
    write_volume,
)
from irplan.geometry import Grid
from irplan.image.resample import resample_volume
from irplan.planning import AblationPlan
from irplan.planning.case import Alternative, PlannedAblation
from irplan.planning.modality import lethal_field

#: Columns of ``alternatives.csv``.
COLUMNS = (
    "plan", "best_at", "applicators", "applicator", "minimal_margin_mm", "target_covered_percent",
    "target_and_margin_covered_percent", "healthy_tissue_ml", "path_cost",
    "probability_of_coverage_percent", "status",
)  # fmt: skip


def write_ablation(
    case: PlannedAblation, folder: Path, *, progress: Progress = no_progress
) -> tuple[str, ...]:
    """Plan, verdict, structures, zone and fields into an empty folder; no report, no pictures.

    Returns what the user should know.  Raises `OutputError`.
    """
    grid = case.volume.grid
    progress(0.0, "writing plan, labels and zones")
    write_plan(case.plan, folder / "plan.json")
    write_evaluation_csv(case.evaluation, folder / "evaluation.csv")
    write_labels(case.labels, folder / "labels.nii.gz")
    write_mask(case.target_mask, grid, folder / "target.nii.gz")
    write_mask(_lethal(case.result, case.plan, grid), grid, folder / "lethal.nii.gz")
    for name, volume in case.result.volumes().items():
        write_volume(volume, folder / f"{name}.nii.gz")
    (folder / "needles").mkdir()
    write_needles_markups(case.plan, folder / "needles")
    (folder / "README.txt").write_text(
        f"An ablation plan ({case.options.modality}) made by irplan {__version__}: "
        f"{case.plan.review.state.upper()}, RESEARCH USE ONLY.\n{RESEARCH_USE_ONLY}\n\n"
        "plan.json is the plan, evaluation.csv every check, lethal.nii.gz the simulated zone.\n",
        encoding="utf-8",
        newline="\n",
    )
    progress(1.0, "done")
    return (
        "The report and its figures are drawn for cryo plans only; the verdict is in "
        "evaluation.csv.",
    )


def write_alternatives(plans: Sequence[Alternative], folder: Path) -> None:
    """``alternatives.csv`` and, for each but the first, a folder with plan and verdict."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number, one in enumerate(plans, start=1):
        e = one.evaluation
        chance = e.coverage_probability
        writer.writerow(
            (
                number, " + ".join(one.names), len(one.plan.placements),
                one.plan.placements[0].applicator.name, f"{e.minimal_margin_mm:.2f}",
                f"{100 * e.target_coverage:.2f}", f"{100 * e.margin_coverage:.2f}",
                f"{one.healthy_ml:.1f}", f"{one.risk:.2f}",
                "" if chance is None else f"{100 * chance.probability:.1f}", e.status,
            )
        )  # fmt: skip
        if number > 1:
            place = folder / "alternatives" / f"{number}"
            place.mkdir(parents=True)
            write_plan(one.plan, place / "plan.json")
            write_evaluation_csv(e, place / "evaluation.csv")
            (place / "needles").mkdir()
            write_needles_markups(one.plan, place / "needles")
    (folder / "alternatives.csv").write_text(text.getvalue(), encoding="utf-8", newline="\n")


def _lethal(result: object, plan: AblationPlan, grid: Grid) -> np.ndarray:
    from irplan.ablation import AblationResult

    assert isinstance(result, AblationResult)
    field, level, _ = lethal_field(result, plan.lethal, plan.placements)
    out = np.zeros(grid.shape, dtype=bool)
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in field.grid.shape])).reshape(3, -1).T
    start, shape = grid.box_around(field.grid.index_to_lps(corners), 0.0)
    outside = float(field.array.max())
    part = resample_volume(field, grid.crop(start, shape), outside=outside, smooth=False)
    box = tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))
    out[box] = np.asarray(part.array) <= level
    return out
