"""``irplan pacs query|get|send``: a PACS asked, read from, and given what was accepted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from irplan import RESEARCH_USE_ONLY
from irplan.cli.console import JSON, QUIET, command

if TYPE_CHECKING:
    from irplan.dicom.pacs_client import PacsClient

pacs = typer.Typer(
    name="pacs",
    help="Query, retrieve and store by DICOMweb or DIMSE. PEER is `http(s)://host:port/dicom-web` "
    "(credentials in IRPLAN_PACS_AUTHORIZATION) or `dicom://THEIR_AE@host:port?calling=OUR_AE`.",
    no_args_is_help=True,
    epilog=RESEARCH_USE_ONLY,
)
_PEER = typer.Argument(..., metavar="PEER", show_default=False, help="Address of the PACS.")
_TIMEOUT = typer.Option(30.0, help="Seconds to wait for an answer.", min=1.0, max=3600.0)
_ATTEMPTS = typer.Option(6, help="Attempts before giving up on a lost connection.", min=1, max=100)


@pacs.command(epilog=RESEARCH_USE_ONLY)
def query(
    peer: str = _PEER,
    patient_id: str | None = typer.Option(None, help="Patient ID."),
    accession: str | None = typer.Option(None, help="Accession number."),
    date: str | None = typer.Option(None, metavar="YYYYMMDD[-YYYYMMDD]", help="Study date."),
    modality: str | None = typer.Option(None, help="Modality in the study."),
    study: str | None = typer.Option(None, metavar="UID", help="List this study's series."),
    show_patient: bool = typer.Option(False, "--show-patient", help="Show patient IDs as well."),
    timeout_s: float = _TIMEOUT,
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """List studies, or the series of one.

    Example: `irplan pacs query http://localhost:8042/dicom-web --date 20261130`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        client = _client(peer, timeout_s)
        level = "STUDY" if study is None else "SERIES"
        filters = {
            "PatientID": patient_id, "AccessionNumber": accession, "StudyDate": date,
            "ModalitiesInStudy": modality, "StudyInstanceUID": study,
        }  # fmt: skip
        found = client.find(level, {k: v for k, v in filters.items() if v})  # type: ignore[arg-type]
        shown = (
            ("StudyDate", "AccessionNumber", "ModalitiesInStudy", "NumberOfStudyRelatedInstances",
             "StudyInstanceUID")
            if study is None
            else ("Modality", "SeriesNumber", "NumberOfSeriesRelatedInstances", "SeriesInstanceUID")
        )  # fmt: skip
        if show_patient and study is None:
            shown = ("PatientID", *shown)
        rows = [{k: _line(one.get(k)) for k in shown} for one in found]
        for row in rows:
            console.say("  ".join(f"{k} {v}" for k, v in row.items()))
        console.say(f"{len(rows)} {'studies' if study is None else 'series'} found")
        console.result({"found": rows})


@pacs.command(epilog=RESEARCH_USE_ONLY)
def get(
    peer: str = _PEER,
    study: str = typer.Option(..., metavar="UID", help="Study to retrieve."),
    series: str | None = typer.Option(None, metavar="UID", help="Only this series."),
    out: Path = typer.Option(..., "-o", "--out", help="Folder; run again to resume."),
    timeout_s: float = _TIMEOUT,
    attempts: int = _ATTEMPTS,
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Retrieve a study or series into OUT/<series>/<instance>.dcm; what is there is kept.

    Example: `irplan pacs get dicom://PACS@10.0.0.5:104 --study 1.2.3 -o scan`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.dicom.pacs_client import RetryPolicy
        from irplan.dicom.pacs_get import get_series

        client = _client(peer, timeout_s)
        with console.progress("pacs get") as progress:
            result = get_series(
                client, study, out, series_uid=series, retry=RetryPolicy(attempts),
                progress=progress,
            )  # fmt: skip
        console.say(f"Received {result.received}, {result.already_here} were here: {out}")
        console.result({"received": result.received, "already_here": result.already_here})


@pacs.command(epilog=RESEARCH_USE_ONLY)
def send(
    peer: str = _PEER,
    paths: list[Path] = typer.Argument(..., metavar="PATH...", show_default=False, help="Results."),
    record: list[Path] = typer.Option([], help="Record of a review; those beside PATH count too."),
    originals: bool = typer.Option(False, "--originals", help="Let acquired images pass too."),
    timeout_s: float = _TIMEOUT,
    attempts: int = _ATTEMPTS,
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Send what a named person accepted, byte for byte; drafts are refused. Run again to resume.

    Example: `irplan pacs send http://localhost:8042/dicom-web report/`
    """
    with command(quiet=quiet, as_json=as_json) as console:
        from irplan.case.pacs_case import run_send
        from irplan.dicom.pacs_client import RetryPolicy

        client = _client(peer, timeout_s)
        with console.progress("pacs send") as progress:
            result = run_send(
                client, paths, records=record, originals=originals, retry=RetryPolicy(attempts),
                progress=progress,
            )  # fmt: skip
        client.close()
        confirmed = (
            "not checked (the peer answers no queries)"
            if result.confirmed is None
            else str(result.confirmed)
        )
        console.say(
            f"Sent {result.sent}, {result.already_there} were there; found afterwards: {confirmed}"
        )
        console.result(
            {
                "sent": result.sent,
                "already_there": result.already_there,
                "confirmed": result.confirmed,
            }
        )


def _client(address: str, timeout_s: float) -> PacsClient:
    from irplan.dicom.pacs_client import connect
    from irplan.dicom.pacs_peer import parse_peer

    secret = os.environ.get("IRPLAN_PACS_AUTHORIZATION", "")
    return connect(parse_peer(address, authorization=secret, timeout_s=timeout_s))


def _line(value: Any) -> str:
    """What a peer answered, several values joined, on one line."""
    many = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return " ".join("/".join(str(v) for v in many if v is not None).split())
