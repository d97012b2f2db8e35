"""The voxel grid: shape and affine from array index to LPS millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irplan.errors import GeometryError, GridMismatchError

Shape3 = tuple[int, int, int]

#: Two affines describe one grid when no corner moves by more than this many mm.
SAME_GRID_TOLERANCE_MM = 1e-3
#: Cosine between two axes above which a grid counts as sheared (0.06 deg; float32 headers
#: of real scanners stay below 1e-5).
ORTHOGONAL_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular voxel grid in patient space.

    Parameters
    ----------
    shape : number of voxels along (slice, row, column), each >= 1.
    affine : 4 x 4 float64; maps (slice, row, column, 1) of a voxel *centre* to LPS mm.
        Column n of the affine belongs to array axis n.  The axes are orthogonal, and
        (column, row, slice) is right-handed, so an image is never mirrored.
    frame_of_reference_uid : DICOM frame of reference, if known.  Grids with two different
        known frames never match.

    Raises
    ------
    GeometryError : shape not 3 positive ints; affine not finite, singular, sheared or mirrored.
    """

    shape: Shape3
    affine: NDArray[np.float64]
    frame_of_reference_uid: str | None = None

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise GeometryError(
                "grid.shape",
                got=str(tuple(self.shape)),
                expected="three voxel counts (slice, row, column), each at least 1",
                remedy="irplan works on 3-D volumes; give a series or volume with three axes.",
            )
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.all(np.isfinite(affine)):
            raise GeometryError(
                "grid.affine",
                got=f"shape {affine.shape}, finite: {bool(np.all(np.isfinite(affine)))}",
                expected="a finite 4 x 4 matrix from (slice, row, column) to LPS mm",
                remedy="Check the orientation and spacing in the image's header.",
            )
        steps = np.linalg.norm(affine[:3, :3], axis=0)
        if np.any(steps < 1e-6):
            raise GeometryError(
                "grid.affine",
                got=f"voxel size {steps.tolist()} mm",
                expected="three spacings above zero",
                remedy="Check pixel spacing and slice spacing in the image's header.",
            )
        cosines = (affine[:3, :3] / steps).T @ (affine[:3, :3] / steps) - np.eye(3)
        if np.abs(cosines).max() > ORTHOGONAL_TOLERANCE:
            raise GeometryError(
                "grid.affine",
                got=f"axes {np.degrees(np.arcsin(min(1.0, np.abs(cosines).max()))):.2f} deg "
                "off perpendicular (gantry tilt or shear)",
                expected="perpendicular slice, row and column axes",
                remedy="Resample the series to an upright grid before planning on it.",
            )
        if np.linalg.det(affine[:3, :3]) > 0:  # (slice, row, column) left-handed = (c, r, s) right
            raise GeometryError(
                "grid.affine",
                got="a mirrored grid: (column, row, slice) is left-handed",
                expected="a right-handed (column, row, slice) system",
                remedy="Reverse one array axis together with its affine column (readers do this).",
            )
        affine.setflags(write=False)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", affine)

    @classmethod
    def from_spacing(
        cls,
        shape: Sequence[int],
        spacing_mm: Sequence[float],
        origin_lps_mm: Sequence[float] = (0.0, 0.0, 0.0),
        frame_of_reference_uid: str | None = None,
    ) -> Grid:
        """Axis-aligned grid: slices run to the head, rows to the back, columns to the left.

        ``spacing_mm`` is (slice, row, column); ``origin_lps_mm`` is the centre of voxel
        (0, 0, 0) as (x, y, z).
        """
        ds, dr, dc = (float(v) for v in spacing_mm)
        affine = np.eye(4)
        affine[:3, :3] = [[0, 0, dc], [0, dr, 0], [ds, 0, 0]]
        affine[:3, 3] = origin_lps_mm
        return cls((shape[0], shape[1], shape[2]), affine, frame_of_reference_uid)

    @cached_property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along (slice, row, column), mm."""
        s = np.linalg.norm(self.affine[:3, :3], axis=0)
        return (float(s[0]), float(s[1]), float(s[2]))

    @cached_property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel, mm^3."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def direction(self) -> NDArray[np.float64]:
        """3 x 3; column n is the LPS unit vector of array axis n."""
        out: NDArray[np.float64] = self.affine[:3, :3] / np.asarray(self.spacing_mm)
        return out

    @cached_property
    def inverse(self) -> NDArray[np.float64]:
        """4 x 4 from LPS mm to (slice, row, column)."""
        out: NDArray[np.float64] = np.linalg.inv(self.affine).astype(np.float64, copy=False)
        out.setflags(write=False)
        return out

    @property
    def centre_lps_mm(self) -> NDArray[np.float64]:
        """Middle of the grid, LPS mm."""
        return self.index_to_lps((np.asarray(self.shape) - 1) / 2)

    def index_to_lps(self, index: ArrayLike) -> NDArray[np.float64]:
        """Map (..., 3) indices (slice, row, column; may be fractional) to (..., 3) LPS mm."""
        i = np.asarray(index, dtype=np.float64)
        out: NDArray[np.float64] = i @ self.affine[:3, :3].T + self.affine[:3, 3]
        return out

    def lps_to_index(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map (..., 3) LPS mm to (..., 3) fractional (slice, row, column)."""
        p = np.asarray(points, dtype=np.float64)
        inv = self.inverse
        out: NDArray[np.float64] = p @ inv[:3, :3].T + inv[:3, 3]
        return out

    def contains(self, points: ArrayLike) -> NDArray[np.bool_]:
        """(...,) True where a LPS point lies inside the voxels (faces included)."""
        i = self.lps_to_index(points)
        hi = np.asarray(self.shape) - 0.5
        out: NDArray[np.bool_] = np.all((i >= -0.5) & (i <= hi), axis=-1)
        return out

    def crop(self, start: Sequence[int], shape: Sequence[int]) -> Grid:
        """The sub-grid of ``shape`` voxels from index ``start``; must lie inside."""
        s, n = np.asarray(start, dtype=int), np.asarray(shape, dtype=int)
        if np.any(s < 0) or np.any(n < 1) or np.any(s + n > np.asarray(self.shape)):
            raise GeometryError(
                "crop",
                got=f"start {s.tolist()}, shape {n.tolist()}",
                expected=f"a box inside the grid of shape {self.shape}",
                remedy="Clip the box to the grid first.",
            )
        affine = self.affine.copy()
        affine[:3, 3] = self.index_to_lps(s)
        return Grid((int(n[0]), int(n[1]), int(n[2])), affine, self.frame_of_reference_uid)

    def box_around(self, points: ArrayLike, margin_mm: float) -> tuple[Shape3, Shape3]:
        """(start, shape) of the smallest voxel box that holds ``points`` (N, 3) plus a margin.

        The box is clipped to the grid; raises `GeometryError` if nothing remains.
        """
        i = np.atleast_2d(self.lps_to_index(points))
        pad = margin_mm / np.asarray(self.spacing_mm)
        lo = np.clip(np.floor(i.min(axis=0) - pad), 0, np.asarray(self.shape) - 1).astype(int)
        hi = np.clip(np.ceil(i.max(axis=0) + pad), 0, np.asarray(self.shape) - 1).astype(int)
        high_face = np.asarray(self.shape) - 0.5
        if np.any(i.max(axis=0) + pad < -0.5) or np.any(i.min(axis=0) - pad > high_face):
            raise GeometryError(
                "points",
                got="a box wholly outside the grid",
                expected="points inside the image",
                remedy="Check that the points are LPS mm of this image.",
            )
        n = hi - lo + 1
        return (int(lo[0]), int(lo[1]), int(lo[2])), (int(n[0]), int(n[1]), int(n[2]))

    def resized(self, spacing_mm: float | Sequence[float]) -> Grid:
        """Grid over the same field of view with the given voxel size (scalar or per axis).

        The outer faces of the first voxels stay where they are; the far side may reach out
        by less than one new voxel.
        """
        new = np.broadcast_to(np.asarray(spacing_mm, dtype=np.float64), (3,))
        old = np.asarray(self.spacing_mm)
        n = np.maximum(1, np.ceil(np.asarray(self.shape) * old / new - 1e-6)).astype(int)
        affine = np.eye(4)
        affine[:3, :3] = self.direction * new
        affine[:3, 3] = self.index_to_lps(-0.5 + 0.5 * new / old)
        return Grid((int(n[0]), int(n[1]), int(n[2])), affine, self.frame_of_reference_uid)

    def same_as(self, other: Grid) -> bool:
        """True when shape and frame agree and no corner differs by over 0.001 mm."""
        if self.shape != other.shape:
            return False
        a, b = self.frame_of_reference_uid, other.frame_of_reference_uid
        if a is not None and b is not None and a != b:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape])).reshape(3, -1).T
        gap = np.abs(self.index_to_lps(corners) - other.index_to_lps(corners)).max()
        return bool(gap <= SAME_GRID_TOLERANCE_MM)

    def require_same(self, other: Grid, *, field: str) -> None:
        """Raise `GridMismatchError` naming ``field`` unless ``other`` is this grid."""
        if self.same_as(other):
            return
        a, b = self.frame_of_reference_uid, other.frame_of_reference_uid
        if a is not None and b is not None and a != b:
            raise GridMismatchError(
                field,
                got="another frame of reference",
                expected="the image's frame of reference",
                remedy="It belongs to another acquisition: register the two, or give the one "
                "that was drawn on this image.",
            )
        raise GridMismatchError(
            field,
            got=f"a grid of {other.shape} voxels of {_mm(other.spacing_mm)} mm "
            f"from {_mm(other.affine[:3, 3])}{_turned(self, other)}",
            expected=f"the image's grid of {self.shape} voxels of {_mm(self.spacing_mm)} mm "
            f"from {_mm(self.affine[:3, 3])}",
            remedy="Resample it onto the image's grid explicitly; irplan never does so silently.",
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grid):
            return NotImplemented
        return (
            self.shape == other.shape
            and self.frame_of_reference_uid == other.frame_of_reference_uid
            and bool(np.array_equal(self.affine, other.affine))
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.affine.tobytes(), self.frame_of_reference_uid))


def _mm(values: Sequence[float] | NDArray[np.float64]) -> str:
    return "(" + ", ".join(f"{float(v):.3f}" for v in values) + ")"


def _turned(expected: Grid, got: Grid) -> str:
    """Says that the axes run elsewhere, when they do: sizes and origin alone would look alike."""
    cosines = np.sum(expected.direction * got.direction, axis=0)
    angle = float(np.degrees(np.arccos(np.clip(cosines.min(), -1.0, 1.0))))
    return f", turned by up to {angle:.2f} deg" if angle > 0.005 else ""
