"""``irplan applicators``: the catalogue and a user's own file; limits, zones, calibration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import typer

from irplan.cli.columns import columns
from irplan.cli.console import JSON, QUIET, Console, command
from irplan.errors import InputError

if TYPE_CHECKING:
    from irplan.ablation.applicator import Applicator


def applicators(
    name: str | None = typer.Argument(None, help="One applicator in full; all without it."),
    file: Path | None = typer.Option(
        None, "--file", metavar="MINE.toml", help="Your own applicators besides the catalogue's."
    ),
    kind: str | None = typer.Option(None, metavar="cryo|rfa|mwa|ire", help="Only this kind."),
    as_toml: bool = typer.Option(
        False, "--toml", help="Print NAME as an entry to start a file of your own from."
    ),
    calibrate: bool = typer.Option(
        False, "--calibrate", help="Fit NAME's strength to its published zones; shows what is left."
    ),
    zone: list[str] = typer.Option(
        [],
        metavar="SHORTxLONG@MIN[@W]",
        help="With --calibrate: your own zone, e.g. 32x45@10@40 "
        "(mm, minutes, W for heat; 32@15 without a length); repeat for several.",
    ),
    tissue: str = typer.Option("liver", help="With --zone: the tissue it was measured in."),
    level: float | None = typer.Option(
        None,
        metavar="DEGC",
        help="With --zone: the isotherm measured; without it the ice's edge or the dead zone.",
    ),
    out: Path | None = typer.Option(
        None, "-o", "--out", metavar="MINE.toml", help="With --calibrate: write the fitted entry."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """List the applicators that can be simulated, with limits, published zones and sources.

    Examples:

    `irplan applicators --kind cryo`

    `irplan applicators cryo-17g-sphere --toml > mine.toml`

    `irplan applicators cryo-17g-sphere --calibrate --zone 32x37@10 --level 0 -o mine.toml`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.ablation.catalogue import APPLICATORS, CATALOGUE_VERSION
        from irplan.ablation.device import Kind
        from irplan.files.applicator_file import applicators_to_toml, read_applicators

        if kind is not None and kind not in get_args(Kind):
            raise InputError(
                "--kind",
                got=repr(kind),
                expected="one of " + ", ".join(get_args(Kind)),
                remedy="For example --kind cryo",
            )
        known = dict(APPLICATORS) | ({} if file is None else read_applicators(file))
        chosen = {n: a for n, a in known.items() if kind in (None, a.kind)}
        if name is not None:
            chosen = {name: _named(known, name)}
        if as_toml:
            if name is None:
                raise InputError(
                    "--toml", got="no name", expected="one applicator", remedy="Give its name."
                )
            typer.echo(applicators_to_toml([_renamed(known[name])]), nl=False)
            return
        if calibrate:
            from irplan.cli.calibrate import run_calibration

            if name is None:
                raise InputError(
                    "--calibrate", got="no name", expected="one applicator", remedy="Give its name."
                )
            run_calibration(console, known[name], zone, tissue=tissue, level_c=level, out=out)
            return
        if zone or out is not None:
            raise InputError(
                "--zone" if zone else "--out",
                got="without --calibrate",
                expected="--calibrate as well",
                remedy="irplan applicators NAME --calibrate --zone 32x37@10",
            )
        console.result(
            {
                "version": CATALOGUE_VERSION,
                "applicators": {n: applicator_data(a) for n, a in chosen.items()},
            }
        )
        console.say(f"Applicator catalogue {CATALOGUE_VERSION} (research use only)")
        if name is None:
            _list(console, chosen)
        else:
            _one(console, chosen[name])


def _named(known: dict[str, Applicator], name: str) -> Applicator:
    from difflib import get_close_matches

    if name not in known:
        near = get_close_matches(name, known, 1, 0.5)
        raise InputError(
            "NAME",
            got=repr(name),
            expected="one of " + ", ".join(known),
            remedy=f"Did you mean '{near[0]}'?" if near else "Give one of these names.",
        )
    return known[name]


def _renamed(applicator: Applicator) -> Applicator:
    from dataclasses import replace

    return replace(applicator, name=f"my-{applicator.name}")


def applicator_data(applicator: Applicator) -> dict[str, Any]:
    """Everything about an applicator as plain data."""
    from dataclasses import asdict

    data = asdict(applicator)
    if data["device"] is not None:
        data["device"]["tines"] = [list(map(list, t)) for t in data["device"].get("tines", ())]
        if not data["device"]["tines"]:
            del data["device"]["tines"]
    return data


def _list(console: Console, chosen: dict[str, Applicator]) -> None:
    heads = ("name", "kind", "shaft mm", "active mm", "at degC", "limits", "published zones")
    rows = [
        (
            n,
            a.kind,
            f"{a.shaft_diameter_mm:g}",
            f"{a.active_length_mm:g}",
            f"{a.working_temperature_c:g}" if a.kind == "cryo" or _cooled(a) else "",
            _limits(a),
            "; ".join(_zone(z) for z in a.zones) or "none",
        )
        for n, a in chosen.items()
    ]
    console.say(columns(heads, rows))
    console.say("One in full with its sources: irplan applicators NAME")


def _one(console: Console, a: Applicator) -> None:
    from dataclasses import fields

    console.say(f"{a.name} ({a.kind})")
    for field in fields(a):
        if field.name not in ("name", "kind", "device", "zones"):
            console.say(f"  {field.name:<28} {getattr(a, field.name)}")
    if a.device is not None:
        for field in fields(a.device):
            console.say(f"  device.{field.name:<21} {getattr(a.device, field.name)}")
    console.say("  published zones:" if a.zones else "  no published zone")
    for zone in a.zones:
        console.say(f"    {_zone(zone)}: {zone.setting}, {zone.tissue}  ({zone.source})")


def _cooled(a: Applicator) -> bool:
    return bool(getattr(a.device, "cooled", False))


def _limits(a: Applicator) -> str:
    device = a.device
    parts = [
        f"{getattr(device, key):g} {unit}"
        for key, unit in (("max_power_w", "W"), ("max_voltage_v", "V"), ("max_current_a", "A"))
        if hasattr(device, key)
    ]
    return ", ".join([*parts, f"{getattr(device, 'max_probes', 0)} at once"])


def _zone(zone: Any) -> str:
    size = f"{zone.short_mm:g}" + ("" if zone.long_mm is None else f" x {zone.long_mm:g}")
    level = "" if zone.level_c is None else f" at {zone.level_c:g} degC"
    power = "" if zone.power_w is None else f" {zone.power_w:g} W"
    return f"{size} mm{level}{power} {zone.duration_s / 60:g} min"
