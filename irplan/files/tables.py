"""Tables: the evaluation's rows as CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from irplan.files.atomic import atomic_path
from irplan.planning.evaluation import PlanEvaluation

#: Header of ``evaluation.csv``.
EVALUATION_COLUMNS = ("name", "value", "unit", "limit", "status", "note", "source")


def write_evaluation_csv(evaluation: PlanEvaluation, path: str | Path) -> None:
    """One line a row of ``evaluation.rows``, in their order; UTF-8, comma, header line.

    ``value`` has at most 6 decimals and is empty where nothing could be measured (then
    ``status`` is ``not_checked``).  Raises `OutputError` where ``path`` cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(EVALUATION_COLUMNS)
    for row in evaluation.rows:
        value = "" if row.value is None else f"{round(float(row.value), 6) + 0.0:.10g}"
        writer.writerow((row.name, value, row.unit, row.limit, row.status, row.note, row.source))
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")
