"""``irplan dose`` from files to files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from irplan.cli.app import app


def run(*args: object) -> Result:
    return CliRunner().invoke(app, ["dose", *map(str, args)])


@pytest.mark.data
def test_files_to_tables_figure_and_page(
    shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shared_data("rdsr")
    file = folder / "siemens_axiom_example_procedure.dcm"
    out = run(file, file, "--csv", tmp_path / "e.csv", "--plot", tmp_path / "d.png", "--html",
              tmp_path / "d.html", "--procedure", "tace", "--json", "-q")  # fmt: skip
    assert out.exit_code == 0, out.output
    data = json.loads(out.stdout)["reports"]
    assert len(data) == 1  # the same file twice counts once
    assert data[0]["dap_gy_cm2"] == pytest.approx(2.7902)
    assert {r["status"] for r in data[0]["levels"]} == {"ok", "not_checked"}
    with (tmp_path / "e.csv").open(encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    assert len(rows) == 24
    assert sum(float(r["dap_gy_cm2"]) for r in rows) == pytest.approx(2.7899)
    assert rows[0]["protocol"] == "FL låg High Con."
    assert (tmp_path / "d.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "d.html").read_text(encoding="utf-8")
    assert "RESEARCH USE ONLY" in page
    assert "Patient" not in page


@pytest.mark.data
def test_refusals(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    rdsr = shared_data("rdsr") / "philips_allura_clarity_u601.dcm"
    image = shared_data("xa") / "rubo_0015_rf_biliary.dcm"
    for args, said in (
        ((rdsr, "--procedure", "ablation"), "No level is known for ablation"),
        ((rdsr, "--skin", "python3"), "table position"),
        ((image, "--plot", tmp_path / "x.png"), "0 reports"),
        ((tmp_path / "no.dcm",), "cannot be read"),
    ):
        out = run(*args)
        assert out.exit_code == 2
        assert said in out.output
        assert "Traceback" not in out.output
    assert not list(tmp_path.iterdir())


def test_a_site_s_levels(tmp_path: Path) -> None:
    bad = tmp_path / "levels.toml"
    bad.write_text('schema = "irplan-dose-levels"\nschema_version = 1\n[[alert]]\nquantty = "x"\n')
    out = run(tmp_path / "no.dcm", "--levels", bad)
    assert out.exit_code == 2
    assert "Did you mean 'quantity'" in out.output
