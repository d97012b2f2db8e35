"""What a draft report is made of: fields with their sources, sections, checks.  No language yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from irplan.errors import InputError

#: "recorded": a source says so.  "missing": no source.  "none": looked for, and none was seen.
#: "conflict": sources contradict each other; all of them are listed and no value is shown.
FieldState = Literal["recorded", "missing", "none", "conflict"]
CheckStatus = Literal["ok", "warning", "error", "not_checked"]


@dataclass(frozen=True)
class SourceRef:
    """One place a value comes from.

    ``where``: "log" (``seq`` and the event's hash) or "file" (``name`` and the file's hash).
    ``path``: the value in it: a key of the event's data, or "$..." in the JSON file; "at" is the
    event's time.
    """

    where: Literal["log", "file"]
    path: str
    sha256: str
    seq: int | None = None
    name: str = ""


@dataclass(frozen=True)
class ReportField:
    """One statement: ``value`` follows from ``sources`` by ``rule`` (`report_rules`).

    ``unit`` is UCUM ("" for none).  ``choice``: the value is a word of a fixed list (translated);
    other texts are a person's own words and stay as they are.
    """

    key: str
    value: Any = None
    unit: str = ""
    state: FieldState = "missing"
    sources: tuple[SourceRef, ...] = ()
    rule: str = "same"
    choice: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", tuple(self.sources))
        filled = self.state in ("recorded", "none")
        if filled != (self.value is not None) or (self.state != "missing") != bool(self.sources):
            raise InputError(
                f"report field '{self.key}'",
                got=f"state '{self.state}' with {len(self.sources)} source(s)",
                expected="a value with its sources, or missing with neither",
                remedy="A field without a source stays empty.",
            )


@dataclass(frozen=True)
class Section:
    """Fields that belong together; ``item`` names one of several (a lesion, a needle, a phase)."""

    key: str
    fields: tuple[ReportField, ...]
    item: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", tuple(self.fields))

    def field(self, key: str) -> ReportField:
        """The field of this name; a missing one where the section has none."""
        return next((f for f in self.fields if f.key == key), ReportField(key))


@dataclass(frozen=True)
class Check:
    """One check of the content; ``detail`` holds what it found, by name, for the words."""

    name: str
    status: CheckStatus
    detail: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[SourceRef, ...] = ()


@dataclass(frozen=True)
class ProcedureReport:
    """The content of a draft report, from which every format is made.

    Parameters
    ----------
    sections : in reading order; several of one key are rows of a table.
    checks : of the content against itself.
    log_head_sha256, log_count, log_state : which log, and whether it was verified.
    files : name -> SHA-256 of each file used beside the log.
    irplan_version : of the software that made it.
    """

    sections: tuple[Section, ...]
    checks: tuple[Check, ...]
    log_head_sha256: str
    log_count: int
    log_state: Literal["intact", "damaged", "not_checked", "absent"]
    files: Mapping[str, str]
    irplan_version: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "sections", tuple(self.sections))
        object.__setattr__(self, "checks", tuple(self.checks))

    def of(self, key: str) -> tuple[Section, ...]:
        """All sections of one key."""
        return tuple(s for s in self.sections if s.key == key)

    def one(self, key: str) -> Section:
        """The first section of one key; an empty one where there is none."""
        return next(iter(self.of(key)), Section(key, ()))

    @property
    def objections(self) -> dict[str, str]:
        """Failed checks (status "error") with what they found: they block acceptance."""
        return {
            c.name: "; ".join(f"{k}: {v}" for k, v in c.detail.items())
            for c in self.checks
            if c.status == "error"
        }
