"""Pairs of landmarks: the rigid map that fits them best, and what is left."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irplan.errors import InputError
from irplan.registration.transform import RigidTransform

#: Landmarks must span a triangle at least this high, mm.
LEAST_SPREAD_MM = 10.0


def fit_landmarks(plan_mm: ArrayLike, control_mm: ArrayLike) -> RigidTransform:
    """Rotation and shift with the least mean square distance (Kabsch, Acta Cryst A 1976;32:922).

    (N, 3) points each, N >= 3, not on a line.  Raises `InputError`.
    """
    a, b = as_pairs(plan_mm, control_mm, least=3)
    p, q = a - a.mean(axis=0), b - b.mean(axis=0)
    spread = np.linalg.svd(p, compute_uv=False) / np.sqrt(len(a))
    if spread[1] < LEAST_SPREAD_MM / 2.0:
        raise InputError(
            "landmarks",
            got=f"points within {2 * spread[1]:.1f} mm of a line",
            expected="three or more points that span a triangle",
            remedy="Add a landmark to the side of the others.",
        )
    u, _, vt = np.linalg.svd(p.T @ q)
    d = np.diag([1.0, 1.0, np.sign(np.linalg.det(vt.T @ u.T))])
    r = vt.T @ d @ u.T
    return RigidTransform.from_rotation(r, b.mean(axis=0) - r @ a.mean(axis=0))


def as_pairs(
    plan_mm: ArrayLike, control_mm: ArrayLike, *, least: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both as (N, 3) float arrays of finite points; `InputError` for anything else."""
    try:
        a, b = (np.asarray(v, dtype=np.float64) for v in (plan_mm, control_mm))
    except (TypeError, ValueError) as error:
        raise InputError(
            "landmarks",
            got="points that are not three numbers each",
            expected="two lists of points x, y, z (LPS mm)",
            remedy="Mend that landmark.",
        ) from error
    if a.ndim != 2 or a.shape[1:] != (3,) or a.shape != b.shape or len(a) < least:
        raise InputError(
            "landmarks",
            got=f"shapes {a.shape} and {b.shape}",
            expected=f"two lists of the same {least} or more points x, y, z (LPS mm)",
            remedy="Give the same landmarks in the same order for both scans.",
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError(
            "landmarks",
            got="a coordinate that is not finite",
            expected="numbers in mm",
            remedy="Mend that landmark.",
        )
    return a, b
