"""A calibrated camera: where a point of the plan lies on a video frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irplan.errors import GeometryError, InputError


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera with Brown's distortion, as OpenCV calibrates it.

    Parameters
    ----------
    size : (width, height) of the frame, pixels.
    focal_px : (fx, fy); centre_px : (cx, cy), with pixel centres at whole numbers.
    distortion : (k1, k2, p1, p2, k3), OpenCV's order; zeros for none.
    camera_from_plan : 4 x 4 rigid motion, plan's LPS mm -> camera axes (x right, y down, z ahead),
        from the registration of camera and patient.

    Raises `InputError` naming the field.
    """

    size: tuple[int, int]
    focal_px: tuple[float, float]
    centre_px: tuple[float, float]
    distortion: tuple[float, float, float, float, float]
    camera_from_plan: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name, count, low in (
            ("size", 2, 1.0), ("focal_px", 2, 1.0), ("centre_px", 2, -1e6), ("distortion", 5, -1e3)
        ):  # fmt: skip
            value = np.asarray(getattr(self, name), dtype=np.float64)
            if value.shape != (count,) or not np.all(np.isfinite(value)) or np.any(value < low):
                raise InputError(
                    f"camera.{name}",
                    got=repr(getattr(self, name)),
                    expected=f"{count} finite numbers"
                    + (f" of at least {low:g}" if low > 0 else ""),
                    remedy="Take them from the camera's calibration.",
                )
        pose = np.array(self.camera_from_plan, dtype=np.float64)
        good = pose.shape == (4, 4) and bool(np.all(np.isfinite(pose)))
        if good:
            r = pose[:3, :3]
            good = bool(np.abs(r.T @ r - np.eye(3)).max() < 1e-4 and np.linalg.det(r) > 0)
            good = good and bool(np.abs(pose[3] - (0, 0, 0, 1)).max() < 1e-9)
        if not good:
            raise InputError(
                "camera.camera_from_plan",
                got="a matrix that is no rigid motion",
                expected="4 x 4, rotation and shift in mm, last row 0 0 0 1",
                remedy="Register the camera to the plan's image.",
            )
        pose.setflags(write=False)
        object.__setattr__(self, "camera_from_plan", pose)

    def project(self, points_mm: ArrayLike) -> NDArray[np.float64]:
        """(..., 2) pixels (x, y) of (..., 3) LPS points.

        ``x'' = x' (1 + k1 r^2 + k2 r^4 + k3 r^6) + 2 p1 x'y' + p2 (r^2 + 2 x'^2)`` and likewise y
        (Brown 1966, as in OpenCV's calib3d).  Raises `GeometryError` for a point that is not in
        front of the camera.
        """
        p = np.asarray(points_mm, dtype=np.float64)
        q = p @ self.camera_from_plan[:3, :3].T + self.camera_from_plan[:3, 3]
        if np.any(q[..., 2] <= 1.0) or not np.all(np.isfinite(q)):
            raise GeometryError(
                "points to project",
                got="a point beside or behind the camera",
                expected="points in front of it",
                remedy="Check camera_from_plan: LPS mm of the plan to camera axes, z ahead.",
            )
        x, y = q[..., 0] / q[..., 2], q[..., 1] / q[..., 2]
        k1, k2, p1, p2, k3 = self.distortion
        r2 = x * x + y * y
        radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
        u = x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x)
        v = y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y
        out: NDArray[np.float64] = np.stack(
            [
                self.focal_px[0] * u + self.centre_px[0],
                self.focal_px[1] * v + self.centre_px[1],
            ],
            axis=-1,
        )
        return out

    def field_of_view_deg(self) -> tuple[float, float]:
        """Horizontal and vertical field of view without distortion, degrees."""
        return (
            2.0 * math.degrees(math.atan(0.5 * self.size[0] / self.focal_px[0])),
            2.0 * math.degrees(math.atan(0.5 * self.size[1] / self.focal_px[1])),
        )
