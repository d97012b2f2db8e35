"""The same study on Dask workers in processes of their own, one of which is killed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from irplan.errors import SolverError
from irplan.studies import run_study
from tests.studies.test_run import study

pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("ignore")
ROOT = str(Path(__file__).parents[2])


@pytest.fixture
def cluster() -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([ROOT, *sys.path])}
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1"]
    started = [
        subprocess.Popen(
            [*dask, "--port", str(port), "--no-dashboard"],
            env=environment, stderr=subprocess.DEVNULL,
        )
    ]  # fmt: skip
    for _ in range(2):
        started.append(
            subprocess.Popen(
                [
                    sys.executable, "-m", "distributed.cli.dask_worker", address, "--host",
                    "127.0.0.1", "--nthreads", "1", "--no-nanny", "--no-dashboard",
                ],
                env=environment, stderr=subprocess.DEVNULL,
            )
        )  # fmt: skip
    yield address, started
    for process in started:
        process.kill()
        process.wait()


def test_two_workers_one_killed_give_the_same_table(
    cluster: tuple[str, list[subprocess.Popen[bytes]]], tmp_path: Path
) -> None:
    address, processes = cluster
    run_study(study("slow", runs=80), tmp_path / "local", workers=2)
    killed = []

    def kill_one(fraction: float, message: str) -> None:
        if fraction > 0.25 and not killed:
            processes[2].kill()
            killed.append(time.monotonic())

    done = run_study(study("slow", runs=80), tmp_path / "o", scheduler=address, progress=kill_one)
    assert killed
    assert (done.computed, done.failed, done.crashed) == (80, 0, 0)
    assert (tmp_path / "o" / "table.csv").read_bytes() == (
        tmp_path / "local" / "table.csv"
    ).read_bytes()


def test_a_scheduler_that_goes_away_is_said_and_results_stay(
    cluster: tuple[str, list[subprocess.Popen[bytes]]], tmp_path: Path
) -> None:
    address, processes = cluster

    def kill_all(fraction: float, message: str) -> None:
        if fraction > 0.2:
            for process in processes:
                process.kill()

    with pytest.raises(SolverError, match="went away"):
        run_study(study("slow", runs=400), tmp_path / "o", scheduler=address, progress=kill_all)
    assert run_study(study("slow", runs=400), tmp_path / "o", workers=2).kept > 40


def test_a_task_of_long_runs_hands_its_rest_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that were short and become long do not hold results back in one task."""
    import distributed

    from irplan import __version__
    from irplan.studies import cluster as module
    from irplan.studies.compute_run import Job

    monkeypatch.setattr(distributed, "get_worker", lambda: type("W", (), {"name": "w"}))
    monkeypatch.setattr("irplan.studies.compute_run.one_thread", lambda: None)
    monkeypatch.setattr(module, "_TASK_S", 0.015)
    asked = study("slow", runs=8)
    job, runs = Job(asked.task, asked.factors), list(asked.runs())
    results = module._on_worker(job, runs, __version__)
    assert isinstance(results, list)
    assert [r.key for r in results] == [r.key for r in runs[: len(results)]]
    assert 1 <= len(results) <= 2
    assert module._on_worker(job, runs, "another") == __version__


def test_tasks_of_another_client_at_the_scheduler_are_not_ours(
    cluster: tuple[str, list[subprocess.Popen[bytes]]], tmp_path: Path
) -> None:
    """Two people may compute one study at one scheduler, each into a folder."""
    address, _ = cluster
    with ThreadPoolExecutor(2) as both:
        done = list(
            both.map(
                lambda n: run_study(study("slow", runs=60), tmp_path / n, scheduler=address), "ab"
            )
        )
    assert [d.computed for d in done] == [60, 60]
    assert (tmp_path / "a" / "table.csv").read_bytes() == (
        tmp_path / "b" / "table.csv"
    ).read_bytes()


def test_no_scheduler_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("irplan.studies.cluster._CONNECT_S", 0.5)
    with pytest.raises(SolverError, match="no scheduler"):
        run_study(study(runs=4), tmp_path / "o", scheduler="tcp://127.0.0.1:9")
