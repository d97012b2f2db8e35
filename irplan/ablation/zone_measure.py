"""Sizes of zones to sub-voxel accuracy: volume, length along and widths across the needles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.lethal import LethalRule
from irplan.ablation.placement import Placement
from irplan.ablation.result import AblationResult, CryoResult, FieldResult, HeatResult
from irplan.errors import InputError
from irplan.image import Volume

#: Directions round the axis, and step along a ray in voxels, of `measure_zone`.
_DIRECTIONS = 36
_RAY_STEP = 0.5


@dataclass(frozen=True, eq=False)
class ZoneField:
    """A zone as a smooth field and the level that bounds it.

    The zone is where ``field`` is at or below ``level`` (``below``) or at or above it.
    """

    name: str
    words: str
    field: Volume
    level: float
    below: bool

    def signed(self) -> NDArray[np.float32]:
        """(slice, row, column) how far inside the level: >= 0 in the zone.

        A dose (min) is compared by its logarithm, and a share dead by that of its first-order
        dose -ln(1 - share): in these they vary evenly from voxel to voxel.
        """
        values, level = self.field.array.astype(np.float32), self.level
        if self.field.quantity == "min" and level > 0.0:
            values, level = np.log(np.maximum(values, np.float32(1e-6))), math.log(level)
        elif self.field.quantity == "probability" and 0.0 < level < 1.0:
            share = np.clip(values, np.float32(1e-6), np.float32(1.0 - 1e-7))
            values, level = np.log(-np.log1p(-share)), math.log(-math.log1p(-level))
        out: NDArray[np.float32] = values - np.float32(level)
        return -out if self.below else out


@dataclass(frozen=True)
class ZoneAxis:
    """The line that zones are measured along: a needle, or the middle line of several.

    ``distal_mm`` is where the active zones begin on it; stations are counted from there
    towards the entry.
    """

    distal_mm: tuple[float, float, float]
    towards_entry: tuple[float, float, float]
    active_length_mm: float

    @classmethod
    def of(cls, placements: Sequence[Placement]) -> ZoneAxis:
        """The mean line of the needles; raises `InputError` for none."""
        if not placements:
            raise InputError(
                "placements", got="none", expected="at least one", remedy="Give the placements."
            )
        ends = np.array([p.active_segment for p in placements])  # (needle, end, xyz)
        direction = -np.sum([p.needle.direction for p in placements], axis=0)
        if float(np.linalg.norm(direction)) < 0.3 * len(placements):  # needles from all sides
            direction = -placements[0].needle.direction
        direction = direction / np.linalg.norm(direction)
        centre = ends.mean(axis=(0, 1))
        along = (ends - centre) @ direction
        low, high = float(along.min()), float(along.max())
        distal = centre + low * direction
        return cls(
            (float(distal[0]), float(distal[1]), float(distal[2])),
            (float(direction[0]), float(direction[1]), float(direction[2])),
            high - low,
        )

    def frame(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Two unit vectors across the axis."""
        d = np.array(self.towards_entry)
        u = np.cross(d, np.eye(3)[int(np.argmin(np.abs(d)))])
        u /= np.linalg.norm(u)
        return u, np.cross(d, u)


@dataclass(frozen=True, eq=False)
class ZoneMeasure:
    """What `measure_zone` found; lengths are 0 where there is no zone.

    ``length_mm`` is the longest chord parallel to the axis.  ``station_mm`` (n,) runs along the
    axis from its distal end; ``radius_mm`` (n,) is the mean distance of the outer edge from the
    axis there (0 outside the zone).  ``width_mm`` is the mean diameter across at the widest
    station, ``least_width_mm`` and ``most_width_mm`` the smallest and largest there.
    ``cut_off``: the zone touches the edge of the box, so it is larger.
    """

    name: str
    volume_ml: float
    length_mm: float
    width_mm: float
    least_width_mm: float
    most_width_mm: float
    cut_off: bool
    station_mm: NDArray[np.float64]
    radius_mm: NDArray[np.float64]


