"""Zones that others measured: what a simulation is held against and calibrated to."""

from __future__ import annotations

from dataclasses import dataclass

from irplan.errors import InputError


@dataclass(frozen=True)
class PublishedZone:
    """A measured zone of an applicator.

    Parameters
    ----------
    short_mm, long_mm : diameter across and length along the needle, mm (1 to 150); ``long_mm`` is
        None where only the diameter is published.
    setting : what was done, e.g. ``"15 min freeze, 39 degC agar"``.
    duration_s : time of energy delivery, s.
    level_c : isotherm that the size belongs to, degC; None: the zone seen in pathology or image.
    power_w : generator's power, W, for heat.
    tissue : name in the tissue table, or ``"gel"``.
    source : publication with the label V / S of the specification.
    """

    short_mm: float
    long_mm: float | None
    setting: str
    duration_s: float
    level_c: float | None
    power_w: float | None
    tissue: str
    source: str

    def __post_init__(self) -> None:
        for field in ("short_mm", "long_mm"):
            value = getattr(self, field)
            if value is not None and not 1.0 <= value <= 150.0:
                raise InputError(
                    f"published zone.{field}",
                    got=f"{value}",
                    expected="1 to 150 mm",
                    remedy="Give the diameter in millimetres.",
                )
        if not 1.0 <= self.duration_s <= 7200.0:
            raise InputError(
                "published zone.duration_s",
                got=f"{self.duration_s}",
                expected="1 to 7200 s",
                remedy="Give seconds, not minutes.",
            )
