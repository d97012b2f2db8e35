"""The report as one self-contained HTML page: no script, no request to anywhere."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from irplan.errors import InputError
from irplan.reports.content import ReportContent
from irplan.reports.figures import FigureNote
from irplan.reports.simulation import SimulationContent

_TEMPLATES = Path(__file__).parent / "templates"
_PNG = b"\x89PNG\r\n\x1a\n"


def render_html(
    content: ReportContent,
    figures: Mapping[str, bytes],
    notes: Sequence[FigureNote],
    *,
    missing: Mapping[str, str] | None = None,
    generated: str | None = None,
) -> str:
    """``content`` and PNG ``figures`` as HTML text; the same input gives the same text.

    Parameters
    ----------
    figures : key -> PNG bytes; drawn in the order of ``notes``.
    notes : the figures a complete report has (`figure_notes`).
    missing : key -> why that figure is absent; said in its place.
    generated : date in words for the footer; nothing is written without it.

    Raises `InputError` for a figure that is not PNG or has no note, and for one of ``notes``
    that is neither drawn nor explained.
    """
    missing = {} if missing is None else missing
    drawn = _encoded(figures)
    unknown = sorted(set(figures) - {n.key for n in notes})
    silent = sorted({n.key for n in notes} - set(figures) - set(missing))
    if unknown or silent:
        raise InputError(
            "figures",
            got=f"without a note: {unknown or 'none'}; neither drawn nor explained: "
            f"{silent or 'none'}",
            expected="every figure of the notes drawn, or its absence explained",
            remedy="Draw it or say in 'missing' why it is not there.",
        )
    return _template("plan.html.j2").render(
        c=content, notes=notes, figures=drawn, missing=missing, generated=generated
    )


def render_simulation_html(
    content: SimulationContent,
    figures: Mapping[str, bytes],
    notes: Sequence[FigureNote],
    *,
    animation: bytes | None = None,
    generated: str | None = None,
) -> str:
    """A simulation's ``content``, PNG ``figures`` and GIF ``animation`` as one page.

    A figure of ``notes`` that is not in ``figures`` is left out.  Raises `InputError` for a
    figure that is not PNG.
    """
    gif = None if animation is None else base64.b64encode(animation).decode("ascii")
    return _template("simulation.html.j2").render(
        c=content, notes=notes, figures=_encoded(figures), animation=gif, generated=generated
    )


def render_page(template: str, **content: object) -> str:
    """A page of this package's ``template`` from plain content."""
    return _template(template).render(**content)


def _encoded(figures: Mapping[str, bytes]) -> dict[str, str]:
    for key, data in figures.items():
        if not data.startswith(_PNG):
            raise InputError(
                f"figures['{key}']",
                got="bytes that are not PNG",
                expected="a PNG picture",
                remedy="Use irplan.viz.png_bytes.",
            )
    return {key: base64.b64encode(data).decode("ascii") for key, data in figures.items()}


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
