"""``irplan applicators NAME --calibrate``: one constant fitted to zones, and what is left over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from irplan.cli.columns import columns
from irplan.cli.console import Console
from irplan.errors import InputError

if TYPE_CHECKING:
    from irplan.ablation.applicator import Applicator
    from irplan.ablation.zones import PublishedZone

_EXAMPLE = "For example --zone 32x45@10@40: 32 mm across, 45 mm along, 10 min at 40 W."


def run_calibration(
    console: Console,
    applicator: Applicator,
    zones: Sequence[str],
    *,
    tissue: str,
    level_c: float | None,
    out: Path | None,
) -> None:
    """Fit ``applicator`` to ``zones`` (its published ones where none is given) and show it."""
    from irplan.ablation.calibrate import calibrate
    from irplan.files import write_applicators

    own = tuple(parse_zone(z, tissue=tissue, level_c=level_c) for z in zones)
    with console.progress("calibrate") as progress:
        found = calibrate(applicator, own or None, progress=progress)
    fitted = replace(
        found.applicator,
        name=f"my-{applicator.name}",
        source=f"{applicator.source}; {found.constant} fitted by irplan to "
        f"{len(found.residuals)} zones, rms {found.rms_mm:.1f} mm [M]",
        zones=own or applicator.zones,
    )
    console.say(f"{applicator.name}: {found.words}")
    console.say(f"  before {found.before:.4g}, residual rms {found.rms_mm:.2f} mm")
    rows = [
        (
            f"{r.zone.short_mm:g}",
            f"{r.simulated.mean_mm:.1f}",
            f"{r.short_error_mm:+.1f}",
            "" if r.zone.long_mm is None else f"{r.zone.long_mm:g}",
            f"{r.simulated.long_mm:.1f}",
            "" if r.long_error_mm is None else f"{r.long_error_mm:+.1f}",
            r.zone.setting,
        )
        for r in found.residuals
    ]
    heads = ("across mm", "simulated", "error", "along mm", "simulated", "error", "zone")
    console.say(columns(heads, rows))
    if out is not None:
        write_applicators([fitted], out)
        console.say(f'Written: {out}   (use it with applicators = "{out.name}" in a problem file)')
    console.result(
        {
            "applicator": applicator.name,
            "constant": found.constant,
            "unit": found.unit,
            "before": found.before,
            "value": found.value,
            "at_limit": found.at_limit,
            "rms_mm": found.rms_mm,
            "residuals": [
                {
                    "setting": r.zone.setting,
                    "short_mm": r.zone.short_mm,
                    "long_mm": r.zone.long_mm,
                    "short_error_mm": r.short_error_mm,
                    "long_error_mm": r.long_error_mm,
                }
                for r in found.residuals
            ],
        }
    )


def parse_zone(text: str, *, tissue: str, level_c: float | None) -> PublishedZone:
    """``"32x45@10@40"`` -> a zone of 32 x 45 mm after 10 min at 40 W."""
    from irplan.ablation.zones import PublishedZone

    parts = text.split("@")
    try:
        sizes = [float(v) for v in parts[0].split("x")]
        minutes, *power = (float(v) for v in parts[1:])
        if len(sizes) > 2 or len(power) > 1:
            raise ValueError
    except ValueError:
        raise InputError(
            "--zone", got=repr(text), expected="SHORTxLONG@MINUTES[@WATT]", remedy=_EXAMPLE
        ) from None
    return PublishedZone(
        short_mm=sizes[0],
        long_mm=sizes[1] if len(sizes) == 2 else None,
        setting=f"own zone {text}",
        duration_s=60.0 * minutes,
        level_c=level_c,
        power_w=power[0] if power else None,
        tissue=tissue,
        source="given on the command line [M]",
    )
