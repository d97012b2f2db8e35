"""Vertebrae with processes and canal, twelve pairs of ribs as far as the scan shows them."""

# ruff: noqa: RUF005 - points are arrays: + moves them
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.phantom.body import Body
from irplan.phantom.lattice import F32, Lattice
from irplan.phantom.trunk import Trunk

#: Height of a vertebra with its disc, reference mm, and of the disc alone.
LEVEL_MM = 31.0
DISC_MM = 7.0
#: Centre of the twelfth thoracic vertebra, reference mm.
T12_Z = -88.0
#: Higher ribs end above the scan.
FIRST_RIB = 3

#: Centre line (N, 3) LPS mm and radii (N,) mm.
Chain = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Rib:
    """One of a rib's parallel strands (its section is oval): number 3..12, side (-1 right).

    ``line`` (N, 3) LPS mm from the spine to the front, ``radii`` (N,) mm.
    """

    number: int
    side: int
    line: NDArray[np.float64]
    radii: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Skeleton:
    """Vertebral fields (bone, marrow, disc) and capsule chains (processes, canal), ribs."""

    bodies: F32
    marrow: F32
    discs: F32
    processes: list[Chain]
    canal: NDArray[np.float64]
    ribs: list[Rib]
    cartilage: list[Chain]
    sternum: list[Chain]


def build_skeleton(
    body: Body,
    lattice: Lattice,
    xyz: tuple[F32, F32, F32],
    trunk: Trunk,
    rng: np.random.Generator,
) -> Skeleton:
    """Spine from the scan's top to its bottom and the ribs that reach into it."""
    x, y, z = xyz
    line = body.spine_line(z[:, 0, 0])
    cx = line[:, 0].astype(np.float32)[:, None, None]
    cy = line[:, 1].astype(np.float32)[:, None, None]
    grow = np.clip(1.0 - (z - T12_Z) / 900.0, 0.85, 1.15)
    phase = np.abs((z - T12_Z) / LEVEL_MM - np.round((z - T12_Z) / LEVEL_MM)) * LEVEL_MM
    waist = 2.2 * (1.0 - (phase / (LEVEL_MM / 2)) ** 2)
    rx, ry = 24.0 * grow, 17.0 * grow
    r = np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2)
    flat = np.maximum(y - cy - 14.0 * grow, -1e3)
    section = np.maximum((r - 1.0) * ry + waist, flat)
    half = (LEVEL_MM - DISC_MM) / 2
    bodies = np.maximum(section, phase - half).astype(np.float32) - 0.4
    marrow = (np.maximum(section, phase - half) + 1.1).astype(np.float32)
    discs = (section + 0.5).astype(np.float32)
    ribs = _ribs(body, lattice, trunk, rng)
    return Skeleton(
        bodies.astype(np.float32),
        marrow,
        discs,
        _processes(body, lattice, trunk),
        body.to_lps(line + [0.0, 23.5, 0.0]),
        ribs,
        _cartilage(body, lattice, trunk, ribs),
        _sternum(body, lattice, trunk),
    )


def _processes(body: Body, lattice: Lattice, trunk: Trunk) -> list[Chain]:
    """Pedicles, laminae, transverse, articular and spinous processes of each level, as chains."""
    out = []
    for k in range(-7, 6):
        z = T12_Z - k * LEVEL_MM
        c = body.spine_line(z)[0]
        room = _room_behind(body, lattice, trunk, c)
        wide = 38.0 if k > 0 else 30.0
        for s in (-1.0, 1.0):
            arch = [
                c + [s * 14, 11, 5],
                c + [s * 15.5, 22, 3],
                c + [s * 11, 32, -2],
                c + [0, 38, -6],
            ]
            out.append((body.to_lps(arch), np.array([4.5, 4.8, 4.0, 3.5])))
            cross = [c + [s * 15, 23, 2], c + [s * wide, 31, 3 if k > 0 else 8]]
            out.append((body.to_lps(cross), np.array([5.0, 3.6])))
            facet = [c + [s * 16, 28, 13], c + [s * 16, 31, -17]]
            out.append((body.to_lps(facet), np.array([4.5, 5.0])))
        drop = -12.0 if k <= 0 else -4.0
        spinous = [c + [0, 37, -5], c + [0, 45, -6 + drop / 2], c + [0, 52, -7 + drop]]
        for p in spinous:  # the tip stays under the skin of a thin back
            p[1] = min(p[1], c[1] + room)
        out.append((body.to_lps(spinous), np.array([3.6, 2.8, 3.8])))
        lower = [p - np.array([0, 0, 7.0]) for p in spinous]
        out.append((body.to_lps(lower), np.array([3.0, 2.8, 3.8])))
    return out


