"""Simple bodies to build tissue from: spheres, cylinders, tubes, boxes and half-spaces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError
from irplan.geometry import Grid, Point3


@dataclass(frozen=True)
class Sphere:
    """All points within ``radius_mm`` of ``centre_mm`` (LPS mm)."""

    centre_mm: Point3
    radius_mm: float

    def __post_init__(self) -> None:
        _positive("sphere.radius_mm", self.radius_mm)

    def inside(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(...,) True for (..., 3) LPS points in the body."""
        out: NDArray[np.bool_] = (
            np.linalg.norm(points - np.array(self.centre_mm), axis=-1) <= self.radius_mm
        )
        return out


@dataclass(frozen=True)
class Cylinder:
    """A straight cylinder with flat ends from ``from_mm`` to ``to_mm`` on its axis."""

    from_mm: Point3
    to_mm: Point3
    radius_mm: float

    def __post_init__(self) -> None:
        _positive("cylinder.radius_mm", self.radius_mm)
        _apart("cylinder", self.from_mm, self.to_mm)

    def inside(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(...,) True for (..., 3) LPS points in the body."""
        axis = np.subtract(self.to_mm, self.from_mm)
        length = float(np.linalg.norm(axis))
        axis = axis / length
        p = points - np.array(self.from_mm)
        along = p @ axis
        across = np.linalg.norm(p - along[..., None] * axis, axis=-1)
        out: NDArray[np.bool_] = (across <= self.radius_mm) & (along >= 0.0) & (along <= length)
        return out


@dataclass(frozen=True)
class Tube:
    """All points within ``radius_mm`` of a line through two or more points: a vessel that bends."""

    points_mm: tuple[Point3, ...]
    radius_mm: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "points_mm", tuple(self.points_mm))
        _positive("tube.radius_mm", self.radius_mm)
        if len(self.points_mm) < 2 or any(len(p) != 3 for p in self.points_mm):
            raise InputError(
                "tube.points_mm",
                got=f"{len(self.points_mm)} points",
                expected="two or more points of three coordinates",
                remedy="For example [[0, 0, -40], [0, 0, 40]].",
            )
        for a, b in zip(self.points_mm[:-1], self.points_mm[1:], strict=True):
            _apart("tube", a, b)

    def inside(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(...,) True for (..., 3) LPS points in the body."""
        out = np.zeros(points.shape[:-1], dtype=bool)
        for a, b in zip(self.points_mm[:-1], self.points_mm[1:], strict=True):
            axis = np.subtract(b, a)
            p = points - np.array(a)
            t = np.clip(p @ axis / float(axis @ axis), 0.0, 1.0)
            out |= np.linalg.norm(p - t[..., None] * axis, axis=-1) <= self.radius_mm
        return out


@dataclass(frozen=True)
class Box:
    """A box along the LPS axes: ``size_mm`` are its full lengths in x, y, z."""

    centre_mm: Point3
    size_mm: Point3

    def __post_init__(self) -> None:
        for value in self.size_mm:
            _positive("box.size_mm", value)

    def inside(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(...,) True for (..., 3) LPS points in the body."""
        off = np.abs(points - np.array(self.centre_mm))
        out: NDArray[np.bool_] = np.all(off <= np.array(self.size_mm) / 2.0, axis=-1)
        return out


@dataclass(frozen=True)
class Halfspace:
    """Everything beyond a plane through ``point_mm``, on the side that ``normal`` points to."""

    point_mm: Point3
    normal: Point3

    def __post_init__(self) -> None:
        if float(np.linalg.norm(self.normal)) < 1e-9:
            raise InputError(
                "halfspace.normal",
                got=f"{self.normal}",
                expected="a direction",
                remedy="For example [0, 0, 1]: everything towards the head.",
            )

    def inside(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(...,) True for (..., 3) LPS points in the body."""
        out: NDArray[np.bool_] = (points - np.array(self.point_mm)) @ np.array(self.normal) >= 0.0
        return out


Shape = Sphere | Cylinder | Tube | Box | Halfspace


def mask_of(shape: Shape, grid: Grid) -> NDArray[np.bool_]:
    """Voxels of ``grid`` whose centres lie in ``shape``: bool (slice, row, column)."""
    out = np.zeros(grid.shape, dtype=bool)
    rows, columns = np.meshgrid(np.arange(grid.shape[1]), np.arange(grid.shape[2]), indexing="ij")
    for n in range(grid.shape[0]):  # a slice at a time: the points of 256^3 voxels take 400 MB
        index = np.stack([np.full_like(rows, n), rows, columns], axis=-1)
        out[n] = shape.inside(grid.index_to_lps(index))
    return out


def _positive(field: str, value: float) -> None:
    if not 0.0 < value <= 1000.0:
        raise InputError(
            field,
            got=f"{value}",
            expected="more than 0 and at most 1000 mm",
            remedy="Give the length in millimetres.",
        )


def _apart(shape: str, a: Point3, b: Point3) -> None:
    if float(np.linalg.norm(np.subtract(a, b))) < 1e-6:
        raise InputError(
            f"{shape} axis",
            got=f"twice the point {tuple(a)}",
            expected="two different points",
            remedy="Give both ends of the axis.",
        )
