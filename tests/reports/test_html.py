from __future__ import annotations

import base64
import io
from html.parser import HTMLParser

import pytest
from PIL import Image

from irplan import RESEARCH_USE_ONLY
from irplan.errors import InputError
from irplan.planning.case import PlannedCase
from irplan.reports import draw_figures, figure_notes, plan_report, render_html


def _png(colour: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (4, 3), colour).save(out, "PNG")
    return out.getvalue()


class _Page(HTMLParser):
    """Tags with attributes, and all text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


@pytest.fixture(scope="module")
def figures(case: PlannedCase) -> dict[str, bytes]:
    return {n.key: _png("navy") for n in figure_notes(case)}


@pytest.fixture(scope="module")
def html(case: PlannedCase, figures: dict[str, bytes]) -> str:
    return render_html(plan_report(case), figures, figure_notes(case))


@pytest.fixture(scope="module")
def page(html: str) -> _Page:
    parsed = _Page()
    parsed.feed(html)
    parsed.close()
    assert parsed.open == []  # every tag is closed, in order
    return parsed


def test_asks_nothing_of_any_network(html: str, page: _Page) -> None:
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "base", "form")
        for name in ("src", "href", "srcset", "action", "style"):
            value = attributes.get(name)
            assert value is None or value.startswith("data:image/png;base64,"), (tag, name)
        assert not any(name.startswith("on") for name in attributes)
    assert "http:" not in html
    assert "https:" not in html
    assert "@import" not in html
    assert "url(" not in html


def test_is_marked_draft_and_research_only(page: _Page) -> None:
    assert "DRAFT – RESEARCH USE ONLY" in page.text
    assert RESEARCH_USE_ONLY in page.text
    assert next(v for t, v in page.tags if t == "html")["lang"] == "en"


def test_contains_every_row_and_escapes_it(html: str, page: _Page, case: PlannedCase) -> None:
    for row in case.evaluation.rows:
        for text in (row.name, row.limit.replace(">=", "≥"), row.note, row.source):
            assert text in page.text
    assert "smallest &lt;behind&gt; the target &amp; to the left" in html
    assert "<behind>" not in html
    for word in ("OK", "Warning", "Failed", "Not checked"):
        assert word in page.text


def test_contains_every_table_cell_and_fact(page: _Page, case: PlannedCase) -> None:
    content = plan_report(case)
    cells = [
        cell
        for table in (content.placements, content.schedule, content.shells, content.zones,
                      content.organs, content.blocked, content.energy, content.tissues,
                      content.options, *content.paths)
        for row in (table.columns, *table.rows)
        for cell in row
    ]  # fmt: skip
    facts = [*content.target, *content.margins, *content.search, *content.simulation,
             *content.provenance]  # fmt: skip
    for text in (*cells, *(f.value for f in facts), *content.limits, *content.messages,
                 *content.summary):  # fmt: skip
        assert text in page.text


def test_figures_are_inside_with_alternative_words(
    page: _Page, case: PlannedCase, figures: dict[str, bytes]
) -> None:
    images = [a for t, a in page.tags if t == "img"]
    notes = {n.alt: n.key for n in figure_notes(case)}
    assert len(images) == len(notes) == 8
    for image in images:
        key = notes[str(image["alt"])]
        assert base64.b64decode(str(image["src"]).split(",")[1]) == figures[key]


def test_missing_3d_picture_says_so_and_why(case: PlannedCase, figures: dict[str, bytes]) -> None:
    rest = {k: v for k, v in figures.items() if k != "scene"}
    html = render_html(
        plan_report(case), rest, figure_notes(case), missing={"scene": "No <EGL> library."}
    )
    assert "3D view: this picture is missing." in html
    assert "No &lt;EGL&gt; library." in html
    assert html.count("<img ") == 7


def test_figure_neither_drawn_nor_explained_is_refused(
    case: PlannedCase, figures: dict[str, bytes]
) -> None:
    rest = {k: v for k, v in figures.items() if k != "scene"}
    with pytest.raises(InputError, match="scene"):
        render_html(plan_report(case), rest, figure_notes(case))
    with pytest.raises(InputError, match="selfie"):
        render_html(plan_report(case), {**figures, "selfie": _png("red")}, figure_notes(case))
    with pytest.raises(InputError, match="not PNG"):
        render_html(plan_report(case), {**figures, "scene": b"<svg>"}, figure_notes(case))


def test_no_clock_unless_given(case: PlannedCase, figures: dict[str, bytes], html: str) -> None:
    assert html == render_html(plan_report(case), figures, figure_notes(case))
    assert "Written" not in html
    dated = render_html(
        plan_report(case), figures, figure_notes(case), generated="1 May 2030 & later"
    )
    assert "Written 1 May 2030 &amp; later." in dated


def test_drawn_figures_are_those_of_the_notes(case: PlannedCase) -> None:
    seen: list[float] = []
    drawn = draw_figures(case, progress=lambda fraction, _: seen.append(fraction))
    assert set(drawn) | {"scene"} == {n.key for n in figure_notes(case)}
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    for png in drawn.values():
        assert min(Image.open(io.BytesIO(png)).size) > 300
