"""Named applicator classes with the source of their numbers; a class is no one maker's product."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from irplan.ablation.applicator import Applicator
from irplan.ablation.library.cryoprobes import CRYOPROBES
from irplan.ablation.library.heat_applicators import MWA_ANTENNAS, RFA_ELECTRODES
from irplan.ablation.library.ire_electrodes import IRE_ELECTRODES
from irplan.errors import InputError

#: Raised whenever a number of this catalogue changes; it goes into plans and results.
CATALOGUE_VERSION = "2026.2"
#: What automatic planning chooses among.  A new cryoprobe of the catalogue changes no plan until
#: it is named here.
AUTOMATIC_CRYOPROBES = ("cryo-17g-seed", "cryo-17g-sphere", "cryo-17g-rod")

#: Every applicator by name.
APPLICATORS: Mapping[str, Applicator] = MappingProxyType(
    {a.name: a for a in (*CRYOPROBES, *RFA_ELECTRODES, *MWA_ANTENNAS, *IRE_ELECTRODES)}
)


def applicator(name: str) -> Applicator:
    """The applicator called ``name``; `InputError` lists the names and the nearest one."""
    if not isinstance(name, str) or name not in APPLICATORS:
        near = get_close_matches(str(name), APPLICATORS, n=1)
        raise InputError(
            "applicator",
            got=repr(name),
            expected="one of " + ", ".join(APPLICATORS),
            remedy="Use one of these names, or build an Applicator yourself"
            + (f"; did you mean '{near[0]}'?" if near else "."),
        )
    return APPLICATORS[name]
