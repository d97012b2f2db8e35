"""Many paths against the hard rules at once: what each breaks, and how deep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.planning.obstacles import ObstacleRaster

#: The rule of what was not seen; never "clear".
UNKNOWN_RULE = "passes through what nobody has seen (outside the field of view)"
#: The skin voxel and the one below it are not "outside the body", mm.
SKIN_MM = 4.0


@dataclass(frozen=True, eq=False)
class PathChecks:
    """Outcome for n paths, entry -> tip.

    ``broken`` (n, r) True where path n breaks rule r of ``rule_names``; the capsule angle is
    looked at only where nothing else is broken.  Lengths in mm, angles in degrees; ``capsule_deg``
    and ``organ_at_mm`` are NaN where the path meets no organ.  ``soft`` (n,) 0..1 is the largest
    soft deficit (1 = an obstacle's hard distance), of obstacle number ``soft_group``.
    """

    entry_mm: NDArray[np.float64]
    tip_mm: NDArray[np.float64]
    rule_names: tuple[str, ...]
    broken: NDArray[np.bool_]
    length_mm: NDArray[np.float64]
    tilt_deg: NDArray[np.float64]
    below_horizontal_deg: NDArray[np.float64]
    blocked_mm: NDArray[np.float32]
    organ_path_mm: NDArray[np.float32]
    capsule_deg: NDArray[np.float64]
    target_at_mm: NDArray[np.float32]
    soft: NDArray[np.float64]
    soft_group: NDArray[np.int64]

    @property
    def admissible(self) -> NDArray[np.bool_]:
        """(n,) True where no hard rule is broken."""
        return np.asarray(~self.broken.any(axis=1))


def rule_names(raster: ObstacleRaster) -> tuple[str, ...]:
    """The rules in the order of `PathChecks.broken`: obstacles first, then geometry."""
    r = raster.rules
    return (
        *(f"{o.name} closer than {o.hard_mm:g} mm" for o in raster.obstacles),
        "leaves the body or the image",
        f"longer than {r.max_length.value:g} mm",
        f"tilt above {r.max_tilt.value:g} deg",
        f"from more than {r.max_below_horizontal.value:g} deg below the horizontal (table)",
        f"less than {r.min_organ_path.value:g} mm of healthy organ before the target",
        f"capsule angle below {r.min_capsule_angle.value:g} deg",
        UNKNOWN_RULE,
    )


def check_paths(
    raster: ObstacleRaster, entry_mm: NDArray[np.float64], tip_mm: NDArray[np.float64]
) -> PathChecks:
    """Check n paths from ``entry_mm`` (n, 3) to ``tip_mm`` (n, 3), LPS mm, under the hard rules.

    Lengths, tilt and table are exact; obstacles are those of the raster (grown by their hard
    distance at about 1.5 mm); every voxel a path crosses is looked at.
    """
    from irplan.compute.cpu import rays

    rules = raster.rules
    start, end = raster.grid.lps_to_index(entry_mm), raster.grid.lps_to_index(tip_mm)
    n = len(start)
    bits = np.empty(n, dtype=np.uint32)
    soft = np.empty(n, dtype=np.uint32)
    numbers = np.empty((n, 5), dtype=np.float32)
    rays.march_segments(raster.words, start, end, raster.spacing_mm, SKIN_MM, bits, soft, numbers)

    way = tip_mm - entry_mm
    length = np.linalg.norm(way, axis=1)
    unit = way / np.maximum(length, 1e-9)[:, None]
    tilt = np.degrees(np.arcsin(np.clip(unit[:, 2], -1.0, 1.0)))
    below = np.degrees(np.arcsin(np.clip(-unit[:, 1], -1.0, 1.0)))

    names = rule_names(raster)
    k = len(raster.obstacles)
    broken = np.zeros((n, len(names)), dtype=bool)
    for number in range(k):
        broken[:, number] = (bits & np.uint32(1 << number)) != 0
    broken[:, k] = (bits & np.uint32(rays.OUTSIDE_BIT | rays.OFF_GRID_BIT)) != 0
    broken[:, k + 1] = length > rules.max_length.value
    broken[:, k + 2] = np.abs(tilt) > rules.max_tilt.value
    broken[:, k + 3] = below > rules.max_below_horizontal.value
    broken[:, k + 6] = (bits & np.uint32(rays.UNKNOWN_BIT)) != 0
    capsule = np.full(n, np.nan)
    if raster.organ_name is not None:
        broken[:, k + 4] = numbers[:, 1] < rules.min_organ_path.value
        look = np.flatnonzero(~broken[:, : k + 5].any(axis=1) & (numbers[:, 2] >= 0.0))
        at = entry_mm[look] + numbers[look, 2, None] * unit[look]
        capsule[look] = _capsule_angle_deg(raster, at, unit[look])
        broken[look, k + 5] = capsule[look] < rules.min_capsule_angle.value
    return PathChecks(
        entry_mm,
        tip_mm,
        names,
        broken,
        length,
        tilt,
        below,
        numbers[:, 0],
        numbers[:, 1],
        capsule,
        numbers[:, 3],
        (soft >> 8) / 255.0,
        (soft & 0xFF).astype(np.int64),
    )


def skin_above(
    raster: ObstacleRaster, points_mm: NDArray[np.float64], direction: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n, 3) where lines from ``points_mm`` (n, 3) against ``direction`` (n, 3) leave the body.

    NaN where they do not within the longest needle, or leave the image first.
    """
    from irplan.compute.cpu import rays

    reach = raster.rules.max_length.value + 2.0 * raster.spacing_mm
    n = len(points_mm)
    bits, soft = np.empty(n, dtype=np.uint32), np.empty(n, dtype=np.uint32)
    numbers = np.empty((n, 5), dtype=np.float32)
    start = raster.grid.lps_to_index(points_mm)
    end = raster.grid.lps_to_index(points_mm - reach * direction)
    rays.march_segments(raster.words, start, end, raster.spacing_mm, 0.0, bits, soft, numbers)
    depth = numbers[:, 4].astype(np.float64)
    depth[depth <= 0.0] = np.nan
    out: NDArray[np.float64] = points_mm - depth[:, None] * direction
    return out


def _capsule_angle_deg(
    raster: ObstacleRaster, points: NDArray[np.float64], unit: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Angle of the path to the capsule's tangent plane (90 = straight in), degrees."""
    from irplan.compute.cpu import rays

    at = (raster.grid.lps_to_index(points) + 0.5) / raster.organ_step - 0.5
    out = np.empty(len(points))
    rays.capsule_angles(raster.organ, at, unit @ raster.grid.direction, out)
    return out
