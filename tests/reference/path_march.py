"""Needle paths by brute force: every plane crossing of a line, sorted; readable and slow.

An independent way to the same answer as the kernels of `irplan.compute.cpu.rays`: no traversal, no
packed words, distances by SciPy's Euclidean distance transform.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

Mask = NDArray[np.bool_]


@dataclass
class World:
    """Cubic voxels of ``h`` mm; obstacles as (name, mask, hard mm, soft mm)."""

    h: float
    outside: Mask
    unknown: Mask
    organ: Mask
    target: Mask
    obstacles: list[tuple[str, Mask, float, float]]
    gap_mm: list[NDArray[np.float64]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for _, mask, _, _ in self.obstacles:
            far = np.full(mask.shape, np.inf)
            self.gap_mm.append(
                distance_transform_edt(~mask) * self.h - self.h / 2 if mask.any() else far
            )

    def hard(self, number: int) -> Mask:
        _, mask, hard, _ = self.obstacles[number]
        return mask | (self.gap_mm[number] < hard)


@dataclass
class Facts:
    """What one path meets: names of what it breaks, and lengths in mm."""

    broken: set[str]
    unknown: bool
    length_mm: float
    blocked_mm: float
    healthy_mm: float
    organ_at_mm: float
    target_at_mm: float
    deficit: float


def voxels_of(
    a: NDArray[np.float64], b: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(n, 3) voxels that segment a-b (index units) crosses, and the (n + 1,) parameters 0..1."""
    a, b = np.asarray(a) + 0.5, np.asarray(b) + 0.5
    cuts = [0.0, 1.0]
    for axis in range(3):
        low, high = sorted((a[axis], b[axis]))
        if high > low:
            planes = np.arange(math.ceil(low), math.floor(high) + 1)
            cuts += ((planes - a[axis]) / (b[axis] - a[axis])).tolist()
    t = np.unique([c for c in cuts if 0.0 <= c <= 1.0])
    middle = a + ((t[1:] + t[:-1]) / 2)[:, None] * (b - a)
    return np.floor(middle).astype(int), t


def path_facts(
    world: World, entry: NDArray[np.float64], tip: NDArray[np.float64], skin_mm: float
) -> Facts:
    """Walk from ``entry`` to ``tip`` (fractional indices); no rule on the needle itself."""
    index, t = voxels_of(entry, tip)
    length = float(np.linalg.norm(np.asarray(tip) - entry)) * world.h
    piece = np.diff(t) * length
    depth = t[:-1] * length
    real = piece > 1e-9 * length  # a corner that is only touched
    index, piece, depth = index[real], piece[real], depth[real]
    at = tuple(index.T)
    stops = world.outside[at] & (depth >= skin_mm)
    hits = stops.copy()
    broken = {"outside"} if stops.any() else set()
    deficit = 0.0
    for number, (name, _, hard, soft) in enumerate(world.obstacles):
        inside = world.hard(number)[at]
        hits |= inside
        if inside.any():
            broken.add(name)
        share = np.clip((soft - world.gap_mm[number][at]) / max(1e-6, soft - hard), 0.0, 1.0)
        deficit = max(deficit, float(share.max()))
    target, organ = world.target[at], world.organ[at]
    first = int(np.argmax(target)) if target.any() else len(target)
    healthy = float(piece[:first][organ[:first] & ~target[:first]].sum())
    return Facts(
        broken,
        bool(world.unknown[at].any()),
        length,
        float(piece[hits].sum()),
        healthy,
        float(depth[np.argmax(organ)]) if organ.any() else -1.0,
        float(depth[first]) if first < len(target) else -1.0,
        deficit,
    )
