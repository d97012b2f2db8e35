"""Thermal constants per tissue: (value, low, high, source, status).

Perfusion and latent heat are the uncertain ones: their published spread moves the ice more
than every numerical error of the solver does, so their ranges are wide on purpose.
"""

from __future__ import annotations

from irplan.ablation.quantity import Status

#: Value, low end, high end, source, status.
Entry = tuple[float, float, float, str, Status]

GO_SMART = "Go-Smart simulation parameters"
SPEC = "ablation specification"
TEXTBOOK = "textbook value, to verify"
ITIS = "IT'IS tissue database, read in a public copy of 2026"
CODES = "value in public thermal simulation code, 2025"

_NO_BLOOD: Entry = (0.0, 0.0, 0.0, "not perfused", "S")

#: Shared by all soft tissue unless a tissue says otherwise.  Metabolism is zero: at rest the
#: blood carries its heat away, and the equation is solved as a departure from that rest.
SOFT_THERMAL: dict[str, Entry] = {
    "k_unfrozen_w_per_mk": (0.50, 0.302, 0.56, "Micromachines 2025 16:1321", "V"),
    "k_mushy_w_per_mk": (1.25, 0.9, 1.4, GO_SMART, "V"),
    "k_frozen_w_per_mk": (2.0, 1.6, 2.3, GO_SMART, "V"),
    "density_kg_per_m3": (1050.0, 1000.0, 1100.0, TEXTBOOK, "S"),
    "c_unfrozen_j_per_kgk": (3600.0, 3400.0, 3800.0, SPEC, "V"),
    "c_mushy_j_per_kgk": (3087.0, 2500.0, 3600.0, SPEC, "V"),
    "c_frozen_j_per_kgk": (1860.0, 1800.0, 2100.0, SPEC, "V"),
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
    "wall_transfer_w_per_m2k": (0.0, 0.0, 0.0, "no wall: the tissue is not held", "X"),
    "k_per_k": (0.0023, 0.0, 0.005, "0.001161 of 0.5 W/(m K) per kelvin in liver, to verify", "S"),
}

_WATER: dict[str, Entry] = {
    "k_unfrozen_w_per_mk": (0.61, 0.58, 0.65, "water at 20 to 45 degC, textbook", "S"),
    "k_mushy_w_per_mk": (1.4, 1.0, 1.6, "between water and ice, estimate", "X"),
    "k_frozen_w_per_mk": (2.3, 2.2, 3.0, "ice 2.22 (273/T), ablation specification", "V"),
    "density_kg_per_m3": (1000.0, 990.0, 1010.0, "water, textbook", "S"),
    "c_unfrozen_j_per_kgk": (4170.0, 4100.0, 4190.0, "water, textbook", "S"),
    "c_mushy_j_per_kgk": (3000.0, 2000.0, 4200.0, "between water and ice, estimate", "X"),
    "c_frozen_j_per_kgk": (1950.0, 1700.0, 2100.0, "ice at -60 to 0 degC, textbook", "S"),
    "latent_j_per_kg": (330e3, 320e3, 334e3, "334 kJ per kg of water", "S"),
    "perfusion_per_s": _NO_BLOOD,
    "k_per_k": (0.0015, 0.0, 0.003, "water near 40 degC, to verify", "S"),
}

_AIR: dict[str, Entry] = {
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
    "k_per_k": (0.0024, 0.0, 0.003, "air, textbook", "S"),
}

_LIVER: dict[str, Entry] = {
    "k_unfrozen_w_per_mk": (0.302, 0.302, 0.52, GO_SMART, "V"),
    "density_kg_per_m3": (1079.0, 1050.0, 1090.0, GO_SMART, "V"),
    "c_unfrozen_j_per_kgk": (3540.0, 3500.0, 3600.0, GO_SMART, "V"),
}

_BLOOD: dict[str, Entry] = {
    "k_unfrozen_w_per_mk": (0.52, 0.48, 0.56, TEXTBOOK + " (blood)", "S"),
    "density_kg_per_m3": (1060.0, 1040.0, 1070.0, GO_SMART, "V"),
    "c_unfrozen_j_per_kgk": (3639.0, 3500.0, 3900.0, GO_SMART, "V"),
}

