"""A C-arm that turns round the patient: its geometry, and what blurs and disturbs its pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError
from irplan.geometry import Point3, as_point
from irplan.geometry.c_arm import CArm
from irplan.phantom.attenuation import DETECTED


@dataclass(frozen=True)
class CbctSystem:
    """A circular short scan about the patient's long axis.

    Parameters
    ----------
    source_isocentre_mm, source_detector_mm : distances [S: angiography C-arms 785 and 1200 mm].
    detector_shape : (rows, columns) after binning; ``pixel_mm`` in the detector's plane.
        [S: 30 x 40 cm panels, 0.154 mm pixels, binned 4 x 4 for soft tissue]
    views : projections over ``arc_deg`` [S: 248 to 496 over 200 degrees]; at least 180 degrees plus
        the fan's angle, else the short scan is incomplete (`InputError`).
    start_deg : primary angle of the first view (LAO positive).

    Raises `InputError` for a value out of range.
    """

    source_isocentre_mm: float = 785.0
    source_detector_mm: float = 1200.0
    detector_shape: tuple[int, int] = (240, 320)
    pixel_mm: float = 1.232
    views: int = 248
    arc_deg: float = 204.0
    start_deg: float = -102.0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("pixel_mm", 0.1, 10.0),
            ("views", 20, 2000),
            ("arc_deg", 180.0, 360.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(
                    f"cbct.{name}",
                    got=f"{value:g}",
                    expected=f"{low:g} to {high:g}",
                    remedy="Give a value in that range.",
                )
        if self.arc_deg < 180.0 + self.fan_deg:
            raise InputError(
                "cbct.arc_deg",
                got=f"{self.arc_deg:g} deg",
                expected=f"at least 180 + {self.fan_deg:.1f} deg (the fan's angle)",
                remedy="Turn farther, or use a smaller detector.",
            )

    @property
    def fan_deg(self) -> float:
        """Full opening angle of the beam in the plane of rotation, degrees."""
        half = 0.5 * self.detector_shape[1] * self.pixel_mm
        return 2.0 * math.degrees(math.atan(half / self.source_detector_mm))

    @property
    def field_radius_mm(self) -> float:
        """Radius of the cylinder that every view sees."""
        return self.source_isocentre_mm * math.sin(math.radians(0.5 * self.fan_deg))

    @property
    def angles_deg(self) -> NDArray[np.float64]:
        """(views,) primary angles, -180 to 180 degrees."""
        angles = self.start_deg + self.arc_deg * (np.arange(self.views) + 0.5) / self.views
        out: NDArray[np.float64] = (angles + 180.0) % 360.0 - 180.0
        return out

    def poses(self, isocentre_mm: Point3) -> tuple[CArm, ...]:
        """The C-arm's pose in each view."""
        centre = as_point(isocentre_mm, field="isocentre_mm")
        return tuple(
            CArm(
                self.source_isocentre_mm,
                self.source_detector_mm,
                centre,
                float(angle),
                0.0,
                self.detector_shape,
                (self.pixel_mm, self.pixel_mm),
            )
            for angle in self.angles_deg
        )


@dataclass(frozen=True)
class CbctPhysics:
    """What happens to the photons.

    Parameters
    ----------
    kv : tube voltage, 90, 100 or 120 kV.
    polychromatic : beam hardening by the whole spectrum; else one energy.
    photons : detected per pixel of an unattenuated beam and view; 0: no quantum noise.
        [S: 1e5 to 1e6 for soft-tissue runs]
    electronic : standard deviation of the read-out, in photons [S: 5 to 30].
    scatter : scatter-to-primary ratio behind 200 mm of water, with grid [S: 0.2 to 1].
    scatter_removed : share of the scatter that the system's own correction takes away, 0 to 1.
    scatter_width_mm : standard deviation of the scatter's spread on the detector.

    Raises `InputError` for a value out of range.
    """

    kv: int = 100
    polychromatic: bool = True
    photons: float = 2e5
    electronic: float = 10.0
    scatter: float = 0.4
    scatter_removed: float = 0.8
    scatter_width_mm: float = 60.0

    def __post_init__(self) -> None:
        if self.kv not in DETECTED:
            raise InputError(
                "cbct.kv", got=f"{self.kv}", expected="90, 100 or 120", remedy="Choose one of them."
            )
        for name, low, high in (
            ("photons", 0.0, 1e9),
            ("electronic", 0.0, 1e4),
            ("scatter", 0.0, 5.0),
            ("scatter_removed", 0.0, 1.0),
            ("scatter_width_mm", 5.0, 500.0),
        ):
            value = float(getattr(self, name))
            if not (math.isfinite(value) and low <= value <= high):
                raise InputError(
                    f"cbct.{name}",
                    got=f"{value:g}",
                    expected=f"{low:g} to {high:g}",
                    remedy="Give a value in that range.",
                )


IDEAL = CbctPhysics(polychromatic=False, photons=0.0, electronic=0.0, scatter=0.0)
