"""Work on an index range, cut into parts that Python threads share."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from irplan.compute.progress import Progress, no_progress


def cores() -> int:
    """The cores this process may use (affinity, and numba's own limit)."""
    import numba

    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(own, int(numba.config.NUMBA_NUM_THREADS)))


def in_parts(
    count: int,
    work: Callable[[int, int], object],
    *,
    parts: int | None = None,
    progress: Progress = no_progress,
    words: str = "",
) -> None:
    """Call ``work(first, last)`` for parts of ``range(count)`` on all cores, in no certain order.

    For kernels that release the GIL and write to their own part only: plain threads need no
    threading layer, so any number of callers may do this at once, and no parallel code is
    compiled.  ``parts`` defaults to one a core; ``progress`` is told in the caller's thread and
    may raise to cancel (parts not begun are dropped).
    """
    threads = cores()
    parts = min(count, threads if parts is None else parts)
    if parts <= 1 or threads == 1:
        steps = max(1, parts)
        for n in range(steps):
            progress(n / steps, words)
            work(count * n // steps, count * (n + 1) // steps)
        return
    edges = [count * n // parts for n in range(parts + 1)]
    with ThreadPoolExecutor(threads) as pool:
        jobs = [pool.submit(work, a, b) for a, b in pairwise(edges)]
        try:
            for n, job in enumerate(jobs):
                progress(n / parts, words)
                job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
