"""A plain sheet of results: parts with notes, figures and tables, as one self-contained page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from irplan import RESEARCH_USE_ONLY
from irplan.reports.content import Table
from irplan.reports.html import render_page


@dataclass(frozen=True)
class Note:
    """A paragraph; ``strong`` ones are boxed."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class SheetFigure:
    """A PNG with its caption."""

    title: str
    png: bytes

    @property
    def data(self) -> str:
        """Base64 for the page."""
        return base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True)
class Part:
    """One section of the sheet."""

    title: str
    notes: tuple[Note, ...] = ()
    figures: tuple[SheetFigure, ...] = ()
    tables: tuple[Table, ...] = ()


def sheet_html(title: str, summary: str, parts: Sequence[Part], *, banner: str) -> str:
    """The page as text; the same input gives the same text."""
    return render_page(
        "sheet.html.j2",
        title=title,
        summary=summary,
        banner=banner,
        parts=parts,
        research_notice=RESEARCH_USE_ONLY,
    )
