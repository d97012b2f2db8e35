"""Deformable registration of one organ: edges matched along their normals, a smooth map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from irplan.compute import Progress, no_progress
from irplan.errors import RegistrationError
from irplan.registration.edges import (
    LEAST_EDGES,
    LEAST_MATCH,
    LEAST_SCALE_MM,
    SMOOTH_MM,
    TUKEY,
    away_from_bone,
    match_profiles,
    profiles,
    reach,
    sample,
)
from irplan.registration.prepare import Prepared
from irplan.registration.transform import Displacement, RigidTransform

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
#: Edges are looked for in the organ and this far around it, mm.
EDGES_MM = 5.0
#: Rounds: order of the polynomial (0 shift, 1 affine, 2 quadratic) and search to either side, mm.
ROUNDS = ((0, 18.0), (0, 10.0), (1, 8.0), (1, 6.0), (1, 5.0), (2, 5.0), (2, 4.0))
#: Ridge on affine and quadratic terms (normalised coordinates), in edges.
RIDGE = (5.0, 30.0)
#: The displacement fades to nothing from this distance from the organ on, mm, over at least the
#: second and over `FADE_LENGTHS` of the largest displacement: its cosine is nowhere steeper than
#: pi / 2 / 2.2 = 0.71, so that nothing folds and the way back can be iterated.
FADE_MM, FADE_LENGTHS = (8.0, 22.0), 2.2
#: Voxel of the field that is returned, mm.
VOXEL_MM = 4.0


def register_deformable(
    plan: Prepared,
    control: Prepared,
    rigid: RigidTransform,
    organ: Mask,
    *,
    outside: RigidTransform | None = None,
    progress: Progress = no_progress,
) -> Displacement:
    """u(x) in planning space with outside(x + u(x)) the control position, for x in ``organ``.

    ``rigid`` is where the search starts, ``outside`` the map of what lies around (the bones'; None:
    ``rigid``).

    At up to 5000 edges of the planning scan a profile along the edge's normal is found again in the
    control scan by normalised cross-correlation (blind to shading, offset and gain of a cone-beam
    CT), which gives the displacement along the normal (Cootes et al., Comput Vis Image Underst
    1995;61:38, without the shape model); a polynomial of order 0, 1, then 2 in x is fitted to all
    of them by least squares with Tukey weights and a ridge.  Mutual information with B-splines, and
    demons, were tried first: on noisy, shaded cone-beam scans of a liver with little inner contrast
    both made rigid results worse.  Outside the organ u fades to nothing (`FADE_MM`).

    Raises `RegistrationError` when fewer than 150 edges can be matched.
    """
    points, normals, profile = profiles(plan, away_from_bone(plan, organ, EDGES_MM))
    second = ndimage.gaussian_filter(control.hu, SMOOTH_MM / control.grid.spacing_mm[0])
    inside = plan.grid.index_to_lps(np.argwhere(organ))
    centre, scale = inside.mean(axis=0), 2.0 * inside.std(axis=0)
    coefficients = np.zeros((10, 3))
    for number, (order, search) in enumerate(ROUNDS):
        progress(number / len(ROUNDS), "deformable: organ")
        u = _terms(points, centre, scale) @ coefficients
        places = rigid.apply((points + u)[:, None] + reach(search) * normals[:, None])
        seen = sample(control.valid.astype(np.float32), control.grid, places) > 0.75
        off, match = match_profiles(profile, sample(second, control.grid, places), seen)
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

    def moved(x: F64) -> F64:
        u = x + _terms(x, centre, scale) @ coefficients
        return u - x if outside is None else outside.inverse.apply(rigid.apply(u)) - x

    largest = float(np.linalg.norm(moved(inside), axis=1).max())
    length = max(FADE_MM[1], FADE_LENGTHS * largest)
    start, shape = plan.grid.box_around(inside, FADE_MM[0] + length)
    grid = plan.grid.crop(start, shape).resized(VOXEL_MM)
    places = grid.index_to_lps(np.moveaxis(np.indices(grid.shape), 0, -1).reshape(-1, 3))
    mask = sample(organ.astype(np.float32), plan.grid, places).reshape(grid.shape) > 0.5
    far = ndimage.distance_transform_edt(~mask, grid.spacing_mm)
    fade = 0.5 * (1.0 + np.cos(np.pi * np.clip((far - FADE_MM[0]) / length, 0.0, 1.0)))
    field = moved(places).reshape(*grid.shape, 3) * fade[..., None]
    return Displacement(field.astype(np.float32), grid)


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
