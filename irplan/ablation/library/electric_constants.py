"""Electric, microwave and boiling constants per tissue: (value, low, high, source, status).

``sigma_s_per_m`` is the conductivity at rest, as pulses of 100 us meet it; the conductivity
near 500 kHz (`RADIOFREQUENCY`) is another quantity: membranes let part of that current pass.
Microwave values are Gabriel's four Cole-Cole models (Phys. Med. Biol. 41 (1996) 2271) at
2.45 GHz: V where the coefficients were read (blood, bone), S where they are from memory.
"""

from __future__ import annotations

from irplan.ablation.library.thermal_constants import SPEC, TEXTBOOK, Entry

_GABRIEL = "Gabriel 1996, Phys. Med. Biol. 41:2271, evaluated at 2.45 GHz"
_GABRIEL_RF = "Gabriel 1996, Phys. Med. Biol. 41:2271, evaluated at 500 kHz"
_RAMP = SPEC + ": conductivity against field"
_GUESS = "estimate"

SOFT_ELECTRIC: dict[str, Entry] = {
    "water_fraction": (0.75, 0.65, 0.85, TEXTBOOK, "S"),
    "sigma_s_per_m": (0.08, 0.05, 0.35, _RAMP + " (tissue)", "V"),
    "sigma_per_k": (0.015, 0.010, 0.020, SPEC + ": +1.2 %/K; 1.5 to 2 %/K to verify", "S"),
    "sigma_pulsed_s_per_m": (0.32, 0.2, 0.7, _RAMP + " (tissue)", "V"),
    "field_onset_v_per_cm": (350.0, 100.0, 500.0, _RAMP + " (tissue)", "V"),
    "field_full_v_per_cm": (700.0, 400.0, 1000.0, _RAMP + " (tissue)", "V"),
    "permittivity": (52.7, 40.0, 60.0, _GABRIEL + " (as muscle)", "S"),
    "sigma_microwave_s_per_m": (1.74, 1.2, 2.5, _GABRIEL + " (as muscle)", "S"),
}


def _ramp(rest: float, pulsed: float, onset: float, full: float, what: str) -> dict[str, Entry]:
    """A read ramp S/m over V/cm, with half to twice each value as range."""
    source = f"{_RAMP} ({what})"
    return {
        "sigma_s_per_m": (rest, 0.5 * rest, 2.0 * rest, source, "V"),
        "sigma_pulsed_s_per_m": (pulsed, 0.5 * pulsed, 2.0 * pulsed, source, "V"),
        "field_onset_v_per_cm": (onset, 0.5 * onset, 1.4 * onset, source, "V"),
        "field_full_v_per_cm": (full, 0.75 * full, 1.5 * full, source, "V"),
    }


def _guessed(rest: float, pulsed: float) -> dict[str, Entry]:
    """Conductivities that no source was read for, half to twice as range."""
    return {
        "sigma_s_per_m": (rest, 0.5 * rest, 2.0 * rest, _GUESS, "X"),
        "sigma_pulsed_s_per_m": (pulsed, 0.5 * pulsed, 2.0 * pulsed, _GUESS, "X"),
    }


def _microwave(permittivity: float, sigma: float) -> dict[str, Entry]:
    return {
        "permittivity": (permittivity, 0.9 * permittivity, 1.1 * permittivity, _GABRIEL, "S"),
        "sigma_microwave_s_per_m": (sigma, 0.85 * sigma, 1.2 * sigma, _GABRIEL, "S"),
    }


def _conductor(sigma: float, source: str) -> dict[str, Entry]:
    """A liquid: pulses change nothing."""
    return {
        "sigma_s_per_m": (sigma, 0.6 * sigma, 1.4 * sigma, source, "S"),
        "sigma_pulsed_s_per_m": (sigma, 0.6 * sigma, 1.4 * sigma, source, "S"),
    }


_LIVER: dict[str, Entry] = {
    "sigma_s_per_m": (0.12, 0.08, 0.36, SPEC + ": baseline liver", "V"),
    **_microwave(43.03, 1.686),
}
_BLOOD: dict[str, Entry] = {
    **_ramp(0.7, 1.5, 100.0, 450.0, "vessel"),
    "water_fraction": (0.8, 0.75, 0.85, TEXTBOOK, "S"),
    "permittivity": (58.26, 55.0, 62.0, _GABRIEL, "V"),
    "sigma_microwave_s_per_m": (2.545, 2.2, 2.8, _GABRIEL, "V"),
}
_SALINE: dict[str, Entry] = {
    **_conductor(1.9, "0.9 % saline at 37 degC, to verify"),
    "water_fraction": (0.99, 0.98, 1.0, "0.9 % salt", "S"),
    "permittivity": (72.0, 68.0, 75.0, "0.9 % saline at 37 degC, to verify", "S"),
    "sigma_microwave_s_per_m": (2.8, 2.4, 3.2, "ions and dipoles at 37 degC, to verify", "S"),
}
_AIR: dict[str, Entry] = {
    "water_fraction": (0.0, 0.0, 0.0, "none in gas", "S"),
    "sigma_s_per_m": (1e-5, 0.0, 1e-4, "insulator; numerical", "X"),
    "sigma_pulsed_s_per_m": (1e-5, 0.0, 1e-4, "insulator; numerical", "X"),
    "permittivity": (1.0, 1.0, 1.0, "none in gas", "S"),
    "sigma_microwave_s_per_m": (0.0, 0.0, 0.0, "none in gas", "S"),
}

