"""Damage models against closed forms, through the march: constant temperature and a ramp."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import exp1

from irplan.ablation.damage import (
    DAMAGE_SETS,
    GAS_CONSTANT_J_PER_MOLK,
    Arrhenius,
    Cem43,
    ThreeState,
    damage_record,
)
from irplan.ablation.heat.march import HeatMarch
from irplan.errors import InputError

BODY = 37.0
MODELS = (Arrhenius(dead_fraction=0.5), Cem43(), ThreeState())


def held_at(make_heat, plain, temperature_c, seconds):
    """The models' fields in a block held at one temperature, seen from its middle."""
    held = dataclasses.replace(plain, name="held", fixed_temperature_c=temperature_c)
    index = np.zeros((24, 24, 24), np.uint8)
    index[9:15, 9:15, 9:15] = 1
    problem = make_heat(shape=index.shape, index=index, tissues=(plain, held))
    march = HeatMarch(problem, MODELS)
    march.advance(None, seconds)
    return {k: float(v.array[12, 12, 12]) for k, v in march.damage_volumes().items()}


@pytest.mark.parametrize("temperature_c", [44.0, 50.0, 58.3])
def test_constant_temperature(make_heat, plain, temperature_c):
    seconds = 15.0  # few enough that a fraction dead still tells Omega in float32
    got = held_at(make_heat, plain, temperature_c, seconds)
    omega = 7.39e39 * math.exp(-2.577e5 / (GAS_CONSTANT_J_PER_MOLK * (temperature_c + 273.15)))
    assert -math.log1p(-got["arrhenius"]) == pytest.approx(omega * seconds, rel=1e-3)
    assert got["cem43"] == pytest.approx(2 ** (temperature_c - 43.0) * seconds / 60.0, rel=1e-3)

    k = 3.33e-3 * math.exp(temperature_c / 40.5)

    def rates(_, y):
        forward, vulnerable = k * (1 - y[0]), 1 - y[0] - y[1]
        return [7.77e-3 * vulnerable - forward * y[0], forward * vulnerable]

    exact = solve_ivp(rates, (0, seconds), (0.99, 0.01), rtol=1e-10, atol=1e-12)
    assert got["three_state"] == pytest.approx(exact.y[1, -1], rel=1e-3)


def test_linear_ramp(make_heat, plain):
    """A block warmed at 0.25 K/s from 37 to 59 degC, against the exponential integral."""
    problem = make_heat(shape=(40, 40, 40), tissues=(plain,))
    march = HeatMarch(problem, (*MODELS, Arrhenius(name="again", dead_fraction=0.9)))
    rate, seconds = 0.25, 88.0
    march.advance(np.full(problem.grid.shape, 4e6 * rate, np.float32), seconds)
    assert march.temperature_c[20, 20, 20] == pytest.approx(BODY + rate * seconds, abs=1e-3)
    got = {k: float(v.array[20, 20, 20]) for k, v in march.damage_volumes().items()}
    hot, cold = BODY + rate * seconds, BODY

    b = 2.577e5 / GAS_CONSTANT_J_PER_MOLK

    def primitive(t_c):
        t = t_c + 273.15
        return t * math.exp(-b / t) - b * exp1(b / t)

    short = march._track.states[0][march.layout.flat(np.array([[20, 20, 20]]))[0]]
    omega = 7.39e39 / rate * (primitive(hot) - primitive(cold))
    assert float(short) == pytest.approx(omega, rel=1e-3)
    assert got["again"] == got["arrhenius"]
    above = (2.0 ** (hot - 43.0) - 1.0) / math.log(2.0)
    below = (1.0 - 0.25 ** (43.0 - cold)) / math.log(4.0)
    assert got["cem43"] == pytest.approx((above + below) / rate / 60.0, rel=1e-3)

    def rates(t, y):
        k = 3.33e-3 * math.exp((cold + rate * t) / 40.5)
        forward, vulnerable = k * (1 - y[0]), 1 - y[0] - y[1]
        return [7.77e-3 * vulnerable - forward * y[0], forward * vulnerable]

    exact = solve_ivp(rates, (0, seconds), (0.99, 0.01), rtol=1e-10, atol=1e-12)
    assert got["three_state"] == pytest.approx(exact.y[1, -1], rel=1e-3)


