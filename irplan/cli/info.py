"""``irplan info FILE``: what a file or folder really holds."""

from __future__ import annotations

from pathlib import Path

import typer

from irplan.cli.console import JSON, QUIET, command


def info(
    file: Path = typer.Argument(
        ..., help="DICOM file or folder, NIfTI image, or irplan plan.json.", show_default=False
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Say what FILE really holds: geometry, values, technique; never who the patient is.

    Example: `irplan info scan/`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.case.describe import describe_file

        with console.progress("info") as progress:
            title, rows = describe_file(file, progress=progress)
        console.say(title)
        width = max((len(name) for name, _ in rows), default=0)
        for name, value in rows:
            console.say(f"  {name:<{width}}  {value}")
        console.result({"title": title, "facts": dict(rows)})
