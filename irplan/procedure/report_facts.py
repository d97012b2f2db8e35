"""The events and files of a case made ready for a report: fields are built from here only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from irplan.procedure.events import Effective, Event, effective_events
from irplan.procedure.report_fields import ReportField, SourceRef
from irplan.procedure.report_rules import derive, look_up


@dataclass(frozen=True)
class CaseFile:
    """A JSON file beside the log: its name, SHA-256 and content."""

    name: str
    sha256: str
    data: Mapping[str, Any]


class Facts:
    """Effective events by kind, and files; makes fields whose values come from their sources."""

    def __init__(self, events: Iterable[Event], files: Sequence[CaseFile] = ()) -> None:
        held = list(events)
        self.by_seq = {e.seq: e for e in held}
        self.effective = effective_events(held)
        self._by_kind: dict[str, list[Effective]] = {}
        for e in self.effective:
            self._by_kind.setdefault(e.event.kind, []).append(e)
        self.files = {f.name: f for f in files}
        self._data = {f.name: f.data for f in files}

    def all(self, kind: str, **match: Any) -> list[Effective]:
        """Effective events of a kind whose data match."""
        return [
            e
            for e in self._by_kind.get(kind, ())
            if all(e.data.get(k) == v for k, v in match.items())
        ]

    def ref(self, event: Effective, path: str) -> SourceRef:
        """The place of one value of an event; after a correction, in the correction."""
        origin = event.event if path == "at" else (event.corrected_by or event.event)
        return SourceRef("log", path, origin.sha256, seq=origin.seq)

    def file_ref(self, name: str, path: str) -> SourceRef:
        """The place of a value in a file."""
        return SourceRef("file", path, self.files[name].sha256, name=name)

    def derived(
        self,
        key: str,
        rule: str,
        refs: Sequence[SourceRef],
        unit: str = "",
        *,
        choice: bool = False,
    ) -> ReportField:
        """A field by ``rule`` from ``refs``; missing where there are none."""
        if not refs:
            return ReportField(key, unit=unit, choice=choice)
        values = [look_up(r, self.by_seq, self._data) for r in refs]
        value = derive(rule, refs, values, self.by_seq)
        return ReportField(key, value, unit, "recorded", tuple(refs), rule, choice)

    def last(
        self,
        key: str,
        events: Sequence[Effective],
        path: str | None = None,
        unit: str = "",
        *,
        choice: bool = False,
    ) -> ReportField:
        """The value that the last of ``events`` to state it states."""
        name = key if path is None else path
        holding = [e for e in events if name in e.data]
        refs = [self.ref(holding[-1], name)] if holding else []
        return self.derived(key, "same", refs, unit, choice=choice)

    def agreed(
        self,
        key: str,
        events: Sequence[Effective],
        path: str | None = None,
        unit: str = "",
        *,
        choice: bool = False,
    ) -> ReportField:
        """The value in which all ``events`` that state it agree; else a conflict without value."""
        name = key if path is None else path
        holding = [e for e in events if name in e.data]
        refs = tuple(self.ref(e, name) for e in holding)
        if any(e.data[name] != holding[0].data[name] for e in holding):
            return ReportField(key, None, unit, "conflict", refs, "same", choice)
        return self.derived(key, "same", refs, unit, choice=choice)

    def over(
        self, key: str, rule: str, events: Sequence[Effective], path: str, unit: str = ""
    ) -> ReportField:
        """``rule`` over all ``events`` that state ``path``."""
        return self.derived(key, rule, [self.ref(e, path) for e in events if path in e.data], unit)

    def extreme(
        self, key: str, rule: str, events: Sequence[Effective], path: str, unit: str = ""
    ) -> ReportField:
        """The least or most of what ``events`` state, with the event that states it as source."""
        holding = [e for e in events if path in e.data]
        choose = min if rule == "least" else max
        found = [choose(holding, key=lambda e: e.data[path])] if holding else []
        return self.derived(key, rule, [self.ref(e, path) for e in found], unit)

    def count(self, key: str, events: Sequence[Effective], path: str) -> ReportField:
        """How many; ``path`` is any field they have."""
        return self.derived(key, "count", [self.ref(e, path) for e in events], "1")
