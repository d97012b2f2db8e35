"""The coarse lattice on which organs are modelled as smooth implicit fields (negative inside).

A field is *defined* as the cubic B-spline of its lattice values, so that it is twice
differentiable and does not depend on the voxel size of the CT that samples it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
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
        for axis, part in enumerate(box):
            t = np.arange(part.start * factor, (part.stop - 1) * factor + 1) / factor
            out = _along(out, axis, t)
        first = np.array(
            [self.x[box[2].start], self.y[box[1].start], self.z[box[0].start]], dtype=np.float64
        )
        return out, first

    def noise(self, rng: np.random.Generator, scale_mm: float) -> F32:
        """Smooth random field, mean 0, SD 1, correlation length about ``scale_mm``."""
        zoom = max(scale_mm / STEP_MM, 1.0)
        small = [int(np.ceil(n / zoom)) + 3 for n in self.shape]
        out = rng.standard_normal(small, dtype=np.float32)
        for axis, n in enumerate(self.shape):
            out = _along(out, axis, np.arange(n) / zoom + 1.0)
        result: F32 = (out - out.mean()) / out.std()
        return result


def spline_weights(t: NDArray[np.floating], n: int) -> tuple[NDArray[np.int64], F32]:
    """First of four control values and their (len(t), 4) cubic B-spline weights, of ``n``."""
    i = np.clip(np.floor(t).astype(np.int64), 1, n - 3)
    f = np.clip(t - i, 0.0, 1.0)
    g = 1.0 - f
    w = np.stack([g**3, 4 - 6 * f**2 + 3 * f**3, 4 - 6 * g**2 + 3 * g**3, f**3], axis=1) / 6.0
    return i - 1, np.ascontiguousarray(w, dtype=np.float32)


def _along(values: F32, axis: int, t: NDArray[np.float64]) -> F32:
    """The uniform cubic B-spline of ``values`` along ``axis`` at positions ``t`` (index units)."""
    first, weights = spline_weights(t, values.shape[axis])
    shape = [1, 1, 1]
    shape[axis] = t.size
    out = np.zeros((), dtype=np.float32)
    for k in range(4):
        out = out + weights[:, k].reshape(shape) * np.take(values, first + k, axis=axis)
    return out


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


#: Distance given to lattice points that a primitive's own box leaves out.
FAR_MM = 60.0
#: Margin of that box: fields are exact this far from the surface.
NEAR_MM = 28.0

XYZ = tuple[F32, F32, F32]


def _near(xyz: XYZ, low: NDArray[np.floating], high: NDArray[np.floating]) -> tuple[slice, ...]:
    """Lattice box of the points whose (x, y, z) coordinates lie within ``low``..``high``."""
    parts = []
    for axis, (values, a, b) in enumerate(zip(xyz[::-1], low[::-1], high[::-1], strict=True)):
        other = tuple(k for k in range(3) if k != axis)
        # coordinates run nearly along their axis: its slabs' extremes decide
        hit = np.flatnonzero((values.max(axis=other) >= a) & (values.min(axis=other) <= b))
        parts.append(slice(int(hit[0]), int(hit[-1]) + 1) if hit.size else slice(0, 0))
    return tuple(parts)


def ellipsoid(
    xyz: XYZ,
    centre: tuple[float, float, float],
    radii: tuple[float, float, float],
    tilt_deg: tuple[float, float] = (0.0, 0.0),
) -> F32:
    """Approximate distance to an ellipsoid, tilted about z then about y by ``tilt_deg``."""
    out = np.full(xyz[0].shape, FAR_MM, dtype=np.float32)
    c = np.asarray(centre, dtype=np.float64)
    reach = np.asarray(radii) if tilt_deg == (0.0, 0.0) else np.full(3, max(radii))
    box = _near(xyz, c - reach - NEAR_MM, c + reach + NEAR_MM)
    x, y, z = (v[box] - np.float32(m) for v, m in zip(xyz, centre, strict=True))
    a, b = (np.float32(v) for v in np.radians(tilt_deg))
    x, y = np.cos(a) * x + np.sin(a) * y, -np.sin(a) * x + np.cos(a) * y
    x, z = np.cos(b) * x + np.sin(b) * z, -np.sin(b) * x + np.cos(b) * z
    rx, ry, rz = (np.float32(r) for r in radii)
    x, y, z = x / rx, y / ry, z / rz
    k0 = np.sqrt(x * x + y * y + z * z)
    x, y, z = x / rx, y / ry, z / rz
    k1 = np.sqrt(x * x + y * y + z * z)
    out[box] = np.minimum(k0 * (k0 - 1.0) / np.maximum(k1, np.float32(1e-6)), FAR_MM)
    return out


def chain(xyz: XYZ, points: ArrayLike, radii: ArrayLike) -> F32:
    """Distance to a chain of tapered capsules through ``points`` (N, 3) with ``radii`` (N,)."""
    out = np.full(xyz[0].shape, FAR_MM, dtype=np.float32)
    at, width = np.asarray(points, dtype=np.float64), np.asarray(radii, dtype=np.float64)
    for p, q, r0, r1 in zip(at[:-1], at[1:], width[:-1], width[1:], strict=True):
        reach = max(float(r0), float(r1)) + NEAR_MM
        box = _near(xyz, np.minimum(p, q) - reach, np.maximum(p, q) + reach)
        x, y, z = (v[box] - np.float32(m) for v, m in zip(xyz, p, strict=True))
        dx, dy, dz = (np.float32(v) for v in q - p)
        t = (x * dx + y * dy + z * dz) / np.float32((q - p) @ (q - p))
        t = np.clip(t, np.float32(0.0), np.float32(1.0))
        x, y, z = x - t * dx, y - t * dy, z - t * dz
        one = np.sqrt(x * x + y * y + z * z) - (np.float32(r0) + t * np.float32(r1 - r0))
        np.minimum(out[box], one, out=out[box])
    return out
