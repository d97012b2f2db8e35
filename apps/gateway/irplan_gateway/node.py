"""The DICOM node: C-ECHO and C-STORE, objects straight to disk."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from irplan.dicom.pacs_dimse import STORED_SYNTAXES, send_at_once, silence
from irplan.errors import MissingExtraError, OutputError
from irplan_gateway.config import GatewayConfig
from irplan_gateway.incoming import Limits, has_room, take_object
from irplan_gateway.store import Store

#: C-STORE statuses (PS3.4 B.2.3): stored or had; duplicate; cannot understand; out of resources.
_STATUS = {"stored": 0x0000, "had": 0x0000, "differs": 0x0111, "refused": 0xC000, "full": 0xA700}

#: What we ask peers to keep to, and what is still read, bytes.
_PDU, _LONGEST_PDU = 262144, 4 << 20


class Node:
    """A server on ``config.host``:``config.port``; ``start`` and ``stop``."""

    def __init__(self, config: GatewayConfig, store: Store) -> None:
        try:
            from pynetdicom import AE, StoragePresentationContexts, _config, evt
        except ImportError as error:
            raise MissingExtraError("DICOM node", package="pynetdicom", extra="pacs") from error
        silence()
        _config.STORE_RECV_CHUNKED_DATASET = True  # to a file as it comes: memory stays flat
        self._config, self._store = config, store
        self._limits = Limits(config.max_object_mb << 20, config.min_free_mb << 20)
        self._entity = AE(ae_title=config.ae_title)
        self._entity.require_called_aet = True
        self._entity.require_calling_aet = list(config.allowed_ae)
        self._entity.maximum_associations = 20
        self._entity.maximum_pdu_size = _PDU
        self._entity.acse_timeout = 10  # a request that was no request holds its place no longer
        self._entity.dimse_timeout = self._entity.network_timeout = 60
        for context in StoragePresentationContexts:
            self._entity.add_supported_context(context.abstract_syntax, list(STORED_SYNTAXES))
        self._entity.add_supported_context("1.2.840.10008.1.1")
        self._received: dict[int, int] = defaultdict(int)
        self._handlers = [
            (evt.EVT_CONN_OPEN, send_at_once),
            (evt.EVT_CONN_OPEN, self._bound),
            (evt.EVT_DATA_RECV, self._count),
            (evt.EVT_C_STORE, self._take),
            (evt.EVT_CONN_CLOSE, self._forget),
            (evt.EVT_REJECTED, self._rejected),
        ]
        self._server: Any = None

    def start(self) -> None:
        """Listen; `OutputError` where the port is taken."""
        config = self._config
        try:
            self._server = self._entity.start_server(
                (config.host, config.port), block=False, evt_handlers=self._handlers
            )
        except OSError as error:
            raise OutputError(
                "node.port",
                got=f"{config.port}, which cannot be used ({(error.strerror or '').lower()})",
                expected="a free port",
                remedy="Change node.port, or stop the other program.",
            ) from error

    def stop(self) -> None:
        """Close every association and the port."""
        self._entity.shutdown()

    def _bound(self, event: Any) -> None:
        """A PDU is read into memory as a whole: one longer than any sound peer sends is refused."""
        socket = event.assoc.dul.socket
        plain = socket.recv

        def recv(count: int) -> Any:
            if count > _LONGEST_PDU:
                self._store.note_if_possible("arrived: PDU too long, broken off")
                raise OSError("a PDU that is too long")
            return plain(count)

        socket.recv = recv

    def _take(self, event: Any) -> int:
        self._received[id(event.assoc)] = 0
        outcome = take_object(self._store, Path(event.dataset_path), self._limits)
        if outcome != "stored":
            self._store.note_if_possible(f"arrived: {outcome}")
        return _STATUS[outcome]

    def _count(self, event: Any) -> None:
        """Break off a sender whose object grows beyond the limit or would fill the disk."""
        key = id(event.assoc)
        self._received[key] += len(event.data)
        if self._received[key] > self._limits.object_bytes + (1 << 20):
            why = "too large"
        elif not has_room(self._store, len(event.data), self._limits):
            why = "no space"
        else:
            return
        self._received[key] = 0
        event.assoc.abort()
        self._store.note_if_possible(f"arrived: {why}, broken off")

    def _forget(self, event: Any) -> None:
        """Away with the counter, and with the file of an object that broke off."""
        self._received.pop(id(event.assoc), None)
        unfinished = getattr(event.assoc.dimse.message, "_data_set_file", None)
        if unfinished is not None:
            unfinished.close()
            Path(unfinished.name).unlink(missing_ok=True)

    def _rejected(self, event: Any) -> None:
        self._store.note_if_possible("association rejected")
