"""Studies: how busy the cores are, what the engine costs, what a kill leaves, and a cluster.

    python -m benchmarks.studies [--runs 1000] [--kills 5] [--dask-runs 60] [--json FILE]

1000 cryo simulations by `run_study` with one worker a core, against the same calls in a bare loop
split over as many processes; then the study again, killed with SIGKILL at random moments and
resumed, and its table compared to the byte; then a shorter one on two Dask workers in processes of
their own, one of which is killed; then the memory of the scheduling side for up to 10^4 runs of a
task that does nothing, with local workers and with Dask (client and scheduler).

The simulations: one 17 G probe beside a vessel in boxes of 64^3 (most), 96^3 and 128^3 voxels of
1 mm, a freeze of 3 minutes (short, so that 1000 take minutes), margins of a tumour measured;
perfusion, vessel distance and diameter vary.  ``--voxels N`` takes one size of box instead.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.measure import arguments, report, row
from irplan.studies import Case, Design, Factor, Study, run_study
from irplan.studies.python_task import PythonTask
from irplan.studies.study_file import read_study

EXAMPLE = Path(__file__).parents[1] / "examples" / "perfusion_and_vessel.toml"
PROBLEM = EXAMPLE.with_name("perfusion_and_vessel.problem.toml")
#: Sides of the boxes, voxels, and how many of eight cases have each.
SIDES = (64, 64, 64, 64, 64, 64, 96, 128)


def problem_file(folder: Path, voxels: int, number: int) -> Case:
    """The example's problem in a box of ``voxels``^3 voxels of 1 mm, one freeze of 3 minutes."""
    text = PROBLEM.read_text(encoding="utf-8")
    start, end = text.index("phases = ["), text.index("[lethal]")
    text = text[:start] + 'phases = [{kind = "freeze", minutes = 3}]\n\n' + text[end:]
    box = f"box_mm = [{voxels}, {voxels}, {voxels}]\ncentre_mm = [0, 0, 14]"
    text = text.replace("margin_mm = 28", box).replace("spacing_mm = 1.5", "spacing_mm = 1.0")
    # Every file another (the vessel 0.01 mm longer): a study computes the same content once.
    end_mm = 40 + 0.01 * number
    text = text.replace("cycles = 2", "cycles = 1").replace(
        "-60, 14], [0, 60,", f"-40, 14], [0, {end_mm:g},"
    )
    if f"{end_mm:g}," not in text:
        raise SystemExit(f"{PROBLEM.name} has no vessel from -60 to 60 mm")
    file = folder / f"box-{voxels}-{number}.toml"
    file.write_text(text, encoding="utf-8")
    return Case(f"{voxels}^3, {number}", str(file))


