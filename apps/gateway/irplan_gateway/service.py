"""The gateway at work: receive, watch, route, process, show, send; until it is told to stop."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from irplan.dicom.reading import read_dataset, text
from irplan.errors import DicomError, IrplanError, OutputError
from irplan.procedure.clock import Reading, read_clocks, wall_jump_s
from irplan_gateway.config import GatewayConfig
from irplan_gateway.incoming import Limits, has_room, reconcile
from irplan_gateway.node import Node
from irplan_gateway.outbox import Outbox
from irplan_gateway.page import ReviewPage
from irplan_gateway.routing import keywords_of
from irplan_gateway.runner import run_job
from irplan_gateway.store import Store
from irplan_gateway.watch import WatchFolder

_TICK_S = 0.1


class Gateway:
    """All parts on one store.  ``start``, then ``stop``; killed at any moment it goes on later.

    A series is taken as complete when no object of it came for ``quiet_s`` (by a clock that never
    jumps); images that come later open it again and make a new draft.
    """

    def __init__(
        self,
        config: GatewayConfig,
        say: Callable[[str], None] = lambda _: None,
        *,
        clocks: Callable[[], Reading] = read_clocks,
    ) -> None:
        self.config, self._say = config, say
        self._clocks, self._last_reading = clocks, clocks()
        self.store = Store(config.store)
        self._lock = _alone(config.store)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._quiet: dict[str, tuple[int, float]] = {}
        limits = self._limits = Limits(config.max_object_mb << 20, config.min_free_mb << 20)
        self.node = Node(config, self.store) if config.port is not None else None
        self.watch = (
            WatchFolder(config.watch, config.settle_s, self.store, limits)
            if config.watch is not None
            else None
        )
        self.outbox = Outbox(config, self.store)
        self.page = ReviewPage(config, self.store)

    def start(self) -> None:
        """Take up what an earlier run left, then listen, watch and work."""
        mended = reconcile(self.store)
        again = self.store.requeue_interrupted()
        self.store.note("start", "")
        self._say(f"taken up again: {again} jobs, {mended} series")
        if self.node is not None:
            self.node.start()
        self.page.start()
        if self.watch is not None:
            self._loop(self.watch.look)
        self._loop(self._look)
        self._loop(self.outbox.push)
        for _ in range(self.config.workers):
            self._loop(self._work)

    def stop(self) -> None:
        """End every part; running plug-ins are ended and taken up again at the next start."""
        self._stop.set()
        if self.node is not None:
            self.node.stop()
        self.page.stop()
        for thread in self._threads:
            thread.join(timeout=30)
        self.store.close()
        os.close(self._lock)

    def _loop(self, step: Callable[[], object]) -> None:
        """A thread of its own; a mistake in one step is counted and does not end it."""

        def run() -> None:
            while not self._stop.is_set():
                try:
                    done = step()
                except IrplanError as error:
                    self.store.note_if_possible(f"trouble: {type(error).__name__}", error.field)
                    done = None
                except Exception as error:  # noqa: BLE001 - the gateway goes on; it is counted
                    where = getattr(step, "__name__", "")
                    self.store.note_if_possible(f"fault: {type(error).__name__}", where)
                    done = None
                if not done:
                    self._stop.wait(_TICK_S)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _look(self) -> None:
        self._watch_clock()
        self._route_quiet()

    def _watch_clock(self) -> None:
        """Waiting goes by the steady clock; a jump of the wall clock, which dates, is counted."""
        reading = self._clocks()
        jump = wall_jump_s(self._last_reading, reading)
        if jump:
            self.store.note("clock jump", f"{jump:+.0f} s")
        self._last_reading = reading

    def _route_quiet(self) -> None:
        now = time.monotonic()
        open_series = self.store.receiving()
        for uid, folder in open_series:
            count = sum(1 for _ in folder.glob("*.dcm"))
            before, since = self._quiet.get(uid, (-1, now))
            if count != before:
                self._quiet[uid] = (count, now)
            elif now - since >= self.config.quiet_s:
                self._quiet.pop(uid)
                self._route(uid, folder, count)
        known = {uid for uid, _ in open_series}
        self._quiet = {k: v for k, v in self._quiet.items() if k in known}

    def _route(self, uid: str, folder: Path, images: int) -> None:
        header: dict[str, str] = {}
        keywords = keywords_of(self.config.rules)
        for file in sorted(folder.glob("*.dcm"))[:1]:
            try:
                data = read_dataset(file, pixels=False, tags=keywords)
                header = {k: text(data, k) for k in keywords}
            except DicomError:
                self.store.note("series with an unreadable header", "")
        rule = next((r for r in self.config.rules if r.fits(header, images)), None)
        if rule is None:
            self.store.route(uid, "", (), {})
        else:
            self.store.route(uid, rule.name, rule.run, rule.objections(header))

    def _work(self) -> bool:
        if not has_room(self.store, 0, self._limits):
            self._stop.wait(1.0)  # what is queued waits for space
            return False
        job = self.store.take_job()
        if job is None:
            return False
        try:
            run_job(self.config, self.store, job, self._stop)
        except sqlite3.Error:  # no room for the answer: the job is done again, not lost
            while not self._stop.is_set():
                with suppress(sqlite3.Error):
                    self.store.put_back(job)
                    break
                self._stop.wait(1.0)
        return True


def _alone(folder: Path) -> int:
    """A lock on the store: a second gateway on it is refused."""
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise OutputError(
            "store",
            got="a folder that another gateway is using",
            expected="a store of its own",
            remedy="Stop the other one, or change 'store'.",
        ) from error
    return handle
