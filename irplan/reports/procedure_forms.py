"""A report document set in every text form: HTML, plain text, PDF."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from irplan.procedure.report_document import ReportDocument
from irplan.procedure.review import Draft
from irplan.reports.procedure_language import Language, load_language
from irplan.reports.procedure_page import ProcedurePage, procedure_page
from irplan.reports.procedure_pdf import render_procedure_pdf
from irplan.reports.procedure_render import render_procedure_html, render_procedure_text
from irplan.reports.procedure_site import Site


def document_page(
    document: ReportDocument, draft: Draft, site: Site
) -> tuple[ProcedurePage, Language]:
    """The page of ``document`` in its language, without the sections that the site hides."""
    language = load_language(document.language, site.folder)
    said = document.impression
    if said.how == "model":
        note = language("by_model", model=said.model)
    elif said.refused:
        note = language("model_refused", why=said.refused)
    else:
        note = language("by_rules")
    page = procedure_page(
        document.report,
        language,
        draft,
        impression=said.sentences,
        impression_note=note,
        events=[(str(e.seq), e.kind, e.at, e.source) for e in document.events],
    )
    return replace(page, blocks=tuple(b for b in page.blocks if b.key not in site.hidden)), language


def render_form(
    form: str, document: ReportDocument, draft: Draft, *, site: Site, timeline: bytes | None = None
) -> bytes:
    """``"html"``, ``"txt"`` or ``"pdf"`` as bytes."""
    page, language = document_page(document, draft, site)
    if form == "html":
        return render_procedure_html(page, language, site=site, timeline=timeline).encode("utf-8")
    if form == "txt":
        return render_procedure_text(page, language, site=site).encode("utf-8")
    return render_procedure_pdf(page, language, site=site, timeline=timeline)


def site_of(folder: str | Path | None) -> Site:
    """The site's settings (see `irplan.reports.procedure_site.load_site`)."""
    from irplan.reports.procedure_site import load_site

    return load_site(folder)
