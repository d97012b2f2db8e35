"""One cryoprobe in liver, with and without a vessel beside it: what does the vessel cost?"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from irplan.ablation import AblationProblem, LethalRule, Placement, Schedule, applicator, simulate
from irplan.geometry import Grid, Needle
from irplan.image import LabelMap, structure
from irplan.viz import style

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


def draw(volumes_ml: dict[float | None, float]) -> Figure:
    """Lethal volume over the vessel's distance, beside what it is without a vessel."""
    distances = [d for d in volumes_ml if d is not None]
    with style.styled():
        figure = style.new_figure(6.0, 3.4)
        axis = figure.subplots()
        axis.axhline(volumes_ml[None], color=style.MUTED, linestyle="--", label="no vessel")
        axis.plot(distances, [volumes_ml[d] for d in distances], "o-", label="6 mm vessel beside")
        axis.set(
            title="One cryoprobe: what a vessel costs", xlabel="vessel's axis to the probe's (mm)",
            ylabel="lethal zone (ml)", ylim=(0, None),
        )  # fmt: skip
        axis.legend()
    return figure


if __name__ == "__main__":
    found = {distance: run(setup(distance)) for distance in (None, 6.0, 8.0, 12.0)}
    for distance, volume in found.items():
        words = "no vessel" if distance is None else f"vessel {distance:g} mm away"
        change = 100 * (volume / found[None] - 1)
        print(f"{words:<20} {volume:6.2f} ml  ({change:+.0f} %)")
    draw(found).savefig("ice_of_one_probe.png")