def cryo(runs: int, folder: Path, voxels: int = 0) -> Study:
    """About ``runs`` simulations (a multiple of eight) of the cases in ``folder``."""
    study = read_study(EXAMPLE)
    sides = (voxels,) * len(SIDES) if voxels else SIDES
    cases = tuple(problem_file(folder, side, n) for n, side in enumerate(sides))
    width = Factor("vessel_radius_mm", ("tissue.region[vessel].radius_mm",), low=1.5, high=3.0)
    design = Design("sobol", max(2, runs // len(cases)), seed=3)
    return replace(study, cases=cases, factors=(*study.factors, width), design=design)


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
import sys
from pathlib import Path
from benchmarks.studies import cryo
from irplan.studies.compute_run import one_thread
one_thread()
study = cryo(int(sys.argv[1]), Path(sys.argv[4]), int(sys.argv[5]))
part, parts = int(sys.argv[2]), int(sys.argv[3])
for number in range(part, len(study), parts):
    run = study.run(number)
    study.task.compute(run.case, study.factors, run.parameters)
"""
_STUDY = """
import sys
from pathlib import Path
from benchmarks.studies import cryo
from irplan.studies import run_study
run_study(cryo(int(sys.argv[1]), Path(sys.argv[3]), int(sys.argv[4])), sys.argv[2])
"""
_MEMORY = """
import os, sys, tempfile
from benchmarks.studies import idle, peak_mb
from irplan.studies import run_study
with tempfile.TemporaryDirectory() as folder:
    run_study(idle(int(sys.argv[1])), folder, scheduler=sys.argv[2] or None)
print(peak_mb(os.getpid()))
"""


def bare(study: tuple[str, str, str], processes: int) -> float:
    """Seconds of the same calls in loops, one process a core."""
    runs, cases, voxels = study
    environment = {**os.environ, "NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    started = time.perf_counter()
    crew = [
        subprocess.Popen(
            [sys.executable, "-c", _BARE, runs, str(n), str(processes), cases, voxels],
            env=environment,
        )
        for n in range(processes)
    ]
    if any(p.wait() for p in crew):
        raise SystemExit("a bare loop failed")
    return time.perf_counter() - started


def killed(study: tuple[str, str, str], folder: Path, kills: int, whole_s: float) -> int:
    """Kill the study ``kills`` times at random moments, then let it end; how often it was."""
    runs, cases, voxels = study
    rng = random.Random(1)
    command = [sys.executable, "-c", _STUDY, runs, str(folder), cases, voxels]
    times = 0
    for _ in range(kills):
        process = subprocess.Popen(command)
        try:
            process.wait(timeout=rng.uniform(3.0, max(4.0, 1.2 * whole_s / (kills + 1))))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            times += 1
    subprocess.run(command, check=True)
    return times


@contextmanager
def cluster(workers: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """``dask scheduler`` and ``dask worker`` on loopback, each a process; the first is it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    environment["NUMBA_NUM_THREADS"] = "1"
    host = ["--host", "127.0.0.1", "--no-dashboard"]
    start = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", str(port)]
    work = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment}
    crew: list[subprocess.Popen[bytes]] = [subprocess.Popen([*start, *host], **quiet)]  # type: ignore[call-overload]
    try:
        for _ in range(workers):
            crew.append(subprocess.Popen([*work, "--no-nanny", *host], **quiet))  # type: ignore[call-overload]
        yield address, crew
    finally:
        for process in crew:
            process.kill()
            process.wait()


def on_dask(study: Study, folder: Path) -> tuple[bool, bool]:
    """Whether two workers, one killed on the way, give the local table; whether it was killed."""
    run_study(study, folder / "local")
    was_killed = []
    with cluster(2) as (address, crew):

        def kill_one(fraction: float, message: str) -> None:
            if fraction > 0.25 and not was_killed:
                crew[2].kill()
                was_killed.append(True)

        run_study(study, folder / "dask", scheduler=address, progress=kill_one)
    tables = [(folder / n / "table.csv").read_bytes() for n in ("local", "dask")]
    return tables[0] == tables[1], bool(was_killed)


def peak_mb(process: int) -> float:
    """Peak resident memory of a process that runs (Linux; ru_maxrss would be its parent's)."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return float(line.split()[1]) / 1024
    raise SystemExit("no VmHWM in /proc")


def memory_mb(runs: int, scheduler: str = "") -> float:
    """Peak memory of the process that runs the study, for ``runs`` runs that do nothing."""
    done = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(runs), scheduler],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return float(done.stdout.split()[-1])


def memory_rows(counts: tuple[int, ...]) -> list[dict[str, object]]:
    """Local workers, then Dask: the study's own process, and dask's scheduler."""
    rows, local, client, server = [], [], [], []
    for n in counts:
        local.append(memory_mb(n))
        with cluster(2) as (address, crew):
            client.append(memory_mb(n, address))
            server.append(peak_mb(crew[0].pid))
    for words, values in (
        ("study's process, local workers", local),
        ("study's process, Dask", client),
        ("dask scheduler", server),
    ):
        for n, v in zip(counts[:-1], values[:-1], strict=True):
            rows.append(row(f"{words}, {n} runs", v, "MB"))
        flat = values[-1] <= 1.1 * values[0] + 5.0
        limit = f"<= {1.1 * values[0] + 5.0:.0f}"
        rows.append(row(f"{words}, {counts[-1]} runs", values[-1], "MB", limit, flat))
    return rows


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--dask-runs", type=int, default=64)
    parser.add_argument("--voxels", type=int, default=0, help="one side of box for all")
    parser.add_argument("--memory", type=int, nargs="*", default=[100, 1000, 10_000])
    asked = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        cases = folder / "cases"
        cases.mkdir()
        made = cryo(asked.runs, cases, asked.voxels)
        given = str(asked.runs), str(cases), str(asked.voxels)
        run_study(cryo(16, cases, 64), folder / "warm")  # kernels are compiled
        made = cryo(asked.runs, cases, asked.voxels)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = run_study(made, folder / "a")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        core_s = after.ru_utime - before.ru_utime
        print(f"  {done.runs} runs in {done.seconds:.0f} s", flush=True)
        loop_s = bare(given, cores)
        print(f"  bare loops {loop_s:.0f} s", flush=True)
        times = killed(given, folder / "b", asked.kills, done.seconds)
        tables = [(folder / n / "table.csv").read_bytes() for n in ("a", "b")]
        same = tables[0] == tables[1]
        print(f"  killed {times} times", flush=True)
        small = cryo(asked.dask_runs, cases, asked.voxels or 64)
        dask_same, dask_killed = on_dask(small, folder)
    busy = done.busy_s / (done.seconds * done.workers)
    extra = done.seconds / loop_s - 1.0
    rows = [
        row(f"study of {done.runs} cryo simulations", done.seconds, "s"),
        row("   failed or crashed", done.failed + done.crashed, "", 0, not done.failed),
        row("   of one simulation", 1000 * done.busy_s / done.runs, "ms"),
        row("the same calls in a bare loop, as many processes", loop_s, "s"),
        row("engine's overhead", 100 * extra, "%", 5, extra <= 0.05),
        row("workers' time in the task", 100 * busy, "%", 90, busy >= 0.9),
        row("cores' user time of the workers", 100 * core_s / done.seconds / cores, "%"),
        row(f"killed {times} times, resumed: table identical", "yes" if same else "no", "",
            "yes", same and times == asked.kills),
        row(f"{len(small)} runs, two Dask workers, one killed: same table",
            "yes" if dask_same else "no", "", "yes", dask_same and dask_killed),
        *(memory_rows(tuple(asked.memory)) if asked.memory else ()),
    ]  # fmt: skip
    report("Studies", rows, json_file=asked.json)


if __name__ == "__main__":
    main()
