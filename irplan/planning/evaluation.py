"""How good a plan is: margins, coverage, distances, each with a verdict and its limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from irplan.geometry import Point3
from irplan.planning.robustness_result import CoverageProbability

Status = Literal["ok", "warning", "error", "not_checked"]


@dataclass(frozen=True)
class Row:
    """One line of the verdict, the same on screen, in files and in reports.

    ``value`` is None when nothing could be measured; then ``status`` is ``"not_checked"`` and
    ``note`` says why.  ``limit`` is the rule in words, ``source`` where the rule comes from.
    """

    name: str
    value: float | None
    unit: str
    limit: str
    status: Status
    note: str = ""
    source: str = ""


@dataclass(frozen=True, eq=False)
class MarginSurface:
    """Margin at each point of the target's surface.

    ``points_mm`` (n, 3) LPS; ``normals`` (n, 3) outward; ``area_mm2`` (n,) of surface it stands
    for; ``margin_mm`` (n,) signed distance to the lethal zone's surface, positive where the
    zone reaches beyond; ``counted`` (n,) False where the subcapsular rule leaves it out.
    """

    points_mm: NDArray[np.float64]
    normals: NDArray[np.float64]
    area_mm2: NDArray[np.float64]
    margin_mm: NDArray[np.float64]
    counted: NDArray[np.bool_]


@dataclass(frozen=True)
class DirectionMargin:
    """Margin towards one side: smallest, area-weighted mean and where, mm; NaN where none counts.

    ``reach_mm`` is how much farther the zone extends than the target in that direction.
    """

    name: str
    minimal_mm: float
    mean_mm: float
    at_mm: Point3 | None
    reach_mm: float


@dataclass(frozen=True)
class ZoneReach:
    """Distance of the zone's surface to the target's, mm: positive outside the target."""

    least_mm: float
    mean_mm: float
    most_mm: float
    most_at_mm: Point3


@dataclass(frozen=True, eq=False)
class PlanEvaluation:
    """The verdict on a simulated plan."""

    minimal_margin_mm: float
    minimal_margin_at_mm: Point3
    minimal_margin_all_mm: float
    """The same without the subcapsular exception."""
    target_coverage: float
    """Fraction (0..1) of the target's volume inside the lethal zone."""
    margin_coverage: float
    """Fraction (0..1) of target + margin goal (inside the organ) in the lethal zone."""
    shell_coverage: Mapping[float, float]
    """Outer distance in mm -> fraction of that shell round the target inside the zone."""
    zone_volume_ml: Mapping[str, float]
    """Named isotherm or zone -> ml (``"0 degC"``, ``"-20 degC"``, ``"-40 degC"``, ``"lethal"``)."""
    organ_distance_mm: Mapping[str, float]
    """Structure -> smallest distance of the ice's edge (0 degC) to it; negative: ice reaches in."""
    margin: MarginSurface
    histogram_edges_mm: NDArray[np.float64]
    histogram_fraction: NDArray[np.float64]
    rows: tuple[Row, ...]
    directions: tuple[DirectionMargin, ...] = ()
    """Margins towards the patient's sides and along and across the needles."""
    zone_reach: ZoneReach | None = None
    """The surface distance the other way; None where there is no zone."""
    coverage_probability: CoverageProbability | None = None
    """How sure the coverage is under placement error; None where it was not asked for."""

    @property
    def status(self) -> Status:
        """The worst row."""
        order: tuple[Status, ...] = ("error", "warning", "not_checked", "ok")
        present = {row.status for row in self.rows}
        return next((s for s in order if s in present), "ok")