def zone_fields(result: AblationResult, lethal: LethalRule | None = None) -> tuple[ZoneField, ...]:
    """Every zone of ``result.zones()`` as a smooth field, the dead zone of ``lethal`` first.

    A zone whose field is not known here is given as its mask (0 and 1, level one half), which
    measures it to a voxel only.
    """
    known: dict[str, ZoneField] = {}
    if isinstance(result, CryoResult):
        c = result.end_of_freeze_c
        if lethal is not None:
            shown = f"{lethal.threshold_c:g}".replace("-", "\N{MINUS SIGN}")
            times = "one freeze" if lethal.cycles == 1 else f"{lethal.cycles} freezes"
            words = f"lethal: {shown} °C or colder in {times}"
            if lethal.hold_s > 0.0:  # time below a threshold is no isotherm
                words += f", {lethal.hold_s:g} s in each"
                held = Volume(result.lethal_zone(lethal).astype(np.uint8), result.grid, "1")
                known["lethal"] = ZoneField("lethal", words, held, 0.5, False)
            else:
                known["lethal"] = ZoneField(
                    "lethal", words, result.lethal_temperature(lethal), lethal.threshold_c, True
                )
        for name, level, words in (
            ("ice", 0.0, "ice: 0 °C at the end of the last freeze"),
            ("minus_20", -20.0, "−20 °C at the end of the last freeze"),
            ("minus_40", -40.0, "−40 °C at the end of the last freeze"),
        ):
            known[name] = ZoneField(name, words, c, level, True)
    elif isinstance(result, HeatResult):
        for level in (50.0, 60.0):
            name = f"above_{level:.0f}"
            known[name] = ZoneField(
                name, f"{level:g} °C or hotter at some time", result.maximum_c, level, False
            )
    elif isinstance(result, FieldResult):
        level = result.threshold_v_per_cm
        known["electroporated"] = ZoneField(
            "electroporated", f"{level:g} V/cm or more", result.field_v_per_cm, level, False
        )
    if isinstance(result, HeatResult | FieldResult):
        for name, volume in result.damage.items():
            known[name] = ZoneField(
                name,
                _dead_words(name, volume, result.damage_level[name]),
                volume,
                result.damage_level[name],
                False,
            )
    zones = result.zones()
    out = [known.pop("lethal")] if "lethal" in known else []
    for name, mask in zones.items():
        if name == "lethal" and out:
            continue
        words = name.replace("_", " ")
        own = ZoneField(name, words, Volume(mask.astype(np.uint8), result.grid, "1"), 0.5, False)
        out.append(known.get(name, own))
    return tuple(out)


def _dead_words(name: str, volume: Volume, level: float) -> str:
    model = {"arrhenius": "Arrhenius", "cem43": "CEM43", "three_state": "three-state model"}
    unit = " min" if volume.quantity == "min" else ""
    return f"dead by {model.get(name, name)} (≥ {level:g}{unit})"


def measure_zone(zone: ZoneField, axis: ZoneAxis) -> ZoneMeasure:
    """Volume and sizes of one zone; trilinear field, edges by linear interpolation.

    Volume: see `voxels_inside`.  Sizes: the outermost crossing on rays from the axis in 36
    directions at stations a voxel apart; the length on lines two voxels apart.
    """
    grid, signed = zone.field.grid, zone.signed()
    box = _box_of_zone(signed)
    if box is None:
        empty = np.zeros(1)
        return ZoneMeasure(zone.name, 0.0, 0.0, 0.0, 0.0, 0.0, False, empty, empty)
    part = signed[box]
    volume = voxels_inside(part)
    cut_off = any(
        (s.start == 0 and bool((np.take(signed, 0, axis=k) >= 0).any()))
        or (s.stop == n and bool((np.take(signed, n - 1, axis=k) >= 0).any()))
        for k, (s, n) in enumerate(zip(box, signed.shape, strict=True))
    )
    extent = _extent(zone, part, box, axis)
    stations, radii = _radii(zone, signed, axis, extent)
    both = radii + np.roll(radii, _DIRECTIONS // 2, axis=1)  # diameters, opposite directions
    mean = radii.mean(axis=1)
    widest = int(np.argmax(both.mean(axis=1)))
    return ZoneMeasure(
        name=zone.name,
        volume_ml=volume * grid.voxel_volume_mm3 / 1000.0,
        length_mm=_length(zone, signed, axis, extent),
        width_mm=float(both[widest].mean()),
        least_width_mm=float(both[widest].min()),
        most_width_mm=float(both[widest].max()),
        cut_off=cut_off,
        station_mm=stations,
        radius_mm=mean,
    )


def voxels_inside(signed: NDArray[np.float32]) -> float:
    """Volume where the field is >= 0, voxels: each counts by its share on the inner side.

    The share is that of a plane with the field's slope (exact for it).  A temperature has a kink
    near the edge of ice; there the slope on the voxel's own side gives too much and the central one
    too little, so the mean of both shares is taken: within 2 % of an axisymmetric solution of
    one probe's ice at 1 and 2 mm.
    """
    inside = signed >= 0
    own = np.zeros(signed.shape, np.float32)
    central = np.zeros(signed.shape, np.float32)
    for axis in range(3):
        if signed.shape[axis] < 2:
            continue
        step = np.diff(signed, axis=axis)
        first, last = (np.take(step, [k], axis=axis) for k in (0, -1))
        before = np.concatenate([first, step], axis=axis)
        after = np.concatenate([step, last], axis=axis)
        own += np.square(np.where((before + after > 0) == inside, after, before))
        central += np.square(0.5 * (before + after))
    shares = [np.clip(0.5 + signed / (np.sqrt(s) + 1e-6), 0.0, 1.0) for s in (own, central)]
    return 0.5 * sum(float(s.sum(dtype=np.float64)) for s in shares)


def _box_of_zone(signed: NDArray[np.float32]) -> tuple[slice, slice, slice] | None:
    inside = signed >= 0
    out = []
    for k in range(3):
        line = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != k)))
        if line.size == 0:
            return None
        out.append(slice(max(0, int(line[0]) - 2), min(signed.shape[k], int(line[-1]) + 3)))
    return out[0], out[1], out[2]


