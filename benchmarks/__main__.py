"""Every benchmark of the project in one go.

    python -m benchmarks [--quick] [--case WORD ...] [--out DIR] [--peers DIR] [--make-peers]
                         [--list]

Each runs in a process of its own and measures its sides in that one run, so that ratios hold
whatever the machine does that day.  ``--out`` (default ``benchmark-results``) receives a JSON file
and a log a benchmark, ``results.json``, ``results.md`` and ``results.html`` with machine, versions,
limits and spread, and ``trend.jsonl``, to which every run adds its figures; ``trend.md`` shows them
commit by commit, and what got worse than at earlier commits on the same processor is listed.  Peers
from PyPI live in an environment of their own (``--peers``, default ``OUT/peers``), which
``--make-peers`` makes from benchmarks/peers-requirements.txt; one that is absent is said to be.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.measure import machine
from benchmarks.peer_environment import interpreter, make_environment
from benchmarks.results import Finished, html_page, markdown, numbers
from benchmarks.trend import read_trend, trend_records, trend_table, worse_than_before


@dataclass(frozen=True)
class Benchmark:
    """A module of this package, its arguments, and those of a quick run (None: not quick)."""

    name: str
    module: str
    full: tuple[str, ...] = ()
    quick: tuple[str, ...] | None = ()


SUITE = (
    Benchmark("start-up", "startup"),
    Benchmark("main job", "main_job", quick=("--warm", "--tumour")),
    Benchmark("simulation", "ablation", quick=("--no-reference", "--no-evidence")),
    Benchmark(
        "simulation, cost against size", "ablation_curves", ("--png", "{png}"),
        ("--quick", "--png", "{png}"),
    ),
    Benchmark(
        "simulation, peers", "ablation_peers", ("--env", "{peers}"),
        ("--quick", "--env", "{peers}"),
    ),
    Benchmark("segmentation, peers", "segmentation", quick=("--cases", "phantom_00")),
    Benchmark("segmentation under change", "segmentation_perturb", quick=None),
    Benchmark("segmentation, phantoms", "segmentation_family", quick=("--count", "1")),
    Benchmark("paths, peer", "paths"),
    Benchmark(
        "planning, baselines", "planning", ("--liver", "0", "1", "2", "--exhaustive", "--edits"),
        ("--liver", "0", "--diameter", "12", "--edits"),
    ),
    Benchmark(
        "filters, peers", "fluoroscopy", ("--level", "standard", "--env", "{peers}"),
        ("--level", "quick", "--env", "{peers}"),
    ),
    Benchmark(
        "frames and paths, cost against size", "size_curves", ("--png", "{png}"),
        ("--quick", "--png", "{png}"),
    ),
    Benchmark("planning on cone-beam CT", "cbct_planning", quick=None),
    Benchmark("needles", "needles", quick=("--ct", "500:501", "--cbct", "500:501")),
    Benchmark(
        "registration", "registration", (), ("--scenes", "300:301", "--provoked", "700:701")
    ),
    Benchmark("guidance, peer", "guidance", ("--rtk", "{python}"), ("--rtk", "{python}")),
    Benchmark(
        "procedure log", "log", (), ("--kills", "10", "--events", "50000", "--tampers", "20")
    ),
    Benchmark("PACS round trip", "pacs", quick=("--slices", "12", "--size", "64")),
    Benchmark("de-identification", "deid", quick=("--every", "300")),
    Benchmark("damaged DICOM", "damaged", quick=("--cases", "50", "--messages", "20")),
    Benchmark(
        "gateway", "gateway", (),
        ("--studies", "4", "--slices", "5", "--size", "64", "--kills", "1", "--counts", "5"),
    ),
    Benchmark("reports", "reports", quick=("--cases", "20")),
    Benchmark("planner", "planner", quick=None),
    Benchmark(
        "studies", "studies", (),
        ("--runs", "24", "--kills", "2", "--dask-runs", "8", "--memory", "100", "1000"),
    ),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="minutes instead of hours")
    parser.add_argument("--case", nargs="*", default=None, help="names that hold one of these")
    parser.add_argument("--out", type=Path, default=Path("benchmark-results"))
    parser.add_argument("--peers", type=Path, default=None, help="environment of the peers")
    parser.add_argument("--make-peers", action="store_true", help="make it first (network)")
    parser.add_argument("--list", action="store_true", help="name them and stop")
    parser.add_argument("--limit-s", type=float, default=7200.0, help="of one benchmark")
    asked = parser.parse_args()
    chosen = [
        b
        for b in SUITE
        if (asked.case is None or any(w in b.name or w in b.module for w in asked.case))
        and not (asked.quick and b.quick is None)
    ]
    if asked.list or not chosen:
        for b in SUITE:
            quick = "not in --quick" if b.quick is None else " ".join(b.quick)
            print(f"{b.name:<36} python -m benchmarks.{b.module} {' '.join(b.full)}   [{quick}]")
        raise SystemExit(0 if asked.list else f"no benchmark holds {asked.case}")
    asked.out.mkdir(parents=True, exist_ok=True)
    peers = asked.out / "peers" if asked.peers is None else asked.peers
    if asked.make_peers and not interpreter(peers).exists():
        print(f"... environment of the peers: {peers}", flush=True)
        make_environment(peers)
    finished = [_run(b, asked.quick, asked.out, peers, asked.limit_s) for b in chosen]
    commit, when = _commit(), time.strftime("%Y-%m-%d %H:%M")
    trend = asked.out / "trend.jsonl"
    before, damaged = read_trend(trend)
    if damaged:
        print(f"{trend.name}: {damaged} lines that are no record were passed over")
    records = trend_records(finished, commit, when, quick=asked.quick)
    worse = worse_than_before(before, records)
    with trend.open("a", encoding="utf-8") as file:
        file.write("\n" if damaged else "")  # the last line may be cut
        file.writelines(json.dumps(r) + "\n" for r in records)
    (asked.out / "trend.md").write_text(trend_table([*before, *records]), encoding="utf-8")
    text = markdown(finished, commit, worse)
    (asked.out / "results.md").write_text(text, encoding="utf-8")
    (asked.out / "results.html").write_text(html_page(finished, commit, worse), encoding="utf-8")
    whole = {
        "commit": commit, "date": when, "quick": asked.quick, "machine": machine(),
        "worse": worse, "benchmarks": [asdict(replace(f, picture=None)) for f in finished],
    }  # fmt: skip
    (asked.out / "results.json").write_text(json.dumps(whole, indent=1, default=str) + "\n")
    print(text)
    print(f"Written: {asked.out}")
    if any(f.missed for f in finished):
        raise SystemExit(1)


def _run(benchmark: Benchmark, quick: bool, out: Path, peers: Path, limit_s: float) -> Finished:
    target, picture = out / f"{benchmark.module}.json", out / f"{benchmark.module}.png"
    for old in (target, picture):
        old.unlink(missing_ok=True)
    given = benchmark.quick if quick and benchmark.quick is not None else benchmark.full
    if "{python}" in given and not interpreter(peers).exists():
        given = ()
    places = {"png": picture, "peers": peers, "python": interpreter(peers)}
    command = [sys.executable, "-m", f"benchmarks.{benchmark.module}"]
    command += [g.format_map(places) for g in given] + ["--json", str(target)]
    print(f"... {benchmark.name}", flush=True)
    started = time.perf_counter()
    with (out / f"{benchmark.module}.log").open("w", encoding="utf-8") as log:
        try:
            code = subprocess.run(
                command, stdout=log, stderr=subprocess.STDOUT, timeout=limit_s, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            code = -1
    wall_s = time.perf_counter() - started
    data: dict[str, Any] = json.loads(target.read_text()) if target.exists() else {}
    if not data:
        words = "took too long" if code == -1 else f"failed: see {benchmark.module}.log"
        return Finished(benchmark.name, {}, (), wall_s, words)
    drawn = picture.read_bytes() if picture.exists() else None
    return Finished(
        benchmark.name, data.get("machine", {}), numbers(data), wall_s, "", " ".join(command[1:]),
        drawn,
    )  # fmt: skip


def _commit() -> str:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "no commit"


if __name__ == "__main__":
    main()
