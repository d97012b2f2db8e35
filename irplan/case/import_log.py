"""Files brought into a procedure log: dose report, plan, device table, needles, verification."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from irplan.errors import FileFormatError, InputError
from irplan.files.device_csv import read_device_csv, read_device_map
from irplan.files.json_text import load_json
from irplan.files.plan_file import PLAN_SCHEMA, read_plan
from irplan.procedure.events import Event, NewEvent, Source, effective_events
from irplan.procedure.log import ProcedureLog
from irplan.procedure.log_import import (
    VERIFICATION_SCHEMA,
    events_from_dose,
    events_from_needles,
    events_from_plan,
    events_from_verification,
)


def import_file(
    log: ProcedureLog,
    path: str | Path,
    *,
    device_map: str | Path | None = None,
    zone: str | None = None,
    lesion: str | None = None,
    side: str | None = None,
    at: datetime | None = None,
    any_patient: bool = False,
) -> tuple[Event, ...]:
    """Append what ``path`` tells, all of it or nothing; what it is, is seen from its content.

    Dose reports are DICOM, device tables ``.csv``, plans, needles and verifications JSON.  A file
    that was imported before is refused, so nothing stands twice; so is a dose report of another
    patient than the log's, unless ``any_patient``, which a note then tells.  Raises
    `FileFormatError`, `DicomError` or `InputError` for what cannot be used.
    """
    file = Path(path)
    _require_new(log, file)
    new = list(_events(file, device_map, zone, lesion, side, at))
    dose = next((n for n in new if n.source.how == "rdsr"), None)
    if dose is not None and _of_another_patient(log, file):
        if not any_patient:
            raise InputError(
                f"file '{file.name}'",
                got="a dose report with another patient number than the log's case",
                expected="the dose report of this procedure",
                remedy="Give that one; where the number was changed on purpose (de-identified, "
                "say), allow it: --any-patient.",
            )
        text = "Dose report with another patient number than the case's, allowed on import."
        new.append(NewEvent("note", {"text": text}, Source("typed", ref=dose.source.ref)))
    return log.append_many(new)


def _of_another_patient(log: ProcedureLog, file: Path) -> bool:
    """Whether both the case and the DICOM file name a patient, and not the same one."""
    from irplan.dicom.reading import read_dataset, text

    tags = ("PatientID", "SpecificCharacterSet")
    theirs = text(read_dataset(file, pixels=False, tags=tags), "PatientID").strip()
    ours = [e.data["patient_id"] for e in effective_events(log.events()) if e.event.kind == "case"]
    return bool(theirs and ours) and theirs not in {str(i).strip() for i in ours}


def _events(
    file: Path,
    device_map: str | Path | None,
    zone: str | None,
    lesion: str | None,
    side: str | None,
    at: datetime | None,
) -> Sequence[NewEvent]:
    suffix = file.suffix.lower()
    if suffix in (".csv", ".tsv", ".txt"):
        return read_device_csv(file, None if device_map is None else read_device_map(device_map))
    if suffix == ".json":
        data = load_json(file, what="file to import")
        digest = _sha256(file)
        if data.get("schema") == PLAN_SCHEMA:
            return events_from_plan(read_plan(file), digest, lesion=lesion, side=side)
        if "needles" in data and data.get("schema") != VERIFICATION_SCHEMA:
            return events_from_needles(data, digest, at=at)
        return events_from_verification(data, digest, at=at)
    from irplan.dicom.rdsr import read_dose
    from irplan.dicom.reading import is_dicom

    if file.is_file() and not is_dicom(file):
        raise FileFormatError(
            f"file '{file.name}'",
            got="neither DICOM, JSON (.json) nor a table (.csv)",
            expected="a dose report, a plan, needles, a verification or a device's table",
            remedy="Give one of these.",
        )
    return events_from_dose(read_dose(file), zone=_zone(zone))


def _require_new(log: ProcedureLog, file: Path) -> None:
    mark = f"sha256:{_sha256(file)}#"
    for event in log.events():
        if event.source.ref.startswith(mark):
            raise InputError(
                f"file '{file.name}'",
                got=f"a file that was imported already (event {event.seq})",
                expected="a file that is new to this log",
                remedy="Nothing is to be done; to mend an event, add a correction.",
            )


def _sha256(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise FileFormatError(
            f"file '{file.name}'",
            got=f"nothing that can be read ({(error.strerror or 'error').lower()})",
            expected="a file",
            remedy="Check the path.",
        ) from error


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InputError(
            "--zone",
            got=repr(name)[:60],
            expected="a time zone of the IANA list",
            remedy="For example Europe/Amsterdam or UTC.",
        ) from error
