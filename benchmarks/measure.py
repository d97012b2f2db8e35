"""Shared by the benchmarks: run a command with its time and memory, print rows."""

from __future__ import annotations

import argparse
import json
import os
import pickle
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """A finished command: exit code, wall seconds, peak memory of the largest process in MB."""

    code: int
    wall_s: float
    peak_mb: float
    stdout: str
    stderr: str


def run(command: Sequence[str], *, env: dict[str, str] | None = None) -> Run:
    """Run ``command``; its children's peak memory is read from its own resource usage."""
    started = time.perf_counter()
    with subprocess.Popen(
        list(command),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
    ) as process:
        out, err = process.communicate()
    wall = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return Run(process.returncode, wall, peak, out, err)


def machine() -> dict[str, Any]:
    """Cores, processor, Python and package versions (no host or user name)."""
    from importlib.metadata import version

    names = ("irplan", "numpy", "scipy", "numba", "SimpleITK", "vtk")
    model = ""
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        model = lines[0].split(":", 1)[1].strip() if lines else ""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": model or platform.processor(),
        "python": platform.python_version(),
        "load_average_1_5_15_min": [round(x, 2) for x in os.getloadavg()],
        "versions": {n: version(n) for n in names},
    }


def load() -> str:
    """The load averages now: what else the machine was doing."""
    return ", ".join(f"{x:.2f}" for x in os.getloadavg())


@dataclass(frozen=True)
class Timing:
    """Wall times of equal runs, s."""

    walls_s: tuple[float, ...]

    @property
    def median_s(self) -> float:
        return statistics.median(self.walls_s)

    def __str__(self) -> str:
        low, high = min(self.walls_s), max(self.walls_s)
        return f"min {low:.3f}, median {self.median_s:.3f}, max {high:.3f} s"


def repeated(work: Callable[[], Any], *, most: int = 7, within_s: float = 20.0) -> Timing:
    """Run ``work`` until ``most`` times or ``within_s``, at least once; warm it up before."""
    walls: list[float] = []
    while not walls or (len(walls) < most and sum(walls) + walls[-1] < within_s):
        started = time.perf_counter()
        work()
        walls.append(time.perf_counter() - started)
    return Timing(tuple(walls))


def report(title: str, rows: Sequence[dict[str, Any]], *, json_file: Path | None) -> None:
    """Print rows (name, measured, unit, limit, met) and write them with the machine."""
    facts = machine()
    print(f"{title}\n{facts['cores']} cores, {facts['processor']}, Python {facts['python']}")
    print("  load average (1, 5, 15 min, this benchmark included):", load())
    wide = max([58, *(len(row["name"]) for row in rows)])
    for row in rows:
        met = {True: "met", False: "MISSED", None: ""}[row.get("met")]
        limit = f"(limit {row['limit']})" if row.get("limit") not in (None, "") else ""
        value = row["measured"]
        shown = f"{value:.2f}" if isinstance(value, float) else str(value)
        print(f"  {row['name']:<{wide}} {shown:>10} {row.get('unit', ''):<5} {limit:<16} {met}")
    if json_file is not None:
        json_file.write_text(json.dumps({"machine": facts, "rows": list(rows)}, indent=2) + "\n")
    if any(row.get("met") is False for row in rows):
        sys.exit(1)


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser that knows ``--json FILE``."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, default=None, help="write the figures here")
    return parser


def seeds(text: str) -> range:
    """``"500:525"`` as the seeds 500 to 524, for argparse."""
    first, _, stop = text.partition(":")
    try:
        out = range(int(first), int(stop))
    except ValueError:
        out = range(0)
    if not out:
        raise argparse.ArgumentTypeError(f"{text!r}: expected first:stop, for example 500:505")
    return out


def seeds_or_none(text: str) -> range:
    """As `seeds`; ``"none"`` is none."""
    return range(0) if text == "none" else seeds(text)


def kept(folder: Path | None, name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The record ``name`` of ``folder``, or what ``work`` returns, written there at once.

    So a long benchmark can be run in pieces, and goes on where it was stopped.  Records know
    nothing of the code that made them: start a new folder after a change.
    """
    return _once(
        None if folder is None else folder / f"{name}.json",
        work,
        lambda file: json.loads(file.read_text()),
        lambda file, out: file.write_text(json.dumps(out)),
    )


def pickled(folder: Path | None, name: str, work: Callable[[], T]) -> T:
    """As `kept`, for what is no JSON.  The records are Python pickles: read only your own."""
    return _once(
        None if folder is None else folder / f"{''.join(_plain(c) for c in name)}.pkl",
        work,
        lambda file: pickle.loads(file.read_bytes()),
        lambda file, out: file.write_bytes(pickle.dumps(out)),
    )


def _once(
    file: Path | None,
    work: Callable[[], T],
    read: Callable[[Path], T],
    write: Callable[[Path, T], object],
) -> T:
    """What ``file`` holds, or what ``work`` returns, whole in ``file`` from then on."""
    if file is not None and file.is_file():
        return read(file)
    out = work()
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        write(part, out)
        part.replace(file)
    return out


def _plain(letter: str) -> str:
    return letter if letter.isalnum() or letter in "-.%" else "_"


def row(name: str, measured: Any, unit: str = "", limit: Any = "", met: bool | None = None) -> dict:
    """One line of a table."""
    return {"name": name, "measured": measured, "unit": unit, "limit": limit, "met": met}
