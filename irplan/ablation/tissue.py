"""What the bioheat solver knows about a tissue."""

from __future__ import annotations

from dataclasses import dataclass

from irplan.ablation.given import check_text, take_numbers
from irplan.errors import InputError

#: Plausible range of each property; outside it a value is taken for a slip of unit.
_LIMITS = {
    "k_unfrozen_w_per_mk": (0.005, 5.0),
    "k_mushy_w_per_mk": (0.005, 5.0),
    "k_frozen_w_per_mk": (0.005, 5.0),
    "density_kg_per_m3": (1.0, 3000.0),
    "c_unfrozen_j_per_kgk": (500.0, 5000.0),
    "c_mushy_j_per_kgk": (500.0, 5000.0),
    "c_frozen_j_per_kgk": (500.0, 5000.0),
    "latent_j_per_kg": (0.0, 400e3),
    "solidus_c": (-60.0, 0.0),
    "liquidus_c": (-30.0, 1.0),
    "perfusion_per_s": (0.0, 0.2),
    "metabolic_w_per_m3": (0.0, 2e5),
    "wall_transfer_w_per_m2k": (0.0, 1e5),
    "k_per_k": (0.0, 0.02),
    "water_fraction": (0.0, 1.0),
    "sigma_s_per_m": (0.0, 5.0),
    "sigma_per_k": (0.0, 0.05),
    "sigma_pulsed_s_per_m": (0.0, 10.0),
    "field_onset_v_per_cm": (1.0, 5000.0),
    "field_full_v_per_cm": (2.0, 10000.0),
    "permittivity": (1.0, 100.0),
    "sigma_microwave_s_per_m": (0.0, 10.0),
}


@dataclass(frozen=True)
class TissueProperties:
    """Thermal properties, constant within each phase (unfrozen, mushy, frozen).

    Parameters
    ----------
    name : tissue name.
    k_unfrozen_w_per_mk, k_mushy_w_per_mk, k_frozen_w_per_mk : conductivity above the
        liquidus, between liquidus and solidus, below the solidus, W/(m K).
    density_kg_per_m3 : one density for all phases (volume change is not modelled), kg/m3.
    c_unfrozen_j_per_kgk, c_mushy_j_per_kgk, c_frozen_j_per_kgk : sensible heat capacity, J/(kg K).
    latent_j_per_kg : latent heat, released evenly between liquidus and solidus, J/kg.
    solidus_c, liquidus_c : freezing is complete / begins here, degC.
    perfusion_per_s : blood volume per tissue volume and second while not frozen, 1/s.
    metabolic_w_per_m3 : heat production while not frozen, W/m3.
    fixed_temperature_c : if given, the tissue is held at this temperature (a heat source or
        sink such as the blood of a large vessel), degC.
    wall_transfer_w_per_m2k : film coefficient between such a tissue and its neighbours,
        W/(m2 K); 0 means perfect contact.
    k_per_k : relative rise of the unfrozen conductivity per kelvin above 37 degC, 1/K (heat).
    water_fraction : mass of water that can boil off per mass of tissue (heat).
    sigma_s_per_m, sigma_per_k : electric conductivity at 37 degC near 500 kHz (rfa) or at rest
        (ire), S/m, and its relative rise per kelvin, 1/K.
    sigma_pulsed_s_per_m : conductivity of the electroporated tissue, S/m; it is reached between
        ``field_onset_v_per_cm`` and ``field_full_v_per_cm``, V/cm (ire).
    permittivity, sigma_microwave_s_per_m : relative permittivity and conductivity at 2.45 GHz.

    Raises
    ------
    InputError : a value outside its plausible range, solidus not below liquidus, or field_onset
        not below field_full.
    """

    name: str
    k_unfrozen_w_per_mk: float
    k_mushy_w_per_mk: float
    k_frozen_w_per_mk: float
    density_kg_per_m3: float
    c_unfrozen_j_per_kgk: float
    c_mushy_j_per_kgk: float
    c_frozen_j_per_kgk: float
    latent_j_per_kg: float = 250e3
    solidus_c: float = -8.0
    liquidus_c: float = -1.0
    perfusion_per_s: float = 0.0
    metabolic_w_per_m3: float = 0.0
    fixed_temperature_c: float | None = None
    wall_transfer_w_per_m2k: float = 0.0
    k_per_k: float = 0.0023
    water_fraction: float = 0.7
    sigma_s_per_m: float = 0.33
    sigma_per_k: float = 0.015
    sigma_pulsed_s_per_m: float = 0.66
    field_onset_v_per_cm: float = 350.0
    field_full_v_per_cm: float = 700.0
    permittivity: float = 43.0
    sigma_microwave_s_per_m: float = 1.7

    def __post_init__(self) -> None:
        check_text("tissue.name", self.name)
        where = f"tissue '{self.name}'"
        limits = {field: (low, high, "") for field, (low, high) in _LIMITS.items()}
        take_numbers(self, where, limits, "Check the unit; it is part of the name.")
        if self.fixed_temperature_c is not None:
            held = {"fixed_temperature_c": (-200.0, 120.0, "degC")}
            take_numbers(self, where, held, "Give degrees Celsius; blood is at 37.")
        if self.liquidus_c - self.solidus_c < 0.1:
            raise InputError(
                f"tissue '{self.name}'.solidus_c",
                got=f"solidus {self.solidus_c} degC, liquidus {self.liquidus_c} degC",
                expected="a solidus at least 0.1 degC below the liquidus",
                remedy="Tissue freezes over a range; -8 to -1 degC is usual.",
            )
        if self.field_onset_v_per_cm >= self.field_full_v_per_cm:
            raise InputError(
                f"tissue '{self.name}'.field_onset_v_per_cm",
                got=f"{self.field_onset_v_per_cm} with field_full {self.field_full_v_per_cm} V/cm",
                expected="an onset below the field of full electroporation",
                remedy="350 and 700 V/cm are usual for soft tissue.",
            )

    @property
    def heat_capacity_j_per_m3k(self) -> tuple[float, float, float]:
        """Volumetric capacity (unfrozen, mushy with latent heat, frozen), J/(m3 K)."""
        rho = self.density_kg_per_m3
        latent = self.latent_j_per_kg / (self.liquidus_c - self.solidus_c)
        return (
            rho * self.c_unfrozen_j_per_kgk,
            rho * (self.c_mushy_j_per_kgk + latent),
            rho * self.c_frozen_j_per_kgk,
        )

    @property
    def conductivity_w_per_mk(self) -> tuple[float, float, float]:
        """Conductivity (unfrozen, mushy, frozen), W/(m K)."""
        return (self.k_unfrozen_w_per_mk, self.k_mushy_w_per_mk, self.k_frozen_w_per_mk)
