"""``irplan phantom``: a synthetic abdominal CT with known truth."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from irplan.cli.console import JSON, QUIET, command
from irplan.cli.values import numbers
from irplan.errors import InputError

if TYPE_CHECKING:
    from irplan.phantom.variant import Variant


def phantom(
    out: Path = typer.Option(..., "-o", "--out", help="Folder for ct, labels and facts."),
    seed: int = typer.Option(0, help="Same seed, same patient."),
    phase: str = typer.Option("portal", help="unenhanced, arterial, portal or delayed."),
    diameter: list[float] = typer.Option(
        [20.0], metavar="MM", help="Diameter of a tumour, mm; repeat for several."
    ),
    noise: float = typer.Option(15.0, metavar="HU", help="Standard deviation of the noise, HU."),
    spacing: str | None = typer.Option(
        None, metavar="S,R,C", help="Slice, row and column spacing, mm."
    ),
    variant: list[str] = typer.Option(
        [],
        metavar="NAME=VALUE",
        help="Disease or technique, repeat: steatosis, cirrhosis, ascites_mm, spleen, stomach, "
        "stomach_fill, stomach_shift_mm, contact, bowel_rise_mm, left_lobe_hu, metal, arms_down, "
        "prone, cut_top_mm, cut_bottom_mm, kernel, noise_swell.",
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Generate an abdominal CT with exact labels and known facts (NIfTI and JSON).

    Examples:

    `irplan phantom --seed 7 --phase arterial --diameter 18 --diameter 30 -o phantom7`

    `irplan phantom --variant ascites_mm=12 --variant metal=spine --variant prone=yes -o phantom8`
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
                variant=_variant(variant),
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


def _variant(texts: list[str]) -> Variant:
    """``name=value`` -> `irplan.phantom.Variant`; yes and no for what is on or off."""
    from irplan.phantom.variant import PLAIN

    known = {f.name: getattr(PLAIN, f.name) for f in fields(PLAIN)}
    given: dict[str, bool | float | str] = {}
    for text in texts:
        name, _, value = text.partition("=")
        default = known.get(name)
        if default is None or name in given or not value:
            raise InputError(
                "--variant",
                got=f"{name!r} twice" if name in given else repr(text),
                expected="NAME=VALUE with a name of " + ", ".join(known),
                remedy="For example --variant ascites_mm=12",
            )
        if isinstance(default, bool):
            if value not in ("yes", "no"):
                raise InputError(
                    f"--variant {name}",
                    got=repr(value),
                    expected="yes or no",
                    remedy=f"For example --variant {name}=yes",
                )
            given[name] = value == "yes"
        elif isinstance(default, float):
            given[name] = numbers(
                value, option=f"--variant {name}", separator=",", count=1, example="1"
            )[0]
        else:
            given[name] = value
    return replace(PLAIN, **given)  # type: ignore[arg-type]
