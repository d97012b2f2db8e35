"""The bones of both scans brought together on their own: the wall's map, and a sign of identity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from irplan.registration.edges import (
    BONE_HU,
    LEAST_EDGES,
    LEAST_MATCH,
    LEAST_SCALE_MM,
    SMOOTH_MM,
    TUKEY,
    edges_found,
    match_profiles,
    profiles,
    reach,
    sample,
)
from irplan.registration.prepare import Prepared
from irplan.registration.transform import PointMap, RigidTransform

F64 = NDArray[np.float64]
#: Edges this near to bone are taken, mm, and how many at most; search of each round, mm.
NEAR_BONE_MM, MOST_EDGES = 5.0, 2500
SEARCHES_MM = (10.0, 8.0, 6.0, 5.0, 4.0, 4.0)
#: An edge of bone is found again when it lies this near, mm: rigid bodies fit better than an organ.
NEAR_MM = 0.75
#: Angles are scaled by this lever in the fit, mm.
LEVER_MM = 50.0


@dataclass(frozen=True)
class BoneFit:
    """``rigid`` planning -> control; ``share`` of ``count`` edges found again within 0.75 mm.

    Where ``count`` is below `LEAST_EDGES` too little bone is in both scans: ``rigid`` is the start
    and ``share`` says nothing.
    """

    rigid: RigidTransform
    share: float
    count: int


def fit_bones(plan: Prepared, control: Prepared, start: RigidTransform) -> BoneFit:
    """Refine ``start`` by the edges of bone alone, and count those that are found again.

    Mutual information over the whole body ends between the wall and the organs that breathe along
    it.  Bones do not deform: edges within 5 mm of bone are found again along their normals (as in
    `register_deformable`) and a rotation and shift are fitted with Tukey weights, from 10 mm down
    to 4 mm of search.  Of another person, however alike, vertebrae and ribs do not fit.
    """
    step = plan.grid.spacing_mm[0]
    bone = ndimage.gaussian_filter(plan.hu, 1.5 / step) > BONE_HU
    near = ndimage.binary_dilation(bone, iterations=max(1, round(NEAR_BONE_MM / step)))
    region = near & plan.valid
    points, normals, profile = profiles(plan, region, most=MOST_EDGES)
    second = ndimage.gaussian_filter(control.hu, SMOOTH_MM / control.grid.spacing_mm[0])
    valid = control.valid.astype(np.float32)
    rigid = start
    for search in SEARCHES_MM:
        places = rigid.apply(points[:, None] + reach(search) * normals[:, None])
        seen = sample(valid, control.grid, places) > 0.75
        off, match = match_profiles(profile, sample(second, control.grid, places), seen)
        good = match > LEAST_MATCH
        if good.sum() < LEAST_EDGES:
            break
        step_on = _rigid_step(points[good], normals[good], off[good], match[good])
        rigid = RigidTransform(rigid.matrix @ step_on.matrix)
    share, count = edges_found(
        plan, control, PointMap(rigid), region, most=MOST_EDGES, near_mm=NEAR_MM
    )
    return BoneFit(start if count < LEAST_EDGES else rigid, share, count)


def _rigid_step(points: F64, normals: F64, off: F64, match: F64) -> RigidTransform:
    """The small rigid motion with n . (w x (p - c) + t) = off, by reweighted least squares."""
    centre = points.mean(axis=0)
    a = np.hstack([np.cross(points - centre, normals) / LEVER_MM, normals])
    weight: F64 = match**4
    x: F64 = np.zeros(6)
    for _ in range(12):
        m = (a * weight[:, None]).T @ a + 1e-6 * np.eye(6)
        x = np.asarray(np.linalg.solve(m, (a * weight[:, None]).T @ off), dtype=np.float64)
        rest = np.abs(off - a @ x)
        scale = max(LEAST_SCALE_MM, 1.4826 * float(np.median(rest)))
        weight = match**4 * np.clip(1.0 - (rest / (TUKEY * scale)) ** 2, 0.0, None) ** 2
    turn = Rotation.from_rotvec(x[:3] / LEVER_MM).as_matrix()
    return RigidTransform.from_rotation(turn, centre - turn @ centre + x[3:])
