"""Commands on a PACS: what CT series it holds of a patient, and one of them opened."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irplan.compute.progress import Progress, portion
from irplan.errors import InputError
from irplan_planner.model import case_folder
from irplan_planner.model.desk import Desk

#: Studies of a patient whose series are asked for, the newest first.
MOST_STUDIES = 12


@dataclass(frozen=True)
class SeriesFound:
    """A CT series on the peer."""

    study_uid: str
    series_uid: str
    date: str
    words: str

    @property
    def folder(self) -> str:
        """Name of the folder it is fetched into: its date, and its UID in short."""
        short = hashlib.sha256(self.series_uid.encode()).hexdigest()[:8]
        return f"CT {self.date or 'without date'} {short}"


class Pacs:
    """Queries and retrieval through `irplan.dicom`; nothing is asked unless the user does.

    ``open``: what to do with a folder that was retrieved.  A peer's secret comes from
    ``IRPLAN_PACS_AUTHORIZATION``, as for `irplan pacs`.
    """

    def __init__(self, desk: Desk, open_folder: Callable[[Path], Any]) -> None:
        self._desk = desk
        self._open = open_folder
        self.address = os.environ.get("IRPLAN_PACS", "")
        """dicom://CALLED@host:port or an http(s) address of DICOMweb."""
        self.found: tuple[SeriesFound, ...] = ()

    def search(self, address: str, patient_id: str) -> None:
        """CT series of the patient with this ID (a job)."""
        desk = self._desk
        if not patient_id.strip() or set(patient_id) & set("*?\\"):
            raise InputError(
                "patient ID",
                got="nothing, or a wildcard",
                expected="one patient's ID",
                remedy="Write the ID as the PACS has it.",
            )
        connect = _connector(address)
        self.address = address.strip()

        def work(progress: Progress) -> tuple[SeriesFound, ...]:
            progress(0.05, "asking the PACS")
            client = connect()
            try:
                studies = client.find("STUDY", {"PatientID": patient_id.strip()})
                studies.sort(key=lambda s: str(s.get("StudyDate", "") or ""), reverse=True)
                out: list[SeriesFound] = []
                for n, study in enumerate(studies[:MOST_STUDIES]):
                    progress(0.1 + 0.9 * n / len(studies), "asking for series")
                    uid = str(study.StudyInstanceUID)
                    wanted = {"StudyInstanceUID": uid, "Modality": "CT"}
                    out += [_found(uid, study, s) for s in client.find("SERIES", wanted)]
                return tuple(out)
            finally:
                client.close()

        def done(found: tuple[SeriesFound, ...]) -> None:
            self.found = found
            desk.say(f"{len(found)} CT series on the PACS.", "good" if found else "warning")
            desk.changed("extras")

        desk.work("Asking the PACS", "read", work, done)

    def retrieve(self, one: SeriesFound) -> None:
        """Fetch a series (again: only what is missing) and open it (a job)."""
        connect = _connector(self.address)
        place = case_folder.home() / "pacs" / one.folder

        def work(progress: Progress) -> Path:
            from irplan.dicom.pacs_get import get_series

            client = connect()
            try:
                get_series(
                    client, one.study_uid, place, series_uid=one.series_uid,
                    progress=portion(progress, 0.0, 1.0),
                )  # fmt: skip
            finally:
                client.close()
            return place

        self._desk.work("Retrieving from the PACS", "read", work, self._open)


def _connector(address: str) -> Callable[[], Any]:
    """Makes the client when called; raises `InputError` for an address that is none at once."""
    from irplan.dicom.pacs_peer import parse_peer

    peer = parse_peer(
        address.strip(), authorization=os.environ.get("IRPLAN_PACS_AUTHORIZATION", "")
    )

    def connect() -> Any:
        from irplan.dicom.pacs_client import connect as connected

        return connected(peer)

    return connect


def _found(study_uid: str, study: Any, series: Any) -> SeriesFound:
    date = str(study.get("StudyDate", "") or "")
    words = str(series.get("SeriesDescription", "") or "CT")
    count = str(series.get("NumberOfSeriesRelatedInstances", "") or "")
    images = f", {count} images" if count else ""
    return SeriesFound(study_uid, str(series.SeriesInstanceUID), date, f"{date}  {words}{images}")
