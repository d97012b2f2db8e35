"""Kernels for needle paths: exact voxel traversal, rules and cost of every path of an entry, and
distance of needles to surface points.
"""

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
UNKNOWN_BIT = 1 << 14  # nobody has seen what is here
SOFT_SHIFT = 16  # bits 16..23: soft deficit, 0 (none) to 255 (hard limit reached)
GROUP_SHIFT = 24  # bits 24..27: the obstacle group with the largest soft deficit

#: Rules of a path, as bits and as columns of counts: obstacles 0..9, then these.
RULE_OUTSIDE, RULE_LENGTH, RULE_TILT, RULE_BELOW, RULE_ORGAN, RULE_CAPSULE = 10, 11, 12, 13, 14, 15
RULE_UNKNOWN = 16
RULES = 17

#: A voxel crossed over less than this share of a path is only touched (an edge, a corner): rounding
#: alone decides whether it is met, so it is not.
TOUCH = 1e-9

_NO_SWEEP = np.zeros((16, 2))


@njit(cache=True, nogil=True)
def _walk(raster, x0, x1, x2, d0, d1, d2, length, skip_mm, tip_error_mm, error_slope, group_mm):  # type: ignore[no-untyped-def]
    """One segment through every voxel it crosses (Amanatides and Woo 1987).

    From ``x`` + 0.5 along ``d`` (index units).  Returns bits, soft deficit 0..255 and its group,
    mm in voxels that break a rule, mm of healthy organ before the target, depths in mm at which
    organ, target and outside are first met (-1: never), and the sweep's deficit 0..1: 1 where an
    axis that is off by the needle's error at that depth touches an obstacle itself.
    """
    n0, n1, n2 = raster.shape
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
    sweep = 0.0
    # Voxels of one word in a row are taken together: `run` is their word, from `start` on.
    run, start = 0, 0.0
    while True:
        nxt = min(1.0, min(t0, min(t1, t2)))
        if nxt - t > TOUCH or t >= 1.0:
            word = -1  # the end: what ran so far is counted
            if t < 1.0:
                if i < 0 or j < 0 or k < 0 or i >= n0 or j >= n1 or k >= n2:
                    word = OFF_GRID_BIT
                else:
                    word = int(raster[i, j, k])
                    if t < skip:
                        word &= ~OUTSIDE_BIT
            if word != run:
                if run:
                    seen |= run & 0xFFFF
                    piece = (t - start) * length
                    if run & RULE_BITS:
                        blocked += piece
                        if run & OUTSIDE_BIT and outside_at < 0.0:
                            outside_at = start * length
                    if run & ORGAN_BIT:
                        if organ_at < 0.0:
                            organ_at = start * length
                        if target_at < 0.0 and not run & TARGET_BIT:
                            healthy += piece
                    if run & TARGET_BIT and target_at < 0.0:
                        target_at = start * length
                    deficit = (run >> SOFT_SHIFT) & 0xFF
                    if deficit:
                        g = (run >> GROUP_SHIFT) & 0xF
                        if deficit > worst:
                            worst, group = deficit, g
                        # the error grows with depth: it is largest where the run ends
                        error = tip_error_mm - (1.0 - t) * length * error_slope
                        over = error - (1.0 - deficit / 255.0) * group_mm[g, 1]
                        if over > 0.0:
                            sweep = max(sweep, min(1.0, over / max(1e-6, group_mm[g, 0])))
                if t >= 1.0:
                    break
                run, start = word, t
        t = nxt
        if t >= 1.0:
            continue
        if t0 <= t1 and t0 <= t2:
            i += s0
            t0 += g0
        elif t1 <= t2:
            j += s1
            t1 += g1
        else:
            k += s2
            t2 += g2
    return seen, worst, group, blocked, healthy, organ_at, target_at, outside_at, sweep


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
    for p in range(start.shape[0]):
        x0, x1, x2 = start[p, 0] + 0.5, start[p, 1] + 0.5, start[p, 2] + 0.5
        d0, d1, d2 = end[p, 0] + 0.5 - x0, end[p, 1] + 0.5 - x1, end[p, 2] + 0.5 - x2
        length = math.sqrt(d0 * d0 + d1 * d1 + d2 * d2) * spacing_mm
        seen, worst, group, blocked, healthy, organ_at, target_at, outside_at, _ = _walk(
            raster, x0, x1, x2, d0, d1, d2, length, skip_mm, 0.0, 0.0, _NO_SWEEP
        )
        bits[p] = seen
        soft[p] = (worst << 8) | group
        numbers[p, 0] = blocked
        numbers[p, 1] = healthy
        numbers[p, 2] = organ_at
        numbers[p, 3] = target_at
        numbers[p, 4] = outside_at


