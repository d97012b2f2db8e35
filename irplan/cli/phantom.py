"""``irplan phantom``: a synthetic abdominal CT with known truth."""

from __future__ import annotations

from pathlib import Path

import typer

from irplan.cli.console import JSON, QUIET, command
from irplan.cli.values import numbers
from irplan.errors import InputError


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
        from irplan.case.phantom import write_phantom
        from irplan.phantom.tissues import PHASES

        known_phase = next((p for p in PHASES if p == phase), None)
        if known_phase is None:
            raise InputError(
                "--phase",
                got=repr(phase),
                expected="one of " + ", ".join(PHASES),
                remedy="For example --phase arterial",
            )
        step = None
        if spacing is not None:
            a, b, c = numbers(spacing, option="--spacing", separator=",", count=3, example="2,1,1")
            step = (a, b, c)
        with console.progress("phantom") as progress:
            facts = write_phantom(
                out,
                seed=seed,
                phase=known_phase,
                diameters_mm=tuple(diameter),
                noise_hu=noise,
                spacing_mm=step,
                progress=progress,
            )
        known = facts["facts"]
        console.say(f"Synthetic patient, seed {seed}, {phase} phase (research use only): {out}")
        console.say(f"  liver {known['liver_volume_ml']:.0f} ml")
        for tumour in known["tumours"]:
            x, y, z = tumour["centre_mm"]
            console.say(
                f"  tumour {tumour['equivalent_diameter_mm']:.1f} mm at LPS "
                f"{x:.1f},{y:.1f},{z:.1f} mm; {tumour['distance_to_vessel_mm']:.1f} mm from a "
                f"vessel >= 3 mm, {tumour['distance_to_capsule_mm']:.1f} mm from the capsule"
            )
        console.result(facts)
