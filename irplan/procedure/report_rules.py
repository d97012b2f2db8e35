"""How a report's value follows from its sources: few rules, each one can be computed again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from irplan.procedure.events import Event, seconds_between
from irplan.procedure.report_fields import SourceRef


def _same(values: Sequence[Any]) -> Any:
    return values[-1]


def _listed(values: Sequence[Any]) -> list[str]:
    out: list[str] = []
    for value in values:
        for each in value if isinstance(value, list) else [value]:
            if str(each) not in out:
                out.append(str(each))
    return out


def _distance(values: Sequence[Any]) -> float:
    """Between two points, mm."""
    return math.dist(values[0], values[1])


def _angle(values: Sequence[Any]) -> float:
    """Between the directions entry -> tip of two needles (entry, tip, entry, tip), degrees."""
    a = [t - e for e, t in zip(values[0], values[1], strict=True)]
    b = [t - e for e, t in zip(values[2], values[3], strict=True)]
    sizes = math.hypot(*a) * math.hypot(*b)
    cosine = math.fsum(p * q for p, q in zip(a, b, strict=True)) / sizes
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))


def _least_distance(values: Sequence[Any]) -> float:
    return min(math.dist(p, q) for n, p in enumerate(values) for q in values[n + 1 :])


#: Rules on values.  "minutes" and "time" need the events and are in `derive`.
RULES: Mapping[str, Callable[[Sequence[Any]], Any]] = {
    "same": _same,
    "listed": _listed,
    "count": len,
    "sum": math.fsum,
    "whole_sum": sum,
    "least": min,
    "most": max,
    "distance": _distance,
    "angle": _angle,
    "least_distance": _least_distance,
    "difference": lambda v: v[1] - v[0],
    "minutes_planned": lambda v: math.fsum(v) / 60.0,
}


def derive(
    rule: str, refs: Sequence[SourceRef], values: Sequence[Any], events: Mapping[int, Event]
) -> Any:
    """The value that ``rule`` gives for ``values`` of ``refs``; ``events`` by number.

    "minutes": sum over pairs (start, stop) of events; "duration_difference": that sum over all but
    the planned seconds (file sources), less the plan's; "time": when the event happened.
    """
    if rule == "time":
        return events[refs[-1].seq or 0].at
    if rule == "minutes":
        return _minutes([r for r in refs if r.where == "log"], events)
    if rule == "minutes_difference":
        planned = [v for r, v in zip(refs, values, strict=True) if r.where == "file"]
        return _minutes([r for r in refs if r.where == "log"], events) - math.fsum(planned) / 60.0
    return RULES[rule](values)


def _minutes(refs: Sequence[SourceRef], events: Mapping[int, Event]) -> float:
    pairs = zip(refs[::2], refs[1::2], strict=True)
    return math.fsum(
        seconds_between(events[a.seq or 0], events[b.seq or 0]) / 60.0 for a, b in pairs
    )


def look_up(ref: SourceRef, events: Mapping[int, Event], files: Mapping[str, Any]) -> Any:
    """The value at ``ref``; raises `KeyError` or `IndexError` where it is not there."""
    if ref.where == "file":
        return _in_json(files[ref.name], ref.path)
    event = events[ref.seq or 0]
    if event.sha256 != ref.sha256:
        raise KeyError(f"event {ref.seq} has another hash")
    if ref.path == "at":
        return event.at
    data = event.data["data"] if event.kind == "correction" else event.data
    return data[ref.path]


def _in_json(data: Any, path: str) -> Any:
    for part in path.removeprefix("$").replace("[", ".[").split("."):
        if part.startswith("["):
            data = data[int(part[1:-1])]
        elif part:
            data = data[part]
    return data
