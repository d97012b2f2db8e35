"""A straight needle as geometry: entry on the skin, tip in the body."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irplan.errors import GeometryError
from irplan.geometry.points import Point3, as_point


@dataclass(frozen=True)
class Needle:
    """A straight needle from ``entry_mm`` (skin) to ``tip_mm``, both LPS mm.

    Raises `GeometryError` when the two are closer than 1 mm or not finite.
    """

    tip_mm: Point3
    entry_mm: Point3

    def __post_init__(self) -> None:
        object.__setattr__(self, "tip_mm", as_point(self.tip_mm, field="needle.tip_mm"))
        object.__setattr__(self, "entry_mm", as_point(self.entry_mm, field="needle.entry_mm"))
        if math.dist(self.tip_mm, self.entry_mm) < 1.0:
            raise GeometryError(
                "needle",
                got=f"entry and tip {math.dist(self.tip_mm, self.entry_mm):.3f} mm apart",
                expected="at least 1 mm from entry to tip",
                remedy="Give the entry on the skin and the tip in the target.",
            )

    @property
    def depth_mm(self) -> float:
        """Length from entry to tip, mm."""
        return math.dist(self.tip_mm, self.entry_mm)

    @property
    def direction(self) -> NDArray[np.float64]:
        """(3,) unit vector from entry to tip, LPS."""
        out: NDArray[np.float64] = (np.array(self.tip_mm) - np.array(self.entry_mm)) / self.depth_mm
        return out

    @property
    def craniocaudal_tilt_deg(self) -> float:
        """Angle out of the axial plane, degrees in [-90, 90]; positive towards the head."""
        return math.degrees(math.asin(max(-1.0, min(1.0, float(self.direction[2])))))

    @property
    def axial_angle_deg(self) -> float:
        """Angle within the axial plane, degrees in (-180, 180].

        0 is straight from the front to the back (+y); positive turns the tip towards the
        patient's left (+x).
        """
        d = self.direction
        return math.degrees(math.atan2(float(d[0]), float(d[1])))

    def point_at(self, depth_mm: float) -> NDArray[np.float64]:
        """(3,) LPS mm of the point ``depth_mm`` from the entry along the needle."""
        out: NDArray[np.float64] = np.array(self.entry_mm) + depth_mm * self.direction
        return out

    def distance_to(self, points: ArrayLike) -> NDArray[np.float64]:
        """(...,) distance in mm of (..., 3) LPS points to the segment entry-tip."""
        p = np.asarray(points, dtype=np.float64) - np.array(self.entry_mm)
        along = np.clip(p @ self.direction, 0.0, self.depth_mm)
        out: NDArray[np.float64] = np.linalg.norm(p - along[..., None] * self.direction, axis=-1)
        return out

    def segment(self, from_tip_mm: float, to_tip_mm: float) -> tuple[Point3, Point3]:
        """Two LPS points at the given distances behind the tip (negative: beyond the tip)."""
        tip, d = np.array(self.tip_mm), self.direction
        a, b = tip - from_tip_mm * d, tip - to_tip_mm * d
        return as_point(a, field="segment"), as_point(b, field="segment")
