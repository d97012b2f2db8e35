"""Deformable registration of one organ: edges matched along their normals, a smooth map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from irplan.compute import Progress, no_progress
from irplan.errors import RegistrationError
from irplan.geometry import Grid
from irplan.registration.prepare import Prepared
from irplan.registration.transform import Displacement, PointMap, RigidTransform

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
#: Edges are looked for in the organ and this far around it, but not within this of bone, mm: the
#: organ slides along the wall, whose own edges (with 16 mm, a fifth of all) would hold it back.
EDGES_MM, BONE_MM, BONE_HU = 5.0, 7.0, 180.0
#: Smoothing of both scans, mm; least gradient of an edge, HU/mm; most edges that are used.
SMOOTH_MM, LEAST_GRADIENT, MOST_EDGES = 2.0, 6.0, 5000
#: Half length of a profile and step along it, mm; least correlation of a match.
PROFILE_MM, STEP_MM, LEAST_MATCH = 7.0, 1.0, 0.8
#: Rounds: order of the polynomial (0 shift, 1 affine, 2 quadratic) and search to either side, mm.
ROUNDS = ((0, 18.0), (0, 10.0), (1, 8.0), (1, 6.0), (1, 5.0), (2, 5.0), (2, 4.0))
#: Ridge on affine and quadratic terms (normalised coordinates), in edges.
RIDGE = (5.0, 30.0)
#: `edges_found`: how near an edge must be found and how far it is looked for, mm.
NEAR_MM, LOOK_MM = 1.5, 6.0
#: Tukey's limit in robust standard deviations, and the least of these, mm.
TUKEY, LEAST_SCALE_MM = 2.0, 0.3
#: The displacement fades to nothing between these distances from the organ, mm.
FADE_MM = (8.0, 30.0)
#: Voxel of the field that is returned, mm, and fewest edges that allow a fit.
VOXEL_MM, LEAST_EDGES = 4.0, 150


def register_deformable(
    plan: Prepared,
    control: Prepared,
    rigid: RigidTransform,
    organ: Mask,
    *,
    progress: Progress = no_progress,
) -> Displacement:
    """u(x) in planning space with rigid(x + u(x)) the control position, for x in ``organ``.

    At up to 5000 edges of the planning scan a profile along the edge's normal is found again in the
    control scan by normalised cross-correlation (blind to shading, offset and gain of a cone-beam
    CT), which gives the displacement along the normal (Cootes et al., Comput Vis Image Underst
    1995;61:38, without the shape model); a polynomial of order 0, 1, then 2 in x is fitted to all
    of them by least squares with Tukey weights and a ridge.  Mutual information with B-splines, and
    demons, were tried first: on noisy, shaded cone-beam scans of a liver with little inner contrast
    both made rigid results worse.  Outside the organ u fades to nothing by 30 mm.

    Raises `RegistrationError` when fewer than 150 edges can be matched.
    """
    points, normals, profile = _profiles(plan, away_from_bone(plan, organ, EDGES_MM))
    second = ndimage.gaussian_filter(control.hu, SMOOTH_MM / control.grid.spacing_mm[0])
    inside = plan.grid.index_to_lps(np.argwhere(organ))
    centre, scale = inside.mean(axis=0), 2.0 * inside.std(axis=0)
    coefficients = np.zeros((10, 3))
    for number, (order, search) in enumerate(ROUNDS):
        progress(number / len(ROUNDS), "deformable: organ")
        u = _terms(points, centre, scale) @ coefficients
        places = rigid.apply((points + u)[:, None] + _reach(search) * normals[:, None])
        seen = _sample(control.valid.astype(np.float32), control.grid, places) > 0.75
        off, match = _match(profile, _sample(second, control.grid, places), seen)
        good = match > LEAST_MATCH
        if good.sum() < LEAST_EDGES:
            raise RegistrationError(
                "deformable registration",
                got=f"{int(good.sum())} edges of the organ found again",
                expected=f"at least {LEAST_EDGES}",
                remedy="The control scan does not show the organ as planned: give landmarks, or "
                "register rigidly.",
            )
        coefficients = coefficients + _fit(
            points[good], normals[good], off[good], match[good], order, centre, scale
        )
    start, shape = plan.grid.box_around(inside, FADE_MM[1])
    grid = plan.grid.crop(start, shape).resized(VOXEL_MM)
    index = np.moveaxis(np.indices(grid.shape), 0, -1).reshape(-1, 3)
    places = grid.index_to_lps(index)
    mask = _sample(organ.astype(np.float32), plan.grid, places).reshape(grid.shape) > 0.5
    far = ndimage.distance_transform_edt(~mask, grid.spacing_mm)
    share = np.clip((far - FADE_MM[0]) / (FADE_MM[1] - FADE_MM[0]), 0.0, 1.0)
    fade = 0.5 * (1.0 + np.cos(np.pi * share))
    field = (_terms(places, centre, scale) @ coefficients).reshape(*grid.shape, 3)
    return Displacement((field * fade[..., None]).astype(np.float32), grid)


def edges_found(
    plan: Prepared, control: Prepared, mapping: PointMap, region: Mask
) -> tuple[float, int]:
    """(share of edges of ``region`` that the control scan shows where they should be, how many).

    Of the planning scan's edges in ``region`` (its grid) that lie in the control scan's field:
    those whose profile is found again within `NEAR_MM` of its place, looked for `LOOK_MM` to either
    side, with a correlation of 0.8.  A scan of something else has edges too, but elsewhere.
    """
    points, normals, profile = _profiles(plan, region)
    if len(points) == 0:
        return 0.0, 0
    second = ndimage.gaussian_filter(control.hu, SMOOTH_MM / control.grid.spacing_mm[0])
    places = mapping.forward(points[:, None] + _reach(LOOK_MM) * normals[:, None])
    seen = _sample(control.valid.astype(np.float32), control.grid, places) > 0.75
    off, match = _match(profile, _sample(second, control.grid, places), seen)
    middle = seen[:, round(LOOK_MM) :][:, : profile.shape[1]].all(axis=1)
    good = (match > LEAST_MATCH) & (np.abs(off) < NEAR_MM)
    count = int(middle.sum())
    return float((good & middle).sum() / max(1, count)), count


def _reach(search_mm: float) -> F64:
    """(K, 1) places along a normal at which the control scan is sampled, mm."""
    most = PROFILE_MM + search_mm
    return np.asarray(np.arange(-most, most + 0.01, STEP_MM)[:, None])


def _profiles(plan: Prepared, region: Mask) -> tuple[F64, F64, F64]:
    """(N, 3) edges in ``region``, their normals, and the planning scan along these, (N, P).

    Edges whose profile leaves what was scanned are none: cut off, it would match elsewhere.
    """
    points, normals = _edges(plan, region)
    first = ndimage.gaussian_filter(plan.hu, SMOOTH_MM / plan.grid.spacing_mm[0])
    places = points[:, None] + _reach(0.0) * normals[:, None]
    whole = (_sample(plan.valid.astype(np.float32), plan.grid, places) > 0.75).all(axis=1)
    return points[whole], normals[whole], _sample(first, plan.grid, places[whole])


def away_from_bone(plan: Prepared, organ: Mask, reach_mm: float) -> Mask:
    """The organ and ``reach_mm`` around it, without bone and what lies next to it."""
    step = plan.grid.spacing_mm[0]
    around = ndimage.binary_dilation(organ, iterations=max(1, round(reach_mm / step)))
    bone = ndimage.gaussian_filter(plan.hu, 1.5 / step) > BONE_HU
    near = ndimage.binary_dilation(bone, iterations=max(1, round(BONE_MM / step)))
    out: Mask = around & plan.valid & ~(near & ~organ)
    return out


def _edges(plan: Prepared, region: Mask) -> tuple[F64, F64]:
    """(N, 3) points of strong gradient and their unit normals, LPS."""
    step = plan.grid.spacing_mm
    smooth = ndimage.gaussian_filter(np.clip(plan.hu, -200, 300), SMOOTH_MM / step[0])
    g = np.stack([np.gradient(smooth, h, axis=k) for k, h in enumerate(step)], axis=-1)
    size = np.linalg.norm(g, axis=-1)
    strong = region & (size > LEAST_GRADIENT) & (size >= 0.95 * ndimage.maximum_filter(size, 3))
    index = np.argwhere(strong)
    if len(index) > MOST_EDGES:
        index = index[np.random.default_rng(3).choice(len(index), MOST_EDGES, replace=False)]
    own = g[tuple(index.T)] @ plan.grid.direction.T
    normals = own / np.maximum(1e-6, np.linalg.norm(own, axis=1))[:, None]
    return plan.grid.index_to_lps(index), normals


def _match(profile: F64, long: F64, seen: Mask) -> tuple[F64, F64]:
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


def _fit(
    points: F64, normals: F64, off: F64, match: F64, order: int, centre: F64, scale: F64
) -> F64:
    """(10, 3) polynomial coefficients with n . u(x) = off, by reweighted least squares."""
    terms = (1, 4, 10)[order]
    basis = _terms(points, centre, scale)[:, :terms]
    a = (basis[:, :, None] * normals[:, None, :]).reshape(len(points), -1)
    ridge = np.repeat(np.array([1e-3] + [RIDGE[0]] * 3 + [RIDGE[1]] * 6)[:terms], 3)
    weight: F64 = match**4
    x: F64 = np.zeros(a.shape[1])
    for _ in range(12):
        m = (a * weight[:, None]).T @ a + np.diag(ridge)
        right = (a * weight[:, None]).T @ off
        x = np.asarray(np.linalg.solve(m, right), dtype=np.float64)
        rest = np.abs(off - a @ x)
        scale_mm = max(LEAST_SCALE_MM, 1.4826 * float(np.median(rest)))
        weight = match**4 * np.clip(1.0 - (rest / (TUKEY * scale_mm)) ** 2, 0.0, None) ** 2
    out = np.zeros((10, 3))
    out[:terms] = x.reshape(terms, 3)
    return out


def _terms(points: F64, centre: F64, scale: F64) -> F64:
    """(N, 10) 1, x, y, z, xx, yy, zz, xy, xz, yz in normalised coordinates (at most 1.6)."""
    q = np.clip((points - centre) / scale, -1.6, 1.6)
    x, y, z = q.T
    return np.stack([np.ones(len(q)), x, y, z, x * x, y * y, z * z, x * y, x * z, y * z], axis=1)


def _sample(field: F32, grid: Grid, points: F64) -> F64:
    index = grid.lps_to_index(points.reshape(-1, 3)).T
    values = ndimage.map_coordinates(field, index, order=1, mode="nearest", output=np.float32)
    inside = grid.contains(points.reshape(-1, 3))
    out: F64 = np.where(inside, values, 0.0).reshape(points.shape[:-1])
    return out
