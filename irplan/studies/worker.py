"""A local worker: ``python -m irplan.studies.worker`` reads runs on stdin, answers on stdout.

What tasks print goes to stderr, so that the pipe carries results only.
"""

from __future__ import annotations

import os
import pickle
import sys

from irplan.studies.compute_run import Job, compute_run, one_thread


def main() -> None:
    """Answer runs until the pipe closes."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    job: Job = pickle.load(sys.stdin.buffer)
    one_thread()
    pickle.dump(None, answers)  # ready: from here on its time counts
    answers.flush()
    worker = f"local-{os.getpid()}"
    while True:
        try:
            run = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(compute_run(job, run, worker), answers)
        answers.flush()


if __name__ == "__main__":
    main()
