"""Radiofrequency: zones that do not depend on the pose, the generator, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.ablation.device import RfaDevice
from irplan.ablation.field.control import RfaControl
from irplan.ablation.field.rfa import simulate_rfa
from irplan.ablation.schedule import Phase, Schedule
from irplan.errors import CancelledError, InputError

POWER = RfaControl(mode="power")


def volume_and_radius(result, level=50.0):
    """Volume, cm3, and mean radius across the needle, mm, of a smooth edge of the maximum."""
    from scipy.ndimage import zoom

    field = zoom(result.maximum_c.array, 3, order=1, grid_mode=True, mode="nearest")
    volume = float((field >= level).sum()) / 27.0 * np.prod(result.grid.spacing_mm) / 1e3
    return volume, (0.75 / np.pi * volume * 1e3) ** (1 / 3)


@pytest.fixture(scope="module")
def straight(make_field_problem):
    return simulate_rfa(make_field_problem("rfa"), control=POWER, threads=1)


@pytest.mark.parametrize(
    ("middle", "axis"), [((0.5, 0.5, 0.5), (0, 0, 1)), ((0.3, 0.1, 0.2), (1, 1, 0)),
                         ((0.2, 0.4, 0.1), (1, 2, 3))],
)  # fmt: skip
def test_the_zone_does_not_depend_on_the_pose(straight, make_field_problem, middle, axis):
    """Mean radius of the 50 degC zone within 0.2 mm, impedance within 1.5 %."""
    turned = simulate_rfa(make_field_problem("rfa", [(middle, axis)]), control=POWER, threads=1)
    assert abs(volume_and_radius(turned)[1] - volume_and_radius(straight)[1]) < 0.2
    ohm, other = (r.trace.extra["impedance_ohm"] for r in (straight, turned))
    assert other[1] == pytest.approx(ohm[1], rel=0.015)
    assert other[-1] == pytest.approx(ohm[-1], rel=0.02)


def test_energy(straight):
    """8 W for 45 s at the generator; what warms the box lacks only the heat beyond it."""
    assert straight.options["generator_energy_j"] == pytest.approx(360.0, rel=1e-6)
    assert straight.energy.residual_fraction < 1e-3
    assert 0.8 * 360.0 < straight.energy.probes_j < 360.0
    extra = straight.trace.extra
    assert extra["voltage_v"] * extra["current_a"] == pytest.approx(extra["power_w"])
    assert extra["voltage_v"] ** 2 / extra["impedance_ohm"] == pytest.approx(extra["power_w"])


def test_impedance_follows_the_temperature(straight, make_field_problem, make_tissue):
    """It falls as tissue warms (+1.5 %/K), and stays where conductivity does not rise."""
    ohm = straight.trace.extra["impedance_ohm"]
    assert ohm.min() < 0.85 * ohm[1]
    fixed = make_field_problem("rfa", tissues=(make_tissue(sigma_per_k=0.0),),
                               schedule=Schedule.constant_power(5.0, 0.5))  # fmt: skip
    flat = simulate_rfa(fixed, control=POWER, threads=1).trace.extra["impedance_ohm"]
    assert flat == pytest.approx(flat[0], rel=1e-3)


def test_roll_off_and_pulsing(make_field_problem):
    problem = make_field_problem("rfa", schedule=Schedule.constant_power(60.0, 1.5))
    result = simulate_rfa(problem, control=RfaControl(off_s=10.0), threads=1)
    extra, times = result.trace.extra, result.trace.time_s
    assert result.options["roll_offs"] >= 2
    off = extra["power_w"] == 0.0
    assert off.any()
    assert extra["impedance_ohm"][1:].max() > extra["impedance_ohm"][1] + 15.0
    edges = np.flatnonzero(np.diff(off.astype(int)))
    spans = [times[b] - times[a] for a, b in zip(edges[:-1:2], edges[1::2], strict=False)]
    assert spans[0] == pytest.approx(10.0, abs=0.7)
    always = simulate_rfa(problem, control=RfaControl(off_s=10.0, step_back=0.5), threads=1)
    assert always.options["generator_energy_j"] < result.options["generator_energy_j"]


def test_limits_of_the_generator(make_field_problem):
    device = RfaDevice(max_voltage_v=20.0)
    result = simulate_rfa(make_field_problem("rfa", device=device), control=POWER, threads=1)
    assert result.trace.extra["voltage_v"].max() == pytest.approx(20.0)
    assert any("limit of voltage" in w for w in result.warnings)
    device = RfaDevice(max_current_a=0.2)
    result = simulate_rfa(make_field_problem("rfa", device=device), control=POWER, threads=1)
    assert result.trace.extra["current_a"].max() == pytest.approx(0.2)


def test_temperature_control(make_field_problem):
    problem = make_field_problem("rfa", schedule=Schedule.constant_power(30.0, 2.0))
    control = RfaControl(mode="temperature", target_c=80.0)
    result = simulate_rfa(problem, control=control, threads=1)
    late = result.trace.time_s > 60.0
    assert result.trace.temperature_c[late, 0].max() < 90.0
    assert result.trace.extra["power_w"][late].max() < 20.0
    assert result.maximum_c.array.max() > 72.0


def test_a_cooled_tip_is_cold_and_the_zone_larger_at_roll_off_free_power(make_field_problem):
    warm = simulate_rfa(make_field_problem("rfa"), control=POWER, threads=1)
    device = RfaDevice(cooled=True)
    cold = simulate_rfa(make_field_problem("rfa", device=device), control=POWER, threads=1)
    assert cold.trace.temperature_c[-1, 1] < warm.trace.temperature_c[-1, 1] - 20.0
    assert cold.energy.residual_fraction < 1e-3


def test_several_electrodes(make_field_problem):
    """Together a lower impedance than one, in series a higher one, switched that of one."""
    two = [((-8, 0, 0), (0, 0, 1)), ((8, 0, 0), (0, 0, 1))]
    problem = make_field_problem("rfa", two, schedule=Schedule.constant_power(12.0, 1.0))
    ohm = {}
    for arrangement in ("together", "bipolar", "switched"):
        control = RfaControl(mode="power", arrangement=arrangement, switch_s=20.0)
        result = simulate_rfa(problem, control=control, threads=1)
        ohm[arrangement] = result.trace.extra["impedance_ohm"][1]
        middle = result.maximum_c.array[24]
        if arrangement != "switched":
            assert middle[24, 16] == pytest.approx(middle[24, 31], abs=4.0)
        assert middle[24, 16] > 45.0
    assert ohm["together"] < 0.75 * ohm["switched"]
    assert ohm["bipolar"] > 1.3 * ohm["switched"]


def test_pull_back_and_pause(make_field_problem):
    schedule = Schedule(
        (
            Phase("power", 30.0, 15.0),
            Phase("pause", 10.0),
            Phase("power", 30.0, 15.0, withdraw_mm=12.0),
        )
    )
    problem = make_field_problem(
        "rfa", [((0, 0, -5), (0, 0, 1))], length_mm=10.0, schedule=schedule, shape=(60, 44, 44)
    )
    result = simulate_rfa(problem, control=POWER, threads=1)
    hot = np.flatnonzero(result.maximum_c.array.max(axis=(1, 2)) > 50.0)
    assert 18 <= hot[-1] - hot[0] <= 34
    assert result.options["generator_energy_j"] == pytest.approx(900.0)
    off = (result.trace.time_s > 31.0) & (result.trace.time_s < 40.0)
    assert np.all(result.trace.extra["power_w"][off] == 0.0)


def test_refused(make_field_problem, make_tissue):
    with pytest.raises(InputError, match="no tissue in the box that conducts"):
        simulate_rfa(make_field_problem("rfa", tissues=(make_tissue(sigma_s_per_m=0.0),)))
    gas = np.zeros((48, 48, 48), np.uint8)
    gas[:, :, 20:28] = 1
    both = (make_tissue(), make_tissue(sigma_s_per_m=0.0))
    with pytest.raises(InputError, match="in gas or another insulator"):
        simulate_rfa(make_field_problem("rfa", tissues=both, index=gas))
    with pytest.raises(InputError, match="two electrodes"):
        simulate_rfa(make_field_problem("rfa"), control=RfaControl(arrangement="bipolar"))
    with pytest.raises(InputError, match="outside the simulated box"):
        simulate_rfa(make_field_problem("rfa", [((0, 0, -16), (0, 0, 1))]))
    with pytest.raises(InputError, match="kind 'ire'"):
        simulate_rfa(make_field_problem("ire"))
    with pytest.raises(InputError, match=r"control\.off_s"):
        RfaControl(off_s=-1.0)
    with pytest.raises(InputError, match=r"control\.mode"):
        RfaControl(mode="pulsed")


def test_it_can_be_cancelled(make_field_problem):
    def stop(fraction: float, message: str) -> None:
        if fraction > 0.2:
            raise CancelledError("test")

    with pytest.raises(CancelledError):
        simulate_rfa(make_field_problem("rfa"), control=POWER, progress=stop)


def test_switched_electrodes_that_all_roll_off_rest(make_field_problem):
    two = [((-8, 0, 0), (0, 0, 1)), ((8, 0, 0), (0, 0, 1))]
    problem = make_field_problem("rfa", two, schedule=Schedule.constant_power(80.0, 1.0))
    control = RfaControl(arrangement="switched", rise_ohm=5.0)
    result = simulate_rfa(problem, control=control, threads=1)
    assert result.options["roll_offs"] >= 3
    assert np.any(result.trace.extra["power_w"] == 0.0)
    assert result.trace.time_s[-1] == pytest.approx(60.0)


def test_threads_are_given_back(make_field_problem):
    import numba

    before = numba.get_num_threads()
    schedule = Schedule.constant_power(5.0, 0.1)
    simulate_rfa(make_field_problem("rfa", schedule=schedule), control=POWER, threads=1)
    assert numba.get_num_threads() == before
    with pytest.raises(InputError, match="threads"):
        simulate_rfa(make_field_problem("rfa", schedule=schedule), threads=0)
