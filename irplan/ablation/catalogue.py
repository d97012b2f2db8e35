"""Named applicator classes with the source of their numbers."""

from __future__ import annotations

from irplan.ablation.applicator import Applicator
from irplan.errors import InputError

#: Raised whenever a number of this catalogue changes; it goes into plans and results.
CATALOGUE_VERSION = "2026.1"
#: Surface of a cryoprobe in active thaw, degC [V, ablation specification].
ACTIVE_THAW_C = 15.0

_LENGTHS = "active length and 1.5 mm shaft: maker's data [V, ablation specification]"
_REST = "60 s ramp, 3 mm tip and 175 mm shaft: typical, to verify [S]"


def _cryo(name: str, length_mm: float, temperature_c: float, temperature: str) -> Applicator:
    return Applicator(
        name=name,
        kind="cryo",
        shaft_diameter_mm=1.5,
        active_length_mm=length_mm,
        tip_offset_mm=3.0,
        working_temperature_c=temperature_c,
        ramp_s=60.0,
        max_insertion_mm=175.0,
        source=f"{_LENGTHS}; {temperature}; {_REST}",
    )


_FREEZE = "-140 degC during the freeze [V, ablation specification]"
_ALL = (
    _cryo("cryo-17g-seed", 20.0, -140.0, _FREEZE),
    _cryo("cryo-17g-sphere", 25.0, -140.0, _FREEZE),
    _cryo("cryo-17g-rod", 45.0, -130.0, "-130 degC as listed for IceRod [V]"),
)

#: Every applicator by name.
APPLICATORS = {a.name: a for a in _ALL}


def applicator(name: str) -> Applicator:
    """The applicator called ``name``; `InputError` lists the names."""
    if name not in APPLICATORS:
        raise InputError(
            "applicator",
            got=repr(name),
            expected="one of " + ", ".join(APPLICATORS),
            remedy="Use one of these names, or build an Applicator yourself.",
        )
    return APPLICATORS[name]
