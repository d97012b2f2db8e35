"""Skin, fat, muscle wall, body cavity, diaphragm, lungs and heart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irplan.phantom.body import SKIN_MM, Body
from irplan.phantom.lattice import (
    F32,
    Lattice,
    as_distance,
    ellipsoid,
    smooth_max,
    smooth_min,
)


@dataclass(frozen=True, eq=False)
class Trunk:
    """Fields on the lattice; ``below_dome`` is negative above the diaphragm's upper face."""

    skin: F32
    fat: F32
    muscle: F32
    cavity: F32
    below_dome: F32
    thorax: F32
    lungs: F32
    heart: F32
    left_ventricle: F32
    right_heart: F32
    septa: F32


def build_trunk(
    body: Body,
    lattice: Lattice,
    xyz: tuple[F32, F32, F32],
    rng: np.random.Generator,
    *,
    contact: float = 0.0,
) -> Trunk:
    """The trunk of ``body``; ``xyz`` are (slightly warped) reference coordinates.

    ``contact`` (0..1) brings the heart down onto the diaphragm.
    """
    u, v = body.upright(lattice.x[None, :], lattice.y[:, None])
    shape = lattice.shape
    u, v = np.broadcast_to(u, shape), np.broadcast_to(v, shape)
    z = xyz[2]
    skin = _outline(body, u, v, z)
    front, back = _sigmoid(-(v + 10.0) / 18.0), _sigmoid((v - 30.0) / 14.0)
    side = np.clip(np.abs(u) / body.half_width, 0.0, 1.0)
    low = _sigmoid(-(z + 120.0) / 35.0)
    flank = np.exp(-(((side - 0.72) / 0.2) ** 2)) * back
    thickness = body.fat * (0.62 + 0.45 * low + 0.18 * front + 0.75 * flank * low)
    inner = (skin + SKIN_MM + thickness).astype(np.float32)
    midline = np.exp(-((u / 62.0) ** 4)) * back
    linea = np.exp(-((u / 8.0) ** 2)) * front
    wall = 9.5 + 5.0 * low * side**2 + 33.0 * midline - 3.5 * linea
    rectus = np.exp(-(((np.abs(u) - 35.0) / 24.0) ** 2)) * front
    cavity = (inner + wall + 2.0 * rectus).astype(np.float32)
    furrow = 9.0 * np.exp(-((u / 9.0) ** 2)) * back
    # fat between the bundles of the back muscles: where a random field is near zero
    grain = lattice.noise(rng, 15.0)
    septa = np.maximum(12.0 * grain * grain - 0.4, np.maximum(inner + 3.0, 14.0 - cavity))
    septa = np.maximum(septa, 14.0 * (0.5 - back))
    dome = _dome(body, u, v, cavity, xyz)
    below_dome = as_distance((dome - z).astype(np.float32) * body.scale[2])
    thorax = smooth_max(cavity, below_dome, 2.0)
    heart = ellipsoid(xyz, (18.0, -40.0, 23.0), (58.0, 38.0, 38.0), (20.0, 12.0))
    right = ellipsoid(xyz, (-20.0, -25.0, 24.0), (26.0, 28.0, 34.0))
    ventricle = ellipsoid(xyz, (40.0, -30.0, 32.0), (26.0, 15.0, 22.0), (20.0, 12.0))
    chamber = smooth_min(
        (right + 4.0).astype(np.float32),
        ellipsoid(xyz, (4.0, -58.0, 25.0), (34.0, 11.0, 20.0), (20.0, 0.0)),
        5.0,
    )
    heart = np.maximum(smooth_min(heart, right, 10.0), below_dome + 1.0 - 0.8 * contact)
    spine_y = body.spine_line(z[:, 0, 0])[:, 1][:, None, None].astype(np.float32)
    slab = np.abs(xyz[0] - 3.0) - 17.0
    gap = np.maximum(slab, xyz[1] - spine_y - 12.0)
    beside = np.sqrt((xyz[0] / 38.0) ** 2 + ((xyz[1] - spine_y - 8.0) / 26.0) ** 2)
    gap = np.minimum(gap, (beside - 1.0) * 26.0)
    lungs = smooth_max(thorax + 0.5, (-gap).astype(np.float32), 6.0)
    lungs = np.maximum(lungs, -(heart - 2.5)).astype(np.float32)
    return Trunk(
        skin,
        (skin + SKIN_MM).astype(np.float32),
        (inner + furrow).astype(np.float32),
        cavity,
        below_dome,
        thorax,
        lungs,
        heart.astype(np.float32),
        np.maximum(ventricle, heart + 7.0).astype(np.float32),
        np.maximum(chamber, heart + 3.0).astype(np.float32),
        septa.astype(np.float32),
    )


def _outline(body: Body, u: F32, v: F32, z: F32) -> F32:
    """Superelliptic cross-section with waist, belly, flat back and the furrow over the spine."""
    waist = 1.0 - 0.055 * np.exp(-(((z + 175.0) / 55.0) ** 2))
    shoulder = 1.0 - 0.00035 * np.maximum(z, 0.0)
    a = body.half_width * waist * shoulder
    belly = 1.0 + (0.02 + 0.004 * (body.fat - 17.0)) * _sigmoid(-(z + 110.0) / 30.0)
    chest = 1.0 - 0.0008 * np.maximum(z + 40.0, 0.0)
    b = body.half_depth * np.where(v < 0, belly * chest, 1.0)
    power = np.where(v < 0, 2.15, 2.6)
    r = (np.abs(u / a) ** power + np.abs(v / b) ** power) ** (1.0 / power)
    field = as_distance(((r - 1.0) * body.half_depth).astype(np.float32))
    furrow = 7.0 * np.exp(-((u / 16.0) ** 2)) * _sigmoid((v - 40.0) / 12.0)
    out: F32 = (field + furrow).astype(np.float32)
    return out


def _dome(body: Body, u: F32, v: F32, cavity: F32, xyz: tuple[F32, F32, F32]) -> F32:
    """Reference height of the diaphragm's upper face over each (y, x), a (1, y, x) array.

    Two domes with a lower central tendon under the heart; towards the wall the height falls on
    a circular arc to the costophrenic recess, deepest at the back.
    """
    x, y = xyz[0][:1], xyz[1][:1]
    level = int(np.argmin(np.abs(xyz[2][:, 0, 0] + 20.0)))
    depth = np.clip(-cavity[level : level + 1] / 40.0, 0.0, 1.0)
    arc = np.sqrt(np.clip(1.0 - (1.0 - depth) ** 2, 0.0, None))
    # steep behind the tops, which lie forward of the middle, flat in front of them
    ahead = np.where(y > -14.0, 44.0, 20.0) * ((y + 14.0) / 72.0) ** 2
    right = -30.0 * ((x + 62.0) / 62.0) ** 2 - ahead
    left = -11.0 - 30.0 * ((x - 70.0) / 60.0) ** 2 - ahead
    middle = -19.0 - 0.4 * ahead - 40.0 * (x / 60.0) ** 2
    peak = smooth_max(smooth_max(right, left, 8.0), middle, 8.0)
    edge = -72.0 + 30.0 * _sigmoid(-(y + 25.0) / 15.0) - 34.0 * _sigmoid((y - 15.0) / 15.0)
    out: F32 = (edge + (peak - edge) * arc).astype(np.float32)
    return out


def _sigmoid(t: F32) -> F32:
    out: F32 = (1.0 / (1.0 + np.exp(-np.clip(t, -30.0, 30.0)))).astype(np.float32)
    return out
