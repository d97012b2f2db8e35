"""The evidence table as a page."""

from __future__ import annotations

from collections.abc import Sequence

from irplan import RESEARCH_USE_ONLY, __version__
from irplan.ablation.evidence import EvidenceRow
from irplan.reports.content import Table
from irplan.reports.html import render_page


def evidence_html(rows: Sequence[EvidenceRow], *, quick: bool = False) -> str:
    """One table a case: verdict, measured, expected, demand, what and against what."""
    tables = []
    for case in dict.fromkeys(r.case for r in rows):
        own = [r for r in rows if r.case == case]
        cells = tuple(
            (
                r.verdict,
                f"{r.measured:.4g}",
                "–" if r.expected is None else f"{r.expected:.4g}",
                "–" if r.residual is None else f"{r.residual:+.3g}",
                r.demand,
                r.unit,
                r.quantity,
                r.reference + (f" ({r.note})" if r.note else ""),
            )
            for r in own
        )
        heads = ("", "Measured", "Expected", "Residual", "Demand", "Unit", "Quantity", "Reference")
        tables.append(Table(f"{case} ({own[0].seconds:.1f} s)", heads, cells))
    met, missed = (sum(r.verdict == v for r in rows) for v in ("met", "MISSED"))
    shown = len(rows) - met - missed
    return render_page(
        "evidence.html.j2",
        title=f"Evidence of irplan's ablation engine, {__version__}",
        summary=f"{met} demands met, {missed} MISSED, {shown} shown without a demand"
        + (" (quick table)." if quick else "."),
        tables=tables,
        research_notice=RESEARCH_USE_ONLY,
    )
