"""Lanes: order, progress, cancel, the newest edit only, no thread left behind."""

from __future__ import annotations

import threading

import pytest
from irplan_planner.model.jobs import JobQueue

from irplan.errors import InputError, IrplanError, SolverError


def test_results_come_on_the_callers_thread_in_order() -> None:
    jobs, seen = JobQueue(), []
    for n in range(5):
        jobs.submit(
            "count", "work", lambda p, n=n: n, lambda r: seen.append((r, threading.get_ident()))
        )
    jobs.wait(10)
    assert seen == [(n, threading.get_ident()) for n in range(5)]
    jobs.close()


def test_cancel_stops_the_work_and_drops_its_result() -> None:
    jobs, seen, started = JobQueue(), [], threading.Event()

    def work(progress):
        for k in range(10_000):
            progress(k / 10_000, "counting")
            started.set()
            threading.Event().wait(0.002)
        return "done"

    job = jobs.submit("long", "work", work, seen.append)
    assert started.wait(5)
    job.cancel()
    jobs.wait(5)
    assert (seen, job.state) == ([], "cancelled")
    assert job.fraction < 0.5
    jobs.close()


def test_only_the_newest_waiting_edit_is_worked_out() -> None:
    jobs, seen, gate = JobQueue(), [], threading.Event()
    jobs.submit("edit", "edit", lambda p: gate.wait(5), lambda r: None)
    for n in range(20):
        jobs.submit("drag", "edit", lambda p, n=n: n, seen.append, latest=True)
    gate.set()
    jobs.wait(5)
    assert seen == [19]
    jobs.close()


def test_errors_and_faults_come_in_words() -> None:
    errors: list[IrplanError] = []
    jobs = JobQueue(failed=errors.append)

    def wrong(progress):
        raise InputError("x", got="a", expected="b", remedy="c")

    def broken(progress):
        return [][1]

    def hungry(progress):
        raise MemoryError

    for work in (wrong, broken, hungry):
        jobs.submit("job", "work", work, lambda r: None)
    jobs.wait(5)
    jobs.close()
    assert [type(e) for e in errors] == [InputError, SolverError, InputError]
    assert "IndexError" in errors[1].got
    assert "memory" in errors[2].got


def test_close_ends_all_threads_and_refuses_more() -> None:
    before = set(threading.enumerate())
    jobs = JobQueue()

    def forever(progress):
        while True:
            progress(0.5, "on and on")
            threading.Event().wait(0.005)

    for lane in ("read", "work", "edit", "save", "background"):
        jobs.submit("on", lane, forever, lambda r: None)
    jobs.close()
    assert set(threading.enumerate()) == before
    assert jobs.submit("late", "work", forever, lambda r: None).state == "cancelled"


def test_wait_that_takes_too_long_says_so() -> None:
    jobs, gate = JobQueue(), threading.Event()
    jobs.submit("slow", "work", lambda p: gate.wait(5), lambda r: None)
    with pytest.raises(SolverError, match="still runs"):
        jobs.wait(0.05)
    gate.set()
    jobs.close()
