"""Planes through the patient and what lies on them: image, masks, temperature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates

from irplan.errors import InputError
from irplan.geometry import Grid


@dataclass(frozen=True, eq=False)
class Plane:
    """A rectangle in the patient, sampled on square pixels.

    Parameters
    ----------
    origin_mm : (3,) LPS point at (u, v) = (0, 0).
    right, up : (3,) unit vectors (LPS), perpendicular: where the picture's right and top point.
    u_mm, v_mm : (low, high) extent along ``right`` and ``up``, mm.
    step_mm : pixel size, mm.

    Raises `InputError` when the axes are not perpendicular unit vectors or the extent is empty.
    """

    origin_mm: NDArray[np.float64]
    right: NDArray[np.float64]
    up: NDArray[np.float64]
    u_mm: tuple[float, float]
    v_mm: tuple[float, float]
    step_mm: float = 0.5

    def __post_init__(self) -> None:
        for name in ("origin_mm", "right", "up"):
            array = np.array(getattr(self, name), dtype=np.float64)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        gram = np.array([self.right @ self.right, self.up @ self.up, self.right @ self.up])
        if not np.allclose(gram, (1, 1, 0), atol=1e-6):
            raise InputError(
                "plane axes",
                got=f"right {self.right.tolist()}, up {self.up.tolist()}",
                expected="two perpendicular unit vectors",
                remedy="Normalise the vectors and make them perpendicular.",
            )
        if not (self.u_mm[0] < self.u_mm[1] and self.v_mm[0] < self.v_mm[1] and self.step_mm > 0):
            raise InputError(
                "plane extent",
                got=f"u {self.u_mm}, v {self.v_mm}, step {self.step_mm}",
                expected="low < high in mm and a positive step",
                remedy="Give extents in mm.",
            )

    @property
    def towards_viewer(self) -> NDArray[np.float64]:
        """(3,) unit normal that points out of the picture at the reader."""
        out: NDArray[np.float64] = np.cross(self.right, self.up)
        return out

    @property
    def u_axis_mm(self) -> NDArray[np.float64]:
        """Pixel centres along ``right``, mm."""
        return _centres(self.u_mm, self.step_mm)

    @property
    def v_axis_mm(self) -> NDArray[np.float64]:
        """Pixel centres along ``up``, mm."""
        return _centres(self.v_mm, self.step_mm)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """(left, right, bottom, top) of the outer pixel edges, mm."""
        half = self.step_mm / 2
        u, v = self.u_axis_mm, self.v_axis_mm
        return (u[0] - half, u[-1] + half, v[0] - half, v[-1] + half)

    def points(self) -> NDArray[np.float64]:
        """(v, u, 3) LPS mm of every pixel centre."""
        u, v = self.u_axis_mm, self.v_axis_mm
        out: NDArray[np.float64] = (
            self.origin_mm + u[None, :, None] * self.right + v[:, None, None] * self.up
        )
        return out

    def project(self, points: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(..., 2) in-plane (u, v) and (...,) distance towards the viewer, mm, of LPS points."""
        rel = np.asarray(points, dtype=np.float64) - self.origin_mm
        uv: NDArray[np.float64] = np.stack([rel @ self.right, rel @ self.up], axis=-1)
        off: NDArray[np.float64] = rel @ self.towards_viewer
        return uv, off

    def sample(self, array: NDArray[Any], grid: Grid, *, outside: float) -> NDArray[np.float32]:
        """(v, u) trilinear values of a (slice, row, column) array; ``outside`` beyond it.

        A boolean mask comes back as occupancy 0..1, so its edge is the 0.5 contour.
        """
        index = np.moveaxis(grid.lps_to_index(self.points()), -1, 0)
        low = np.floor(index.reshape(3, -1).min(axis=1)).astype(int) - 1
        high = np.ceil(index.reshape(3, -1).max(axis=1)).astype(int) + 2
        low = np.clip(low, 0, grid.shape)
        high = np.clip(high, 0, grid.shape)
        out = np.full(index.shape[1:], outside, dtype=np.float32)
        if np.any(high <= low):
            return out
        part = array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        inside = np.ones(index.shape[1:], dtype=bool)
        for axis, n in enumerate(grid.shape):
            inside &= (index[axis] >= -0.5) & (index[axis] <= n - 0.5)
        if part.dtype == np.bool_:
            part = part.view(np.uint8)
        values = map_coordinates(
            part, index - low[:, None, None], order=1, mode="nearest", output=np.float32
        )
        out[inside] = values[inside]
        return out


def _centres(limits: tuple[float, float], step: float) -> NDArray[np.float64]:
    n = max(2, int(np.floor((limits[1] - limits[0]) / step + 1e-9)) + 1)
    return limits[0] + step * np.arange(n, dtype=np.float64)


def anatomical_plane(
    name: str, centre_mm: ArrayLike, u_mm: tuple[float, float], v_mm: tuple[float, float]
) -> Plane:
    """``"axial" | "coronal" | "sagittal"`` through ``centre_mm``, as radiologists look at it.

    Axial from the feet (patient's left on the picture's right, front up), coronal from the
    front (left on the right, head up), sagittal from the left (front on the left, head up).
    (u, v) are the LPS coordinates along the picture's axes (sign flipped where the axis runs
    against LPS), so ``origin_mm`` lies on the plane at u = v = 0.
    """
    axes = {
        "axial": ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0)),
        "coronal": ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
        "sagittal": ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    }
    if name not in axes:
        raise InputError(
            "plane",
            got=repr(name),
            expected="'axial', 'coronal' or 'sagittal'",
            remedy="Use one of these.",
        )
    right, up = (np.array(a) for a in axes[name])
    normal = np.cross(right, up)
    origin = normal * (normal @ np.asarray(centre_mm, dtype=np.float64))
    return Plane(origin, right, up, u_mm, v_mm)
