"""Many simulations at once: one thread each, so that no barrier is waited for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from itertools import count
from threading import Event

from irplan.ablation.given import check_whole
from irplan.ablation.problem import AblationProblem
from irplan.ablation.result import AblationResult
from irplan.ablation.solve import simulate
from irplan.compute import Progress, no_progress
from irplan.errors import CancelledError, GeometryError, InputError, SolverError

#: ``progress`` is asked this often while a result is waited for, s.
_ASK_S = 0.1


def simulate_many(
    problems: Iterable[AblationProblem],
    *,
    workers: int | None = None,
    time_error_mm: float = 0.06,
    progress: Progress = no_progress,
    total: int | None = None,
) -> Iterator[AblationResult]:
    """Results of ``problems`` in their order, simulated ``workers`` at a time on the CPU.

    Parameters
    ----------
    problems : any iterable; it is read only a few problems ahead, so memory does not grow with
        its length as long as the results are consumed.
    workers : simulations at a time; None takes one a core that numba may use.
    time_error_mm : as for `simulate`.
    progress : called after each result and while one is waited for; may raise to cancel, which also
        abandons what is under way.
    total : number of problems, for the progress.

    Raises
    ------
    Whatever `simulate` raises for the first problem that fails, its place in ``problems`` (from 0)
    before the field's name; later ones are abandoned.
    """
    import numba

    if workers is not None:
        workers = check_whole("workers", workers, 1, 1024, "None takes every core.")
    if total is not None:
        total = check_whole("total", total, 0, 10**9, "Leave it out where it is not known.")
    at_once = int(numba.get_num_threads()) if workers is None else workers
    waiting: deque[Future[AblationResult]] = deque()
    if isinstance(problems, AblationProblem) or not isinstance(problems, Iterable):
        raise InputError(
            "problems", got=type(problems).__name__, expected="several problems",
            remedy="Give a list or a generator of AblationProblem.",
        )  # fmt: skip
    source = enumerate(problems)
    of = f" of {total}" if total else ""
    stop = Event()
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="irplan")
    try:
        for done in count(1):
            while len(waiting) < 2 * at_once:
                following = next(source, None)
                if following is None:
                    break
                waiting.append(pool.submit(_one, *following, time_error_mm, stop))
            if not waiting:
                return
            first = waiting.popleft()
            while True:
                try:
                    result = first.result(_ASK_S)
                    break
                except NotYet:
                    progress(_share(done - 1, total), f"Simulating plans: {done - 1}{of}")
            yield result
            progress(_share(done, total), f"Simulating plans: {done}{of}")
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _share(done: int, total: int | None) -> float:
    return 0.0 if not total else min(1.0, done / total)


def _one(
    number: int, problem: AblationProblem, time_error_mm: float, stop: Event
) -> AblationResult:
    def going(fraction: float, message: str) -> None:
        if stop.is_set():
            raise CancelledError(message)

    try:
        return simulate(
            problem, threads=1, backend="cpu", time_error_mm=time_error_mm, progress=going
        )
    except (InputError, SolverError, GeometryError) as error:
        raise type(error)(
            f"problems[{number}]: {error.field}",
            got=error.got,
            expected=error.expected,
            remedy=error.remedy,
        ) from error
