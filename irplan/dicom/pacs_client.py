"""What irplan asks of a PACS, whichever way it is spoken to, and when it asks again."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from pydicom.dataset import Dataset, FileDataset

from irplan.compute.progress import Progress, no_progress
from irplan.dicom.pacs_peer import DicomNode, Peer
from irplan.errors import PacsError

Level = Literal["STUDY", "SERIES", "IMAGE"]
_UID = re.compile(r"[0-9]+(\.[0-9]+)*\Z")
_T = TypeVar("_T")

#: What a query asks for besides its filters.
RETURNED: Mapping[Level, tuple[str, ...]] = {
    "STUDY": (
        "StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "PatientID",
        "PatientName", "StudyDescription", "ModalitiesInStudy", "NumberOfStudyRelatedInstances",
    ),
    "SERIES": (
        "StudyInstanceUID", "SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription",
        "NumberOfSeriesRelatedInstances",
    ),
    "IMAGE": (
        "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "InstanceNumber",
    ),
}  # fmt: skip


class PacsClient(Protocol):
    """One connection's worth of questions; every method may raise `PacsError`."""

    def check(self) -> None:
        """Whether the peer answers to us at all."""

    def find(self, level: Level, filters: Mapping[str, str]) -> list[Dataset]:
        """What matches ``filters`` (keyword -> value, ``*`` and ``?`` as wildcards)."""

    def get(self, instances: Sequence[Dataset]) -> Iterator[FileDataset]:
        """The objects of those found at IMAGE level, in the peer's order; some may be missing."""

    def store(self, data: FileDataset) -> None:
        """Store one object."""

    def close(self) -> None:
        """Let go of connections that are kept open; the client may be used again."""


@dataclass(frozen=True)
class RetryPolicy:
    """How often a lost connection is tried again: ``attempts`` in all, the waits doubling."""

    attempts: int = 6
    first_wait_s: float = 1.0
    longest_wait_s: float = 30.0

    def waits(self) -> Iterator[float]:
        """Seconds before each further attempt."""
        for number in range(self.attempts - 1):
            yield min(self.longest_wait_s, self.first_wait_s * 2.0**number)


def connect(peer: Peer) -> PacsClient:
    """The client for ``peer``; nothing is sent yet.

    Raises `irplan.errors.MissingExtraError` without the extra "pacs".
    """
    if isinstance(peer, DicomNode):
        from irplan.dicom.pacs_dimse import DimseClient

        return DimseClient(peer)
    from irplan.dicom.pacs_web import WebClient

    return WebClient(peer)


def with_retry(
    work: Callable[[], _T],
    policy: RetryPolicy,
    *,
    progress: Progress = no_progress,
    sleep: Callable[[float], None] = time.sleep,
) -> _T:
    """``work()``, again after each `PacsError` that may pass by itself (``error.passing``)."""
    for wait in policy.waits():
        try:
            return work()
        except PacsError as error:
            if not error.passing:
                raise
        progress(0.0, "waiting for the PACS")
        sleep(wait)
    return work()


def is_uid(text: str) -> bool:
    """Whether ``text`` is a UID that may become part of a file's name (PS3.5 chapter 9)."""
    return len(text) <= 64 and bool(_UID.match(text))
