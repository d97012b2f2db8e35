"""Needles, wires and clips drawn into a synthetic patient, as an ablation would leave them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from irplan.errors import InputError
from irplan.geometry import Grid, Needle, as_point
from irplan.image import LabelMap
from irplan.phantom.metal import Alloy, MetalNeedle, MetalPart, MetalWire

#: Shaft diameters, mm: 18, 17, 16, 15, 14, 13 G (ISO 9626).
GAUGES_MM = (1.27, 1.47, 1.65, 1.83, 2.11, 2.41)
#: Two needles are never closer than this between their axes, mm (unless they cross).
LEAST_GAP_MM = 6.0
LEAST_CROSSING_MM = 3.5


@dataclass(frozen=True)
class NeedleScene:
    """What was put into the patient: needles to be found, and other metal that is none."""

    needles: tuple[MetalNeedle, ...]
    others: tuple[MetalWire, ...]

    @property
    def parts(self) -> tuple[MetalPart, ...]:
        """Everything of metal."""
        return (*self.needles, *self.others)


def draw_needles(
    labels: LabelMap, count: int, seed: int, *, others: bool = True, max_tilt_deg: float = 40.0
) -> NeedleScene:
    """``count`` (0 to 8) needles from the skin into the liver, clear of bone, and other metal.

    The first needle is free; each next one is, by chance, near-parallel (6 to 20 mm away), crossing
    or free.  Others: a curved cable on the skin, a straight wire beside the body, two clips in the
    belly.  ``labels``: structures of `abdominal_ct` on an upright grid (slices to the head).
    Deterministic in ``seed``.  Raises `InputError` when no such needle is found.
    """
    rng = np.random.default_rng([seed, 41])
    scene = _Patient(labels)
    found: list[MetalNeedle] = []
    for _ in range(count):
        found.append(_one(scene, found, rng, max_tilt_deg))
    return NeedleScene(tuple(found), _others(scene, rng) if others else ())


class _Patient:
    def __init__(self, labels: LabelMap) -> None:
        self.grid: Grid = labels.grid
        self.bone = ndimage.binary_dilation(labels.mask("bone"), iterations=2)
        self.liver = ndimage.binary_erosion(labels.mask("liver"), iterations=4)
        self.body = np.asarray(labels.array) > 0
        self.targets = np.argwhere(self.liver)

    def at(self, mask: NDArray[np.bool_], points: NDArray[np.float64]) -> NDArray[np.bool_]:
        index = np.rint(self.grid.lps_to_index(points)).astype(int)
        inside = np.all((index >= 0) & (index < np.array(self.grid.shape)), axis=1)
        out = np.zeros(len(points), dtype=bool)
        out[inside] = mask[tuple(index[inside].T)]
        return out


def _one(
    scene: _Patient, others: list[MetalNeedle], rng: np.random.Generator, tilt_deg: float
) -> MetalNeedle:
    for _ in range(4000):
        way = rng.random()
        if others and way < 0.6:
            first = others[int(rng.integers(len(others)))].needle
            d = first.direction
            side = np.cross(d, rng.standard_normal(3))
            side /= np.linalg.norm(side)
            tip = np.array(first.tip_mm) + side * rng.uniform(6.5, 20.0) + d * rng.uniform(-10, 10)
            if way < 0.4:  # near-parallel
                d = d + 0.05 * rng.standard_normal(3)
            else:  # crossing behind the tip
                meet = first.point_at(first.depth_mm * rng.uniform(0.3, 0.7))
                d = tip - meet + 3.0 * rng.standard_normal(3)
        else:
            tip = scene.grid.index_to_lps(scene.targets[rng.integers(len(scene.targets))])
            tip = tip + rng.uniform(-0.5, 0.5, 3)
            axial, tilt = (
                rng.uniform(0, 2 * math.pi),
                math.radians(rng.uniform(-tilt_deg, tilt_deg)),
            )
            d = np.array(
                [math.cos(axial) * math.cos(tilt), math.sin(axial) * math.cos(tilt), math.sin(tilt)]
            )
        d /= np.linalg.norm(d)
        if abs(d[2]) > math.sin(math.radians(tilt_deg + 10.0)) or d[1] < -0.5:
            continue  # not from below the table
        made = _shape(scene, tip, d, rng)
        if made is not None and all(_clear(made.needle, o.needle) for o in others):
            return made
    raise InputError(
        "needle scene",
        got="no free path in 4000 tries",
        expected="a liver that can be reached from the skin",
        remedy="Ask for fewer needles or another patient.",
    )


def _shape(
    scene: _Patient, tip: NDArray[np.float64], d: NDArray[np.float64], rng: np.random.Generator
) -> MetalNeedle | None:
    steps = np.arange(0.0, 220.0, 1.0)
    line = tip - steps[:, None] * d
    outside = ~scene.at(scene.body, line)
    if not scene.at(scene.liver, tip[None])[0] or not outside.any():
        return None
    depth = float(steps[np.argmax(outside)])
    if not 35.0 <= depth <= 150.0 or not bool(scene.grid.contains(line[int(depth)])):
        return None
    if scene.at(scene.bone, line[: int(depth)]).any():
        return None
    diameter = float(rng.choice(GAUGES_MM))
    alloys: tuple[Alloy, ...] = ("steel", "nitinol", "titanium")
    return MetalNeedle(
        Needle(as_point(tip, field="tip"), as_point(tip - depth * d, field="entry")),
        diameter,
        diameter * float(rng.uniform(0.7, 1.5)),
        float(rng.uniform(15.0, 100.0)),
        alloys[int(rng.choice(3, p=(0.6, 0.2, 0.2)))],
    )


def _clear(a: Needle, b: Needle) -> bool:
    s = np.linspace(0.0, a.depth_mm + 30.0, 60)
    gap = b.distance_to(np.array(a.tip_mm) - s[:, None] * a.direction)
    crossing = abs(float(a.direction @ b.direction)) < 0.97
    near_tip = min(float(b.distance_to(a.tip_mm)), float(a.distance_to(b.tip_mm)))
    least = LEAST_CROSSING_MM if crossing else LEAST_GAP_MM
    return float(gap.min()) >= least and near_tip >= LEAST_GAP_MM


def _others(scene: _Patient, rng: np.random.Generator) -> tuple[MetalWire, ...]:
    out = []
    grid = scene.grid
    z = float(grid.centre_lps_mm[2]) + rng.uniform(-40.0, 40.0)
    k = round(float(grid.lps_to_index([0.0, 0.0, z])[0]))
    front = []
    for x in np.arange(-70.0, 71.0, 5.0):  # a cable that follows the skin in front, 3 mm above it
        i = round(float(grid.lps_to_index([x, 0.0, z])[2]))
        column = np.flatnonzero(scene.body[k, :, i])
        if len(column):
            y = float(grid.index_to_lps([k, column[0], i])[1])
            front.append((x, y - 3.0, z + 8.0 * math.sin(x / 25.0)))
    if len(front) > 3:
        out.append(MetalWire(tuple(front), 1.0))
        x0, y0 = front[0][0], front[0][1]
        start = (x0 - 30.0, y0 - 12.0, z + 30.0)
        out.append(MetalWire((start, (x0 + 40.0, y0 - 14.0, z + 45.0)), 1.2))
    for _ in range(2):  # clips of 8 mm [S: medium-large clip]
        at = scene.grid.index_to_lps(scene.targets[rng.integers(len(scene.targets))])
        way = rng.standard_normal(3)
        way *= 4.0 / np.linalg.norm(way)
        out.append(
            MetalWire(
                (as_point(at - way, field="clip"), as_point(at + way, field="clip")),
                1.5,
                "titanium",
            )
        )
    return tuple(out)
