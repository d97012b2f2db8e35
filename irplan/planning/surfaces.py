"""Surfaces to a fraction of a voxel, and signed distances to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.compute.threads import turn
from irplan.geometry import Grid
from irplan.image import Volume
from irplan.planning.distance import bounding_box, grown_box
from irplan.planning.margin_smoothing import smooth_level


@dataclass(frozen=True, eq=False)
class Surface:
    """A closed triangle surface in LPS mm.

    ``points_mm`` (n, 3), ``triangles`` (m, 3) into it, ``normals`` (n, 3) outward, ``area_mm2``
    (n,) a third of the triangles round each point.  Empty when n = 0.
    """

    points_mm: NDArray[np.float64]
    triangles: NDArray[np.int64]
    normals: NDArray[np.float64]
    area_mm2: NDArray[np.float64]


def level_surface(field: NDArray[np.floating], grid: Grid, level: float) -> Surface:
    """The surface where a smooth ``field`` (slice, row, column) falls to ``level``.

    "Inside" is where the field is *below* the level.  Marching cubes (Lorensen and Cline 1987,
    Lewiner's tables) with linear interpolation along the voxel edges: for a temperature field of
    curvature c the error is of the order c h^2 / 8, a few hundredths of a mm at 1 mm.
    """
    inside = field <= level
    box = bounding_box(inside)
    if box is None or inside.all():
        return Surface(
            *(np.empty((0, 3)), np.empty((0, 3), np.int64), np.empty((0, 3)), np.empty(0))
        )
    part = grown_box(box, 2.0, (1.0, 1.0, 1.0), field.shape)
    # A layer of "outside" round the box closes surfaces that the grid cuts off.
    outside = float(max(field[part].max(), level + 1.0))
    cut = np.pad(field[part].astype(np.float32), 1, constant_values=np.float32(outside))
    from skimage.measure import marching_cubes

    verts, faces, _, _ = marching_cubes(cut, level, allow_degenerate=False)
    start = np.array([s.start for s in part]) - 1
    points = grid.index_to_lps(verts + start)
    return _with_normals(points, faces.astype(np.int64))


def mask_surface(mask: NDArray[np.bool_], grid: Grid) -> Surface:
    """Smooth surface of a binary mask, LPS mm: the zero of `margin_smoothing.smooth_level`."""
    field = smooth_level(mask, grid)
    return level_surface(-np.asarray(field.array), field.grid, 0.0)


def _with_normals(points: NDArray[np.float64], faces: NDArray[np.int64]) -> Surface:
    a, b, c = (points[faces[:, k]] for k in range(3))
    cross = np.cross(b - a, c - a)
    # Orientation of a closed surface: its signed volume is positive when normals point outward.
    origin = points.mean(axis=0)
    if float(np.einsum("ij,ij->i", a - origin, cross).sum()) < 0.0:
        faces = faces[:, ::-1].copy()
        cross = -cross
    area = 0.5 * np.linalg.norm(cross, axis=1)
    flat, n = faces.T.reshape(-1), len(points)
    summed = [np.bincount(flat, np.tile(cross[:, k], 3), n) for k in range(3)]
    normals = np.stack(summed, axis=1)
    share = np.bincount(flat, np.tile(area / 3.0, 3), n)
    size = np.maximum(np.linalg.norm(normals, axis=1), 1e-12)
    return Surface(points, faces, normals / size[:, None], np.asarray(share, np.float64))


class SurfaceDistance:
    """Distance of points to a triangle surface: nearest vertices first, then their triangles.

    Exact when the nearest triangle touches one of the three nearest vertices, which holds for the
    evenly meshed surfaces of marching cubes.
    """

    def __init__(self, surface: Surface) -> None:
        from scipy.spatial import cKDTree

        self.surface = surface
        self._tree = cKDTree(surface.points_mm)
        flat = surface.triangles.reshape(-1)
        count = np.bincount(flat, minlength=len(surface.points_mm))
        self._start = np.concatenate([[0], np.cumsum(count)])
        self._around = np.argsort(flat, kind="stable") // 3

    def nearest(
        self, points_mm: NDArray[np.float64], *, exact: bool = True, most_mm: float = np.inf
    ) -> NDArray[np.float64]:
        """(n,) unsigned distance in mm of (n, 3) LPS points to the surface.

        ``exact=False`` gives the distance to the nearest vertex: never too small, and too large by
        about (edge length)^2 / (4 distance), +inf beyond ``most_mm``.
        """
        if not exact:
            gaps = self._tree.query(points_mm, distance_upper_bound=most_mm)[0]
            return np.asarray(gaps, dtype=np.float64)
        from irplan.compute.cpu import mesh_distance

        points = np.ascontiguousarray(points_mm, dtype=np.float64)
        near = np.asarray(self._tree.query(points, k=3)[1], dtype=np.int64)
        out = np.empty(len(points))
        surface = self.surface
        with turn():
            mesh_distance.distance_near(
                points, near, surface.points_mm, surface.triangles, self._start, self._around, out
            )
        return out


def sample(volume: Volume, points_mm: NDArray[np.float64], outside: float) -> NDArray[np.float64]:
    """Trilinear values of ``volume`` at (n, 3) LPS points; ``outside`` beyond its voxels."""
    from scipy.ndimage import map_coordinates

    index = volume.grid.lps_to_index(points_mm).T
    values = map_coordinates(
        volume.array, index, order=1, mode="constant", cval=outside, output=np.float64
    )
    # Half a voxel at the rim is inside the grid but beyond the outermost centres.
    out: NDArray[np.float64] = values
    return out
