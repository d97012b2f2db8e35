"""Alternative plans written to the folder of the recommended one."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from irplan.files import (
    write_evaluation_csv,
    write_needles_markups,
    write_plan,
)
from irplan.planning.case import Alternative

#: Columns of ``alternatives.csv``.
COLUMNS = (
    "plan", "best_at", "applicators", "applicator", "minimal_margin_mm", "target_covered_percent",
    "target_and_margin_covered_percent", "healthy_tissue_ml", "path_cost",
    "probability_of_coverage_percent", "status",
)  # fmt: skip


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