def _sample(
    zone: ZoneField, signed: NDArray[np.float32], points: NDArray[np.float64]
) -> NDArray[np.float64]:
    """``signed`` at (..., 3) LPS points, trilinear; well outside the zone beyond the grid."""
    from scipy.ndimage import map_coordinates

    index = zone.field.grid.lps_to_index(points)
    outside = float(min(-1e-3, signed.min()))
    values: NDArray[np.float64] = map_coordinates(
        signed, index.reshape(-1, 3).T, order=1, mode="constant", cval=outside, output=np.float64
    )
    return values.reshape(points.shape[:-1])


class _Extent(NamedTuple):
    """How far rays are listed (``reach``), and where on them the zone can be: along the axis from
    ``first`` to ``last``, at most ``farthest`` from it; ``voxel``, the smallest edge.  mm."""

    reach: float
    first: float
    last: float
    farthest: float
    voxel: float


def _extent(
    zone: ZoneField, part: NDArray[np.float32], box: tuple[slice, slice, slice], axis: ZoneAxis
) -> _Extent:
    """A trilinear field is >= 0 only where one of the eight voxels around is."""
    grid, distal = zone.field.grid, np.array(axis.distal_mm)
    corners = np.array(list(product(*((s.start, s.stop - 1) for s in box))))
    far = float(np.linalg.norm(grid.index_to_lps(corners) - distal, axis=1).max())
    diagonal = math.hypot(*(n * h for n, h in zip(part.shape, grid.spacing_mm, strict=True)))
    away = grid.index_to_lps(np.argwhere(part >= 0) + [s.start for s in box]) - distal
    along = away @ np.array(axis.towards_entry)
    across = np.sqrt(np.maximum(np.einsum("ij,ij->i", away, away) - along**2, 0.0))
    voxel = min(grid.spacing_mm)
    near = math.hypot(*grid.spacing_mm) + voxel
    return _Extent(
        max(diagonal, far - axis.active_length_mm),  # the zone may lie off the axis' part
        float(along.min()) - near, float(along.max()) + near, float(across.max()) + near, voxel,
    )  # fmt: skip


def _radii(
    zone: ZoneField, signed: NDArray[np.float32], axis: ZoneAxis, extent: _Extent
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n,) stations along the axis and (n, 36) distances of the zone's outer edge there, mm."""
    u, v = axis.frame()
    phi = 2.0 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    across = np.cos(phi)[:, None] * u + np.sin(phi)[:, None] * v
    reach, first, last, farthest, h = extent
    r = np.arange(0.0, min(reach, farthest), _RAY_STEP * h)
    stations = np.arange(-reach, axis.active_length_mm + reach, h)
    some = (stations >= first) & (stations <= last)
    centre = np.array(axis.distal_mm) + stations[some, None] * np.array(axis.towards_entry)
    points = centre[:, None, None] + across[None, :, None] * r[:, None]
    radii = np.zeros((stations.size, _DIRECTIONS))
    radii[some] = _last_crossing(_sample(zone, signed, points), r)
    return stations, radii


def _last_crossing(inside: NDArray[np.float64], r: NDArray[np.float64]) -> NDArray[np.float64]:
    """Outermost place on each ray (last axis) where the field falls below zero; 0 for none."""
    hit = inside >= 0
    last = inside.shape[-1] - 1 - np.argmax(hit[..., ::-1], axis=-1)
    after = np.minimum(last + 1, inside.shape[-1] - 1)
    a = np.take_along_axis(inside, last[..., None], -1)[..., 0]
    b = np.take_along_axis(inside, after[..., None], -1)[..., 0]
    share = np.where(after > last, a / np.maximum(a - b, 1e-12), 0.0)
    out = r[last] + share * (r[1] - r[0])
    return np.where(hit.any(axis=-1), out, 0.0)


def _length(zone: ZoneField, signed: NDArray[np.float32], axis: ZoneAxis, extent: _Extent) -> float:
    """Longest chord parallel to the axis, on a lattice of lines two voxels apart."""
    u, v = axis.frame()
    reach, first, last, farthest, h = extent
    n = int(min(0.5 * reach, farthest) / (2.0 * h))
    offset = 2.0 * h * np.arange(-n, n + 1)
    across = offset[:, None, None] * u + offset[None, :, None] * v
    t = np.arange(-reach, axis.active_length_mm + reach, _RAY_STEP * h)
    t = t[(t >= first) & (t <= last)]
    line = np.array(axis.distal_mm) + t[:, None] * np.array(axis.towards_entry)
    inside = _sample(zone, signed, across.reshape(-1, 1, 3) + line)
    inside = inside[(inside >= 0).any(axis=1)]
    if inside.shape[0] == 0:
        return 0.0
    end = _last_crossing(inside, t)
    start = -_last_crossing(inside[:, ::-1], -t[::-1])
    return float((end - start).max())
