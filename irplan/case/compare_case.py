"""Two plans from their files, compared."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import get_args

from irplan.errors import FileFormatError
from irplan.files import read_plan
from irplan.files.tables import EVALUATION_COLUMNS
from irplan.planning.evaluation import Row, Status
from irplan.planning.plan import AblationPlan
from irplan.planning.review_compare import PlanComparison, compare_plans


def compare_files(a: Path, b: Path) -> PlanComparison:
    """Compare two plan.json files or their folders; ``evaluation.csv`` beside each is used.

    Raises `FileFormatError` for a damaged plan or table, `InputError` for plans of two frames.
    """
    plan_a, rows_a = _opened(a)
    plan_b, rows_b = _opened(b)
    return compare_plans(plan_a, plan_b, rows_a, rows_b)


def _opened(path: Path) -> tuple[AblationPlan, list[Row] | None]:
    file = path / "plan.json" if path.is_dir() else path
    plan = read_plan(file)
    table = file.parent / "evaluation.csv"
    # A table belongs to plan.json; another plan file beside it was not evaluated by it.
    return plan, _rows(table) if table.exists() and file.name == "plan.json" else None


def _rows(table: Path) -> list[Row]:
    with table.open(encoding="utf-8", newline="") as text:
        reader = csv.DictReader(text)
        out = []
        if tuple(reader.fieldnames or ()) != EVALUATION_COLUMNS:
            raise _damaged(table, 1, "other columns")
        for line in reader:
            try:
                status: Status = line["status"]  # type: ignore[assignment]
                if status not in get_args(Status):
                    raise ValueError(status)
                value = float(line["value"]) if line["value"] else None
            except (ValueError, TypeError, KeyError) as error:
                raise _damaged(table, reader.line_num, str(error)[:80]) from error
            out.append(
                Row(line["name"], value, line["unit"], line["limit"], status, line["note"],
                    line["source"])
            )  # fmt: skip
    return out


def _damaged(table: Path, line: int, got: str) -> FileFormatError:
    return FileFormatError(
        f"'{table.name}' line {line}",
        got=got,
        expected="the columns " + ", ".join(EVALUATION_COLUMNS),
        remedy="Evaluate the plan again: irplan evaluate PLAN -o FOLDER.",
    )
