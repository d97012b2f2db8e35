"""Studies: how busy the cores are, what the engine costs, and what a kill leaves.

    python -m benchmarks.studies [--runs 1000] [--kills 5] [--json FILE]

1000 cryo simulations of 64^3 to 128^3 voxels' problems at 1.5 mm by `run_study` with one worker a
core, against the same calls in a bare loop split over as many processes; then the study again,
killed at random moments and resumed, and its table compared to the byte; then the memory of a
study of up to 10^4 runs whose task does nothing.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.measure import arguments, report, row
from irplan.studies import Case, Design, Factor, Study, run_study
from irplan.studies.python_task import PythonTask
from irplan.studies.study_file import read_study

EXAMPLE = Path(__file__).parents[1] / "examples" / "perfusion_and_vessel.toml"


def cryo(runs: int) -> Study:
    """``runs`` simulations: one probe beside a vessel, three factors, two voxel sizes."""
    study = read_study(EXAMPLE)
    extra = (
        Factor("box_margin_mm", ("tissue.margin_mm",), low=28.0, high=40.0),
        Factor("spacing_mm", ("solver.spacing_mm",), choices=(1.0, 1.5)),
    )
    return replace(study, factors=(*study.factors, *extra), design=Design("sobol", runs, seed=3))


def nothing(source: str, x: float) -> dict[str, float]:
    """A task that costs nothing."""
    return {"y": 2.0 * x}


def idle(runs: int) -> Study:
    """``runs`` runs of `nothing`."""
    return Study(
        "idle", PythonTask(str(Path(__file__).resolve()), "nothing"), (Case("one", "none"),),
        (Factor("x", low=0.0, high=1.0),), Design("latin-hypercube", runs, seed=1),
    )  # fmt: skip


_BARE = """
import sys, time
from benchmarks.studies import cryo
from irplan.studies.compute_run import one_thread
one_thread()
study = cryo(int(sys.argv[1]))
part, parts = int(sys.argv[2]), int(sys.argv[3])
for number in range(part, len(study), parts):
    run = study.run(number)
    study.task.compute(run.case, study.factors, run.parameters)
"""
_STUDY = """
import sys
from benchmarks.studies import cryo
from irplan.studies import run_study
run_study(cryo(int(sys.argv[1])), sys.argv[2])
"""


def bare(runs: int, processes: int) -> float:
    """Seconds of the same calls in loops, one process a core."""
    environment = {**os.environ, "NUMBA_NUM_THREADS": "1"}
    started = time.perf_counter()
    crew = [
        subprocess.Popen(
            [sys.executable, "-c", _BARE, str(runs), str(n), str(processes)], env=environment
        )
        for n in range(processes)
    ]
    if any(p.wait() for p in crew):
        raise SystemExit("a bare loop failed")
    return time.perf_counter() - started


def killed(runs: int, folder: Path, kills: int, whole_s: float) -> int:
    """Kill the study ``kills`` times at random moments, then let it end; how often it was."""
    rng = random.Random(1)
    times = 0
    for _ in range(kills):
        process = subprocess.Popen([sys.executable, "-c", _STUDY, str(runs), str(folder)])
        try:
            process.wait(timeout=rng.uniform(3.0, max(4.0, 1.2 * whole_s / (kills + 1))))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            times += 1
    subprocess.run([sys.executable, "-c", _STUDY, str(runs), str(folder)], check=True)
    return times


def memory_mb(runs: int) -> float:
    """Peak memory of the scheduling process for ``runs`` runs, in a process of its own."""
    code = (
        "import resource, sys, tempfile\nfrom benchmarks.studies import idle\n"
        "from irplan.studies import run_study\n"
        "with tempfile.TemporaryDirectory() as f: run_study(idle(int(sys.argv[1])), f)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, str(runs)], check=True, capture_output=True, text=True
    )
    return float(out.stdout.split()[-1])


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=5)
    asked = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        run_study(cryo(4), folder / "warm")  # kernels are compiled
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = run_study(cryo(asked.runs), folder / "a")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        core_s = after.ru_utime - before.ru_utime
        loop_s = bare(asked.runs, cores)
        times = killed(asked.runs, folder / "b", asked.kills, done.seconds)
        same = (folder / "a" / "table.csv").read_bytes() == (
            folder / "b" / "table.csv"
        ).read_bytes()
    busy = done.busy_s / (done.seconds * done.workers)
    extra = done.seconds / loop_s - 1.0
    rows = [
        row(f"study of {asked.runs} cryo simulations", done.seconds, "s"),
        row("the same calls in a bare loop, as many processes", loop_s, "s"),
        row("engine's overhead", 100 * extra, "%", 5, extra <= 0.05),
        row("workers' time in the task", 100 * busy, "%", 90, busy >= 0.9),
        row("cores' user time of the workers", 100 * core_s / done.seconds / cores, "%"),
        row(
            f"killed {times} times, resumed: table identical",
            "yes" if same else "no",
            "",
            "yes",
            same,
        ),
        *(row(f"scheduler's memory, {n} runs", memory_mb(n), "MB") for n in (100, 1000, 10_000)),
    ]
    report("Studies", rows, json_file=asked.json)


if __name__ == "__main__":
    main()
