"""One cryoprobe in liver, with and without a vessel beside it: what does the vessel cost?"""

from __future__ import annotations

import numpy as np

from irplan.ablation import AblationProblem, LethalRule, Placement, Schedule, applicator, simulate
from irplan.geometry import Grid, Needle
from irplan.image import LabelMap, structure

PROBE_XY_MM = (50.0, 50.0)


def setup(vessel_distance_mm: float | None = 8.0, vessel_diameter_mm: float = 6.0) -> LabelMap:
    """A block of liver; a vessel runs parallel to the probe at the given distance of its axis."""
    grid = Grid.from_spacing((110, 100, 100), (1.0, 1.0, 1.0))
    liver, vessel = structure("liver"), structure("hepatic_vein")
    array = np.full(grid.shape, liver.value, np.uint8)
    if vessel_distance_mm is not None:
        _, y, x = np.indices(grid.shape)
        centre = PROBE_XY_MM[0] + vessel_distance_mm
        array[np.hypot(x - centre, y - PROBE_XY_MM[1]) <= vessel_diameter_mm / 2] = vessel.value
    return LabelMap(array, grid, (liver, vessel))


def run(labels: LabelMap) -> float:
    """Lethal volume (-20 degC in both freezes) in ml of a 10-8-10 min double freeze."""
    x, y = PROBE_XY_MM
    probe = Placement(Needle((x, y, 30.0), (x, y, 105.0)), applicator("cryo-17g-sphere"))
    problem = AblationProblem.from_labels(labels, (probe,), Schedule.freeze_thaw_freeze())
    zone = simulate(problem).lethal_zone(LethalRule())
    return float(zone.sum()) * problem.grid.voxel_volume_mm3 / 1000


if __name__ == "__main__":
    free = run(setup(vessel_distance_mm=None))
    beside = run(setup())
    print(f"lethal zone without a vessel       {free:6.2f} ml")
    print(
        f"with a 6 mm vessel 8 mm away       {beside:6.2f} ml  ({100 * (beside / free - 1):+.0f} %)"
    )
