"""``irplan validate``: what the solvers are held against, and how well they do."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from irplan import RESEARCH_USE_ONLY, __version__
from irplan.cli.columns import columns
from irplan.cli.console import QUIET, command

if TYPE_CHECKING:
    from irplan.ablation.evidence import EvidenceRow

#: Exit code where a demand was missed (not a fault: the numbers are there to be read).
EXIT_MISSED = 6

validate = typer.Typer(
    name="validate",
    help="Hold the solvers against closed forms, independent solutions and published zones.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@validate.callback()
def _group() -> None:
    """Hold the solvers against closed forms, independent solutions and published zones."""


@validate.command(epilog=RESEARCH_USE_ONLY)
def ablation(
    quick: bool = typer.Option(False, "--quick", help="Fewer and coarser cases, about 20 s."),
    json_file: Path | None = typer.Option(
        None, "--json", metavar="FILE", help="Write the table as JSON; - prints that instead."
    ),
    html_file: Path | None = typer.Option(
        None, "--html", metavar="FILE", help="Write the table as a page."
    ),
    quiet: bool = QUIET,
) -> None:
    """Print the evidence of the ablation engine: reference, tolerance, measured, met or MISSED.

    Rows of published zones without a demand are "shown" with their residual.  Takes two to three
    minutes; exit code 0 when every demand is met, 6 when one is missed.
    """
    printed = json_file is not None and str(json_file) == "-"
    with command(quiet=quiet, as_json=printed) as console:
        from irplan.ablation.evidence import gather

        with console.progress("validate") as progress:
            rows = gather(quick=quick, progress=progress)
        data = evidence_data(rows, quick=quick)
        console.result(data)
        if json_file is not None and not printed:
            _write(json_file, json.dumps(data, indent=2, ensure_ascii=False) + "\n")
        if html_file is not None:
            from irplan.reports.evidence import evidence_html

            _write(html_file, evidence_html(rows, quick=quick))
        met, missed = (sum(r.verdict == v for r in rows) for v in ("met", "MISSED"))
        console.say(table(rows))
        console.say(f"{met} demands met, {missed} MISSED, {len(rows) - met - missed} shown")
        if missed:
            raise typer.Exit(EXIT_MISSED)


def _write(path: Path, text: str) -> None:
    from irplan.files.atomic import atomic_path

    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def evidence_data(rows: tuple[EvidenceRow, ...], *, quick: bool) -> dict[str, Any]:
    """The table as plain data."""
    return {
        "schema": "irplan-evidence",
        "schema_version": 1,
        "irplan_version": __version__,
        "quick": quick,
        "rows": [
            {
                "case": r.case,
                "quantity": r.quantity,
                "reference": r.reference,
                "unit": r.unit,
                "expected": r.expected,
                "measured": r.measured if math.isfinite(r.measured) else None,
                "residual": r.residual if math.isfinite(r.measured) else None,
                "rule": r.rule,
                "limit": r.limit,
                "verdict": r.verdict,
                "case_seconds": r.seconds,
                "note": r.note,
            }
            for r in rows
        ],
    }


def table(rows: tuple[EvidenceRow, ...]) -> str:
    """The rows for a terminal, one block a case."""
    blocks = []
    for case in dict.fromkeys(r.case for r in rows):
        own = [r for r in rows if r.case == case]
        heads = ("", "measured", "expected", "demand", "unit", "quantity", "reference")
        cells = [
            (
                r.verdict,
                f"{r.measured:.4g}",
                "" if r.expected is None else f"{r.expected:.4g}",
                r.demand,
                r.unit,
                r.quantity,
                r.reference + (f" ({r.note})" if r.note else ""),
            )
            for r in own
        ]
        blocks.append(f"{case}  ({own[0].seconds:.1f} s)\n{columns(heads, cells)}\n")
    return "\n".join(blocks)
