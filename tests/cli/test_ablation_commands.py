"""simulate, applicators, tissue and validate as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from irplan.ablation import APPLICATORS, TISSUES, evidence
from irplan.ablation.evidence import EvidenceCase, EvidenceRow
from irplan.cli.app import app
from irplan.cli.columns import columns
from irplan.files.applicator_file import read_applicators

RUN = CliRunner()
TINY = """
schema = "irplan-problem"
schema_version = 1
[tissue]
uniform = "liver"
box_mm = [60, 60, 80]
[[applicator]]
name = "cryo-17g-seed"
tip_mm = [0, 0, 0]
entry_mm = [0, 0, 100]
[schedule]
phases = [{kind = "freeze", minutes = 2}]
[solver]
spacing_mm = 2.0
frames = 0
"""


def four_lines(stderr: str) -> None:
    lines = stderr.strip().splitlines()
    assert lines[0].startswith("irplan: ")
    assert [line.split()[0] for line in lines[1:4]] == ["got", "expected", "remedy"]
    assert "Traceback" not in stderr


def test_simulate_prints_zones_and_json(tmp_path: Path):
    (tmp_path / "p.toml").write_text(TINY)
    out = tmp_path / "out"
    result = RUN.invoke(app, ["simulate", str(tmp_path / "p.toml"), "-o", str(out), "--json"])
    assert result.exit_code == 0, result.stderr
    data = json.loads(result.stdout)
    assert data["zones"]["ice"]["volume_ml"] > 1.0
    assert (out / "report.html").is_file()
    assert not (out / "animation.gif").exists()


@pytest.mark.parametrize("kind", ["cryo", "rfa", "mwa", "ire"])
def test_examples_are_printed(kind: str):
    result = RUN.invoke(app, ["simulate", "--example", kind])
    assert result.exit_code == 0
    assert 'schema = "irplan-problem"' in result.stdout


#: The bad inputs of the contract: what is changed, and words that the message must hold.
BAD = {
    "negative property": ("[solver]", "[tissue.properties.liver]\ndensity_kg_per_m3 = -5\n[solver]",
                          "1 to 3000"),
    "absurd property": ("[solver]", "[tissue.properties.liver]\nk_frozen_w_per_mk = 900\n[solver]",
                        "0.005 to 5"),
    "NaN": ("[solver]", "[tissue.properties.liver]\nperfusion_per_s = nan\n[solver]", "finite"),
    "probe outside the grid": ("box_mm = [60, 60, 80]",
                               "box_mm = [60, 60, 80]\ncentre_mm = [200, 0, 0]", "outside"),
    "probe in bone": ("[solver]", "[[tissue.region]]\nshape = 'box'\ntissue = 'bone'\n"
                      "centre_mm = [0, 0, 13]\nsize_mm = [9, 9, 9]\n[solver]", "bone"),
    "probe in air": ("[solver]", "[[tissue.region]]\nshape = 'box'\ntissue = 'gas'\n"
                     "centre_mm = [0, 0, 13]\nsize_mm = [9, 9, 9]\n[solver]", "gas"),
    "overlapping probes": ("[schedule]", "[[applicator]]\nname = 'cryo-17g-seed'\n"
                           "tip_mm = [1, 0, 0]\nentry_mm = [1, 0, 100]\n[schedule]", "at least"),
    "schedule beyond the device": ("minutes = 2", "duration_s = 9000", "7200"),
    "heat for a cryoprobe": ("kind = \"freeze\", minutes = 2",
                             "kind = \"power\", minutes = 2, power_w = 50", "freeze"),
    "grid too coarse": ("spacing_mm = 2.0", "spacing_mm = 9.0", "0.25 to 4"),
    "too many voxels": ("box_mm = [60, 60, 80]\n", "box_mm = [500, 500, 500]\n", ""),
    "not TOML": ("[tissue]", "[tissue", "TOML"),
    "no CUDA": ("frames = 0", "frames = 0\nbackend = 'cuda'", "cuda"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_problem_gives_four_lines(name: str, tmp_path: Path):
    old, new, words = BAD[name]
    assert old in TINY
    text = TINY.replace(old, new)
    if name == "too many voxels":
        text = text.replace("spacing_mm = 2.0", "spacing_mm = 0.25")
    (tmp_path / "p.toml").write_text(text)
    out = tmp_path / "out"
    result = RUN.invoke(app, ["simulate", str(tmp_path / "p.toml"), "-o", str(out), "-q"])
    assert result.exit_code in (2, 5), result.output
    four_lines(result.stderr)
    assert words.lower() in result.stderr.lower()
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["simulate"],
        ["simulate", "nowhere.toml", "-o", "out"],
        ["simulate", "--example", "laser"],
        ["applicators", "cryo-17g-red"],
        ["applicators", "--kind", "laser"],
        ["applicators", "--file", "nowhere.toml"],
        ["applicators", "--toml"],
        ["tissue", "livr"],
    ],
)
def test_a_wrong_argument_gives_four_lines(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    result = RUN.invoke(app, arguments)
    assert result.exit_code == 2
    four_lines(result.stderr)


def test_applicators_lists_the_catalogue_and_ones_own(tmp_path: Path):
    text = RUN.invoke(app, ["applicators"], env={"COLUMNS": "160"}).stdout
    assert all(name in text for name in APPLICATORS)
    entry = RUN.invoke(app, ["applicators", "cryo-17g-rod", "--toml"]).stdout
    (tmp_path / "mine.toml").write_text(entry)
    (mine,) = read_applicators(tmp_path / "mine.toml").values()
    assert mine.active_length_mm == APPLICATORS["cryo-17g-rod"].active_length_mm
    listed = RUN.invoke(
        app, ["applicators", "--file", str(tmp_path / "mine.toml"), "--kind", "cryo", "--json"]
    )
    data = json.loads(listed.stdout)["applicators"]
    assert mine.name in data
    assert all(a["kind"] == "cryo" for a in data.values())


def test_tissue_tells_every_constant_with_its_source():
    data = json.loads(RUN.invoke(app, ["tissue", "liver", "--json"]).stdout)
    constants = data["tissues"]["liver"]["constants"]
    for key, quantity in TISSUES["liver"].quantities.items():
        assert constants[key]["value"] == quantity.value
        assert constants[key]["source"]
    text = RUN.invoke(app, ["tissue", "liver"], env={"COLUMNS": "200"}).stdout
    assert "perfusion_per_s" in text
    assert all(name in RUN.invoke(app, ["tissue"]).stdout for name in TISSUES)


def row(measured: float) -> EvidenceRow:
    return EvidenceRow("case", "radius", "closed form", "mm", 10.0, measured, "within", 0.5)


@pytest.mark.parametrize(("measured", "code"), [(10.1, 0), (12.0, 6), (float("nan"), 6)])
def test_validate_prints_the_table_and_its_exit_code_tells(
    measured: float, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def gathered(**options):
        return evidence.cases.gather(
            cases=(EvidenceCase("case", lambda quick: (row(measured),)),), **options
        )

    monkeypatch.setattr(evidence, "gather", gathered)
    page, data = tmp_path / "e.html", tmp_path / "e.json"
    result = RUN.invoke(
        app, ["validate", "ablation", "--quick", "--json", str(data), "--html", str(page)]
    )
    assert result.exit_code == code
    assert ("met" if code == 0 else "MISSED") in result.stdout
    assert json.loads(data.read_text())["rows"][0]["verdict"] == ("met" if code == 0 else "MISSED")
    assert "closed form" in page.read_text()


def test_columns_wrap_the_last_one():
    text = columns(("a", "b"), [("1", "long words " * 20)], width=60)
    assert max(len(line) for line in text.splitlines()) <= 60


def test_calibrate_shows_the_residual_and_writes_an_entry(tmp_path: Path):
    out = tmp_path / "mine.toml"
    result = RUN.invoke(
        app,
        ["applicators", "cryo-17g-seed", "--calibrate", "--zone", "24x34@4", "--level", "0",
         "-o", str(out), "--json", "-q"],
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    data = json.loads(result.stdout)
    assert data["constant"] == "contact_resistance_mk_per_w"
    (residual,) = data["residuals"]
    # 24 mm in 4 min is more than the probe can do: the limit is reached and said
    assert data["at_limit"]
    assert residual["short_error_mm"] < 0
    (mine,) = read_applicators(out).values()
    assert mine.zones[0].short_mm == 24.0


@pytest.mark.parametrize("zone", ["24", "24x", "ax3@4", "24x30x40@4", "24@4@5@6", "24@0", "900@4"])
def test_a_wrong_zone_gives_four_lines(zone: str):
    result = RUN.invoke(app, ["applicators", "cryo-17g-seed", "--calibrate", "--zone", zone, "-q"])
    assert result.exit_code == 2
    four_lines(result.stderr)
