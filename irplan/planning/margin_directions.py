"""Margins by direction of the patient and of the needle, and how far the zone reaches beyond."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import Placement
from irplan.geometry import Point3, as_point
from irplan.planning.evaluation import DirectionMargin, MarginSurface, ZoneReach
from irplan.planning.surfaces import Surface, SurfaceDistance

#: Surface whose normal lies within this angle of a direction belongs to it, degrees: the six
#: cones of the patient's axes together see every normal that is within 45 degrees of an axis.
CONE_DEG = 45.0
#: The patient's directions in LPS, by name.
PATIENT_DIRECTIONS: tuple[tuple[str, Point3], ...] = (
    ("right", (-1.0, 0.0, 0.0)),
    ("left", (1.0, 0.0, 0.0)),
    ("front", (0.0, -1.0, 0.0)),
    ("back", (0.0, 1.0, 0.0)),
    ("feet", (0.0, 0.0, -1.0)),
    ("head", (0.0, 0.0, 1.0)),
)


def directional_margins(
    surface: MarginSurface, zone: Surface, placements: Sequence[Placement]
) -> tuple[DirectionMargin, ...]:
    """Smallest and mean margin towards each side of the patient, and along and across the needles.

    A direction takes the counted surface whose outward normal lies within 45 degrees of it; the
    needles' direction is the mean of theirs ("beyond the tip", "towards the entry"), and "across"
    is all that lies at more than 45 degrees from both.  ``reach_mm`` is how much farther the zone
    extends than the target along the direction (difference of the support functions), NaN across
    and where there is no zone.  A direction without counted surface has NaN margins.
    """
    out = [_towards(surface, zone, name, np.array(way)) for name, way in PATIENT_DIRECTIONS]
    mean = np.sum([p.needle.direction for p in placements], axis=0)
    size = float(np.linalg.norm(mean))
    if size > 0.3 * len(placements):  # needles from all sides have no common direction
        axis = mean / size
        out.append(_towards(surface, zone, "beyond the tip", axis))
        out.append(_towards(surface, zone, "towards the entry", -axis))
        across = np.abs(surface.normals @ axis) < np.cos(np.radians(CONE_DEG))
        out.append(_of(surface, "across the needle", across & surface.counted, float("nan")))
    return tuple(out)


def _towards(
    surface: MarginSurface, zone: Surface, name: str, way: NDArray[np.float64]
) -> DirectionMargin:
    inside = surface.normals @ way >= np.cos(np.radians(CONE_DEG))
    reach = float("nan")
    if len(zone.points_mm):
        reach = float((zone.points_mm @ way).max() - (surface.points_mm @ way).max())
    return _of(surface, name, inside & surface.counted, reach)


def _of(
    surface: MarginSurface, name: str, chosen: NDArray[np.bool_], reach_mm: float
) -> DirectionMargin:
    if not chosen.any():
        return DirectionMargin(name, float("nan"), float("nan"), None, reach_mm)
    margin, area = surface.margin_mm[chosen], surface.area_mm2[chosen]
    low = int(np.argmin(margin))
    return DirectionMargin(
        name,
        float(margin[low]),
        float((margin * area).sum() / area.sum()),
        as_point(surface.points_mm[chosen][low], field="margin"),
        reach_mm,
    )


def zone_reach(
    zone: Surface, target: Surface, inside_target: NDArray[np.bool_]
) -> ZoneReach | None:
    """The other way round: distance of the zone's surface to the target's; None without a zone.

    ``inside_target`` (n,) tells which points of the zone's surface lie inside the target; their
    distances count as negative.  The largest is how far healthy tissue is ablated; the two largest
    unsigned distances of both ways together are the Hausdorff distance.
    """
    if not len(zone.points_mm):
        return None
    distance = SurfaceDistance(target).nearest(zone.points_mm)
    signed = np.where(inside_target, -distance, distance)
    far = int(np.argmax(signed))
    area = zone.area_mm2
    return ZoneReach(
        float(signed.min()),
        float((signed * area).sum() / area.sum()),
        float(signed[far]),
        as_point(zone.points_mm[far], field="zone"),
    )
