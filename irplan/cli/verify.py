"""``irplan verify``: planned against achieved, complete or where the margin is short."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from irplan.cli.console import JSON, QUIET, command

if TYPE_CHECKING:
    from irplan.guidance.margin_verdict import MarginVerdict


def verify(
    plan: Path = typer.Argument(
        ..., metavar="PLAN", show_default=False,
        help="Folder that `irplan plan` or `irplan demo` wrote.",
    ),
    out: Path = typer.Option(..., "-o", "--out", help="Folder for verdict, tables and figures."),
    needles: Path | None = typer.Option(
        None, metavar="FILE", help="Needles of the control scan in the plan's frame, LPS mm: "
        "table (.csv), Slicer markups, plan.json or JSON.",
    ),
    ct: Path | None = typer.Option(
        None, metavar="CT", help="Control scan (CT or cone-beam CT) whose needles are recognised; "
        "in the plan's frame, or with --plan-ct.",
    ),
    plan_ct: Path | None = typer.Option(
        None, "--plan-ct", metavar="CT", help="CT that was planned on: the control scan is "
        "registered to it, and the registration's error is reckoned with.",
    ),
    organ: Path | None = typer.Option(
        None, metavar="MASK", help="With --plan-ct: organ on that CT; default the labels' liver."
    ),
    registration: Path | None = typer.Option(
        None, metavar="FOLDER", help="What `irplan register PLAN_CT CONTROL -o FOLDER` wrote, "
        "instead of --plan-ct; its error is reckoned with, measured where landmarks were given.",
    ),
    zone: Path | None = typer.Option(
        None, metavar="MASK", help="Ablation zone seen in the control scan: on the plan's grid, or "
        "on the control scan's with --plan-ct or --registration.",
    ),
    registration_error: float | None = typer.Option(
        None, metavar="MM", help="Target registration error of control scan to plan. Without it, "
        "--plan-ct and --registration, no margin is assessable.",
    ),
    needle_error: float = typer.Option(1.0, metavar="MM", help="Error of a needle's tip."),
    wanted: float | None = typer.Option(
        None, metavar="MM", help="Margin that counts as complete; default the plan's goal."
    ),
    include_extra: bool = typer.Option(
        False, "--include-extra", help="Simulate needles that were not planned too."
    ),
    replan: bool = typer.Option(
        False, "--replan", help="Propose needles to add to those in place."
    ),
    labels: Path | None = typer.Option(None, help="Structures; default labels.nii.gz beside it."),
    target: Path | None = typer.Option(None, help="Target; default target.nii.gz beside it."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:  # fmt: skip
    """Hold a plan against what was done: needles, simulated zone again, zone seen, verdict.

    Verdicts: complete (A0), margin short (and where), or not assessable (and why).

    Examples:

    `irplan verify irplan-demo --needles placed.csv --registration-error 1.5 --replan -o verified`

    `irplan verify case1 --zone control_zone.nii.gz --registration-error 2 -o verified`

    `irplan verify case1 --ct cbct/ --plan-ct ct/ --zone zone_cbct.nii.gz -o verified`

    `irplan verify case1 --ct cbct/ --registration registered -o verified`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.case.verify_case import VerifyRequest, run_verify
        from irplan.files.verification_file import verification_to_data

        request = VerifyRequest(
            plan, out, needles, ct, zone, registration_error, needle_error, wanted, include_extra,
            replan, labels, target, plan_ct, organ, registration,
        )  # fmt: skip
        with console.progress("verify") as progress:
            outcome = run_verify(request, progress=progress)
        done = outcome.done
        report = outcome.registration
        if report is not None:
            error, source = report.get("error_mm"), report.get("error_from")
            shown = "" if error is None else f", target error {error:.1f} mm ({source})"
            console.say(f"  registration     {report['status'].upper()}{shown}")
        for pair in done.matches.pairs:
            e = pair.error
            console.say(
                f"  needle {pair.planned + 1}  lateral {e.lateral_mm:.1f} mm, depth "
                f"{e.depth_mm:+.1f} mm, angle {e.angle_deg:.1f} deg, tip {e.tip_mm:.1f} mm"
            )
        for words, verdict in (
            ("simulated again", done.simulated_verdict),
            ("zone seen", done.seen_verdict),
        ):
            console.say(f"  {words:<16} {verdict.state.upper()}: {verdict.reason}")
            for line in _places(verdict):
                console.say(line)
        if outcome.replan is not None:
            for p in outcome.replan.placements:
                if p.status == "planned":
                    console.say(
                        f"  proposed         {p.applicator.name}: entry "
                        f"({_mm(p.needle.entry_mm)}), tip ({_mm(p.needle.tip_mm)}) mm LPS"
                    )
        for message in outcome.messages:
            console.say(f"  note             {message}")
        console.say(f"Written: {out}   (research use only)")
        console.result(
            {
                **verification_to_data(done, outcome.replan, outcome.registration),
                "messages": list(outcome.messages),
            }
        )


def _places(verdict: MarginVerdict) -> list[str]:
    return [
        f"{'short' if p.certain else 'may be short':>31} at ({_mm(p.at_mm)}) mm LPS: "
        f"{p.margin_mm:.1f} mm, {p.area_mm2:.0f} mm2"
        for p in verdict.places
    ]


def _mm(point: tuple[float, float, float]) -> str:
    return ", ".join(f"{v:.0f}" for v in point)
