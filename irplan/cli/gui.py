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
    fluoro: bool = typer.Option(
        False, "--fluoro", help="The fluoroscopy bench instead; CASE is a DICOM XA or RF run."
    ),
) -> None:
    """Open the planner: from a CT to a draft report by mouse or keyboard.

    With --fluoro: a run beside its filtered twin, with figures of a region (for physicists).

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
                expected="a DICOM run"
                if fluoro
                else "a saved case, a DICOM folder, a NIfTI file, or sample:demo",
                remedy="Check the path.",
            )
        _refuse_bad_binding()
        trouble = _display_trouble()
        if trouble:
            raise InputError(
                "display", got=trouble, expected="a desktop (X11 or Wayland)",
                remedy="Start it on a machine with a screen, or under: xvfb-run irplan gui",
            )  # fmt: skip
        from irplan_planner.widgets.app import run, run_fluoro

        raise typer.Exit(run_fluoro(case) if fluoro else run(case))


def _refuse_bad_binding() -> None:
    """PySide6 6.12.0 drops a reference to None at each call, which ends Python 3.11 at last."""
    import PySide6
    from PySide6.QtCore import QObject

    probe, calls = QObject(), 50
    before = sys.getrefcount(None)
    for _ in range(calls):
        probe.setObjectName("x")
    if sys.getrefcount(None) - before <= -calls // 2:
        raise InputError(
            "PySide6",
            got=f"{PySide6.__version__}, which aborts Python {sys.version_info.major}."
            f"{sys.version_info.minor} after some thousand calls (a fault in PySide6)",
            expected="another version of PySide6, or Python 3.12 and later",
            remedy="pip install 'PySide6-Essentials!=6.12.0'",
        )


def _display_trouble() -> str:
    import os

    if not sys.platform.startswith("linux") or os.environ.get("QT_QPA_PLATFORM"):
        return ""
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return ""
    return "neither DISPLAY nor WAYLAND_DISPLAY is set"
