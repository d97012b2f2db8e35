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
from irplan.files.report_file import EARLIER, REVIEW_FILE
from irplan.procedure.review import DRAFT_SCHEMA, Draft, draft_from_data, require_releasable

#: Modalities of acquired images; everything else is a result and needs a record.
ACQUIRED = frozenset(("CT", "MR", "XA", "RF", "US", "CR", "DX", "PT", "NM", "MG", "IVUS", "IVOCT"))
#: Storage classes of acquired images, below 1.2.840.10008.5.1.4.1.1.  A secondary capture or a
#: document that names the scanner's modality is a result all the same.
ACQUIRED_CLASSES = frozenset(
    ("1", "1.1", "1.2", "1.2.1", "2", "2.1", "2.2", "3.1", "4", "4.1", "4.3", "4.4", "6.1", "6.2",
     "12.1", "12.1.1", "12.2", "12.2.1", "13.1.1", "13.1.2", "13.1.3", "14.1", "14.2", "20", "128",
     "128.1", "130")
)  # fmt: skip
_STORAGE = "1.2.840.10008.5.1.4.1.1."


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
    for file in files:
        _require_current(file)
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
            undecided = [r.review.state for r in records if r.review.state != "accepted"]
            raise ReviewError(
                f"release of '{name}'",
                got=f"a result ({kind or 'no modality'}) without a record of its review"
                + (f"; beside it is one that is only '{undecided[0]}'" if undecided else ""),
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


def _require_current(file: Path) -> None:
    """Refuse a report that another one replaced, also where it is named by itself."""
    folders = file.resolve().parents
    if len(folders) > 2 and folders[1].name == EARLIER and (folders[2] / REVIEW_FILE).is_file():
        raise ReviewError(
            f"release of '{file.name}'",
            got="a report that a newer draft replaced",
            expected="the current report",
            remedy="Review the newer draft and send that one.",
        )


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
    """Modality of an object, and whether it is a result by its class or because irplan made it."""
    tags = ["Modality", "Manufacturer", "ManufacturerModelName", "SoftwareVersions", "SOPClassUID"]
    try:
        with quiet():
            data = pydicom.dcmread(io.BytesIO(raw), specific_tags=tags, stop_before_pixels=True)
    except (OSError, *READ_ERRORS):
        return "", True
    made_by = " ".join(
        [*(text(data, t) for t in tags[1:4]), text(data.file_meta, "ImplementationVersionName")]
    )
    kind = text(data, "SOPClassUID")
    image = kind.startswith(_STORAGE) and kind.removeprefix(_STORAGE) in ACQUIRED_CLASSES
    return text(data, "Modality").upper(), not image or "irplan" in made_by.lower()
