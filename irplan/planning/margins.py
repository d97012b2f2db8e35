"""Margins of a zone round a target: signed, to a fraction of a voxel, with place and shells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import Placement
from irplan.errors import InputError
from irplan.geometry import Grid, Point3, as_point
from irplan.image import LabelMap, Volume
from irplan.planning.distance import bounding_box, capped_distance_mm, grown_box
from irplan.planning.evaluation import MarginSurface, ZoneReach
from irplan.planning.margin_directions import zone_reach
from irplan.planning.margin_smoothing import smooth_level
from irplan.planning.obstacles import organ_mask
from irplan.planning.surfaces import (
    Surface,
    SurfaceDistance,
    level_surface,
    sample,
)

#: Outer distances of the shells that are reported, mm (PMC8379110) [V].
SHELLS_MM = (3.0, 5.0, 6.0, 10.0)
#: Edges of the margin histogram, mm; the first and last bin take what lies beyond.
HISTOGRAM_EDGES_MM = np.arange(-10.0, 20.5, 1.0)
#: How far round the target the organ is looked at, mm.
ORGAN_REACH_MM = 16.0
_BODY_C = 37.0


@dataclass(frozen=True, eq=False)
class MarginReport:
    """Everything `PlanEvaluation` says about margins and coverage."""

    surface: MarginSurface
    minimal_mm: float
    minimal_at_mm: Point3
    minimal_all_mm: float
    minimal_all_at_mm: Point3
    target_coverage: float
    margin_coverage: float
    shell_coverage: Mapping[float, float]
    histogram_edges_mm: NDArray[np.float64]
    histogram_fraction: NDArray[np.float64]
    counted_fraction: float
    """Share (0..1) of the target's surface that the subcapsular rule leaves in the margin."""
    zone_exists: bool
    zone: Surface
    """The zone's surface."""
    reach: ZoneReach | None
    """Distance of the zone's surface to the target's; None where there is no zone."""


@dataclass(frozen=True, eq=False)
class TargetGeometry:
    """The target as a smooth surface with its organ; made once, measured against many zones.

    ``surface`` of the target, the zero of ``depth`` (about mm, positive inside); ``capsule_mm``
    (n,) distance of its points to the organ's outside (+inf where farther than is looked at or no
    organ is known); ``sites_mm`` (m, 3) LPS points of
    a 1 mm lattice round the target with, for each, ``outside_mm`` (distance to the target, 0
    inside), ``target_weight`` (0..1, share of the cell inside the target) and ``in_organ``.
    """

    surface: Surface
    depth: Volume
    capsule_mm: NDArray[np.float64]
    sites_mm: NDArray[np.float64]
    outside_mm: NDArray[np.float64]
    target_weight: NDArray[np.float64]
    in_organ: NDArray[np.bool_]
    cell_mm: float
    organ_name: str | None

    @classmethod
    def from_mask(
        cls,
        target: NDArray[np.bool_],
        labels: LabelMap,
        organ_name: str | None,
        *,
        reach_mm: float = 11.0,
        cell_mm: float = 1.0,
    ) -> TargetGeometry:
        """Build from a mask on the labels' grid; ``reach_mm`` must exceed the largest shell.

        Raises `InputError` for a mask too thin to have a surface (a single voxel, say).
        """
        grid = labels.grid
        depth = smooth_level(target, grid)
        surface = level_surface(-np.asarray(depth.array), depth.grid, 0.0)
        if not len(surface.points_mm):
            raise InputError(
                "target",
                got=f"{int(target.sum())} voxel(s), which have no surface on this grid",
                expected="a target that the image resolves: two voxels or more along each axis",
                remedy="Draw it on thinner slices, or give --target-point and --target-diameter.",
            )

        low = surface.points_mm.min(axis=0) - reach_mm
        high = surface.points_mm.max(axis=0) + reach_mm
        axes = [np.arange(a, b + cell_mm, cell_mm) for a, b in zip(low, high, strict=True)]
        sites = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        value = sample(depth, sites, -np.inf)
        distance = SurfaceDistance(surface).nearest(sites, exact=False)
        keep = (value > 0.0) | (distance <= reach_mm)
        sites, value, distance = sites[keep], value[keep], distance[keep]
        signed = np.where(value > 0.0, -distance, distance)
        # Distances to vertices are never zero; near the surface the field places the edge.
        close = (distance < 1.5 * cell_mm) & np.isfinite(value)
        slope = _slope_at(depth.array, depth.grid, sites[close])
        signed[close] = np.clip(-value[close] / slope, -2.0 * cell_mm, 2.0 * cell_mm)
        weight = np.clip(0.5 - signed / cell_mm, 0.0, 1.0)

        box = bounding_box(target)
        assert box is not None  # smooth_level has refused an empty mask
        capsule = np.full(len(surface.points_mm), np.inf)
        in_organ = np.ones(len(sites), dtype=bool)
        if organ_name is not None:
            around = grown_box(box, ORGAN_REACH_MM + 6.0, grid.spacing_mm, grid.shape)
            local = labels.crop([s.start for s in around], [s.stop - s.start for s in around])
            organ = organ_mask(local, target[around], organ_name)
            # The image's edge is no capsule: beyond it the organ is taken to go on.
            inside = Volume(organ.astype(np.float32), local.grid, "probability")
            in_organ = sample(inside, sites, 1.0) >= 0.5
            gap = capped_distance_mm(~organ, local.grid.spacing_mm, ORGAN_REACH_MM)
            half = 0.5 * float(np.mean(local.grid.spacing_mm))
            deep = Volume(np.minimum(gap, ORGAN_REACH_MM) - half, local.grid, "mm")
            capsule = sample(deep, surface.points_mm, ORGAN_REACH_MM)
            capsule[capsule > ORGAN_REACH_MM - 1.5] = np.inf
        return cls(
            surface,
            depth,
            capsule,
            sites,
            np.maximum(signed, 0.0),
            weight,
            in_organ,
            cell_mm,
            organ_name,
        )


