"""What needle recognition takes and gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError
from irplan.geometry import Needle, Point3

#: Where the shaft leaves what the scan shows: through the skin, or out of the field of view.
Exit = Literal["skin", "edge of the scan"]


@dataclass(frozen=True)
class NeedleOptions:
    """What counts as a needle.

    Parameters
    ----------
    metal_hu : HU from which a voxel belongs to metal, 800 to 3000; a needle reaches
        ``core_hu`` somewhere in every centimetre.  [S: cortical bone at CT resolution ends at
        about 1500 HU, contrast in vessels at 500]
    core_hu : HU that bone and contrast do not reach, above ``metal_hu`` and at most 3000.
    min_length_mm : shortest piece taken for a needle, 10 to 200 mm.
    min_depth_mm : least length inside the body, 3 to 100 mm.
    max_diameter_mm : thickest shaft, 0.5 to 6 mm.
    faint_hu : the first two for a second look in cone-beam CT, far from what the first found; each
        at most as high.  Bone is paler there, and a thin shaft near the slice's plane, which few
        views tell, hardly reaches 1300 HU.  [M: simulated scans: bone and contrast below 700 HU; a
        1.27 mm titanium needle had 14 voxels above 1300 HU and none of 2000]
    tip_cone : length of the pointed end over the diameter, expected value and spread.  [S: trocar
        and cone tips 0.7 to 1.5 diameters long]

    Raises `InputError` for a value out of range.
    """

    metal_hu: float = 1300.0
    core_hu: float = 2000.0
    min_length_mm: float = 20.0
    min_depth_mm: float = 10.0
    max_diameter_mm: float = 3.6
    faint_hu: tuple[float, float] = (1000.0, 1300.0)
    tip_cone: tuple[float, float] = (1.1, 0.35)

    def __post_init__(self) -> None:
        for name, low, high, unit in (
            ("metal_hu", 800.0, 3000.0, "HU"),
            ("core_hu", self.metal_hu, 3000.0, "HU"),
            ("min_length_mm", 10.0, 200.0, "mm"),
            ("min_depth_mm", 3.0, 100.0, "mm"),
            ("max_diameter_mm", 0.5, 6.0, "mm"),
        ):
            value = float(getattr(self, name))
            if not (math.isfinite(value) and low <= value <= high):
                raise InputError(
                    f"needles.{name}",
                    got=f"{value:g} {unit}",
                    expected=f"{low:g} to {high:g} {unit}",
                    remedy="Give a value in that range.",
                )


#: Voxels at or below this were not reconstructed (outside the scanned circle), HU; in CT also air.
NOT_SCANNED_HU = -1023.5
#: Voxels are cubes, as cone-beam CT has them, when their sides agree to this share.
CUBE = 0.02


def is_cone_beam(spacing_mm: Sequence[float]) -> bool:
    """Whether a scan is taken for cone-beam CT: its voxels are cubes."""
    return float(np.ptp(spacing_mm)) < CUBE * float(spacing_mm[0])


@dataclass(frozen=True)
class FoundNeedle:
    """One needle seen in a scan; standard deviations are one sigma.

    ``tip_mm`` is the pointed end's apex, ``direction`` the unit vector into the tip, LPS.
    ``entry_mm`` is where the axis meets the skin, None where the scan does not show it;
    ``tail_mm`` the last point of the shaft that is seen.  ``diameter_mm`` is the shaft's, corrected
    for the scan's blur as far as that can be told.  ``bend_mm`` is the largest distance of the
    shaft's middle from the straight axis.  ``length_mm`` is from tip to tail.
    """

    tip_mm: Point3
    direction: Point3
    tail_mm: Point3
    entry_mm: Point3 | None
    exit: Exit
    length_mm: float
    diameter_mm: float
    diameter_sd_mm: float
    tip_along_sd_mm: float
    tip_lateral_sd_mm: float
    angle_sd_deg: float
    bend_mm: float
    residual: float
    notes: tuple[str, ...] = ()

    @property
    def needle(self) -> Needle:
        """The needle from its entry (or the last point seen) to its tip."""
        return Needle(self.tip_mm, self.tail_mm if self.entry_mm is None else self.entry_mm)

    @property
    def tip_sd_mm(self) -> float:
        """Standard deviation of the tip's position, all directions together, mm."""
        return math.hypot(self.tip_along_sd_mm, self.tip_lateral_sd_mm)

    def axis_distance_mm(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(...,) distance of (..., 3) points from the infinite axis, mm."""
        d = np.array(self.direction)
        p = points - np.array(self.tip_mm)
        out: NDArray[np.float64] = np.linalg.norm(p - (p @ d)[..., None] * d, axis=-1)
        return out


@dataclass(frozen=True)
class RejectedObject:
    """A bright, line-like object that is no needle, and why."""

    centre_mm: Point3
    length_mm: float
    reason: str


@dataclass(frozen=True)
class NeedleFindings:
    """All needles of a scan, longest first, what was set aside, and how it was made.

    No needle with `rejected` empty means "looked for, none there"; ``skin_seen`` False means that
    the body's outline is cut by the field of view everywhere near the needles.
    """

    needles: tuple[FoundNeedle, ...]
    rejected: tuple[RejectedObject, ...]
    skin_seen: bool
    highest_hu: float
    clipped: bool
    options: NeedleOptions
    version: str
    notes: tuple[str, ...] = ()
