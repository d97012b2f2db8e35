"""A study computed into a folder: what is there already is not computed again."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from irplan.compute.progress import Progress, no_progress
from irplan.errors import InputError, OutputError
from irplan.files.atomic import cannot_write
from irplan.studies.cluster import run_on_cluster
from irplan.studies.compute_run import Job
from irplan.studies.local import run_locally
from irplan.studies.outputs import write_outputs
from irplan.studies.store import ResultStore
from irplan.studies.study import Study, StudyRun

#: Results of a study folder.
RESULTS = "results.sqlite"
#: How often progress is told, s.
_TELL_S = 0.3


@dataclass(frozen=True)
class StudyOutcome:
    """What was done: ``computed`` now, ``kept`` from before; ``failed`` and ``crashed`` of all.

    ``seconds`` is the wall time, ``busy_s`` the time workers spent in the task.
    """

    folder: Path
    runs: int
    computed: int
    kept: int
    failed: int
    crashed: int
    seconds: float
    busy_s: float
    workers: int
    notes: tuple[str, ...]


def run_study(
    study: Study,
    out: str | Path,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    gpus: Sequence[int] = (),
    retry_failed: bool = False,
    progress: Progress = no_progress,
) -> StudyOutcome:
    """Compute the runs of ``study`` that ``out`` has no result of, then write tables and figures.

    Parameters
    ----------
    out : folder; a new or empty one, or one of the same study (the number of points may differ).
        Every result is safe in it half a second after it came, whatever happens then.
    workers : local processes, one core each; None takes one a core.
    scheduler : address of a Dask scheduler (``tcp://host:8786``) instead of local processes.
    gpus : device numbers; local worker n sees only ``gpus[n % len(gpus)]``.
    retry_failed : compute runs again that failed or crashed before.
    progress : may raise to cancel: finished results stay, no table is written.

    Raises
    ------
    InputError : factors at whose ends the task cannot be computed; ``out`` of another study.
    OutputError : ``out`` cannot be written, or another run is at work in it.
    MissingExtraError, SolverError : a cluster that cannot be used, or went away.
    """
    if workers is not None and not (isinstance(workers, int) and 1 <= workers <= 1024):
        raise InputError(
            "workers", got=str(workers), expected="1 to 1024", remedy="None takes one a core."
        )
    if not all(isinstance(g, int) and g >= 0 for g in gpus):
        raise InputError(
            "gpus", got=str(tuple(gpus)), expected="device numbers from 0", remedy="See nvidia-smi."
        )
    progress(0.0, "checking the study")
    study.check()
    folder = _folder(Path(out))
    count = workers or os.cpu_count() or 1
    count = max(1, min(count, len(study)))
    started, busy, computed = time.perf_counter(), 0.0, 0
    with ResultStore(folder / RESULTS) as store:
        _same_study(store, study)
        todo = _Todo(study, store, retry_failed)
        job = Job(study.task, study.factors)
        if scheduler is not None:
            answers = run_on_cluster(job, todo.runs(), scheduler=scheduler)
        else:
            answers = run_locally(
                job, todo.runs(), workers=count, limit_s=study.limit_s, gpus=tuple(gpus)
            )
        told, first = 0.0, started
        try:
            for run, result in answers:
                store.put(result)
                todo.came(run)
                computed += 1
                if computed == 1:
                    first = time.perf_counter()
                busy += result.seconds
                if time.monotonic() - told >= _TELL_S:
                    told = time.monotonic()
                    progress(*_words(study, todo, computed, first))
        finally:
            answers.close()  # type: ignore[attr-defined]
        store.commit()
        seconds = time.perf_counter() - started
        progress(0.98, "writing the table")
        failed, crashed, notes = write_outputs(study, store, folder)
    progress(1.0, "done")
    return StudyOutcome(
        folder, len(study), computed, todo.kept, failed, crashed, seconds, busy, count, notes
    )


class _Todo:
    """Runs without a result, made as they are asked for, none twice."""

    def __init__(self, study: Study, store: ResultStore, retry_failed: bool) -> None:
        self._study, self._store, self._retry = study, store, retry_failed
        self._under_way: set[str] = set()
        self._retried: set[str] = set()
        self.seen = 0
        self.kept = 0

    def runs(self) -> Iterator[StudyRun]:
        """What is still to be computed."""
        for run in self._study.runs():
            self.seen += 1
            done_now = run.key in self._under_way or run.key in self._retried
            if done_now or self._store.has(run.key, failed_too=not self._retry):
                self.kept += 1
                continue
            self._under_way.add(run.key)
            yield run

    def came(self, run: StudyRun) -> None:
        """The result of ``run`` is in the store."""
        self._under_way.discard(run.key)
        if self._retry:
            self._retried.add(run.key)

    @property
    def waiting(self) -> int:
        """Runs that were handed out and have no result."""
        return len(self._under_way)


def _words(study: Study, todo: _Todo, computed: int, first: float) -> tuple[float, str]:
    """Share and words; the time left from the answers after the ``first``, which starts up."""
    done = todo.seen - todo.waiting
    share = 0.97 * done / len(study)
    if computed < 2:
        return share, f"runs: {done} of {len(study)}"
    left = (time.perf_counter() - first) / (computed - 1) * (len(study) - done)
    unit = f"{left:.0f} s" if left < 120 else f"{left / 60:.0f} min"
    return share, f"runs: {done} of {len(study)}, about {unit} left"


def _folder(out: Path) -> Path:
    try:
        if out.exists() and not out.is_dir():
            raise OutputError(
                "out", got=f"a file '{out.name}'", expected="a folder", remedy="Give another name."
            )
        if out.is_dir() and any(out.iterdir()) and not (out / RESULTS).exists():
            raise OutputError(
                "out", got=f"the folder '{out.name}' with other files in it",
                expected="a new or empty folder, or one of this study",
                remedy="Give another folder with -o.",
            )  # fmt: skip
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(out, error) from error
    return out


def _same_study(store: ResultStore, study: Study) -> None:
    known = store.about("identity")
    if known is None:
        store.note("identity", study.identity())
        store.note("name", study.name)
    elif known != study.identity():
        raise InputError(
            "out",
            got=f"results of the study '{store.about('name')}' as it was then, or of another one",
            expected="a new folder, or one of this very study (cases, factors, seed, version)",
            remedy="Give another folder with -o; results of changed input are not mixed.",
        )
