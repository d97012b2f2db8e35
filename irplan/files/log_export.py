"""A procedure log as JSON or CSV for other programs; the log itself stays as it is."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

from irplan import RESEARCH_USE_ONLY
from irplan.files.csv_cell import plain_cell
from irplan.procedure.events import Effective, Event, effective_events

#: Name and version of the JSON.
LOG_EXPORT_SCHEMA, LOG_EXPORT_VERSION = "irplan-log", 1


def event_to_data(event: Event) -> dict[str, Any]:
    """An event as it stands in the log, with its hash."""
    return {
        "seq": event.seq,
        "kind": event.kind,
        "version": event.version,
        "at": event.at,
        "recorded": event.recorded,
        "source": {"how": event.source.how, "who": event.source.who, "ref": event.source.ref},
        "data": dict(event.data),
        "prev": event.prev,
        "sha256": event.sha256,
    }


def log_to_json(events: Iterable[Event], *, intact: bool | None) -> str:
    """All events and, by number, what counts after corrections.

    ``intact`` says what verification found; None: it was not verified.
    """
    held = list(events)
    now = [
        {
            "seq": e.event.seq,
            "counts_from": e.seq,
            "kind": e.event.kind,
            "data": dict(e.data),
        }
        for e in effective_events(held)
    ]
    data = {
        "schema": LOG_EXPORT_SCHEMA,
        "schema_version": LOG_EXPORT_VERSION,
        "notice": RESEARCH_USE_ONLY,
        "verified": "not checked" if intact is None else ("intact" if intact else "DAMAGED"),
        "head_sha256": held[-1].sha256 if held else "",
        "events": [event_to_data(e) for e in held],
        "effective": now,
    }
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def log_to_csv(events: Iterable[Effective]) -> str:
    """What counts, a row an event: number, times, kind, source, data as JSON.

    A cell that a spreadsheet would take for a formula begins with an apostrophe.
    """
    out = io.StringIO(newline="")
    table = csv.writer(out, lineterminator="\n")
    table.writerow(("seq", "counts_from", "at", "recorded", "kind", "how", "who", "ref", "data"))
    for e in events:
        source = e.event.source
        data = json.dumps(dict(e.data), sort_keys=True, ensure_ascii=False)
        row = (e.event.at, e.event.recorded, e.event.kind, source.how, source.who, source.ref, data)
        table.writerow((e.event.seq, e.seq, *(plain_cell(c) for c in row)))
    return out.getvalue()
