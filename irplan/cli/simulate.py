"""``irplan simulate``: a problem as TOML in, temperature, zones, curves and report out."""

from __future__ import annotations

from pathlib import Path

import typer

from irplan.cli.console import JSON, QUIET, command
from irplan.errors import InputError


def simulate(
    problem: Path | None = typer.Argument(
        None, help="Problem file (TOML).", metavar="PROBLEM.toml", show_default=False
    ),
    out: Path | None = typer.Option(
        None, "-o", "--out", help="Folder for the results; made new, or replaced if irplan made it."
    ),
    example: str | None = typer.Option(
        None, "--example", metavar="cryo|rfa|mwa|ire", help="Print a commented example and stop."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Simulate one ablation by full physics and write volumes, zones, tables, plots and a report.

    Examples:

    `irplan simulate --example cryo > mine.toml`

    `irplan simulate mine.toml -o out`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        if example is not None:
            from irplan.files.problem_file import example_problem

            typer.echo(example_problem(example), nl=False)
            return
        if problem is None or out is None:
            raise InputError(
                "PROBLEM.toml" if problem is None else "--out",
                got="nothing",
                expected="a problem file and -o FOLDER",
                remedy="Start with: irplan simulate --example cryo > mine.toml",
            )
        from irplan.case.simulate_case import run_simulation

        with console.progress("simulate") as progress:
            outcome = run_simulation(problem, out, progress=progress)
        case = outcome.case
        console.say(f"{case.name}: {case.kind}, solved in {outcome.solver_s:.1f} s")
        for zone, found in zip(case.zones, case.measures, strict=True):
            cut = "  CUT OFF by the box" if found.cut_off else ""
            console.say(
                f"  {found.volume_ml:8.2f} ml  {found.length_mm:5.1f} mm along, "
                f"{found.width_mm:5.1f} mm across  {zone.words}{cut}"
            )
        for text in case.result.warnings:
            console.say(f"  warning     {text}")
        console.say(f"Report: {out / 'report.html'}   (research use only)")
        console.result({"out": str(out), "solver_s": outcome.solver_s, **outcome.summary})
