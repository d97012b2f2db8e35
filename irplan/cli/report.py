"""``irplan report``: the draft report of a case."""

from __future__ import annotations

from pathlib import Path

import typer

from irplan.cli.console import JSON, QUIET, command


def report(
    case: Path = typer.Argument(
        ...,
        show_default=False,
        help="The case's folder: `log/` in it (or the log itself), plan.json.",
    ),
    out: Path = typer.Option(..., "-o", "--out", help="Folder of the report."),
    lang: str = typer.Option("en", help="Language: en, nl."),
    formats: str | None = typer.Option(
        None,
        "--format",
        metavar="LIST",
        help="json, html, txt, pdf, fhir, dicom-pdf, dicom-sr; default: all up to "
        "fhir. report.json is always written.",
    ),
    site: Path | None = typer.Option(
        None, metavar="FOLDER", help="The site's templates, words and settings."
    ),
    impression_url: str | None = typer.Option(
        None,
        metavar="URL",
        help="OpenAI-compatible server that words the impression; off unless given. It sees facts "
        "without names; its text is checked and refused where it strays.",
    ),
    impression_model: str = typer.Option("", metavar="NAME", help="Its model."),
    by: str = typer.Option("", metavar="NAME", help="Who changes a report that was judged."),
    why: str = typer.Option("", help="Why it is changed."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Write the draft report of a case: what is recorded, from where, and what is missing.

    `irplan report case1 -o case1/report --lang nl --format html,pdf,dicom-pdf`

    It stays a draft until somebody accepts it: `irplan review case1/report reviewed --by NAME`.
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.case.report_case import ReportRequest, run_report
        from irplan.reports.impression_model import ModelEndpoint

        model = None if impression_url is None else ModelEndpoint(impression_url, impression_model)
        asked = _forms(formats)
        if formats is None and "pdf" not in asked:
            console.say('  note         no PDF: it needs pip install "irplan[report]"')
        request = ReportRequest(case, out, lang, asked, site, model, by, why)
        with console.progress("report") as progress:
            made = run_report(request, progress=progress)
        for message in made.messages:
            console.say(f"  note         {message}")
        console.say(f"Written: {out}   {made.draft.review.state.upper()}   (research use only)")
        console.result(
            {
                "out": str(out),
                "draft_id": made.draft.draft_id,
                "revision": made.draft.revision,
                "state": made.draft.review.state,
                "objections": dict(made.draft.objections),
                "checks": {c.name: c.status for c in made.document.report.checks},
                "messages": list(made.messages),
            }
        )


def _forms(given: str | None) -> tuple[str, ...]:
    """The forms asked for; of the default ones, those that can be made here."""
    from importlib.util import find_spec

    from irplan.case.report_case import DEFAULT_FORMS

    if given is None:
        able = find_spec("typst") is not None
        return tuple(f for f in DEFAULT_FORMS if able or f != "pdf")
    return tuple(f.strip() for f in given.split(",") if f.strip())
