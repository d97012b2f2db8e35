"""What benchmarks found, as rows of one form; tables of them, and what got slower."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

#: Units of which more is worse.
_COSTS = ("s", "ms", "us", "MB", "GB")
#: A figure that grew by more than this share is listed.
_SLOWER = 0.15


@dataclass(frozen=True)
class Row:
    """One figure: ``met`` is None where there is no limit."""

    name: str
    measured: Any
    unit: str
    limit: str
    met: bool | None


@dataclass(frozen=True)
class Finished:
    """A benchmark that ran, or in ``trouble`` why it has no figures."""

    name: str
    machine: dict[str, Any]
    rows: tuple[Row, ...]
    wall_s: float
    trouble: str

    @property
    def missed(self) -> int:
        return sum(r.met is False for r in self.rows) + bool(self.trouble)


def numbers(data: dict[str, Any]) -> tuple[Row, ...]:
    """Rows of a benchmark's JSON, whichever of its forms it has.

    Rows with ``name`` and ``measured`` are taken as they are; of other rows, and of a file
    without rows, each number becomes a row named by the row's texts and its own key.
    """
    rows = data.get("rows")
    if not isinstance(rows, list):
        rows = [{k: v for k, v in data.items() if k != "machine"}]
    out: list[Row] = []
    for given in rows:
        if "measured" in given:
            limit = given.get("limit")
            out.append(
                Row(
                    str(given["name"]), given["measured"], str(given.get("unit") or ""),
                    "" if limit is None else str(limit), given.get("met"),
                )
            )  # fmt: skip
            continue
        texts = " ".join(str(v) for v in given.values() if isinstance(v, str))
        for key, value in _flat(given):
            out.append(Row(f"{texts} {key}".strip(), value, _unit(key), "", None))
    return tuple(out)


def _flat(given: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in given.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{key} ")
        elif isinstance(value, bool | int | float):
            found.append((f"{prefix}{key}", value))
    return found


def _unit(key: str) -> str:
    end = key.rpartition("_")[2]
    return {"s": "s", "ms": "ms", "mm": "mm", "mb": "MB", "percent": "%"}.get(end, "")


def trend_records(
    finished: Sequence[Finished], commit: str, date: str, *, quick: bool
) -> list[dict[str, Any]]:
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


def slower(before: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]]) -> list[str]:
    """Costs that grew by more than 15 % since the last record on the same processor."""

    def key(r: dict[str, Any]) -> tuple[Any, ...]:
        return r["quick"], r["benchmark"], r["row"], r["processor"]

    last = {key(r): r for r in before}
    out = []
    for record in now:
        old = last.get(key(record))
        if old is None or record["unit"] not in _COSTS or not old["measured"]:
            continue
        ratio = record["measured"] / old["measured"]
        if ratio > 1.0 + _SLOWER:
            out.append(
                f"{record['benchmark']}: {record['row']}: {old['measured']:.3g} -> "
                f"{record['measured']:.3g} {record['unit']} (x {ratio:.2f} since {old['commit']}; "
                f"load {old['load']} then, {record['load']} now)"
            )
    return out


def markdown(finished: Sequence[Finished], commit: str, worse: Sequence[str]) -> str:
    """All figures as Markdown."""
    lines = [f"# Benchmarks, {commit}", ""]
    for f in finished:
        lines += [f"## {f.name} ({f.wall_s:.0f} s)", "", _facts(f), ""]
        if f.trouble:
            lines += [f"**No figures: {f.trouble}.**", ""]
            continue
        lines += ["| figure | measured | limit | |", "|---|---|---|---|"]
        for r in f.rows:
            cells = [r.name, f"{_shown(r.measured)} {r.unit}".strip(), r.limit, _mark(r)]
            lines.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
        lines.append("")
    if worse:
        lines += ["## Slower than the last run", "", *(f"- {w}" for w in worse), ""]
    return "\n".join(lines)


def html_page(finished: Sequence[Finished], commit: str, worse: Sequence[str]) -> str:
    """The same as a page that needs nothing else."""
    e = html.escape
    parts = [
        "<!doctype html><meta charset='utf-8'><title>irplan benchmarks</title><style>"
        "body{font:15px/1.45 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
        "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25em .6em;"
        "border-bottom:1px solid #d5dde4}.miss{color:#b3261e;font-weight:600}.ok{color:#006b54}"
        "small{color:#5b6b7a}</style>",
        f"<h1>irplan benchmarks</h1><p>{e(commit)}. Research use only.</p>",
    ]
    for f in finished:
        parts.append(f"<h2>{e(f.name)}</h2><p><small>{e(_facts(f))}</small></p>")
        if f.trouble:
            parts.append(f"<p class='miss'>No figures: {e(f.trouble)}.</p>")
            continue
        parts.append("<table><tr><th>figure<th>measured<th>limit<th></tr>")
        for r in f.rows:
            mark, kind = _mark(r), {True: "ok", False: "miss", None: ""}[r.met]
            parts.append(
                f"<tr><td>{e(r.name)}<td>{e(_shown(r.measured))} {e(r.unit)}<td>{e(r.limit)}"
                f"<td class='{kind}'>{mark}</tr>"
            )
        parts.append("</table>")
    if worse:
        parts.append("<h2>Slower than the last run</h2><ul>")
        parts += [f"<li>{e(w)}</li>" for w in worse]
        parts.append("</ul>")
    return "\n".join(parts) + "\n"


def _facts(f: Finished) -> str:
    m = f.machine
    if not m:
        return "machine not recorded"
    versions = ", ".join(f"{k} {v}" for k, v in (m.get("versions") or {}).items())
    load = m.get("load_average_1_5_15_min") or ["?"]
    return (
        f"{m.get('cores')} cores, {m.get('processor')}, Python {m.get('python')}; load {load[0]}; "
        f"{versions}"
    )


def _mark(r: Row) -> str:
    return {True: "met", False: "MISSED", None: ""}[r.met]


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
