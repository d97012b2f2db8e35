"""Two plans side by side as one self-contained HTML page."""

from __future__ import annotations

from irplan import RESEARCH_USE_ONLY
from irplan.planning.review_compare import PlanComparison
from irplan.reports.html import render_page


def render_comparison(found: PlanComparison, *, name_a: str, name_b: str) -> str:
    """HTML of a comparison; the same input gives the same text."""
    return render_page(
        "comparison.html.j2", c=found, name_a=name_a, name_b=name_b, notice=RESEARCH_USE_ONLY
    )
