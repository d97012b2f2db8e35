"""Calibration: known constants come back, limits are said, bad zones are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from irplan.ablation import PublishedZone, Schedule, applicator, tissue
from irplan.ablation.bench import bench_problem
from irplan.ablation.calibrate import calibrate, with_constant, zone_residuals
from irplan.errors import CancelledError, InputError

_QUICK = {"spacing_mm": 2.0, "margin_mm": 22.0}


def _zone(short_mm=15.0, level_c=0.0, power_w=None, where="gel", long_mm=None):
    return PublishedZone(short_mm, long_mm, "test", 180.0, level_c, power_w, where, "test [X]")


@pytest.mark.parametrize(
    ("constant", "truth", "tolerance"),
    [("contact_resistance_mk_per_w", 0.07, 0.002), ("working_temperature_c", -95.0, 0.5)],
)
def test_a_known_constant_comes_back(constant, truth, tolerance):
    """A zone simulated with the truth is a measured zone; the fit starts from the catalogue."""
    probe = applicator("cryo-2.4mm")
    made = zone_residuals(with_constant(probe, constant, truth), [_zone(level_c=-15.0)], **_QUICK)
    size = made[0].simulated
    zone = _zone(size.mean_mm, -15.0, long_mm=size.long_mm)
    found = calibrate(probe, [zone], constant=constant, **_QUICK)
    assert found.value == pytest.approx(truth, abs=tolerance)
    assert not found.at_limit
    assert found.rms_mm < 0.05
    assert found.constant == constant
    assert found.applicator == with_constant(probe, constant, found.value)
    assert 2 < found.simulations < 20


def test_an_antennas_efficiency_comes_back():
    from irplan.ablation.heat.mwa import simulate_mwa

    antenna = applicator("mwa-14g-cooled-2450")
    heated = PublishedZone(20.0, None, "test", 120.0, None, 40.0, "liver", "test [X]")
    truth = with_constant(antenna, "efficiency", 0.5)
    size = zone_residuals(truth, [heated], solver=simulate_mwa, **_QUICK)[0].simulated
    measured = replace(heated, short_mm=size.mean_mm, long_mm=size.long_mm)
    found = calibrate(antenna, [measured], solver=simulate_mwa, **_QUICK)
    assert found.constant == "efficiency"
    assert found.before == antenna.device.efficiency
    assert found.value == pytest.approx(0.5, abs=0.005)
    assert found.rms_mm < 0.05


def test_contradicting_zones_are_met_in_the_mean_and_all_are_shown():
    zones = (_zone(20.0), _zone(8.0, -20.0), _zone(8.0, -40.0))
    found = calibrate(applicator("cryo-2.4mm"), zones, **_QUICK)
    assert [r.zone for r in found.residuals] == list(zones)
    errors = [r.short_error_percent for r in found.residuals]
    assert sum(errors) / 3 == pytest.approx(0.0, abs=1.0)
    assert max(abs(e) for e in errors) > 3.0


def test_the_limit_is_said():
    found = calibrate(applicator("cryo-17g-seed"), [_zone(60.0)], **_QUICK)
    assert found.at_limit
    assert found.value == 0.0
    assert "limit" in found.words
    assert found.residuals[0].short_error_mm < -20.0


def test_zones_of_equal_conditions_share_a_simulation():
    runs = []

    def solver(problem, *, progress):
        from irplan.ablation import simulate

        runs.append(problem)
        return simulate(problem, progress=progress)

    zones = (_zone(20.0), _zone(10.0, -20.0), _zone(20.0, where="liver"))
    zone_residuals(applicator("cryo-2.4mm"), zones, solver=solver, **_QUICK)
    assert [p.tissues[0].name for p in runs] == ["gel", "liver"]


def test_progress_rises_and_cancels():
    seen = []

    def report(fraction, message):
        seen.append(fraction)
        if len(seen) == 40:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        calibrate(applicator("cryo-2.4mm"), [_zone()], progress=report, **_QUICK)
    assert seen == sorted(seen)
    assert seen[-1] < 1.0


def test_bench_is_centred_and_reaches_as_far_as_the_cold():
    probe = applicator("cryo-2.4mm")
    problem = bench_problem(
        probe, tissue("gel"), Schedule.freeze_thaw_freeze(), offsets_mm=((-10, 0), (10, 0))
    )
    corner = problem.grid.index_to_lps([n - 1 for n in problem.grid.shape])
    assert -problem.grid.index_to_lps((0, 0, 0)) == pytest.approx(corner)
    assert corner[2] - 20.0 == pytest.approx(59.5)
    ends = problem.placements[0].active_segment
    assert ends[0] == pytest.approx((-10.0, 0.0, -20.0))
    assert ends[1] == pytest.approx((-10.0, 0.0, 20.0))
    with pytest.raises(InputError, match="margin_mm"):
        bench_problem(probe, tissue("gel"), Schedule.freeze_thaw_freeze(), margin_mm=-5.0)


@pytest.mark.parametrize(
    ("name", "zones", "constant", "match"),
    [
        ("cryo-10g-edge", None, None, "none for 'cryo-10g-edge'"),
        ("cryo-2.4mm", [_zone(power_w=50.0)], None, "power 50.0 W for a cryo"),
        ("mwa-15g-cooled-2450", [_zone()], None, "the generator's power for heat"),
        ("cryo-2.4mm", [_zone(where="livr")], None, "did you mean 'liver'"),
        ("cryo-2.4mm", [_zone()], "efficiency", "contact_resistance_mk_per_w"),
        ("ire-19g-20mm", [_zone(power_w=1.0)], None, "no constant"),
    ],
)
def test_bad_input(name, zones, constant, match):
    with pytest.raises(InputError, match=match):
        calibrate(applicator(name), zones, constant=constant, **_QUICK)


def test_negative_constants_are_refused():
    with pytest.raises(InputError, match="contact_resistance"):
        with_constant(applicator("cryo-2.4mm"), "contact_resistance_mk_per_w", -0.1)
    device = applicator("mwa-15g-cooled-2450").device
    with pytest.raises(InputError, match="efficiency"):
        replace(device, efficiency=-0.5)
