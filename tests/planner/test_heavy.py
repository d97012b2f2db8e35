"""The worker process: answers, errors in words, cancel at once, its death is no one else's."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from irplan_planner.model.heavy import HeavyWorker

from irplan.errors import CancelledError, IrplanError, SolverError
from irplan.geometry import Grid
from irplan.image import Volume


@pytest.fixture(scope="module")
def worker() -> Iterator[HeavyWorker]:
    made = HeavyWorker()
    yield made
    made.close()


def _echo(value, *, progress):
    progress(0.5, "half way")
    print("a line that must not get between the messages")
    return value


def _slow(seconds, *, progress):
    progress(0.1, "slow")
    time.sleep(seconds)
    return "late"


def test_arrays_come_back_and_progress_on_the_way(worker: HeavyWorker) -> None:
    seen = []
    grid = Grid.from_spacing((20, 30, 40), (2.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    volume = Volume(np.arange(24000, dtype=np.int16).reshape(grid.shape), grid)
    found = worker.call(f"{__name__}:_echo", volume, progress=lambda f, m: seen.append((f, m)))
    assert np.array_equal(found.array, volume.array)
    assert found.grid == grid
    assert (0.5, "half way") in seen


def test_errors_keep_their_words(worker: HeavyWorker) -> None:
    grid = Grid.from_spacing((20, 30, 40), (2.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    air = Volume(np.full(grid.shape, -1000, np.int16), grid)
    with pytest.raises(IrplanError) as caught:
        worker.call("irplan_planner.model.chain:segmented", air, progress=lambda f, m: None)
    assert caught.value.remedy
    assert caught.value.expected
    with pytest.raises(SolverError, match="AttributeError"):
        worker.call(f"{__name__}:_no_such", progress=lambda f, m: None)


def test_cancel_is_at_once(worker: HeavyWorker) -> None:
    began = time.monotonic()

    def progress(fraction: float, message: str) -> None:
        if message == "slow":
            raise CancelledError("slow")

    with pytest.raises(CancelledError):
        worker.call(f"{__name__}:_slow", 30.0, progress=progress)
    assert time.monotonic() - began < 15.0  # its start, not its sleep
    assert worker.call(f"{__name__}:_echo", 7, progress=lambda f, m: None) == 7


def test_a_child_that_dies_is_told_in_words(worker: HeavyWorker) -> None:
    worker.call(f"{__name__}:_echo", 1, progress=lambda f, m: None)
    pid = worker._child.pid
    threading.Timer(0.5, lambda: os.kill(pid, signal.SIGKILL)).start()
    with pytest.raises(SolverError, match="ended by itself"):
        worker.call(f"{__name__}:_slow", 30.0, progress=lambda f, m: None)
    assert worker.call(f"{__name__}:_echo", 2, progress=lambda f, m: None) == 2
