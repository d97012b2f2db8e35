"""A problem file in, a complete folder out - or nothing at all."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from irplan.case.simulate_case import SIMULATION_FILES, run_simulation
from irplan.errors import CancelledError, OutputError
from irplan.files import example_problem, read_labels, read_volume
from irplan.files.problem_file import EXAMPLES

TINY = """
schema = "irplan-problem"
schema_version = 1
[problem]
name = "tiny"
[tissue]
uniform = "liver"
margin_mm = 24
[[applicator]]
name = "cryo-17g-seed"
tip_mm = [0, 0, 0]
entry_mm = [0, 0, 100]
[schedule]
phases = [{kind = "freeze", minutes = 4}]
[solver]
spacing_mm = 2.0
frames = 3
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("simulate")
    (root / "p.toml").write_text(TINY)
    run_simulation(root / "p.toml", root / "out")
    return root / "out"


def test_every_promised_file_is_there(folder: Path):
    for name in SIMULATION_FILES:
        assert (folder / name).exists(), name
    readme = (folder / "README.txt").read_text()
    assert all(name in readme for name in SIMULATION_FILES)
    assert "RESEARCH USE ONLY" in readme
    assert (folder / "problem.toml").read_text() == TINY


def test_numbers_agree_between_the_files(folder: Path):
    summary = json.loads((folder / "summary.json").read_text())
    ice = summary["zones"]["ice"]
    temperature = read_volume(folder / "volumes" / "temperature.nii.gz", "degC")
    by_voxel = (temperature.array <= 0).sum() * temperature.grid.voxel_volume_mm3 / 1000
    # sub-voxel volume against a count of 2 mm voxels
    assert ice["volume_ml"] == pytest.approx(by_voxel, rel=0.05)
    assert ice["length_mm"] > ice["width_mm"] > summary["zones"]["minus_40"]["width_mm"] > 0
    assert ice["radius_mm"] == pytest.approx(ice["width_mm"] / 2)
    labels = read_labels(folder / "zones.nii.gz")
    inside = labels.mask("ice", "minus_20", "minus_40", "lethal")
    assert np.array_equal(inside, temperature.array <= 0)
    rows = list(csv.DictReader((folder / "table.csv").read_text().splitlines()))
    assert {r["zone"] for r in rows} == set(summary["zones"])
    trace = list(csv.DictReader((folder / "trace.csv").read_text().splitlines()))
    assert float(trace[-1]["time_s"]) == pytest.approx(240.0)
    assert float(trace[-1]["frozen_volume_cm3"]) == pytest.approx(by_voxel, rel=0.05)
    assert summary["energy_j"]["residual_fraction"] <= 1e-3


def test_the_report_says_what_it_is(folder: Path):
    page = (folder / "report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    for words in ("RESEARCH USE ONLY", "tiny", "Energy balance", "data:image/gif", "cryo-17g-seed"):
        assert words in page
    assert "<script" not in page


def test_a_cancelled_run_leaves_nothing(tmp_path: Path):
    (tmp_path / "p.toml").write_text(TINY)

    def stop(fraction: float, message: str) -> None:
        if fraction > 0.7:
            raise CancelledError("simulate")

    with pytest.raises(CancelledError):
        run_simulation(tmp_path / "p.toml", tmp_path / "out", progress=stop)
    assert [p.name for p in tmp_path.iterdir()] == ["p.toml"]


def test_a_foreign_folder_is_refused_before_the_solve(tmp_path: Path):
    (tmp_path / "p.toml").write_text(TINY)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")

    def never(fraction: float, message: str) -> None:
        raise AssertionError("solved first")

    with pytest.raises(OutputError):
        run_simulation(tmp_path / "p.toml", tmp_path / "out", progress=never)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_the_examples_run(kind: str, tmp_path: Path):
    """On coarse voxels, shortened and in a small box; the full ones are in docs/simulate.md."""
    text = example_problem(kind)
    for old, new in (
        ("spacing_mm = 1.0", "spacing_mm = 2.0"),
        ("minutes = 12", "minutes = 1"),
        ("minutes = 10", "minutes = 3"),
        ("minutes = 8", "minutes = 2"),
        ("margin_mm = 32", "margin_mm = 20"),
        ("margin_mm = 45", "margin_mm = 20"),
        ("margin_mm = 30", "margin_mm = 20"),
        ("frames = 30", "frames = 2"),
    ):
        text = text.replace(old, new)
    (tmp_path / "p.toml").write_text(text)
    outcome = run_simulation(tmp_path / "p.toml", tmp_path / "out")
    assert outcome.summary["kind"] == kind
    assert any(m.volume_ml > 0.1 for m in outcome.case.measures)
    assert outcome.case.result.energy.residual_fraction <= 1e-3
