"""One line for the size of a zone: across, along, around the needles, and its volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.placement import Placement
from irplan.ablation.result import AblationResult, CryoResult, FieldResult, HeatResult
from irplan.ablation.zone_measure import ZoneAxis, ZoneField, measure_zone
from irplan.errors import InputError
from irplan.image import Volume

#: A temperature level below this bounds cold from above, one over it heat from below, degC.
_COLD_BELOW_C = 30.0


@dataclass(frozen=True)
class ZoneSize:
    """Lengths in mm, 0 where there is no zone.

    ``short_mm``, ``mean_mm`` and ``wide_mm`` : smallest, mean and largest diameter across the
    needles at the widest place; ``long_mm`` : longest chord along them; ``around_mm`` :
    diameter of the cylinder round the middle line of the needles that holds the zone.
    ``touches_edge`` : the zone leaves the simulated box, so it is larger than measured.
    """

    short_mm: float
    mean_mm: float
    wide_mm: float
    long_mm: float
    around_mm: float
    volume_cm3: float
    touches_edge: bool


def zone_size(
    what: AblationResult | Volume,
    placements: Placement | Sequence[Placement],
    level: float | None = None,
    *,
    below: bool | None = None,
) -> ZoneSize:
    """Size of the zone that ``level`` bounds, to a few hundredths of a millimetre at 1 mm voxels.

    Parameters
    ----------
    what : a result, or a field such as a temperature, degC.
    placements : the needles; sizes are taken along and across their mean direction.
    level : isotherm, degC (in a result of heat: of the highest temperature), or level of the
        field.  None: the ice (0 degC) of a freeze, the first damage model's dead zone of a
        heating, the electroporated zone of a field.  Required for a `Volume`.
    below : the zone is where the field is at or below the level.  None: so for levels under
        30 degC of a temperature, the other way round for all else.

    Raises `InputError` for a level that is missing or not finite.
    """
    needles = (placements,) if isinstance(placements, Placement) else tuple(placements)
    volume, bound = _field(what, level)
    if not np.isfinite(bound):
        raise InputError(
            "level", got=f"{bound}", expected="a finite level", remedy="For example -20 degC."
        )
    if below is None:
        below = volume.quantity == "degC" and bound < _COLD_BELOW_C
    zone = ZoneField("zone", "zone", volume, bound, below)
    axis = ZoneAxis.of(needles)
    found = measure_zone(zone, axis)
    return ZoneSize(
        short_mm=found.least_width_mm,
        mean_mm=found.width_mm,
        wide_mm=found.most_width_mm,
        long_mm=found.length_mm,
        around_mm=_around_mm(zone, axis),
        volume_cm3=found.volume_ml,
        touches_edge=found.cut_off,
    )


def _field(what: AblationResult | Volume, level: float | None) -> tuple[Volume, float]:
    if isinstance(what, Volume):
        if level is None:
            raise InputError(
                "level", got="none", expected="a level of the field", remedy="For example -20."
            )
        return what, level
    if isinstance(what, CryoResult):
        return what.end_of_freeze_c, 0.0 if level is None else level
    if isinstance(what, FieldResult):
        return what.field_v_per_cm, what.threshold_v_per_cm if level is None else level
    if isinstance(what, HeatResult):
        if level is not None:
            return what.maximum_c, level
        name = next(iter(what.damage))
        return what.damage[name], what.damage_level[name]
    raise InputError(
        "what",
        got=type(what).__name__,
        expected="a result of a freeze, a heating or a field, or a volume",
        remedy="Give result.volumes()[...] with a level.",
    )


def _around_mm(zone: ZoneField, axis: ZoneAxis) -> float:
    """Twice the largest distance from the axis of the edge, found on the grid's own lines."""
    signed, grid = zone.signed(), zone.field.grid
    centre, direction = np.array(axis.distal_mm), np.array(axis.towards_entry)
    largest = 0.0
    for k in range(3):
        index = _crossings(signed, k)
        if index.shape[0]:
            off = grid.index_to_lps(index) - centre
            off -= (off @ direction)[:, None] * direction
            largest = max(largest, float(np.linalg.norm(off, axis=1).max()))
    return 2.0 * largest


def _crossings(signed: NDArray[np.float32], axis: int) -> NDArray[np.float64]:
    """(n, 3) fractional indices where neighbours along ``axis`` lie on two sides of zero."""
    count = signed.shape[axis]
    first = np.take(signed, np.arange(count - 1), axis=axis)
    second = np.take(signed, np.arange(1, count), axis=axis)
    where = np.nonzero((first >= 0) != (second >= 0))
    a, b = first[where].astype(np.float64), second[where].astype(np.float64)
    index = np.stack(where, axis=1).astype(np.float64)
    index[:, axis] += a / (a - b)
    return index
