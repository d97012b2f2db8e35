"""A local worker: ``python -m irplan.studies.worker`` reads runs on stdin, answers on stdout.

What tasks print goes to stderr and what they read is empty, so that the pipes carry runs and
results only.  Ctrl-C is the parent's to handle; when the parent is gone the worker ends at once.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
from typing import IO

from irplan.studies.compute_run import Job, compute_run, one_thread
from irplan.studies.study import StudyRun


def main() -> None:
    """Answer runs until the pipe closes."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # A handler, unlike SIG_IGN, is not inherited by programs that a task starts.
        signal.signal(number, lambda *_: None)
    asked = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, sys.stdin.fileno())
    os.close(nothing)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    job: Job = pickle.load(asked)
    one_thread()
    pickle.dump(None, answers)  # ready: from here on its time counts
    answers.flush()
    worker = f"local-{os.getpid()}"
    runs: queue.Queue[StudyRun] = queue.Queue()
    threading.Thread(target=_read, args=(asked, runs), daemon=True).start()
    while True:
        pickle.dump(compute_run(job, runs.get(), worker), answers)
        answers.flush()


def _read(asked: IO[bytes], runs: queue.Queue[StudyRun]) -> None:
    try:
        while True:
            runs.put(pickle.load(asked))
    except (EOFError, OSError, pickle.UnpicklingError):
        os._exit(0)  # the parent is gone: nobody waits for what is under way


if __name__ == "__main__":
    main()
