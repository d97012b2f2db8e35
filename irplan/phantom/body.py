"""The patient drawn by the seed: size, fat, tilt, and the reference anatomy's mapping to LPS.

Organs are described in a *reference* frame in mm (x to the left, y to the back, z to the head; the
top of the right diaphragm at z = 0, the rib cage's inside about 264 mm wide, the front of the
cavity at y = -85, vertebral bodies' centre at y = 35), which is scaled, shifted and rolled into
the patient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irplan.errors import InputError
from irplan.phantom.lattice import F32, Lattice

#: Top and bottom of the scan in the reference frame.
TOP_Z = 46.0
BOTTOM_Z = -262.0
SKIN_MM = 2.0
#: Half the inner width of the narrowest trunk that holds the organs.
MIN_HALF_CAVITY_MM = 92.0


@dataclass(frozen=True)
class Body:
    """Trunk dimensions in mm and the scale of the reference anatomy."""

    half_width: float
    half_depth: float
    fat: float
    scale: tuple[float, float, float]
    shift_y: float
    roll_deg: float
    kyphosis: float
    scoliosis: float

    @classmethod
    def draw(
        cls, rng: np.random.Generator, *, width_mm: float | None, fat_mm: float | None
    ) -> Body:
        """Draw a patient; a given width or fat replaces what would have been drawn.

        Raises `InputError` for fat that leaves no room for the organs.
        """
        fat = float(np.clip(rng.normal(17.0, 5.0), 8.0, 30.0))
        half_width = float(np.clip(rng.normal(161.0, 7.0) + 0.5 * (fat - 17.0), 142.0, 182.0))
        ratio = float(np.clip(rng.normal(0.70, 0.025), 0.65, 0.76))
        tall = float(np.clip(rng.normal(1.0, 0.04), 0.92, 1.08))
        roll, bend, side = rng.normal(0.0, [2.0, 2.0, 2.5])
        if fat_mm is not None:
            fat = fat_mm
        if width_mm is not None:
            half_width = width_mm / 2
        most = half_width - SKIN_MM - 12.0 - MIN_HALF_CAVITY_MM
        if fat_mm is not None and fat_mm > most:
            raise InputError(
                "fat_mm",
                got=f"{fat_mm:g} mm in a body {2 * half_width:.0f} mm wide",
                expected=f"at most {most:.0f} mm, which leaves room for the organs",
                remedy="Choose less fat or a wider body.",
            )
        fat = min(fat, most)
        half_depth = half_width * ratio
        inner = half_width - fat - SKIN_MM - 12.0
        front = half_depth - 0.9 * fat - SKIN_MM - 10.0
        spine_y = half_depth - 0.8 * fat - SKIN_MM - 56.0
        scale_y = (front + spine_y) / 120.0
        return cls(
            half_width,
            half_depth,
            fat,
            (inner / 132.0, scale_y, tall),
            spine_y - 35.0 * scale_y,
            float(np.clip(roll, -4.0, 4.0)),
            float(bend),
            float(side),
        )

    def upright(self, x: F32, y: F32) -> tuple[F32, F32]:
        """LPS x, y -> mm in the patient's own upright frame (roll removed)."""
        c, s = np.cos(np.radians(self.roll_deg)), np.sin(np.radians(self.roll_deg))
        return (
            (c * x + s * y).astype(np.float32),
            (c * y - s * x).astype(np.float32),
        )

    def reference(self, lattice: Lattice) -> tuple[F32, F32, F32]:
        """Reference coordinates (x, y, z) of every lattice point, full (z, y, x) arrays."""
        x, y = self.upright(lattice.x[None, :], lattice.y[:, None])
        z = lattice.z / self.scale[2]
        shape = lattice.shape
        return (
            np.broadcast_to((x / self.scale[0]).astype(np.float32), shape),
            np.broadcast_to(((y - self.shift_y) / self.scale[1]).astype(np.float32), shape),
            np.broadcast_to(z[:, None, None].astype(np.float32), shape),
        )

    def to_lps(self, points: ArrayLike) -> NDArray[np.float64]:
        """(N, 3) reference x, y, z -> LPS mm."""
        p = np.atleast_2d(np.asarray(points, dtype=np.float64))
        u = p[:, 0] * self.scale[0]
        v = p[:, 1] * self.scale[1] + self.shift_y
        return self.from_upright(np.stack([u, v, p[:, 2] * self.scale[2]], axis=1))

    def from_upright(self, points: ArrayLike) -> NDArray[np.float64]:
        """(N, 3) upright mm -> LPS mm (roll applied)."""
        p = np.atleast_2d(np.asarray(points, dtype=np.float64))
        c, s = np.cos(np.radians(self.roll_deg)), np.sin(np.radians(self.roll_deg))
        return np.stack([c * p[:, 0] - s * p[:, 1], s * p[:, 0] + c * p[:, 1], p[:, 2]], axis=1)

    def spine_line(self, z_reference: ArrayLike) -> NDArray[np.float64]:
        """(N, 3) centre of the vertebral column at reference heights, in the reference frame."""
        z = np.atleast_1d(np.asarray(z_reference, dtype=np.float64))
        lordosis = -7.0 * np.exp(-(((z + 215.0) / 70.0) ** 2))
        thoracic = (3.0 + 0.6 * self.kyphosis) * (z > -60) * ((z + 60.0) / 100.0) ** 2
        x = self.scoliosis * np.sin((z + 60.0) / 90.0)
        return np.stack([x, 35.0 + lordosis + thoracic, z], axis=1)

    @property
    def bottom_mm(self) -> float:
        """Lowest z of the scan, LPS mm."""
        return BOTTOM_Z * self.scale[2]

    @property
    def top_mm(self) -> float:
        """Highest z of the scan, LPS mm."""
        return TOP_Z * self.scale[2]
