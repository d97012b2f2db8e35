"""What a freeze costs: against voxels, probes and simulated time; its memory; its bandwidth.

    python -m benchmarks.ablation_curves [--quick] [--json FILE] [--png FILE]

Curves are medians of warm, repeated public calls in uniform liver at 1 mm, with the exponent of a
power law fitted to them.  The solver works on a region that grows with the cold, so the cost of
one plan grows far slower than the voxels of its box.

Memory is the peak resident set of a fresh process minus what it held after imports, compilation
and a small warm-up, over the voxels of the grid; problem, state, work arrays and results count.

Bandwidth: a stage (explicit update of every voxel) must read Y_j-1, read Y_j-2 and write Y_j over
it, three float32 values = 12 bytes a voxel; neighbours come from cache, and tissue constants of
a uniform grid from registers.  Two whole-grid runs that differ only in their number of
super-steps give the time of a stage, set-up excluded, records after each super-step included.  It
is held against the best of two loops over arrays of the same size on the same threads, both of 12
bytes an element: STREAM's triad a = b + s c, and a = s b + a, which writes what it read (as the
solver does) and so needs no fetch for ownership.  ``--quick`` uses small grids: no evidence.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ablation_problems import Placement, placed, problem
from benchmarks.measure import Timing, arguments, load, repeated, report, row, run
from irplan.ablation import AblationProblem, Phase, Schedule, simulate

BYTES_PER_VOXEL_STAGE = 12
BYTES_PER_VOXEL_LIMIT = 32.0
SHARE_LIMIT = 0.6
GIB_LIMIT = 1.0
STAGES = 15
#: Super-steps of the shorter and the longer whole-grid run.
SUPER_STEPS = (2, 8)
CENTRE = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Sizes:
    """What is measured."""

    voxels: tuple[int, ...] = (48, 64, 96, 128, 192, 256)
    probes: tuple[int, ...] = (1, 2, 3, 4, 6, 8)
    times_s: tuple[float, ...] = (60.0, 120.0, 300.0, 600.0, 1200.0, 2400.0, 3600.0)
    box: int = 128
    memory: tuple[int, ...] = (128, 256)
    bandwidth: int = 256
    repeats: int = 5


FULL = Sizes()
QUICK = Sizes((40, 48), (1, 2), (20.0, 60.0), 48, (48,), 64, 1)


@dataclass(frozen=True, eq=False)
class Curve:
    """Cost against one quantity."""

    name: str
    unit: str
    x: tuple[float, ...]
    timings: tuple[Timing, ...]

    @property
    def exponent(self) -> float:
        """Slope of log(median time) over log(x)."""
        wall = [t.median_s for t in self.timings]
        return float(np.polyfit(np.log(self.x), np.log(wall), 1)[0])

    def rows(self) -> list[dict[str, Any]]:
        out = [
            row(f"{self.name} {x:g} {self.unit} ({t})", t.median_s, "s")
            for x, t in zip(self.x, self.timings, strict=True)
        ]
        return [*out, row(f"   cost ~ {self.name} to the power", self.exponent)]


def freeze(seconds: float) -> Schedule:
    return Schedule((Phase("freeze", seconds),))


def ring(count: int, apart_mm: float = 12.0) -> tuple[Placement, ...]:
    """``count`` parallel probes on a circle, neighbours ``apart_mm`` from each other."""
    radius = 0.0 if count == 1 else 0.5 * apart_mm / np.sin(np.pi / count)
    angles = np.arange(count) * 2 * np.pi / count
    return tuple(placed((radius * np.cos(a), radius * np.sin(a), 0.0)) for a in angles)


def curves(sizes: Sizes, threads: int) -> list[Curve]:
    def timings(problems: Sequence[AblationProblem]) -> tuple[Timing, ...]:
        out = []
        for p in problems:
            simulate(p, threads=threads)
            out.append(repeated(lambda p=p: simulate(p, threads=threads), most=sizes.repeats))
        return tuple(out)

    one = (placed(CENTRE),)
    long = freeze(sizes.times_s[len(sizes.times_s) // 2])
    return [
        Curve(
            "box voxels",
            "",
            tuple(float(n) ** 3 for n in sizes.voxels),
            timings([problem(n, one, long) for n in sizes.voxels]),
        ),
        Curve(
            "probes",
            "",
            tuple(float(n) for n in sizes.probes),
            timings([problem(sizes.box, ring(n), long) for n in sizes.probes]),
        ),
        Curve(
            "simulated time",
            "s",
            sizes.times_s,
            timings([problem(sizes.box, one, freeze(t)) for t in sizes.times_s]),
        ),
    ]


def memory_rows(sizes: Sizes) -> list[dict[str, Any]]:
    """Each grid in a fresh process, which runs `print_memory`."""
    rows = []
    for n, whole in [(n, whole) for n in sizes.memory for whole in (False, True)]:
        child = [sys.executable, "-m", "benchmarks.ablation_curves", "--memory-of", str(n)]
        done = run([*child, "--whole-grid"] if whole else child)
        words = f"memory at {n}^3, " + ("60 s, every voxel worked on" if whole else "600 s")
        if done.code:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            rows.append(row(f"{words}: {last}", "failed", met=False))
            continue
        facts = json.loads(done.stdout)
        each = facts["added_bytes"] / n**3
        met = each <= BYTES_PER_VOXEL_LIMIT
        rows.append(row(words, each, "B/vox", BYTES_PER_VOXEL_LIMIT, met))
        total = facts["peak_bytes"] / 2**30
        big = n == 256
        met = total <= GIB_LIMIT if big else None
        name = f"   whole process (of it at rest {facts['rest_bytes'] / 2**20:.0f} MiB)"
        rows.append(row(name, total, "GiB", GIB_LIMIT if big else None, met))
    return rows


def print_memory(n: int, seconds: float, *, whole_grid: bool = False) -> None:
    """Child: resident set before, peak during one freeze, as JSON."""
    simulate(problem(40, (placed(CENTRE),), freeze(10.0)))
    rest = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew (Linux)
    result = simulate(problem(n, (placed(CENTRE),), freeze(seconds)), whole_grid=whole_grid)
    peak = _status("VmHWM")
    facts = {"rest_bytes": rest, "peak_bytes": peak, "added_bytes": peak - rest}
    print(json.dumps({**facts, "steps": result.steps}))


def _status(key: str) -> int:
    """Bytes of a line of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(x for x in lines if x.startswith(f"{key}:"))
    return int(line.split()[1]) * 1024


