"""The problems that the ablation benchmarks share, and what is measured on their results."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import (
    APPLICATORS,
    TISSUES,
    AblationProblem,
    AblationResult,
    Applicator,
    CryoResult,
    FieldResult,
    HeatResult,
    Phase,
    Placement,
    Schedule,
)
from irplan.ablation.tissue_table import BLOOD_DENSITY, BLOOD_HEAT_CAPACITY
from irplan.geometry import Grid, Needle
from irplan.image import Volume

PROBE = Applicator("1.5 x 30 mm", "cryo", 1.5, 30.0, 0.0, -140.0, 60.0, 200.0, "benchmark [X]")
FREEZE = Schedule((Phase("freeze", 600.0),))
Vector = tuple[float, float, float]
ALONG_Z: Vector = (0.0, 0.0, 1.0)


def placed(centre: Vector, axis: Vector = ALONG_Z, applicator: Applicator = PROBE) -> Placement:
    """An applicator whose active zone has its middle at ``centre``."""
    d = np.asarray(axis) / np.linalg.norm(axis)
    ahead = 0.5 * applicator.active_length_mm + applicator.tip_offset_mm
    tip = np.asarray(centre) - ahead * d
    return Placement(Needle(tuple(tip), tuple(tip + 120.0 * d)), applicator)


def problem(
    n: int,
    placements: Sequence[Placement],
    schedule: Schedule = FREEZE,
    *,
    h: float = 1.0,
    mixed: bool = False,
) -> AblationProblem:
    """Liver; ``mixed`` adds a tumour, fat and two vessels of 5 and 4 mm held at 37 degC."""
    grid = Grid.from_spacing((n, n, n), (h, h, h), (-(n - 1) * h / 2,) * 3)
    index = np.zeros(grid.shape, np.uint8)
    if mixed:
        z, y, x = (np.mgrid[:n, :n, :n] - (n - 1) / 2) * h
        index[x + 0.3 * y > 28] = 1
        index[x**2 + y**2 + z**2 < 12**2] = 2
        index[np.hypot(x - 18, y + 0.3 * z) < 2.5] = 3
        index[np.hypot(x + 17 - 0.2 * z, y + 0.3 * z - 8) < 2.0] = 3
    names = ("liver", "fat", "tumour", "vessel")
    return AblationProblem(
        grid, index, tuple(TISSUES[k].properties() for k in names), tuple(placements), schedule
    )


def three_probes(radius_mm: float = 9.0) -> tuple[Placement, ...]:
    """Three probes on a circle, slightly splayed."""
    return tuple(
        placed(
            (radius_mm * np.cos(a), radius_mm * np.sin(a), 0.0),
            (0.1 * np.cos(a), 0.1 * np.sin(a), 1.0),
        )
        for a in np.arange(3) * 2 * np.pi / 3
    )


def heat_problem(name: str, power_w: float, minutes: float, n: int = 128) -> AblationProblem:
    """One applicator of the catalogue at constant power in uniform liver, 1 mm."""
    return problem(
        n,
        (placed((0.0, 0.0, 0.0), applicator=APPLICATORS[name]),),
        Schedule.constant_power(power_w, minutes),
    )


def ire_problem(n: int = 128) -> AblationProblem:
    """Two needles of 20 mm exposure 15 mm apart in liver with a tumour, fat and vessels."""
    needle = APPLICATORS["ire-19g-20mm"]
    pair = tuple(placed((x, 0.0, 0.0), applicator=needle) for x in (-7.5, 7.5))
    return problem(n, pair, Schedule.constant_power(1.0, 1.5), mixed=True)


def surface(result: AblationResult) -> tuple[Volume, float, float]:
    """The field whose level marks the zone: (volume, level, +1 inside above or -1 below)."""
    if isinstance(result, CryoResult):
        return result.end_of_freeze_c, 0.0, -1.0
    if isinstance(result, HeatResult):
        return result.maximum_c, 54.0, 1.0
    if isinstance(result, FieldResult):
        return result.field_v_per_cm, result.threshold_v_per_cm, 1.0
    raise TypeError(type(result).__name__)


def zone_volume_cm3(result: AblationResult) -> float:
    """Volume inside the zone's surface, sub-voxel: each voxel by its distance to the level."""
    volume, level, sign = surface(result)
    c = volume.array.astype(np.float64)
    span = np.sqrt(sum(g**2 for g in np.gradient(c))) + 1e-9
    inside = np.clip(0.5 + sign * (c - level) / span, 0.0, 1.0)
    return float(inside.sum() * np.prod(volume.grid.spacing_mm)) / 1000.0


