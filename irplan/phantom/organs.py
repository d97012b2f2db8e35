"""Spleen, kidneys, stomach, pancreas, psoas: the other solid and hollow organs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.phantom.body import Body
from irplan.phantom.lattice import F32, Lattice, chain, ellipsoid, smooth_max
from irplan.phantom.trunk import Trunk
from irplan.phantom.variant import PLAIN, Variant

#: Thickness of the stomach's wall where it meets the liver [S: distended 3-5 mm], mm.
WALL_MM = 4.0


@dataclass(frozen=True, eq=False)
class Kidney:
    """Outer field, medulla and sinus fields, and the hilum in the reference frame."""

    outer: F32
    medulla: F32
    sinus: F32
    hilum: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stomach:
    """Outer wall, lumen and the part of the lumen above the fluid level."""

    wall: F32
    lumen: F32
    gas: F32


def build_kidney(
    side: int, xyz: tuple[F32, F32, F32], cavity: F32, rng: np.random.Generator
) -> Kidney:
    """The right (-1) or left (+1) kidney, its long axis leaning outwards and forwards below."""
    dx, dy, dz, size = rng.normal([0.0, 0.0, 0.0, 1.0], [3.0, 2.5, 6.0, 0.06])
    size = float(np.clip(size, 0.85, 1.15))
    cz = (-172.0 if side < 0 else -158.0) + dz
    cx, cy = side * (64.0 + dx), 42.0 + dy
    x, y, z = xyz
    # shear: the lower pole lies further out and further forward
    lean = (np.clip(z - cz, -60.0, 60.0) * 0.22).astype(np.float32)
    sheared = (x + side * lean, y + 0.12 * lean / 0.22, z)
    radii = (30.0 * size, 28.5 * size, 56.0 * size)
    turn = 32.0 * side
    outer = ellipsoid(sheared, (cx, cy, cz), radii, (turn, 0.0))
    notch = ellipsoid(sheared, (cx - side * 25.0, cy - 11.0, cz), (15.0, 10.0, 17.0), (turn, 0.0))
    outer = smooth_max(outer, (-notch).astype(np.float32), 5.0)
    outer = np.maximum(outer, cavity + 4.0).astype(np.float32)
    sinus = ellipsoid(sheared, (cx - side * 12.0, cy - 5.0, cz), (15.0, 10.0, 30.0), (turn, 0.0))
    angle = np.arctan2(sheared[1] - cy, sheared[0] - cx)
    pyramids = np.sin((z - cz) / 54.0 * 11.0) * np.cos(3.0 * angle)
    medulla = np.maximum(outer + 6.5 + 3.0 * np.clip(pyramids, -1.0, 1.0), 3.0 - sinus)
    hilum = np.array([cx - side * 24.0, cy - 11.0, cz])
    return Kidney(outer, medulla.astype(np.float32), np.maximum(sinus, outer + 4.0), hilum)


def build_spleen(
    xyz: tuple[F32, F32, F32],
    trunk: Trunk,
    kidney: Kidney,
    rng: np.random.Generator,
    *,
    volume: float = 1.0,
    gap_mm: float = 0.0,
) -> F32:
    """Spleen: hugging the left wall behind the stomach, hollowed by stomach and kidney.

    ``volume`` over the drawn one: a larger spleen reaches down, forwards and to the midline;
    ``gap_mm`` of fluid keeps it from the wall.
    """
    dz, size = rng.normal([0.0, 1.0], [7.0, 0.08])
    size = float(np.clip(size, 0.82, 1.2))
    grown = float(np.cbrt(volume))
    size, more = size * grown, grown - 1.0
    main = ellipsoid(
        xyz,
        (98.0 - 18.0 * more, 32.0 - 12.0 * more, -76.0 + dz - 45.0 * more),
        (39.0 * size, 59.0 * size, 61.0 * size),
        (-28.0, -16.0),
    )
    hollow = ellipsoid(xyz, (56.0, 4.0, -76.0 + dz), (42.0, 46.0, 70.0))
    out = smooth_max(main, (-hollow).astype(np.float32), 7.0)
    out = smooth_max(out, (trunk.cavity + 3.5 + gap_mm).astype(np.float32), 6.0)
    out = smooth_max(out, (4.5 - trunk.below_dome).astype(np.float32), 6.0)
    return smooth_max(out, (3.5 - kidney.outer).astype(np.float32), 4.0)


def build_stomach(
    body: Body,
    lattice: Lattice,
    xyz: tuple[F32, F32, F32],
    trunk: Trunk,
    rng: np.random.Generator,
    *,
    liver: F32,
    variant: Variant = PLAIN,
) -> Stomach:
    """Fundus under the left dome, body forwards and down, antrum across the midline.

    ``variant`` gives its width, contents and how far it lies towards ``liver``; where the two
    touch, the wall keeps its thickness.
    """
    fill = float(np.clip(rng.normal(1.0, 0.16), 0.7, 1.3)) * variant.stomach_fill
    low = float(rng.normal(0.0, 9.0))
    points = np.array(
        [
            [54.0, 12.0, -38.0],
            [64.0, -8.0, -62.0],
            [62.0, -36.0, -96.0 + 0.4 * low],
            [44.0, -52.0, -126.0 + low],
            [18.0, -52.0, -136.0 + low],
            [-8.0, -40.0, -130.0 + 0.5 * low],
            [-22.0, -26.0, -122.0],
        ]
    )
    points[:4] += variant.stomach_shift_mm * np.array([-0.9, -0.3, 0.25])
    points[4:] += variant.stomach_shift_mm * np.array([-0.3, -0.2, 0.8])
    radii = np.array([31.0, 33.0, 29.0, 24.0, 19.0, 13.0, 8.5]) * fill
    wall = chain(xyz, points, radii)
    wall = smooth_max(wall, (trunk.cavity + 4.0).astype(np.float32), 8.0)
    wall = smooth_max(wall, (5.0 - trunk.below_dome).astype(np.float32), 8.0)
    folds = lattice.noise(rng, 11.0)
    lumen = (wall + 4.5 + 1.2 * folds).astype(np.float32)
    if variant.stomach_shift_mm or variant.stomach_fill > 1.0:
        lumen = np.maximum(lumen, WALL_MM - liver).astype(np.float32)
    level = float(np.clip(rng.normal(0.38, 0.18), 0.05, 0.8))
    level = {"gas": 0.9, "fluid": 0.03, "food": 0.08, "contrast": 0.08}.get(variant.stomach, level)
    if variant.prone:
        level = 1.0 - level
    inside = lumen < 0
    y = np.broadcast_to(lattice.y[None, :, None], lattice.shape)[inside]
    level_mm = float(np.quantile(y, level)) if y.size else -1e3
    upwards = -1.0 if variant.prone else 1.0
    surface = (upwards * (lattice.y - level_mm))[None, :, None]
    gas = np.maximum(lumen, np.broadcast_to(surface, lattice.shape)).astype(np.float32)
    return Stomach(wall.astype(np.float32), lumen, gas)


def build_pancreas(xyz: tuple[F32, F32, F32], lattice: Lattice, rng: np.random.Generator) -> F32:
    """Head in the duodenal loop, body over the spine, tail towards the splenic hilum."""
    points = np.array(
        [
            [-22.0, -10.0, -150.0],
            [-18.0, -17.0, -132.0],
            [2.0, -27.0, -122.0],
            [28.0, -16.0, -112.0],
            [58.0, 16.0, -98.0],
        ]
    )
    size = float(np.clip(rng.normal(1.0, 0.1), 0.75, 1.2))
    lobules = 2.0 * lattice.noise(rng, 9.0)
    out: F32 = chain(xyz, points, np.array([15.0, 15.5, 11.0, 11.5, 10.5]) * size) + lobules
    return out


def build_psoas(body: Body, xyz: tuple[F32, F32, F32]) -> F32:
    """Both psoas muscles beside the lumbar spine and both crura in front of it."""
    parts = []
    for s in (-1.0, 1.0):
        z = np.array([-112.0, -160.0, -210.0, -275.0])
        c = body.spine_line(z)
        out = c + np.array([[s * 25, 6, 0], [s * 32, 8, 0], [s * 38, 5, 0], [s * 44, -2, 0]])
        parts.append(chain(xyz, out, [4.0, 10.0, 17.0, 21.0]))
        quad = c + np.array([[s * 52, 26, 0], [s * 56, 26, 0], [s * 62, 25, 0], [s * 66, 24, 0]])
        parts.append(chain(xyz, quad, [6.0, 9.0, 11.0, 12.0]))
        zc = np.array([-60.0, -100.0, -150.0])
        crus = body.spine_line(zc) + np.array(
            [[s * 17, -24, 0], [s * 16, -22, 0], [s * 14, -19, 0]]
        )
        parts.append(chain(xyz, crus, [4.0, 5.0, 3.0]))
    union: F32 = np.minimum.reduce(parts)
    return union
