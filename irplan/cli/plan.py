"""``irplan plan``: CT and target in, simulated, judged and reported plan out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from irplan.cli.console import JSON, QUIET, Console, command
from irplan.cli.values import parse_point, parse_probes, parse_schedule

if TYPE_CHECKING:
    from irplan.planning.case import PlannedCase


def plan(
    ct: Path = typer.Argument(
        ..., help="CT: a DICOM folder or a NIfTI file.", metavar="CT", show_default=False
    ),
    out: Path = typer.Option(
        ..., "-o", "--out", help="Folder for the results; made new, or replaced if irplan made it."
    ),
    target_mask: Path | None = typer.Option(
        None, help="Tumour mask on the CT's grid: NIfTI file or DICOM folder (not zero = tumour)."
    ),
    target_point: str | None = typer.Option(
        None, metavar="X,Y,Z", help="Middle of the tumour, LPS mm (with --target-diameter)."
    ),
    target_diameter: float | None = typer.Option(
        None, metavar="MM", help="Diameter of the tumour, mm (with --target-point)."
    ),
    margin: float = typer.Option(5.0, metavar="MM", help="Margin to reach all round, mm."),
    probes: str = typer.Option(
        "auto", metavar="auto|N", help="Number of cryoprobes; auto = as few as reach the margin."
    ),
    applicator: str = typer.Option(
        "auto", help="Cryoprobe class of the catalogue; auto = least ice that covers the target."
    ),
    lethal_temperature: float = typer.Option(
        -20.0, metavar="DEGC", help="Isotherm that counts as lethal; -40 is the cautious choice."
    ),
    schedule: str = typer.Option(
        "10-8-10", metavar="MIN-MIN-MIN", help="Minutes of freeze-thaw-freeze."
    ),
    series: str | None = typer.Option(
        None, metavar="UID", help="SeriesInstanceUID when the folder holds several series."
    ),
    seed: int = typer.Option(0, help="Same seed, same plan, byte for byte."),
    outside_liver: bool = typer.Option(
        False, "--outside-liver", help="Plan although the target is not in the segmented liver."
    ),
    picture_3d: bool = typer.Option(True, "--3d/--no-3d", help="Make the 3D picture."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Plan a cryoablation of a liver tumour and write plan, zones, figures and a draft report.

    The liver, vessels, bone, lung, gas and gallbladder are segmented, needle paths are searched
    under hard rules, the ice is simulated, and the margins are judged.

    Examples:

    `irplan plan scan/ --target-mask tumour.nii.gz -o out`

    `irplan plan ct.nii.gz --target-point -62,18,-140 --target-diameter 22 --margin 8 -o out`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.ablation.lethal import LethalRule
        from irplan.case.run import PlanRequest, run_plan
        from irplan.planning.case import PlanOptions

        phases = parse_schedule(schedule)
        request = PlanRequest(
            ct=ct,
            out=out,
            target_mask=target_mask,
            target_point_mm=None if target_point is None else parse_point(target_point),
            target_diameter_mm=target_diameter,
            series_uid=series,
            outside_liver=outside_liver,
            picture_3d=picture_3d,
            options=PlanOptions(
                margin_mm=margin,
                probes=parse_probes(probes),
                applicator=applicator,
                seed=seed,
                lethal=LethalRule(lethal_temperature, phases.freeze_count),
                schedule=phases,
            ),
        )
        with console.progress("plan") as progress:
            outcome = run_plan(request, progress=progress)
        show_plan(console, outcome.case, out, outcome.messages)


def _shown(value: float, unit: str) -> str:
    """One decimal, but never rounded up to all of it."""
    return "> 99.9" if unit == "%" and 99.9 < value < 100.0 else f"{value:.1f}"


def show_plan(console: Console, case: PlannedCase, out: Path, messages: tuple[str, ...]) -> None:
    """Print the verdict on a plan for a person, or as JSON."""
    evaluation, plan = case.evaluation, case.plan
    marks = {"ok": "ok", "warning": "WARNING", "error": "ERROR", "not_checked": "not checked"}
    kind = plan.placements[0].applicator.name
    if evaluation.status == "error":
        failed = ", ".join(row.name for row in evaluation.rows if row.status == "error")
        typer.echo(f"irplan: this plan FAILED its checks: {failed}", err=True)
    console.say(
        f"{len(plan.placements)} x {kind}: minimal margin {evaluation.minimal_margin_mm:.1f} mm "
        f"(goal {plan.margin_goal_mm:.1f}), target covered {100 * evaluation.target_coverage:.1f} %"
    )
    for row in evaluation.rows:
        value = "-" if row.value is None else f"{_shown(row.value, row.unit)} {row.unit}"
        console.say(f"  {marks[row.status]:<11}  {row.name}: {value}  ({row.limit})")
    for message in messages:
        console.say(f"  note         {message}")
    console.say(f"DRAFT report: {out / 'report.html'}   (research use only)")
    console.result(
        {
            "out": str(out),
            "probes": len(plan.placements),
            "applicator": kind,
            "minimal_margin_mm": round(evaluation.minimal_margin_mm, 3),
            "minimal_margin_at_lps_mm": [round(v, 3) for v in evaluation.minimal_margin_at_mm],
            "target_coverage": round(evaluation.target_coverage, 5),
            "margin_coverage": round(evaluation.margin_coverage, 5),
            "status": evaluation.status,
            "rows": [
                {
                    "name": row.name,
                    "value": row.value,
                    "unit": row.unit,
                    "limit": row.limit,
                    "status": row.status,
                    "note": row.note,
                }
                for row in evaluation.rows
            ],
            "messages": list(messages),
        }
    )
