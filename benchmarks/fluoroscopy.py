"""Fluoroscopy filters side by side, in one run: ``python -m benchmarks.fluoroscopy``.

The peers' packages are no dependencies of irplan: ``--env DIR`` takes those that are not installed
here from the peers' environment (`python -m benchmarks --make-peers`); absent ones have a row that
says so.  Writes page, JSON and figures into a folder, as ``irplan fluoro bench`` does, and prints
the tables.  It takes an hour and more: ``--records DIR`` keeps what is finished, and the same
command goes on from there.
"""

from __future__ import annotations

import math
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import arguments, pickled, report, row
from benchmarks.peer_environment import lend_packages
from irplan.case.fluoro_bench_case import run_fluoro_bench
from irplan.cli.columns import columns
from irplan.fluoroscopy.bench.peers import PEERS
from irplan.fluoroscopy.bench.request import BenchRequest
from irplan.fluoroscopy.bench.suite import BenchResult
from irplan.fluoroscopy.bench.summary import demands, worst_cell
from irplan.reports import fluoro_bench as tables


def rows_of(result: BenchResult, own: tuple[str, ...]) -> list[dict[str, Any]]:
    """Speed and worst d' of every filter side by side, and what is asked of ours."""
    first = next((f.speed for f in result.filters if f.name == own[0]), None)
    rows = []
    for f in result.filters:
        if f.speed is None:
            rows.append(row(f"{f.name}: {f.status} {f.note}".strip(), "not run"))
            continue
        rows.append(row(f"{f.name}: a frame", f.speed.ms_per_frame, "ms"))
        if first is not None and f.name not in own:
            ratio = f.speed.ms_per_frame / first.ms_per_frame
            rows.append(row(f"{f.name}: time over {own[0]}'s", ratio, "x"))
        worst = worst_cell(result, f.name, "in-place")
        if worst is not None and f.name != "raw":
            rows.append(row(f"{f.name}: least d' over raw, seen in place", worst.over_raw.value))
    for name in own:
        for d in demands(result, name):
            shown = "not measured" if d.measured is None else d.measured
            met = {"met": True, "MISSED": False}.get(d.verdict)
            if isinstance(shown, float) and not math.isfinite(shown):
                shown = "not measured"
            rows.append(row(f"{name}: {d.name}", shown, "", d.limit, met))
    return rows


def main() -> None:
    """Run every peer beside irplan's filter (``--filter``, default the preset "general")."""
    parser = arguments(__doc__)
    parser.add_argument("--env", type=Path, default=None, help="environment that has the peers")
    parser.add_argument("--filter", action="append", default=[], help="filters besides the peers")
    parser.add_argument("--level", default="standard", choices=("quick", "standard", "full"))
    parser.add_argument("--records", type=Path, default=None, help="keep finished pieces here")
    parser.add_argument("--out", type=Path, default=None, help="keep page and figures here")
    given = parser.parse_args()
    lend_packages(given.env)
    filters = tuple(given.filter) or ("general",)
    request = BenchRequest((*filters, *PEERS), level=given.level)

    def progress(fraction: float, message: str) -> None:
        print(f"{100 * fraction:5.1f} %  {message}", flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "bench" if given.out is None else given.out
        result = run_fluoro_bench(
            request, out, keep=partial(pickled, given.records), progress=progress
        )
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
    report("Fluoroscopy filters side by side", rows_of(result, filters), json_file=given.json)


if __name__ == "__main__":
    main()
