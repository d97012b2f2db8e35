"""The evaluation as CSV."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from irplan.errors import OutputError
from irplan.files import write_evaluation_csv
from irplan.planning.evaluation import MarginSurface, PlanEvaluation, Row


def an_evaluation(*rows: Row) -> PlanEvaluation:
    nothing = np.zeros(0)
    surface = MarginSurface(np.zeros((0, 3)), np.zeros((0, 3)), nothing, nothing, np.zeros(0, bool))
    return PlanEvaluation(
        5.0, (0, 0, 0), 5.0, 1.0, 1.0, {}, {}, {}, surface, nothing, nothing, rows
    )


def test_rows_as_written(tmp_path):
    rows = (
        Row("minimal margin", 5.1234567891, "mm", ">= 5 mm", "ok", "at 1, 2", "spec [V]"),
        Row("distance, bile duct", None, "mm", ">= 5 mm", "not_checked", 'no "duct" found'),
        Row("coverage", -0.0, "", "°", "error"),
        Row("volume", 123456789.5, "mm3", "", "warning"),
    )
    file = tmp_path / "evaluation.csv"
    write_evaluation_csv(an_evaluation(*rows), file)
    text = file.read_bytes().decode("utf-8")
    assert "\r" not in text
    read = list(csv.reader(text.splitlines()))
    assert read[0] == ["name", "value", "unit", "limit", "status", "note", "source"]
    assert read[1] == ["minimal margin", "5.123457", "mm", ">= 5 mm", "ok", "at 1, 2", "spec [V]"]
    assert read[2] == [
        "distance, bile duct",
        "",
        "mm",
        ">= 5 mm",
        "not_checked",
        'no "duct" found',
        "",
    ]
    assert read[3][1:4] == ["0", "", "°"]
    assert read[4][1] == "123456789.5"


def test_unwritable(tmp_path):
    with pytest.raises(OutputError):
        write_evaluation_csv(an_evaluation(), tmp_path)