def test_body_temperature_damages_slowly(make_heat, plain):
    """Tissue that stays at 37 degC has the dose of 37 degC: Omega = 0.17 in 10 min."""
    problem = make_heat(shape=(24, 24, 24), tissues=(plain,))
    march = HeatMarch(problem, MODELS)
    march.advance(None, 600.0)
    got = march.damage_volumes()
    omega = 7.39e39 * math.exp(-2.577e5 / (GAS_CONSTANT_J_PER_MOLK * 310.15)) * 600.0
    assert got["arrhenius"].array.max() == pytest.approx(1 - math.exp(-omega), rel=1e-4)
    assert got["cem43"].array.max() == pytest.approx(0.25**6 * 10.0, rel=1e-4)
    assert 0.01 < got["three_state"].array.max() < 0.02
    assert march.trace().extra["dead_cm3_arrhenius"][-1] == 0.0


def test_published_points_of_the_default_set():
    """A 7.39e39, Ea 2.577e5: 98 % dead in 13.6 s at 60 degC; 240 min at 43 are 14.1 s at 53."""
    arrhenius = Arrhenius()
    assert arrhenius.dose_level == pytest.approx(3.912, abs=1e-3)
    seconds = arrhenius.dose_level / float(arrhenius.rate(np.array(60.0)))
    assert seconds == pytest.approx(13.6, abs=0.3)
    assert 240.0 / float(Cem43().rate(np.array(53.0))) == pytest.approx(240.0 * 60 / 1024)


def test_named_sets():
    """Eyring's A of the whitening set; seconds to the level at 55 degC span what is published."""
    whitening = DAMAGE_SETS["pig liver, whitening"]
    eyring = 1.380649e-23 * 323.15 / 6.62607015e-34 * math.exp(553.5 / GAS_CONSTANT_J_PER_MOLK)
    assert whitening.frequency_per_s == pytest.approx(eyring, rel=5e-3)
    assert all("[V" in model.source for model in DAMAGE_SETS.values())
    seconds = {
        name: model.dose_level / float(model.rate(np.array(55.0)))
        for name, model in DAMAGE_SETS.items()
        if isinstance(model, Arrhenius)
    }
    assert all(10.0 < s < 1000.0 for s in seconds.values()), seconds


def test_bad_models():
    with pytest.raises(InputError, match="frequency_per_s"):
        Arrhenius(frequency_per_s=-1.0)
    with pytest.raises(InputError, match="energy_j_per_mol"):
        Arrhenius(energy_j_per_mol=257.7)
    with pytest.raises(InputError, match="dead_minutes"):
        Cem43(dead_minutes=math.nan)
    with pytest.raises(InputError, match="at most 1"):
        ThreeState(alive_at_start=0.9, dead_at_start=0.2)


def test_constants_of_two_fits_are_no_model():
    """A of one published pair with Ea of another, or a pair of one's own under another's source."""
    for mixed in ({"frequency_per_s": 5.49e41}, {"energy_j_per_mol": 2.81e5}):
        with pytest.raises(InputError, match="one fit"):
            Arrhenius(**mixed)
    with pytest.raises(InputError, match=r"damage\.source"):
        Arrhenius(frequency_per_s=3.1e98, energy_j_per_mol=6.27e5)
    own = Arrhenius(3.1e98, 6.27e5, source="Henriques & Moritz 1947, skin")
    record = damage_record((own, Cem43()))
    assert record["damage arrhenius"].startswith("A 3.1e+98 /s, Ea 627000 J/mol, dead from 0.98; ")
    assert record["damage arrhenius"].endswith("Henriques & Moritz 1947, skin")
    assert "R 0.5 / 0.25, dead from 240 min" in record["damage cem43"]
    for name, model in DAMAGE_SETS.items():
        assert model.source in damage_record((model,))[f"damage {model.name}"], name
