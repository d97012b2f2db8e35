"""``irplan phantom``: a synthetic abdominal CT with known truth."""

from __future__ import annotations

from pathlib import Path

import typer

from irplan.cli.console import JSON, QUIET, command
from irplan.cli.values import numbers


def phantom(
    out: Path = typer.Option(..., "-o", "--out", help="Folder for ct, labels and facts."),
    seed: int = typer.Option(0, help="Same seed, same patient."),
    phase: str = typer.Option("portal", help="unenhanced, arterial or portal."),
    diameter: list[float] = typer.Option(
        [20.0], metavar="MM", help="Diameter of a tumour, mm; repeat for several."
    ),
    noise: float = typer.Option(15.0, metavar="HU", help="Standard deviation of the noise, HU."),
    spacing: str | None = typer.Option(
        None, metavar="S,R,C", help="Slice, row and column spacing, mm."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Generate an abdominal CT with exact labels and known facts (NIfTI and JSON).

    Example: `irplan phantom --seed 7 --phase arterial --diameter 18 --diameter 30 -o phantom7`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.case import write_phantom

        step = None
        if spacing is not None:
            a, b, c = numbers(spacing, option="--spacing", separator=",", count=3, example="2,1,1")
            step = (a, b, c)
        with console.progress("phantom") as progress:
            facts = write_phantom(
                out,
                seed=seed,
                phase=phase,
                diameters_mm=tuple(diameter),
                noise_hu=noise,
                spacing_mm=step,
                progress=progress,
            )
        console.say(f"Synthetic CT, labels and facts: {out}")
        for tumour in facts["tumours"]:
            console.say(f"  tumour {tumour}")
        console.result(facts)
