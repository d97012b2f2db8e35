"""Distance of points to an ellipsoid, by bisection on the one root that counts (Eberly 2013)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def signed_distance_mm(
    points: NDArray[np.float64],
    centre: NDArray[np.float64],
    axes: NDArray[np.float64],
    turn: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(n,) distance of (n, 3) points to the surface; negative inside.

    ``axes`` (3,) half axes; columns of ``turn`` their directions.  D. Eberly, "Distance from a
    point to an ellipse, an ellipsoid, or a hyperellipsoid" (2013), eq. 17, for points off the
    planes of symmetry (those are moved by 1e-9).
    """
    order = np.argsort(axes)[::-1]
    e = axes[order]
    y = np.maximum(np.abs((points - centre) @ turn[:, order]), 1e-9)
    z = y / e
    outside = np.sum(z**2, axis=1) > 1.0
    ratio = (e / e[2]) ** 2
    low = z[:, 2] - 1.0
    high = np.where(outside, np.linalg.norm(ratio * z, axis=1) - 1.0, 0.0)
    for _ in range(80):
        middle = 0.5 * (low + high)
        g = np.sum((ratio * z / (middle[:, None] + ratio)) ** 2, axis=1) - 1.0
        low, high = np.where(g > 0.0, middle, low), np.where(g > 0.0, high, middle)
    nearest = ratio * y / (0.5 * (low + high)[:, None] + ratio)
    distance: NDArray[np.float64] = np.linalg.norm(y - nearest, axis=1)
    return np.where(outside, distance, -distance)


def surface_points(
    count: int, centre: NDArray[np.float64], axes: NDArray[np.float64], turn: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(count, 3) points spread over the ellipsoid (Fibonacci sphere, stretched)."""
    k = np.arange(count) + 0.5
    z = 1.0 - 2.0 * k / count
    a = np.pi * (1.0 + 5.0**0.5) * k
    r = np.sqrt(1.0 - z**2)
    unit = np.stack([r * np.cos(a), r * np.sin(a), z], axis=-1)
    out: NDArray[np.float64] = centre + (unit * axes) @ turn.T
    return out