def surface_shift_mm(one: AblationResult, other: AblationResult) -> float:
    """Mean distance between two zones' surfaces from their volumes, the zone taken as a ball."""
    a, b = ((0.75e3 / np.pi * max(zone_volume_cm3(r), 1e-9)) ** (1 / 3) for r in (one, other))
    return float(abs(a - b))


def radius_mm(result: CryoResult, level: float, axis: Vector, centre: Vector) -> float:
    """Mean over 24 directions round the needle in its mid plane, mm."""
    d = np.asarray(axis) / np.linalg.norm(axis)
    e1 = np.cross(d, np.eye(3)[int(np.argmin(np.abs(d)))])
    e1 /= np.linalg.norm(e1)
    e2 = np.cross(d, e1)
    r = np.arange(1.5, 26.0, 0.05)
    found = []
    for phi in np.arange(24) * np.pi / 12:
        line = np.asarray(centre) + r[:, None] * (np.cos(phi) * e1 + np.sin(phi) * e2)
        found.append(crossing_mm(r, result.end_of_freeze_c.at(line), level))
    return float(np.mean(found))


def mid_plane_radius_mm(c: NDArray[np.float64], h_mm: float, level: float) -> float:
    """The same on a cube whose needle is array axis 0 through its middle (even count)."""
    from scipy.ndimage import map_coordinates

    n = c.shape[0]
    plane = c[(n - 1) // 2 : n // 2 + 1].mean(axis=0)
    r = np.arange(1.5, 0.5 * (n - 2) * h_mm, 0.05)
    found = []
    for phi in np.arange(24) * np.pi / 12:
        at = np.stack([np.cos(phi) * r, np.sin(phi) * r]) / h_mm + 0.5 * (n - 1)
        found.append(crossing_mm(r, map_coordinates(plane, at, order=1), level))
    return float(np.mean(found))


def crossing_mm(r: NDArray[np.float64], c: NDArray[np.float64], level: float) -> float:
    """First radius at which c rises through ``level``."""
    i = int(np.argmax(c > level))
    return float(r[i - 1] + (level - c[i - 1]) / (c[i] - c[i - 1]) * (r[i] - r[i - 1]))


def oracle() -> ModuleType:
    """The 2-D reference of tests/reference, which is no package."""
    path = Path(__file__).resolve().parents[1] / "tests" / "reference" / "axisymmetric_ice.py"
    spec = importlib.util.spec_from_file_location("axisymmetric_ice", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["axisymmetric_ice"] = module
    spec.loader.exec_module(module)
    return module


def oracle_radii_mm(
    levels: Sequence[float], *, step_mm: float = 0.375, outer_mm: float = 45.0
) -> tuple[float, ...]:
    """Radii in the mid plane of PROBE after 600 s in liver, by the 2-D reference."""
    t, module = TISSUES["liver"].properties(), oracle()
    tissue = module.Tissue(
        t.conductivity_w_per_mk,
        t.heat_capacity_j_per_m3k,
        t.solidus_c,
        t.liquidus_c,
        t.perfusion_per_s * BLOOD_DENSITY.value * BLOOD_HEAT_CAPACITY.value,
    )
    r, _, c = module.solve(tissue, step_mm=step_mm, outer_mm=outer_mm)
    return tuple(module.crossing_mm(r, c[:, 0], v) for v in levels)
