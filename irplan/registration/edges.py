"""Edges of the planning scan, and where the control scan shows them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from irplan.geometry import Grid
from irplan.registration.prepare import Prepared
from irplan.registration.transform import PointMap

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
#: Edges of the organ are not looked for within this of bone, mm: it slides along the wall, whose
#: own edges (with 16 mm around it, a fifth of all) would hold it back.  Bone is above this, HU.
BONE_MM, BONE_HU = 7.0, 180.0
#: Smoothing of both scans, mm; least gradient of an edge, HU/mm; most edges that are used.
SMOOTH_MM, LEAST_GRADIENT, MOST_EDGES = 2.0, 6.0, 5000
#: Half length of a profile and step along it, mm; least correlation of a match.
PROFILE_MM, STEP_MM, LEAST_MATCH = 7.0, 1.0, 0.8
#: Fewest edges that allow a fit or a judgement.
LEAST_EDGES = 150
#: `edges_found`: how near an edge must be found and how far it is looked for, mm.
NEAR_MM, LOOK_MM = 1.5, 6.0
#: Tukey's limit in robust standard deviations, and the least of these, mm.
TUKEY, LEAST_SCALE_MM = 2.0, 0.3


def edges_found(
    plan: Prepared,
    control: Prepared,
    mapping: PointMap,
    region: Mask,
    *,
    most: int = MOST_EDGES,
    near_mm: float = NEAR_MM,
) -> tuple[float, int]:
    """(share of edges of ``region`` that the control scan shows where they should be, how many).

    Of the planning scan's edges in ``region`` (its grid) that lie in the control scan's field:
    those whose profile is found again within ``near_mm`` of its place, looked for `LOOK_MM` to
    either side, with a correlation of 0.8.  A scan of something else has edges too, but elsewhere.
    """
    points, normals, profile = profiles(plan, region, most=most)
    if len(points) == 0:
        return 0.0, 0
    second = ndimage.gaussian_filter(control.hu, SMOOTH_MM / control.grid.spacing_mm[0])
    places = mapping.forward(points[:, None] + reach(LOOK_MM) * normals[:, None])
    seen = sample(control.valid.astype(np.float32), control.grid, places) > 0.75
    off, match = match_profiles(profile, sample(second, control.grid, places), seen)
    middle = seen[:, round(LOOK_MM) :][:, : profile.shape[1]].all(axis=1)
    good = (match > LEAST_MATCH) & (np.abs(off) < near_mm)
    count = int(middle.sum())
    return float((good & middle).sum() / max(1, count)), count


def reach(search_mm: float) -> F64:
    """(K, 1) places along a normal at which the control scan is sampled, mm."""
    most = PROFILE_MM + search_mm
    return np.asarray(np.arange(-most, most + 0.01, STEP_MM)[:, None])


def profiles(plan: Prepared, region: Mask, *, most: int = MOST_EDGES) -> tuple[F64, F64, F64]:
    """(N, 3) edges in ``region``, their normals, and the planning scan along these, (N, P).

    At most ``most``, drawn evenly.  Edges whose profile leaves what was scanned are none: cut off,
    it would match elsewhere.
    """
    points, normals = _edges(plan, region, most)
    first = ndimage.gaussian_filter(plan.hu, SMOOTH_MM / plan.grid.spacing_mm[0])
    places = points[:, None] + reach(0.0) * normals[:, None]
    whole = (sample(plan.valid.astype(np.float32), plan.grid, places) > 0.75).all(axis=1)
    return points[whole], normals[whole], sample(first, plan.grid, places[whole])


def away_from_bone(plan: Prepared, organ: Mask, reach_mm: float) -> Mask:
    """The organ and ``reach_mm`` around it, without bone and what lies next to it."""
    step = plan.grid.spacing_mm[0]
    around = ndimage.binary_dilation(organ, iterations=max(1, round(reach_mm / step)))
    bone = ndimage.gaussian_filter(plan.hu, 1.5 / step) > BONE_HU
    near = ndimage.binary_dilation(bone, iterations=max(1, round(BONE_MM / step)))
    out: Mask = around & plan.valid & ~(near & ~organ)
    return out


def _edges(plan: Prepared, region: Mask, most: int) -> tuple[F64, F64]:
    """(N, 3) points of strong gradient and their unit normals, LPS."""
    step = plan.grid.spacing_mm
    smooth = ndimage.gaussian_filter(np.clip(plan.hu, -200, 300), SMOOTH_MM / step[0])
    g = np.stack([np.gradient(smooth, h, axis=k) for k, h in enumerate(step)], axis=-1)
    size = np.linalg.norm(g, axis=-1)
    strong = region & (size > LEAST_GRADIENT) & (size >= 0.95 * ndimage.maximum_filter(size, 3))
    index = np.argwhere(strong)
    if len(index) > most:
        index = index[np.random.default_rng(3).choice(len(index), most, replace=False)]
    own = g[tuple(index.T)] @ plan.grid.direction.T
    normals = own / np.maximum(1e-6, np.linalg.norm(own, axis=1))[:, None]
    return plan.grid.index_to_lps(index), normals


def match_profiles(profile: F64, long: F64, seen: Mask) -> tuple[F64, F64]:
    """(N,) shift of ``profile`` in ``long`` with the best correlation, mm, and that correlation."""
    n = profile.shape[1]
    shifts = long.shape[1] - n + 1
    a = profile - profile.mean(axis=1, keepdims=True)
    a /= np.maximum(1e-6, np.linalg.norm(a, axis=1, keepdims=True))
    score = np.full((len(a), shifts), -1.0)
    for k in range(shifts):
        b = long[:, k : k + n]
        b = b - b.mean(axis=1, keepdims=True)
        norm = np.linalg.norm(b, axis=1)
        ok = seen[:, k : k + n].all(axis=1) & (norm > 20.0)
        score[:, k] = np.where(ok, (a * b).sum(axis=1) / np.maximum(norm, 1e-6), -1.0)
    best = score.argmax(axis=1)
    rows = np.arange(len(a))
    inner = np.clip(best, 1, shifts - 2)
    left, mid, right = (score[rows, inner + d] for d in (-1, 0, 1))
    curve = left - 2.0 * mid + right
    fine = np.where(curve < -1e-6, 0.5 * (left - right) / np.minimum(curve, -1e-6), 0.0)
    top = score[rows, best]
    top = np.where((best == inner) & (np.minimum(left, right) > -1.0), top, -1.0)
    return (inner + np.clip(fine, -0.5, 0.5) - 0.5 * (shifts - 1)) * STEP_MM, top


def sample(field: F32, grid: Grid, points: F64) -> F64:
    """``field`` of ``grid`` at LPS points (..., 3), trilinear; 0 outside."""
    index = grid.lps_to_index(points.reshape(-1, 3)).T
    values = ndimage.map_coordinates(field, index, order=1, mode="nearest", output=np.float32)
    inside = grid.contains(points.reshape(-1, 3))
    out: F64 = np.where(inside, values, 0.0).reshape(points.shape[:-1])
    return out
