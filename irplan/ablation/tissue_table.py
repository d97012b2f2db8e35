"""The tissue table: every constant with unit, range, source and status, in one place.

The numbers lie in `irplan.ablation.library`; perfusion and latent heat are the uncertain ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import get_args

from irplan.ablation.device import Kind
from irplan.ablation.given import check_text
from irplan.ablation.library.electric_constants import (
    ELECTRIC,
    RADIOFREQUENCY,
    SOFT_ELECTRIC,
    SOFT_RADIOFREQUENCY,
)
from irplan.ablation.library.thermal_constants import GO_SMART, SOFT_THERMAL, THERMAL, Entry
from irplan.ablation.quantity import Quantity
from irplan.ablation.tissue import TissueProperties
from irplan.errors import InputError

#: Raised whenever a number of this table changes; it goes into plans and results.
TISSUE_TABLE_VERSION = "2026.2"

#: Blood for the perfusion term (Go-Smart).
BLOOD_DENSITY = Quantity(1060.0, "kg/m3", 1040.0, 1070.0, GO_SMART, "V")
BLOOD_HEAT_CAPACITY = Quantity(3639.0, "J/(kg K)", 3500.0, 3900.0, GO_SMART, "V")
#: A vessel at least this wide is held at blood temperature (heat-sink rule).
SINK_VESSEL_CALIBRE = Quantity(
    3.0, "mm", 2.0, 5.0, "heat-sink vessels >= 3 mm, general knowledge, to verify", "S"
)
#: Film coefficient between blood and vessel wall, for a vessel that shall not be in perfect
#: contact: ``TISSUES["vessel"].properties(wall_transfer_w_per_m2k=VESSEL_WALL_TRANSFER.value)``.
VESSEL_WALL_TRANSFER = Quantity(230.0, "W/(m2 K)", 100.0, 5000.0, GO_SMART, "V")
#: Tissues held at the patient's blood temperature; all other held ones keep their own.
AT_BLOOD_TEMPERATURE = ("vessel",)

_UNITS = {
    "k_unfrozen_w_per_mk": "W/(m K)",
    "k_mushy_w_per_mk": "W/(m K)",
    "k_frozen_w_per_mk": "W/(m K)",
    "density_kg_per_m3": "kg/m3",
    "c_unfrozen_j_per_kgk": "J/(kg K)",
    "c_mushy_j_per_kgk": "J/(kg K)",
    "c_frozen_j_per_kgk": "J/(kg K)",
    "latent_j_per_kg": "J/kg",
    "solidus_c": "degC",
    "liquidus_c": "degC",
    "perfusion_per_s": "1/s",
    "metabolic_w_per_m3": "W/m3",
    "fixed_temperature_c": "degC",
    "wall_transfer_w_per_m2k": "W/(m2 K)",
    "k_per_k": "1/K",
    "water_fraction": "kg/kg",
    "sigma_s_per_m": "S/m",
    "sigma_per_k": "1/K",
    "sigma_pulsed_s_per_m": "S/m",
    "field_onset_v_per_cm": "V/cm",
    "field_full_v_per_cm": "V/cm",
    "permittivity": "relative",
    "sigma_microwave_s_per_m": "S/m",
}


@dataclass(frozen=True)
class TissueRecord:
    """One tissue of the table: every property as a `Quantity` (value, unit, range, source).

    ``quantities`` has the fields of `TissueProperties`; ``sigma_radiofrequency`` is the electric
    conductivity near 500 kHz, S/m, that takes the place of the one at rest for rfa.
    """

    name: str
    quantities: Mapping[str, Quantity]
    sigma_radiofrequency: Quantity

    def properties(self, *, kind: Kind | None = None, **replaced: float) -> TissueProperties:
        """The values as `TissueProperties`; keywords replace single ones (for what-if runs).

        ``kind`` "rfa" takes the conductivity near 500 kHz; any other the one at rest.
        """
        if kind is not None:
            check_text("kind", kind, get_args(Kind))
        unknown = sorted(set(replaced) - set(_UNITS))
        if unknown:
            raise InputError(
                f"tissue '{self.name}'",
                got=f"unknown property {unknown}",
                expected="one of " + ", ".join(_UNITS),
                remedy="Use a name with its unit" + _near(unknown[0], _UNITS),
            )
        values = {key: q.value for key, q in self.quantities.items()}
        if kind == "rfa":
            values["sigma_s_per_m"] = self.sigma_radiofrequency.value
        return TissueProperties(name=self.name, **(values | replaced))


def _quantity(key: str, entry: Entry) -> Quantity:
    value, low, high, source, status = entry
    return Quantity(value, _UNITS[key], low, high, source, status)


def _record(name: str) -> TissueRecord:
    rows = SOFT_THERMAL | SOFT_ELECTRIC | THERMAL[name] | ELECTRIC[name]
    at_rest = rows["sigma_s_per_m"]
    liquid = rows["sigma_pulsed_s_per_m"][0] == at_rest[0]  # membranes are what differs at 500 kHz
    radio = RADIOFREQUENCY.get(name, at_rest if liquid else SOFT_RADIOFREQUENCY)
    return TissueRecord(
        name,
        MappingProxyType({key: _quantity(key, entry) for key, entry in rows.items()}),
        _quantity("sigma_s_per_m", radio),
    )


#: Tissue name -> record.
TISSUES: Mapping[str, TissueRecord] = MappingProxyType({name: _record(name) for name in THERMAL})

#: Structure of `irplan.image.structures` -> tissue; value 0 (outside the body) is gas.
TISSUE_OF_STRUCTURE: Mapping[str, str] = MappingProxyType(
    {
        "body": "soft tissue",
        "liver": "liver",
        "tumour": "tumour",
        "portal_vein": "vessel",
        "hepatic_vein": "vessel",
        "vessel": "vessel",
        "vessel_in_part": "vessel",
        "artery": "vessel",
        "vena_cava": "vessel",
        "gallbladder": "gallbladder",
        "bone": "bone",
        "lung": "lung",
        "gas": "gas",
        "stomach": "soft tissue",
        "bowel": "soft tissue",
        "kidney_left": "kidney",
        "kidney_right": "kidney",
        "spleen": "spleen",
        "heart": "vessel",
        "fat": "fat",
        "muscle": "muscle",
        "skin": "soft tissue",
        "diaphragm": "muscle",
        "pancreas": "soft tissue",
        "bile_duct": "gallbladder",
    }
)


def tissue(name: str, *, kind: Kind | None = None) -> TissueProperties:
    """Properties of the tissue called ``name`` at the table's values, for ablation by ``kind``.

    Raises `InputError`, which lists the names and the nearest one.
    """
    if not isinstance(name, str) or name not in TISSUES:
        raise InputError(
            "tissue",
            got=repr(name),
            expected="one of " + ", ".join(TISSUES),
            remedy="Use one of these names, or build TissueProperties yourself"
            + _near(str(name), TISSUES),
        )
    return TISSUES[name].properties(kind=kind)


def _near(name: str, known: Mapping[str, object]) -> str:
    """The end of a remedy: the nearest name, if one is near."""
    near = get_close_matches(name, known, n=1)
    return f"; did you mean '{near[0]}'?" if near else "."