def machine_bandwidth(threads: int, count: int) -> dict[str, float]:
    """Bytes a second of loops over float32 arrays of ``count`` elements, best of 10."""
    import numba

    @numba.njit(parallel=True, fastmath=True)
    def triad(a: Any, b: Any, c: Any, s: Any) -> None:
        for i in numba.prange(a.size):
            a[i] = b[i] + s * c[i]

    @numba.njit(parallel=True, fastmath=True)
    def update(a: Any, b: Any, c: Any, s: Any) -> None:
        for i in numba.prange(a.size):
            a[i] = s * b[i] + a[i]

    a, b, c = (np.full(count, v, np.float32) for v in (0.0, 1.0, 2.0))
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    out = {}
    loops: tuple[tuple[str, Callable[..., None]], ...] = (("triad", triad), ("update", update))
    for name, loop in loops:
        loop(a, b, c, np.float32(0.5))
        best = min(
            repeated(lambda f=loop: f(a, b, c, np.float32(0.5)), most=10, within_s=10.0).walls_s
        )
        out[name] = 12.0 * count / best
    return out


def bandwidth_rows(sizes: Sizes, threads: int) -> list[dict[str, Any]]:
    """Bytes a second of the solver's stages on a whole grid, as a share of the machine's."""
    n = sizes.bandwidth
    trial = simulate(problem(40, (placed(CENTRE),), freeze(600.0)), stages=STAGES, threads=threads)
    step_s = 600.0 / trial.steps  # a step just inside the stability limit of STAGES stages
    before = load()
    walls: list[Timing] = []
    stages = 0.0
    for count in SUPER_STEPS:
        p = problem(n, (placed(CENTRE),), freeze(count * step_s))
        options: dict[str, Any] = {"stages": STAGES, "threads": threads, "whole_grid": True}
        result = simulate(p, **options)
        if result.steps != count:
            raise RuntimeError(f"{result.steps} super-steps instead of {count}")
        stages = float(result.options["stages"])
        walls.append(repeated(lambda p=p, o=options: simulate(p, **o), most=sizes.repeats))
    seconds = min(walls[1].walls_s) - min(walls[0].walls_s)
    updates = (SUPER_STEPS[1] - SUPER_STEPS[0]) * stages * n**3
    rate = updates * BYTES_PER_VOXEL_STAGE / seconds
    machine = machine_bandwidth(threads, n**3)
    share = rate / max(machine.values())
    rows = [
        row(f"machine, {name} of {n}^3 float32, {threads} threads", v / 1e9, "GB/s")
        for name, v in machine.items()
    ]
    name = f"solver, whole {n}^3, {stages:.0f} stages a step"
    rows.append(row(name, updates / seconds / 1e9, "G/s"))
    rows.append(
        row(f"   times {BYTES_PER_VOXEL_STAGE} bytes a voxel and stage", rate / 1e9, "GB/s")
    )
    name = "   share of the machine's bandwidth"
    rows.append({**row(name, share, "", SHARE_LIMIT, share >= SHARE_LIMIT), "load": before})
    return rows


def draw(found: Sequence[Curve], path: Path) -> None:
    """One panel a curve, logarithmic, with the fitted exponent."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(found), figsize=(4.2 * len(found), 3.6))
    for axis, curve in zip(np.atleast_1d(axes), found, strict=True):
        median = np.array([t.median_s for t in curve.timings])
        low = median - [min(t.walls_s) for t in curve.timings]
        high = [max(t.walls_s) for t in curve.timings] - median
        axis.errorbar(curve.x, median, yerr=[low, high], marker="o", capsize=3)
        axis.set(xscale="log", yscale="log", xlabel=f"{curve.name} {curve.unit}", ylabel="wall, s")
        axis.set_title(f"power {curve.exponent:.2f}")
        axis.grid(alpha=0.3, which="both")
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--png", type=Path, default=None, help="draw the curves here")
    parser.add_argument("--quick", action="store_true", help="small grids, no evidence")
    parser.add_argument("--memory-of", type=int, default=None, help="(child) measure one grid")
    parser.add_argument("--whole-grid", action="store_true", help="(child) on every voxel")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    if options.memory_of is not None:
        whole = options.whole_grid
        print_memory(options.memory_of, 60.0 if whole else 600.0, whole_grid=whole)
        return
    sizes = QUICK if options.quick else FULL
    rows = memory_rows(sizes) + bandwidth_rows(sizes, options.threads)
    found = curves(sizes, options.threads)
    for curve in found:
        rows += curve.rows()
    if options.quick:
        rows = [{**r, "limit": None, "met": None} for r in rows]
    if options.png is not None:
        draw(found, options.png)
    title = "Cost of a freeze" + (" (--quick: no evidence for the limits)" if options.quick else "")
    report(title, rows, json_file=options.json)


if __name__ == "__main__":
    main()
