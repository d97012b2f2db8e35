"""What a user of `simulate` relies on: physics that must show, balance, determinism, bad input."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.ablation import (
    TISSUES,
    Arrhenius,
    LethalRule,
    Phase,
    Schedule,
    TissueProperties,
    simulate,
)
from irplan.ablation.field.control import RfaControl
from irplan.errors import CancelledError, InputError

FREEZE_THAW_FREEZE = Schedule(
    (Phase("freeze", 240.0), Phase("passive_thaw", 180.0), Phase("freeze", 240.0))
)


@pytest.fixture(scope="module")
def double_freeze(make_problem, make_placed, make_probe):
    problem = make_problem(
        shape=(56, 60, 60),
        placements=(
            make_placed((-7, 0, 0), (0, 0.2, 1), make_probe(20.0)),
            make_placed((7, 0, 0), (0, -0.2, 1), make_probe(20.0)),
        ),
        schedule=FREEZE_THAW_FREEZE,
    )
    return simulate(problem, monitor_points_mm=((0.0, 0.0, 0.0), (0.0, 12.0, 0.0)))


def test_energy_balance_of_a_double_freeze(double_freeze):
    energy = double_freeze.energy
    assert energy.residual_fraction <= 1e-3
    assert energy.probes_j < 0 < energy.perfusion_j
    assert energy.stored_j < 0


def test_passive_thaw_warms_and_refreezing_grows(double_freeze):
    trace = double_freeze.trace
    volume = trace.frozen_volume_cm3
    end_1, end_thaw = np.searchsorted(trace.time_s, [240.0, 420.0])
    assert trace.time_s[-1] == pytest.approx(660.0)
    assert np.diff(trace.time_s).max() <= 20.0 + 1e-9
    assert volume[end_thaw] < 0.95 * volume[end_1]
    assert volume[-1] > volume[end_1]
    middle = trace.temperature_c[:, trace.names.index("point 1")]
    assert middle[end_thaw] > middle[end_1]
    shaft = trace.temperature_c[:, trace.names.index("probe 1")]
    assert shaft[0] == pytest.approx(37.0)
    assert shaft[end_1] == pytest.approx(-140.0)
    assert -30.0 < shaft[end_thaw] < 5.0


def test_cycle_minima_and_lethal_rule(double_freeze):
    first, second = (v.array for v in double_freeze.cycle_minimum_c)
    assert np.all(double_freeze.minimum_c.array <= double_freeze.end_of_freeze_c.array + 1e-4)
    twice = double_freeze.lethal_zone(LethalRule(-20.0, 2))
    once = double_freeze.lethal_zone(LethalRule(-20.0, 1))
    assert np.array_equal(twice, (first <= -20.0) & (second <= -20.0))
    assert twice.sum() < once.sum()
    assert not double_freeze.lethal_zone(LethalRule(-20.0, 3)).any()


def test_result_does_not_depend_on_threads(make_problem):
    problem = make_problem(shape=(40, 40, 40), minutes=1.0)
    one, two = simulate(problem, threads=1), simulate(problem, threads=2)
    assert one.end_of_freeze_c.array.tobytes() == two.end_of_freeze_c.array.tobytes()
    assert one.energy == two.energy


def test_vessel_dents_the_ice(make_problem):
    """A 5 mm vessel 10 mm from the needle keeps its side of the ice short."""
    n = 72
    at = np.arange(n) - (n - 1) / 2
    index = np.zeros((n, n, n), np.uint8)
    index[:, (at[:, None] ** 2 + (at[None, :] - 10.0) ** 2) < 2.5**2] = 1
    plain = simulate(make_problem(minutes=6.0)).end_of_freeze_c
    tissues = (TISSUES["liver"].properties(), TISSUES["vessel"].properties())
    result = simulate(make_problem(minutes=6.0, index=index, tissues=tissues))
    dented = result.end_of_freeze_c
    assert float(dented.at((10.0, 0.0, 0.0))) == pytest.approx(37.0, abs=0.01)
    beyond = np.array([[13.5, 0.0, 0.0], [11.0, 4.0, 0.0]])
    assert np.all(dented.at(beyond) > plain.at(beyond) + 3.0)
    assert result.energy.fixed_tissue_j > 0.05 * abs(result.energy.probes_j)
    assert result.energy.residual_fraction <= 1e-3
    opposite = np.array([-10.0, 0.0, 0.0])
    assert float(dented.at(opposite)) == pytest.approx(float(plain.at(opposite)), abs=1.0)


def test_perfusion_stops_in_frozen_tissue(make_problem):
    """Perfusion heat never exceeds that of the unfrozen volume, and shrinks the ice as it grows."""
    volumes = {}
    for w in (0.0, 0.0036, 0.016):
        tissues = (TISSUES["liver"].properties(perfusion_per_s=w),)
        result = simulate(make_problem(minutes=6.0, tissues=tissues))
        volumes[w] = result.trace.frozen_volume_cm3[-1]
        assert (result.energy.perfusion_j == 0.0) == (w == 0.0)
    assert volumes[0.0] > 1.05 * volumes[0.0036] > 1.1 * volumes[0.016]
    # were the ice perfused too, its core at some -60 degC alone would draw more than this
    frozen_m3 = volumes[0.016] * 1e-6
    if_perfused = 0.016 * 1060 * 3639 * 60.0 * frozen_m3 * 180.0
    assert result.energy.perfusion_j < if_perfused + 0.016 * 1060 * 3639 * 38 * 60e-6 * 360


def test_active_thaw_is_faster_than_passive(make_problem):
    left = {}
    for kind in ("passive_thaw", "active_thaw"):
        schedule = Schedule((Phase("freeze", 180.0), Phase(kind, 180.0)))
        result = simulate(make_problem(shape=(60, 52, 52), schedule=schedule))
        left[kind] = result.trace.frozen_volume_cm3[-1]
        assert result.energy.residual_fraction <= 1e-3
    assert left["active_thaw"] < left["passive_thaw"]


def test_window_does_not_change_the_answer(make_problem):
    problem = make_problem(shape=(64, 64, 64), minutes=4.0)
    narrow = simulate(problem)
    full = simulate(problem, whole_grid=True)
    gap = np.abs(narrow.end_of_freeze_c.array - full.end_of_freeze_c.array)
    assert gap.max() < 0.02
    assert narrow.energy.residual_fraction <= 1e-3


def test_super_steps_agree_with_plain_explicit_steps(make_problem):
    problem = make_problem(shape=(50, 44, 44), minutes=3.0)
    fast, exact = simulate(problem), simulate(problem, stages=1)
    assert exact.steps > 10 * fast.steps
    a, b = fast.trace.frozen_volume_cm3[-1], exact.trace.frozen_volume_cm3[-1]
    # .06 mm of a radius of some 9 mm and a half length of 19 mm: 1.5 %
    assert a == pytest.approx(b, rel=0.015)


def test_metabolic_heat_is_counted(make_problem):
    tissues = (TISSUES["liver"].properties(metabolic_w_per_m3=20000.0, perfusion_per_s=0.0),)
    result = simulate(make_problem(shape=(44, 40, 40), minutes=1.0, tissues=tissues))
    whole = 20000.0 * 44 * 40 * 40 * 1e-9 * 60.0
    assert 0.9 * whole < result.energy.metabolism_j <= whole * (1 + 1e-6)
    assert result.energy.residual_fraction <= 1e-3


def test_small_box_is_warned_about_with_its_error(make_problem, make_placed, make_probe):
    problem = make_problem(
        shape=(30, 30, 30),
        minutes=12.0,
        placements=(make_placed((0, 0, 0), (0, 0, 1), make_probe(10.0)),),
    )
    result = simulate(problem)
    assert result.boundary_rise_c > 2.0
    assert any("edge of the simulated box" in w and "mm of radius" in w for w in result.warnings)
    assert result.energy.boundary_j > 0
    assert result.energy.residual_fraction <= 1e-3


def test_cancel_passes_through(make_problem):
    seen = []

    def stop(fraction: float, message: str) -> None:
        seen.append((fraction, message))
        if len(seen) == 2:
            raise CancelledError("simulation")

    with pytest.raises(CancelledError):
        simulate(make_problem(shape=(40, 40, 40), minutes=2.0), progress=stop)
    assert 0.0 < seen[0][0] < seen[1][0] < 1.0
    assert "freeze 1 of 1" in seen[0][1]


def test_nothing_is_modified(make_problem):
    problem = make_problem(shape=(40, 40, 40), minutes=1.0)
    before = problem.tissue_index.tobytes()
    first = simulate(problem)
    second = simulate(problem)
    assert problem.tissue_index.tobytes() == before
    assert first.end_of_freeze_c.array.tobytes() == second.end_of_freeze_c.array.tobytes()
    assert first.backend == "cpu"
    assert first.backend_reason
    assert first.precision == "float32"


def test_bad_options(make_problem):
    problem = make_problem(shape=(40, 40, 40), minutes=1.0)
    with pytest.raises(InputError, match="control"):
        simulate(problem, control=RfaControl())
    with pytest.raises(InputError, match="damage"):
        simulate(problem, damage=(Arrhenius(),))
    with pytest.raises(InputError, match="step_s"):
        simulate(problem, step_s=float("nan"))
    with pytest.raises(InputError, match="until_s"):
        simulate(problem, until_s=100.0)
    with pytest.raises(InputError, match="backend"):
        simulate(problem, backend="gpu")
    for bad in (0.0, -1.0, float("nan"), 5.0):
        with pytest.raises(InputError, match="time_error_mm"):
            simulate(problem, time_error_mm=bad)
    for bad in (0, 41):
        with pytest.raises(InputError, match="stages"):
            simulate(problem, stages=bad)
    with pytest.raises(InputError, match="threads"):
        simulate(problem, threads=0)
    with pytest.raises(InputError, match="outside the simulated box"):
        simulate(problem, monitor_points_mm=((500.0, 0.0, 0.0),))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("k_unfrozen_w_per_mk", -0.5),
        ("k_frozen_w_per_mk", float("nan")),
        ("density_kg_per_m3", 1e6),
        ("c_unfrozen_j_per_kgk", 3.6),
        ("latent_j_per_kg", -1.0),
        ("perfusion_per_s", -0.1),
        ("perfusion_per_s", 5.0),
        ("metabolic_w_per_m3", 1e9),
        ("solidus_c", -0.95),
        ("fixed_temperature_c", 310.0),
    ],
)
def test_absurd_tissue(field, value):
    with pytest.raises(InputError, match=field):
        TISSUES["liver"].properties(**{field: value})


def test_solidus_must_lie_below_liquidus():
    with pytest.raises(InputError, match="below the liquidus"):
        TissueProperties("x", 0.5, 1.0, 2.0, 1000.0, 3600.0, 3000.0, 1800.0, 250e3, -1.0, -1.0)
