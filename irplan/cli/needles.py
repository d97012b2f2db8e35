"""``irplan needles``: the needles of a scan, and how far they are from the plan."""

from __future__ import annotations

from pathlib import Path

import typer

from irplan.cli.console import JSON, QUIET, command


def needles(
    ct: Path = typer.Argument(
        ..., metavar="CT", show_default=False, help="CT or cone-beam CT: DICOM folder or NIfTI."
    ),
    plan: Path | None = typer.Option(None, help="Plan (folder or plan.json) to compare with."),
    out: Path | None = typer.Option(None, "-o", "--out", help="JSON file for the result."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Find every needle: tip, axis, diameter, uncertainty; with a plan: lateral, depth, angle.

    Example:

    `irplan needles control/ --plan case1 -o needles.json`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.case.imaging_case import run_needles

        with console.progress("needles") as progress:
            data = run_needles(ct, plan=plan, out=out, progress=progress)
        for k, n in enumerate(data["needles"], start=1):
            tip = ", ".join(f"{v:.1f}" for v in n["tip_mm"])
            console.say(
                f"  needle {k}: tip {tip} mm LPS (sd {n['tip_along_sd_mm']:.2f} along, "
                f"{n['tip_lateral_sd_mm']:.2f} across), {n['length_mm']:.0f} mm seen, shaft "
                f"{n['diameter_mm']:.1f} mm, axis sd {n['angle_sd_deg']:.2f} deg, leaves by the "
                f"{n['exit']}"
            )
            for note in n["notes"]:
                console.say(f"    {note}")
        for r in data["set_aside"]:
            console.say(f"  set aside: {r['length_mm']:.0f} mm, {r['reason']}")
        if "matches" in data:
            m = data["matches"]
            for p in m["pairs"]:
                console.say(
                    f"  planned {p['planned']} is needle {p['found']}: lateral "
                    f"{p['lateral_mm']:.1f} mm, depth {p['depth_mm']:+.1f} mm, angle "
                    f"{p['angle_deg']:.1f} deg, entry {p['entry_mm']:.1f} mm off"
                )
            for k in m["missing"]:
                console.say(f"  WARNING      planned needle {k} was not found in the scan")
            for k in m["extra"]:
                console.say(f"  WARNING      needle {k} belongs to no planned one")
        for note in data["notes"]:
            console.say(f"  note         {note}")
        if out is not None:
            console.say(f"Written: {out}   (research use only)")
        console.result(data)
