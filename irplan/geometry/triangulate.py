"""A point in space from its pictures in two or more views."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from irplan.errors import GeometryError
from irplan.geometry.c_arm import CArm
from irplan.geometry.points import Point3, as_point

#: Views nearer to each other than this do not tell depth, degrees.
LEAST_ANGLE_DEG = 10.0


@dataclass(frozen=True)
class TriangulatedPoint:
    """``residual_mm`` is the root mean square distance of the point from the rays; ``sd_mm`` the
    standard deviation of its position, all directions together; ``angle_deg`` between the rays.
    """

    point_mm: Point3
    residual_mm: float
    sd_mm: float
    angle_deg: float


def triangulate(
    views: Sequence[CArm], pixels: Sequence[tuple[float, float]], *, pixel_sd: float = 1.0
) -> TriangulatedPoint:
    """The point nearest to the rays of ``pixels`` (column, row) in ``views``, least squares.

    ``pixel_sd``: how sure a click or a detected tip is, pixels; it gives ``sd_mm`` by propagation.
    A residual well above ``sd_mm`` says that the two pictures do not show the same point, or that
    the patient moved between them.  Raises `GeometryError` for fewer than two views, lists of
    different length, and views within 10 degrees of each other.
    """
    if len(views) < 2 or len(views) != len(pixels):
        raise GeometryError(
            "views",
            got=f"{len(views)} views and {len(pixels)} pixels",
            expected="two or more views with one pixel (column, row) each",
            remedy="Mark the tip in two pictures from different directions.",
        )
    rays = np.array([v.rays(p) for v, p in zip(views, pixels, strict=True)])
    sources = np.array([v.source_mm for v in views])
    angles = [
        math.degrees(math.acos(min(1.0, abs(float(a @ b)))))
        for k, a in enumerate(rays)
        for b in rays[k + 1 :]
    ]
    if max(angles) < LEAST_ANGLE_DEG:
        raise GeometryError(
            "views",
            got=f"directions {max(angles):.1f} deg apart",
            expected=f"at least {LEAST_ANGLE_DEG:g} deg between two views",
            remedy="Turn the C-arm farther for the second picture.",
        )
    across = np.eye(3) - rays[:, :, None] * rays[:, None, :]
    point = np.linalg.solve(across.sum(axis=0), np.einsum("vij,vj->i", across, sources))
    gap = np.linalg.norm(np.einsum("vij,vj->vi", across, point - sources), axis=1)
    information = np.zeros((3, 3))
    for view, ray, source, square in zip(views, rays, sources, across, strict=True):
        along = float((point - source) @ ray)
        sd = pixel_sd * view.pixel_spacing_mm[0] * along / view.source_detector_mm
        information += square / sd**2
    return TriangulatedPoint(
        as_point(point, field="point"),
        float(np.sqrt((gap**2).mean())),
        float(np.sqrt(np.trace(np.linalg.inv(information)))),
        max(angles),
    )
