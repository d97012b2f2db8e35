"""``irplan evaluate``: a plan judged again, by its simulation or by a zone seen afterwards."""

from __future__ import annotations

import math
from pathlib import Path

import typer

from irplan.cli.console import JSON, QUIET, command

_MARKS = {"ok": "ok", "warning": "WARNING", "error": "ERROR", "not_checked": "not checked"}


def evaluate(
    plan: Path = typer.Argument(
        ...,
        metavar="PLAN",
        show_default=False,
        help="Folder that `irplan plan` wrote, or a plan.json with its files beside it.",
    ),
    zone: Path | None = typer.Option(
        None,
        metavar="MASK",
        help="Ablation zone on the planning image's grid (a control scan's, registered); default: "
        "the plan is simulated.",
    ),
    robust: str | None = typer.Option(
        None,
        metavar="PRESET|FILE",
        help="Probability of coverage under errors: robot, ct-laser, freehand, ar, cbct, or a TOML "
        "file.",
    ),
    labels: Path | None = typer.Option(None, help="Structures; default labels.nii.gz beside it."),
    target: Path | None = typer.Option(None, help="Target; default target.nii.gz beside it."),
    samples: int | None = typer.Option(None, help="Samples of --robust; 2401 give +-2 %."),
    seed: int = typer.Option(0, help="Same seed, same errors for every plan."),
    full: bool = typer.Option(False, "--full", help="Simulate every sample (200 by default)."),
    check_pairs: int | None = typer.Option(
        None, metavar="N", help="Simulate N samples as well, to state the fast mode's error."
    ),
    out: Path | None = typer.Option(None, "-o", "--out", help="Folder for tables and figures."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Judge a plan again: margins, shells, directions, distances to organs, how sure it is.

    Examples:

    `irplan evaluate out --robust ct-laser -o judged`

    `irplan evaluate out --zone control_zone.nii.gz`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.case.evaluate_case import EvaluateRequest, run_evaluate
        from irplan.files.evaluation_file import evaluation_to_data

        request = EvaluateRequest(
            plan, zone, robust, labels, target, out, samples, seed, full, check_pairs
        )
        with console.progress("evaluate") as progress:
            judged = run_evaluate(request, progress=progress)
        evaluation = judged.evaluation
        for row in evaluation.rows:
            value = "-" if row.value is None else f"{row.value:.1f} {row.unit}"
            console.say(f"  {_MARKS[row.status]:<11}  {row.name}: {value}  ({row.limit})")
            if row.note and row.status in ("warning", "error"):
                console.say(f"               {row.note}")
        console.say("  margin by direction (least, mean; zone beyond the target), mm")
        for d in evaluation.directions:
            numbers = (d.minimal_mm, d.mean_mm, d.reach_mm)
            shown = " ".join("     -" if math.isnan(v) else f"{v:6.1f}" for v in numbers)
            console.say(f"    {d.name:<18} {shown}")
        if evaluation.zone_reach is not None:
            reach = evaluation.zone_reach
            console.say(
                f"  zone's surface to the target: {reach.least_mm:.1f} to {reach.most_mm:.1f} mm"
            )
        chance = evaluation.coverage_probability
        if chance is not None:
            low, high = (100.0 * v for v in chance.interval)
            console.say(
                f"  target + {chance.margin_mm:g} mm covered: {100 * chance.probability:.1f} % "
                f"({low:.1f} to {high:.1f} %, {chance.samples} samples, {chance.mode}); target "
                f"alone: {100 * chance.target_only.value:.1f} %"
            )
            console.say(f"    {chance.uncertainty}")
            if chance.refused:
                console.say(
                    f"    {100 * chance.refused / chance.samples:.1f} % of the samples have "
                    "applicators too close to each other (or in bone or gas) to be simulated: "
                    "counted as not covered"
                )
            if chance.fast_error is not None:
                e = chance.fast_error
                console.say(
                    f"    fast against full physics on {e.pairs} samples: "
                    f"{e.bias_mm:+.2f} mm taken off, {e.rms_mm:.2f} mm rms left, "
                    f"{e.disagree} judged otherwise"
                )
            for source in chance.sources:
                console.say(
                    f"    {source.name:<20} {100 * source.share:3.0f} % of the spread; without it "
                    f"{100 * source.without:.0f} % covered"
                )
        for message in judged.messages:
            console.say(f"  note         {message}")
        if out is not None:
            console.say(f"Written: {out}   (research use only)")
        console.result({"messages": list(judged.messages), **evaluation_to_data(evaluation)})
