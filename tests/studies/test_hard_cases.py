"""Tasks and values at the edge: answers in words, and no worker left."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from irplan.errors import InputError, OutputError
from irplan.studies import Design, Study, run_study
from irplan.studies.compute_run import Job, compute_run
from irplan.studies.factor import Factor
from irplan.studies.python_task import PythonTask
from irplan.studies.study import Case, StudyRun

_CASE = Case("one", "x" * 3000)


def _task(folder: Path, text: str) -> PythonTask:
    (folder / "task.py").write_text(text, encoding="utf-8")
    return PythonTask(str(folder / "task.py"), "f")


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_ends_of_a_range_are_exact(scale: str) -> None:
    for low, high in ((0.1, 0.7), (0.001, 0.02), (0.3, 0.9), (1e-3, 49.0)):
        factor = Factor("x", low=low, high=high, scale=scale)  # type: ignore[arg-type]
        assert factor.extremes() == (low, high)
        assert low <= float(factor.value(1 - 1e-16)) <= high


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def f(:", "SyntaxError"),
        ("import no_such_module", "no_such_module"),
        ("def f(source, y): return {}", "cannot take the factors"),
        (
            "def f(source, x): return {}\ndef check_f(source, x): raise ValueError('no')",
            "ValueError",
        ),
    ],
)
def test_a_task_that_cannot_be_called_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        _task(tmp_path, text).check(_CASE, (), {"x": 1.0})
    assert words in caught.value.got


def test_a_long_text_may_be_a_source(tmp_path: Path) -> None:
    assert _task(tmp_path, "def f(source): return {}").content(_CASE)


@pytest.mark.parametrize(
    ("body", "status"),
    [("raise SystemExit(0)", "failed"), ("return {'t': '\\udc80'}", "done")],
)
def test_exits_and_undecodable_text_are_recorded(tmp_path: Path, body: str, status: str) -> None:
    task = _task(tmp_path, f"def f(source): {body}")
    result = compute_run(Job(task, ()), StudyRun(0, "k", _CASE, {}), "here")
    assert result.status == status
    assert all(str(v).encode() for v in result.outputs.values())


def test_a_worker_outlives_ctrl_c_and_ends_with_its_parent(tmp_path: Path) -> None:
    import pickle

    task = _task(tmp_path, "import sys, time\ndef f(source): sys.stdin.read(); time.sleep(60)")
    worker = subprocess.Popen(
        [sys.executable, "-m", "irplan.studies.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    pickle.dump(Job(task, ()), worker.stdin)
    worker.stdin.flush()
    pickle.load(worker.stdout)  # ready
    pickle.dump(StudyRun(0, "k", _CASE, {}), worker.stdin)
    worker.stdin.flush()
    if sys.platform != "win32":
        worker.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(0.3)
    worker.stdin.close()
    assert worker.wait(10) == 0
    worker.stdout.close()


def test_a_column_called_like_a_factor_is_kept_and_said(tmp_path: Path) -> None:
    import csv

    task = _task(tmp_path, "def f(source, x): return {'x': 2 * x, 'status': 'mine', 'y': x}")
    study = Study(
        "s", task, (Case("one", "none"),), (Factor("x", choices=(1.0, 4.0)),), Design()
    )  # fmt: skip
    done = run_study(study, tmp_path / "o", workers=1)
    with (tmp_path / "o" / "table.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(r["x"], r["x_result"], r["status"], r["status_result"], r["y"]) for r in rows] == [
        ("1.0", "2.0", "done", "mine", "1.0"),
        ("4.0", "8.0", "done", "mine", "4.0"),
    ]
    assert sum("is called" in n for n in done.notes) == 2


def test_a_study_may_be_moved_with_its_folder(tmp_path: Path) -> None:
    found = []
    for name in ("here", "there"):
        folder = tmp_path / name / "data"
        folder.mkdir(parents=True)
        (folder / "a.txt").write_text("same", encoding="utf-8")
        task = _task(folder.parent, "def f(source): return {}")
        found.append([task.content(Case("c", str(s))) for s in (folder, folder / "a.txt")])
    assert found[0] == found[1]
    (folder / "a.txt").write_text("new", encoding="utf-8")
    assert not set(found[0]) & {task.content(Case("c", str(s))) for s in (folder, folder / "a.txt")}


def test_figures_that_cannot_be_written_are_said(tmp_path: Path) -> None:
    study = Study(
        "s", _task(tmp_path, "def f(source, x): return {'y': x}"), (Case("one", "none"),),
        (Factor("x", low=0.0, high=1.0),), Design(),
    )  # fmt: skip
    run_study(study, tmp_path / "o", workers=1)
    for file in (tmp_path / "o" / "figures").iterdir():
        file.unlink()
    (tmp_path / "o" / "figures").rmdir()
    (tmp_path / "o" / "figures").write_text("in the way", encoding="utf-8")
    with pytest.raises(OutputError):
        run_study(study, tmp_path / "o", workers=1)


@pytest.mark.parametrize(
    "given",
    [
        {"low": "0", "high": 1.0},
        {"low": float("nan"), "high": 1.0},
        {"low": -1e308, "high": 1e308},
        {"low": 1e-300, "high": 1e300, "scale": "log"},
        {"low": 0.0, "high": 1.0, "levels": 2.5},
        {"choices": ([1], [2])},
        {"choices": (1, 10**400)},
        {"low": 0.0, "high": 1.0, "keys": (1,)},
    ],
)
def test_values_that_no_factor_has_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(InputError, match="factor 'x'"):
        Factor("x", **given)  # type: ignore[arg-type]


def test_one_text_is_one_key() -> None:
    assert Factor("x", keys="a.b", low=0.0, high=1.0).keys == ("a.b",)  # type: ignore[arg-type]


def test_a_sensitivity_design_counts_all_its_points() -> None:
    factors = [Factor("x", low=0.0, high=1.0), Factor("y", low=0.0, high=1.0)]
    with pytest.raises(InputError, match="at most"):
        Design("sensitivity", 1 << 22).points(factors)


def test_huge_numbers_and_odd_names_leave_a_table_and_figures(tmp_path: Path) -> None:
    task = _task(tmp_path, "def f(source, x): return {'y $_': x if x < 2 else 10**400}")
    study = Study(
        r"money $x_ and \frac$ \u6f22", task, (Case("a$b_$", "none"), Case("c$", "other")),
        (Factor("x", choices=(0.5, 1.0, 2.0)),), Design(),
    )  # fmt: skip
    done = run_study(study, tmp_path / "o", workers=1)
    assert (done.computed, done.failed) == (6, 2)
    assert "18 digits" in (tmp_path / "o" / "table.csv").read_text(encoding="utf-8")
    assert (tmp_path / "o" / "figures" / "response.png").stat().st_size > 1000
