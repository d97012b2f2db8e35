"""Distance of needles to every obstacle, measured on the original labels, not on the raster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError
from irplan.geometry import Grid, Needle, Point3, as_point
from irplan.image import LabelMap
from irplan.planning.obstacles import ObstacleRaster
from irplan.planning.rules import Obstacle


@dataclass(frozen=True, eq=False)
class Clearance:
    """Clearances of one needle: obstacle name -> mm (axis to the structure's voxels), and where.

    Obstacles that were looked for and not found have +inf and no place.
    """

    distance_mm: dict[str, float]
    at_mm: dict[str, Point3]


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
        labels = raster.labels
        lut = np.full(256, 255, dtype=np.uint8)
        for number, obstacle in enumerate(raster.obstacles):
            for name in obstacle.structures:
                if labels.checked(name):
                    lut[labels.label(name).value] = number
        codes = lut[labels.array]
        edge = np.zeros(codes.shape, dtype=bool)
        for axis in range(3):
            a = np.moveaxis(codes, axis, 0)
            e = np.moveaxis(edge, axis, 0)
            change = a[1:] != a[:-1]
            e[1:] |= change
            e[:-1] |= change
            e[0] = True  # an obstacle cut by the image's end has its boundary there
            e[-1] = True
        edge &= codes != 255
        index = np.argwhere(edge)
        points = (index * np.asarray(labels.grid.spacing_mm)).astype(np.float32)
        return cls(points, codes[edge], labels.grid, labels, raster.obstacles)

    def measure(self, needles: list[Needle]) -> list[Clearance]:
        """Clearances of each needle."""
        from irplan.compute.cpu import rays

        spacing = np.asarray(self.grid.spacing_mm)
        entry = self.grid.lps_to_index([n.entry_mm for n in needles]).reshape(-1, 3) * spacing
        tip = self.grid.lps_to_index([n.tip_mm for n in needles]).reshape(-1, 3) * spacing
        shape = (len(needles), len(self.obstacles))
        distance = np.full(shape, np.inf)
        index = np.full(shape, -1, dtype=np.int64)
        half = (spacing / 2.0).astype(np.float32)
        rays.nearest_to_segments(self.points_mm, self.group, half, entry, tip, distance, index)
        out = []
        for row, where in zip(distance, index, strict=True):
            at = {
                o.name: self._lps(int(i))
                for o, i in zip(self.obstacles, where, strict=True)
                if i >= 0
            }
            names = [o.name for o in self.obstacles]
            out.append(Clearance(dict(zip(names, row.tolist(), strict=True)), at))
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
