"""How good a simulated layout is for the search: margin, covered shares, healthy tissue, risk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import AblationResult, Placement
from irplan.image import Volume
from irplan.planning.margins import TargetGeometry
from irplan.planning.modality import Tool
from irplan.planning.paths import PathCandidate
from irplan.planning.surfaces import sample
from irplan.planning.verdicts import MARGIN_COVERAGE

#: All of the target, but for the rounding of its edge (as the verdict's row has it).
TARGET_COVERAGE = 0.9995
#: A share of the target that stays uncovered weighs so many times one of the margin.
TARGET_FACTOR = 4.0
#: Points of the target with its margin at which coverage is measured in a search, about.
COVERAGE_POINTS = 4000
_OUTSIDE = 1e3


@dataclass(frozen=True, eq=False)
class Layout:
    """A group of applicators that was simulated on the search grid.

    ``placements`` begin with those that are fixed; ``paths`` belong to the others.
    """

    placements: tuple[Placement, ...]
    paths: tuple[PathCandidate, ...]
    tool: Tool
    direction: int
    """Number of the common direction it was searched in; -1: none (fixed ones alone)."""
    margin_mm: float
    """Smallest counted margin in that simulation."""
    target_share: float
    """Covered share (0..1) of the target."""
    margin_share: float
    """Covered share (0..1) of target + goal inside the organ."""
    healthy_ml: float
    """Lethal zone outside the target, ml."""
    cost: float
    harm: float = 0.0
    """Largest effect just before an organ that is to be spared, as a share of what is harmful."""

    @property
    def count(self) -> int:
        """Number of applicators, fixed ones included."""
        return len(self.placements)

    @property
    def covered(self) -> bool:
        """All of the target and 99 % of it with its margin."""
        return self.target_share >= TARGET_COVERAGE and self.margin_share >= MARGIN_COVERAGE

    @property
    def shortfall(self) -> float:
        """What is not covered, the target's share weighing more; 0 is all."""
        return TARGET_FACTOR * (1.0 - self.target_share) + 1.0 - self.margin_share

    @property
    def risk(self) -> float:
        """Mean cost of the new paths, length and nearness to obstacles (0 is ideal)."""
        return float(np.mean([p.cost for p in self.paths])) if self.paths else 0.0


@dataclass(frozen=True, eq=False)
class CoverageSites:
    """Points of the target with its margin, and how much of each cell is target and either."""

    points_mm: NDArray[np.float64]
    target: NDArray[np.float64]
    either: NDArray[np.float64]
    cell_mm: float
    target_ml: float

    @classmethod
    def of(
        cls, target: TargetGeometry, goal_mm: float, most: int | None = COVERAGE_POINTS
    ) -> CoverageSites:
        """About ``most`` points of the target's lattice; None: all, as the verdict takes them."""
        within = np.clip(0.5 + (goal_mm - target.outside_mm) / target.cell_mm, 0.0, 1.0)
        either = np.maximum(target.target_weight, np.where(target.in_organ, within, 0.0))
        if goal_mm <= 0.0:
            either = target.target_weight
        keep = np.flatnonzero(either > 0.0)
        # A stride that divides no row of the lattice spreads the points over it.
        step = 1 if most is None else max(1, len(keep) // most)
        keep = keep[:: step + (step > 1 and step % 2 == 0)]
        volume = float(target.target_weight.sum()) * target.cell_mm**3 / 1000.0
        return cls(
            target.sites_mm[keep], target.target_weight[keep], either[keep], target.cell_mm, volume
        )

    def shares(self, field: Volume, level: float) -> tuple[float, float]:
        """Covered share of the target, and of it with its margin."""
        value = sample(field, self.points_mm, _OUTSIDE)
        slope = np.zeros(len(value))
        half = 0.5 * float(np.mean(field.grid.spacing_mm))
        for axis in range(3):
            step = np.zeros(3)
            step[axis] = half
            ahead = sample(field, self.points_mm + step, _OUTSIDE)
            behind = sample(field, self.points_mm - step, _OUTSIDE)
            slope += ((ahead - behind) / (2.0 * half)) ** 2
        edge = np.maximum(np.sqrt(slope), 1e-6) * self.cell_mm
        inside = np.clip(0.5 + (level - value) / edge, 0.0, 1.0)
        return _share(self.target, inside), _share(self.either, inside)


def _share(weight: NDArray[np.float64], inside: NDArray[np.float64]) -> float:
    total = float(weight.sum())
    return 1.0 if total <= 0.0 else float(np.minimum(weight, inside).sum()) / total


def zone_ml(field: Volume, level: float) -> float:
    """Volume of the zone, ml, to a voxel's rounding at each point of its surface."""
    voxels = int(np.count_nonzero(field.array <= level))
    return voxels * field.grid.voxel_volume_mm3 / 1000.0


def least_harm(layouts: Sequence[Layout]) -> Layout:
    """The cheapest by the search's cost, which weighs healthy tissue, organs and paths."""
    return min(layouts, key=lambda k: (k.cost, k.healthy_ml))


@dataclass(frozen=True, eq=False)
class Confirmed:
    """A layout with the simulation that decides and what it gives."""

    layout: Layout
    result: AblationResult
    margin_mm: float
    target_share: float
    margin_share: float
    healthy_ml: float
    harm: float
    """As `Layout.harm`, on the fine grid."""

    @property
    def covered(self) -> bool:
        """All of the target and 99 % of it with its margin."""
        return self.target_share >= TARGET_COVERAGE and self.margin_share >= MARGIN_COVERAGE

    @property
    def shortfall(self) -> float:
        """As `Layout.shortfall`."""
        return TARGET_FACTOR * (1.0 - self.target_share) + 1.0 - self.margin_share
