"""The organs that ice (or heat) should spare, near a target: where harm is looked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from irplan.image import Volume
from irplan.planning.clearance import ClearanceMeter
from irplan.planning.obstacles import ObstacleRaster
from irplan.planning.surfaces import sample

#: Organs are looked at within this distance of the target's surface, and harm this far before them:
#: blood keeps a heart's own voxels warm whatever lies against it, mm.
REACH_MM, BEFORE_MM = 25.0, 1.5
#: A search looks at one point a cell of this edge, mm, and at no more than this number.
STEP_MM, MOST_POINTS = 3.0, 600
#: Groups that may freeze: bone, and vessels (blood keeps them open).
_MAY_FREEZE = ("bone", "vessel")


def spared_surfaces(raster: ObstacleRaster, meter: ClearanceMeter) -> NDArray[np.float64]:
    """(n, 3) boundary voxels of the organs to be spared, and the skin, LPS mm."""
    spare = [n for n, o in enumerate(raster.obstacles) if o.name not in _MAY_FREEZE]
    index = meter.points_mm[np.isin(meter.group, spare)] / np.asarray(meter.grid.spacing_mm)
    return np.concatenate([meter.grid.index_to_lps(index), raster.entries_mm])


@dataclass(frozen=True, eq=False)
class SparedOrgans:
    """``points_mm`` (n, 3): LPS points just before the organs, the nearest to the target first.

    ``gap_mm``: distance of the nearest organ from the target's surface; inf where none is near.
    """

    points_mm: NDArray[np.float64]
    gap_mm: float

    @classmethod
    def of(cls, surfaces_mm: NDArray[np.float64], target_mm: NDArray[np.float64]) -> SparedOrgans:
        """From points on organs (n, 3) and on the target's surface (m, 3)."""
        found = cKDTree(target_mm).query(surfaces_mm, distance_upper_bound=REACH_MM)
        gap, nearest = (np.asarray(f) for f in found)
        order = np.argsort(gap, kind="stable")
        order = order[np.isfinite(gap[order])]
        way = target_mm[nearest[order]] - surfaces_mm[order]
        step = BEFORE_MM / np.maximum(gap[order], BEFORE_MM)
        points = surfaces_mm[order] + step[:, None] * way
        return cls(points, float(gap[order[0]]) if len(order) else np.inf)

    def harm(self, effect: Volume, harmful: float) -> float:
        """Largest ``effect`` at the points as a share of what is ``harmful``."""
        if not len(self.points_mm):
            return 0.0
        return float(sample(effect, self.points_mm, 0.0).max()) / harmful

    def search_points(self) -> NDArray[np.float64]:
        """(k, 3) the points nearest to the target, one a cell."""
        cells = np.floor(self.points_mm / STEP_MM)
        _, first = np.unique(cells, axis=0, return_index=True)
        return self.points_mm[np.sort(first)[:MOST_POINTS]]
