"""C-ECHO, C-FIND, C-GET and C-STORE through pynetdicom."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any

from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from irplan.dicom.pacs_client import RETURNED, Level
from irplan.dicom.pacs_peer import DicomNode
from irplan.dicom.reading import READ_ERRORS, quiet, text
from irplan.errors import MissingExtraError, PacsError

_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
_GET = "1.2.840.10008.5.1.4.1.2.2.3"
_VERIFY = "1.2.840.10008.1.1"
#: Transfer syntaxes that objects may come in, the best first.
STORED_SYNTAXES = [
    str(s)
    for s in (
        ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLosslessSV1, JPEGLSLossless,
        JPEG2000Lossless, RLELossless, JPEGBaseline8Bit, JPEGExtended12Bit, JPEG2000,
        DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian,
    )
]  # fmt: skip
_PENDING = (0xFF00, 0xFF01)
#: Objects that may wait between the network and the disk.
_WAITING = 8


class DimseClient:
    """A `irplan.dicom.pacs_client.PacsClient` over DIMSE; one association a question."""

    def __init__(self, node: DicomNode) -> None:
        try:
            from pynetdicom import AE
        except ImportError as error:
            raise MissingExtraError("DICOM network", package="pynetdicom", extra="pacs") from error
        silence()
        self._node = node
        self._ae_class = AE
        self._open: tuple[tuple[str, str], Any, Any] | None = None

    def check(self) -> None:
        """C-ECHO."""
        with self._association([(_VERIFY, STORED_SYNTAXES[:2])]) as association:
            self._require(association.send_c_echo(), "C-ECHO")

    def find(self, level: Level, filters: Mapping[str, str]) -> list[Dataset]:
        """C-FIND at ``level`` in the study root."""
        query = Dataset()
        query.QueryRetrieveLevel = level
        for keyword in RETURNED[level]:
            setattr(query, keyword, "")
        for keyword, value in filters.items():
            setattr(query, keyword, value)
        found = []
        with self._association([(_FIND, STORED_SYNTAXES[:2])]) as association:
            for status, answer in association.send_c_find(query, _FIND):
                self._require(status, "C-FIND", also=_PENDING)
                if answer is not None:
                    found.append(answer)
        return found

    def get(self, instances: Sequence[Dataset]) -> Iterator[FileDataset]:
        """C-GET of each series' instances by their UIDs; objects come as they arrive."""
        from pynetdicom import build_role, evt

        series: dict[tuple[str, str], list[Dataset]] = {}
        for one in instances:
            key = text(one, "StudyInstanceUID"), text(one, "SeriesInstanceUID")
            series.setdefault(key, []).append(one)
        arrived: queue.Queue[FileDataset | Exception | None] = queue.Queue(_WAITING)

        def take(event: Any) -> int:
            data = event.dataset
            data.file_meta = event.file_meta
            arrived.put(data)
            return 0

        for (study, uid), items in series.items():
            classes = sorted({text(i, "SOPClassUID") for i in items})
            roles = [build_role(c, scp_role=True) for c in classes]
            query = Dataset()
            query.QueryRetrieveLevel = "IMAGE"
            query.StudyInstanceUID, query.SeriesInstanceUID = study, uid
            query.SOPInstanceUID = [text(i, "SOPInstanceUID") for i in items]

            def work(query: Dataset = query, classes: Any = classes, roles: Any = roles) -> None:
                try:
                    with self._association(
                        [(_GET, STORED_SYNTAXES[:2]), *((c, STORED_SYNTAXES) for c in classes)],
                        roles=roles,
                        handlers=[(evt.EVT_C_STORE, take)],
                    ) as association:
                        for status, _ in association.send_c_get(query, _GET):
                            self._require(status, "C-GET", also=(*_PENDING, 0xB000))
                    arrived.put(None)
                except PacsError as error:
                    arrived.put(error)

            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            while (item := arrived.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
            thread.join()

    def store(self, data: FileDataset) -> None:
        """C-STORE of one object in the transfer syntax it has; the association is kept open."""
        what = text(data, "SOPClassUID"), str(data.file_meta.TransferSyntaxUID)
        if self._open is None or self._open[0] != what or not self._open[2].is_established:
            self.close()
            keeping = self._association([(what[0], [what[1]])])
            self._open = (what, keeping, keeping.__enter__())
        try:
            with quiet():
                status = self._open[2].send_c_store(data)
        except (RuntimeError, *READ_ERRORS) as error:
            lost = not self._open[2].is_established
            self.close()
            raise PacsError(
                "C-STORE",
                got="a connection that broke off"
                if lost
                else f"an object that cannot be sent ({type(error).__name__})",
                expected="a kind of object and transfer syntax that the peer takes",
                remedy="Ask the PACS administrator, or send it uncompressed.",
                passing=lost,
            ) from error
        self._require(status, "C-STORE", also=(0xB000, 0xB006, 0xB007))

    def close(self) -> None:
        """End the association of `store`."""
        if self._open is not None:
            self._open[1].__exit__(None, None, None)
            self._open = None

    @contextmanager
    def _association(
        self,
        contexts: Sequence[tuple[str, Sequence[str]]],
        *,
        roles: Sequence[Any] = (),
        handlers: Sequence[Any] = (),
    ) -> Iterator[Any]:
        node = self._node
        entity = self._ae_class(ae_title=node.calling_ae_title)
        for name in ("connection_timeout", "acse_timeout", "dimse_timeout", "network_timeout"):
            setattr(entity, name, node.timeout_s)
        for uid, syntaxes in contexts:
            entity.add_requested_context(uid, list(syntaxes))
        from pynetdicom import evt

        with quiet():
            association = entity.associate(
                node.host,
                node.port,
                ae_title=node.ae_title,
                ext_neg=list(roles) or None,
                evt_handlers=[(evt.EVT_CONN_OPEN, send_at_once), *handlers],
            )
        if not association.is_established:
            raise self._no_association(association)
        try:
            yield association
        finally:
            if association.is_established:
                association.release()
            entity.shutdown()

    def _no_association(self, association: Any) -> PacsError:
        where = f"{self._node.ae_title}@{self._node.host}:{self._node.port}"
        if association.is_rejected:
            answer = getattr(association.acceptor, "primitive", None)
            code = getattr(answer, "diagnostic", None), getattr(answer, "result_source", None)
            words = {1: "no reason", 3: "it does not know our AE title", 7: "not its AE title"}
            why = words.get(code[0] or 1, "no reason") if code[1] in (1, None) else "too busy"
            return PacsError(
                f"PACS {where}",
                got=f"a refusal ({why})",
                expected=f"to be accepted as '{self._node.calling_ae_title}'",
                remedy="Check both AE titles; ours must be registered at the PACS.",
                passing=why == "too busy",
            )
        if association.rejected_contexts and not association.accepted_contexts:
            return PacsError(
                f"PACS {where}",
                got="an answer that accepts nothing of what was offered",
                expected="a peer for this kind of question or object",
                remedy="It may be send-only, or not take this kind of object or compression.",
            )
        return PacsError(
            f"PACS {where}",
            got="no connection, or one that broke off",
            expected="a DICOM node that answers",
            remedy="Check host and port, and that the PACS runs.",
            passing=True,
        )

    def _require(self, status: Any, what: str, *, also: Sequence[int] = ()) -> None:
        code = status.Status if "Status" in status else None
        if code == 0 or code in also:
            return
        if code is None:
            raise PacsError(
                what,
                got="a connection that broke off, or no answer in time",
                expected="an answer",
                remedy="Run it again; what has arrived is not sent twice.",
                passing=True,
            )
        words = {
            0xA700: "out of resources", 0xA701: "out of resources", 0xA702: "out of resources",
            0xA801: "move destination unknown", 0xA900: "the object does not match its class",
            0xC000: "cannot be understood", 0x0122: "SOP class not supported",
            0x0124: "not authorised", 0xFE00: "cancelled",
        }  # fmt: skip
        raise PacsError(
            what,
            got=f"status 0x{code:04X} ({words.get(code, 'a failure')})",
            expected="status 0x0000 (success)",
            remedy="See the PACS's log for the reason.",
            passing=0xA700 <= code <= 0xA7FF,
        )


def silence() -> None:
    """pynetdicom writes what it receives to its log, patients included: no more."""
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)


def send_at_once(event: Any) -> None:
    """Small packets are not held back (Nagle's rule costs 40 ms an object)."""
    socket = getattr(event.assoc.dul.socket, "socket", None)
    if socket is not None:
        socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
