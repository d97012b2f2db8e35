"""The ice as a label map on the CT's grid, to lay over the CT in any viewer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.result import CryoResult
from irplan.geometry import Grid
from irplan.image import Code, Label, LabelMap, Volume
from irplan.image.resample import resample_volume
from irplan.planning.plan import AblationPlan

_SCHEME = "99IRPLAN"
#: Bands at the end of the last freeze: from this temperature down to the next one's.
ZONE_LABELS = (
    (
        0.0,
        Label(1, "0 degC", Code("ICE-0", _SCHEME, "Frozen, 0 to -20 degC"), (200, 244, 255)),
    ),
    (
        -20.0,
        Label(2, "-20 degC", Code("ICE-20", _SCHEME, "Frozen, -20 to -40 degC"), (63, 182, 255)),
    ),
    (
        -40.0,
        Label(
            3, "-40 degC", Code("ICE-40", _SCHEME, "Frozen, -40 degC and colder"), (91, 107, 255)
        ),
    ),
)


def zone_labels(result: CryoResult, grid: Grid) -> LabelMap:
    """Bands of the ice at the end of the last freeze on ``grid`` (trilinear temperature).

    1: 0 to -20 degC, 2: -20 to -40, 3: -40 and colder; the zone "-20 degC" is 2 and 3 together.
    """
    array = np.zeros(grid.shape, dtype=np.uint8)
    part, temperature = _on(result.end_of_freeze_c, grid)
    band = np.zeros(temperature.shape, dtype=np.uint8)
    for level, label in ZONE_LABELS:
        band[temperature <= level] = label.value
    array[part] = band
    return LabelMap(array, grid, tuple(label for _, label in ZONE_LABELS))


def lethal_mask(result: CryoResult, plan: AblationPlan, grid: Grid) -> NDArray[np.bool_]:
    """The lethal zone of the plan's rule on ``grid``: bool (slice, row, column)."""
    out = np.zeros(grid.shape, dtype=bool)
    part, temperature = _on(result.lethal_temperature(plan.lethal), grid)
    out[part] = temperature <= plan.lethal.threshold_c
    return out


def _on(volume: Volume, grid: Grid) -> tuple[tuple[slice, slice, slice], NDArray[np.float32]]:
    """The box of ``grid`` that ``volume`` covers, and its values there (37 degC beyond it)."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in volume.grid.shape])).reshape(3, -1).T
    start, shape = grid.box_around(volume.grid.index_to_lps(corners), 0.0)
    sampled = resample_volume(volume, grid.crop(start, shape), outside=37.0, smooth=False)
    s = tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))
    return (s[0], s[1], s[2]), sampled.array