@njit(cache=True, nogil=True)
def _sample(field, x0, x1, x2):  # type: ignore[no-untyped-def]
    """Trilinear value of ``field`` at a fractional index, which is moved into the array."""
    n0, n1, n2 = field.shape
    x0 = min(max(x0, 0.0), n0 - 1.0)
    x1 = min(max(x1, 0.0), n1 - 1.0)
    x2 = min(max(x2, 0.0), n2 - 1.0)
    i, j, k = int(x0), int(x1), int(x2)
    a, b, c = x0 - i, x1 - j, x2 - k
    ii, jj, kk = min(i + 1, n0 - 1), min(j + 1, n1 - 1), min(k + 1, n2 - 1)
    low = (field[i, j, k] * (1 - c) + field[i, j, kk] * c) * (1 - b) + (
        field[i, jj, k] * (1 - c) + field[i, jj, kk] * c
    ) * b
    high = (field[ii, j, k] * (1 - c) + field[ii, j, kk] * c) * (1 - b) + (
        field[ii, jj, k] * (1 - c) + field[ii, jj, kk] * c
    ) * b
    return low * (1 - a) + high * a


@njit(cache=True, nogil=True)
def capsule_angles(
    organ: NDArray[np.float32],
    at: NDArray[np.float64],
    unit: NDArray[np.float64],
    angle_deg: NDArray[np.float64],
) -> None:
    """Angle of paths to the organ's surface where they enter it (90 = straight in), degrees.

    ``at`` (n, 3) fractional indices on ``organ``, ``unit`` (n, 3) directions along its axes.  The
    normal is the gradient of the blurred organ; where there is none (a sliver) nothing can be said
    about its surface and the path is taken as straight.
    """
    for p in range(at.shape[0]):
        angle_deg[p] = _capsule(
            organ, at[p, 0], at[p, 1], at[p, 2], unit[p, 0], unit[p, 1], unit[p, 2]
        )


@njit(cache=True, nogil=True)
def _capsule(organ, a0, a1, a2, u0, u1, u2):  # type: ignore[no-untyped-def]
    v0 = _sample(organ, a0 + 1.0, a1, a2) - _sample(organ, a0 - 1.0, a1, a2)
    v1 = _sample(organ, a0, a1 + 1.0, a2) - _sample(organ, a0, a1 - 1.0, a2)
    v2 = _sample(organ, a0, a1, a2 + 1.0) - _sample(organ, a0, a1, a2 - 1.0)
    size = math.sqrt(v0 * v0 + v1 * v1 + v2 * v2)
    if size <= 1e-6:
        return 90.0
    cosine = abs(v0 * u0 + v1 * u1 + v2 * u2) / size
    return math.degrees(math.asin(min(1.0, cosine)))


@njit(cache=True, nogil=True)
def _asin_deg(value):  # type: ignore[no-untyped-def]
    return math.degrees(math.asin(min(1.0, max(-1.0, value))))


