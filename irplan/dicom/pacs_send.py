"""Objects out to a PACS: retried, resumed, never twice, and told what became of each."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pydicom
from pydicom.dataset import FileDataset

from irplan.compute.progress import Progress, no_progress, portion
from irplan.dicom.pacs_client import PacsClient, RetryPolicy, is_uid, with_retry
from irplan.dicom.reading import READ_ERRORS, quiet, text
from irplan.errors import DicomError, PacsError

#: Called with a file's name and the very bytes that would leave; raises to stop them.
Gate = Callable[[str, bytes], None]
#: Larger objects are not sent in one piece by irplan (memory).
LARGEST_BYTES = 1 << 30


@dataclass(frozen=True)
class SendResult:
    """``sent`` now, ``already_there`` before, ``confirmed`` by a query afterwards.

    ``confirmed`` is None where the peer answers no queries: not checked.
    """

    sent: int
    already_there: int
    confirmed: int | None

    @property
    def total(self) -> int:
        """Number of objects asked for."""
        return self.sent + self.already_there


def send_files(
    client: PacsClient,
    files: Sequence[Path],
    gate: Gate,
    *,
    retry: RetryPolicy | None = None,
    progress: Progress = no_progress,
) -> SendResult:
    """Store ``files`` in order; what the peer has already is left alone.

    Every object passes ``gate`` with its bytes; all are read and judged before the first one
    leaves.  A lost connection is tried again (`RetryPolicy`); before an object is sent again the
    peer is asked whether it arrived after all.  Afterwards the peer is asked for each one.

    Raises
    ------
    whatever ``gate`` raises : nothing has left.
    DicomError : a file is no whole DICOM object, or two are the same instance.
    PacsError : the peer refuses or stays away; run it again to resume.
    """
    policy = retry or RetryPolicy()
    wanted: dict[str, tuple[Path, str, str]] = {}
    for number, file in enumerate(files):
        progress(0.1 * number / max(1, len(files)), "checking what may leave")
        data = _object(file, gate)
        uid = text(data, "SOPInstanceUID")
        if uid in wanted:
            raise DicomError(
                f"'{file.name}'",
                got="an instance that another file holds too",
                expected="each instance once",
                remedy="Send one of the two.",
            )
        wanted[uid] = (file, text(data, "StudyInstanceUID"), text(data, "SeriesInstanceUID"))
        del data
    present = _present(client, wanted, policy, progress)
    before = set() if present is None else present & set(wanted)
    sent = 0
    for number, (uid, (file, study, series)) in enumerate(wanted.items()):
        progress(0.1 + 0.85 * number / len(wanted), "sending")
        if uid in before:
            continue
        with_retry(
            _once(client, file, gate, uid, study, series, known=present is not None),
            policy,
            progress=portion(progress, 0.1 + 0.85 * number / len(wanted), 1.0),
        )
        sent += 1
    progress(0.95, "asking whether all arrived")
    after = None if present is None else _present(client, wanted, policy, progress)
    confirmed = None if after is None else len(after & set(wanted))
    if confirmed is not None and confirmed < len(wanted):
        raise PacsError(
            "PACS",
            got=f"{confirmed} of {len(wanted)} objects found after sending",
            expected="all of them",
            remedy="Run it again; what is there is not sent twice.",
        )
    progress(1.0, "sent")
    return SendResult(sent, len(before), confirmed)


def _once(
    client: PacsClient, file: Path, gate: Gate, uid: str, study: str, series: str, *, known: bool
) -> Callable[[], None]:
    """One object's sending; from the second call on the peer is asked first whether it has it."""
    tried = False

    def work() -> None:
        nonlocal tried
        if tried and known:
            filters = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
            found = client.find("IMAGE", {**filters, "SOPInstanceUID": uid})
            if any(text(f, "SOPInstanceUID") == uid for f in found):
                return
        tried = True
        client.store(_object(file, gate))

    return work


def _present(
    client: PacsClient,
    wanted: dict[str, tuple[Path, str, str]],
    policy: RetryPolicy,
    progress: Progress,
) -> set[str] | None:
    """Which instances of the wanted series the peer has; None where it answers no queries."""
    found: set[str] = set()
    for study, series in sorted({(st, se) for _, st, se in wanted.values()}):
        filters = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
        try:
            answers = with_retry(partial(client.find, "IMAGE", filters), policy, progress=progress)
        except PacsError as error:
            if error.passing:
                raise
            return None
        found.update(text(a, "SOPInstanceUID") for a in answers)
    return found


def _object(file: Path, gate: Gate) -> FileDataset:
    """The object in ``file``, parsed from the very bytes that the gate saw."""
    field = f"'{file.name}'"
    try:
        if file.stat().st_size > LARGEST_BYTES:
            raise DicomError(
                field,
                got=f"{file.stat().st_size / 1e9:.1f} GB",
                expected=f"at most {LARGEST_BYTES / 1e9:.1f} GB",
                remedy="Send it with a tool that streams, e.g. dcmtk's storescu.",
            )
        raw = file.read_bytes()
    except OSError as error:
        raise DicomError(
            field,
            got=f"a file that cannot be read ({(error.strerror or 'unknown').lower()})",
            expected="a DICOM file",
            remedy="Check the path.",
        ) from error
    gate(file.name, raw)
    try:
        with quiet():
            data = pydicom.dcmread(io.BytesIO(raw))
            whole = all(
                is_uid(text(data, k)) for k in ("SOPInstanceUID", "StudyInstanceUID", "SOPClassUID")
            ) and is_uid(text(data.file_meta, "TransferSyntaxUID"))
    except (OSError, RuntimeError, *READ_ERRORS) as error:
        raise _not_whole(field) from error
    if not whole:
        raise _not_whole(field)
    return data


def _not_whole(field: str) -> DicomError:
    return DicomError(
        field,
        got="no whole DICOM object",
        expected="a DICOM file with study, series and instance UIDs",
        remedy="Give DICOM objects only.",
    )


def all_files(paths: Iterable[Path], *, without: str = "") -> list[Path]:
    """Files as given, folders by their DICOM files in order of name.

    Folders inside a given one that are called ``without`` are left out.
    """
    from irplan.dicom.reading import is_dicom

    out: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = (p for p in sorted(path.rglob("*")) if p.is_file())
            out += [p for p in inside if without not in p.relative_to(path).parts and is_dicom(p)]
        else:
            out.append(path)
    return out
