"""Studies on one machine: nothing twice, nothing lost, the same table however it was computed."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from irplan.errors import CancelledError, InputError, OutputError
from irplan.studies import Case, Design, Factor, Study, read_study, run_study
from irplan.studies.python_task import PythonTask
from irplan.studies.store import ResultStore

TASKS = str(Path(__file__).with_name("tasks.py"))


def study(
    function: str = "square", source: str = "quiet", runs: int = 12, limit_s: float | None = None
) -> Study:
    return Study(
        "test", PythonTask(TASKS, function), (Case("one", source),),
        (Factor("x", low=0.0, high=2.0),), Design("sobol", runs, seed=1), limit_s,
    )  # fmt: skip


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "table.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_table_holds_what_the_task_returned(tmp_path: Path) -> None:
    done = run_study(study(), tmp_path / "o", workers=2)
    assert (done.runs, done.computed, done.kept, done.failed) == (12, 12, 0, 0)
    found = rows(tmp_path / "o")
    assert [int(r["run"]) for r in found] == list(range(12))
    for r in found:
        assert float(r["square"]) == float(r["x"]) ** 2
        assert r["status"] == "done"


def test_parquet_and_csv_agree(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    run_study(study(), tmp_path / "o", workers=1)
    table = parquet.read_table(tmp_path / "o" / "table.parquet").to_pylist()
    for a, b in zip(table, rows(tmp_path / "o"), strict=True):
        assert a["square"] == float(b["square"])
        assert a["run"] == int(b["run"])


def test_nothing_is_computed_twice_and_a_longer_design_adds(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    first = run_study(study(source=str(log), runs=8), tmp_path / "a", workers=2)
    # The log is the case's file: its text is part of what results depend on.
    assert first.computed == 8
    assert len(log.read_text().split()) == 8
    run_study(study(runs=8), tmp_path / "o", workers=1)
    more = run_study(study(runs=20), tmp_path / "o", workers=1)
    assert (more.computed, more.kept) == (12, 8)


def test_trouble_is_recorded_and_skipped(tmp_path: Path) -> None:
    what = ("fine", "raises", "segfault", "prints", "hangs", "fine again")
    made = Study(
        "trouble", PythonTask(TASKS, "trouble"), (Case("one", "quiet"),),
        (Factor("what", choices=what),), Design(), 1.5,
    )  # fmt: skip
    done = run_study(made, tmp_path / "o", workers=2)
    found = {r["what"]: r for r in rows(tmp_path / "o")}
    assert {k: r["status"] for k, r in found.items()} == {
        "fine": "done", "raises": "failed", "segfault": "crashed", "prints": "done",
        "hangs": "failed", "fine again": "done",
    }  # fmt: skip
    assert "SIGSEGV" in found["segfault"]["message"]
    assert "RuntimeError: no such thing" in found["raises"]["message"]
    assert "limit of 1.5 s" in found["hangs"]["message"]
    assert found["fine"]["gone"] == ""
    assert (done.failed, done.crashed) == (2, 1)
    again = run_study(made, tmp_path / "o", workers=2)
    assert (again.computed, again.kept) == (0, 6)


def test_killed_and_resumed_gives_the_identical_table(tmp_path: Path) -> None:
    run_study(study("slow", runs=60), tmp_path / "whole", workers=2)
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from tests.studies.test_run import study\n"
        "from irplan.studies import run_study\n"
        "run_study(study('slow', runs=60), sys.argv[1], workers=2)\n"
    )
    root = str(Path(__file__).parents[2])
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "o"), root])
        store = tmp_path / "o" / "results.sqlite"
        until = time.monotonic() + 30
        while not store.exists() and time.monotonic() < until and process.poll() is None:
            time.sleep(0.02)
        time.sleep(1.2)
        process.send_signal(signal.SIGKILL)
        process.wait()
    run_study(study("slow", runs=60), tmp_path / "o", workers=2)
    assert (tmp_path / "o" / "table.csv").read_bytes() == (
        tmp_path / "whole" / "table.csv"
    ).read_bytes()


def test_cancelling_keeps_what_is_finished(tmp_path: Path) -> None:
    def cancel(fraction: float, message: str) -> None:
        if "of 60" in message:
            raise CancelledError("study")

    with pytest.raises(CancelledError):
        run_study(study("slow", runs=60), tmp_path / "o", workers=1, progress=cancel)
    assert not (tmp_path / "o" / "table.csv").exists()
    assert run_study(study("slow", runs=60), tmp_path / "o", workers=2).kept > 0


def test_a_folder_of_another_study_is_refused(tmp_path: Path) -> None:
    run_study(study(), tmp_path / "o", workers=1)
    before = (tmp_path / "o" / "table.csv").read_bytes()
    with pytest.raises(InputError, match="another one"):
        run_study(study("slow"), tmp_path / "o", workers=1)
    assert (tmp_path / "o" / "table.csv").read_bytes() == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("hello")
    with pytest.raises(OutputError, match="other files"):
        run_study(study(), tmp_path / "mine", workers=1)


def test_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "o").mkdir()
    with (
        ResultStore(tmp_path / "o" / "results.sqlite"),
        pytest.raises(OutputError, match="running in it"),
    ):
        run_study(study(), tmp_path / "o", workers=1)


def test_ends_of_a_factor_are_tried_first(tmp_path: Path) -> None:
    made = Study(
        "test", PythonTask(TASKS, "square"), (Case("one", "quiet"),),
        (Factor("x", low=0.0, high=2000.0),), Design("sobol", 4),
    )  # fmt: skip
    with pytest.raises(InputError) as caught:
        run_study(made, tmp_path / "o")
    assert caught.value.field == "case 'one', x = 2000.0: x"
    assert not (tmp_path / "o").exists()


def test_the_runs_of_a_long_study_are_made_one_at_a_time() -> None:
    import tracemalloc

    peaks = []
    for levels in (10, 100):
        made = Study(
            "long", PythonTask(TASKS, "square"), (Case("one", "quiet"),),
            (Factor("x", low=0, high=1, levels=levels), Factor("z", low=0, high=1, levels=100)),
            Design(),
        )  # fmt: skip
        tracemalloc.start()
        assert sum(1 for _ in made.runs()) == 100 * levels
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 50_000


def test_a_full_disk_is_said_and_finished_results_stay(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=120k", "tmpfs", str(folder)], capture_output=True
        ).returncode
    ):
        pytest.skip("not run: a small file system needs root and mount")
    try:
        with pytest.raises(OutputError) as caught:
            run_study(study(runs=4000), folder / "o", workers=1)
        assert "finished results are kept" in caught.value.remedy or "space" in str(caught.value)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_study_file_is_read_strictly(tmp_path: Path) -> None:
    good = (
        'schema = "irplan-study"\nschema_version = 1\n[study]\ntask = "tasks.py:square"\n'
        '[[case]]\nsource = "quiet"\n[[factor]]\nname = "x"\nlow = 0\nhigh = 1\n'
    )
    (tmp_path / "tasks.py").write_text(Path(TASKS).read_text(encoding="utf-8"), encoding="utf-8")
    file = tmp_path / "s.toml"
    file.write_text(good)
    assert len(read_study(file)) == 3
    for old, new, words in (
        ("high = 1", "hihg = 1", "Did you mean 'high'"),
        ("high = 1", "high = -1", "low < high"),
        ('task = "tasks.py:square"', 'task = "tasks.py"', "module:function"),
        ('task = "tasks.py:square"', 'task = "none.py:f"', "no file"),
        ("[[case]]", "[[cases]]", "Did you mean 'case'"),
        ("[[factor]]", '[design]\nkind = "grid"\n[[factor]]', "full-factorial"),
        ('task = "tasks.py:square"', 'task = "simulate"', "no 'quiet'"),
    ):
        file.write_text(good.replace(old, new))
        with pytest.raises((InputError, Exception), match=words):
            read_study(file)
