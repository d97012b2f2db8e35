"""The physical problem: tissue, sources and schedule on a cubic grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.placement import Placement
from irplan.ablation.schedule import Schedule
from irplan.ablation.tissue import TissueProperties
from irplan.errors import InputError
from irplan.geometry import Grid


@dataclass(frozen=True, eq=False)
class AblationProblem:
    """Everything the bioheat solver needs.

    Parameters
    ----------
    grid : cubic voxels (solver grid), typically 1 mm.
    tissue_index : uint8 (slice, row, column), index into ``tissues``.
    tissues : property sets; one whose ``fixed_temperature_c`` is set is a heat source held at
        that temperature (a large vessel at blood temperature, warm saline, air).
    placements : one or more cryoprobes.
    schedule : common to all probes.
    body_temperature_c : start, perfusing-blood and outer-boundary temperature, degC.
    """

    grid: Grid
    tissue_index: NDArray[np.uint8]
    tissues: tuple[TissueProperties, ...]
    placements: tuple[Placement, ...]
    schedule: Schedule
    body_temperature_c: float = 37.0

    def __post_init__(self) -> None:
        index = np.asarray(self.tissue_index)
        if index.dtype != np.uint8 or index.shape != self.grid.shape:
            raise InputError(
                "problem.tissue_index",
                got=f"{index.dtype} of shape {index.shape}",
                expected=f"uint8 of shape {self.grid.shape}",
                remedy="Build the problem with AblationProblem.from_labels.",
            )
        if int(index.max()) >= len(self.tissues):
            raise InputError(
                "problem.tissue_index",
                got=f"index {int(index.max())}",
                expected=f"0 to {len(self.tissues) - 1}",
                remedy="List the properties of every tissue.",
            )
        view = index.view()
        view.setflags(write=False)
        object.__setattr__(self, "tissue_index", view)
        object.__setattr__(self, "placements", tuple(self.placements))
        object.__setattr__(self, "tissues", tuple(self.tissues))
