"""What is peculiar to each kind of applicator: how it makes cold, heat or a field; its limits."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import ClassVar, Literal

from irplan.ablation.given import Limits, check_flag, check_whole, take_numbers
from irplan.errors import InputError

Kind = Literal["cryo", "rfa", "mwa", "ire"]


#: What to do about a value out of range.
_REMEDY = "Check the applicator's data sheet and the unit."


def _take(
    device: CryoDevice | RfaDevice | MwaDevice | IreDevice, limits: Limits, *, most_probes: int
) -> None:
    """Check the numbers of ``device`` and make them plain floats, ``max_probes`` an int."""
    name = type(device).__name__
    take_numbers(device, name, limits, _REMEDY)
    count = check_whole(f"{name}.max_probes", device.max_probes, 1, most_probes, _REMEDY)
    object.__setattr__(device, "max_probes", count)


@dataclass(frozen=True)
class CryoDevice:
    """A cryoprobe's surface.

    Parameters
    ----------
    contact_resistance_mk_per_w : thermal resistance between the working temperature and the
        tissue, per length of active zone, m K/W (0 to 2); 0 holds the surface at the working
        temperature.  It is the constant that a fit to a published zone adjusts.
    thaw_temperature_c : surface in active thaw, degC (0 to 60); +15 [V, ablation specification].
    max_phase_s : longest freeze or thaw the console allows, s.
    max_probes : most probes one console drives.
    """

    contact_resistance_mk_per_w: float = 0.0
    thaw_temperature_c: float = 15.0
    max_phase_s: float = 7200.0
    max_probes: int = 20
    kind: ClassVar[Kind] = "cryo"

    def __post_init__(self) -> None:
        _take(
            self,
            {
                "contact_resistance_mk_per_w": (0.0, 2.0, "m K/W"),
                "thaw_temperature_c": (0.0, 60.0, "degC"),
                "max_phase_s": (1.0, 7200.0, "s"),
            },
            most_probes=50,
        )


@dataclass(frozen=True)
class RfaDevice:
    """A radiofrequency electrode and its generator.

    Parameters
    ----------
    max_power_w, max_voltage_v, max_current_a : generator's limits (rms).
    cooled : the tip is flushed with coolant at the applicator's ``working_temperature_c``.
    coolant_transfer_w_per_m2k : film coefficient inside a cooled tip, W/(m2 K).
    tines : active lengths of the tines of an expandable electrode as polylines in the needle's own
        frame: ((along, u, v), ...) mm, ``along`` from the tip towards the hub and u, v across.
        Empty: a straight active tip.
    tine_diameter_mm : of each tine.
    """

    max_power_w: float = 200.0
    max_voltage_v: float = 150.0
    max_current_a: float = 2.5
    cooled: bool = False
    coolant_transfer_w_per_m2k: float = 3000.0
    tines: tuple[tuple[tuple[float, float, float], ...], ...] = ()
    tine_diameter_mm: float = 0.5
    max_phase_s: float = 3600.0
    max_probes: int = 3
    kind: ClassVar[Kind] = "rfa"

    def __post_init__(self) -> None:
        _take(
            self,
            {
                "max_power_w": (1.0, 1000.0, "W"),
                "max_voltage_v": (1.0, 500.0, "V"),
                "max_current_a": (0.05, 10.0, "A"),
                "coolant_transfer_w_per_m2k": (10.0, 1e5, "W/(m2 K)"),
                "tine_diameter_mm": (0.2, 3.0, "mm"),
                "max_phase_s": (1.0, 7200.0, "s"),
            },
            most_probes=10,
        )
        check_flag("RfaDevice.cooled", self.cooled)
        try:
            tines = tuple(tuple(tuple(map(float, p)) for p in line) for line in self.tines)
        except (TypeError, ValueError):
            tines = ((),)
        finite = all(math.isfinite(v) for line in tines for p in line for v in p)
        if not finite or any(len(line) < 2 or any(len(p) != 3 for p in line) for line in tines):
            raise InputError(
                "RfaDevice.tines",
                got="a tine that is not two or more points of three numbers",
                expected="((along, u, v), (along, u, v), ...) in mm for each tine",
                remedy="List each tine's points from the shaft to its end.",
            )
        object.__setattr__(self, "tines", tines)


@dataclass(frozen=True)
class MwaDevice:
    """A microwave antenna: coaxial, with a ring slot or an open monopole end.

    Parameters
    ----------
    frequency_mhz : 915 or 2450 as a rule.
    max_power_w : generator's limit, W.
    efficiency : share of the generator's power that reaches the tissue (cable and reflection
        taken off), 0.05 to 1.  It is the constant that a fit to a published zone adjusts.
    slot_offset_mm : from the tip to the radiating slot's or gap's middle, mm.
    slot_length_mm : its length along the shaft, mm.
    cooled : the shaft is flushed with coolant at the applicator's ``working_temperature_c``.
    coolant_transfer_w_per_m2k : film coefficient inside a cooled shaft, W/(m2 K).
    """

    frequency_mhz: float = 2450.0
    max_power_w: float = 150.0
    efficiency: float = 0.6
    slot_offset_mm: float = 10.0
    slot_length_mm: float = 1.0
    cooled: bool = True
    coolant_transfer_w_per_m2k: float = 3000.0
    max_phase_s: float = 3600.0
    max_probes: int = 3
    kind: ClassVar[Kind] = "mwa"

    def __post_init__(self) -> None:
        _take(
            self,
            {
                "frequency_mhz": (400.0, 10000.0, "MHz"),
                "max_power_w": (1.0, 500.0, "W"),
                "efficiency": (0.05, 1.0, ""),
                "slot_offset_mm": (1.0, 60.0, "mm"),
                "slot_length_mm": (0.2, 20.0, "mm"),
                "coolant_transfer_w_per_m2k": (10.0, 1e5, "W/(m2 K)"),
                "max_phase_s": (1.0, 7200.0, "s"),
            },
            most_probes=10,
        )
        check_flag("MwaDevice.cooled", self.cooled)


@dataclass(frozen=True)
class IreDevice:
    """A needle electrode for irreversible electroporation and its pulse generator."""

    max_voltage_v: float = 3000.0
    max_current_a: float = 50.0
    max_probes: int = 6
    kind: ClassVar[Kind] = "ire"

    def __post_init__(self) -> None:
        _take(
            self,
            {
                "max_voltage_v": (10.0, 10000.0, "V"),
                "max_current_a": (0.1, 200.0, "A"),
            },
            most_probes=20,
        )


Device = CryoDevice | RfaDevice | MwaDevice | IreDevice


def device_fields(kind: Kind) -> tuple[str, ...]:
    """Names of the settings a device of ``kind`` has (for files that describe applicators)."""
    kinds = {d.kind: d for d in (CryoDevice, RfaDevice, MwaDevice, IreDevice)}
    return tuple(f.name for f in fields(kinds[kind]))
