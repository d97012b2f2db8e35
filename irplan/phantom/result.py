"""What the phantom generator takes and returns."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError
from irplan.geometry import Point3, as_point
from irplan.image import LabelMap, Volume
from irplan.phantom.tissues import Phase
from irplan.phantom.variant import PLAIN, Variant

#: Tumours may be this large; larger ones do not fit a liver without displacing its vessels.
MAX_TUMOUR_DIAMETER_MM = 120.0
MIN_TUMOUR_DIAMETER_MM = 2.0


@dataclass(frozen=True)
class TumourSpec:
    """A tumour to place in the liver.

    Parameters
    ----------
    diameter_mm : equivalent diameter, 2..120 mm: the tumour's volume is exactly pi d^3 / 6.
    centre_mm : LPS mm of its centre of mass; None lets the seed choose a
        place at least radius + 8 mm from the capsule, and with the greatest clearance from
        vessels up to 10 mm that the place allows.
    contrast_hu : tumour minus liver parenchyma in the phase asked for, -150..150 HU.
    irregularity : standard deviation of the surface's radius over the radius, 0..0.2.
    at_capsule : the seed places it so that it reaches the liver's surface and is flattened by it
        (its volume stays exact); only without ``centre_mm``.

    Raises `InputError` for a value outside these ranges.
    """

    diameter_mm: float
    centre_mm: Point3 | None = None
    contrast_hu: float = -45.0
    irregularity: float = 0.06
    at_capsule: bool = False

    def __post_init__(self) -> None:
        _require(
            "tumour.diameter_mm", self.diameter_mm, MIN_TUMOUR_DIAMETER_MM, MAX_TUMOUR_DIAMETER_MM
        )
        _require("tumour.contrast_hu", self.contrast_hu, -150.0, 150.0)
        _require("tumour.irregularity", self.irregularity, 0.0, 0.2)
        if self.at_capsule and self.centre_mm is not None:
            raise InputError(
                "tumour.at_capsule",
                got=f"True with centre_mm = {self.centre_mm}",
                expected="a place that the seed chooses",
                remedy="Leave centre_mm out, or at_capsule.",
            )
        if self.centre_mm is not None:
            object.__setattr__(
                self, "centre_mm", as_point(self.centre_mm, field="tumour.centre_mm")
            )


@dataclass(frozen=True)
class PhantomSettings:
    """Everything that, with irplan's version, determines a phantom byte for byte.

    None means that the seed chooses.  See `abdominal_ct` for the meaning and range of each.
    """

    seed: int = 0
    phase: Phase = "portal"
    spacing_mm: tuple[float, float, float] = (2.5, 0.9, 0.9)
    tumours: tuple[TumourSpec, ...] = ()
    noise_hu: float = 15.0
    liver_ml: float | None = None
    body_width_mm: float | None = None
    fat_mm: float | None = None
    table: bool = True
    variant: Variant = PLAIN


@dataclass(frozen=True)
class TumourFacts:
    """What is true of one tumour, from the analytic model (not from voxels).

    ``volume_ml`` is exact (surface scaled to it; quadrature error below 0.1 %);
    ``centre_mm`` is the centre of mass, LPS, within 0.1 mm.  ``distance_to_vessel_mm`` is from the
    tumour's surface to the nearest vessel wall among vessels of at least 3 mm calibre (portal,
    hepatic, systemic, arterial), within 0.3 mm; 0 when they touch.
    ``distance_to_capsule_mm`` is surface to liver surface, within 0.3 mm.
    """

    volume_ml: float
    equivalent_diameter_mm: float
    centre_mm: Point3
    distance_to_vessel_mm: float
    distance_to_capsule_mm: float
    contrast_hu: float
    hu: float


@dataclass(frozen=True)
class PhantomFacts:
    """What is true of the phantom whatever its voxels: from the model before sampling.

    ``liver_volume_ml`` is the organ inside its capsule, with tumours and intrahepatic vessels,
    without gallbladder and vena cava; within 0.5 %.  ``tissue_hu`` are this patient's CT numbers.
    """

    tumours: tuple[TumourFacts, ...]
    liver_volume_ml: float
    phase: Phase
    seed: int
    noise_hu: float
    tissue_hu: tuple[tuple[str, float], ...]
    portal_segments: int
    hepatic_segments: int

    def hu(self, name: str) -> float:
        """This patient's CT number of tissue ``name`` (names of `TISSUES`), HU."""
        for key, value in self.tissue_hu:
            if key == name:
                return value
        raise InputError(
            "tissue",
            got=repr(name),
            expected="one of " + ", ".join(k for k, _ in self.tissue_hu),
            remedy="Use one of these names.",
        )


@dataclass(frozen=True, eq=False)
class Phantom:
    """A synthetic abdominal CT with its truth.

    ``volume`` is int16 HU, ``labels`` on the same grid (disjoint; everything inside the skin is
    labelled; ``liver`` is parenchyma only).  ``organ`` (bool, same grid) is the liver as manual
    masks draw it: inside the capsule, with tumours and intrahepatic vessels, without gallbladder
    and vena cava.
    """

    volume: Volume
    labels: LabelMap
    organ: NDArray[np.bool_]
    facts: PhantomFacts
    settings: PhantomSettings


def _require(field: str, value: float, low: float, high: float) -> None:
    number = float(value) if isinstance(value, int | float) else math.nan
    if not (math.isfinite(number) and low <= number <= high):
        raise InputError(
            field,
            got=repr(value),
            expected=f"a number from {low:g} to {high:g}",
            remedy="Give a value in that range.",
        )
