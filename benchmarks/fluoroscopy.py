"""Fluoroscopy filters side by side, in one run: ``python -m benchmarks.fluoroscopy``.

The peers' packages are no dependencies of irplan; those that are absent have a row that says so:

    pip install opencv-python-headless PyWavelets bm3d

Writes page, JSON and figures into a folder, as ``irplan fluoro bench`` does, and prints the tables.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from irplan.case.fluoro_bench_case import run_fluoro_bench
from irplan.cli.columns import columns
from irplan.fluoroscopy.bench.peers import PEERS
from irplan.fluoroscopy.bench.suite import BenchRequest
from irplan.reports import fluoro_bench as tables


def main() -> None:
    """Run every peer beside irplan's filter (``--filter``, default the preset "general")."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--filter", action="append", default=[], help="filters besides the peers")
    parser.add_argument("--level", default="standard", choices=("quick", "standard", "full"))
    parser.add_argument("--out", type=Path, default=Path("fluoro-bench"))
    given = parser.parse_args()
    filters = tuple(given.filter) or ("general",)
    request = BenchRequest((*filters, *PEERS), level=given.level)

    def progress(fraction: float, message: str) -> None:
        print(f"{100 * fraction:5.1f} %  {message}", flush=True)

    result = run_fluoro_bench(request, given.out, progress=progress)
    for table in (
        tables.filters_table(result),
        *(tables.demands_table(result, name) for name in filters),
        *(t for name in filters for t in tables.peers_table(result, name)),
        *tables.dsa_tables(result),
        tables.devices_table(result),
        tables.worst_table(result),
        tables.factors_table(result),
    ):
        print(f"\n{table.title}\n{columns(table.columns, table.rows)}\n{table.note}")


if __name__ == "__main__":
    main()
