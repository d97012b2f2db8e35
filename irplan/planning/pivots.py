"""Where the middle of an active zone may lie, and the admissible needle that brings it there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import Applicator
from irplan.geometry import Needle, as_point
from irplan.planning.checks import check_paths, skin_above
from irplan.planning.margins import TargetGeometry
from irplan.planning.obstacles import ObstacleRaster

#: Step of the lattice of pivots, mm.
STEP_MM = 1.5
#: Tilts of a needle against the common direction that are tried, degrees.
TILTS_DEG = (0.0, 4.0, 8.0, 12.0)
#: No further tilts are tried once this share of the pivots has a path.
ENOUGH = 0.6
#: Tissue between the skin and the proximal end of the active zone at least, mm.
COVER_MM = 5.0


@dataclass(frozen=True, eq=False)
class PivotField:
    """Lattice of pivots (middles of active zones) near the target with an admissible path each.

    ``axes`` (3, 3): rows are the lattice's unit vectors, the last along ``direction`` (entry to
    tip).  ``number`` (a, b, c) gives the row of ``points_mm`` etc. or -1; rows hold only pivots
    with an admissible path: ``unit`` (n, 3) its direction, ``entry_mm`` (n, 3), ``soft`` (n,) its
    largest soft deficit 0..1.
    """

    applicator: Applicator
    axes: NDArray[np.float64]
    origin_mm: NDArray[np.float64]
    number: NDArray[np.int64]
    index: NDArray[np.int64]
    points_mm: NDArray[np.float64]
    unit: NDArray[np.float64]
    entry_mm: NDArray[np.float64]
    soft: NDArray[np.float64]

    def needle(self, row: int) -> Needle:
        """The needle of a pivot, entry as on the raster."""
        reach = self.applicator.active_length_mm / 2.0 + self.applicator.tip_offset_mm
        tip = self.points_mm[row] + reach * self.unit[row]
        return Needle(as_point(tip, field="tip"), as_point(self.entry_mm[row], field="entry"))


def pivot_field(
    raster: ObstacleRaster,
    target: TargetGeometry,
    applicator: Applicator,
    direction: NDArray[np.float64],
    *,
    others: Sequence[NDArray[np.float64]] = (),
    parallel: bool = False,
) -> PivotField:
    """Try every lattice pivot with the common direction, then with growing tilts against it.

    A pivot lies in the target or within the rule's distance of its edge.  The first tilt with an
    admissible path is taken, at equal tilt the one with the smallest soft deficit.  Pivots that no
    tilt reaches take one of the ``others``, directions of their own.  ``parallel``: the common
    direction alone.
    """
    axes = frame_of(direction)
    origin, points, index, shape = _lattice(raster, target, axes)
    n = len(points)
    unit = np.zeros((n, 3))
    entry = np.full((n, 3), np.nan)
    soft = np.full(n, np.inf)
    done = np.zeros(n, dtype=bool)
    reach = applicator.active_length_mm / 2.0 + applicator.tip_offset_mm
    longest = min(raster.rules.max_length.value, applicator.max_insertion_mm)
    groups = [(_cone(axes, tilt), ENOUGH) for tilt in (TILTS_DEG[:1] if parallel else TILTS_DEG)]
    groups += [([o], 1.0) for o in others if not parallel]
    for ways, enough in groups:
        todo = np.flatnonzero(~done)
        if len(todo) <= (1.0 - enough) * n:
            continue
        found = np.zeros(len(todo), dtype=bool)
        for way in ways:
            p = points[todo]
            d = np.broadcast_to(way, p.shape)
            skin = skin_above(raster, p, d)
            depth = np.linalg.norm(p - skin, axis=1)
            # NaN depths (no skin found) fail both comparisons.
            fits = (depth + reach <= longest) & (
                depth - applicator.active_length_mm / 2.0 >= COVER_MM
            )
            rows = np.flatnonzero(fits)
            if not len(rows):
                continue
            checks = check_paths(raster, skin[rows], p[rows] + reach * d[rows])
            good = rows[checks.admissible]
            deficit = checks.soft[checks.admissible]
            better = deficit < soft[todo[good]]
            at = todo[good[better]]
            unit[at], entry[at], soft[at] = way, skin[good[better]], deficit[better]
            found[good] = True
        done[todo[found]] = True
    number = np.full(shape, -1, dtype=np.int64)
    keep = np.flatnonzero(done)
    number[tuple(index[keep].T)] = np.arange(len(keep))
    return PivotField(
        applicator, axes, origin, number, index[keep], points[keep], unit[keep], entry[keep],
        soft[keep],
    )  # fmt: skip


def frame_of(direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3) right-handed orthonormal rows, the last along ``direction``."""
    d = direction / np.linalg.norm(direction)
    helper = np.eye(3)[int(np.argmin(np.abs(d)))]
    u = np.cross(helper, d)
    u /= np.linalg.norm(u)
    return np.stack([u, np.cross(d, u), d])


def _lattice(
    raster: ObstacleRaster, target: TargetGeometry, axes: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], tuple[int, int, int]]:
    from scipy.spatial import cKDTree

    limit = min(raster.rules.max_edge_distance.value, float(target.outside_mm.max()))
    sites = target.sites_mm[target.outside_mm <= limit]
    along = (sites - sites.mean(axis=0)) @ axes.T
    low, high = along.min(axis=0), along.max(axis=0)
    # Bound the number of pivots for very large targets; the step grows with the target.
    step = max(STEP_MM, float(np.cbrt(np.prod(high - low) / MOST_PIVOTS)))
    shape = np.maximum(1, np.ceil((high - low) / step).astype(int) + 1)
    index = np.stack(np.meshgrid(*[np.arange(k) for k in shape], indexing="ij"), axis=-1)
    index = index.reshape(-1, 3)
    origin = sites.mean(axis=0) + low @ axes
    points = origin + (index * step) @ axes
    near = cKDTree(sites).query(points, distance_upper_bound=0.9 * target.cell_mm)[0] < np.inf
    return origin, points[near], index[near], (int(shape[0]), int(shape[1]), int(shape[2]))


#: Lattice points in the target's box at most (before the edge rule takes its corners away).
MOST_PIVOTS = 16_000


def _cone(axes: NDArray[np.float64], tilt_deg: float) -> list[NDArray[np.float64]]:
    if tilt_deg == 0.0:
        return [axes[2]]
    tilt = np.radians(tilt_deg)
    turn = np.radians(np.arange(0.0, 360.0, 60.0))
    return [
        np.cos(tilt) * axes[2] + np.sin(tilt) * (np.cos(a) * axes[0] + np.sin(a) * axes[1])
        for a in turn
    ]
