"""Duodenum, colon with gas and faeces, loops of small bowel with fluid and some gas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.phantom.body import Body
from irplan.phantom.lattice import F32, Lattice
from irplan.phantom.vessels import Tubes, tube


@dataclass(frozen=True, eq=False)
class Bowel:
    """Capsules (N, 9): walls, fluid lumen, faeces and gas (with its level)."""

    wall: Tubes
    fluid: Tubes
    faeces: Tubes
    gas: Tubes


def build_bowel(
    body: Body,
    lattice: Lattice,
    occupied: F32,
    cavity: F32,
    rng: np.random.Generator,
    *,
    rise_mm: float = 0.0,
) -> Bowel:
    """Bowel in the room that is left (``occupied`` is the distance to solid organs).

    ``rise_mm`` lifts the right half of the colon, which the liver then indents.
    """
    walls, fluid, faeces, gas = [], [], [], []
    size = float(np.clip(rng.normal(1.0, 0.1), 0.8, 1.2))
    for points, radii in _colon(rng):
        r = np.asarray(radii) * size
        lifted = np.asarray(points, dtype=np.float64)
        lifted[:, 2] += rise_mm * np.clip((40.0 - lifted[:, 0]) / 70.0, 0.0, 1.0)
        line = body.to_lps(lifted)
        haustra = 1.0 + 0.10 * np.sin(np.linspace(0.0, 3.0 * len(line), 4 * len(line)))
        fine = _resample(line, 4 * len(line))
        width = np.interp(np.linspace(0, 1, len(fine)), np.linspace(0, 1, len(r)), r) * haustra
        walls.append(tube(fine, width))
        faeces.append(tube(fine, width - 2.2))
        air = tube(fine, width - 2.4)
        # stool holds its shape: gas lies over it at a height that follows the gut slowly
        full = float(rng.uniform(-0.6, 0.6))
        air[:, 8] = np.median(air[:, 1]) + full * np.median(air[:, 6])
        gas.append(air)
    c_loop = [
        [-24, -26, -122],
        [-40, -16, -128],
        [-42, -6, -150],
        [-36, -2, -172],
        [-12, -4, -178],
        [14, -6, -172],
        [32, -22, -160],
    ]
    duodenum = tube(body.to_lps(c_loop), [9, 11, 11, 11, 10.5, 10, 10])
    walls.append(duodenum)
    fluid.append(_shrunk(duodenum, 2.4))
    for line, radius in _loops(body, lattice, occupied, cavity, rng):
        loop = tube(line, np.full(len(line), radius))
        walls.append(loop)
        inner = _shrunk(loop, 2.0)
        fluid.append(inner)
        if rng.uniform() < 0.3:
            air = inner.copy()
            air[:, 8] = float(line[:, 1].min()) + rng.uniform(-4.0, 4.0)
            gas.append(air)
    return Bowel(
        np.concatenate(walls), np.concatenate(fluid), np.concatenate(faeces), np.concatenate(gas)
    )


def _colon(rng: np.random.Generator) -> list[tuple[list[list[float]], list[float]]]:
    """Ascending with right flexure, transverse, left flexure with descending; reference mm."""
    sag = float(rng.normal(0.0, 10.0))
    right: list[list[float]] = [
        [-102, 18, -275],
        [-104, 12, -240],
        [-102, 2, -212],
        [-92, -22, -196 + 0.3 * sag],
    ]
    across: list[list[float]] = [
        [-92, -22, -196 + 0.3 * sag],
        [-72, -55, -192 + 0.6 * sag],
        [-34, -66, -190 + sag],
        [10, -68, -186 + sag],
        [48, -64, -172 + 0.7 * sag],
        [82, -48, -142],
        [104, -22, -112],
        [108, -2, -96],
    ]
    left: list[list[float]] = [
        [108, -2, -96],
        [112, 18, -122],
        [110, 32, -170],
        [106, 34, -220],
        [102, 30, -275],
    ]
    return [
        (right, [24.0, 23.0, 21.0, 19.0]),
        (across, [19.0, 18.0, 17.0, 17.0, 17.0, 18.0, 17.0, 15.0]),
        (left, [15.0, 14.0, 13.0, 12.0, 12.0]),
    ]


def _loops(
    body: Body, lattice: Lattice, occupied: F32, cavity: F32, rng: np.random.Generator
) -> list[tuple[NDArray[np.float64], float]]:
    """Winding loops of small bowel packed into the lower abdomen: (11, 3) LPS points, radius."""
    count = 4000
    low, high = [-88.0, -76.0, -270.0], [104.0, 34.0, -84.0]
    centre = body.to_lps(rng.uniform(low, high, (count, 3)))
    along = rng.standard_normal((count, 3)) * [1.0, 1.0, 0.7]
    along /= np.linalg.norm(along, axis=1)[:, None]
    side = np.cross(along, rng.standard_normal((count, 3)))
    side /= np.linalg.norm(side, axis=1)[:, None]
    radius = rng.uniform(7.5, 14.5, count)
    bow = rng.uniform(6.0, 24.0, (count, 1, 1))
    half = rng.uniform(5.0, 38.0, (count, 1, 1))
    t = np.linspace(-1.0, 1.0, 11)[None, :, None]
    lines = centre[:, None] + half * t * along[:, None] + bow * (1 - t * t) * side[:, None]
    room = lattice.sample(occupied, lines).min(axis=1) > radius + 0.5
    room &= lattice.sample(cavity, lines).max(axis=1) < -radius - 1.0
    out: list[tuple[NDArray[np.float64], float]] = []
    placed, width = np.empty((0, 3)), np.empty(0)
    order = np.argsort(-(radius + 0.5 * half[:, 0, 0]), kind="stable")
    for k in order[room[order]]:  # long wide loops first, short ones into the gaps
        gap = np.linalg.norm(lines[k][:, None] - placed[None], axis=-1) - width
        if gap.size and gap.min() < radius[k] - 2.0:
            continue
        out.append((lines[k], float(radius[k])))
        placed = np.vstack([placed, lines[k]])
        width = np.concatenate([width, np.full(11, radius[k])])
    return out


def _resample(line: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    t = np.linspace(0.0, len(line) - 1.0, count)
    k = np.arange(len(line))
    return np.column_stack([np.interp(t, k, line[:, i]) for i in range(3)])


def _shrunk(tubes: Tubes, by_mm: float) -> Tubes:
    out = tubes.copy()
    out[:, 6:8] = np.maximum(out[:, 6:8] - by_mm, 0.5)
    return out
