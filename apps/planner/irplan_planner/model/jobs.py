"""Work on threads of its own: lanes, progress, cancel; results come back by `JobQueue.poll`."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

from irplan.compute.progress import Progress
from irplan.errors import CancelledError, InputError, IrplanError, SolverError

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
#: One worker thread a lane; jobs of a lane run one after the other.
Lane = Literal["read", "work", "edit", "preview", "save", "background", "setup"]


class Job:
    """One piece of work; ``fraction`` (0..1) and ``message`` say how far it is."""

    def __init__(
        self,
        title: str,
        lane: Lane,
        work: Callable[[Progress], Any],
        done: Callable[[Any], None],
        failed: Callable[[IrplanError], None] | None,
        *,
        quiet: bool,
    ) -> None:
        self.title, self.lane, self.quiet = title, lane, quiet
        self.fraction, self.message = 0.0, "waiting"
        self.state: JobState = "queued"
        self.started_s = time.monotonic()
        self._work, self._done, self._failed = work, done, failed
        self._cancel = threading.Event()
        self._outcome: Any = None
        self._error: IrplanError | None = None

    def cancel(self) -> None:
        """Ask it to stop; it does so at its next report of progress."""
        self._cancel.set()
        if self.state == "queued":
            self.state = "cancelled"

    @property
    def cancelling(self) -> bool:
        """Whether it was asked to stop."""
        return self._cancel.is_set()

    def _report(self, fraction: float, message: str) -> None:
        if self._cancel.is_set():
            raise CancelledError(self.title)
        self.fraction, self.message = min(1.0, max(0.0, fraction)), message

    def _run(self) -> None:
        """On the worker: the work itself.  Whatever it raises becomes an error in words."""
        if self._cancel.is_set():
            self.state = "cancelled"
            return
        self.state = "running"
        try:
            self._report(0.0, "starting")
            self._outcome = self._work(self._report)
            self.state = "cancelled" if self._cancel.is_set() else "done"
        except CancelledError:
            self.state = "cancelled"
        except IrplanError as error:
            self._error, self.state = error, "failed"
        except MemoryError:
            self._error, self.state = _memory(self.title), "failed"
        except Exception as error:  # noqa: BLE001  a fault must not take the window with it
            self._error, self.state = _fault(self.title, error), "failed"

    def _finish(self) -> None:
        """On the caller's thread: hand over what came out."""
        if self.state == "done" and not self._cancel.is_set():
            self._done(self._outcome)
        elif self.state == "failed" and self._failed is not None and self._error is not None:
            self._failed(self._error)
        self._outcome = None


class JobQueue:
    """Lanes of work.

    Parameters
    ----------
    wake : called from a worker when something is ready for `poll`, or progress was made; it must
        be safe to call from any thread.
    failed : what to do with the error of a job that brings no handler of its own.
    """

    def __init__(
        self,
        *,
        wake: Callable[[], None] = lambda: None,
        failed: Callable[[IrplanError], None] = lambda error: None,
    ) -> None:
        self.wake = wake
        self._failed = failed
        self._lock = threading.Condition()
        self._waiting: dict[Lane, deque[Job]] = {}
        self._threads: dict[Lane, threading.Thread] = {}
        self._running: dict[Lane, Job | None] = {}
        self._ready: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._unfinished = 0
        self._closed = False

    def submit(
        self,
        title: str,
        lane: Lane,
        work: Callable[[Progress], Any],
        done: Callable[[Any], None],
        *,
        failed: Callable[[IrplanError], None] | None = None,
        latest: bool = False,
        quiet: bool = False,
    ) -> Job:
        """Queue ``work(progress)``; ``done(outcome)`` runs in `poll`.

        ``latest``: jobs of this title that still wait are dropped (only the newest edit counts).
        ``quiet``: not shown as running work.
        """
        job = Job(title, lane, work, done, failed or self._failed, quiet=quiet)
        with self._lock:
            if self._closed:
                job.state = "cancelled"
                return job
            line = self._waiting.setdefault(lane, deque())
            if latest:
                for old in [j for j in line if j.title == title]:
                    line.remove(old)
                    old.cancel()
                    self._unfinished -= 1
            line.append(job)
            self._unfinished += 1
            if lane not in self._threads:
                worker = threading.Thread(
                    target=self._serve, args=(lane,), name=f"irplan-{lane}", daemon=True
                )
                self._threads[lane] = worker
                worker.start()
            self._lock.notify_all()
        return job

    def poll(self) -> int:
        """Hand over what is ready, on this thread; how many jobs that were."""
        count = 0
        while True:
            try:
                job = self._ready.get_nowait()
            except queue.Empty:
                return count
            count += 1
            with self._lock:
                self._unfinished -= 1
            job._finish()

    def active(self) -> tuple[Job, ...]:
        """Jobs that run or wait, those that run first."""
        with self._lock:
            running = [j for j in self._running.values() if j is not None]
            waiting = [j for line in self._waiting.values() for j in line]
        return (*running, *waiting)

    @property
    def idle(self) -> bool:
        """Nothing runs, waits, or is ready to be handed over."""
        with self._lock:
            return self._unfinished == 0

    def cancel_all(self, *lanes: Lane) -> None:
        """Ask everything (of these lanes) to stop."""
        for job in self.active():
            if not lanes or job.lane in lanes:
                job.cancel()

    def wait(self, timeout_s: float = 600.0) -> None:
        """Poll until idle (tests and scripts).  Raises `SolverError` when it takes longer."""
        end = time.monotonic() + timeout_s
        while not self.idle:
            self.poll()
            if time.monotonic() > end:
                raise SolverError(
                    "jobs",
                    got=f"work that still runs after {timeout_s:g} s",
                    expected="an end",
                    remedy="Give it more time, or cancel it.",
                )
            time.sleep(0.005)
        self.poll()

    def close(self, timeout_s: float = 30.0) -> None:
        """Cancel everything and end the workers; results that come late are dropped."""
        self.cancel_all()
        with self._lock:
            self._closed = True
            for line in self._waiting.values():
                line.clear()
            self._lock.notify_all()
        self.wake = lambda: None
        for worker in self._threads.values():
            worker.join(timeout_s)
        self._threads.clear()

    def _serve(self, lane: Lane) -> None:
        while True:
            with self._lock:
                while not self._waiting[lane] and not self._closed:
                    self._lock.wait()
                if self._closed:
                    return
                job = self._waiting[lane].popleft()
                self._running[lane] = job
            job._run()
            with self._lock:
                self._running[lane] = None
            self._ready.put(job)
            self.wake()


def _memory(title: str) -> IrplanError:
    return InputError(
        title,
        got="less memory than this case needs",
        expected="about 4 GB for 512 x 512 x 130 voxels",
        remedy="Close other programs, or crop the scan.",
    )


def _fault(title: str, error: Exception) -> IrplanError:
    return SolverError(
        title,
        got=f"a fault inside irplan ({type(error).__name__}: {str(error)[:120]})",
        expected="an answer or an error in words",
        remedy="The case is unchanged. Save it and report this line.",
    )