#: In the order of `irplan.ablation.TISSUES`; the first eleven are those of labelled structures.
THERMAL: dict[str, dict[str, Entry]] = {
    "liver": {
        **_LIVER,
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
        "density_kg_per_m3": (1090.0, 1040.0, 1100.0, ITIS, "V"),
        "perfusion_per_s": (0.0007, 0.0003, 0.002, TEXTBOOK, "S"),
    },
    "fat": {
        "k_unfrozen_w_per_mk": (0.21, 0.18, 0.25, SPEC, "V"),
        "k_mushy_w_per_mk": (0.23, 0.18, 0.4, "between the two phases, estimate", "X"),
        "k_frozen_w_per_mk": (0.25, 0.2, 0.5, "estimate: little water to freeze", "X"),
        "density_kg_per_m3": (911.0, 900.0, 930.0, GO_SMART, "V"),
        "c_unfrozen_j_per_kgk": (2348.0, 2000.0, 2600.0, SPEC, "V"),
        "c_mushy_j_per_kgk": (2200.0, 1800.0, 2600.0, "estimate", "X"),
        "c_frozen_j_per_kgk": (1900.0, 1700.0, 2300.0, "estimate", "X"),
        "latent_j_per_kg": (60e3, 30e3, 110e3, "estimate: about a fifth water", "X"),
        "perfusion_per_s": (0.0004, 0.0001, 0.001, TEXTBOOK, "S"),
        "k_per_k": (0.0, 0.0, 0.003, "taken as constant, estimate", "X"),
    },
    "gallbladder": {
        "k_unfrozen_w_per_mk": (0.56, 0.5, 0.6, TEXTBOOK + " (bile, near water)", "S"),
        "k_mushy_w_per_mk": (1.35, 1.0, 1.5, "between the two phases, estimate", "X"),
        "k_frozen_w_per_mk": (2.2, 2.0, 2.3, TEXTBOOK + " (near ice)", "S"),
        "density_kg_per_m3": (1010.0, 928.0, 1030.0, f"{TEXTBOOK}; low end {ITIS}", "S"),
        "c_unfrozen_j_per_kgk": (4000.0, 3800.0, 4200.0, TEXTBOOK, "S"),
        "latent_j_per_kg": (310e3, 280e3, 334e3, "estimate: about 93 % water", "X"),
        "perfusion_per_s": (0.0, 0.0, 0.0, "no perfusion in bile", "S"),
    },
    "bone": {
        "k_unfrozen_w_per_mk": (0.32, 0.3, 0.6, CODES, "V"),
        "k_mushy_w_per_mk": (0.4, 0.3, 0.9, "estimate", "X"),
        "k_frozen_w_per_mk": (0.5, 0.3, 1.2, "estimate", "X"),
        "density_kg_per_m3": (1908.0, 1178.0, 2000.0, ITIS + " (cortical; low end spongy)", "V"),
        "c_unfrozen_j_per_kgk": (1313.0, 1200.0, 2300.0, CODES, "V"),
        "c_mushy_j_per_kgk": (1250.0, 1000.0, 2300.0, "estimate", "X"),
        "c_frozen_j_per_kgk": (1200.0, 1000.0, 1900.0, "estimate", "X"),
        "latent_j_per_kg": (30e3, 10e3, 120e3, "estimate: about a tenth water", "X"),
        "perfusion_per_s": (0.0002, 0.0, 0.001, TEXTBOOK, "S"),
        "k_per_k": (0.0, 0.0, 0.002, "taken as constant, estimate", "X"),
    },
    "lung": {
        "k_unfrozen_w_per_mk": (0.39, 0.2, 0.45, TEXTBOOK, "S"),
        "k_mushy_w_per_mk": (0.5, 0.2, 0.9, "estimate", "X"),
        "k_frozen_w_per_mk": (0.6, 0.3, 1.2, "estimate: about a third tissue", "X"),
        "density_kg_per_m3": (394.0, 200.0, 1050.0, ITIS + " (inflated; high end deflated)", "V"),
        "c_unfrozen_j_per_kgk": (3886.0, 3000.0, 3900.0, TEXTBOOK, "S"),
        "perfusion_per_s": (0.0036, 0.001, 0.02, "as liver, to verify", "S"),
    },
    "vessel": {
        **_BLOOD,
        "perfusion_per_s": (0.0, 0.0, 0.0, "held at blood temperature instead", "V"),
        "fixed_temperature_c": (37.0, 36.0, 39.0, f"{GO_SMART}: arteries fixed at 37 degC", "V"),
        "wall_transfer_w_per_m2k": (
            0.0,
            0.0,
            5000.0,
            "perfect contact (0); see VESSEL_WALL_TRANSFER for a film",
            "X",
        ),
    },
    "gas": _AIR,
    # -- tissues that no structure maps to: phantoms, excised organs, sources of heat ---------
    "liver ex vivo": {
        **_LIVER,
        "perfusion_per_s": (0.0, 0.0, 0.0, "excised: no blood flows", "S"),
    },
    "prostate": {
        "density_kg_per_m3": (1045.0, 1040.0, 1060.0, ITIS, "V"),
        "c_unfrozen_j_per_kgk": (3760.0, 3500.0, 3800.0, TEXTBOOK, "S"),
        "perfusion_per_s": (0.0069, 0.003, 0.012, TEXTBOOK, "S"),
    },
    "skin": {
        "k_unfrozen_w_per_mk": (0.37, 0.3, 0.45, CODES, "V"),
        "density_kg_per_m3": (1109.0, 1100.0, 1125.0, ITIS, "V"),
        "c_unfrozen_j_per_kgk": (3391.0, 3300.0, 3600.0, CODES, "V"),
        "latent_j_per_kg": (215e3, 140e3, 240e3, "estimate: 65 % water", "X"),
        "perfusion_per_s": (0.002, 0.0005, 0.004, TEXTBOOK, "S"),
    },
    "blood": {**_BLOOD, "perfusion_per_s": _NO_BLOOD},
    "saline": _WATER,
    "warm saline": {
        **_WATER,
        "fixed_temperature_c": (40.0, 37.0, 43.0, "saline, warmers 37 to 40 degC, to verify", "S"),
        "wall_transfer_w_per_m2k": (0.0, 0.0, 5000.0, "stirred: perfect contact", "X"),
    },
    "urethral warmer": {
        **_WATER,
        "fixed_temperature_c": (40.0, 38.0, 43.0, "urethral 38 to 43 degC, to verify", "S"),
        "wall_transfer_w_per_m2k": (0.0, 0.0, 5000.0, "flushed: perfect contact", "X"),
    },
    "probe warmer": {
        **_WATER,
        "fixed_temperature_c": (38.0, 37.0, 43.0, "saline, warmers 37 to 40 degC, to verify", "S"),
        "wall_transfer_w_per_m2k": (0.0, 0.0, 5000.0, "flushed: perfect contact", "X"),
    },
    "room air": {
        **_AIR,
        "k_unfrozen_w_per_mk": (0.5, 0.3, 0.56, "numerical: the film alone resists", "X"),
        "k_mushy_w_per_mk": (1.25, 0.9, 1.4, "numerical: the film alone resists", "X"),
        "k_frozen_w_per_mk": (2.0, 1.6, 2.3, "numerical: the film alone resists", "X"),
        "fixed_temperature_c": (22.0, 15.0, 30.0, "procedure room, general knowledge", "S"),
        "wall_transfer_w_per_m2k": (10.0, 5.0, 25.0, "still air and radiation, textbook", "S"),
    },
    "gel": {
        **_WATER,
        "k_unfrozen_w_per_mk": (0.6, 0.5, 0.65, "1 to 3 % agar, near water, to verify", "S"),
        "k_mushy_w_per_mk": (1.2, 0.8, 1.6, "between gel and ice, estimate", "X"),
        "k_frozen_w_per_mk": (
            2.4,
            2.2,
            3.0,
            "ice 2.22 (273/T), ablation specification; its mean from 0 to -40 degC",
            "V",
        ),
        "c_unfrozen_j_per_kgk": (4150.0, 4000.0, 4190.0, "98 % water, estimate", "X"),
        "latent_j_per_kg": (325e3, 310e3, 334e3, "334 kJ per kg of water, 98 % water", "S"),
        "solidus_c": (-1.0, -2.0, -0.2, "nearly pure water; 1 K wide for the solver", "X"),
        "liquidus_c": (0.0, -0.5, 0.0, "nearly pure water", "S"),
    },
}
