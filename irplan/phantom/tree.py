"""Vessel trees that fill an organ: sequential growth, Murray radii.

Terminal points are added one at a time (constrained constructive optimisation in the manner of
Schreiner & Buxbaum, IEEE Trans Biomed Eng 1993;40:482): the nearest existing segments are tried,
each is split at the flow-weighted Fermat-like point of its two ends and the new terminal, and the
split with the least added vessel volume whose new segments stay inside the organ is kept.  Radii
follow Murray's law (J Gen Physiol 1926;9:835): r^3 is the sum of the children's r^3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class VesselTree:
    """Segments start (N, 3) and end (N, 3) in LPS mm, parent (N,) (-1: root), radius (N,) mm."""

    start: F64
    end: F64
    parent: NDArray[np.int64]
    radius: F64

    def tubes(self) -> NDArray[np.float32]:
        """(N, 9) capsules for painting: both ends, the two radii, no gas level."""
        up = np.where(self.parent >= 0, self.radius[np.maximum(self.parent, 0)], self.radius)
        first = 0.5 * (np.minimum(up, 1.35 * self.radius) + self.radius)
        level = np.full(len(up), 1e6)
        out = np.column_stack([self.start, self.end, first, self.radius, level])
        return out.astype(np.float32)


def grow_tree(
    trunk_points: list[tuple[F64, int]],
    terminals: F64,
    *,
    root_radius_mm: float,
    inside: Callable[[F64], NDArray[np.bool_]],
    candidates: int = 10,
) -> VesselTree:
    """Grow a tree from given main branches to all terminals that can be reached.

    trunk_points : (end point, index of the parent segment or -1 with the point as root start):
        entry 0 is the root's start; every further entry adds a segment from its parent's end.
    terminals : (N, 3) LPS mm in the order in which they are added.
    inside : (M, 3) points -> (M,) True where a vessel may run.
    """
    capacity = len(trunk_points) + 2 * len(terminals)
    start, end = np.zeros((capacity, 3)), np.zeros((capacity, 3))
    parent = np.full(capacity, -1, dtype=np.int64)
    flow = np.zeros(capacity)
    count = 0
    for point, up in trunk_points[1:]:
        start[count] = trunk_points[0][0] if up < 0 else end[up]
        end[count], parent[count] = point, up
        count += 1
    has_child = np.zeros(capacity, dtype=bool)
    has_child[parent[:count][parent[:count] >= 0]] = True
    for leaf in np.flatnonzero(~has_child[:count]):
        _add_flow(flow, parent, int(leaf), 4.0)
    for t in terminals:
        a, b = start[:count], end[:count]
        d = b - a
        g = np.clip(np.einsum("ij,ij->i", t - a, d) / np.einsum("ij,ij->i", d, d), 0.0, 1.0)
        gap = np.linalg.norm(a + g[:, None] * d - t, axis=1)
        near = np.argsort(gap, kind="stable")[:candidates]
        w = np.cbrt(flow[near]) ** 2
        w_out = np.cbrt(flow[near] + 1.0) ** 2
        branch = (w_out[:, None] * a[near] + w[:, None] * b[near] + 0.7 * t) / (w_out + w + 0.7)[
            :, None
        ]
        inner = np.clip(g[near], 0.15, 0.85)[:, None]
        branch = 0.5 * branch + 0.5 * (a[near] + inner * d[near])
        added = (
            w_out * np.linalg.norm(branch - a[near], axis=1)
            + w * np.linalg.norm(branch - b[near], axis=1)
            + np.linalg.norm(branch - t, axis=1)
            - w * np.linalg.norm(d[near], axis=1)
        )
        short = np.linalg.norm(branch - a[near], axis=1) < 1.5
        for j in np.argsort(np.where(short, added + 1e3, added), kind="stable"):
            p = branch[j]
            s = np.linspace(0.0, 1.0, 6)[:, None]
            k = int(near[j])
            path = np.vstack([p + s * (t - p), p + s * (end[k] - p)])
            if not bool(inside(path).all()):
                continue
            _split(start, end, parent, flow, count, k, p, t)
            count += 2
            break
    kept = slice(0, count)
    radius = root_radius_mm * np.cbrt(flow[kept] / flow[0])
    return VesselTree(start[kept].copy(), end[kept].copy(), parent[kept].copy(), radius)


def _split(
    start: F64,
    end: F64,
    parent: NDArray[np.int64],
    flow: F64,
    count: int,
    k: int,
    p: F64,
    t: F64,
) -> None:
    """Segment k now ends at p; its old far part and a branch to t continue from there."""
    children = parent[:count] == k
    start[count], end[count], parent[count], flow[count] = p, end[k], k, flow[k]
    parent[:count][children] = count
    end[k] = p
    start[count + 1], end[count + 1], parent[count + 1] = p, t, k
    _add_flow(flow, parent, count + 1, 1.0)


def _add_flow(flow: F64, parent: NDArray[np.int64], k: int, amount: float) -> None:
    while k >= 0:
        flow[k] += amount
        k = int(parent[k])


def bend(
    tree: VesselTree, rng: np.random.Generator, inside: Callable[[F64], NDArray[np.bool_]]
) -> VesselTree:
    """Replace every segment over 8 mm by two that bow sideways by 6 % of its length."""
    d = tree.end - tree.start
    length = np.linalg.norm(d, axis=1)
    random = rng.standard_normal((len(d), 3))
    unit = d / np.maximum(length, 1e-9)[:, None]
    side = random - np.einsum("ij,ij->i", random, unit)[:, None] * unit
    side /= np.maximum(np.linalg.norm(side, axis=1), 1e-9)[:, None]
    middle = 0.5 * (tree.start + tree.end) + 0.06 * length[:, None] * side
    cut = (length > 8.0) & inside(middle)
    n = len(d)
    new_index = np.full(n, -1)
    new_index[cut] = n + np.arange(int(cut.sum()))
    far = np.where(cut, new_index, np.arange(n))
    end = np.where(cut[:, None], middle, tree.end)
    parent = np.where(tree.parent >= 0, far[np.maximum(tree.parent, 0)], -1)
    return VesselTree(
        np.vstack([tree.start, middle[cut]]),
        np.vstack([end, tree.end[cut]]),
        np.concatenate([parent, np.flatnonzero(cut)]),
        np.concatenate([tree.radius, tree.radius[cut]]),
    )


def sample_terminals(
    rng: np.random.Generator, inside_points: F64, count: int, spacing_mm: float
) -> F64:
    """``count`` points of ``inside_points`` no closer than ``spacing_mm``, coarse to fine order."""
    order = rng.permutation(len(inside_points))[: 12 * count]
    pool = inside_points[order] + rng.uniform(-2.0, 2.0, (len(order), 3))
    chosen = np.empty((count, 3))
    n = 0
    for p in pool:
        if n and np.min(((chosen[:n] - p) ** 2).sum(axis=1)) < spacing_mm**2:
            continue
        chosen[n] = p
        n += 1
        if n == count:
            break
    return chosen[:n].copy()
