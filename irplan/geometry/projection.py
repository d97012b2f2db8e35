"""Central projection as pure functions of a 3 x 4 matrix (LPS mm -> pixel)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irplan.errors import GeometryError


def project_points(matrix: ArrayLike, points_mm: ArrayLike) -> NDArray[np.float64]:
    """(..., 2) pixel positions (column, row) of (..., 3) LPS points; centres at whole numbers.

    ``matrix`` is 3 x 4, its third row scaled so that it gives the distance from the source along
    the central beam, mm (`CArm.projection_matrix`).  Raises `GeometryError` for a point on the
    source's plane or behind it: it has no image.
    """
    m = np.asarray(matrix, dtype=np.float64)
    points = np.asarray(points_mm, dtype=np.float64)
    homogeneous = points @ m[:, :3].T + m[:, 3]
    depth = homogeneous[..., 2]
    if np.any(depth <= 1e-9) or not np.all(np.isfinite(homogeneous)):
        raise GeometryError(
            "points to project",
            got="a point beside or behind the X-ray source",
            expected="points between source and detector",
            remedy="Check the isocentre (LPS mm) and the source distances.",
        )
    out: NDArray[np.float64] = homogeneous[..., :2] / depth[..., None]
    return out


def source_of(matrix: ArrayLike) -> NDArray[np.float64]:
    """(3,) LPS mm of the source of a 3 x 4 projection matrix."""
    m = np.asarray(matrix, dtype=np.float64)
    return np.asarray(-np.linalg.solve(m[:, :3], m[:, 3]), dtype=np.float64)


def ray_directions(matrix: ArrayLike, pixels: ArrayLike) -> NDArray[np.float64]:
    """(..., 3) unit LPS vectors from the source through (..., 2) pixels (column, row)."""
    m = np.asarray(matrix, dtype=np.float64)
    p = np.asarray(pixels, dtype=np.float64)
    homogeneous = np.concatenate([p, np.ones((*p.shape[:-1], 1))], axis=-1)
    rays = homogeneous @ np.linalg.inv(m[:, :3]).T
    out: NDArray[np.float64] = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    return out
