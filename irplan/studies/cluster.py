"""Runs on a Dask cluster that is there already: ``dask scheduler`` and ``dask worker``."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

from irplan.errors import IrplanError, MissingExtraError, SolverError
from irplan.studies.compute_run import Job, compute_run
from irplan.studies.store import Result
from irplan.studies.study import StudyRun

#: Tasks handed over at a time for each thread of the cluster: memory stays flat.
_AHEAD = 4
#: Short runs go together in tasks of about this long, s, and at most so many: the scheduler spends
#: some 5 ms, and keeps nearly 1 KB, a task.
_TASK_S = 0.5
_MOST = 64
#: How long to wait for a scheduler, and for its first worker, s.
_CONNECT_S = 10.0


def run_on_cluster(
    job: Job, runs: Iterator[StudyRun], *, scheduler: str
) -> Iterator[tuple[StudyRun, Result]]:
    """Runs with their results, as these come from the workers of ``scheduler`` (tcp://...).

    A worker that dies loses nothing: Dask computes its runs elsewhere.  Runs whose workers keep
    dying are tried again at the end, one at a time: only the culprit is recorded as crashed.
    Short runs share a task.  Raises `MissingExtraError` without the extra ``cluster``,
    `SolverError` where no scheduler answers, it has no workers, or it goes away.
    """
    try:
        from distributed import Client, KilledWorker, as_completed
        from distributed.client import FutureCancelledError
        from distributed.comm import CommClosedError
    except ImportError as error:
        raise MissingExtraError(
            "studies on a cluster", package="distributed", extra="cluster"
        ) from error
    try:
        client = Client(scheduler, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise _gone(scheduler, f"no scheduler that answers ({type(error).__name__})") from error
    try:
        try:
            client.wait_for_workers(1, timeout=_CONNECT_S)
        except TimeoutError as error:
            raise _gone(scheduler, "a scheduler without workers") from error
        threads = max(1, sum(client.nthreads().values()))
        ready: Any = as_completed(loop=client.loop, with_results=False)
        names: dict[str, list[StudyRun]] = {}
        suspects: deque[StudyRun] = deque()
        alone = False
        together = 1

        def hand_over() -> None:
            nonlocal alone
            some = list(islice(runs, together))
            if not some:
                if names or not suspects:
                    return
                some, alone = [suspects.popleft()], True
            first = some[0]
            key = f"irplan-{first.number}-{first.key[:16]}{'-alone' if alone else ''}"
            names[key] = some
            ready.add(client.submit(_on_worker, job, some, key=key, pure=False))

        for _ in range(_AHEAD * threads):
            hand_over()
        while names:
            future = next(ready)
            some = names.pop(future.key)
            try:
                results = future.result(timeout=_CONNECT_S)
            except KilledWorker:
                if not alone:  # a neighbour in the same worker may be the one
                    suspects.extend(some)
                    future.release()
                    hand_over()
                    continue
                text = "stopped: it ended the process of every worker that tried it"
                results = [Result(r.key, "crashed", {}, text, 0.0, "cluster") for r in some]
            except TimeoutError as error:
                # Its worker died with the result: Dask computes it again.
                if client.status != "running":
                    raise _gone(scheduler, "a scheduler that went away") from error
                names[future.key] = some
                ready.add(future)
                continue
            except (FutureCancelledError, CommClosedError, OSError) as error:
                raise _gone(scheduler, "a scheduler that went away") from error
            future.release()
            yield from zip(some, results, strict=True)
            each_s = sum(r.seconds for r in results) / len(results)
            together = max(1, min(_MOST, 2 * together, int(_TASK_S / max(each_s, 1e-6))))
            hand_over()
    except (CommClosedError, FutureCancelledError, StopIteration) as error:
        raise _gone(scheduler, "a scheduler that went away") from error
    finally:
        client.close(timeout=2.0)


def _on_worker(job: Job, runs: list[StudyRun]) -> list[Result]:
    from distributed import get_worker

    from irplan.studies.compute_run import one_thread

    one_thread()
    name = f"{socket.gethostname()}-{get_worker().name}"
    return [compute_run(job, run, name) for run in runs]


def _gone(scheduler: str, got: str) -> IrplanError:
    return SolverError(
        f"--scheduler {scheduler}",
        got=got,
        expected="a running Dask scheduler with workers",
        remedy="Start `dask scheduler` and `dask worker ADDRESS`, then run the same command again: "
        "finished results are kept.",
    )
