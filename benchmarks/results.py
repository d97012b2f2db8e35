"""What benchmarks found, as rows of one form, and tables of them."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


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
    """A benchmark that ran, or in ``trouble`` why it has no figures; ``picture``: its PNG."""

    name: str
    machine: dict[str, Any]
    rows: tuple[Row, ...]
    wall_s: float
    trouble: str
    command: str = ""
    picture: bytes | None = None

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


def markdown(finished: Sequence[Finished], commit: str, worse: Sequence[str]) -> str:
    """All figures as Markdown."""
    lines = [f"# Benchmarks, {commit}", "", _count(finished), ""]
    for f in finished:
        lines += [f"## {f.name} ({f.wall_s:.0f} s)", "", _facts(f), ""]
        if f.command:
            lines += [f"`python {f.command}`", ""]
        if f.trouble:
            lines += [f"**No figures: {f.trouble}.**", ""]
            continue
        lines += ["| figure | measured | limit | |", "|---|---|---|---|"]
        for r in f.rows:
            cells = [r.name, f"{_shown(r.measured)} {r.unit}".strip(), r.limit, _mark(r)]
            lines.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
        lines.append("")
    if worse:
        lines += ["## Worse than at earlier commits", "", *(f"- {w}" for w in worse), ""]
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
        f"<h1>irplan benchmarks</h1><p>{e(commit)}. Research use only. {_count(finished)}</p>",
    ]
    for f in finished:
        parts.append(
            f"<h2>{e(f.name)}</h2><p><small>{e(_facts(f))}<br>{f.wall_s:.0f} s in all; "
            f"python {e(f.command)}</small></p>"
        )
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
        if f.picture is not None:
            data = base64.b64encode(f.picture).decode()
            source = f"data:image/png;base64,{data}"
            parts.append(f"<p><img style='max-width:100%' alt='{e(f.name)}' src='{source}'></p>")
    if worse:
        parts.append("<h2>Worse than at earlier commits</h2><ul>")
        parts += [f"<li>{e(w)}</li>" for w in worse]
        parts.append("</ul>")
    return "\n".join(parts) + "\n"


def _count(finished: Sequence[Finished]) -> str:
    rows = [r for f in finished for r in f.rows]
    met, missed = sum(r.met is True for r in rows), sum(r.met is False for r in rows)
    trouble = sum(bool(f.trouble) for f in finished)
    return (
        f"{len(finished)} benchmarks, {len(rows)} figures; limits: {met} met, {missed} missed; "
        f"{trouble} without figures."
    )


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
