"""Needles from tables and from Slicer: LPS and RAS, and every slip named with its place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from irplan.errors import FileFormatError
from irplan.files import write_needles_markups
from irplan.files.needle_lines import (
    NEEDLE_COLUMNS,
    read_needle_table,
    read_needles_markups,
    write_needle_table,
)
from tests.planning.test_review import PLAN

GOOD = "needle 1,cryo-17g-rod,planned,60,-120,310,10,-20,300\n"
HEADER = ",".join(NEEDLE_COLUMNS) + "\n"


def test_table_round_trip_and_an_independent_reader(tmp_path: Path) -> None:
    write_needle_table(PLAN, tmp_path / "n.csv")
    (found,) = read_needle_table(tmp_path / "n.csv")
    assert found.needle == PLAN.placements[0].needle
    assert found.applicator == "cryo-17g-rod"
    table = np.genfromtxt(tmp_path / "n.csv", delimiter=",", names=True, dtype=None, encoding=None)
    assert float(table["entry_y_mm"]) == -80.0
    assert float(table["tip_y_mm"]) == 0.0


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (HEADER + GOOD + GOOD.replace("-20", "minus20"), "line 3, column tip_y_mm"),
        (HEADER + GOOD + "needle 2,x\n", "line 3"),
        (HEADER + "needle 1,,,0.060,-0.12,0.31,0.01,-0.02,0.3\n", "line 2"),
        (HEADER.replace("_mm", "_cm") + GOOD, "line 1"),
        (HEADER + GOOD.replace("310", "nan"), "line 2, column entry_z_mm"),
        (HEADER, "needle table"),
        ("", "line 1"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, text: str, place: str) -> None:
    file = tmp_path / "n.csv"
    file.write_text(text)
    with pytest.raises(FileFormatError) as caught:
        read_needle_table(file)
    assert place in caught.value.field


def test_our_own_markups_come_back(tmp_path: Path) -> None:
    line, target = write_needles_markups(PLAN, tmp_path)
    (found,) = read_needles_markups(line)
    assert found.needle == PLAN.placements[0].needle
    with pytest.raises(FileFormatError, match="no needle"):
        read_needles_markups(target)


def slicer_line(system: str | None, labels: tuple[str, str], points: list[list[float]]) -> dict:
    markup = {
        "type": "Line",
        "name": "L",
        "controlPoints": [
            {"label": label, "position": p} for label, p in zip(labels, points, strict=True)
        ],
    }
    if system:
        markup["coordinateSystem"] = system
    return {"markups": [markup]}


@pytest.mark.parametrize("system", ["LPS", "RAS", None])
@pytest.mark.parametrize("labels", [("L-1", "L-2"), ("Tip", "Entry"), ("target", "skin")])
def test_systems_and_labels(tmp_path: Path, system: str | None, labels: tuple[str, str]) -> None:
    sign = -1.0 if system == "RAS" else 1.0
    entry, tip = [60.0 * sign, -120.0 * sign, 310.0], [10.0 * sign, -20.0 * sign, 300.0]
    points = [entry, tip] if labels[0] == "L-1" else [tip, entry]
    file = tmp_path / "a.mrk.json"
    file.write_text(json.dumps(slicer_line(system, labels, points)))
    (found,) = read_needles_markups(file)
    assert found.needle.entry_mm == (60.0, -120.0, 310.0)
    assert found.needle.tip_mm == (10.0, -20.0, 300.0)


def test_a_list_of_numbered_points(tmp_path: Path) -> None:
    points = [("Tip 2", [0, 50, 0]), ("Entry 1", [0, 0, 0]), ("Entry 2", [9, 0, 0]),
              ("Tip 1", [0, 40, 0]), ("note", [1, 1, 1])]  # fmt: skip
    data = slicer_line("LPS", ("a", "b"), [[0, 0, 0], [0, 40, 0]])
    data["markups"][0] |= {
        "type": "Fiducial",
        "controlPoints": [{"label": a, "position": p} for a, p in points],
    }
    file = tmp_path / "a.mrk.json"
    file.write_text(json.dumps(data))
    first, second = read_needles_markups(file)
    assert first.needle.tip_mm == (0.0, 40.0, 0.0)
    assert second.needle.entry_mm == (9.0, 0.0, 0.0)
    data["markups"][0]["controlPoints"].pop(0)
    file.write_text(json.dumps(data))
    with pytest.raises(FileFormatError, match="no pair for number 2"):
        read_needles_markups(file)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda m: m.update(coordinateUnits="m"), "coordinateUnits"),
        (lambda m: m.update(coordinateSystem="IJK"), "coordinateSystem"),
        (lambda m: m["controlPoints"].pop(), "controlPoints"),
        (lambda m: m["controlPoints"][1].update(position=[1, "2", 3]), "controlPoints[1].position"),
        (lambda m: m["controlPoints"][1].update(position=[0.06, -0.12, 0.31]), "$.markups[0]"),
    ],
)
def test_damaged_markups_name_the_place(tmp_path: Path, change, place: str) -> None:
    data = slicer_line("LPS", ("Entry", "Tip"), [[0.05, -0.12, 0.31], [10, -20, 300]])
    if place == "$.markups[0]":
        data["markups"][0]["controlPoints"][0]["position"] = [0.01, -0.02, 0.3]
    change(data["markups"][0])
    file = tmp_path / "a.mrk.json"
    file.write_text(json.dumps(data))
    with pytest.raises(FileFormatError) as caught:
        read_needles_markups(file)
    assert place in caught.value.field
