"""A C-arm system as data: distances, gantry limits, housings and what they must not meet."""

from __future__ import annotations

import math
from dataclasses import dataclass

from irplan.errors import InputError
from irplan.geometry import CArm, Point3
from irplan.geometry.patient_position import beam_direction, positioner_angles, room_from_lps

Range = tuple[float, float]


@dataclass(frozen=True)
class ForbiddenAngles:
    """Gantry angles that are not to be used, degrees, with the reason in words."""

    reason: str
    primary_deg: Range
    secondary_deg: Range

    def __post_init__(self) -> None:
        _range(self, "forbidden", "primary_deg", -180.0, 180.0)
        _range(self, "forbidden", "secondary_deg", -90.0, 90.0)
        if not self.reason.strip():
            raise _wrong("forbidden.reason", "nothing", "why these angles are not to be used")

    def holds(self, primary_deg: float, secondary_deg: float) -> bool:
        """Whether the gantry angles lie in it, edges included."""
        (a, b), (c, d) = self.primary_deg, self.secondary_deg
        return a <= primary_deg <= b and c <= secondary_deg <= d


@dataclass(frozen=True)
class CArmSystem:
    """What one make of C-arm can do.  All angles are the gantry's (see `gantry_angles`).

    Parameters
    ----------
    name : for reports.
    source_isocentre_mm, source_detector_mm : focal spot to isocentre and to the detector.
    detector_shape, pixel_spacing_mm : (rows, columns) and (row, column) mm.
    primary_limits_deg, secondary_limits_deg : (low, high) reach of the gantry.
    primary_speed_deg_s, secondary_speed_deg_s : for the time a move takes; both axes at once.
    detector_radius_mm : radius of the detector's housing about the beam.
    tube_radius_mm, tube_front_mm : radius of the tube's housing, and how far it reaches from the
        focal spot towards the isocentre (collimator).
    clearance_mm : least gap between a housing and table, skin or needle hub.
    hub_mm : length of a needle's handle outside the skin.
    table_half_width_mm, table_thickness_mm : the table's slab; its top is the skin's lowest point,
        or ``table_below_isocentre_mm`` where that is given.
    forbidden : gantry angles that are not to be used.
    source : where the numbers come from, with the label V / M / S of the specification.

    The C itself (the arc) is not modelled; name its collisions as ``forbidden``.
    Raises `InputError` naming the field.
    """

    name: str
    source_isocentre_mm: float
    source_detector_mm: float
    detector_shape: tuple[int, int]
    pixel_spacing_mm: tuple[float, float]
    primary_limits_deg: Range
    secondary_limits_deg: Range
    source: str
    primary_speed_deg_s: float = 20.0
    secondary_speed_deg_s: float = 15.0
    detector_radius_mm: float = 230.0
    tube_radius_mm: float = 180.0
    tube_front_mm: float = 220.0
    clearance_mm: float = 20.0
    hub_mm: float = 120.0
    table_half_width_mm: float = 225.0
    table_thickness_mm: float = 80.0
    table_below_isocentre_mm: float | None = None
    forbidden: tuple[ForbiddenAngles, ...] = ()

    def __post_init__(self) -> None:
        for name in ("name", "source"):
            if not str(getattr(self, name)).strip():
                raise _wrong(f"system.{name}", "nothing", "a few words")
        _range(self, "system", "primary_limits_deg", -180.0, 180.0)
        _range(self, "system", "secondary_limits_deg", -90.0, 90.0)
        for name, low, high in (
            ("primary_speed_deg_s", 0.1, 200.0),
            ("secondary_speed_deg_s", 0.1, 200.0),
            ("detector_radius_mm", 1.0, 1000.0),
            ("tube_radius_mm", 1.0, 1000.0),
            ("tube_front_mm", 0.0, 1000.0),
            ("clearance_mm", 0.0, 300.0),
            ("hub_mm", 0.0, 500.0),
            ("table_half_width_mm", 0.0, 600.0),
            ("table_thickness_mm", 0.0, 600.0),
        ):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and low <= value <= high):
                raise _wrong(f"system.{name}", repr(value), f"a number from {low:g} to {high:g}")
        below = self.table_below_isocentre_mm
        if below is not None and not (math.isfinite(below) and 0.0 <= below <= 1000.0):
            raise _wrong("system.table_below_isocentre_mm", repr(below), "0 to 1000 mm")
        object.__setattr__(self, "forbidden", tuple(self.forbidden))
        arm = self.pose(0.0, 0.0, (0.0, 0.0, 0.0), "HFS")  # checks distances and detector
        object.__setattr__(self, "detector_shape", arm.detector_shape)
        object.__setattr__(self, "pixel_spacing_mm", arm.pixel_spacing_mm)

    def pose(
        self, primary_deg: float, secondary_deg: float, isocentre_mm: Point3, position: str
    ) -> CArm:
        """The system's C-arm at angles about the patient."""
        return CArm(
            self.source_isocentre_mm, self.source_detector_mm, isocentre_mm, primary_deg,
            secondary_deg, self.detector_shape, self.pixel_spacing_mm, position,
        )  # fmt: skip

    def pose_at_gantry(
        self, primary_deg: float, secondary_deg: float, isocentre_mm: Point3, position: str
    ) -> CArm:
        """The system's C-arm at angles about the gantry."""
        lps = room_from_lps(position).T @ beam_direction(primary_deg, secondary_deg)
        return self.pose(*positioner_angles(lps), isocentre_mm, position)

    def outside_limits(self, primary_deg: float, secondary_deg: float) -> str:
        """Why gantry angles cannot be reached or are not to be used; empty where they can."""
        out = []
        for word, value, (low, high) in (
            ("primary", primary_deg, self.primary_limits_deg),
            ("secondary", secondary_deg, self.secondary_limits_deg),
        ):
            over = max(low - value, value - high)
            if over > 1e-9:
                out.append(
                    f"gantry {word} angle {value:.1f} deg, {over:.1f} deg beyond {low:g} to "
                    f"{high:g} deg"
                )
        if not out:
            out = [z.reason for z in self.forbidden if z.holds(primary_deg, secondary_deg)]
        return "; ".join(out)

    def travel(self, start_deg: Range, end_deg: Range) -> tuple[float, float]:
        """(degrees, seconds) from gantry angles to gantry angles; the axes move together."""
        primary, secondary = abs(end_deg[0] - start_deg[0]), abs(end_deg[1] - start_deg[1])
        return math.hypot(primary, secondary), max(
            primary / self.primary_speed_deg_s, secondary / self.secondary_speed_deg_s
        )


def _range(owner: object, prefix: str, name: str, low: float, high: float) -> None:
    value = getattr(owner, name)
    try:
        a, b = (float(v) for v in value)
    except (TypeError, ValueError):
        a = b = math.nan
    if not low <= a <= b <= high:
        raise _wrong(
            f"{prefix}.{name}", repr(value), f"(low, high) in degrees within {low:g} to {high:g}"
        )
    object.__setattr__(owner, name, (a, b))


def _wrong(field: str, got: str, expected: str) -> InputError:
    return InputError(
        field, got=got, expected=expected, remedy="Take it from the system's data sheet."
    )


#: A ceiling- or floor-mounted angiography system in round numbers.
GENERIC_SYSTEM = CArmSystem(
    name="generic",
    source_isocentre_mm=785.0,
    source_detector_mm=1200.0,
    detector_shape=(960, 1240),
    pixel_spacing_mm=(0.308, 0.308),
    primary_limits_deg=(-120.0, 120.0),
    secondary_limits_deg=(-50.0, 50.0),
    source="round numbers of angiography systems [S]; give your own system's in a file",
)
