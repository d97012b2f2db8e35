"""``irplan gateway``: the DICOM node with a review gate."""

from __future__ import annotations

import os
import tempfile
import threading
import warnings
from pathlib import Path

import typer

from irplan.cli import interrupts
from irplan.cli.console import JSON, QUIET, command


def gateway(
    config: Path = typer.Option(..., "--config", "-c", help="The site's configuration (TOML)."),
    check: bool = typer.Option(False, "--check", help="Read the configuration and stop."),
    summary: str | None = typer.Option(
        None,
        metavar="DAY[..DAY]",
        help="Print the summary of a day (YYYY-MM-DD, UTC), or a line for each of several, and "
        "stop.",
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Receive studies, process them by the site's rules, and send only what a person accepted.

    Runs until Ctrl-C or SIGTERM. Credentials of a DICOMweb PACS: IRPLAN_PACS_AUTHORIZATION.

    Example: `irplan gateway --config site.toml`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan_gateway.config import load_config

        site = load_config(config, authorization=os.environ.get("IRPLAN_PACS_AUTHORIZATION", ""))
        if check:
            console.say(f"{len(site.rules)} rules, {len(site.plugins)} plug-ins: fine")
            console.result({"rules": len(site.rules), "plugins": len(site.plugins)})
            return
        if summary is not None:
            from irplan_gateway.store import Store
            from irplan_gateway.summary import summary as summarise
            from irplan_gateway.summary import summary_text, trend, trend_text

            first, dots, last = summary.partition("..")
            if dots:
                rows = trend(Store(site.store), _day(first), _day(last))
                console.say(trend_text(rows))
                console.result({"trend": rows})
                return
            data = summarise(Store(site.store), _day(summary))
            console.say(summary_text(data))
            console.result(data)
            return
        from irplan_gateway.service import Gateway

        running = Gateway(site, console.say)
        warnings.simplefilter("ignore")  # pydicom's remarks quote values, and one may be a name
        tempfile.tempdir = str(running.store.folder / "tmp")  # no image ever lies in /tmp
        try:
            running.start()
            if site.port is not None:
                console.say(f"DICOM node {site.ae_title}@{site.host}:{site.port}")
            if site.watch is not None:
                console.say(f"Watch folder {site.watch}")
            console.say(f"Review page {running.page.address}   (research use only)")
            threading.Event().wait()
        except KeyboardInterrupt:
            interrupts.answered()
            console.say("Stopping; what is unfinished is taken up at the next start.")
        finally:
            running.stop()


def _day(text: str) -> str:
    from datetime import date

    from irplan.errors import InputError

    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise InputError(
            "--summary",
            got=repr(text),
            expected="a day such as 2026-11-30, or 2026-11-01..2026-11-30",
            remedy="Give year, month and day.",
        ) from error
