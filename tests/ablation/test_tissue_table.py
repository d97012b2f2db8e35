"""The tissue table: complete, in range, sourced; the physical relations its numbers must keep."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from irplan.ablation import TISSUES, TissueProperties, tissue
from irplan.ablation.tissue_table import (
    AT_BLOOD_TEMPERATURE,
    TISSUE_OF_STRUCTURE,
    VESSEL_WALL_TRANSFER,
)
from irplan.errors import InputError

_PROPERTIES = {f.name for f in fields(TissueProperties)} - {"name", "fixed_temperature_c"}


@pytest.mark.parametrize("name", list(TISSUES))
def test_every_constant_has_unit_range_source_and_status(name):
    record = TISSUES[name]
    assert _PROPERTIES <= set(record.quantities) <= _PROPERTIES | {"fixed_temperature_c"}
    for key, quantity in {**record.quantities, "rf": record.sigma_radiofrequency}.items():
        assert quantity.unit, key
        assert quantity.low <= quantity.value <= quantity.high, key
        assert len(quantity.source) > 3, key
        assert quantity.status in "VMSX", key
    made = record.properties()
    assert made.name == name
    assert made.sigma_pulsed_s_per_m >= made.sigma_s_per_m
    assert made.k_frozen_w_per_mk >= made.k_unfrozen_w_per_mk or name in ("gas", "room air")


def test_values_of_the_specification():
    """Values that the ablation specification lists as read in their sources."""
    tumour, fat, vessel, liver = (tissue(n) for n in ("tumour", "fat", "vessel", "liver"))
    ramps = [
        (t.sigma_s_per_m, t.sigma_pulsed_s_per_m, t.field_onset_v_per_cm, t.field_full_v_per_cm)
        for t in (tissue("soft tissue"), tumour, vessel, fat)
    ]
    assert ramps == [
        (0.08, 0.32, 350.0, 700.0),
        (0.2, 0.7, 400.0, 800.0),
        (0.7, 1.5, 100.0, 450.0),
        (0.02, 0.08, 100.0, 400.0),
    ]
    assert liver.sigma_s_per_m == 0.12
    assert VESSEL_WALL_TRANSFER.value == 230.0
    assert vessel.wall_transfer_w_per_m2k == 0.0  # perfect contact stays the default
    assert tissue("kidney", kind="rfa").sigma_s_per_m == 0.226
    assert tissue("liver", kind="rfa").sigma_s_per_m == 0.33
    assert tissue("liver", kind="ire") == liver


def _cole_cole(frequency_hz, epsilon_inf, poles, sigma):
    """Gabriel 1996, part III, equation 1: relative permittivity and conductivity, S/m."""
    w, e0 = 2.0 * np.pi * frequency_hz, 8.8541878e-12
    epsilon = epsilon_inf + sigma / (1j * w * e0)
    for step, tau, alpha in poles:
        epsilon += step / (1.0 + (1j * w * tau) ** (1.0 - alpha))
    return epsilon.real, -epsilon.imag * w * e0


def test_microwave_values_are_gabriels_models():
    """Coefficients of the report's appendix C for blood and cortical bone."""
    blood = (4.0, [(56.0, 8.377e-12, 0.1), (5200.0, 132.629e-9, 0.1)], 0.7)
    bone = (
        2.5,
        [
            (10.0, 13.263e-12, 0.2),
            (180.0, 79.577e-9, 0.2),
            (5e3, 159.155e-6, 0.2),
            (1e5, 15.915e-3, 0.0),
        ],
        0.02,
    )
    for name, model in (("blood", blood), ("vessel", blood), ("bone", bone)):
        permittivity, sigma = _cole_cole(2.45e9, *model)
        assert tissue(name).permittivity == pytest.approx(permittivity, rel=1e-3)
        assert tissue(name).sigma_microwave_s_per_m == pytest.approx(sigma, rel=2e-3)
        radio = _cole_cole(5e5, *model)[1]
        assert TISSUES[name].sigma_radiofrequency.value == pytest.approx(radio, rel=1e-2)


def test_sources_of_heat_and_phantoms():
    held = {n: r.properties().fixed_temperature_c for n, r in TISSUES.items()}
    held = {n: t for n, t in held.items() if t is not None}
    assert set(AT_BLOOD_TEMPERATURE) <= set(held)
    assert 38.0 <= held["urethral warmer"] <= 43.0
    assert 37.0 <= held["warm saline"] <= 40.0
    assert tissue("room air").wall_transfer_w_per_m2k == 10.0
    gel = tissue("gel")
    assert gel.latent_j_per_kg == pytest.approx(334e3 * 0.973, rel=1e-2)  # water's, 2 % agar
    mean = 2.22 * 273.0 * np.log(273.0 / 233.0) / 40.0  # ice 2.22 (273 / T) over 0 to -40 degC
    assert gel.k_frozen_w_per_mk == pytest.approx(mean, rel=0.01)
    assert tissue("liver ex vivo").perfusion_per_s == 0.0


def test_structures_share_one_freezing_interval():
    """A map of structures must make a problem; phantoms may freeze as they like."""
    intervals = {(tissue(n).solidus_c, tissue(n).liquidus_c) for n in TISSUE_OF_STRUCTURE.values()}
    assert intervals == {(-8.0, -1.0)}


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'liver'"):
        tissue("livr")
    with pytest.raises(InputError, match="did you mean 'tumour'"):
        tissue("tumor")
    with pytest.raises(InputError, match="did you mean 'perfusion_per_s'"):
        TISSUES["liver"].properties(perfusion_per_min=0.1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("wall_transfer_w_per_m2k", -1.0),
        ("water_fraction", 1.2),
        ("sigma_s_per_m", -0.1),
        ("field_onset_v_per_cm", 900.0),
        ("permittivity", float("nan")),
    ],
)
def test_absurd_values_are_refused(field, value):
    with pytest.raises(InputError, match=field.split("_per")[0]):
        TISSUES["liver"].properties(**{field: value})