@njit(cache=True, nogil=True)
def paths_of_entries(
    raster: NDArray[np.uint32],
    organ: NDArray[np.float32],
    organ_step: float,
    entry: NDArray[np.float64],
    tip: NDArray[np.float64],
    first: int,
    last: int,
    frame: NDArray[np.float64],
    limits: NDArray[np.float64],
    weights: NDArray[np.float64],
    group_mm: NDArray[np.float64],
    counts: NDArray[np.int32],
    broken: NDArray[np.int32],
    best: NDArray[np.float64],
    best_tip: NDArray[np.int32],
    soft: NDArray[np.uint32],
    miss: NDArray[np.float64],
    miss_tip: NDArray[np.int32],
) -> None:
    """Every path from entries first..last-1 to every tip: rules, cost, the best of each entry.

    ``raster`` as in `march_segments`; ``organ`` the blurred organ, of which a voxel is
    ``organ_step`` raster voxels wide and starts where the raster starts; ``entry`` (n, 3) and
    ``tip`` (m, 3) fractional raster indices; ``frame`` (2, 3) the patient's z and y along the
    raster's axes; ``limits`` mm and degrees: voxel, skipped skin, longest path, tilt, below the
    horizontal, healthy organ, capsule angle, comfortable organ path, and 1 where there is an organ;
    ``weights``: length, tilt, obstacles, capsule, organ path, sweep, error of the tip (mm), its
    slope (mm per mm); ``group_mm`` (16, 2) hard distance and width of the soft zone.

    Writes for each entry: ``counts`` (n, 3) paths tested (at most half again too long), clear, and
    clear but for the unknown; ``broken`` (n, RULES) paths that break each rule (one that is too
    long, too tilted or comes from too far below is not asked what it meets); ``best`` (n, 2)
    smallest cost of the clear and of the unknown ones with ``best_tip`` and ``soft`` (deficit << 8
    | group), +inf and -1 where there are none; ``miss`` how far the nearest rejected path is from
    being admissible (mm in what is forbidden, mm too long or missing, and degrees, added up: a
    degree is a millimetre at 57 mm) with ``miss_tip``; of the paths that break a rule on the needle
    itself only the one that does so by least is looked at.
    """
    h, skip, max_length, max_tilt, max_below = limits[0], limits[1], limits[2], limits[3], limits[4]
    min_organ, min_capsule, comfortable = limits[5], limits[6], limits[7]
    has_organ = limits[8] > 0.0
    organ_width = max(1e-6, comfortable - min_organ)
    angle_width = max(1e-6, 90.0 - min_capsule)
    sin_tilt, sin_below = math.sin(math.radians(max_tilt)), math.sin(math.radians(max_below))
    for e in range(first, last):
        x0, x1, x2 = entry[e, 0] + 0.5, entry[e, 1] + 0.5, entry[e, 2] + 0.5
        bent, bent_tip = np.inf, -1
        for m in range(tip.shape[0]):
            d0, d1, d2 = tip[m, 0] + 0.5 - x0, tip[m, 1] + 0.5 - x1, tip[m, 2] + 0.5 - x2
            size = math.sqrt(d0 * d0 + d1 * d1 + d2 * d2)
            length = size * h
            if length <= 0.0:
                continue
            u0, u1, u2 = d0 / size, d1 / size, d2 / size
            z = frame[0, 0] * u0 + frame[0, 1] * u1 + frame[0, 2] * u2
            y = frame[1, 0] * u0 + frame[1, 1] * u1 + frame[1, 2] * u2
            # Angles only where they are needed: an arcsine costs as much as ten voxels.
            tilted = abs(z) > sin_tilt + 1e-9
            if not tilted and abs(z) > sin_tilt - 1e-9:
                tilted = _asin_deg(abs(z)) > max_tilt
            under = -y > sin_below + 1e-9
            if not under and -y > sin_below - 1e-9:
                under = _asin_deg(-y) > max_below
            if length > max_length or tilted or under:
                if length <= 1.5 * max_length:
                    counts[e, 0] += 1
                    broken[e, RULE_LENGTH] += length > max_length
                    broken[e, RULE_TILT] += tilted
                    broken[e, RULE_BELOW] += under
                lack = max(0.0, length - max_length)
                if lack < bent:
                    if tilted:
                        lack += _asin_deg(abs(z)) - max_tilt
                    if under:
                        lack += _asin_deg(-y) - max_below
                    if lack < bent:
                        bent, bent_tip = lack, m
                continue
            counts[e, 0] += 1
            tilt = _asin_deg(abs(z))
            seen, worst, group, blocked, healthy, organ_at, _, _, sweep = _walk(
                raster, x0, x1, x2, d0, d1, d2, length, skip, weights[6], weights[7], group_mm
            )
            rule = seen & 0x3FF
            lack = blocked
            if seen & (OUTSIDE_BIT | OFF_GRID_BIT):
                rule |= 1 << RULE_OUTSIDE
            if seen & OFF_GRID_BIT:
                lack += max_length
            cost = weights[0] * length / max_length + weights[1] * tilt / max(1e-6, max_tilt)
            share = worst / 255.0
            cost += weights[2] * share * share + weights[5] * sweep * sweep
            if has_organ:
                if healthy < min_organ:
                    rule |= 1 << RULE_ORGAN
                    lack += min_organ - healthy
                short = min(1.0, max(0.0, (comfortable - healthy) / organ_width))
                cost += weights[4] * short
                if rule == 0 and organ_at >= 0.0:
                    depth = organ_at / h
                    angle = _capsule(
                        organ,
                        (x0 + depth * u0) / organ_step - 0.5,
                        (x1 + depth * u1) / organ_step - 0.5,
                        (x2 + depth * u2) / organ_step - 0.5,
                        u0, u1, u2,
                    )  # fmt: skip
                    if angle < min_capsule:
                        rule |= 1 << RULE_CAPSULE
                        lack += min_capsule - angle
                    flat = (90.0 - angle) / angle_width
                    cost += weights[3] * flat * flat
            unknown = 1 if seen & UNKNOWN_BIT else 0
            if rule == 0:
                counts[e, 1 + unknown] += 1
                broken[e, RULE_UNKNOWN] += unknown
                if cost < best[e, unknown]:
                    best[e, unknown] = cost
                    best_tip[e, unknown] = m
                    soft[e, unknown] = (worst << 8) | group
                continue
            rule |= unknown << RULE_UNKNOWN
            for n in range(RULES):
                broken[e, n] += (rule >> n) & 1
            if lack < miss[e]:
                miss[e] = lack
                miss_tip[e] = m
        if counts[e, 1] == 0 and bent < miss[e]:
            d0, d1 = tip[bent_tip, 0] + 0.5 - x0, tip[bent_tip, 1] + 0.5 - x1
            d2 = tip[bent_tip, 2] + 0.5 - x2
            length = math.sqrt(d0 * d0 + d1 * d1 + d2 * d2) * h
            bent += _walk(
                raster, x0, x1, x2, d0, d1, d2, length, skip, weights[6], weights[7], group_mm
            )[3]
            if bent < miss[e]:
                miss[e] = bent
                miss_tip[e] = bent_tip


