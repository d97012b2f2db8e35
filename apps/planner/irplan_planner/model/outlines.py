"""Lines on a slice: target and its margin, isotherms or damage, as polylines in mm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from irplan.geometry import Grid
from irplan.image import Volume
from irplan_planner.model.slices import Frame
from irplan_planner.model.state import Target

if TYPE_CHECKING:
    from irplan.ablation import AblationResult, LethalRule, Placement

#: Lattice on which lines are followed, mm.
STEP_MM = 1.0
#: Colours and names of the isotherms (degC); the colder the deeper, as in the reports' figures.
ISOTHERMS: Final = ((0.0, "#c8f4ff"), (-20.0, "#3fb6ff"), (-40.0, "#7b8bff"))
TARGET_COLOUR, LETHAL_COLOUR, HOT_COLOUR = "#ff5fae", "#ffffff", "#ffb347"


@dataclass(frozen=True, eq=False)
class Outline:
    """Polylines (n, 2) in mm right and down of a frame's origin, with their look and meaning."""

    name: str
    colour: str
    lines: tuple[NDArray[np.float64], ...]
    dashed: bool = False
    width: float = 1.6


@dataclass(frozen=True, eq=False)
class Level:
    """A surface to be cut by slices: where ``field`` equals ``level``."""

    name: str
    field: Volume
    level: float
    colour: str
    dashed: bool = False
    width: float = 1.6


#: Values on a lattice, and the place of the first in the frame, mm right and down.
Sampled = tuple[NDArray[np.float32], float, float]


class LineCache:
    """Remembers the lines of the last few slices, so that scrolling back costs nothing."""

    def __init__(self, size: int = 1200) -> None:
        self._kept: dict[tuple[Any, ...], tuple[Volume, Outline]] = {}
        self._sampled: tuple[tuple[Any, ...], Volume, Sampled | None] | None = None
        self._size = size

    def outline(self, level: Level, frame: Frame) -> Outline:
        """`cut` of this level and frame, from memory where it is known."""
        place = (*frame.place, frame.name)
        key = (id(level.field), level.level, level.name, place)
        known = self._kept.get(key)
        if known is None:
            on = (id(level.field), place)
            if self._sampled is None or self._sampled[0] != on:
                self._sampled = (on, level.field, sampled(level.field, frame))
            lines = _followed(self._sampled[2], level.level)
            made = Outline(level.name, level.colour, tuple(lines), level.dashed, level.width)
            known = (level.field, made)  # the field stays alive, and so its id
            while len(self._kept) >= self._size:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = known
        return known[1]

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()


def cut(level: Level, frame: Frame) -> Outline:
    """The lines in which a frame cuts a level's surface."""
    lines = _followed(sampled(level.field, frame), level.level)
    return Outline(level.name, level.colour, tuple(lines), level.dashed, level.width)


def target_levels(target: Target, grid: Grid, margin_mm: float) -> tuple[Level, ...]:
    """The target's surface and the surface ``margin_mm`` outside of it (dashed)."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    spacing = np.asarray(grid.spacing_mm)
    pad = np.ceil((margin_mm + 3.0) / spacing).astype(int)
    low = np.maximum(0, np.asarray(target.start) - pad)
    high = np.minimum(grid.shape, np.asarray(target.start) + target.mask.shape + pad)
    mask = np.zeros(high - low, dtype=bool)
    at = tuple(
        slice(s - a, s - a + n)
        for s, a, n in zip(target.start, low, target.mask.shape, strict=True)
    )
    mask[at] = target.mask
    outside = distance_transform_edt(~mask, sampling=spacing)
    inside = distance_transform_edt(mask, sampling=spacing)
    signed = np.where(mask, 0.5 * spacing.mean() - inside, outside - 0.5 * spacing.mean())
    signed = gaussian_filter(signed.astype(np.float32), 0.5)
    field = Volume(signed, grid.crop(low, high - low), "mm")
    levels = [Level("target", field, 0.0, TARGET_COLOUR, width=2.0)]
    if margin_mm > 0:
        levels.append(Level(f"target + {margin_mm:g} mm", field, margin_mm, TARGET_COLOUR, True))
    return tuple(levels)


def zone_levels(
    result: AblationResult, rule: LethalRule, placements: Sequence[Placement]
) -> tuple[Level, ...]:
    """Isotherms and the lethal zone's edge of a simulation, whatever its kind."""
    from irplan.ablation import CryoResult, HeatResult
    from irplan.planning.modality import lethal_field

    out = []
    if isinstance(result, CryoResult):
        for c, colour in ISOTHERMS:
            out.append(Level(f"{c:g} °C", result.end_of_freeze_c, c, colour))
    elif isinstance(result, HeatResult):
        hot = Volume(-result.maximum_c.array, result.grid, "degC")
        out.append(Level("60 °C", hot, -60.0, HOT_COLOUR))
        if "cem43" in result.damage:
            dose = result.damage["cem43"]
            fall = Volume(-dose.array, dose.grid, dose.quantity)
            minutes = result.damage_level["cem43"]
            out.append(Level(f"CEM43 {minutes:g} min", fall, -minutes, "#ff7a5c"))
    field, level, _ = lethal_field(result, rule, placements)
    out.append(Level("lethal zone", field, level, LETHAL_COLOUR, dashed=True))
    return tuple(out)


def isotherms_of(
    field: Volume, levels_c: Sequence[tuple[float, str]] = ISOTHERMS
) -> tuple[Level, ...]:
    """Isotherms of one temperature field (a moment of the time course)."""
    return tuple(Level(f"{c:g} °C", field, c, colour) for c, colour in levels_c)


def sampled(field: Volume, frame: Frame) -> Sampled | None:
    """The field on the frame's lattice (rows down, columns right) with its first place, mm."""
    from scipy.ndimage import map_coordinates

    window = _window_of(field.grid, frame)
    if window is None:
        return None
    (u0, u1), (v0, v1) = window
    u, v = np.arange(u0, u1 + STEP_MM, STEP_MM), np.arange(v0, v1 + STEP_MM, STEP_MM)
    if len(u) < 2 or len(v) < 2:
        return None
    inverse = field.grid.inverse[:3, :3]
    start = field.grid.lps_to_index(frame.to_patient(u0, v0))
    index = (
        start[:, None, None]
        + (inverse @ frame.down)[:, None, None] * (v - v0)[None, :, None]
        + (inverse @ frame.right)[:, None, None] * (u - u0)[None, None, :]
    )
    values = map_coordinates(field.array, index, order=1, mode="nearest", output=np.float32)
    return values, u0, v0


def _followed(found: Sampled | None, level: float) -> list[NDArray[np.float64]]:
    from skimage.measure import find_contours

    if found is None:
        return []
    values, u0, v0 = found
    if not float(values.min()) < level < float(values.max()):
        return []
    follow: Callable[..., Any] = find_contours
    return [
        np.stack([u0 + STEP_MM * line[:, 1], v0 + STEP_MM * line[:, 0]], axis=1)
        for line in follow(values, level)
    ]


def _window_of(grid: Grid, frame: Frame) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Extent (mm) of the field's box in the frame; None where the frame misses it."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape])).reshape(3, -1).T
    uv, off = frame.to_picture(grid.index_to_lps(corners))
    if off.min() > 0.0 or off.max() < 0.0:
        return None
    width, height = frame.size_mm
    low = np.maximum(uv.min(axis=0), 0.0)
    high = np.minimum(uv.max(axis=0), (width, height))
    if np.any(high <= low):
        return None
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))
