"""``irplan gui``: the planner's window."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import typer

from irplan.cli.console import command
from irplan.errors import InputError, MissingExtraError


def gui(
    case: str | None = typer.Argument(
        None, help="A saved case, a DICOM folder, a NIfTI file, or sample:demo."
    ),
) -> None:
    """Open the planner: from a CT to a draft report by mouse or keyboard.

    Needs the extra 'gui' and a display; nothing is uploaded and no server is started.
    """
    with command(quiet=False, as_json=False):
        for package in ("PySide6", "pyvistaqt"):
            if importlib.util.find_spec(package) is None:
                raise MissingExtraError("irplan gui", package=package, extra="gui")
        if case is not None and not case.startswith("sample:") and not Path(case).exists():
            raise InputError(
                "case",
                got=f"'{case}', where nothing is",
                expected="a saved case, a DICOM folder, a NIfTI file, or sample:demo",
                remedy="Check the path.",
            )
        trouble = _display_trouble()
        if trouble:
            raise InputError(
                "display", got=trouble, expected="a desktop (X11 or Wayland)",
                remedy="Start it on a machine with a screen, or under: xvfb-run irplan gui",
            )  # fmt: skip
        from irplan_planner.widgets.app import run

        raise typer.Exit(run(case))


def _display_trouble() -> str:
    import os

    if not sys.platform.startswith("linux") or os.environ.get("QT_QPA_PLATFORM"):
        return ""
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return ""
    return "neither DISPLAY nor WAYLAND_DISPLAY is set"
