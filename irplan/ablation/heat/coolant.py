"""Coolant in a tip or shaft: a line sink with a film coefficient.

The needle is thinner than a voxel, so the coolant takes heat through the distributed line source
of `irplan.ablation.line_source`: per length of needle

    q = (T_ref - T_coolant) / (ln(r_eff / r_p) / (2 pi k) + 1 / (2 pi r_p h_film)),

the logarithmic profile between the kernel's radius and the needle's wall, and the film within.
It assumes no heat source between the wall and r_eff (about 1.5 mm): next to a hot antenna the
temperature within that distance is not resolved.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.heat.layout import HeatLayout
from irplan.ablation.line_source import LineSource, line_source
from irplan.ablation.placement import Placement
from irplan.geometry import Grid

#: The kernel needs this much room to the outer faces, in units of its sigma.
_ROOM_SIGMAS = 5.0


@dataclass(frozen=True, eq=False)
class Coolant:
    """One cooled length of one needle (`coolant` builds it)."""

    line: LineSource
    temperature_c: float
    film_mk_per_w: float


def coolant(
    placement: Placement,
    grid: Grid,
    *,
    from_tip_mm: float,
    to_tip_mm: float,
    temperature_c: float,
    transfer_w_per_m2k: float,
) -> Coolant | None:
    """The coolant between two distances behind the tip, cut to the part well inside ``grid``.

    None when less than 5 mm of it lies inside.
    """
    applicator, needle = placement.applicator, placement.needle
    radius = 0.5 * applicator.shaft_diameter_mm
    sigma = max(0.75 * max(grid.spacing_mm), radius)
    room = _ROOM_SIGMAS * sigma / np.asarray(grid.spacing_mm) + 1.0
    ends = grid.lps_to_index(np.array(needle.segment(from_tip_mm, to_tip_mm)))
    step = ends[1] - ends[0]
    low, high = 0.0, 1.0
    for axis in range(3):
        inner, outer = room[axis], grid.shape[axis] - 1.0 - room[axis]
        if abs(step[axis]) < 1e-12:
            if not inner <= ends[0][axis] <= outer:
                return None
            continue
        cuts = sorted(((inner - ends[0][axis]) / step[axis], (outer - ends[0][axis]) / step[axis]))
        low, high = max(low, cuts[0]), min(high, cuts[1])
    length = to_tip_mm - from_tip_mm
    if (high - low) * length < 5.0:
        return None
    cooled = dataclasses.replace(
        applicator,
        tip_offset_mm=0.0,
        active_length_mm=min(100.0, (high - low) * length),
    )
    start, end = needle.segment(from_tip_mm + low * length, from_tip_mm + low * length + 2.0)
    shifted = dataclasses.replace(needle, tip_mm=start, entry_mm=end)
    return Coolant(
        line=line_source(Placement(shifted, cooled, placement.status), grid),
        temperature_c=temperature_c,
        film_mk_per_w=1.0 / (2.0 * math.pi * radius * 1e-3 * transfer_w_per_m2k),
    )


@dataclass(frozen=True, eq=False)
class CoolantTables:
    """All coolants of a problem as the flat arrays of `irplan.compute.cpu.heat`."""

    rise: NDArray[np.float64]
    log_part: NDArray[np.float64]
    film_part: NDArray[np.float64]
    per_volume: NDArray[np.float64]
    sink_ptr: NDArray[np.int64]
    sample_ptr: NDArray[np.int64]
    local: NDArray[np.int64]
    weight: NDArray[np.float32]
    voxel_ptr: NDArray[np.int64]
    voxel: NDArray[np.int64]
    boxes: tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]

    @classmethod
    def from_coolants(cls, coolants: Sequence[Coolant], layout: HeatLayout) -> CoolantTables:
        """Pack ``coolants``."""
        lines = [c.line for c in coolants]
        logs = [math.log(s.r_eff_mm / s.radius_mm) / (2.0 * math.pi) for s in lines]
        entries = np.cumsum([0] + [s.weight.size for s in lines])
        pointers = [s.sample_ptr[1:] + e for s, e in zip(lines, entries[:-1], strict=True)]
        none_i, none_f = np.zeros(0, np.int64), np.zeros(0, np.float32)
        return cls(
            rise=np.array([c.temperature_c - layout.body_c for c in coolants], np.float64),
            log_part=np.array(logs, np.float64),
            film_part=np.array([c.film_mk_per_w for c in coolants], np.float64),
            per_volume=np.array(
                [s.strength * g for s, g in zip(lines, logs, strict=True)], np.float64
            ),
            sink_ptr=np.cumsum([0] + [s.sample_ptr.size - 1 for s in lines]).astype(np.int64),
            sample_ptr=np.concatenate([np.zeros(1, np.int64), *pointers]).astype(np.int64),
            local=np.concatenate([none_i, *(s.local for s in lines)]).astype(np.int64),
            weight=np.concatenate([none_f, *(s.weight for s in lines)]).astype(np.float32),
            voxel_ptr=np.cumsum([0] + [s.voxels.shape[0] for s in lines]).astype(np.int64),
            voxel=np.concatenate([none_i, *(layout.flat(s.voxels) for s in lines)]),
            boxes=tuple((s.voxels.min(axis=0), s.voxels.max(axis=0) + 1) for s in lines),
        )
