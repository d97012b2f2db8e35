"""``irplan demo``: the whole chain on a generated abdomen."""

from __future__ import annotations

from pathlib import Path

import typer

from irplan.cli.console import JSON, QUIET, command
from irplan.cli.plan import show_plan


def demo(
    out: Path = typer.Option(
        Path("irplan-demo"), "-o", "--out", help="Folder for the results; replaced if irplan's."
    ),
    seed: int = typer.Option(5, help="Another seed, another patient."),
    diameter: float = typer.Option(18.0, metavar="MM", help="Diameter of the tumour, mm."),
    picture_3d: bool = typer.Option(True, "--3d/--no-3d", help="Make the 3D picture."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Run the main job on built-in input: a synthetic CT, segmented, planned, simulated, reported.

    Nothing is downloaded and no patient data is used.
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.case.run import run_demo

        with console.progress("demo") as progress:
            outcome = run_demo(
                out, seed=seed, diameter_mm=diameter, picture_3d=picture_3d, progress=progress
            )
        show_plan(console, outcome.case, out, outcome.messages)
