"""``irplan register``: a control scan brought to the planning scan, with a quality report."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import typer

from irplan.cli.console import EXIT_INPUT, JSON, QUIET, command

_MARKS = {"ok": "ok", "warning": "WARNING", "failed": "FAILED", "not checked": "not checked"}


def register(
    plan_scan: Path = typer.Argument(
        ..., metavar="PLAN_CT", show_default=False, help="CT on which was planned."
    ),
    control_scan: Path = typer.Argument(
        ..., metavar="CONTROL", show_default=False, help="CT or cone-beam CT of the procedure."
    ),
    organ: Path | None = typer.Option(
        None, metavar="MASK", help="Liver on the planning CT; without it the map is rigid."
    ),
    landmarks: Path | None = typer.Option(
        None, metavar="JSON", help='{"plan": [[x,y,z],...], "control": [...]}: start and TRE.'
    ),
    plan: Path | None = typer.Option(None, help="Plan to carry over (folder or plan.json)."),
    rigid: bool = typer.Option(False, "--rigid", help="No deformation of the organ."),
    by: str = typer.Option("irplan register", help="Who carries the plan over (its history)."),
    out: Path | None = typer.Option(None, "-o", "--out", help="Folder for report and plan."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Register a control scan: rigid, then deformable in the organ, and say how good it is.

    A plan is carried over only when no row of the report failed.  Exit code 2: one did; report and
    map are written none the less.

    Example:

    `irplan register ct/ cbct/ --organ liver.nii.gz --plan case1 -o registered`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.case.imaging_case import run_register
        from irplan.registration import RegistrationOptions

        when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with console.progress("register") as progress:
            found, data = run_register(
                plan_scan, control_scan, organ=organ, landmarks=landmarks, plan=plan, out=out,
                options=RegistrationOptions(deformable=not rigid), who=by, when=when,
                progress=progress,
            )  # fmt: skip
        console.say(f"Registration: {_MARKS[found.quality.status]}   (research use only)")
        for r in found.quality.rows:
            value = "-" if r.value is None else r.shown
            console.say(
                f"  {_MARKS[r.status]:<11}  {r.name}: {value}  (warns at {r.warn:g}, fails at "
                f"{r.fail:g})" + (f"  {r.note}" if r.note else "")
            )
        if found.error_mm is not None:
            console.say(
                f"  target error {found.error_mm:.1f} mm to reckon with: {found.error_from}"
            )
        for note in data["notes"]:
            console.say(f"  note         {note}")
        if out is not None:
            console.say(f"Written: {out}")
        console.result(data)
    if found.quality.status == "failed":
        raise typer.Exit(EXIT_INPUT)
