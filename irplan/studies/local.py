"""Runs on this machine: worker processes that are fed one run ahead.

A worker that dies takes only the run that it was at with it: that one is recorded as crashed and
another worker starts.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import IO

from irplan.studies.compute_run import Job
from irplan.studies.store import Result
from irplan.studies.study import StudyRun

#: Runs that a worker has at a time: one under way, one waiting.
_AHEAD = 2
#: How often limits of time are looked at, s.
_LOOK_S = 0.2


def run_locally(
    job: Job,
    runs: Iterator[StudyRun],
    *,
    workers: int,
    limit_s: float | None = None,
    gpus: Sequence[int] = (),
) -> Iterator[tuple[StudyRun, Result]]:
    """Runs with their results, as these come; closing the iterator stops the workers.

    ``gpus`` pins worker n to device ``gpus[n % len(gpus)]`` (CUDA_VISIBLE_DEVICES).
    """
    answers: queue.Queue[tuple[_Worker, Result | None]] = queue.Queue()
    # The others start when the first has answered: where kernels are still to be compiled, one
    # worker compiles them and the rest find them in the cache.
    crew = [_Worker(job, answers, gpus[0] if gpus else None)]
    again: deque[StudyRun] = deque()
    try:
        for _ in range(_AHEAD):
            crew[0].feed(again, runs)
        while any(w.waiting for w in crew):
            try:
                worker, result = answers.get(timeout=_LOOK_S)
            except queue.Empty:
                for late in crew:
                    if limit_s is not None and late.waiting and late.busy_s() > limit_s:
                        late.kill(f"it took longer than the limit of {limit_s:g} s")
                continue
            if worker not in crew:
                continue
            if result is not None:
                yield worker.finished(), result
                worker.feed(again, runs)
                while len(crew) < workers:
                    crew.append(
                        _Worker(job, answers, gpus[len(crew) % len(gpus)] if gpus else None)
                    )
                    for _ in range(_AHEAD):
                        crew[-1].feed(again, runs)
                continue
            lost = worker.lost()
            crew[crew.index(worker)] = fresh = worker.another(answers)
            if lost is not None:
                again.extend(worker.waiting)
                yield lost
            for _ in range(_AHEAD):
                fresh.feed(again, runs)
    finally:
        for worker in crew:
            worker.stop()


class _Worker:
    """A process, the runs that it has, and a thread that waits for its answers."""

    def __init__(
        self, job: Job, answers: queue.Queue[tuple[_Worker, Result | None]], gpu: int | None
    ) -> None:
        self._job, self._gpu = job, gpu
        self._why = ""
        self.waiting: deque[StudyRun] = deque()
        self._since = math.inf
        environment = dict(os.environ)
        for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            environment[name] = "1"
        # What the parent can import the worker can, too.
        environment["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
        if gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = str(gpu)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "irplan.studies.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # a terminal's Ctrl-C is the parent's to handle
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._send(job)
        self._thread = threading.Thread(
            target=self._listen, args=(self._process.stdout, answers), daemon=True
        )
        self._thread.start()

    def feed(self, again: deque[StudyRun], runs: Iterator[StudyRun]) -> None:
        """Give it one more run, if there is one and it has not enough."""
        if len(self.waiting) >= _AHEAD:
            return
        run = again.popleft() if again else next(runs, None)
        if run is not None:
            if not self.waiting and self._since < math.inf:
                self._since = time.monotonic()
            self.waiting.append(run)
            self._send(run)

    def finished(self) -> StudyRun:
        """The run whose answer came."""
        self._since = time.monotonic()
        return self.waiting.popleft()

    def lost(self) -> tuple[StudyRun, Result] | None:
        """The run it was at when it died, with that as the result."""
        code = self._process.wait()
        if not self.waiting:
            return None
        run = self.waiting.popleft()
        why = self._why or f"its process ended ({_cause(code)})"
        status: str = "failed" if self._why else "crashed"
        worker = f"local-{self._process.pid}"
        return run, Result(run.key, status, {}, f"stopped: {why}", self.busy_s(), worker)  # type: ignore[arg-type]

    def another(self, answers: queue.Queue[tuple[_Worker, Result | None]]) -> _Worker:
        """A worker in the place of this one."""
        self.stop()
        return _Worker(self._job, answers, self._gpu)

    def busy_s(self) -> float:
        """How long it has been at its present run; 0 while it starts up."""
        return max(0.0, time.monotonic() - self._since)

    def kill(self, why: str) -> None:
        """End the process; ``why`` goes to the result of what it was at."""
        self._why = why
        self._process.kill()

    def stop(self) -> None:
        """End the process and wait for its thread."""
        self._process.kill()
        self._process.wait()
        self._thread.join(timeout=5.0)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _send(self, what: Job | StudyRun) -> None:
        assert self._process.stdin is not None
        # A worker that has just died is noticed by its reader, which puts None.
        with contextlib.suppress(OSError):
            pickle.dump(what, self._process.stdin)
            self._process.stdin.flush()

    def _listen(self, pipe: IO[bytes], answers: queue.Queue[tuple[_Worker, Result | None]]) -> None:
        try:
            pickle.load(pipe)
            self._since = time.monotonic()
            while True:
                answers.put((self, pickle.load(pipe)))
        except (EOFError, OSError, pickle.UnpicklingError, ValueError):
            answers.put((self, None))


def _cause(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"
