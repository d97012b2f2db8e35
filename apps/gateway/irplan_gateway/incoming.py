"""Objects in: checked, put on the disk for good, and only then acknowledged."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from irplan.dicom.pacs_client import is_uid
from irplan.dicom.reading import is_dicom, read_dataset, text
from irplan.errors import DicomError
from irplan_gateway.store import Store

Outcome = Literal["stored", "had", "differs", "refused", "full"]
#: Room that the database needs to take note of anything, bytes.
_LEAST_FREE = 1 << 20
_TAGS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")


@dataclass(frozen=True)
class Limits:
    """Largest object, and the free space that is never touched; bytes."""

    object_bytes: int
    free_bytes: int


def take_object(store: Store, file: Path, limits: Limits) -> Outcome:
    """Copy one DICOM file into the store, synced; the answer says what became of it.

    ``had``: the same bytes are there already (a sender that tries again); ``differs``: another
    object under that UID is there, which stays; ``refused``: no DICOM object, no UIDs, too large;
    ``full``: too little space.  Its UIDs never become a path unless they are UIDs.
    """
    try:
        size = file.stat().st_size
        if size > limits.object_bytes or not is_dicom(file):
            return "refused"
        data = read_dataset(file, pixels=False, tags=_TAGS)
        uids = [text(data, t) for t in _TAGS]
        if not all(is_uid(u) for u in uids):
            return "refused"
    except (DicomError, OSError, MemoryError):
        return "refused"
    _, instance, study, series = uids
    place = store.folder / "incoming" / hashlib.sha256(series.encode()).hexdigest()[:24]
    target = place / f"{instance}.dcm"
    try:
        if target.exists():
            return "had" if _same(file, target) else "differs"
        if not has_room(store, size, limits):
            return "full"
        place.mkdir(exist_ok=True)
        part = place / f"{instance}.part-{os.getpid()}"
        try:
            with file.open("rb") as source, part.open("wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
                out.flush()
                os.fsync(out.fileno())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        _sync_folder(place)
        try:
            store.add_object(series, study, place)
        except sqlite3.Error:  # nothing stays that the database does not know of
            target.unlink(missing_ok=True)
            return "full"
    except OSError:
        return "full"
    return "stored"


def has_room(store: Store, size: int, limits: Limits) -> bool:
    """Whether ``size`` more bytes leave the free space alone that is never touched."""
    return shutil.disk_usage(store.folder).free >= size + max(limits.free_bytes, _LEAST_FREE)


def reconcile(store: Store) -> int:
    """After a start: objects on the disk that the database does not know are counted in.

    Returns how many series were mended; half-written objects are removed (never acknowledged), and
    so is what a killed run left in ``tmp``.
    """
    for left in (store.folder / "tmp").iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
    mended = 0
    for place in sorted((store.folder / "incoming").iterdir()):
        if not place.is_dir():
            continue
        for part in place.glob("*.part-*"):
            part.unlink(missing_ok=True)
        files = sorted(place.glob("*.dcm"))
        for file in files[:1]:
            try:
                data = read_dataset(file, pixels=False, tags=_TAGS)
            except DicomError:
                continue
            series, study = text(data, "SeriesInstanceUID"), text(data, "StudyInstanceUID")
            mended += store.know_series(series, study, place, len(files))
    return mended


def _same(a: Path, b: Path) -> bool:
    """Equal data sets; the file meta group may say another sender."""
    if a.stat().st_size == b.stat().st_size and _digest(a) == _digest(b):
        return True
    try:
        return bool(read_dataset(a) == read_dataset(b))
    except (DicomError, MemoryError):
        return False


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
