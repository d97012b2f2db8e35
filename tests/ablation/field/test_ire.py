"""Electroporation: field against closed forms, the iteration, protocols, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from cylinder_electrode import cylinder

from irplan.ablation.device import IreDevice
from irplan.ablation.field.ire import PulseProtocol, simulate_ire
from irplan.errors import InputError

PAIR = [((-5, 0, 0), (0, 0, 1)), ((5, 0, 0), (0, 0, 1))]
SMALL = {"shape": (40, 48, 48), "length_mm": 15.0, "diameter_mm": 1.1}


@pytest.fixture(scope="module")
def linear(make_tissue):
    """Tissue whose conductivity does not depend on the field or temperature."""
    return make_tissue(sigma_s_per_m=0.2, sigma_pulsed_s_per_m=0.2, sigma_per_k=0.0)


@pytest.fixture(scope="module")
def ramp(make_tissue):
    return make_tissue(
        sigma_s_per_m=0.08, sigma_pulsed_s_per_m=0.32, sigma_per_k=0.012,
        field_onset_v_per_cm=350.0, field_full_v_per_cm=700.0,
    )  # fmt: skip


def test_current_and_field_of_a_pair(make_field_problem, linear):
    """R = 2 (R_alone - R_mutual); on the line between, the field of two finite lines."""
    problem = make_field_problem("ire", PAIR, tissues=(linear,), **SMALL)
    protocol = PulseProtocol(voltage_v=1000.0, pulses=1)
    result = simulate_ire(problem, protocol=protocol, threads=1)
    length, gap = 15.0, 10.0
    x = gap / length
    mutual = 1e3 * 2 * (np.arcsinh(1 / x) - np.sqrt(1 + x * x) + x) / (4 * np.pi * 0.2 * length)
    ohm = 2.0 * (cylinder(length, 0.55)[0] / 0.2 - mutual)
    assert result.currents_a[0] == pytest.approx(1000.0 / ohm, rel=0.01)
    # between the two, V/cm: both lines of current, spread along them as by the method of moments
    _, z, share = cylinder(length, 0.55)
    weight = share * np.gradient(z)
    r = 0.5 * gap
    per_line = (weight / weight.sum() * r / np.hypot(r, z) ** 3).sum() / (4 * np.pi * 0.2)
    expected = 1e4 * 2 * result.currents_a[0] * per_line
    got = result.field_v_per_cm.array[19:21, 23:25, 23:25].mean()
    assert got == pytest.approx(expected, rel=0.03)


def test_the_zone_does_not_depend_on_the_pose(make_field_problem, ramp):
    protocol = PulseProtocol(voltage_v=1500.0, pulses=1)
    radii, currents = [], []
    d = np.array((1.0, 2.0, 2.0)) / 3.0
    e = np.array((2.0, 1.0, -2.0)) / 3.0
    poses = (
        PAIR,
        [((-4.7, 0.3, 0.4), (0, 0, 1)), ((5.3, 0.3, 0.4), (0, 0, 1))],
        [(tuple(-5 * e + 0.2), tuple(d)), (tuple(5 * e + 0.2), tuple(d))],
    )
    for lines in poses:
        problem = make_field_problem(
            "ire", lines, tissues=(ramp,), shape=(48, 48, 48), length_mm=15.0, diameter_mm=1.1
        )
        result = simulate_ire(problem, protocol=protocol, threads=1)
        volume = float(result.zones()["electroporated"].sum())
        radii.append((0.75 / np.pi * volume) ** (1 / 3))
        currents.append(result.currents_a[0])
    assert max(radii) - min(radii) < 0.2
    assert max(currents) / min(currents) < 1.02


def test_conductivity_rises_with_the_field(make_field_problem, ramp, make_tissue):
    """The current lies between those of resting and of electroporated tissue."""
    protocol = PulseProtocol(voltage_v=1500.0, pulses=1)
    amps = []
    for sigma in (0.08, 0.32):
        tissue = make_tissue(sigma_s_per_m=sigma, sigma_pulsed_s_per_m=sigma)
        problem = make_field_problem("ire", PAIR, tissues=(tissue,), **SMALL)
        amps.append(simulate_ire(problem, protocol=protocol, threads=1).currents_a[0])
    problem = make_field_problem("ire", PAIR, tissues=(ramp,), **SMALL)
    between = simulate_ire(problem, protocol=protocol, threads=1).currents_a[0]
    assert 1.5 * amps[0] < between < 0.95 * amps[1]
    weak = simulate_ire(problem, protocol=PulseProtocol(voltage_v=20.0, pulses=1), threads=1)
    assert weak.currents_a[0] == pytest.approx(amps[0] * 20.0 / 1500.0, rel=0.01)


def test_heat_of_the_pulses(make_field_problem, linear):
    """U I t in all; the box gets it but for what lies beyond."""
    problem = make_field_problem("ire", PAIR, tissues=(linear,), **SMALL)
    protocol = PulseProtocol(voltage_v=1000.0, pulses=60, pulse_us=100.0)
    result = simulate_ire(problem, protocol=protocol, threads=1)
    joules = 1000.0 * result.currents_a[0] * 100e-6 * 60
    assert result.options["pulse_energy_j"] == pytest.approx(joules, rel=1e-3)
    assert result.energy.probes_j == pytest.approx(joules, rel=0.03)
    assert result.energy.residual_fraction < 1e-3
    assert result.trace.time_s[-1] == pytest.approx(60.0)
    assert 38.0 < result.temperature_c.array.max() < 60.0
    assert set(result.zones()) == {"electroporated", "arrhenius"}


def test_more_pairs_enlarge_the_zone_and_a_floating_needle_bends_it(make_field_problem, ramp):
    three = [*PAIR, ((0, 9, 0), (0, 0, 1))]
    problem = make_field_problem("ire", three, tissues=(ramp,), **SMALL)
    one = PulseProtocol(pairs=((0, 1),), voltage_v=1200.0, pulses=1)
    every = PulseProtocol(voltage_v=1200.0, pulses=1)
    few = simulate_ire(problem, protocol=one, threads=1)
    more = simulate_ire(problem, protocol=every, threads=1)
    assert len(few.currents_a) == 1
    assert len(more.currents_a) == 3
    zones = [r.zones()["electroporated"] for r in (few, more)]
    assert zones[1].sum() > 1.3 * zones[0].sum()
    assert np.all(more.field_v_per_cm.array >= few.field_v_per_cm.array * 0.98 - 1.0)


def test_gas_takes_no_current(make_field_problem, ramp, make_tissue):
    index = np.zeros((40, 48, 48), np.uint8)
    index[:, 30:, :] = 1
    gas = make_tissue(sigma_s_per_m=0.0, sigma_pulsed_s_per_m=0.0)
    problem = make_field_problem("ire", PAIR, tissues=(ramp, gas), index=index, **SMALL)
    result = simulate_ire(problem, protocol=PulseProtocol(voltage_v=1000.0, pulses=1), threads=1)
    assert np.all(result.field_v_per_cm.array[:, 34:, :] == 0.0)


def test_limits(make_field_problem, linear):
    weak = IreDevice(max_voltage_v=1000.0, max_current_a=0.5)
    problem = make_field_problem("ire", PAIR, tissues=(linear,), device=weak, **SMALL)
    with pytest.raises(InputError, match=r"1200 V for pair 1.*at most 1000 V"):
        simulate_ire(problem, protocol=PulseProtocol(voltage_v=1200.0))
    result = simulate_ire(problem, protocol=PulseProtocol(pulses=1), threads=1)
    assert any("1500 V at 1500 V/cm is beyond" in w for w in result.warnings)
    assert any("more than the generator's 0.5 A" in w for w in result.warnings)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pairs": ((0, 2),)}, r"\(0, 2\); expected two different indexes from 0 to 1"),
        ({"pairs": ((1, 1),)}, "two different indexes"),
        ({"pairs": ()}, "at least one pair"),
        ({"voltage_v": (500.0, 600.0)}, "2 voltages"),
    ],
)
def test_wrong_pairs_are_refused(make_field_problem, changes, words):
    with pytest.raises(InputError, match=words):
        simulate_ire(make_field_problem("ire", PAIR, **SMALL), protocol=PulseProtocol(**changes))


def test_wrong_protocols_are_refused(make_field_problem):
    for changes in ({"pulses": 0}, {"pulse_us": 1e6}, {"rate_hz": 1000.0, "pulse_us": 900.0},
                    {"voltage_v": float("nan")}, {"v_per_cm": 1e5}):  # fmt: skip
        with pytest.raises(InputError, match="protocol"):
            PulseProtocol(**changes)
    with pytest.raises(InputError, match="at least two electrodes"):
        simulate_ire(make_field_problem("ire", PAIR[:1], **SMALL))
    with pytest.raises(InputError, match="threshold"):
        simulate_ire(make_field_problem("ire", PAIR, **SMALL), threshold_v_per_cm=1.0)
