"""A procedure report's page as HTML (one file) and as plain text."""

from __future__ import annotations

import base64
import re

from irplan.reports.procedure_language import Language
from irplan.reports.procedure_page import ProcedurePage
from irplan.reports.procedure_site import Site, render_template


def render_procedure_html(
    page: ProcedurePage,
    language: Language,
    *,
    site: Site | None = None,
    timeline: bytes | None = None,
) -> str:
    """HTML without script and without any request; every value is escaped.

    The page forbids scripts and outside content to the browser as well (Content-Security-Policy).
    """
    picture = None if timeline is None else base64.b64encode(timeline).decode("ascii")
    return render_template(
        site or Site(),
        "procedure.html.j2",
        page,
        html=True,
        timeline=picture,
        words=dict(language.tables["words"]),
    )


def render_procedure_text(
    page: ProcedurePage, language: Language, *, site: Site | None = None
) -> str:
    """Plain text, lines as they come, to paste into a RIS."""
    text = render_template(
        site or Site(),
        "procedure.txt.j2",
        page,
        html=False,
        words=dict(language.tables["words"]),
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
