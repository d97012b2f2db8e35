"""The coarse side of an edit: a box round the probes with voxels of twice the edge."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.problem import AblationProblem
from irplan.geometry import Grid

Box = tuple[tuple[int, int], ...]

#: Voxel edge of the coarse solution over that of the fine one.
RATIO = 2
#: The coarse solution covers this much round the active zones, and is laid out anew when an edit
#: leaves less than the second, mm; its edge at body temperature acts on both sides of a change.
_MARGIN_MM, _LEAST_MARGIN_MM = 24.0, 18.0
#: A change is not smooth within this many coarse voxels of held tissue.
_SHARP_HELD = 2


@dataclass(frozen=True, eq=False)
class Frame:
    """The box of the coarse solutions, in fine voxels, and that of the plan being edited."""

    box: Box
    before: NDArray[np.float32]
    """(field, slice, row, column) of the coarse solution."""
    sharp: NDArray[np.bool_]
    """(slice, row, column) coarse voxels near held tissue."""

    def holds(self, problem: AblationProblem) -> bool:
        """The probes lie far enough from its edges (where these are not the grid's own)."""
        least = box_of(problem, problem, _LEAST_MARGIN_MM)
        return all(a <= c and d <= b for (a, b), (c, d) in zip(self.box, least, strict=True))


def is_held(problem: AblationProblem) -> NDArray[np.bool_]:
    """(tissues,) True for one held at a temperature."""
    return np.array([t.fixed_temperature_c is not None for t in problem.tissues])


def box_of(one: AblationProblem, other: AblationProblem, margin_mm: float = _MARGIN_MM) -> Box:
    """(first, end) along each axis round the active zones of both, in whole coarse voxels.

    The whole grid where something is warm or cold without a probe.
    """
    grid = one.grid
    shape = np.asarray(grid.shape)
    tissues = one.tissues
    held = [t.fixed_temperature_c for t in tissues if t.fixed_temperature_c is not None]
    if any(t != one.body_temperature_c for t in held) or any(
        t.metabolic_w_per_m3 > 0.0 for t in tissues
    ):
        return tuple((0, int(n)) for n in shape)
    zones = [
        p.withdrawn(way).active_segment
        for problem in (one, other)
        for p, own in zip(problem.placements, problem.schedules, strict=True)
        for way in (0.0, sum(phase.withdraw_mm for phase in own.phases))
    ]
    ends = grid.lps_to_index(np.array(zones).reshape(-1, 3))
    margin = margin_mm / np.asarray(grid.spacing_mm)
    first = np.maximum(0, np.floor(ends.min(axis=0) - margin)).astype(int) // RATIO * RATIO
    end = np.minimum(shape, np.ceil(ends.max(axis=0) + margin).astype(int) + 1)
    return tuple((int(a), int(b)) for a, b in zip(first, end, strict=True))


def coarse_problem(problem: AblationProblem, box: Box) -> AblationProblem:
    """The same problem in the box, with every second voxel along each axis."""
    affine = problem.grid.affine.copy()
    affine[:3, 3] = problem.grid.index_to_lps([a for a, _ in box])
    affine[:3, :3] *= RATIO
    cut = tuple(slice(a, b, RATIO) for a, b in box)
    index = np.ascontiguousarray(problem.tissue_index[cut])
    nz, ny, nx = index.shape
    grid = Grid((nz, ny, nx), affine, problem.grid.frame_of_reference_uid)
    return replace(problem, grid=grid, tissue_index=index)


def near_held(problem: AblationProblem, box: Box) -> NDArray[np.bool_]:
    """Coarse voxels near tissue that is held at a temperature."""
    from scipy.ndimage import binary_dilation

    held = is_held(problem)[problem.tissue_index[tuple(slice(a, b, RATIO) for a, b in box)]]
    if not held.any():
        return held
    out: NDArray[np.bool_] = binary_dilation(held, np.ones((3, 3, 3), bool), iterations=_SHARP_HELD)
    return out
