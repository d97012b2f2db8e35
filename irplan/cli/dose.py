"""``irplan dose``: what an X-ray system says it gave, checked and drawn."""

from __future__ import annotations

from pathlib import Path

import typer

from irplan.cli.columns import columns
from irplan.cli.console import JSON, QUIET, command


def dose(
    files: list[Path] = typer.Argument(
        ..., metavar="FILE...", show_default=False, help="Dose reports (RDSR), or XA / RF images."
    ),
    csv: Path | None = typer.Option(None, metavar="FILE", help="Write the events as CSV."),
    plot: Path | None = typer.Option(None, metavar="FILE", help="Write the figure as PNG."),
    html: Path | None = typer.Option(None, metavar="FILE", help="Write all of it as a page."),
    procedure: str | None = typer.Option(
        None,
        metavar="NAME",
        help="Compare with this reference level: tace, ptbd, ptc, cerebral-angiography, evar, "
        "tevar, bevar-fevar, or one of --levels.",
    ),
    levels: Path | None = typer.Option(
        None, metavar="TOML", help="Your own alert and reference levels."
    ),
    skin: Path | None = typer.Option(
        None, metavar="PYTHON", help="Peak skin dose with PySkinDose of this interpreter."
    ),
    events: bool = typer.Option(False, "--events", help="List every irradiation event."),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Read dose reports: totals, events, flags, alerts, reference levels.

    Examples:

    `irplan dose report.dcm --procedure tace --html dose.html`

    `irplan dose *.dcm --csv events.csv`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.case.dose_case import DoseRequest, run_dose
        from irplan.files.dose_file import dose_to_data
        from irplan.reports.dose import check_table, events_table, totals_table

        request = DoseRequest(tuple(files), csv, plot, html, procedure, levels, skin)
        with console.progress("dose") as progress:
            sheets = run_dose(request, progress=progress)
        for s in sheets:
            r = s.report
            system = " ".join(x for x in (r.manufacturer, r.model) if x) or "unknown system"
            console.say(f"{r.file_name}  {system}  ({r.source})")
            for flag in r.flags:
                console.say(f"  flag  {flag.text}")
            levels_table = check_table(s.rows)
            shown = [(totals_table(r), 99), (levels_table, 4)]
            if events:
                shown.append((events_table(r), 99))
            for table, most in shown:
                if table.rows:
                    rows = [row[:most] for row in table.rows]
                    console.say(f"\n{columns(table.columns[:most], rows)}")
            console.say(f"\n  {s.skin_note}\n")
        for path in (csv, plot, html):
            if path is not None:
                console.say(f"Written: {path}   (research use only)")
        console.result(
            {
                "reports": [
                    {
                        **dose_to_data(s.report),
                        "levels": [
                            {
                                "name": row.name,
                                "value": row.value,
                                "unit": row.unit,
                                "limit": row.limit,
                                "status": row.status,
                                "note": row.note,
                                "source": row.source,
                            }
                            for row in s.rows
                        ],
                        "skin_dose_mgy": None if s.skin is None else s.skin.peak_mgy,
                        "skin_note": s.skin_note,
                    }
                    for s in sheets
                ]
            }
        )
