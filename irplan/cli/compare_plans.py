"""``irplan compare-plans``: two plans side by side."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import typer

from irplan.cli.console import JSON, QUIET, command


def compare_plans(
    a: Path = typer.Argument(..., metavar="A", show_default=False, help="plan.json or its folder."),
    b: Path = typer.Argument(..., metavar="B", show_default=False, help="The other plan."),
    html: Path | None = typer.Option(None, "--html", metavar="FILE", help="Write a page as well."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Compare two plans: needles matched by the nearest, every term, what is better in which.

    Where a folder holds ``evaluation.csv`` its verdicts are compared too.

    Example: `irplan compare-plans out-a out-b --html compared.html`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.case.compare_case import compare_files

        found = compare_files(a, b)
        console.say(f"A: {a}\nB: {b}")
        terms = (*found.plan_terms, *found.judged_terms)
        names = [t.name + (f", {t.unit}" if t.unit else "") for t in terms]
        wide = max([20, *map(len, names)])
        own, other = (max([8, *(len(getattr(t, k)) for t in terms)]) for k in ("a", "b"))
        console.say(f"{'':<{wide}} {'A':>{own}} {'B':>{other}} {'B - A':>8}")
        for name, term in zip(names, terms, strict=True):
            gap = "" if term.difference is None else f"{term.difference:+.1f}"
            console.say(
                f"{name:<{wide}} {term.a:>{own}} {term.b:>{other}} {gap:>8}  {term.verdict}"
            )
        for pair in found.needles:
            if pair.tip_mm is None:
                console.say(f"needle {pair.a or '-'} of A, {pair.b or '-'} of B: no counterpart")
            else:
                console.say(
                    f"needle {pair.a} of A = {pair.b} of B: tips {pair.tip_mm:.1f} mm, entries "
                    f"{pair.entry_mm:.1f} mm, {pair.angle_deg:.1f} deg apart"
                )
        for note in found.notes:
            console.say(f"note: {note}")
        if html is not None:
            from irplan.files import atomic_path
            from irplan.reports.comparison import render_comparison

            page = render_comparison(found, name_a=str(a), name_b=str(b))
            with atomic_path(html) as temporary:
                temporary.write_text(page, encoding="utf-8", newline="\n")
            console.say(f"Written: {html}   (research use only)")
        console.result(asdict(found))
