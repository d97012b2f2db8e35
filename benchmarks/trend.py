"""Figures over commits: the trend file's records, what got slower, and a table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.results import Finished

#: Units of which more is worse.
COSTS = ("s", "ms", "us", "MB", "GB")
#: A figure this much over the median of the last `RECENT` commits is listed ...
SLOWER, RECENT = 0.15, 5
#: ... and so is one this much over its best commit: many small steps add up.
CREPT = 0.30
#: Commits that the table shows.
SHOWN = 6

Record = dict[str, Any]


def trend_records(
    finished: Sequence[Finished], commit: str, date: str, *, quick: bool
) -> list[Record]:
    """One record a number, for the trend file."""
    return [
        {
            "commit": commit, "date": date, "quick": quick, "benchmark": f.name, "row": r.name,
            "measured": r.measured, "unit": r.unit, "processor": f.machine.get("processor", ""),
            "load": (f.machine.get("load_average_1_5_15_min") or [None])[0],
        }
        for f in finished
        for r in f.rows
        if isinstance(r.measured, int | float) and not isinstance(r.measured, bool)
    ]  # fmt: skip


def by_commit(records: Sequence[Record]) -> dict[tuple[Any, ...], dict[str, list[Record]]]:
    """Figure (quick, benchmark, row, processor) -> commit -> its records, oldest commit first."""
    out: dict[tuple[Any, ...], dict[str, list[Record]]] = {}
    for r in records:
        key = r["quick"], r["benchmark"], r["row"], r["processor"]
        out.setdefault(key, {}).setdefault(r["commit"], []).append(r)
    return out


def slower(before: Sequence[Record], now: Sequence[Record]) -> list[str]:
    """Costs that grew against earlier commits on the same processor.

    A commit counts by the median of its runs.  Held against the median of the last five commits
    (15 %) and against the best of all (30 %); runs of the commit itself do not count.
    """
    known = by_commit(before)
    out = []
    for record in now:
        key = record["quick"], record["benchmark"], record["row"], record["processor"]
        past = {
            c: statistics.median(r["measured"] for r in rs)
            for c, rs in known.get(key, {}).items()
            if c != record["commit"] or c.endswith("-dirty")
        }
        if not past or record["unit"] not in COSTS:
            continue
        value = record["measured"]
        recent = statistics.median(list(past.values())[-RECENT:])
        best = min(past, key=lambda c: past[c])
        if recent > 0 and value > (1 + SLOWER) * recent:
            ratio, against = value / recent, f"{recent:.3g}, the last {min(len(past), RECENT)}"
        elif past[best] > 0 and value > (1 + CREPT) * past[best]:
            ratio, against = value / past[best], f"{past[best]:.3g} of {best}, the best"
        else:
            continue
        old = known[key][list(past)[-1]][-1]
        out.append(
            f"{record['benchmark']}: {record['row'].strip()}: {value:.3g} {record['unit']}, "
            f"x {ratio:.2f} ({against}; last {old['measured']:.3g} at {old['commit']}; load "
            f"{old['load']} then, {record['load']} now)"
        )
    return out


def trend_table(records: Sequence[Record]) -> str:
    """Costs as Markdown, a column for each of the last commits (the median of its runs)."""
    found = {k: v for k, v in by_commit(records).items() if _unit(v) in COSTS}
    commits = list(dict.fromkeys(r["commit"] for r in records))[-SHOWN:]
    lines = ["# Trend", "", "Costs by commit, oldest first; the median of a commit's runs.", ""]
    heads = ["benchmark", "figure", "", *commits, "last / first"]
    lines += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for (quick, benchmark, row, _), past in found.items():
        values = [
            statistics.median(r["measured"] for r in past[c]) if c in past else None
            for c in commits
        ]
        there = [v for v in values if v is not None]
        ratio = f"{there[-1] / there[0]:.2f}" if len(there) > 1 and there[0] else ""
        name = f"{benchmark} (quick)" if quick else benchmark
        shown = ["" if v is None else f"{v:.4g}" for v in values]
        cells = [name, row.strip().replace("|", "/"), _unit(past), *shown, ratio]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _unit(past: dict[str, list[Record]]) -> str:
    return str(next(iter(past.values()))[-1]["unit"])