@njit(cache=True, nogil=True)
def nearest_to_segments(
    points: NDArray[np.float32],
    group: NDArray[np.uint8],
    half_voxel: NDArray[np.float32],
    entry: NDArray[np.float64],
    tip: NDArray[np.float64],
    tip_error_mm: float,
    error_slope: float,
    distance: NDArray[np.float64],
    index: NDArray[np.int64],
    swept: NDArray[np.float64],
) -> None:
    """Nearest voxel of each group to each segment, and to a segment that is off its place.

    ``points`` (n, 3) voxel centres in mm along the grid's axes, ``group`` (n,) their group;
    ``half_voxel`` (3,) mm; ``entry`` / ``tip`` (m, 3) in the same frame.  Writes
    ``distance`` (m, groups): distance from the segment to the voxel's *box*, from below: centre
    distance less the box's half-width along the line that joins them, not below 0; and
    ``index`` (m, groups): that point, -1 where the group has none; and ``swept`` (m, groups): the
    smallest distance less the needle's error there, ``tip_error_mm`` at the tip and ``error_slope``
    less for each mm back from it, below 0 where the needle could lie in the structure.
    ``distance`` and ``swept`` come in filled with +inf, ``index`` with -1.
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
            error = max(0.0, tip_error_mm - (length - s) * error_slope)
            limit = max(distance[m, g], swept[m, g] + error) + reach
            if square >= limit * limit:
                continue
            r = math.sqrt(square)
            if r > 0.0:
                r -= (abs(e0) * h0 + abs(e1) * h1 + abs(e2) * h2) / r
            if r < 0.0:
                r = 0.0
            swept[m, g] = min(swept[m, g], r - error)
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
