"""The tissue table: every constant with unit, range, source and status, in one place.

Perfusion and latent heat are the uncertain ones: their published spread moves the ice more
than every numerical error of the solver does, so their ranges are wide on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from irplan.ablation.quantity import Quantity, Status
from irplan.ablation.tissue import TissueProperties
from irplan.errors import InputError

#: Raised whenever a number of this table changes; it goes into plans and results.
TISSUE_TABLE_VERSION = "2026.1"

GO_SMART = "Go-Smart simulation parameters"
TEXTBOOK = "textbook value, to verify"
#: Blood for the perfusion term (Go-Smart).
BLOOD_DENSITY = Quantity(1060.0, "kg/m3", 1040.0, 1070.0, GO_SMART, "V")
BLOOD_HEAT_CAPACITY = Quantity(3639.0, "J/(kg K)", 3500.0, 3900.0, GO_SMART, "V")
#: A vessel at least this wide is held at blood temperature (heat-sink rule).
SINK_VESSEL_CALIBRE = Quantity(
    3.0, "mm", 2.0, 5.0, "heat-sink vessels >= 3 mm, general knowledge, to verify", "S"
)

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
}

_Entry = tuple[float, float, float, str, Status]

#: Shared by all soft tissue unless a tissue says otherwise (value, low, high, source, status).
#: Metabolism is zero: at rest the blood carries its heat away, and the equation is solved as a
#: departure from that rest.
_SOFT: dict[str, _Entry] = {
    "k_unfrozen_w_per_mk": (0.50, 0.302, 0.56, "Micromachines 2025 16:1321", "V"),
    "k_mushy_w_per_mk": (1.25, 0.9, 1.4, GO_SMART, "V"),
    "k_frozen_w_per_mk": (2.0, 1.6, 2.3, GO_SMART, "V"),
    "density_kg_per_m3": (1050.0, 1000.0, 1100.0, TEXTBOOK, "S"),
    "c_unfrozen_j_per_kgk": (3600.0, 3400.0, 3800.0, "ablation specification", "V"),
    "c_mushy_j_per_kgk": (3087.0, 2500.0, 3600.0, "ablation specification", "V"),
    "c_frozen_j_per_kgk": (1860.0, 1800.0, 2100.0, "ablation specification", "V"),
    "latent_j_per_kg": (
        250e3,
        140e3,
        280e3,
        f"{GO_SMART}; low end: bovine liver by DSC, s41598-021-95204-2",
        "V",
    ),
    "solidus_c": (-8.0, -22.0, -5.0, GO_SMART, "V"),
    "liquidus_c": (-1.0, -1.5, -0.5, GO_SMART, "V"),
    "perfusion_per_s": (0.001, 0.0, 0.005, TEXTBOOK, "S"),
    "metabolic_w_per_m3": (0.0, 0.0, 4e4, "balanced by blood at rest", "X"),
}

_TISSUES: dict[str, dict[str, _Entry]] = {
    "liver": {
        "k_unfrozen_w_per_mk": (0.302, 0.302, 0.52, GO_SMART, "V"),
        "density_kg_per_m3": (1079.0, 1050.0, 1090.0, GO_SMART, "V"),
        "c_unfrozen_j_per_kgk": (3540.0, 3500.0, 3600.0, GO_SMART, "V"),
        "perfusion_per_s": (0.0036, 0.0005, 0.079, f"{GO_SMART}; range over sources", "V"),
    },
    "tumour": {
        "density_kg_per_m3": (1079.0, 1040.0, 1090.0, "as liver, to verify", "S"),
        "perfusion_per_s": (0.0036, 0.0005, 0.02, "as liver, to verify", "S"),
    },
    "kidney": {
        "k_unfrozen_w_per_mk": (0.302, 0.302, 0.54, GO_SMART, "V"),
        "density_kg_per_m3": (1066.0, 1040.0, 1080.0, GO_SMART, "V"),
        "c_unfrozen_j_per_kgk": (3763.0, 3500.0, 3900.0, GO_SMART, "V"),
        "perfusion_per_s": (0.0035, 0.003, 0.066, f"{GO_SMART}; high end from memory", "V"),
    },
    "spleen": {
        "perfusion_per_s": (0.02, 0.005, 0.03, TEXTBOOK, "S"),
    },
    "soft tissue": {},
    "muscle": {
        "density_kg_per_m3": (1090.0, 1040.0, 1100.0, TEXTBOOK, "S"),
        "perfusion_per_s": (0.0007, 0.0003, 0.002, TEXTBOOK, "S"),
    },
    "fat": {
        "k_unfrozen_w_per_mk": (0.21, 0.18, 0.25, "ablation specification", "V"),
        "k_mushy_w_per_mk": (0.23, 0.18, 0.4, "between the two phases, estimate", "X"),
        "k_frozen_w_per_mk": (0.25, 0.2, 0.5, "estimate: little water to freeze", "X"),
        "density_kg_per_m3": (911.0, 900.0, 930.0, GO_SMART, "V"),
        "c_unfrozen_j_per_kgk": (2348.0, 2000.0, 2600.0, "ablation specification", "V"),
        "c_mushy_j_per_kgk": (2200.0, 1800.0, 2600.0, "estimate", "X"),
        "c_frozen_j_per_kgk": (1900.0, 1700.0, 2300.0, "estimate", "X"),
        "latent_j_per_kg": (60e3, 30e3, 110e3, "estimate: about a fifth water", "X"),
        "perfusion_per_s": (0.0004, 0.0001, 0.001, TEXTBOOK, "S"),
    },
    "gallbladder": {
        "k_unfrozen_w_per_mk": (0.56, 0.5, 0.6, TEXTBOOK + " (bile, near water)", "S"),
        "k_mushy_w_per_mk": (1.35, 1.0, 1.5, "between the two phases, estimate", "X"),
        "k_frozen_w_per_mk": (2.2, 2.0, 2.3, TEXTBOOK + " (near ice)", "S"),
        "density_kg_per_m3": (1010.0, 1000.0, 1030.0, TEXTBOOK, "S"),
        "c_unfrozen_j_per_kgk": (4000.0, 3800.0, 4200.0, TEXTBOOK, "S"),
        "latent_j_per_kg": (310e3, 280e3, 334e3, "estimate: about 93 % water", "X"),
        "perfusion_per_s": (0.0, 0.0, 0.0, "no perfusion in bile", "S"),
    },
    "bone": {
        "k_unfrozen_w_per_mk": (0.32, 0.3, 0.6, TEXTBOOK, "S"),
        "k_mushy_w_per_mk": (0.4, 0.3, 0.9, "estimate", "X"),
        "k_frozen_w_per_mk": (0.5, 0.3, 1.2, "estimate", "X"),
        "density_kg_per_m3": (1908.0, 1180.0, 2000.0, TEXTBOOK, "S"),
        "c_unfrozen_j_per_kgk": (1313.0, 1200.0, 2300.0, TEXTBOOK, "S"),
        "c_mushy_j_per_kgk": (1250.0, 1000.0, 2300.0, "estimate", "X"),
        "c_frozen_j_per_kgk": (1200.0, 1000.0, 1900.0, "estimate", "X"),
        "latent_j_per_kg": (30e3, 10e3, 120e3, "estimate: about a tenth water", "X"),
        "perfusion_per_s": (0.0002, 0.0, 0.001, TEXTBOOK, "S"),
    },
    "lung": {
        "k_unfrozen_w_per_mk": (0.39, 0.2, 0.45, TEXTBOOK, "S"),
        "k_mushy_w_per_mk": (0.5, 0.2, 0.9, "estimate", "X"),
        "k_frozen_w_per_mk": (0.6, 0.3, 1.2, "estimate: about a third tissue", "X"),
        "density_kg_per_m3": (394.0, 200.0, 722.0, TEXTBOOK + " (inflated)", "S"),
        "c_unfrozen_j_per_kgk": (3886.0, 3000.0, 3900.0, TEXTBOOK, "S"),
        "perfusion_per_s": (0.0036, 0.001, 0.02, "as liver, to verify", "S"),
    },
    "vessel": {
        "k_unfrozen_w_per_mk": (0.52, 0.48, 0.56, TEXTBOOK + " (blood)", "S"),
        "density_kg_per_m3": (1060.0, 1040.0, 1070.0, GO_SMART, "V"),
        "c_unfrozen_j_per_kgk": (3639.0, 3500.0, 3900.0, GO_SMART, "V"),
        "perfusion_per_s": (0.0, 0.0, 0.0, "held at blood temperature instead", "V"),
        "fixed_temperature_c": (37.0, 36.0, 39.0, f"{GO_SMART}: arteries fixed at 37 degC", "V"),
    },
    "gas": {
        # Gas conducts hardly at all and stores nothing; its real capacity (1.2 kJ/m3K) would
        # force steps of a millisecond, so a numerical capacity of 1 MJ/m3K stands in.
        "k_unfrozen_w_per_mk": (0.026, 0.024, 0.028, TEXTBOOK + " (air)", "S"),
        "k_mushy_w_per_mk": (0.025, 0.02, 0.028, TEXTBOOK + " (air)", "S"),
        "k_frozen_w_per_mk": (0.022, 0.01, 0.028, TEXTBOOK + " (air)", "S"),
        "density_kg_per_m3": (1000.0, 1.0, 1000.0, "numerical: see the note in the table", "X"),
        "c_unfrozen_j_per_kgk": (1000.0, 700.0, 1010.0, TEXTBOOK + " (air)", "S"),
        "c_mushy_j_per_kgk": (1000.0, 700.0, 1010.0, TEXTBOOK + " (air)", "S"),
        "c_frozen_j_per_kgk": (1000.0, 700.0, 1010.0, TEXTBOOK + " (air)", "S"),
        "latent_j_per_kg": (0.0, 0.0, 0.0, "gas does not freeze", "S"),
        "perfusion_per_s": (0.0, 0.0, 0.0, "no perfusion in gas", "S"),
    },
}


@dataclass(frozen=True)
class TissueRecord:
    """One tissue of the table: every property as a `Quantity` (value, unit, range, source)."""

    name: str
    quantities: Mapping[str, Quantity]

    def properties(self, **replaced: float) -> TissueProperties:
        """The values as `TissueProperties`; keywords replace single ones (for what-if runs)."""
        unknown = sorted(set(replaced) - set(_UNITS))
        if unknown:
            raise InputError(
                f"tissue '{self.name}'",
                got=f"unknown property {unknown}",
                expected="one of " + ", ".join(_UNITS),
                remedy="Use a name with its unit.",
            )
        values = {key: q.value for key, q in self.quantities.items()} | replaced
        return TissueProperties(name=self.name, **values)


def _record(name: str, own: dict[str, _Entry]) -> TissueRecord:
    rows = _SOFT | own
    return TissueRecord(
        name,
        MappingProxyType(
            {
                key: Quantity(v, _UNITS[key], lo, hi, src, st)
                for key, (v, lo, hi, src, st) in rows.items()
            }
        ),
    )


#: Tissue name -> record.
TISSUES: Mapping[str, TissueRecord] = MappingProxyType(
    {name: _record(name, own) for name, own in _TISSUES.items()}
)

#: Structure of `irplan.image.structures` -> tissue; value 0 (outside the body) is gas.
TISSUE_OF_STRUCTURE: Mapping[str, str] = MappingProxyType(
    {
        "body": "soft tissue",
        "liver": "liver",
        "tumour": "tumour",
        "portal_vein": "vessel",
        "hepatic_vein": "vessel",
        "vessel": "vessel",
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


def tissue(name: str) -> TissueProperties:
    """Properties of the tissue called ``name`` at the table's values; `InputError` lists names."""
    if name not in TISSUES:
        raise InputError(
            "tissue",
            got=repr(name),
            expected="one of " + ", ".join(TISSUES),
            remedy="Use one of these names, or build TissueProperties yourself.",
        )
    return TISSUES[name].properties()
