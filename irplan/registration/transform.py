"""The map from a planning scan to a control scan: rigid, then a displacement inside the organ."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from irplan.errors import InputError
from irplan.geometry import Grid

F64 = NDArray[np.float64]
#: The inverse of the displacement is iterated until it moves by less than this, mm.
INVERSE_TOLERANCE_MM = 1e-3
INVERSE_STEPS = 60


@dataclass(frozen=True, eq=False)
class RigidTransform:
    """x -> R x + t in LPS mm; ``matrix`` is 4 x 4.  Raises `InputError` unless R is a rotation."""

    matrix: F64

    def __post_init__(self) -> None:
        m = np.array(self.matrix, dtype=np.float64)
        ok = m.shape == (4, 4) and np.isfinite(m).all()
        r = m[:3, :3] if ok else np.zeros((3, 3))
        if not ok or np.abs(r @ r.T - np.eye(3)).max() > 1e-6 or np.linalg.det(r) < 0.0:
            raise InputError(
                "rigid.matrix",
                got="a matrix that is no rotation and shift",
                expected="4 x 4 with an orthonormal, right-handed 3 x 3 part",
                remedy="Use from_rotation, or identity.",
            )
        m.setflags(write=False)
        object.__setattr__(self, "matrix", m)

    @classmethod
    def identity(cls) -> RigidTransform:
        """The map that moves nothing."""
        return cls(np.eye(4))

    @classmethod
    def from_rotation(cls, rotation: F64, shift_mm: F64) -> RigidTransform:
        """Of a 3 x 3 rotation and a shift."""
        m = np.eye(4)
        m[:3, :3], m[:3, 3] = rotation, shift_mm
        return cls(m)

    def apply(self, points_mm: ArrayLike) -> F64:
        """(..., 3) mapped points."""
        p = np.asarray(points_mm, dtype=np.float64)
        out: F64 = p @ self.matrix[:3, :3].T + self.matrix[:3, 3]
        return out

    @property
    def inverse(self) -> RigidTransform:
        """The way back."""
        r = self.matrix[:3, :3].T
        return RigidTransform.from_rotation(r, -r @ self.matrix[:3, 3])

    @property
    def rotation_deg(self) -> float:
        """Angle of the rotation, degrees in [0, 180]."""
        cosine = 0.5 * (float(np.trace(self.matrix[:3, :3])) - 1.0)
        return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))


@dataclass(frozen=True, eq=False)
class Displacement:
    """u(x), mm, at the voxels of ``grid``: ``field`` float32 (slice, row, column, 3), LPS.

    Zero beyond the grid (it fades out before).
    """

    field: NDArray[np.float32]
    grid: Grid

    def at(self, points_mm: ArrayLike) -> F64:
        """(..., 3) displacement at (..., 3) LPS points, trilinear."""
        p = np.asarray(points_mm, dtype=np.float64)
        index = self.grid.lps_to_index(p.reshape(-1, 3)).T
        parts = np.empty((index.shape[1], 3))
        for k in range(3):
            parts[:, k] = ndimage.map_coordinates(
                self.field[..., k], index, order=1, mode="constant", output=np.float64
            )
        return parts.reshape(p.shape)

    def jacobian(self) -> NDArray[np.float32]:
        """Determinant of the derivative of x + u(x), (slice, row, column)."""
        spacing = self.grid.spacing_mm
        inverse = np.linalg.inv(self.grid.direction)
        d = np.empty((*self.grid.shape, 3, 3), dtype=np.float32)
        for k in range(3):
            along = [np.gradient(self.field[..., k], h, axis=n) for n, h in enumerate(spacing)]
            d[..., k, :] = np.stack(along, axis=-1) @ inverse
        out: NDArray[np.float32] = np.linalg.det(d + np.eye(3, dtype=np.float32))
        return out


@dataclass(frozen=True, eq=False)
class PointMap:
    """Planning LPS mm -> control LPS mm: ``rigid`` (x + u(x))."""

    rigid: RigidTransform
    displacement: Displacement | None = None

    def forward(self, points_mm: ArrayLike) -> F64:
        """(..., 3) control points of (..., 3) planning points."""
        p = np.asarray(points_mm, dtype=np.float64)
        if self.displacement is not None:
            p = p + self.displacement.at(p)
        return self.rigid.apply(p)

    def backward(self, points_mm: ArrayLike) -> F64:
        """(..., 3) planning points of (..., 3) control points (fixed-point iteration)."""
        y = self.rigid.inverse.apply(points_mm)
        if self.displacement is None:
            return y
        x = y.copy()
        for _ in range(INVERSE_STEPS):
            new = y - self.displacement.at(x)
            step = float(np.abs(new - x).max(initial=0.0))
            x = new
            if step < INVERSE_TOLERANCE_MM:
                break
        return x
