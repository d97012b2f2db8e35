"""How far the ice stays from organs: signed distance of the 0 degC surface to each structure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.geometry import Point3, as_point
from irplan.image import LabelMap, Volume
from irplan.planning.surfaces import SurfaceDistance, level_surface, sample

#: Beyond this distance of the ice nothing is measured; a structure is then "at least" this far, mm.
LOOK_MM = 30.0
#: One in so many points bounds the smallest distance.
SAMPLED = 16
#: Name under which the distance to the outside of the body is reported.
SKIN = "skin"


@dataclass(frozen=True)
class IceDistance:
    """Distance of the ice's edge to one structure, mm.

    Negative: the ice reaches that deep into it.  ``at_mm`` is the structure's point concerned;
    None when the structure is farther than 30 mm (``distance_mm`` is then 30).
    """

    distance_mm: float
    at_mm: Point3 | None


def ice_distances(
    coldest_c: Volume, labels: LabelMap, structures: tuple[str, ...], *, edge_c: float = 0.0
) -> dict[str, IceDistance]:
    """Distance of the ``edge_c`` surface of ``coldest_c`` to each structure that was looked for.

    Distances are to the structures' voxels, half a voxel taken off.  `SKIN` stands for everything
    outside the body (label 0).  Structures that were not looked for are left out.  An empty
    mapping comes back when nothing froze.
    """
    ice = level_surface(np.asarray(coldest_c.array), coldest_c.grid, edge_c)
    if not len(ice.points_mm):
        return {}
    grid = labels.grid
    local = labels.crop(*grid.box_around(ice.points_mm, LOOK_MM))
    meter = SurfaceDistance(ice)
    half = 0.5 * float(np.mean(grid.spacing_mm))
    out: dict[str, IceDistance] = {}
    for name in structures:
        if name == SKIN:
            mask = local.array == 0
        elif labels.checked(name):
            mask = local.mask(name)
        else:
            continue
        points = local.grid.index_to_lps(np.argwhere(_near_edge(mask)))
        out[name] = _to_ice(points, coldest_c, edge_c, meter, half)
    return out


def _near_edge(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Voxels of the mask with one outside it among their six neighbours."""
    from scipy.ndimage import binary_erosion

    if not mask.any():
        return mask
    out: NDArray[np.bool_] = mask & ~binary_erosion(mask)
    return out


def _to_ice(
    points: NDArray[np.float64],
    coldest_c: Volume,
    edge_c: float,
    meter: SurfaceDistance,
    half_mm: float,
) -> IceDistance:
    if not len(points):
        return IceDistance(LOOK_MM, None)
    frozen = sample(coldest_c, points, np.inf) <= edge_c
    if frozen.any():
        inside = points[frozen]
        depth = meter.nearest(inside, exact=False)
        deepest = int(np.argmax(depth))
        return IceDistance(-float(depth[deepest]) - half_mm, as_point(inside[deepest], field="ice"))
    points, gap = _nearest(points, meter)
    nearest = int(np.argmin(gap))
    distance = max(0.0, float(gap[nearest]) - half_mm)
    if distance >= LOOK_MM:
        return IceDistance(LOOK_MM, None)
    return IceDistance(distance, as_point(points[nearest], field="ice"))


def _nearest(
    points: NDArray[np.float64], meter: SurfaceDistance
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Those of ``points`` that can be nearest to the surface, with their distances.

    A few points bound the smallest distance; who is farther than that from a ball round the
    surface is not asked.
    """
    vertices = meter.surface.points_mm
    centre = vertices.mean(axis=0)
    radius = np.sqrt(np.max(np.sum((vertices - centre) ** 2, axis=1)))
    least = float(np.min(meter.nearest(points[::SAMPLED], exact=False)))
    away = np.sqrt(np.sum((points - centre) ** 2, axis=1)) - radius
    near = points[away <= least + 1e-6]
    return near, meter.nearest(near, exact=False, most_mm=least + 1e-6)
