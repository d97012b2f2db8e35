"""The generator's ramp and pulses, and dried tissue that takes no more heat."""

from __future__ import annotations

import pytest

from irplan.ablation.device import RfaDevice
from irplan.ablation.field.control import RfaControl
from irplan.ablation.field.generator import Generator
from irplan.ablation.field.rfa import simulate_rfa
from irplan.ablation.schedule import Schedule


def test_ramp_ends_at_the_first_roll_off():
    g = Generator(RfaControl(step_back=1.0), RfaDevice())
    assert g.allowed_w(200.0, 0.0) == pytest.approx(80.0)
    assert g.allowed_w(200.0, 180.0) == pytest.approx(110.0)
    assert g.allowed_w(60.0, 180.0) == pytest.approx(60.0)
    g.roll_off(240.0)
    assert g.allowed_w(200.0, 600.0) == pytest.approx(120.0)
    plain = Generator(RfaControl(mode="power"), RfaDevice())
    assert plain.allowed_w(200.0, 0.0) == 200.0


def test_only_short_pulses_lower_the_power():
    g = Generator(RfaControl(ramp_w_per_min=0.0), RfaDevice())
    assert not g.rolls_off(79.9, 50.0)
    assert g.rolls_off(80.0, 50.0)
    g.allowed_w(80.0, 0.0)
    g.roll_off(30.0)
    g.rest(30.0)
    assert g.resting(44.9)
    assert not g.resting(45.0)
    assert g.allowed_w(80.0, 45.0) == pytest.approx(80.0)
    g.roll_off(50.0)
    assert g.allowed_w(80.0, 65.0) == pytest.approx(72.0)


def test_dried_tissue_takes_no_more_heat(make_field_problem):
    """Far too much power: water boils off, and yet nothing is far hotter than steam."""
    problem = make_field_problem(
        "rfa", device=RfaDevice(cooled=True), schedule=Schedule.constant_power(150.0, 3.0)
    )
    result = simulate_rfa(problem, control=RfaControl(start_w=150.0), threads=1)
    assert result.options["roll_offs"] >= 3
    assert 100.0 < result.maximum_c.array.max() < 200.0
