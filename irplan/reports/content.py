"""What a plan report says, independent of how it is set: frozen, built from a planned case."""

from __future__ import annotations

from dataclasses import dataclass

from irplan.planning.evaluation import Status


@dataclass(frozen=True)
class Fact:
    """One named statement with its unit in the words; ``note`` explains it."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table: column heads carry the units, cells are text; ``note`` stands below it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """One row of the evaluation, ready to be read: status as word, symbol and colour."""

    name: str
    value: str
    limit: str
    status: Status
    word: str
    symbol: str
    colour: str
    note: str
    source: str


@dataclass(frozen=True)
class Structure:
    """What the segmentation says about one structure: found, not found, or not checked."""

    name: str
    state: str
    volume_ml: str


@dataclass(frozen=True)
class ReportContent:
    """Everything a plan report states; figures and page layout come later.

    Built by `irplan.reports.plan_report`.  ``banner`` is the review state in capitals.
    """

    title: str
    banner: str
    research_notice: str
    overall: Verdict
    summary: tuple[str, ...]
    target: tuple[Fact, ...]
    placements: Table
    schedule: Table
    verdicts: tuple[Verdict, ...]
    margins: tuple[Fact, ...]
    shells: Table
    zones: Table
    organs: Table
    paths: tuple[Table, ...]
    search: tuple[Fact, ...]
    blocked: Table
    simulation: tuple[Fact, ...]
    energy: Table
    tissues: Table
    structures: tuple[Structure, ...]
    messages: tuple[str, ...]
    limits: tuple[str, ...]
    provenance: tuple[Fact, ...]
    options: Table
    zone_word: str = "ice"
    """What the simulated zone is called: "ice" by cold, else "zone"."""
