"""Needle paths: the candidate, its score term by term, and the outcome of a search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from irplan.geometry import Needle, Point3


@dataclass(frozen=True)
class PathTerm:
    """One term of a path's score: measured value, its weight, and the cost it adds (0 = ideal)."""

    name: str
    value: float
    unit: str
    weight: float
    cost: float
    note: str = ""


@dataclass(frozen=True)
class PathCandidate:
    """An admissible path with every term of its score; a smaller ``cost`` is better."""

    needle: Needle
    cost: float
    terms: tuple[PathTerm, ...]
    clearance_mm: Mapping[str, float]
    """Structure -> smallest distance of the needle's axis to it, mm."""
    limiting_structure: str
    limiting_point_mm: Point3


@dataclass(frozen=True)
class PathSearch:
    """Ranked candidates plus what the hard rules rejected (rule in words, number of paths)."""

    candidates: tuple[PathCandidate, ...]
    tested: int
    admissible: int
    blocked_by: tuple[tuple[str, int], ...]
    nearest_miss: str
