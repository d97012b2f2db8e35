"""Rigid registration of surfaces: the skin of a scan to a tracked or scanned surface."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irplan.errors import InputError, MissingExtraError, RegistrationError
from irplan.registration.transform import RigidTransform

#: Pairs farther apart than this are none in the last round, mm.
PAIR_MM = (30.0, 12.0, 5.0)
#: Fewest points of a surface, and the least share of points with a partner.
LEAST_POINTS, LEAST_FITNESS = 100, 0.5


@dataclass(frozen=True)
class SurfaceRegistration:
    """Result of `register_surface`.

    ``transform`` maps the moving to the fixed points; ``rms_mm`` of the pairs; ``fitness`` is the
    share of moving points with a partner within 5 mm.  A smooth skin slides along itself: a small
    ``rms_mm`` alone does not prove the place.
    """

    transform: RigidTransform
    rms_mm: float
    fitness: float


def register_surface(
    moving_mm: ArrayLike, fixed_mm: ArrayLike, *, start: RigidTransform | None = None
) -> SurfaceRegistration:
    """Bring (N, 3) points of a surface to (M, 3) points of another by point-to-plane ICP.

    Chen & Medioni, Image Vis Comput 1992;10:145, in Open3D (extra ``registration``), with pairs
    within 30, 12, then 5 mm.  ``start`` (default: none moves) must be within about 30 mm and 20
    degrees; landmarks give one (`fit_landmarks`).

    Raises `MissingExtraError` without Open3D, `InputError` for points that are none,
    `RegistrationError` when fewer than half of the points find a partner.
    """
    moving, fixed = (_points(v, n) for v, n in ((moving_mm, "moving"), (fixed_mm, "fixed")))
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise MissingExtraError(
            "surface registration", package="open3d", extra="registration"
        ) from error
    pipeline = open3d.pipelines.registration
    clouds = []
    for points in (moving, fixed):
        cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(points))
        cloud.estimate_normals(open3d.geometry.KDTreeSearchParamHybrid(radius=15.0, max_nn=30))
        clouds.append(cloud)
    matrix = np.eye(4) if start is None else start.matrix.copy()
    result = None
    for reach in PAIR_MM:
        result = pipeline.registration_icp(
            clouds[0],
            clouds[1],
            reach,
            matrix,
            pipeline.TransformationEstimationPointToPlane(),
            pipeline.ICPConvergenceCriteria(max_iteration=80),
        )
        matrix = np.array(result.transformation)
    fitness = float(result.fitness) if result is not None else 0.0
    if fitness < LEAST_FITNESS:
        raise RegistrationError(
            "surface registration",
            got=f"{100 * fitness:.0f} % of the points within {PAIR_MM[-1]:g} mm of the surface",
            expected=f"at least {100 * LEAST_FITNESS:.0f} %",
            remedy="Start from landmarks, or scan more of the same skin.",
        )
    u, _, vt = np.linalg.svd(matrix[:3, :3])
    return SurfaceRegistration(
        RigidTransform.from_rotation(u @ vt, matrix[:3, 3]),
        float(result.inlier_rmse) if result is not None else math.nan,
        fitness,
    )


def _points(value: ArrayLike, name: str) -> NDArray[np.float64]:
    p = np.asarray(value, dtype=np.float64)
    if p.ndim != 2 or p.shape[1:] != (3,) or len(p) < LEAST_POINTS or not np.isfinite(p).all():
        raise InputError(
            f"surface.{name}",
            got=f"shape {p.shape}",
            expected=f"at least {LEAST_POINTS} finite points x, y, z in mm",
            remedy="Sample the surface more densely.",
        )
    return p
