"""`irplan phantom`: variants given as words reach the generator; mistakes are named."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from irplan.cli.app import app


def test_variants_reach_the_patient(tmp_path):
    out = tmp_path / "p"
    run = CliRunner().invoke(
        app,
        ["phantom", "-o", str(out), "--spacing", "10,5,5", "--phase", "delayed", "-q",
         "--variant", "ascites_mm=12", "--variant", "prone=yes", "--variant", "kernel=soft"],
    )  # fmt: skip
    assert run.exit_code == 0, run.output
    settings = json.loads((out / "facts.json").read_text())["settings"]
    variant = settings["variant"]
    assert (variant["ascites_mm"], variant["prone"], variant["kernel"]) == (12.0, True, "soft")
    assert (variant["metal"], variant["spleen"]) == ("none", 1.0)
    assert settings["phase"] == "delayed"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("ascites=12", "ascites_mm"),
        ("ascites_mm", "NAME=VALUE"),
        ("ascites_mm=much", "--variant ascites_mm"),
        ("ascites_mm=99", "0 to 30"),
        ("prone=maybe", "yes or no"),
        ("metal=gold", "clips"),
    ],
)
def test_mistakes_are_named(tmp_path, given, words):
    run = CliRunner().invoke(app, ["phantom", "-o", str(tmp_path / "p"), "-q", "--variant", given])
    assert run.exit_code == 2, run.output
    assert words in " ".join(run.output.split())
    assert not (tmp_path / "p").exists()


def test_one_variant_twice_is_named(tmp_path):
    twice = ["--variant", "spleen=2", "--variant", "spleen=3"]
    run = CliRunner().invoke(app, ["phantom", "-o", str(tmp_path / "p"), "-q", *twice])
    assert run.exit_code == 2
    assert "twice" in run.output
