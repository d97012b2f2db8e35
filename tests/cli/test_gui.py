"""`irplan gui`: what is missing is named, nothing is started."""

from __future__ import annotations

import importlib.util

import pytest
from typer.testing import CliRunner

from irplan.cli.app import app

RUN = CliRunner()


def test_without_the_extra_it_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "PySide6" else find(name, *a)
    )
    done = RUN.invoke(app, ["gui"])
    assert done.exit_code == 5
    assert 'pip install "irplan[gui]"' in done.output


def test_without_a_display_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    done = RUN.invoke(app, ["gui"])
    assert done.exit_code == 2
    assert "DISPLAY" in done.output


def test_a_case_that_is_not_there() -> None:
    done = RUN.invoke(app, ["gui", "no/such/case"])
    assert done.exit_code == 2
    assert "nothing is" in done.output
