"""What was accepted, to the PACS: exactly those bytes, tried again until they are there."""

from __future__ import annotations

import time

from irplan.dicom.pacs_client import RetryPolicy, connect
from irplan.dicom.pacs_send import send_files
from irplan.errors import IrplanError, PacsError, ReviewError
from irplan.procedure.review import require_releasable
from irplan_gateway.config import GatewayConfig
from irplan_gateway.store import Store

_ONCE = RetryPolicy(attempts=1)


class Outbox:
    """``push`` sends what waits; a PACS that is away is asked again, later each time."""

    def __init__(self, config: GatewayConfig, store: Store) -> None:
        self._config, self._store = config, store
        self._not_before, self._wait_s = 0.0, 1.0

    def push(self) -> int:
        """Number of drafts sent now."""
        waiting = self._store.waiting()
        if not waiting or self._config.peer is None or time.monotonic() < self._not_before:
            return 0
        sent = 0
        client = connect(self._config.peer)
        try:
            for draft_id in waiting:
                found = self._store.draft(draft_id)
                if found is None:
                    continue
                draft, _ = found
                folder = self._store.draft_folder(draft_id)

                def gate(name: str, raw: bytes, draft_id: str = draft_id) -> None:
                    self._require_releasable(draft_id, name, raw)

                try:
                    send_files(client, [folder / n for n in draft.files], gate, retry=_ONCE)
                except PacsError as error:
                    if error.passing:
                        self._store.sent(draft_id, state="waiting", error=error.got)
                        self._not_before = time.monotonic() + self._wait_s
                        self._wait_s = min(300.0, 2.0 * self._wait_s)
                        return sent
                    self._store.sent(draft_id, state="refused", error=error.got)
                except IrplanError as error:
                    self._store.sent(draft_id, state="refused", error=error.got)
                else:
                    self._store.sent(draft_id, state="sent")
                    self._wait_s = 1.0
                    sent += 1
        finally:
            client.close()
        return sent

    def _require_releasable(self, draft_id: str, name: str, raw: bytes) -> None:
        """Asked of the record as it is now: it may have been rejected or replaced meanwhile."""
        found = self._store.draft(draft_id)
        if found is None or found[1]["replaced"]:
            raise ReviewError(
                f"release of '{name}'",
                got="a result that a newer draft replaced",
                expected="the current result",
                remedy="Review the newer draft.",
            )
        require_releasable(found[0], name, raw)
