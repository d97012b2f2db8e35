"""Zones that others measured: what a simulation is held against and calibrated to."""

from __future__ import annotations

from dataclasses import dataclass

from irplan.ablation.given import check_text, take_numbers


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
        name = "published zone"
        remedy = "Give millimetres, seconds, degrees Celsius and watts."
        limits = {
            "short_mm": (1.0, 150.0, "mm"),
            "long_mm": (1.0, 150.0, "mm"),
            "duration_s": (1.0, 7200.0, "s"),
            "level_c": (-200.0, 200.0, "degC"),
            "power_w": (0.1, 1000.0, "W"),
        }
        may_lack = ("long_mm", "level_c", "power_w")
        given = {
            k: v for k, v in limits.items() if k not in may_lack or getattr(self, k) is not None
        }
        take_numbers(self, name, given, remedy)
        for field in ("setting", "tissue", "source"):
            check_text(f"{name}.{field}", getattr(self, field))
