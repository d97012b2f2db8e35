"""Surfaces of the 3-D view as plain arrays: skin, organs, target with its margins, ice, access."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from irplan.compute.progress import Progress
from irplan_planner.model.outlines import Level
from irplan_planner.model.state import CaseState, Simulation

if TYPE_CHECKING:
    from irplan.geometry import Grid
    from irplan.planning.access_map import AccessMap

#: Shown structures: key -> (names, voxel mm, smoothing mm, colour, opacity).
ORGANS: Final[Mapping[str, tuple[tuple[str, ...], float, float, str, float]]] = {
    "liver": (("liver", "tumour", "vessel", "vessel_in_part", "portal_vein", "hepatic_vein"),
              4.0, 2.0, "#e08a62", 0.42),
    "vessels": (("vessel", "vessel_in_part", "portal_vein", "hepatic_vein", "artery", "vena_cava"),
                2.0, 1.2, "#6d8dff", 1.0),
    "bone": (("bone",), 4.5, 1.8, "#e9e2cc", 0.45),
    "gallbladder": (("gallbladder",), 2.5, 1.5, "#86d45c", 1.0),
}  # fmt: skip
SKIN_VOXEL_MM, SKIN_SMOOTH_MM = 6.0, 4.0
#: Skin farther than this from every entry point was not asked about, mm.
NEAR_ENTRY_MM = 12.0
#: Margin below zero, below the goal, at or above it: colour and words.
MARGIN_COLOURS: Final = (
    ("#ff5a4d", "outside the zone"), ("#ffc14d", "below the goal"), ("#4fd49b", "goal reached"),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class SurfaceMesh:
    """Triangles in LPS mm: ``points`` (n, 3), ``faces`` (m, 3); colour for all or one a vertex."""

    key: str
    points: NDArray[np.float32]
    faces: NDArray[np.int64]
    colour: str
    opacity: float
    rgb: NDArray[np.uint8] | None = None


def anatomy(state: CaseState, progress: Progress) -> tuple[SurfaceMesh, ...]:
    """Skin and organs of a case (about a second)."""
    from irplan.viz.meshes import mask_surface

    labels = state.labels
    if labels is None:
        return ()
    out = []
    jobs: list[tuple[str, Any, float, float, str, float]] = [
        ("skin", None, SKIN_VOXEL_MM, SKIN_SMOOTH_MM, "#d9a384", 0.12)
    ]
    jobs += [(key, *rest) for key, rest in ORGANS.items()]
    for n, (key, names, voxel, smooth, colour, opacity) in enumerate(jobs):
        progress(n / len(jobs), f"surfaces: {key}")
        mask = labels.array > 0 if names is None else labels.mask(*names)
        mesh = mask_surface(mask, labels.grid, voxel_mm=voxel, smooth_mm=smooth, closed=False)
        if mesh is not None:
            points = mesh.vertices.astype(np.float32)
            out.append(SurfaceMesh(key, points, mesh.faces, colour, opacity))
    return tuple(out)


def target_surface(
    state: CaseState, simulation: Simulation | None, goal_mm: float
) -> SurfaceMesh | None:
    """The target, coloured by its margin where there is a simulation."""
    from irplan.viz.meshes import mask_surface

    if state.target is None or state.volume is None:
        return None
    start = [max(0, s - 4) for s in state.target.start]
    stop = [
        min(n, s + m + 4)
        for s, m, n in zip(
            state.target.start, state.target.mask.shape, state.grid.shape, strict=True
        )
    ]
    grid: Grid = state.grid.crop(start, [b - a for a, b in zip(start, stop, strict=True)])
    mask = np.zeros(grid.shape, dtype=bool)
    at = tuple(
        slice(s - a, s - a + m)
        for s, a, m in zip(state.target.start, start, state.target.mask.shape, strict=True)
    )
    mask[at] = state.target.mask
    mesh = mask_surface(mask, grid, voxel_mm=1.0, smooth_mm=0.8)
    if mesh is None:
        return None
    points = mesh.vertices.astype(np.float32)
    plain = SurfaceMesh("target", points, mesh.faces, "#ff5fae", 1.0)
    if simulation is None:
        return plain
    return SurfaceMesh(
        "target", points, mesh.faces, "#ff5fae", 1.0, margin_rgb(points, simulation, goal_mm)
    )


def margin_rgb(
    points: NDArray[np.float32], simulation: Simulation, goal_mm: float
) -> NDArray[np.uint8]:
    """(n, 3) colour of each vertex by the margin at the nearest measured point."""
    from scipy.spatial import cKDTree

    nearest = cKDTree(simulation.margin_points_mm).query(points)[1]
    margin = simulation.margin_mm[nearest]
    level = np.where(margin < 0.0, 0, np.where(margin < goal_mm, 1, 2))
    table = np.array([_rgb(c) for c, _ in MARGIN_COLOURS], dtype=np.uint8)
    out: NDArray[np.uint8] = table[level]
    return out


def level_surfaces(levels: Sequence[Level]) -> tuple[SurfaceMesh, ...]:
    """Isotherms and zones as surfaces, the outer ones more transparent."""
    from irplan.viz.meshes import isosurface

    out = []
    for n, level in enumerate(levels):
        mesh = isosurface(np.asarray(level.field.array), level.field.grid, level.level)
        if mesh is not None:
            points = mesh.vertices.astype(np.float32)
            opacity = 0.22 + 0.1 * n
            out.append(SurfaceMesh(level.name, points, mesh.faces, level.colour, opacity))
    return tuple(out)


def access_skin(skin: SurfaceMesh, found: AccessMap) -> SurfaceMesh:
    """The skin coloured by what needles from there reach.

    Green (brighter: more of the target) clear, amber not checked, dark blocked; plain skin where no
    entry point is near.
    """
    from scipy.spatial import cKDTree

    on = found.on_skin
    found_near = cKDTree(found.entries_mm[on]).query(skin.points)
    gap, nearest = np.asarray(found_near[0]), np.asarray(found_near[1])
    share = np.clip(found.share()[on][nearest], 0.0, 1.0)[:, None]
    status = found.status[on][nearest]
    dark, green, amber, plain = (
        np.array(_rgb(c)) for c in ("#4a3a40", "#3df08f", "#f2b545", skin.colour)
    )
    rgb = np.where((status == 0)[:, None], (0.4 + 0.6 * share) * green, dark)
    rgb = np.where((status == 1)[:, None], (0.5 + 0.5 * share) * amber, rgb)
    rgb = np.where((gap > NEAR_ENTRY_MM)[:, None], 0.35 * plain, rgb)
    return SurfaceMesh("access", skin.points, skin.faces, skin.colour, 0.85, rgb.astype(np.uint8))


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
