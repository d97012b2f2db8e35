"""Where a freeze stands: what it takes to go on, replan or try again from there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.errors import GridMismatchError
from irplan.geometry import Grid
from irplan.image import Volume


@dataclass(frozen=True, eq=False)
class CryoState:
    """A moment of a simulated freeze.

    ``temperature_c`` at ``time_s`` of the schedules; ``cycle_minimum_c`` the lowest temperature
    of each freeze so far and the thaw after it, the last one still open; ``freezing``: some probe
    freezes, so that what follows belongs to the same freeze; ``probe_start_c`` each probe's
    temperature at the start of its present phase and ``probe_c`` its temperature
    now, degC (NaN: off); ``end_of_freeze_c`` the temperature when the latest freeze ended.
    """

    time_s: float
    temperature_c: Volume
    cycle_minimum_c: tuple[NDArray[np.float32], ...]
    freezing: bool
    probe_start_c: tuple[float, ...]
    probe_c: tuple[float, ...] = ()
    end_of_freeze_c: NDArray[np.float32] | None = None

    def check_fits(self, grid: Grid) -> None:
        """Raise `GridMismatchError` unless the state lies on ``grid``."""
        if not self.temperature_c.grid.same_as(grid):
            raise GridMismatchError(
                "start",
                got=f"a state on {self.temperature_c.grid.shape} voxels",
                expected=f"the problem's grid of {grid.shape} voxels, at the same place",
                remedy="Start from a state of a problem with the same grid.",
            )
