"""How many threads to use where a busy neighbour makes many worse than one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from threading import RLock

from irplan.errors import InputError

#: Held by the Python thread that is in parallel kernels where only one may be.
_TURN = RLock()
#: One step in this many tries the other choice again.
_RETRY = 16
#: Threads that spend this share of the time as processor time had a core each.
_ALONE_SHARE = 0.85


class ThreadChoice:
    """Between one thread and ``most``: whichever did more work per second lately.

    Short parallel regions end in a barrier; when another process holds a core, every barrier
    waits for it and two threads become several times slower than one.  The caller asks
    `pick`, works, and tells `learn`.  While the threads are told to have had the cores to
    themselves, ``most`` is taken without trying one.  Only speed depends on it, never a result.
    """

    def __init__(self, most: int) -> None:
        self.most = max(1, most)
        self._rate: dict[int, float] = {}
        self._steps = 0
        self._alone = False

    def pick(self) -> int:
        """The number of threads for the next step."""
        if self.most == 1:
            return 1
        self._steps += 1
        untried = [n for n in (self.most, 1) if n not in self._rate]
        if self._alone or (untried and untried[0] == self.most):
            return self.most
        if untried:
            return 1
        best = max(self._rate, key=lambda n: self._rate[n])
        if self._steps % _RETRY == 0:
            return self.most if best == 1 else 1
        return best

    def learn(
        self, threads: int, work: float, seconds: float, *, cpu_s: float | None = None
    ) -> None:
        """``work`` (any unit, the same each time) took ``seconds`` with ``threads``.

        ``cpu_s``: processor time of the whole process meanwhile; a thread that waits for a core
        spends less of it than time passes.
        """
        if threads == self.most and cpu_s is not None:
            self._alone = cpu_s > _ALONE_SHARE * threads * seconds
        rate = work / max(seconds, 1e-9)
        before = self._rate.get(threads, rate)
        self._rate[threads] = 0.5 * (before + rate)


@contextmanager
def turn() -> Iterator[None]:
    """One Python thread at a time inside where numba's threads cannot be entered by two.

    The "workqueue" layer ends the process when two Python threads are in parallel kernels at once;
    "omp" and "tbb" take it (numba, "The Threading Layers", section on thread safety).
    """
    import numba

    numba.get_num_threads()  # starts the layer, so that its name is known
    if numba.threading_layer() != "workqueue":
        yield
        return
    with _TURN:
        yield


@contextmanager
def thread_cap(threads: int | None) -> Iterator[int]:
    """At most ``threads`` numba threads inside (gives that number), and the old number after.

    None leaves the number as it is; `InputError` below 1.  More than one: with `turn`.
    """
    import numba

    if threads is not None and threads < 1:
        raise InputError(
            "threads", got=f"{threads}", expected="1 or more", remedy="None takes all."
        )
    before = int(numba.get_num_threads())
    most = before if threads is None else min(threads, before)
    with turn() if most > 1 else nullcontext():
        try:
            yield most
        finally:
            numba.set_num_threads(before)
