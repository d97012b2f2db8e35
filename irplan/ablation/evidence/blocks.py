"""Small problems of the evidence: a block of tissue round the origin, and how fronts are read."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.applicator import Applicator
from irplan.ablation.placement import Placement
from irplan.ablation.problem import AblationProblem
from irplan.ablation.schedule import Schedule
from irplan.ablation.tissue import TissueProperties
from irplan.ablation.zone_measure import voxels_inside
from irplan.geometry import Grid, Needle, Point3
from irplan.image import Volume


def plain_probe(
    length_mm: float, *, temperature_c: float = -140.0, ramp_s: float = 60.0
) -> Applicator:
    """A plain cryoprobe of 1.5 mm whose active zone begins at its tip."""
    return Applicator(
        "evidence probe", "cryo", 1.5, length_mm, 0.0, temperature_c, ramp_s, 300.0, "evidence [X]"
    )


def placed(centre_mm: Sequence[float], axis: Sequence[float], applicator: Applicator) -> Placement:
    """The applicator with the middle of its active zone at ``centre_mm``, LPS."""
    d = np.asarray(axis, float) / np.linalg.norm(axis)
    offset = applicator.tip_offset_mm + applicator.active_length_mm / 2.0
    tip = np.asarray(centre_mm, float) - d * offset
    return Placement(Needle(_point(tip), _point(tip + 120.0 * d)), applicator)


def block(
    shape: Sequence[int],
    spacing_mm: float,
    tissues: Sequence[TissueProperties],
    placements: Sequence[Placement],
    schedule: Schedule,
    index: NDArray[np.uint8] | None = None,
) -> AblationProblem:
    """``shape`` (slice, row, column) voxels of the first tissue, centred on the origin."""
    centre = [-(n - 1) * spacing_mm / 2.0 for n in reversed(shape)]
    grid = Grid.from_spacing(shape, (spacing_mm,) * 3, centre)
    return AblationProblem(
        grid=grid,
        tissue_index=np.zeros(grid.shape, np.uint8) if index is None else index,
        tissues=tuple(tissues),
        placements=tuple(placements),
        schedule=schedule,
    )


def crossing_mm(x_mm: NDArray[np.float64], c: NDArray[np.float64], level: float) -> float:
    """First position at which ``c`` rises through ``level``, linear between samples; NaN: none."""
    i = int(np.argmax(c > level))
    if i == 0:
        return math.nan
    share = (level - c[i - 1]) / (c[i] - c[i - 1])
    return float(x_mm[i - 1] + share * (x_mm[i] - x_mm[i - 1]))


def isotherm_radius_mm(
    volume: Volume, level: float, axis: Sequence[float] = (0.0, 0.0, 1.0),
    centre_mm: Sequence[float] = (0.0, 0.0, 0.0), *, reach_mm: float = 30.0,
) -> float:  # fmt: skip
    """Mean over 24 directions of the distance of an isotherm of ice from a needle's axis."""
    d = np.asarray(axis, float) / np.linalg.norm(axis)
    u = np.cross(d, np.eye(3)[int(np.argmin(np.abs(d)))])
    u /= np.linalg.norm(u)
    v = np.cross(d, u)
    r = np.arange(1.5, reach_mm, 0.05)
    found = []
    for phi in np.arange(24) * math.pi / 12.0:
        ray = np.asarray(centre_mm) + r[:, None] * (math.cos(phi) * u + math.sin(phi) * v)
        found.append(crossing_mm(r, volume.at(ray), level))
    return float(np.mean(found))


def isotherm_volume_cm3(volume: Volume, level: float) -> float:
    """Volume at or below ``level``."""
    inside = voxels_inside(np.float32(level) - volume.array.astype(np.float32))
    return inside * volume.grid.voxel_volume_mm3 / 1000.0


def _point(p: NDArray[np.float64]) -> Point3:
    return (float(p[0]), float(p[1]), float(p[2]))
