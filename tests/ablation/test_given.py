"""Slips of type and value at every public door: an `InputError` that names the field."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from irplan.ablation import (
    TISSUES,
    AblationProblem,
    Arrhenius,
    Cem43,
    CryoDevice,
    IreDevice,
    LethalRule,
    MwaDevice,
    Phase,
    Placement,
    PublishedZone,
    Quantity,
    RfaDevice,
    Schedule,
    ThreeState,
    applicator,
    simulate,
    simulate_cryo,
    tissue,
)
from irplan.errors import InputError
from irplan.geometry import Needle

NAN = float("nan")
FREEZE = Schedule((Phase("freeze", 60.0),))
ZONE = PublishedZone(30.0, None, "10 min", 600.0, None, None, "liver", "test")
ROD = applicator("cryo-17g-rod")
NEEDLE = Needle((0, 0, 0), (0, 0, 150.0))


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda v: Phase("freeze", v), "phase.duration_s"),
        (lambda v: Phase("power", 60.0, v), "phase.power_w"),
        (lambda v: Phase("freeze", 60.0, None, v), "phase.withdraw_mm"),
        (lambda v: Schedule.freeze_thaw_freeze(v), "freeze_min"),
        (lambda v: Schedule.freeze_thaw_freeze(10.0, 8.0, v), "refreeze_min"),
        (lambda v: Schedule.constant_power(50.0, v), "minutes"),
        (lambda v: LethalRule(v), "lethal.threshold_c"),
        (lambda v: LethalRule(-20.0, v), "lethal.cycles"),
        (lambda v: LethalRule(-20.0, 1, v), "lethal.hold_s"),
        (lambda v: replace(ROD, active_length_mm=v), "active_length_mm"),
        (lambda v: replace(ROD, working_temperature_c=v), "working_temperature_c"),
        (lambda v: CryoDevice(v), "contact_resistance_mk_per_w"),
        (lambda v: CryoDevice(max_probes=v), "max_probes"),
        (lambda v: RfaDevice(max_power_w=v), "max_power_w"),
        (lambda v: MwaDevice(efficiency=v), "efficiency"),
        (lambda v: IreDevice(max_voltage_v=v), "max_voltage_v"),
        (lambda v: Arrhenius(dead_fraction=v), "dead_fraction"),
        (lambda v: Cem43(v), "dead_minutes"),
        (lambda v: ThreeState(scale_c=v), "scale_c"),
        (lambda v: replace(ZONE, short_mm=v), "short_mm"),
        (lambda v: replace(ZONE, duration_s=v), "duration_s"),
        (lambda v: replace(ZONE, level_c=v), "level_c"),
        (lambda v: Quantity(v, "W", 0.0, 1.0, "x", "V"), "quantity.value"),
        (lambda v: TISSUES["liver"].properties(perfusion_per_s=v), "perfusion_per_s"),
        (lambda v: TISSUES["liver"].properties(fixed_temperature_c=v), "fixed_temperature_c"),
    ],
)
@pytest.mark.parametrize("value", ["12", "", NAN, float("inf"), True, [1.0], 1j, np.zeros(2)])
def test_what_is_no_number_is_refused_by_name(make, field, value):
    with pytest.raises(InputError) as caught:
        make(value)
    assert caught.value.field.endswith(field)
    assert str(caught.value.remedy)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: LethalRule(-20.0, 2.5), "lethal.cycles"),
        (lambda: LethalRule(-20.0, None), "lethal.cycles"),
        (lambda: CryoDevice(max_probes=2.5), "CryoDevice.max_probes"),
        (lambda: RfaDevice(cooled="no"), "RfaDevice.cooled"),
        (lambda: MwaDevice(cooled=0), "MwaDevice.cooled"),
        (lambda: RfaDevice(tines=5), "RfaDevice.tines"),
        (lambda: RfaDevice(tines=(((0, 0, NAN), (1, 0, 0)),)), "RfaDevice.tines"),
        (lambda: Phase("freezing", 60.0), "phase.kind"),
        (lambda: Phase(["freeze"], 60.0), "phase.kind"),
        (lambda: Schedule("freeze"), "schedule.phases"),
        (lambda: Schedule(Phase("freeze", 60.0)), "schedule.phases"),
        (lambda: Schedule((Phase("freeze", 60.0), 60.0)), "schedule.phases[1]"),
        (lambda: replace(ROD, name=5), "applicator.name"),
        (lambda: replace(ROD, kind="ice"), "applicator 'cryo-17g-rod'.kind"),
        (lambda: replace(ROD, device="strong"), "applicator 'cryo-17g-rod'.device"),
        (lambda: replace(ROD, zones=ZONE), "applicator 'cryo-17g-rod'.zones"),
        (lambda: replace(ROD, zones=["big"]), "applicator 'cryo-17g-rod'.zones[0]"),
        (lambda: Placement("tip", ROD), "placement.needle"),
        (lambda: Placement(NEEDLE, "cryo-17g-rod"), "placement.applicator"),
        (lambda: Placement(NEEDLE, ROD, "done"), "placement.status"),
        (lambda: applicator(5), "applicator"),
        (lambda: applicator(["a"]), "applicator"),
        (lambda: tissue(None), "tissue"),
        (lambda: tissue("liver", kind="cold"), "kind"),
        (lambda: Arrhenius(name=3), "damage.name"),
        (lambda: replace(ZONE, tissue=None), "published zone.tissue"),
    ],
)
def test_wrong_kinds_are_refused_by_name(make, field):
    with pytest.raises(InputError) as caught:
        make()
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"grid": "1 mm"}, "problem.grid"),
        ({"tissues": TISSUES["liver"].properties()}, "problem.tissues"),
        ({"tissues": ["liver"]}, "problem.tissues[0]"),
        ({"placements": [NEEDLE]}, "problem.placements[0]"),
        ({"schedule": 600.0}, "problem.schedule"),
        ({"schedule": [Phase("freeze", 60.0)]}, "problem.schedule[0]"),
        ({"body_temperature_c": "37"}, "problem.body_temperature_c"),
        ({"body_temperature_c": NAN}, "problem.body_temperature_c"),
        ({"tissue_index": 0}, "problem.tissue_index"),
        ({"notes": "narrow"}, "problem.notes"),
    ],
)
def test_problem_refuses_by_name(make_problem, change, field):
    with pytest.raises(InputError) as caught:
        replace(make_problem(shape=(40, 40, 40)), **change)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"time_error_mm": "fine"}, "time_error_mm"),
        ({"time_error_mm": NAN}, "time_error_mm"),
        ({"threads": 1.5}, "threads"),
        ({"threads": "all"}, "threads"),
        ({"threads": 0}, "threads"),
        ({"stages": 2.5}, "stages"),
        ({"stages": True}, "stages"),
        ({"step_s": "10"}, "step_s"),
        ({"until_s": "10"}, "until_s"),
        ({"history": "yes"}, "history"),
        ({"keep_states": 1}, "keep_states"),
        ({"whole_grid": None}, "whole_grid"),
        ({"start": 60.0}, "start"),
        ({"monitor_points_mm": 5.0}, "monitor_points_mm"),
        ({"backend": 1}, "backend"),
        ({"damage": "arrhenius"}, "damage"),
    ],
)
def test_options_of_a_simulation(make_problem, options, field):
    problem = make_problem(shape=(40, 40, 40), minutes=1.0)
    with pytest.raises(InputError) as caught:
        simulate(problem, **options)
    assert caught.value.field == field


def test_what_is_no_problem(make_problem):
    for solve in (simulate, simulate_cryo):
        with pytest.raises(InputError) as caught:
            solve("plan.toml")
        assert caught.value.field == "problem"


def test_damage_models_are_models(make_problem, make_placed):
    heater = applicator("mwa-15g-cooled-2450")
    problem = make_problem(
        placements=(make_placed((0, 0, 0), (0, 0, 1), heater),),
        schedule=Schedule.constant_power(40.0, 1.0),
    )
    for given, field in (("cem43", "damage"), (("cem43",), "damage[0]"), ((), "damage")):
        with pytest.raises(InputError) as caught:
            simulate(problem, damage=given)
        assert caught.value.field == field


def test_numpy_scalars_and_lists_are_taken(make_problem):
    phase = Phase("freeze", np.float32(60.0), None, np.int64(2))
    assert (phase.duration_s, phase.withdraw_mm) == (60.0, 2.0)
    assert type(phase.duration_s) is float
    assert Schedule([phase]).phases == (phase,)
    rule = LethalRule(np.float64(-40), np.uint8(1), np.int32(5))
    assert rule == LethalRule(-40.0, 1, 5.0)
    assert type(rule.cycles) is int
    assert LethalRule(-20.0, 2.0).cycles == 2
    assert replace(ROD, zones=[ZONE]).zones == (ZONE,)
    assert CryoDevice(max_probes=np.int16(4)) == CryoDevice(max_probes=4)
    problem = make_problem(shape=(40, 40, 40), minutes=1.0)
    taken = AblationProblem(
        problem.grid,
        problem.tissue_index,
        list(problem.tissues),
        list(problem.placements),
        [FREEZE],
        np.float32(37.0),
        ["said"],
    )
    assert taken.notes[0] == "said"
    assert taken.schedule == (FREEZE,)
    short = simulate(taken, threads=np.int64(1), time_error_mm=np.float32(0.06))
    assert short.end_of_freeze_c.array.min() < -20.0