def measure_margins(
    field: Volume,
    threshold: float,
    target: TargetGeometry,
    *,
    margin_goal_mm: float,
    subcapsular_mm: float,
    shells_mm: Sequence[float] = SHELLS_MM,
    probe_axes_mm: NDArray[np.float64] | None = None,
) -> MarginReport:
    """Margins of the zone ``field <= threshold`` round the target.

    Parameters
    ----------
    field : smooth, e.g. `CryoResult.lethal_temperature`; it need not share the target's grid.
    target : the target's geometry.
    margin_goal_mm : goal that `margin_coverage` refers to, mm.
    subcapsular_mm : target surface within this distance of the capsule is not counted.
    probe_axes_mm : (k, 2, 3) ends of the active zones: where no tissue reaches the threshold the
        zone has shrunk to these lines, and the margin is minus the distance to them.

    A shell or margin outside the organ is not counted.  The margin at a point is the distance to
    the zone's surface, positive inside the zone (as the surface-to-surface distance of QAM).
    """
    points = target.surface.points_mm
    zone = level_surface(np.asarray(field.array), field.grid, threshold)
    margin, exists = _signed_margins(field, threshold, zone, points, probe_axes_mm)
    counted = counted_points(target, subcapsular_mm)
    best = np.where(counted, margin, np.inf)
    low, low_all = int(np.argmin(best)), int(np.argmin(margin))

    value = sample(field, target.sites_mm, _BODY_C)
    slope = np.maximum(_slope_at(field.array, field.grid, target.sites_mm), 1e-6)
    in_zone = np.clip(0.5 + (threshold - value) / (slope * target.cell_mm), 0.0, 1.0)
    weight = target.target_weight
    coverage = _share(weight, in_zone)
    shells = {}
    for shell in shells_mm:
        to_edge = np.maximum(_within(target, shell), weight)
        # Edges that share a cell are taken as parallel: the overlap is the smaller share.
        total = float((to_edge - weight)[target.in_organ].sum())
        both = np.minimum(to_edge, in_zone) - np.minimum(weight, in_zone)
        covered = float(both[target.in_organ].sum())
        shells[float(shell)] = covered / total if total > 0.0 else 1.0
    goal = np.where(target.in_organ, _within(target, margin_goal_mm), 0.0)
    whole = np.maximum(weight, goal)

    area = target.surface.area_mm2
    bins = np.clip(margin, HISTOGRAM_EDGES_MM[0], HISTOGRAM_EDGES_MM[-1])
    histogram, _ = np.histogram(bins, HISTOGRAM_EDGES_MM, weights=area)
    return MarginReport(
        MarginSurface(points, target.surface.normals, area, margin, counted),
        float(margin[low]),
        as_point(points[low], field="margin"),
        float(margin[low_all]),
        as_point(points[low_all], field="margin"),
        coverage,
        _share(whole, in_zone),
        shells,
        HISTOGRAM_EDGES_MM.copy(),
        histogram / histogram.sum(),
        float(area[target.capsule_mm >= subcapsular_mm].sum() / area.sum()),
        exists,
        zone,
        zone_reach(zone, target.surface, sample(target.depth, zone.points_mm, -1.0) > 0.0),
    )


