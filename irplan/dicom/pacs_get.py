"""Series out of a PACS into a folder: each object whole or absent, resumed where it stopped."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset, FileDataset

from irplan.compute.progress import Progress, no_progress
from irplan.dicom.pacs_client import PacsClient, RetryPolicy, is_uid, with_retry
from irplan.dicom.reading import READ_ERRORS, is_dicom, quiet, read_dataset, text
from irplan.errors import DicomError, OutputError, PacsError

_PART = ".part"


@dataclass(frozen=True)
class GetResult:
    """``received`` now, ``already_here`` from an earlier run; together all that was asked for."""

    received: int
    already_here: int


def get_series(
    client: PacsClient,
    study_uid: str,
    folder: Path,
    *,
    series_uid: str | None = None,
    retry: RetryPolicy | None = None,
    progress: Progress = no_progress,
) -> GetResult:
    """Retrieve a study, or one series of it, as ``folder/<series>/<instance>.dcm``.

    Objects that an earlier run left whole are not fetched again.  A lost connection is tried
    again, for the missing objects only.  Raises `PacsError` (nothing found, refused, not all
    came) and `OutputError` (cannot be written); what has arrived stays for the next run.
    """
    if not is_uid(study_uid) or (series_uid is not None and not is_uid(series_uid)):
        raise PacsError(
            "study or series UID",
            got="no UID",
            expected="digits and dots, at most 64",
            remedy="Take it from `irplan pacs query`.",
        )
    filters = {"StudyInstanceUID": study_uid}
    if series_uid:
        filters["SeriesInstanceUID"] = series_uid
    policy = retry or RetryPolicy()
    listed = with_retry(lambda: _instances(client, filters), policy, progress=progress)
    if not listed:
        raise PacsError(
            "PACS",
            got="no such study or series",
            expected="one that the PACS holds",
            remedy="Query first: irplan pacs query.",
        )
    here = {uid for uid, one in listed.items() if _whole(_place(folder, one), uid)}
    already, received = len(here), 0

    def fetch() -> None:
        nonlocal received
        missing = [one for uid, one in listed.items() if uid not in here]
        for data in client.get(missing):
            uid = text(data, "SOPInstanceUID")
            if uid not in listed or uid in here:
                continue
            _write(data, _place(folder, listed[uid]))
            here.add(uid)
            received += 1
            progress(len(here) / len(listed), "receiving")
        if len(here) < len(listed):
            raise PacsError(
                "PACS",
                got=f"{len(here)} of {len(listed)} objects",
                expected="all of them",
                remedy="Run it again; what has arrived is kept.",
                passing=True,
            )

    if len(here) < len(listed):
        with_retry(fetch, policy, progress=progress)
    progress(1.0, "received")
    return GetResult(received, already)


def _instances(client: PacsClient, filters: dict[str, str]) -> dict[str, Dataset]:
    """Every instance by its UID; series by series, as a C-FIND at IMAGE level wants it."""
    out: dict[str, Dataset] = {}
    series: Sequence[Dataset] = client.find("SERIES", filters)
    for one in series:
        keys = {**filters, "SeriesInstanceUID": text(one, "SeriesInstanceUID")}
        for found in client.find("IMAGE", keys):
            uid = text(found, "SOPInstanceUID")
            for keyword, value in keys.items():  # some peers leave the upper levels out
                if not text(found, keyword):
                    setattr(found, keyword, value)
            if not is_uid(uid) or not is_uid(text(found, "SeriesInstanceUID")):
                raise PacsError(
                    "PACS",
                    got="an instance whose UID is none",
                    expected="digits and dots, at most 64",
                    remedy="Its data are damaged, or it is not what it says it is.",
                )
            out[uid] = found
    return out


def _place(folder: Path, one: Dataset) -> Path:
    return folder / text(one, "SeriesInstanceUID") / f"{text(one, 'SOPInstanceUID')}.dcm"


def _whole(path: Path, uid: str) -> bool:
    if not path.is_file() or not is_dicom(path):
        return False
    try:
        return (
            text(read_dataset(path, pixels=False, tags=("SOPInstanceUID",)), "SOPInstanceUID")
            == uid
        )
    except DicomError:
        return False


def _write(data: FileDataset, path: Path) -> None:
    part = path.with_suffix(_PART)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with quiet(), part.open("wb") as file:
            data.save_as(file, enforce_file_format=True)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(
            "output",
            got=f"a folder that cannot be written ({(error.strerror or 'unknown').lower()})",
            expected="write permission and free space",
            remedy="Choose another folder; what has arrived is kept.",
        ) from error
    except READ_ERRORS as error:
        part.unlink(missing_ok=True)
        raise PacsError(
            "PACS",
            got=f"an object that cannot be written ({type(error).__name__})",
            expected="a sound DICOM object",
            remedy="It is damaged at the PACS.",
        ) from error
