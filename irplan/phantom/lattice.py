"""The coarse lattice on which organs are modelled as smooth implicit fields (negative inside).

A field is *defined* as the cubic B-spline of its lattice values, so that it is twice
differentiable and does not depend on the voxel size of the CT that samples it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

F32 = NDArray[np.float32]

#: Lattice step, mm.  The B-spline of step h acts like a Gaussian of sigma h / sqrt(3).
STEP_MM = 4.0


@dataclass(frozen=True, eq=False)
class Lattice:
    """Axes of the lattice in LPS mm; arrays on it are (z, y, x)."""

    x: F32
    y: F32
    z: F32

    @classmethod
    def covering(cls, low: tuple[float, float, float], high: tuple[float, float, float]) -> Lattice:
        """Lattice from ``low`` to ``high`` (x, y, z) mm, two steps beyond on each side."""
        axes = []
        for a, b in zip(low, high, strict=True):
            n = int(np.ceil((b - a) / STEP_MM)) + 5
            axes.append((a + STEP_MM * (np.arange(n) - 2)).astype(np.float32))
        return cls(*axes)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(z, y, x) numbers of lattice points."""
        return self.z.size, self.y.size, self.x.size

    def to_index(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """(..., 3) x, y, z mm -> (..., 3) fractional lattice index z, y, x."""
        p = np.asarray(points, dtype=np.float64)
        origin = np.array([self.x[0], self.y[0], self.z[0]], dtype=np.float64)
        out: NDArray[np.float64] = ((p - origin) / STEP_MM)[..., ::-1]
        return out

    def sample(self, field: F32, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Value of the field's B-spline at (..., 3) LPS points (no prefilter: see module)."""
        index = self.to_index(points)
        values = ndimage.map_coordinates(
            field, index.reshape(-1, 3).T, order=3, mode="nearest", prefilter=False, output=float
        )
        out: NDArray[np.float64] = values.reshape(index.shape[:-1])
        return out

    def refine(
        self, field: F32, box: tuple[slice, slice, slice], factor: int
    ) -> tuple[F32, NDArray[np.float64]]:
        """The B-spline of ``field`` on ``factor`` times finer points of a lattice ``box``.

        Returns the values and the LPS (x, y, z) of its first point; the step is
        ``STEP_MM / factor``.
        """
        out = field
        starts = []
        for axis, part in enumerate(box):
            n = field.shape[axis]
            t = np.arange(part.start * factor, (part.stop - 1) * factor + 1) / factor
            i = np.clip(np.floor(t).astype(int), 1, n - 3)
            f = (t - i)[:, None]
            g = 1 - f
            w = np.hstack([g**3, 4 - 6 * f**2 + 3 * f**3, 4 - 6 * g**2 + 3 * g**3, f**3]) / 6.0
            matrix = np.zeros((t.size, n), dtype=np.float32)
            for k in range(4):
                matrix[np.arange(t.size), i - 1 + k] += w[:, k]
            out = np.moveaxis(np.tensordot(matrix, out, axes=(1, axis)), 0, axis)
            starts.append(part.start)
        first = np.array(
            [self.x[starts[2]], self.y[starts[1]], self.z[starts[0]]], dtype=np.float64
        )
        return np.ascontiguousarray(out, dtype=np.float32), first

    def noise(self, rng: np.random.Generator, scale_mm: float) -> F32:
        """Smooth random field, mean 0, SD 1, correlation length about ``scale_mm``."""
        zoom = max(scale_mm / STEP_MM, 1.0)
        small = tuple(int(np.ceil(n / zoom)) + 3 for n in self.shape)
        values = rng.standard_normal(small, dtype=np.float32)
        out = values
        for axis, n in enumerate(self.shape):
            t = np.arange(n) / zoom + 1.0
            i = np.clip(np.floor(t).astype(int), 1, small[axis] - 3)
            f = (t - i)[:, None]
            g = 1 - f
            w = np.hstack([g**3, 4 - 6 * f**2 + 3 * f**3, 4 - 6 * g**2 + 3 * g**3, f**3]) / 6.0
            matrix = np.zeros((n, small[axis]), dtype=np.float32)
            for k in range(4):
                matrix[np.arange(n), i - 1 + k] += w[:, k]
            out = np.moveaxis(np.tensordot(matrix, out, axes=(1, axis)), 0, axis)
        out = np.ascontiguousarray(out, dtype=np.float32)
        result: F32 = (out - out.mean()) / out.std()
        return result


def smooth_max(a: F32, b: F32, radius_mm: float) -> F32:
    """max(a, b) with a rounded edge (polynomial, Quilez); intersection of two solids."""
    h = np.clip(0.5 + 0.5 * (a - b) / radius_mm, 0.0, 1.0)
    out: F32 = (a * h + b * (1 - h) + radius_mm * h * (1 - h)).astype(np.float32)
    return out


def smooth_min(a: F32, b: F32, radius_mm: float) -> F32:
    """min(a, b) with a rounded groove; union of two solids."""
    out: F32 = -smooth_max(-a, -b, radius_mm)
    return out


def as_distance(field: F32) -> F32:
    """``field`` over its gradient's length: a distance in mm near the zero surface."""
    gz, gy, gx = np.gradient(field, STEP_MM)
    out: F32 = (field / np.maximum(np.sqrt(gx * gx + gy * gy + gz * gz), 0.2)).astype(np.float32)
    return out


def ellipsoid(
    xyz: tuple[F32, F32, F32],
    centre: tuple[float, float, float],
    radii: tuple[float, float, float],
    tilt_deg: tuple[float, float] = (0.0, 0.0),
) -> F32:
    """Approximate distance to an ellipsoid, tilted about z then about y by ``tilt_deg``."""
    x, y, z = (p - c for p, c in zip(xyz, centre, strict=True))
    a, b = np.radians(tilt_deg[0]), np.radians(tilt_deg[1])
    x, y = np.cos(a) * x + np.sin(a) * y, -np.sin(a) * x + np.cos(a) * y
    x, z = np.cos(b) * x + np.sin(b) * z, -np.sin(b) * x + np.cos(b) * z
    rx, ry, rz = radii
    k0 = np.sqrt((x / rx) ** 2 + (y / ry) ** 2 + (z / rz) ** 2)
    k1 = np.sqrt((x / rx**2) ** 2 + (y / ry**2) ** 2 + (z / rz**2) ** 2)
    out: F32 = (k0 * (k0 - 1.0) / np.maximum(k1, 1e-6)).astype(np.float32)
    return out


def chain(
    xyz: tuple[F32, F32, F32],
    points: NDArray[np.floating],
    radii: NDArray[np.floating] | list[float],
) -> F32:
    """Distance to a chain of tapered capsules through ``points`` (N, 3) with ``radii`` (N,)."""
    x, y, z = xyz
    out = np.full(np.broadcast_shapes(x.shape, y.shape, z.shape), np.inf, dtype=np.float32)
    for p, q, r0, r1 in zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True):
        d = q - p
        t = (x - p[0]) * d[0] + (y - p[1]) * d[1] + (z - p[2]) * d[2]
        t = np.clip(t / float(d @ d), 0.0, 1.0)
        e2 = (x - p[0] - t * d[0]) ** 2 + (y - p[1] - t * d[1]) ** 2
        e2 += (z - p[2] - t * d[2]) ** 2
        one = (np.sqrt(e2) - (r0 + t * (r1 - r0))).astype(np.float32)
        np.minimum(out, one, out=out)
    return out
