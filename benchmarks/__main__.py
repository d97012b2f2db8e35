"""Every benchmark of the project in one go.

    python -m benchmarks [--quick] [--case WORD ...] [--out DIR] [--list]

Each runs in a process of its own and measures its sides in that one run, so that ratios hold
whatever the machine does that day.  ``--out`` (default ``benchmark-results``) receives a JSON file
and a log a benchmark, ``results.md`` and ``results.html`` with machine, versions and limits,
and ``trend.jsonl``, to which every run adds its figures: what got slower than the last run on the
same processor is listed.  Peers from PyPI live in an environment of their own
(`python -m benchmarks.ablation_peers --make-env DIR`); one that is absent is said to be.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.results import Finished, html_page, markdown, numbers, slower, trend_records


@dataclass(frozen=True)
class Benchmark:
    """A module of this package, its arguments, and those of a quick run (None: not quick)."""

    name: str
    module: str
    full: tuple[str, ...] = ()
    quick: tuple[str, ...] | None = ()


SUITE = (
    Benchmark("start-up", "startup"),
    Benchmark("main job", "main_job", quick=None),
    Benchmark("ablation", "ablation", quick=("--no-reference", "--no-evidence")),
    Benchmark("ablation curves", "ablation_curves", quick=("--quick",)),
    Benchmark("ablation peers", "ablation_peers", quick=("--quick",)),
    Benchmark("segmentation", "segmentation", quick=None),
    Benchmark("segmentation under change", "segmentation_perturb", quick=None),
    Benchmark("paths", "paths"),
    Benchmark("planning", "planning", ("--liver", "0", "1", "2", "--edits"), ("--edits",)),
    Benchmark("needles", "needles", quick=None),
    Benchmark("registration", "registration", quick=None),
    Benchmark("guidance", "guidance"),
    Benchmark("fluoroscopy", "fluoroscopy", quick=None),
    Benchmark(
        "procedure log", "log", quick=("--kills", "10", "--events", "50000", "--tampers", "20")
    ),
    Benchmark("reports", "reports", quick=None),
    Benchmark("gateway", "gateway", quick=None),
    Benchmark("PACS round trip", "pacs", quick=("--slices", "12", "--size", "64")),
    Benchmark("de-identification", "deid", quick=("--every", "300")),
    Benchmark("damaged DICOM", "damaged", quick=None),
    Benchmark("planner", "planner", quick=None),
    Benchmark("studies", "studies", quick=("--runs", "40", "--kills", "2")),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="minutes instead of hours")
    parser.add_argument("--case", nargs="*", default=None, help="names that hold one of these")
    parser.add_argument("--out", type=Path, default=Path("benchmark-results"))
    parser.add_argument("--list", action="store_true", help="name them and stop")
    parser.add_argument("--limit-s", type=float, default=7200.0, help="of one benchmark")
    asked = parser.parse_args()
    chosen = [
        b
        for b in SUITE
        if Path(__file__).with_name(f"{b.module}.py").exists()
        and (asked.case is None or any(w in b.name or w in b.module for w in asked.case))
        and not (asked.quick and b.quick is None)
    ]
    if asked.list or not chosen:
        for b in SUITE:
            quick = "not in --quick" if b.quick is None else " ".join(b.quick)
            print(f"{b.name:<28} python -m benchmarks.{b.module} {' '.join(b.full)}   [{quick}]")
        raise SystemExit(0 if asked.list else f"no benchmark holds {asked.case}")
    asked.out.mkdir(parents=True, exist_ok=True)
    finished = [_run(b, asked.quick, asked.out, asked.limit_s) for b in chosen]
    commit = _commit()
    trend = asked.out / "trend.jsonl"
    before = [json.loads(t) for t in trend.read_text().splitlines()] if trend.exists() else []
    records = trend_records(finished, commit, time.strftime("%Y-%m-%d %H:%M"), quick=asked.quick)
    worse = slower(before, records)
    with trend.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(r) + "\n" for r in records)
    text = markdown(finished, commit, worse)
    (asked.out / "results.md").write_text(text, encoding="utf-8")
    (asked.out / "results.html").write_text(html_page(finished, commit, worse), encoding="utf-8")
    print(text)
    print(f"Written: {asked.out}")
    if any(f.missed for f in finished):
        raise SystemExit(1)


def _run(benchmark: Benchmark, quick: bool, out: Path, limit_s: float) -> Finished:
    target = out / f"{benchmark.module}.json"
    target.unlink(missing_ok=True)
    given = benchmark.quick if quick and benchmark.quick is not None else benchmark.full
    command = [sys.executable, "-m", f"benchmarks.{benchmark.module}", *given]
    command += ["--json", str(target)]
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
    return Finished(benchmark.name, data.get("machine", {}), numbers(data), wall_s, "")


def _commit() -> str:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "no commit"


if __name__ == "__main__":
    main()