ELECTRIC: dict[str, dict[str, Entry]] = {
    "liver": _LIVER,
    "tumour": {
        **_ramp(0.2, 0.7, 400.0, 800.0, "tumour"),
        "water_fraction": (0.8, 0.7, 0.9, TEXTBOOK, "S"),
        "permittivity": (57.0, 45.0, 65.0, "wetter than liver, estimate", "X"),
        "sigma_microwave_s_per_m": (2.0, 1.6, 2.6, "wetter than liver, estimate", "X"),
    },
    "kidney": {
        **_guessed(0.12, 0.4),
        "water_fraction": (0.78, 0.72, 0.83, TEXTBOOK, "S"),
        **_microwave(52.74, 2.430),
    },
    "spleen": {**_guessed(0.1, 0.36), **_microwave(52.45, 2.238)},
    "soft tissue": {},
    "muscle": {**_guessed(0.25, 0.6), **_microwave(52.73, 1.739)},
    "fat": {
        **_ramp(0.02, 0.08, 100.0, 400.0, "fat"),
        "water_fraction": (0.2, 0.1, 0.3, TEXTBOOK, "S"),
        **_microwave(5.28, 0.1045),
    },
    "gallbladder": {
        **_conductor(1.4, "bile, Gabriel 1996, to verify"),
        "water_fraction": (0.93, 0.85, 0.97, TEXTBOOK, "S"),
        **_microwave(68.36, 2.801),
    },
    "bone": {
        **_guessed(0.02, 0.05),
        "water_fraction": (0.1, 0.05, 0.35, TEXTBOOK, "S"),
        "permittivity": (11.38, 11.3, 18.6, _GABRIEL + " (cortical; high end spongy)", "V"),
        "sigma_microwave_s_per_m": (0.394, 0.39, 0.81, _GABRIEL + " (cortical to spongy)", "V"),
    },
    "lung": {**_guessed(0.1, 0.3), **_microwave(20.48, 0.804)},
    "vessel": _BLOOD,
    "gas": _AIR,
    "liver ex vivo": _LIVER,
    "prostate": {**_guessed(0.28, 0.9), **_microwave(57.55, 2.168)},
    "skin": {
        "sigma_s_per_m": (0.1, 0.0002, 0.25, "dry to wet skin, estimate", "X"),
        "sigma_pulsed_s_per_m": (0.4, 0.1, 0.8, _GUESS, "X"),
        "water_fraction": (0.65, 0.55, 0.75, TEXTBOOK, "S"),
        **_microwave(38.01, 1.464),
    },
    "blood": _BLOOD,
    "saline": _SALINE,
    "warm saline": _SALINE,
    "urethral warmer": _SALINE,
    "probe warmer": _SALINE,
    "room air": _AIR,
    "gel": {
        "sigma_s_per_m": (0.1, 0.0, 2.0, "depends on the salt added, estimate", "X"),
        "sigma_pulsed_s_per_m": (0.1, 0.0, 2.0, "no membranes", "X"),
        "water_fraction": (0.98, 0.95, 0.99, "1 to 3 % agar", "S"),
        "permittivity": (74.0, 70.0, 78.0, "near water at 37 degC, to verify", "S"),
        "sigma_microwave_s_per_m": (1.0, 0.8, 2.0, "near water at 37 degC, to verify", "S"),
    },
}

#: Conductivity near 500 kHz at 37 degC, S/m, for radiofrequency ablation.
RADIOFREQUENCY: dict[str, Entry] = {
    "liver": (0.33, 0.122, 0.45, SPEC + ": 0.33 in many papers, 0.122 in others", "S"),
    "liver ex vivo": (0.148, 0.12, 0.33, _GABRIEL_RF, "S"),
    "tumour": (0.4, 0.2, 0.7, SPEC, "S"),
    "kidney": (0.226, 0.2, 0.5, SPEC, "S"),
    "spleen": (0.18, 0.1, 0.4, _GABRIEL_RF, "S"),
    "muscle": (0.446, 0.3, 0.6, _GABRIEL_RF, "S"),
    "fat": (0.025, 0.02, 0.08, _GABRIEL_RF, "S"),
    "gallbladder": (1.4, 1.0, 1.6, _GABRIEL_RF + " (bile)", "S"),
    "bone": (0.022, 0.02, 0.087, _GABRIEL_RF + " (cortical; high end spongy)", "V"),
    "lung": (0.123, 0.05, 0.3, _GABRIEL_RF + " (inflated)", "S"),
    "vessel": (0.748, 0.6, 0.9, _GABRIEL_RF, "V"),
    "blood": (0.748, 0.6, 0.9, _GABRIEL_RF, "V"),
    "prostate": (0.44, 0.3, 0.6, _GABRIEL_RF, "S"),
    "skin": (0.1, 0.004, 0.25, "dry to wet skin, estimate", "X"),
}
#: Where `RADIOFREQUENCY` has no entry and the tissue is no liquid or gas.
SOFT_RADIOFREQUENCY: Entry = (0.33, 0.12, 0.6, SPEC + ": 0.33 in many papers", "S")