def counted_points(target: TargetGeometry, subcapsular_mm: float) -> NDArray[np.bool_]:
    """(n,) surface points that the subcapsular rule leaves in; all where it would leave none."""
    counted = target.capsule_mm >= subcapsular_mm
    out: NDArray[np.bool_] = counted if counted.any() else np.ones(len(counted), dtype=bool)
    return out


def surface_margins(
    field: Volume,
    threshold: float,
    points_mm: NDArray[np.float64],
    placements: Sequence[Placement],
) -> NDArray[np.float64]:
    """(n,) signed margin in mm at points (n, 3) of the target's surface, nothing else."""
    axes = np.array([p.active_segment for p in placements])
    zone = level_surface(np.asarray(field.array), field.grid, threshold)
    return _signed_margins(field, threshold, zone, points_mm, axes)[0]


def _signed_margins(
    field: Volume,
    threshold: float,
    zone: Surface,
    points: NDArray[np.float64],
    probe_axes_mm: NDArray[np.float64] | None,
) -> tuple[NDArray[np.float64], bool]:
    if len(zone.points_mm):
        inside = sample(field, points, _BODY_C) <= threshold
        distance = SurfaceDistance(zone).nearest(points)
        return np.where(inside, distance, -distance), True
    if probe_axes_mm is not None and len(probe_axes_mm):
        return -_to_segments(points, probe_axes_mm), False
    return np.full(len(points), -float(np.ptp(points, axis=0).max())), False


def _within(target: TargetGeometry, distance_mm: float) -> NDArray[np.float64]:
    """Share of each cell that lies within ``distance_mm`` of the target (or inside it)."""
    if distance_mm <= 0.0:
        return target.target_weight
    out: NDArray[np.float64] = np.clip(
        0.5 + (distance_mm - target.outside_mm) / target.cell_mm, 0.0, 1.0
    )
    return out


def _share(weight: NDArray[np.float64], covered: NDArray[np.float64]) -> float:
    """Covered share of a weighted set; 1 for an empty one (nothing to cover)."""
    total = float(weight.sum())
    return 1.0 if total <= 0.0 else float(np.minimum(weight, covered).sum()) / total


def _slope_at(
    array: NDArray[np.floating], grid: Grid, points_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n,) size of the gradient per mm at LPS points, by central differences of one voxel."""
    from scipy.ndimage import map_coordinates

    index = grid.lps_to_index(points_mm)
    total = np.zeros(len(index))
    for axis, spacing in enumerate(grid.spacing_mm):
        step = np.zeros(3)
        step[axis] = 0.5
        ahead = map_coordinates(array, (index + step).T, order=1, mode="nearest", output=float)
        behind = map_coordinates(array, (index - step).T, order=1, mode="nearest", output=float)
        total += ((ahead - behind) / spacing) ** 2
    return np.maximum(np.sqrt(total), 1e-6)


def _to_segments(points: NDArray[np.float64], segments: NDArray[np.float64]) -> NDArray[np.float64]:
    best = np.full(len(points), np.inf)
    for a, b in segments:
        way, length = b - a, max(1e-9, float(np.linalg.norm(b - a)))
        along = np.clip((points - a) @ way / length**2, 0.0, 1.0)
        best = np.minimum(best, np.linalg.norm(points - a - along[:, None] * way, axis=1))
    return best
