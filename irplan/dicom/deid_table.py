"""The attributes that identify: DICOM PS3.15 Table E.1-1, as data.

``deid_table.csv`` holds a row a tag: the basic profile's action and a letter for each option whose
column is filled.  Source: DICOM PS3.15 2026c, Table E.1-1 (actions) and its option columns (2025b;
the tags of the two editions differ in one, removed under both).  Private attributes, curves
(50xx) and overlays (60xx) are rules, not rows: see `irplan.dicom.deid`.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_TABLE = Path(__file__).with_name("deid_table.csv")
EDITION = "PS3.15 2026c, Table E.1-1"


@dataclass(frozen=True)
class DeidRow:
    """One attribute: ``action`` of the basic profile and the ``options`` that touch it.

    Actions: X remove, Z empty, D dummy, U new UID; a slash where the object's definition decides
    (irplan takes the fullest one, which keeps every object valid).  Options: U UIDs, D device,
    I institution, P patient characteristics, T dates, S descriptors, R structured content,
    G graphics.
    """

    tag: int
    action: str
    options: str

    @property
    def fullest(self) -> str:
        """The one action that leaves most behind: U, else D, else Z, else X."""
        return next(a for a in "UDZX" if a in self.action)


@lru_cache(maxsize=1)
def deid_table() -> dict[int, DeidRow]:
    """Every row by its tag (``0xggggeeee``)."""
    with _TABLE.open(encoding="ascii", newline="") as file:
        rows = [DeidRow(int(r["tag"], 16), r["action"], r["options"]) for r in csv.DictReader(file)]
    return {row.tag: row for row in rows}
