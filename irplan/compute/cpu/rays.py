"""Kernels for needle paths: exact voxel traversal, and distance of needles to surface points."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

#: Layout of a word of the packed obstacle raster.
RULE_BITS = 0x07FF  # bits 0..10: a hard rule is broken here
OUTSIDE_BIT = 1 << 10  # outside the body (one of the rule bits)
ORGAN_BIT = 1 << 11  # organ that holds the target
TARGET_BIT = 1 << 12
OFF_GRID_BIT = 1 << 13  # only in results: the path left the raster
SOFT_SHIFT = 16  # bits 16..23: soft deficit, 0 (none) to 255 (hard limit reached)
GROUP_SHIFT = 24  # bits 24..27: the obstacle group with the largest soft deficit


@njit(cache=True, nogil=True)
def march_segments(
    raster: NDArray[np.uint32],
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    spacing_mm: float,
    skip_mm: float,
    bits: NDArray[np.uint32],
    soft: NDArray[np.uint32],
    numbers: NDArray[np.float32],
) -> None:
    """Walk each segment through every voxel it crosses (Amanatides and Woo 1987).

    ``raster`` uint32 (slice, row, column), cubic voxels of ``spacing_mm``; ``start`` / ``end``
    (n, 3) fractional indices (entry, tip).  Writes per segment: ``bits`` = OR of the low 16 bits
    of all voxels crossed; ``soft`` = (deficit << 8 | group) of the voxel with the largest soft
    deficit; ``numbers`` (n, 5) in mm: length inside voxels that break a rule, length in healthy
    organ before the target is first met, and the depths at which the organ, the target and the
    outside of the body are first met (-1: never).  "Outside the body" is not held against the
    first ``skip_mm`` (the skin voxel itself).
    """
    n0, n1, n2 = raster.shape
    for p in range(start.shape[0]):
        x0, x1, x2 = start[p, 0] + 0.5, start[p, 1] + 0.5, start[p, 2] + 0.5
        d0, d1, d2 = end[p, 0] + 0.5 - x0, end[p, 1] + 0.5 - x1, end[p, 2] + 0.5 - x2
        length = math.sqrt(d0 * d0 + d1 * d1 + d2 * d2) * spacing_mm
        i, j, k = math.floor(x0), math.floor(x1), math.floor(x2)
        s0, s1, s2 = (1 if d0 > 0 else -1), (1 if d1 > 0 else -1), (1 if d2 > 0 else -1)
        big = 1e30
        g0 = abs(1.0 / d0) if d0 != 0.0 else big
        g1 = abs(1.0 / d1) if d1 != 0.0 else big
        g2 = abs(1.0 / d2) if d2 != 0.0 else big
        t0 = ((i + 1 - x0) if d0 > 0 else (x0 - i)) * g0 if d0 != 0.0 else big
        t1 = ((j + 1 - x1) if d1 > 0 else (x1 - j)) * g1 if d1 != 0.0 else big
        t2 = ((k + 1 - x2) if d2 > 0 else (x2 - k)) * g2 if d2 != 0.0 else big
        t = 0.0
        skip = skip_mm / length if length > 0.0 else 0.0
        seen, worst, group = 0, 0, 0
        blocked, healthy, organ_at, target_at, outside_at = 0.0, 0.0, -1.0, -1.0, -1.0
        while t < 1.0:
            nxt = min(t0, min(t1, t2))
            if nxt > 1.0:
                nxt = 1.0
            if i < 0 or j < 0 or k < 0 or i >= n0 or j >= n1 or k >= n2:
                seen |= OFF_GRID_BIT
            elif nxt > t:
                word = int(raster[i, j, k])
                low = word & 0xFFFF
                if t < skip:
                    low &= ~OUTSIDE_BIT
                seen |= low
                piece = (nxt - t) * length
                if low & RULE_BITS:
                    blocked += piece
                if low & OUTSIDE_BIT and outside_at < 0.0:
                    outside_at = t * length
                if low & ORGAN_BIT and organ_at < 0.0:
                    organ_at = t * length
                if low & TARGET_BIT:
                    if target_at < 0.0:
                        target_at = t * length
                elif low & ORGAN_BIT and target_at < 0.0:
                    healthy += piece
                deficit = (word >> SOFT_SHIFT) & 0xFF
                if deficit > worst:
                    worst = deficit
                    group = (word >> GROUP_SHIFT) & 0xF
            t = nxt
            if t >= 1.0:
                break
            if t0 <= t1 and t0 <= t2:
                i += s0
                t0 += g0
            elif t1 <= t2:
                j += s1
                t1 += g1
            else:
                k += s2
                t2 += g2
        bits[p] = seen
        soft[p] = (worst << 8) | group
        numbers[p, 0] = blocked
        numbers[p, 1] = healthy
        numbers[p, 2] = organ_at
        numbers[p, 3] = target_at
        numbers[p, 4] = outside_at


@njit(cache=True, nogil=True)
def nearest_to_segments(
    points: NDArray[np.float32],
    group: NDArray[np.uint8],
    half_voxel: NDArray[np.float32],
    entry: NDArray[np.float64],
    tip: NDArray[np.float64],
    distance: NDArray[np.float64],
    index: NDArray[np.int64],
) -> None:
    """Nearest voxel of each group to each segment.

    ``points`` (n, 3) voxel centres in mm along the grid's axes, ``group`` (n,) their group;
    ``half_voxel`` (3,) mm; ``entry`` / ``tip`` (m, 3) in the same frame.  Writes
    ``distance`` (m, groups): distance from the segment to the voxel's *box*, from below: centre
    distance less the box's half-width along the line that joins them, not below 0; and
    ``index`` (m, groups): that point, -1 where the group has none.  ``distance`` comes in
    filled with +inf, ``index`` with -1.
    """
    h0, h1, h2 = half_voxel[0], half_voxel[1], half_voxel[2]
    reach = math.sqrt(h0 * h0 + h1 * h1 + h2 * h2)
    for m in range(entry.shape[0]):
        a0, a1, a2 = entry[m, 0], entry[m, 1], entry[m, 2]
        d0, d1, d2 = tip[m, 0] - a0, tip[m, 1] - a1, tip[m, 2] - a2
        length = math.sqrt(d0 * d0 + d1 * d1 + d2 * d2)
        d0, d1, d2 = d0 / length, d1 / length, d2 / length
        for p in range(points.shape[0]):
            g = group[p]
            e0, e1, e2 = points[p, 0] - a0, points[p, 1] - a1, points[p, 2] - a2
            s = e0 * d0 + e1 * d1 + e2 * d2
            s = min(max(s, 0.0), length)
            e0, e1, e2 = e0 - s * d0, e1 - s * d1, e2 - s * d2
            square = e0 * e0 + e1 * e1 + e2 * e2
            limit = distance[m, g] + reach
            if square >= limit * limit:
                continue
            r = math.sqrt(square)
            if r > 0.0:
                r -= (abs(e0) * h0 + abs(e1) * h1 + abs(e2) * h2) / r
            if r < 0.0:
                r = 0.0
            if r < distance[m, g]:
                distance[m, g] = r
                index[m, g] = p


@njit(cache=True, nogil=True)
def segment_gaps(a: NDArray[np.float64], b: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Smallest distance of each segment of ``a`` (k, 2, 3) to each of ``b`` (m, 2, 3), mm.

    Writes ``out`` (k, m).  Closest points of two segments after Ericson, Real-Time Collision
    Detection (2005), section 5.1.9; segments have a length above 0.
    """
    for i in range(a.shape[0]):
        for j in range(b.shape[0]):
            aa, ee, ff, bb, cc = 0.0, 0.0, 0.0, 0.0, 0.0
            for k in range(3):
                d1, d2 = a[i, 1, k] - a[i, 0, k], b[j, 1, k] - b[j, 0, k]
                r = a[i, 0, k] - b[j, 0, k]
                aa += d1 * d1
                ee += d2 * d2
                ff += d2 * r
                bb += d1 * d2
                cc += d1 * r
            det = aa * ee - bb * bb
            s = 0.0
            if det > 1e-12 * aa * ee:
                s = min(1.0, max(0.0, (bb * ff - cc * ee) / det))
            t = (bb * s + ff) / ee
            if t < 0.0 or t > 1.0:
                t = min(1.0, max(0.0, t))
                s = min(1.0, max(0.0, (bb * t - cc) / aa))
            square = 0.0
            for k in range(3):
                p = a[i, 0, k] + s * (a[i, 1, k] - a[i, 0, k])
                q = b[j, 0, k] + t * (b[j, 1, k] - b[j, 0, k])
                square += (p - q) * (p - q)
            out[i, j] = math.sqrt(square)
