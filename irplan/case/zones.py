"""The simulated zone as label map and mask on the CT's grid, to lay over it in any viewer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from irplan.geometry import Grid
from irplan.image import Code, Label, LabelMap, Volume
from irplan.image.resample import resample_volume
from irplan.planning.case import PlannedAblation
from irplan.viz.zone_layers import ZoneLayer, lethal_layer, zone_layers

_SCHEME = "99IRPLAN"
#: Codes of the cold's bands, from this level down to the next one's.
_COLD = {
    "0 degC": ("ICE-0", "Frozen, 0 to -20 degC"),
    "-20 degC": ("ICE-20", "Frozen, -20 to -40 degC"),
    "-40 degC": ("ICE-40", "Frozen, -40 degC and colder"),
}


def zone_labels(case: PlannedAblation) -> LabelMap:
    """Bands of the zone on the CT's grid (trilinear field), 1 the outermost.

    Cold: 0 to -20 degC, -20 to -40, -40 and colder at the end of the last freeze.  Heat: 50 to 60
    degC, 60 to 100, 100 and hotter at the highest.  Electroporation: 400 to 1000 V/cm, 1000 and
    more.  A zone is its band together with those inside it.
    """
    grid = case.volume.grid
    array = np.zeros(grid.shape, dtype=np.uint8)
    labels = []
    for value, layer in enumerate(zone_layers(case.result), start=1):
        part, values = _on(layer.field, grid)
        array[part][values <= layer.level] = value
        labels.append(Label(value, layer.name, Code(*_code(layer)), _rgb(layer.colour)))
    return LabelMap(array, grid, tuple(labels))


def lethal_mask(case: PlannedAblation) -> NDArray[np.bool_]:
    """The lethal zone of the plan's rule on the CT's grid: bool (slice, row, column)."""
    grid, layer = case.volume.grid, lethal_layer(case)
    out = np.zeros(grid.shape, dtype=bool)
    part, values = _on(layer.field, grid)
    out[part] = values <= layer.level
    return out


def _code(layer: ZoneLayer) -> tuple[str, str, str]:
    code, words = _COLD.get(layer.name, (f"ZONE-{layer.name}"[:16].replace(" ", "-"), layer.words))
    return code, _SCHEME, words


def _rgb(colour: str) -> tuple[int, int, int]:
    r, g, b = (int(colour[n : n + 2], 16) for n in (1, 3, 5))
    return r, g, b


def _on(volume: Volume, grid: Grid) -> tuple[tuple[slice, slice, slice], NDArray[np.float32]]:
    """The box of ``grid`` that ``volume`` covers, and its values there (its largest beyond it)."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in volume.grid.shape])).reshape(3, -1).T
    start, shape = grid.box_around(volume.grid.index_to_lps(corners), 0.0)
    outside = float(volume.array.max())
    sampled = resample_volume(volume, grid.crop(start, shape), outside=outside, smooth=False)
    s = tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))
    return (s[0], s[1], s[2]), sampled.array
