"""Applicators: what can be put at the end of a needle, with its limits and their sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from irplan.ablation.device import CryoDevice, Device, Kind
from irplan.ablation.given import check_items, check_text, take_numbers
from irplan.ablation.zones import PublishedZone
from irplan.errors import InputError


@dataclass(frozen=True)
class Applicator:
    """A class of ablation applicator.

    Parameters
    ----------
    name : catalogue name, e.g. ``"cryo-17g-rod"``.
    kind : modality.
    shaft_diameter_mm : outer diameter of the shaft, 0.5 to 5 mm.
    active_length_mm : length of the zone that exchanges energy, 5 to 100 mm.
    tip_offset_mm : distance from the tip to the distal end of the active zone, >= 0 mm.
    working_temperature_c : temperature of the active surface at full power (cryo) or of the
        coolant that holds it (cooled rfa, mwa; body temperature where nothing cools), degC; a
        cryoprobe's is at most 37.
    ramp_s : time to reach full strength, s.
    max_insertion_mm : longest usable shaft length, mm.
    source : where the numbers come from, with the label V / M / S of the specification.
    device : what is peculiar to the kind; must be of ``kind``.  None takes the kind's defaults.
    zones : zones published for it, for comparison and calibration.

    Raises
    ------
    InputError : a value out of range, or a ``device`` of another kind.
    """

    name: str
    kind: Kind
    shaft_diameter_mm: float
    active_length_mm: float
    tip_offset_mm: float
    working_temperature_c: float
    ramp_s: float
    max_insertion_mm: float
    source: str
    device: Device | None = None
    zones: tuple[PublishedZone, ...] = ()

    def __post_init__(self) -> None:
        check_text("applicator.name", self.name)
        field = f"applicator '{self.name}'"
        check_text(f"{field}.kind", self.kind, get_args(Kind))
        check_text(f"{field}.source", self.source)
        take_numbers(
            self,
            field,
            {
                "shaft_diameter_mm": (0.5, 5.0, "mm"),
                "active_length_mm": (5.0, 100.0, "mm"),
                "tip_offset_mm": (0.0, 20.0, "mm"),
                "working_temperature_c": (-196.0, 37.0 if self.kind == "cryo" else 300.0, "degC"),
                "ramp_s": (0.0, 600.0, "s"),
                "max_insertion_mm": (20.0, 300.0, "mm"),
            },
            "Check the applicator's data sheet and the unit.",
        )
        remedy = "Give zones as a tuple of PublishedZone."
        zones = check_items(f"{field}.zones", self.zones, PublishedZone, remedy)
        object.__setattr__(self, "zones", zones)
        if self.device is None and self.kind == "cryo":
            object.__setattr__(self, "device", CryoDevice())
        if self.device is not None and getattr(self.device, "kind", None) != self.kind:
            raise InputError(
                f"{field}.device",
                got=f"a {type(self.device).__name__}",
                expected=f"the device data of a '{self.kind}' applicator",
                remedy="Use CryoDevice, RfaDevice, MwaDevice or IreDevice to match the kind.",
            )