def _room_behind(body: Body, lattice: Lattice, trunk: Trunk, centre: NDArray[np.float64]) -> float:
    """Reference mm from ``centre`` backwards to 9 mm under the skin."""
    back = np.arange(20.0, 90.0, 1.0)
    at = body.to_lps(centre + back[:, None] * [0.0, 1.0, 0.0])
    at[:, 2] = np.clip(at[:, 2], lattice.z[2], lattice.z[-3])
    under = lattice.sample(trunk.skin, at) < -9.0
    return float(back[under].max(initial=20.0))


def _ribs(body: Body, lattice: Lattice, trunk: Trunk, rng: np.random.Generator) -> list[Rib]:
    """Ribs 3 to 12 of each side on the outer face of the cavity, falling towards the front."""
    out = []
    for number in range(FIRST_RIB, 13):
        head_z = T12_Z + (12 - number) * LEVEL_MM + 6.0
        reach = {12: 60.0, 11: 95.0, 10: 130.0, 9: 138.0}.get(number, 148.0)
        fall = {12: 150.0, 11: 150.0, 10: 142.0, 9: 138.0}.get(number, 132.0)
        fall *= float(np.clip(rng.normal(1.0, 0.05), 0.88, 1.12))
        for side in (-1, 1):
            jitter = float(rng.normal(0.0, 1.5))
            angle = np.radians(np.linspace(17.0, reach, int(reach // 5)))
            t = (angle - angle[0]) / (np.radians(150.0) - angle[0])
            # little fall over the angle, most along the flank, less again in front
            z = head_z + jitter - fall * (t * t * (3.0 - 2.0 * t) * 0.75 + 0.25 * t)
            line = _on_wall(body, lattice, trunk, side * angle, z)
            head = body.spine_line(head_z)[0] + np.array([side * 24.0, 14.0, 2.0])
            line = np.vstack([body.to_lps(head), line])
            radii = np.full(len(line), 3.1)
            radii[0], radii[-1] = 3.8, 2.6
            for shift in (-2.6, -1.3, 0.0, 1.3, 2.6):
                out.append(Rib(number, side, line + [0.0, 0.0, shift], radii))
    return out


def _cartilage(body: Body, lattice: Lattice, trunk: Trunk, ribs: list[Rib]) -> list[Chain]:
    """Costal cartilages from the ends of ribs 5 to 10 up and in to the sternum's lower end."""
    out = []
    for rib in ribs:
        if not 5 <= rib.number <= 10:
            continue
        z_end = float(rib.line[-1, 2]) / body.scale[2]
        start = {9: 140.0, 10: 132.0}.get(rib.number, 150.0)
        stop = min(start + 28.0, 175.0) if rib.number <= 7 else start + 16.0
        t = np.linspace(0.25, 1.0, 5)
        angle = rib.side * np.radians(start + t * (stop - start))
        goal = max(z_end + 8.0, -8.0) if rib.number <= 7 else z_end + 26.0
        line = _on_wall(body, lattice, trunk, angle, z_end + t**1.3 * (goal - z_end))
        out.append((np.vstack([rib.line[-1], line]), np.full(6, 4.2)))
    return out


def _sternum(body: Body, lattice: Lattice, trunk: Trunk) -> list[Chain]:
    """The body of the sternum above z = 6 and the xiphoid below it."""
    z = np.array([70.0, 45.0, 25.0, 6.0, -12.0])
    line = _on_wall(body, lattice, trunk, np.full(5, np.pi), z)
    out = []
    for x in np.linspace(-14.4, 14.4, 13):
        narrow = np.where(z[:, None] < 0, 0.2, 1.0) * [x, 0.0, 0.0]
        out.append((line + narrow, np.array([4.5, 4.5, 4.3, 3.6, 2.2])))
    return out


def _on_wall(
    body: Body,
    lattice: Lattice,
    trunk: Trunk,
    angle: NDArray[np.float64],
    z_reference: NDArray[np.float64],
) -> NDArray[np.float64]:
    """LPS points where rays from the body's middle meet the surface 4 mm outside the cavity."""
    radius = np.arange(30.0, 200.0, 1.0)
    centre_y = 0.1 * body.half_depth
    u = np.sin(angle)[:, None] * radius
    v = centre_y + np.cos(angle)[:, None] * radius * 0.9
    w = np.broadcast_to((z_reference * body.scale[2])[:, None], u.shape)
    points = body.from_upright(np.stack([u, v, w], axis=-1).reshape(-1, 3)).reshape(*u.shape, 3)
    inside = np.clip(points[..., 2], float(lattice.z[0]), float(lattice.z[-1]))
    probe = np.concatenate([points[..., :2], inside[..., None]], axis=-1)
    value = lattice.sample(trunk.cavity, probe) - 4.0
    # past the last inner point; the paraspinal muscles make the cavity non-convex at the back
    index = np.argmax((value[:, :-1] < 0) & (value[:, 1:] >= 0), axis=1)
    rows = np.arange(len(index))
    a, b = value[rows, index], value[rows, index + 1]
    t = np.clip(a / (a - b), 0.0, 1.0)[:, None]
    out: NDArray[np.float64] = points[rows, index] * (1 - t) + points[rows, index + 1] * t
    return out
