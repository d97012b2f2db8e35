"""Figures over commits: the trend file's records, what got worse, and a table."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.results import Finished

#: Units of which more is worse.
COSTS = ("s", "ms", "us", "MB", "GB")
#: Unit of which less is worse: a peer's time over irplan's.
GAIN = "x"
#: What a record of the trend file holds at least.
_FIELDS = frozenset(
    ("commit", "quick", "benchmark", "row", "measured", "unit", "processor", "load")
)
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
            "met": r.met, "load": (f.machine.get("load_average_1_5_15_min") or [None])[0],
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


def worse_than_before(before: Sequence[Record], now: Sequence[Record]) -> list[str]:
    """Costs that grew, gains that shrank and limits missed that were met, against earlier commits.

    A commit counts by the median of its runs on the same processor.  Held against the median of
    the last five commits (15 %) and against the best of all (30 %); runs of the commit itself do
    not count.
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
        if not past:
            continue
        old = known[key][list(past)[-1]][-1]
        against = _grown(past, record)
        if against is None and old.get("met") is True and record.get("met") is False:
            against = "its limit was met, and is missed now"
        if against is None:
            continue
        out.append(
            f"{record['benchmark']}: {record['row'].strip()}: {record['measured']:.3g} "
            f"{record['unit']}, {against} (last {old['measured']:.3g} at {old['commit']}; load "
            f"{old['load']} then, {record['load']} now)".replace(" ,", ",")
        )
    return out


def _grown(past: dict[str, float], record: Record) -> str | None:
    """In words by how much a cost grew, or a gain shrank; None where it did not."""
    value, gain = record["measured"], record["unit"] == GAIN
    if (record["unit"] not in COSTS and not gain) or not value > 0:
        return None
    recent = statistics.median(list(past.values())[-RECENT:])
    best = (max if gain else min)(past, key=lambda c: past[c])

    def times(other: float) -> float:
        return other / value if gain else value / other if other > 0 else 0.0

    sign = "/" if gain else "x"
    if times(recent) > 1 + SLOWER:
        return f"{sign} {times(recent):.2f} of {recent:.3g}, the last {min(len(past), RECENT)}"
    if times(past[best]) > 1 + CREPT:
        return f"{sign} {times(past[best]):.2f} of {past[best]:.3g} at {best}, the best"
    return None


def read_trend(path: Path) -> tuple[list[Record], int]:
    """Records of a trend file, and how many lines hold none (a run that was killed as it wrote)."""
    records, damaged = [], 0
    for line in (
        path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    ):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if isinstance(record, dict) and record.keys() >= _FIELDS:
            records.append(record)
        else:
            damaged += bool(line.strip())
    return records, damaged


def trend_table(records: Sequence[Record]) -> str:
    """Costs as Markdown, a column for each of the last commits (the median of its runs)."""
    found = {k: v for k, v in by_commit(records).items() if _unit(v) in (*COSTS, GAIN)}
    commits = list(dict.fromkeys(r["commit"] for r in records))[-SHOWN:]
    lines = [
        "# Trend",
        "",
        "Costs, and gains over peers (x), by commit, oldest first; the median of a commit's runs.",
        "",
    ]
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
