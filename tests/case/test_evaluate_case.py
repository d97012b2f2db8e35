"""`irplan evaluate` and `irplan compare-plans` from files to files, and every wrong input."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from irplan.ablation import LethalRule, Phase, Placement, Schedule, applicator
from irplan.cli.app import app
from irplan.files import write_labels, write_mask, write_plan
from irplan.geometry import Grid, Needle
from irplan.image import LabelMap, structure
from irplan.planning import AblationPlan, Provenance, Target, set_review

ROD = applicator("cryo-17g-rod")
GRID = Grid.from_spacing((64, 64, 64), (1.5,) * 3, (-47.25, -47.25, -47.25))
POINTS = GRID.index_to_lps(np.moveaxis(np.indices(GRID.shape), 0, -1))
BALL = np.linalg.norm(POINTS, axis=-1)


def a_plan(shift: float = 0.0) -> AblationPlan:
    needle = Needle((shift, 17.0, 0.0), (shift, -40.0, 0.0))
    return AblationPlan(
        Target((0.0, 0.0, 0.0), 1.44, 14.0, "mask"),
        (Placement(needle, ROD),),
        Schedule((Phase("freeze", 300.0),)),
        2.0,
        LethalRule(-20.0, 1),
        Provenance("test", 0),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("plan")
    body = BALL < 46.0
    labels = LabelMap.from_masks(
        GRID, [(structure("body"), body), (structure("liver"), BALL < 40.0)]
    )
    write_labels(labels, out / "labels.nii.gz")
    write_mask(BALL <= 7.0, GRID, out / "target.nii.gz")
    write_mask(np.linalg.norm(POINTS - [2.0, 0, 0], axis=-1) <= 13.0, GRID, out / "zone.nii.gz")
    write_plan(a_plan(), out / "plan.json")
    return out


def run(*args: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(a) for a in args])
    assert result.exit_code == code, result.output
    return result.output


def as_json(text: str) -> dict:
    data: dict = json.loads(text[text.index("{") :])
    return data


def test_a_zone_seen_afterwards_in_closed_form(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "judged"
    found = as_json(
        run("evaluate", folder, "--zone", folder / "zone.nii.gz", "-o", out, "--json", "-q")
    )
    assert found["minimal_margin_mm"] == pytest.approx(13 - 7 - 2, abs=0.15)
    assert found["zone_volume_ml"]["lethal"] == pytest.approx(4 / 3 * np.pi * 2.197, rel=0.02)
    by = {d["name"]: d for d in found["directions"]}
    assert by["left"]["reach_mm"] == pytest.approx(8.0, abs=0.2)
    assert by["right"]["minimal_mm"] == pytest.approx(4.0, abs=0.15)
    assert found["target_coverage"] == pytest.approx(1.0, abs=1e-3)
    shell = (13**3 - 7**3) / (17**3 - 7**3)
    assert found["shell_coverage"]["10"] == pytest.approx(shell, abs=0.02)
    rows = {r["name"]: r for r in found["rows"]}
    assert rows["simulation"]["status"] == "not_checked"
    assert rows["probability that target + 2 mm is covered"]["status"] == "not_checked"
    assert rows["zone to skin"]["value"] == pytest.approx(46 - 15, abs=1.6)
    assert (out / "figures" / "margin_globe.png").read_bytes().startswith(b"\x89PNG")
    points = list(csv.DictReader((out / "margins.csv").open()))
    assert min(float(p["margin_mm"]) for p in points if p["counted"] == "1") == pytest.approx(
        found["minimal_margin_mm"], abs=1e-3
    )
    assert json.loads((out / "evaluation.json").read_text())["status"] == found["status"]


def test_a_plan_is_judged_by_the_rules_it_was_made_under(folder: Path, tmp_path: Path) -> None:
    """Its recorded limits, and the spacing of its own modality."""
    extra = ["--labels", folder / "labels.nii.gz", "--target", folder / "target.nii.gz"]
    extra += ["--zone", folder / "zone.nii.gz", "--json", "-q"]
    antenna = applicator("mwa-17g-cooled-2450")
    two = tuple(
        Placement(Needle((x, 17.0, 0.0), (x, -40.0, 0.0)), antenna) for x in (-4.0, 4.0)
    )  # 8 mm apart: too near for cryoprobes (10), not for antennas (5)
    plan = replace(a_plan(), placements=two, schedule=Schedule.constant_power(40.0, 5.0))
    short = {"rule.max_length": 50.0, "rule.bone.hard_mm": 4.0}
    for options, length in (({}, "ok"), (short, "error")):
        made = replace(plan, provenance=Provenance("test", 0, options=options))
        write_plan(made, tmp_path / "plan.json")
        rows = {
            r["name"]: r for r in as_json(run("evaluate", tmp_path / "plan.json", *extra))["rows"]
        }
        assert rows["needle 1: length"]["status"] == length
        assert rows["smallest distance between probes"]["status"] == "ok"
        assert rows["smallest distance between probes"]["limit"] == ">= 5 mm"


def test_its_own_simulation_with_a_probability(folder: Path, tmp_path: Path) -> None:
    settings = tmp_path / "mine.toml"
    settings.write_text('preset = "robot"\nregistration_mm = 1.0\n')
    found = as_json(run("evaluate", folder, "--robust", settings, "--json", "-q"))
    chance = found["coverage_probability"]
    low, high = chance["interval_95"]
    assert low <= chance["probability"] <= high
    assert high - low <= 0.04
    assert "registration 1.00 mm" in chance["uncertainty"]
    assert {s["name"] for s in chance["sources"]} >= {"lateral_mm", "registration_mm"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("empty zone", "empty mask"),
        ("other grid", "voxels"),
        ("no labels", "--labels"),
        ("newer plan", "newer irplan"),
        ("edited", "changed after it was reviewed"),
        ("damaged", "$.placements[0].needle.tip_mm"),
        ("both", "leave one out"),
        ("preset", "one of robot"),
    ],
)
def test_wrong_input_is_named(folder: Path, tmp_path: Path, change: str, words: str) -> None:
    plan, extra = tmp_path / "plan.json", ["--labels", folder / "labels.nii.gz"]
    extra += ["--target", folder / "target.nii.gz"]
    signed = {"who": "Dr. A", "why": "seen", "when": "2026-11-24"}
    write_plan(set_review(a_plan(), "reviewed", **signed), plan)
    data = json.loads(plan.read_text())
    zone = tmp_path / "zone.nii.gz"
    if change == "empty zone":
        write_mask(np.zeros(GRID.shape, bool), GRID, zone)
        extra += ["--zone", zone]
    elif change == "other grid":
        small = GRID.crop((0, 0, 0), (60, 64, 64))
        write_mask(BALL[:60] < 9.0, small, zone)
        extra += ["--zone", zone]
    elif change == "no labels":
        extra = []
    elif change == "newer plan":
        data["schema_version"] = 3
    elif change == "edited":
        data["margin_goal_mm"] = 1.0
    elif change == "damaged":
        data["placements"][0]["needle"]["tip_mm"] = [1, "2", 3]
    elif change == "both":
        extra += ["--zone", folder / "zone.nii.gz", "--robust", "robot"]
    else:
        extra += ["--robust", "steady"]
    plan.write_text(json.dumps(data))
    text = run("evaluate", plan, *extra, "-q", "-o", tmp_path / "out", code=2)
    assert words in text
    assert "Traceback" not in text
    assert not (tmp_path / "out").exists()


def test_two_plans_side_by_side(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "b.json"
    two = a_plan(3.0)
    far = Placement(Needle((-20.0, 17.0, 0.0), (-20.0, -40.0, 0.0)), ROD)
    write_plan(replace(two, placements=(far, *two.placements), margin_goal_mm=5.0), other)
    page = tmp_path / "c.html"
    found = as_json(run("compare-plans", folder, other, "--json"))
    pair, alone = found["needles"]
    assert (pair["a"], pair["b"]) == (1, 2)
    assert pair["tip_mm"] == pytest.approx(3.0)
    assert pair["angle_deg"] == pytest.approx(0.0, abs=1e-4)
    assert (alone["a"], alone["b"]) == (None, 1)
    terms = {t["name"]: t for t in found["plan_terms"]}
    assert terms["margin goal"]["difference"] == pytest.approx(3.0)
    assert terms["schedule"]["verdict"] == "same"
    assert any("Neither plan was evaluated" in n for n in found["notes"])
    text = run("compare-plans", folder, other, "--html", page)
    assert "needle 1 of A = 2 of B" in text
    assert "RESEARCH USE ONLY" in page.read_text()
    moved = replace(a_plan(), frame_of_reference_uid="1.2.3")
    write_plan(moved, other)
    write_plan(replace(moved, frame_of_reference_uid="1.2.4"), tmp_path / "c.json")
    assert "frames of reference" in run("compare-plans", other, tmp_path / "c.json", code=2)


def test_verdicts_are_compared_where_both_were_judged(folder: Path, tmp_path: Path) -> None:
    for name, value, status in (("a", "6.0", "ok"), ("b", "3.0", "warning")):
        (tmp_path / name).mkdir()
        write_plan(a_plan(), tmp_path / name / "plan.json")
        (tmp_path / name / "evaluation.csv").write_text(
            "name,value,unit,limit,status,note,source\n"
            f"minimal ablative margin,{value},mm,>= 5 mm,{status},,\n"
        )
    found = as_json(run("compare-plans", tmp_path / "a", tmp_path / "b", "--json"))
    (term,) = found["judged_terms"]
    assert term["verdict"] == "A better"
    assert term["difference"] == -3.0
    table = tmp_path / "b" / "evaluation.csv"
    table.write_text(table.read_text().replace("3.0", "three"))
    assert "line 2" in run("compare-plans", tmp_path / "a", tmp_path / "b", code=2)
