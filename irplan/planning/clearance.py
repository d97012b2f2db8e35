"""Distance of needles to every obstacle, measured on the original labels, not on the raster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.compute.parts import in_parts
from irplan.errors import InputError
from irplan.geometry import Grid, Needle, Point3, as_point
from irplan.image import LabelMap
from irplan.planning.obstacles import ObstacleRaster
from irplan.planning.paths import NeedleError
from irplan.planning.rules import Obstacle


@dataclass(frozen=True, eq=False)
class Clearance:
    """Clearances of one needle: obstacle name -> mm (axis to the structure's voxels), and where.

    ``swept_mm``: what is left where the needle is off its path by its error, below 0 where it could
    lie in the structure.  Obstacles that were looked for and not found have +inf and no place.
    """

    distance_mm: dict[str, float]
    at_mm: dict[str, Point3]
    swept_mm: dict[str, float]


@dataclass(frozen=True, eq=False)
class ClearanceMeter:
    """The boundary voxels of all obstacles, ready to be measured against needles.

    The distance is to the voxels' boxes, taken from below (error at most the difference between
    a box and its half-width along the line, < half a voxel), so a rule that is met here is met.
    """

    points_mm: NDArray[np.float32]
    group: NDArray[np.uint8]
    grid: Grid
    labels: LabelMap
    obstacles: tuple[Obstacle, ...]

    @classmethod
    def from_raster(cls, raster: ObstacleRaster) -> ClearanceMeter:
        """Collect the boundary voxels of the raster's obstacles from its labels."""
        from irplan.compute.cpu import surface

        labels = raster.labels
        lut = np.full(256, 255, dtype=np.uint8)
        for number, obstacle in enumerate(raster.obstacles):
            for name in obstacle.structures:
                if labels.checked(name):
                    lut[labels.label(name).value] = number
        counts = np.zeros(labels.array.shape[0], dtype=np.int64)
        in_parts(len(counts), lambda a, b: surface.count_surface(labels.array, lut, a, b, counts))
        starts = np.concatenate([[0], np.cumsum(counts)])
        points = np.empty((int(starts[-1]), 3), dtype=np.float32)
        group = np.empty(len(points), dtype=np.uint8)
        spacing = np.array(labels.grid.spacing_mm)
        in_parts(
            len(counts),
            lambda a, b: surface.list_surface(
                labels.array, lut, a, b, starts, spacing, points, group
            ),
        )
        return cls(points, group, labels.grid, labels, raster.obstacles)

    def measure(self, needles: list[Needle], error: NeedleError | None = None) -> list[Clearance]:
        """Clearances of each needle; ``error`` is how far off it may be (default `NeedleError`)."""
        from irplan.compute.cpu import rays

        error = NeedleError() if error is None else error
        spacing = np.asarray(self.grid.spacing_mm)
        entry = self.grid.lps_to_index([n.entry_mm for n in needles]).reshape(-1, 3) * spacing
        tip = self.grid.lps_to_index([n.tip_mm for n in needles]).reshape(-1, 3) * spacing
        shape = (len(needles), len(self.obstacles))
        distance, swept = np.full(shape, np.inf), np.full(shape, np.inf)
        index = np.full(shape, -1, dtype=np.int64)
        half = (spacing / 2.0).astype(np.float32)
        in_parts(
            len(needles),
            lambda a, b: rays.nearest_to_segments(
                self.points_mm, self.group, half, entry[a:b], tip[a:b], error.tip_mm, error.slope,
                distance[a:b], index[a:b], swept[a:b],
            ),
        )  # fmt: skip
        out = []
        names = [o.name for o in self.obstacles]
        for row, where, room in zip(distance, index, swept, strict=True):
            at = {
                o.name: self._lps(int(i))
                for o, i in zip(self.obstacles, where, strict=True)
                if i >= 0
            }
            out.append(
                Clearance(
                    dict(zip(names, row.tolist(), strict=True)),
                    at,
                    dict(zip(names, room.tolist(), strict=True)),
                )
            )
        return out

    def _lps(self, number: int) -> Point3:
        index = self.points_mm[number].astype(np.float64) / np.asarray(self.grid.spacing_mm)
        return as_point(self.grid.index_to_lps(index), field="clearance")

    def entry_on_skin(self, needle: Needle, reach_mm: float = 6.0) -> Needle:
        """The needle with its entry moved along its axis to where the body's labels begin.

        Steps of 0.25 mm from ``reach_mm`` outside the given entry inwards; the first point of
        which the voxel is inside the body is the entry.  Raises `InputError` if there is none.
        """
        start = np.array(needle.entry_mm)
        offsets = np.arange(-reach_mm, reach_mm + 1e-9, 0.25)
        points = start + offsets[:, None] * needle.direction
        inside = inside_body(self.labels, points)
        # The outermost air seen from the needle: the last sample outside before it stays inside.
        air = np.flatnonzero(~inside)
        first = 0 if air.size == 0 else int(air[-1]) + 1
        if first >= len(offsets):
            raise InputError(
                "needle.entry_mm",
                got=f"no skin within {reach_mm:g} mm of the entry",
                expected="an entry point on the skin",
                remedy="Choose the entry on the body's surface.",
            )
        return Needle(needle.tip_mm, as_point(points[first], field="entry"))


def inside_body(labels: LabelMap, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(n,) True where the nearest voxel of LPS ``points`` (n, 3) is labelled (not outside)."""
    index = np.rint(labels.grid.lps_to_index(points)).astype(np.int64)
    fits = np.all((index >= 0) & (index < labels.grid.shape), axis=1)
    out = np.zeros(len(index), dtype=bool)
    i = index[fits]
    out[fits] = labels.array[i[:, 0], i[:, 1], i[:, 2]] != 0
    return out
