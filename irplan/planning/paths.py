"""Needle paths: weights, the candidate, its score term by term, and the outcome of a search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from irplan.errors import InputError
from irplan.geometry import Needle, Point3

#: Word for what nobody has seen, in `PathCandidate.not_checked`.
UNKNOWN = "outside the field of view"


@dataclass(frozen=True)
class NeedleError:
    """How far off a needle may come to lie: the sweep that a path should leave room for.

    At the tip the axis is off by ``tip_mm``; towards the skin by less, as the angle opens from
    there: at a depth s of L by ``tip_mm`` - (L - s) tan(``angle_deg``), not below zero.

    Raises `InputError` for an error of the tip outside 0..20 mm or an angle outside 0..20 degrees.
    """

    tip_mm: float = 4.0
    angle_deg: float = 1.3
    source: str = "mean errors of CT with laser (PMC4499536) [V]"

    def __post_init__(self) -> None:
        for name, unit in (("tip_mm", "mm"), ("angle_deg", "deg")):
            if not 0.0 <= getattr(self, name) <= 20.0:
                raise InputError(
                    f"needle error.{name}",
                    got=f"{getattr(self, name):g} {unit}",
                    expected=f"0 to 20 {unit}",
                    remedy="Give the mean error of the way needles are placed at your site.",
                )

    @property
    def slope(self) -> float:
        """mm less of error for each mm back from the tip."""
        return math.tan(math.radians(self.angle_deg))


@dataclass(frozen=True)
class PathWeights:
    """Weights of the soft terms [S]; each term runs from 0 (ideal) to 1 (at its hard limit).

    ``sweep``: room for a needle that is off by ``error``; 1 where it would touch an obstacle.
    Raises `InputError` for a weight below zero or not finite.
    """

    length: float = 1.0
    obstacle: float = 1.0
    tilt: float = 0.5
    capsule_angle: float = 0.5
    organ_path: float = 0.3
    sweep: float = 0.5
    error: NeedleError = field(default_factory=NeedleError)

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name != "error" and not (math.isfinite(value) and value >= 0.0):
                raise InputError(
                    f"weights.{f.name}",
                    got=f"{value}",
                    expected="a finite number, 0 or more",
                    remedy="0 leaves the term out.",
                )


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
    not_checked: tuple[str, ...] = ()
    """What was not looked at on this path: groups nobody segmented, the unknown; then not clear."""


@dataclass(frozen=True)
class PathSearch:
    """Ranked candidates plus what the hard rules rejected (rule in words, number of paths)."""

    candidates: tuple[PathCandidate, ...]
    tested: int
    admissible: int
    blocked_by: tuple[tuple[str, int], ...]
    nearest_miss: str
