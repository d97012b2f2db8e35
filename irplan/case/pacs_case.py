"""What may leave for a PACS: accepted results, by their records, and untouched originals."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pydicom

from irplan.compute.progress import Progress, no_progress
from irplan.dicom.pacs_client import PacsClient, RetryPolicy
from irplan.dicom.pacs_send import Gate, SendResult, all_files, send_files
from irplan.dicom.reading import READ_ERRORS, quiet, text
from irplan.errors import FileFormatError, InputError, ReviewError
from irplan.files.json_text import load_json
from irplan.files.report_file import EARLIER
from irplan.procedure.review import DRAFT_SCHEMA, Draft, draft_from_data, require_releasable

#: Modalities of acquired images; everything else is a result and needs a record.
ACQUIRED = frozenset(("CT", "MR", "XA", "RF", "US", "CR", "DX", "PT", "NM", "MG", "IVUS", "IVOCT"))


def run_send(
    client: PacsClient,
    paths: Sequence[Path],
    *,
    records: Sequence[Path] = (),
    originals: bool = False,
    retry: RetryPolicy | None = None,
    progress: Progress = no_progress,
) -> SendResult:
    """Send files and folders; `irplan.dicom.pacs_send.send_files` behind the review gate.

    Of a report's folder the reports that this one replaced (``earlier``) stay.

    Parameters
    ----------
    records : drafts' records (JSON); besides these, any record in a file's own folder or the one
        above counts.
    originals : let acquired images without a record pass, if no software of ours made them.

    Raises
    ------
    ReviewError : a result without a record, not accepted, or with other bytes than accepted.
    InputError : nothing to send.
    """
    files = all_files(paths, without=EARLIER)
    if not files:
        raise InputError(
            "paths", got="no DICOM object", expected="DICOM files", remedy="Give results to send."
        )
    known = [read_record(r) for r in records]
    for folder in sorted({p for f in files for p in (f.resolve().parent, f.resolve().parents[1])}):
        known += find_records(folder)
    return send_files(client, files, release_gate(known, originals), retry=retry, progress=progress)


def release_gate(records: Sequence[Draft], originals: bool) -> Gate:
    """The check that every object passes at the moment of sending."""

    def gate(name: str, raw: bytes) -> None:
        mine = [r for r in records if name in r.files]
        if mine:
            refusals = []
            for record in mine:
                try:
                    return require_releasable(record, name, raw)
                except ReviewError as error:
                    refusals.append(error)
            raise refusals[-1]
        kind, ours = _origin(raw)
        if ours or kind not in ACQUIRED:
            raise ReviewError(
                f"release of '{name}'",
                got=f"a result ({kind or 'no modality'}) without a record of its review",
                expected="one that a named person accepted",
                remedy="Send it from the folder it was written to, after review.",
            )
        if not originals:
            raise ReviewError(
                f"release of '{name}'",
                got=f"an acquired image ({kind})",
                expected="an accepted result",
                remedy="Say --originals if you mean to send images as they came.",
            )
        return None

    return gate


def read_record(path: Path) -> Draft:
    """The draft's record in ``path``; `FileFormatError` where it is none."""
    return draft_from_data(load_json(path, what="record"), name=f"record '{path.name}'")


def find_records(folder: Path) -> list[Draft]:
    """Every draft's record among the JSON files of ``folder`` (not deeper)."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            data = load_json(path, what="record")
        except FileFormatError:
            continue  # another kind of JSON; the gate misses the record and says so
        if data.get("schema") == DRAFT_SCHEMA:
            found.append(draft_from_data(data, name=f"record '{path.name}'"))
    return found


def _origin(raw: bytes) -> tuple[str, bool]:
    """Modality of an object, and whether irplan made it."""
    tags = ["Modality", "Manufacturer", "ManufacturerModelName", "SoftwareVersions"]
    try:
        with quiet():
            data = pydicom.dcmread(io.BytesIO(raw), specific_tags=tags, stop_before_pixels=True)
    except (OSError, *READ_ERRORS):
        return "", True
    made_by = " ".join(
        [*(text(data, t) for t in tags[1:]), text(data.file_meta, "ImplementationVersionName")]
    )
    return text(data, "Modality").upper(), "irplan" in made_by.lower()
