"""Ctrl-C at any moment: exit code 130, nothing half-written, and a rerun works."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from irplan.cli import main; main()"]


@pytest.mark.skipif(sys.platform == "win32", reason="not run: POSIX signals")
@pytest.mark.parametrize(
    ("number", "after_s"),
    [
        (signal.SIGINT, 0.6),  # importing
        (signal.SIGINT, 3.0),  # drawing the patient
        (signal.SIGTERM, 6.0),  # segmenting
        (signal.SIGINT, 12.0),  # simulating
    ],
)
def test_an_interrupted_demo_leaves_nothing(
    tmp_path: Path, after_s: float, number: signal.Signals
) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        [*COMMAND, "demo", "-o", str(out), "--quiet"], stderr=subprocess.PIPE, text=True
    )
    time.sleep(after_s)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    if process.returncode == 0:
        assert (out / "report.html").is_file()
        return
    left = [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")]
    assert left == [], (process.returncode, err)
    assert "Traceback" not in err


def test_phantom_after_an_interrupt_works(tmp_path: Path) -> None:
    out = tmp_path / "phantom"
    command = [*COMMAND, "phantom", "-o", str(out), "--spacing", "5,2,2", "--quiet"]
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    time.sleep(1.5)
    first.kill()  # no chance to clean up
    first.communicate()
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["phantom"]


@pytest.mark.skipif(sys.platform == "win32", reason="not run: POSIX signals")
@pytest.mark.parametrize("after_s", [0.8, 2.5])
def test_an_interrupted_simulation_leaves_nothing(tmp_path: Path, after_s: float) -> None:
    from irplan.files import example_problem

    problem, out = tmp_path / "p.toml", tmp_path / "out"
    problem.write_text(example_problem("cryo"), encoding="utf-8")
    process = subprocess.Popen(
        [*COMMAND, "simulate", str(problem), "-o", str(out), "--quiet"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    if process.returncode == 0:
        assert (out / "report.html").is_file()
        return
    assert process.returncode in (130, -signal.SIGINT)  # the latter: before irplan was imported
    assert [p.name for p in tmp_path.iterdir()] == ["p.toml"]
    assert "Traceback" not in err or process.returncode == -signal.SIGINT
