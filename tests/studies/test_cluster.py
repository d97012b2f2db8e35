"""The same study on Dask workers in processes of their own, one of which is killed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
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


def test_no_scheduler_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("irplan.studies.cluster._CONNECT_S", 0.5)
    with pytest.raises(SolverError, match="no scheduler"):
        run_study(study(runs=4), tmp_path / "o", scheduler="tcp://127.0.0.1:9")
