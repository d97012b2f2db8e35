"""A fast stand-in for the simulation, used only to propose where probes go.

The cold of one probe in uniform tissue is simulated once a kind of probe; several probes are
superposed.  Each simulated layout corrects the superposition point by point (space mapping,
Bandler et al. 1994, IEEE Trans MTT 42:2536), so vessels and phase change enter after the first
simulation.  Whether a plan is good is decided by the simulation, never by this.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import (
    AblationProblem,
    Applicator,
    LethalRule,
    Placement,
    Schedule,
    simulate_cryo,
    tissue,
)
from irplan.geometry import Grid, Needle

#: Voxel of the calibration run and radius to which the cold is tabulated, mm.
_VOXEL_MM = 2.0
_REACH_MM = 40.0
#: Allowed error in time of the ice's radius in runs that only guide the search, mm.
SEARCH_TIME_ERROR_MM = 0.2


@dataclass(frozen=True, eq=False)
class ProbeCold:
    """Fall of temperature round one probe in uniform tissue.

    ``drop_c`` (axial, radial) in degC below body temperature at 1 mm steps; the axial axis runs
    from ``-reach - L/2`` to ``reach + L/2`` about the middle of the active zone, positive towards
    the tip.
    """

    applicator: Applicator
    drop_c: NDArray[np.float64]
    axial_start_mm: float

    @classmethod
    def simulated(
        cls, applicator: Applicator, schedule: Schedule, rule: LethalRule, tissue_name: str
    ) -> ProbeCold:
        """One coarse simulation in uniform tissue (about 0.1 s)."""
        half = applicator.active_length_mm / 2.0
        wide = int(np.ceil(2.0 * _REACH_MM / _VOXEL_MM)) + 1
        tall = int(np.ceil((2.0 * _REACH_MM + 2.0 * half) / _VOXEL_MM)) + 1
        grid = Grid.from_spacing(
            (tall, wide, wide),
            (_VOXEL_MM,) * 3,
            (-_REACH_MM, -_REACH_MM, -_VOXEL_MM * (tall - 1) / 2.0),
        )
        tip = half + applicator.tip_offset_mm
        # Tip towards +z.  Only the active zone is heated, so the entry may lie beyond the box.
        needle = Needle((0.0, 0.0, tip), (0.0, 0.0, tip - applicator.active_length_mm - 20.0))
        problem = AblationProblem(
            grid=grid,
            tissue_index=np.zeros(grid.shape, dtype=np.uint8),
            tissues=(tissue(tissue_name),),
            placements=(Placement(needle, applicator),),
            schedule=schedule,
        )
        result = simulate_cryo(problem, time_error_mm=SEARCH_TIME_ERROR_MM, threads=1)
        field = result.lethal_temperature(rule)
        axial = np.arange(-_REACH_MM - half, _REACH_MM + half + 0.5, 1.0)
        radial = np.arange(0.0, _REACH_MM + 0.5, 1.0)
        z, r = np.meshgrid(axial, radial, indexing="ij")
        total = np.zeros(z.shape)
        angles = np.radians(np.arange(0.0, 360.0, 45.0))
        for angle in angles:
            points = np.stack([r * np.cos(angle), r * np.sin(angle), z], axis=-1)
            inside = np.clip(
                points, grid.index_to_lps((0, 0, 0)), grid.index_to_lps(np.array(grid.shape) - 1)
            )
            total += problem.body_temperature_c - field.at(inside)
        return cls(applicator, np.maximum(total / len(angles), 0.0), float(axial[0]))

    def at(
        self,
        points_mm: NDArray[np.float64],
        centre_mm: NDArray[np.float64],
        direction: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """(n,) fall of temperature at LPS points for a probe with its active middle at a centre."""
        from scipy.ndimage import map_coordinates

        way = points_mm - centre_mm
        axial = way @ direction
        radial = np.sqrt(np.maximum(np.einsum("ij,ij->i", way, way) - axial**2, 0.0))
        index = np.stack([axial - self.axial_start_mm, radial])
        out: NDArray[np.float64] = map_coordinates(
            self.drop_c, index, order=1, mode="constant", cval=0.0
        )
        return out
