"""One run of a study, wherever it is computed: a failing one is an answer, not an end."""

from __future__ import annotations

import math
import os
import sys
import time
from dataclasses import dataclass

from irplan.errors import IrplanError
from irplan.studies.factor import Factor
from irplan.studies.store import Result
from irplan.studies.study import StudyRun, Task


@dataclass(frozen=True)
class Job:
    """What a worker needs once: the task and the factors."""

    task: Task
    factors: tuple[Factor, ...]


def compute_run(job: Job, run: StudyRun, worker: str) -> Result:
    """The result of ``run``; whatever the task raises becomes a failed result with its message."""
    started = time.perf_counter()
    try:
        outputs = job.task.compute(run.case, job.factors, run.parameters)
    except IrplanError as error:
        return Result(
            run.key, "failed", {}, _storable(str(error)), time.perf_counter() - started, worker
        )
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's task may raise anything
        message = _storable(f"{type(error).__name__}: {error}"[:500])
        return Result(run.key, "failed", {}, message, time.perf_counter() - started, worker)
    finite = {
        _storable(k): None
        if isinstance(v, float) and not math.isfinite(v)
        else _storable(v)
        if isinstance(v, str)
        else v
        for k, v in outputs.items()
    }
    return Result(run.key, "done", finite, "", time.perf_counter() - started, worker)


def _storable(text: str) -> str:
    """Text that UTF-8 can hold; undecodable bytes of file names are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def one_thread() -> None:
    """Let this process compute on one core: the study's workers share the machine."""
    if "numba" in sys.modules:
        sys.modules["numba"].set_num_threads(1)
    else:
        os.environ["NUMBA_NUM_THREADS"] = "1"
