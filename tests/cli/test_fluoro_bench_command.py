"""``irplan fluoro bench`` and ``phantom``: recorded runs, bad requests, pylinac apart."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from irplan.cli.app import app


def run(*args: object) -> Result:
    return CliRunner().invoke(app, ["fluoro", *map(str, args)])


@pytest.mark.data
def test_a_recorded_lossy_run(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    file = shared_data("xa") / "rubo_0002_xa_multiframe.dcm"
    out = run("bench", "--dicom", file, "--filter", "recursive:0.25", "-o", tmp_path / "b", "-q",
              "--json")  # fmt: skip
    assert out.exit_code == 0, out.output
    data = json.loads(out.stdout)
    rows = {r["filter_name"]: r for r in data["rows"]}
    assert rows["raw"]["noise_left"] == 1.0
    assert rows["recursive:0.25"]["frame_correlation"] > rows["raw"]["frame_correlation"]
    assert rows["recursive:0.25"]["motion_loss"] > 2.0  # it smears what moves
    # peers need the detector's gain: refused by name, not dropped
    assert {name for name, _ in data["refused"]} >= {"nvca", "tv"}
    assert any("lossy" in note for note in data["notes"])
    page = (tmp_path / "b" / "bench.html").read_text(encoding="utf-8")
    assert "RESEARCH USE ONLY" in page


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("bench", "--dose", "1"), "two or more different shares"),
        (("bench", "--dose", "a,b"), "--dose"),
        (("bench", "--scene", "flat"), "no device"),
        (("bench", "--level", "huge"), "quick, standard or full"),
        (("bench", "--filter", "no.such.module:f", "--level", "quick"), "no.such.module"),
        (("bench", "--dicom", "absent.dcm"), "absent.dcm"),
        (("phantom", "absent.dcm", "--pylinac", sys.executable), "no such file"),
        (("phantom", __file__, "--pylinac", "/no/python"), "when starting"),
        (("phantom", __file__, "--pylinac", sys.executable), "pylinac"),
    ],
)
def test_bad_requests(args: tuple[str, ...], said: str) -> None:
    out = run(*args)
    assert out.exit_code in (2, 5)
    assert said in out.output
    assert "Traceback" not in out.output
