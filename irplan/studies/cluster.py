"""Runs on a Dask cluster that is there already: ``dask scheduler`` and ``dask worker``."""

from __future__ import annotations

import logging
import socket
import time
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any

from irplan import __version__
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
#: How often the cluster's threads are counted again: workers may join, s.
_COUNT_S = 5.0
#: How long to wait for a scheduler, and for its first worker, s.
_CONNECT_S = 10.0


def run_on_cluster(
    job: Job, runs: Iterator[StudyRun], *, scheduler: str
) -> Iterator[tuple[StudyRun, Result]]:
    """Runs with their results, as these come from the workers of ``scheduler`` (tcp://...).

    A worker that dies loses nothing: Dask computes its runs elsewhere.  Runs whose workers keep
    dying are tried again at the end, one at a time: only the culprit is recorded as crashed.
    Short runs share a task; one that takes long hands its rest back, so that results never wait
    for more than one long run.  Workers that join later get work, too.  Raises `MissingExtraError`
    without the extra ``cluster``, `SolverError` where no scheduler answers, it has no workers, it
    goes away, or a worker has no irplan or another version of it.
    """
    try:
        from distributed import Client, KilledWorker, as_completed
        from distributed.client import FutureCancelledError
        from distributed.comm import CommClosedError
    except ImportError as error:
        raise MissingExtraError(
            "studies on a cluster", package="distributed", extra="cluster"
        ) from error
    with _quiet():
        try:
            client = Client(scheduler, timeout=_CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise _gone(scheduler, f"no scheduler that answers ({type(error).__name__})") from error
        try:
            try:
                client.wait_for_workers(1, timeout=_CONNECT_S)
            except TimeoutError as error:
                raise _gone(scheduler, "a scheduler without workers") from error
            session = uuid.uuid4().hex[:12]  # another study's tasks at this scheduler are not ours
            ready: Any = as_completed(loop=client.loop, with_results=False)
            names: dict[str, list[StudyRun]] = {}
            again: deque[StudyRun] = deque()
            suspects: deque[StudyRun] = deque()
            alone = False
            together, ahead, counted = 1, 1, -_COUNT_S

            def hand_over() -> None:
                nonlocal alone, ahead, counted
                if time.monotonic() - counted >= _COUNT_S:
                    ahead = _AHEAD * max(1, sum(client.nthreads().values()))
                    counted = time.monotonic()
                while len(names) < ahead:
                    old = (again.popleft() for _ in range(len(again)))
                    some = list(islice(chain(old, runs), together))
                    if not some:
                        if names or not suspects:
                            return
                        some, alone = [suspects.popleft()], True
                    first = some[0]
                    key = f"irplan-{session}-{first.number}{'-alone' if alone else ''}"
                    names[key] = some
                    task = client.submit(_on_worker, job, some, __version__, key=key, pure=False)
                    ready.add(task)

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
                except (ImportError, AttributeError, TypeError, RuntimeError) as error:
                    # The task itself answers with a result whatever happens: it could not be read.
                    raise _other(scheduler, f"none that can be used ({error})"[:300]) from error
                future.release()
                if isinstance(results, str):
                    raise _other(scheduler, results)
                again.extend(some[len(results) :])
                yield from zip(some, results, strict=False)
                each_s = sum(r.seconds for r in results) / len(results)
                together = max(1, min(_MOST, 2 * together, int(_TASK_S / max(each_s, 1e-6))))
                hand_over()
        except (CommClosedError, FutureCancelledError, StopIteration) as error:
            raise _gone(scheduler, "a scheduler that went away") from error
        finally:
            client.close(timeout=2.0)


def _on_worker(job: Job, runs: list[StudyRun], wanted: str) -> list[Result] | str:
    """Results of the first of ``runs``, all of them unless they take long; or a wrong version."""
    from distributed import get_worker

    from irplan.studies.compute_run import one_thread

    if __version__ != wanted:
        return __version__
    one_thread()
    name = f"{socket.gethostname()}-{get_worker().name}"
    results, until = [], time.monotonic() + 2 * _TASK_S
    for run in runs:
        results.append(compute_run(job, run, name))
        if time.monotonic() > until:
            break
    return results


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the tracebacks that distributed logs, when a scheduler goes, from the screen."""
    logger = logging.getLogger("distributed")
    client = logging.getLogger("distributed.client")
    levels = logger.level, client.level
    logger.setLevel(logging.CRITICAL)
    client.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(levels[0])
        client.setLevel(levels[1])


def _other(scheduler: str, got: str) -> IrplanError:
    return SolverError(
        f"workers of {scheduler}: irplan",
        got=got,
        expected=f"irplan {__version__}, as here",
        remedy="Install the same irplan where `dask worker` runs, and start it again: "
        "finished results are kept.",
    )


def _gone(scheduler: str, got: str) -> IrplanError:
    return SolverError(
        f"--scheduler {scheduler}",
        got=got,
        expected="a running Dask scheduler with workers",
        remedy="Start `dask scheduler` and `dask worker ADDRESS`, then run the same command again: "
        "finished results are kept.",
    )
