"""Distances between the surfaces of two masks: by SLIVER07's voxels, or to a part of a voxel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from irplan.errors import InputError
from irplan.geometry import Grid
from irplan.segmentation.morphology import Mask, box_of, distance_mm
from irplan.segmentation.overlap import empty_mask, require_comparable

DistanceMethod = Literal["voxels", "sliver07", "surface"]

#: Blur that hides the steps of a mask, voxels along each axis: aliasing of a plane then moves it
#: by exp(-2 pi^2) of a voxel, and the pull of curvature, sigma^2 / R, is 0.05 mm at R = 20 mm.
_BLUR_VOXELS = 1.0
#: The blurred occupancy of a voxel inside stays above a half by this (outside: below), so that
#: no part of a mask, however thin, is lost and no gap is closed.
_KEEP = 0.05
#: Which neighbours make a border voxel.
_NEIGHBOURS = {
    "voxels": ndi.generate_binary_structure(3, 1),
    "sliver07": ndi.generate_binary_structure(3, 3),
}
#: Vertices nearest to a point whose triangles are tried.
_CANDIDATES = 4


@dataclass(frozen=True)
class SurfaceDistances:
    """Symmetric distances between two surfaces, mm: average, root mean square, largest, 95 %."""

    average_mm: float
    rms_mm: float
    largest_mm: float
    hd95_mm: float


def surface_distances(
    a: NDArray[np.bool_],
    b: NDArray[np.bool_],
    grid: Grid,
    *,
    method: DistanceMethod = "voxels",
) -> SurfaceDistances:
    """Distances from each point of one mask's surface to the nearest of the other's, both ways.

    ``average`` (ASD), ``rms`` (RMSD) and ``largest`` (MSD, Hausdorff) are over both directions
    pooled; ``hd95`` is the larger of the two directed 95th percentiles.

    Parameters
    ----------
    a, b : bool (slice, row, column), each with a voxel set; the order does not matter.
    grid : their grid; voxels of any shape.
    method : ``"voxels"``: between the centres of border voxels (one of 6 face neighbours is
        outside the mask; the array's end is outside), each counted once; exact for equal masks.
        ``"sliver07"``: the same with 26 neighbours, as SLIVER07 measured [1]_ and most published
        liver figures do.  Its border is two voxels thick on slopes, which takes up to half a
        slice spacing off: balls of 22 and 25 mm at 2.5 x 0.8 x 0.8 mm, 3.00 mm apart on average,
        come out as 2.43 mm.
        ``"surface"``: between triangle surfaces through the half-way level of the blurred masks,
        weighted by area, to a part of a voxel: concentric and eccentric balls of 22 and 25 mm
        come out within 0.05 mm (voxels up to 2.5 x 0.8 x 0.8 mm) and 0.3 mm (5 mm slices).

    Raises `InputError` if a mask is empty or not bool, `GridMismatchError` for other shapes.
    Cost of a liver of 512 x 512 x 130: about 2 s by voxels, 3 s by surface.  Known failure of
    ``"surface"``: structures thinner than two voxels come out up to 0.4 voxel too thin.

    .. [1] Heimann et al., IEEE TMI 28 (2009) 1251; border voxels as on the challenge's page of
       evaluation measures (grand-challenge2007, mbi.dkfz-heidelberg.de).
    """
    require_comparable(a, b, grid)
    for mask, name in ((a, "the first mask"), (b, "the second mask")):
        if not mask.any():
            raise empty_mask(name)
    if method == "surface":
        return _between_surfaces(a, b, grid)
    if method in _NEIGHBOURS:
        return _between_voxels(a, b, grid, _NEIGHBOURS[method])
    raise InputError(
        "method",
        got=repr(method),
        expected="'voxels', 'sliver07' or 'surface'",
        remedy="Use 'sliver07' to compare with published figures, 'surface' for true distances.",
    )


def _between_voxels(a: Mask, b: Mask, grid: Grid, neighbours: Mask) -> SurfaceDistances:
    part = box_of(a | b)
    first, second = (m[part] & ~ndi.binary_erosion(m[part], neighbours) for m in (a, b))
    to_second = distance_mm(second, grid.spacing_mm)[first].astype(np.float64)
    to_first = distance_mm(first, grid.spacing_mm)[second].astype(np.float64)
    return _summary(to_second, np.ones_like(to_second), to_first, np.ones_like(to_first))


def _between_surfaces(a: Mask, b: Mask, grid: Grid) -> SurfaceDistances:
    first, second = _Mesh(a, grid.spacing_mm), _Mesh(b, grid.spacing_mm)
    return _summary(
        second.distance(first.vertices), first.area, first.distance(second.vertices), second.area
    )


def _summary(
    there: NDArray[np.float64],
    there_weight: NDArray[np.float64],
    back: NDArray[np.float64],
    back_weight: NDArray[np.float64],
) -> SurfaceDistances:
    # Directed sums are added last, so that swapping the masks changes no bit.
    total = float(there_weight.sum()) + float(back_weight.sum())
    mean = float(there @ there_weight) + float(back @ back_weight)
    square = float(there**2 @ there_weight) + float(back**2 @ back_weight)
    return SurfaceDistances(
        mean / total,
        float(np.sqrt(square / total)),
        max(float(there.max()), float(back.max())),
        max(_percentile(there, there_weight), _percentile(back, back_weight)),
    )


def _percentile(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """The least value that 95 % of the weight does not exceed."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    at = int(np.searchsorted(reached, 0.95 * reached[-1]))
    return float(values[order[min(at, len(order) - 1)]])


class _Mesh:
    """A closed triangle surface of a mask, mm along the grid's own axes."""

    def __init__(self, mask: Mask, spacing_mm: tuple[float, float, float]) -> None:
        from scipy.spatial import cKDTree
        from skimage.measure import marching_cubes

        part = box_of(mask)
        inside = np.pad(mask[part], 2)
        soft = ndi.gaussian_filter(inside.astype(np.float32), _BLUR_VOXELS, truncate=3.0)
        held = np.where(inside, np.maximum(soft, 0.5 + _KEEP), np.minimum(soft, 0.5 - _KEEP))
        corners, triangles, _, _ = marching_cubes(held.astype(np.float32), 0.5)
        start = np.array([s.start - 2 for s in part])
        self.vertices: NDArray[np.float64] = (corners.astype(np.float64) + start) * spacing_mm
        self.triangles: NDArray[np.int64] = np.ascontiguousarray(triangles, dtype=np.int64)
        edges = [self.vertices[self.triangles[:, n]] for n in range(3)]
        areas = 0.5 * np.linalg.norm(np.cross(edges[1] - edges[0], edges[2] - edges[0]), axis=1)
        flat = self.triangles.reshape(-1)
        count = len(self.vertices)
        weights = np.repeat(areas / 3.0, 3)
        self.area = np.bincount(flat, weights, count).astype(np.float64)
        self._around = np.argsort(flat, kind="stable").astype(np.int64) // 3
        ends = np.cumsum(np.bincount(flat, minlength=count))
        self._start: NDArray[np.int64] = np.concatenate([[0], ends]).astype(np.int64)
        self._tree = cKDTree(self.vertices)

    def distance(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance of each point (n, 3) to the surface, mm."""
        from irplan.compute.cpu.mesh_distance import distance_near

        k = min(_CANDIDATES, len(self.vertices))
        _, near = self._tree.query(points, k=k, workers=-1)
        out = np.empty(len(points))
        distance_near(
            np.ascontiguousarray(points),
            np.ascontiguousarray(near, dtype=np.int64),
            self.vertices,
            self.triangles,
            self._start,
            self._around,
            out,
        )
        return out
