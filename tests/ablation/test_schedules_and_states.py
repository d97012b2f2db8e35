"""A schedule a probe, going on from a state, history, hold times, batches, edits."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from irplan.ablation import (
    TISSUES,
    AblationProblem,
    CryoDevice,
    EditSession,
    LethalRule,
    Phase,
    Schedule,
    simulate,
    simulate_many,
)
from irplan.ablation.timeline import timeline
from irplan.errors import CancelledError, GridMismatchError, InputError
from irplan.geometry import Grid

DOUBLE = Schedule((Phase("freeze", 120.0), Phase("passive_thaw", 90.0), Phase("freeze", 120.0)))


def ice_radius(volume, direction=(1.0, 0.0, 0.0), level: float = 0.0) -> float:
    r = np.arange(1.5, 25.0, 0.05)
    c = volume.at(r[:, None] * np.asarray(direction))
    i = int(np.argmax(c > level))
    return float(r[i - 1] + (level - c[i - 1]) / (c[i] - c[i - 1]) * 0.05)


def test_timeline_cuts_where_any_probe_changes():
    first = Schedule((Phase("freeze", 100.0), Phase("passive_thaw", 50.0)))
    second = Schedule((Phase("pause", 60.0), Phase("freeze", 90.0), Phase("active_thaw", 30.0)))
    got = timeline((first, second))
    assert [(s.start_s, s.duration_s) for s in got] == [(0, 60), (60, 40), (100, 50), (150, 30)]
    assert [s.freezing for s in got] == [True, True, True, False]
    assert got[3].phases[0] is None
    assert got[1].began == (False, True)
    assert got[2].since_s == (100.0, 60.0)
    later = timeline((first, second), from_s=80.0)
    assert (later[0].start_s, later[0].duration_s) == (80.0, 20.0)
    assert later[0].since_s == (0.0, 60.0)


def test_two_probes_of_their_own_schedules(make_problem, make_placed, make_probe):
    """A probe that pauses until 100 s and freezes for 140 s makes the ice of 140 s of freezing."""
    far = 24.0
    shape = (56, 56, 110)
    both = make_problem(
        shape=shape,
        placements=[make_placed((x, 0, 0), (0, 0, 1), make_probe(20.0)) for x in (-far, far)],
        schedule=(
            Schedule((Phase("freeze", 240.0),)),
            Schedule((Phase("pause", 100.0), Phase("freeze", 140.0))),
        ),
    )
    alone = make_problem(
        shape=shape,
        placements=[make_placed((far, 0, 0), (0, 0, 1), make_probe(20.0))],
        schedule=Schedule((Phase("freeze", 140.0),)),
    )
    a = simulate(both, time_error_mm=0.03).end_of_freeze_c.array
    b = simulate(alone, time_error_mm=0.03).end_of_freeze_c.array
    right = slice(80, 108)
    assert np.abs(a[:, :, right] - b[:, :, right]).max() < 2.0  # steps differ near the ramp
    volume = np.count_nonzero(a[:, :, 60:] <= 0), np.count_nonzero(b <= 0)
    assert volume[0] == pytest.approx(volume[1], rel=0.02)


def test_going_on_from_a_state_is_going_on(make_problem):
    """Stopping at the end of the first thaw and starting again changes nothing but rounding."""
    problem = make_problem(shape=(56, 56, 56), schedule=DOUBLE)
    whole = simulate(problem, keep_states=True)
    assert [s.time_s for s in whole.states] == [120.0, 210.0, 330.0]
    first = simulate(problem, until_s=210.0, keep_states=True)
    rest = simulate(problem, start=first.states[-1])
    assert np.abs(rest.end_of_freeze_c.array - whole.end_of_freeze_c.array).max() < 0.02
    for a, b in zip(rest.cycle_minimum_c, whole.cycle_minimum_c, strict=True):
        assert np.abs(a.array - b.array).max() < 0.02
    middle = simulate(problem, until_s=60.0, keep_states=True).states[-1]
    assert middle.freezing
    again = simulate(problem, start=middle, until_s=120.0)
    at_120 = whole.states[0].temperature_c
    assert ice_radius(again.end_of_freeze_c) == pytest.approx(ice_radius(at_120), abs=0.05)
    assert len(again.cycle_minimum_c) == 1
    # a probe more from here on
    moved = replace(problem, schedule=Schedule((*DOUBLE.phases, Phase("passive_thaw", 60.0))))
    assert simulate(moved, start=whole.states[-1]).energy.residual_fraction <= 1e-3
    other = make_problem(shape=(40, 40, 40), schedule=DOUBLE)
    with pytest.raises(GridMismatchError, match="start"):
        simulate(other, start=middle)
    with pytest.raises(InputError, match="before the end"):
        simulate(problem, start=whole.states[-1])


def test_history_hold_time_and_cooling_rate(make_problem):
    problem = make_problem(shape=(56, 56, 56), schedule=DOUBLE)
    result = simulate(problem, history=True, step_s=6.0)
    history = result.history
    assert history.times_s[0] == 0.0
    assert history.times_s[-1] == 330.0
    last = history.temperature_c(len(history) - 1).array
    assert np.abs(last - result.end_of_freeze_c.array).max() <= 0.011
    between = history.at_time(0.5 * (history.times_s[3] + history.times_s[4])).array
    mean = 0.5 * (history.temperature_c(3).array + history.temperature_c(4).array)
    assert np.allclose(between, mean, atol=1e-4)
    plain = result.lethal_zone(LethalRule(-20.0, 2))
    held = result.lethal_zone(LethalRule(-20.0, 2, 5.0))
    longer = result.lethal_zone(LethalRule(-20.0, 2, 50.0))
    assert 0 < longer.sum() < held.sum() < plain.sum()
    assert not np.any(longer & ~held)
    # by hand on one voxel beside the probe
    c = np.array([history.temperature_c(n).array[28, 28, 33] for n in range(len(history))])
    fine = np.interp(np.arange(0.0, 330.1, 0.1), history.times_s, c) <= -20.0
    first = 0.1 * fine[:2100].sum()
    stays = history.held_in_freezes(-20.0, first - 1.0)[28, 28, 33]
    assert stays >= 1
    assert history.held_in_freezes(-20.0, first + 1.0)[28, 28, 33] < 2
    rate = history.cooling_rate(0.0, -20.0).array
    freeze = history.times_s[history.times_s <= 120.0]
    beside = np.array([history.temperature_c(n).array[28, 28, 31] for n in range(freeze.size)])
    t0, t20 = (np.interp(-v, -beside, freeze) for v in (0.0, -20.0))
    assert beside.min() < -25.0
    assert rate[28, 28, 31] == pytest.approx(60.0 * 20.0 / (t20 - t0), rel=0.01)
    assert rate[0, 0, 0] == 0.0
    with pytest.raises(InputError, match="history"):
        simulate(problem).lethal_zone(LethalRule(-20.0, 1, 5.0))
    with pytest.raises(InputError, match="fall"):
        history.cooling_rate(-20.0, 0.0)


def test_cooling_rate_with_default_steps(make_problem):
    """The map of default steps against that of steps of half a second: few voxels 20 % apart."""
    problem = make_problem(shape=(56, 48, 48), minutes=4.0)
    rough, fine = (
        simulate(problem, history=True, **more).history.cooling_rate().array
        for more in ({}, {"step_s": 0.5})
    )
    both = (rough > 0) & (fine > 0)
    assert np.count_nonzero((rough > 0) ^ (fine > 0)) < 0.02 * np.count_nonzero(fine)
    apart = rough[both] / fine[both]
    assert np.median(apart) == pytest.approx(1.0, abs=0.03)
    assert np.all(np.quantile(apart, [0.01, 0.98]) == pytest.approx(1.0, abs=0.2))
    assert apart.max() < 2.0


def test_contact_resistance_draws_what_the_circuit_says(make_problem, make_placed, make_probe):
    """Warm tissue: flux = (T_w - T_far) / (R_contact + ln(R/r) / (2 pi k)), steady cylinder."""
    k, perfusion = 0.5, 0.02
    tissue = TISSUES["liver"].properties(k_unfrozen_w_per_mk=k, perfusion_per_s=perfusion)
    resistance = 0.4
    probe = replace(
        make_probe(44.0, temperature_c=5.0, ramp_s=0.0),
        device=CryoDevice(contact_resistance_mk_per_w=resistance),
    )
    problem = make_problem(
        shape=(80, 36, 36),
        tissues=(tissue,),
        placements=(make_placed((0, 0, 0), (0, 0, 1), probe),),
        schedule=Schedule((Phase("freeze", 600.0),)),
    )
    result = simulate(problem, history=True)
    from scipy.special import k0, k1

    delta = math.sqrt(k / (perfusion * 1060 * 3639)) * 1e3
    a = 0.75 / delta
    film = k0(a) / (2 * math.pi * k * a * k1(a))
    steady = (5.0 - 37.0) / (resistance + film)
    early = simulate(problem, until_s=480.0).energy.probes_j
    per_metre = (result.energy.probes_j - early) / 120.0 / 0.044
    assert per_metre == pytest.approx(steady, rel=0.05)  # ends draw a little more


def test_vessel_wall_with_a_film(make_problem, make_placed, make_probe):
    """Film and half a voxel in series: the wall's neighbour sees h / (h/2k + 1/hw)."""
    shape = (40, 40, 40)
    index = np.zeros(shape, np.uint8)
    index[:, :, :4] = 1
    liver = TISSUES["liver"].properties(perfusion_per_s=0.0, k_unfrozen_w_per_mk=0.5)
    k, hw = 0.5, 230.0
    wall = TISSUES["vessel"].properties(fixed_temperature_c=57.0, wall_transfer_w_per_m2k=hw)
    off = make_placed((6, 0, 0), (0, 0, 1), make_probe(6.0, temperature_c=37.0, ramp_s=0.0))
    problem = make_problem(
        shape=shape,
        index=index,
        tissues=(liver, wall),
        placements=(off,),
        schedule=Schedule((Phase("freeze", 6000.0), Phase("passive_thaw", 600.0))),
    )
    c = simulate(problem).end_of_freeze_c.array[20, 20]
    # steady slab from the film to the far face (37 degC one voxel outside), in the middle
    # rows the lateral faces at 37 degC matter; compare the jump at the wall with the gradient
    flux = k * (c[4] - c[5]) / 1e-3
    through = (57.0 - c[4]) / (0.5e-3 / k + 1.0 / hw)
    assert through == pytest.approx(flux, rel=0.06)


def test_flat_voxels_give_the_same_ice(make_problem, make_placed, make_probe):
    """0.8 x 1 x 2 mm voxels, needle oblique: radii within .3 mm of cubic ones."""
    placement = make_placed((0.2, -0.1, 0.3), (0.3, 0.2, 1.0), make_probe(20.0))
    cubic = simulate(make_problem(shape=(64, 56, 56), minutes=4.0, placements=(placement,)))
    grid = Grid.from_spacing((32, 56, 70), (2.0, 1.0, 0.8), (-27.6, -27.5, -31.0))
    flat = AblationProblem(
        grid,
        np.zeros(grid.shape, np.uint8),
        (TISSUES["liver"].properties(),),
        (placement,),
        Schedule((Phase("freeze", 240.0),)),
    )
    result = simulate(flat)
    for direction in ((1, 0, 0), (0, 1, 0), (-1, 0, 0)):
        assert ice_radius(result.end_of_freeze_c, direction) == pytest.approx(
            ice_radius(cubic.end_of_freeze_c, direction), abs=0.35
        )
    assert result.energy.residual_fraction <= 1e-3


def test_withdrawn_probe_freezes_where_it_is_then(make_problem, make_placed, make_probe):
    placement = make_placed((0, 0, -8), (0, 0, 1), make_probe(10.0))
    schedule = Schedule(
        (Phase("freeze", 60.0), Phase("active_thaw", 60.0), Phase("freeze", 90.0, None, 16.0))
    )
    problem = make_problem(shape=(64, 40, 40), placements=(placement,), schedule=schedule)
    result = simulate(problem)
    first, second = (v.array[:, 20, 20] for v in result.cycle_minimum_c)
    z = np.arange(64) - 31.5
    assert z[first <= -20].mean() == pytest.approx(-8.0, abs=0.8)
    assert z[second <= -20].mean() == pytest.approx(8.0, abs=0.8)


def test_schedules_that_do_not_fit(make_problem, make_probe, make_placed):
    with pytest.raises(InputError, match="2 schedules"):
        make_problem(schedule=(DOUBLE, DOUBLE))
    with pytest.raises(InputError, match="'power' phase"):
        make_problem(schedule=Schedule.constant_power(50.0, 5.0))
    short = replace(make_probe(), device=CryoDevice(max_phase_s=300.0))
    with pytest.raises(InputError, match="limit of test probe"):
        make_problem(placements=(make_placed((0, 0, 0), (0, 0, 1), short),))
    one = replace(make_probe(), device=CryoDevice(max_probes=1))
    with pytest.raises(InputError, match="at most 1"):
        make_problem(
            placements=[make_placed((x, 0, 0), (0, 0, 1), one) for x in (-8, 8)], minutes=2.0
        )


def test_many_at_once_are_the_same_in_order(make_problem):
    problems = [make_problem(shape=(44, 44, 44), minutes=m) for m in (1.0, 2.0, 3.0, 1.5, 2.5)]
    seen = []
    many = list(
        simulate_many(iter(problems), workers=2, progress=lambda f, m: seen.append(f), total=5)
    )
    for result, problem in zip(many, problems, strict=True):
        alone = simulate(problem, threads=1)
        assert result.end_of_freeze_c.array.tobytes() == alone.end_of_freeze_c.array.tobytes()
    assert seen == sorted(seen)  # it is called while a result is waited for, too
    assert [f for f in dict.fromkeys(seen) if f > 0.0] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])

    def stop(fraction: float, message: str) -> None:
        raise CancelledError("batch")

    with pytest.raises(CancelledError):
        list(simulate_many(problems, progress=stop, total=5))
    for slip in (0, 1.5, "all", True):
        with pytest.raises(InputError, match="workers"):
            list(simulate_many(problems, workers=slip))
    with pytest.raises(InputError, match="several problems"):
        list(simulate_many(problems[0]))
    with pytest.raises(InputError, match=r"problems\[2\]: problem: got"):
        list(simulate_many([*problems[:2], "plan.toml"]))
    with pytest.raises(InputError, match="total"):
        list(simulate_many(problems, total="five"))


_TOGETHER = """
import sys; sys.path[:0] = [{here!r}]
import threading
from conftest import _make, placed
import numba
from irplan.ablation import Schedule, applicator, simulate, simulate_many
small = _make(shape=(44, 44, 44), minutes=1.0)
antenna = applicator("mwa-15g-cooled-2450")
hot = _make(
    shape=(48, 48, 60), placements=(placed((0, 0, 0), (0, 0, 1), antenna),),
    schedule=Schedule.constant_power(30.0, 0.25),
)
done = list(simulate_many([hot, small] * 2, workers=2))
def run(problem):
    done.append(simulate(problem))
threads = [threading.Thread(target=run, args=(p,)) for p in (small, hot, small)]
for t in threads: t.start()
for t in threads: t.join()
print(numba.threading_layer(), len(done))
"""


def test_python_threads_with_numbas_plainest_layer():
    """The "workqueue" layer ends the process when two threads enter it: irplan takes turns."""
    here = str(Path(__file__).parent)
    environment = {**os.environ, "NUMBA_THREADING_LAYER": "workqueue"}
    ran = subprocess.run(
        [sys.executable, "-c", _TOGETHER.format(here=here)],
        capture_output=True, text=True, timeout=120, env=environment, check=False,
    )  # fmt: skip
    assert ran.stdout.split() == ["workqueue", "7"], ran.stderr


def test_edit_of_two_millimetres(make_problem, make_placed, make_probe):
    """Two probes beside a vessel, one moved 2 mm: radii within .2 mm of a full solution."""
    shape = (64, 64, 72)
    index = np.zeros(shape, np.uint8)
    _, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]]
    index[np.hypot(x - 58, y - 30) < 3.0] = 1
    tissues = (TISSUES["liver"].properties(), TISSUES["vessel"].properties())

    def at(shift: float):
        return [
            make_placed((-7 + shift, 0.4, 0), (0.1, 0, 1), make_probe(20.0)),
            make_placed((7, 0, 0.3), (0, 0.1, 1), make_probe(20.0)),
        ]

    problem = make_problem(
        shape=shape, index=index, tissues=tissues, placements=at(0.0), schedule=DOUBLE
    )
    session = EditSession(problem)
    edited = session.edited(at(-2.0))
    full = simulate(replace(problem, placements=tuple(at(-2.0))))
    for field, expected in zip(
        (edited.end_of_freeze_c, *edited.cycle_minimum_c),
        (full.end_of_freeze_c, *full.cycle_minimum_c),
        strict=True,
    ):
        for level in (0.0, -20.0):
            a, b = field.array <= level, expected.array <= level
            faces = sum(np.count_nonzero(np.diff(b.astype(np.int8), axis=n)) for n in range(3))
            surface = faces * 2.0 / 3.0  # of a surface that faces every way equally
            assert np.count_nonzero(a ^ b) / surface < 0.2  # mean distance of the surfaces, mm
    assert edited.error.total_mm > full.error.total_mm
    same = session.edited(at(0.0))
    assert np.abs(same.end_of_freeze_c.array - session.result.end_of_freeze_c.array).max() < 0.1
    settled = session.settle(at(-2.0))
    assert settled.end_of_freeze_c.array.tobytes() == full.end_of_freeze_c.array.tobytes()
    more = session.edited([*at(-2.0), make_placed((0, 12, 0), (0, 0, 1), make_probe(20.0))])
    assert np.count_nonzero(more.end_of_freeze_c.array <= 0) > np.count_nonzero(
        settled.end_of_freeze_c.array <= 0
    )


@pytest.mark.parametrize("far", [10.0, 16.0])
def test_edit_of_a_long_way(make_problem, make_placed, make_probe, far):
    """A probe moved by whole coarse voxels in uniform tissue takes its ice along."""
    schedule = Schedule((Phase("freeze", 90.0),))

    def at(x: float):
        return (make_placed((x, 0.0, 0.0), (0, 0, 1), make_probe(20.0)),)

    problem = make_problem(shape=(56, 48, 72), placements=at(-far / 2), schedule=schedule)
    session = EditSession(problem)
    # In uniform tissue the ice goes along with its probe: four voxels are four voxels.
    carried = session.carried(at(4.0 - far / 2)).end_of_freeze_c.array
    middle = round(problem.grid.lps_to_index((-far / 2, 0.0, 0.0))[2])
    here, there = (slice(middle + n - 14, middle + n + 15) for n in (0, 4))
    was = session.result.end_of_freeze_c.array
    assert carried[..., there] == pytest.approx(was[..., here], abs=0.01)
    with pytest.raises(InputError, match="moved a little"):
        session.carried((*at(0.0), *at(8.0)))
    edited = session.edited(at(far / 2)).end_of_freeze_c.array
    full = simulate(replace(problem, placements=at(far / 2))).end_of_freeze_c.array
    assert np.count_nonzero(edited <= 0) == pytest.approx(np.count_nonzero(full <= 0), rel=0.01)
    assert np.abs(edited - full).max() < 1.0


def test_restart_after_a_pull_back(make_problem, make_placed, make_probe):
    schedule = Schedule(
        (Phase("freeze", 60.0), Phase("freeze", 60.0, None, 12.0), Phase("freeze", 60.0))
    )
    problem = make_problem(
        shape=(56, 40, 40),
        placements=(make_placed((0, 0, -6), (0, 0, 1), make_probe(10.0)),),
        schedule=schedule,
    )
    whole = simulate(problem, keep_states=True)
    rest = simulate(problem, start=whole.states[1])
    assert np.abs(rest.end_of_freeze_c.array - whole.end_of_freeze_c.array).max() < 0.05


def test_a_hold_time_counts_freezes_not_stays(make_problem):
    """Two freezes with a thaw too short to warm the middle: it was held in both."""
    schedule = Schedule((Phase("freeze", 120.0), Phase("passive_thaw", 5.0), Phase("freeze", 60.0)))
    result = simulate(make_problem(shape=(44, 44, 44), schedule=schedule), history=True)
    held = result.lethal_zone(LethalRule(-20.0, 2, 20.0))
    plain = result.lethal_zone(LethalRule(-20.0, 2))
    assert held[22, 22, 22]
    assert held.sum() > 0.5 * plain.sum()
    assert not np.any(held & ~plain)
    assert result.minimum_c.array.min() >= -140.0


def test_options_that_do_not_exist_or_fit(make_problem):
    problem = make_problem(shape=(40, 40, 40), minutes=1.0)
    with pytest.raises(InputError, match="histroy"):
        simulate(problem, histroy=True)
    with pytest.raises(InputError, match="together with stages"):
        simulate(problem, stages=1, step_s=600.0)
    index = np.ones((40, 40, 40), np.uint8)
    with pytest.raises(InputError, match="partly in gas"):
        make_problem(
            shape=(40, 40, 40),
            index=index,
            tissues=(TISSUES["liver"].properties(), TISSUES["gas"].properties()),
        )


@pytest.mark.parametrize("split_s", [45.0, 120.0, 130.0, 171.3, 210.0, 250.0, 335.0])
def test_split_anywhere_keeps_the_record_of_cycles(make_problem, split_s):
    """Two parts give the minima of each freeze (its thaw included) and the last freeze's end."""
    schedule = Schedule((*DOUBLE.phases, Phase("passive_thaw", 60.0)))
    problem = make_problem(shape=(56, 56, 56), schedule=schedule)
    whole = simulate(problem, time_error_mm=0.02)
    first = simulate(problem, until_s=split_s, keep_states=True, time_error_mm=0.02)
    rest = simulate(problem, start=first.states[-1], time_error_mm=0.02)
    assert len(rest.cycle_minimum_c) == 2
    fields = zip(
        (rest.end_of_freeze_c, *rest.cycle_minimum_c),
        (whole.end_of_freeze_c, *whole.cycle_minimum_c),
        strict=True,
    )
    for got, expected in fields:
        assert np.abs(got.array - expected.array).mean() < 0.01
        for level in (10.0, 0.0, -20.0):
            assert ice_radius(got, level=level) == pytest.approx(
                ice_radius(expected, level=level), abs=0.02
            )


def test_a_result_of_another_problem_is_no_start_for_edits(make_problem, make_placed, make_probe):
    def at(x: float):
        return (make_placed((x, 0.0, 0.0), (0, 0, 1), make_probe(20.0)),)

    schedule = Schedule((Phase("freeze", 60.0), Phase("passive_thaw", 30.0)))
    problem = make_problem(shape=(40, 40, 40), placements=at(0.0), schedule=schedule)
    result = simulate(problem)
    assert EditSession(replace(problem), result=result).result is result
    index = problem.tissue_index.copy()
    index[0, 0, 0] = 1
    two = (*problem.tissues, TISSUES["fat"].properties())
    others = {
        "placements": replace(problem, placements=at(0.5)),
        "schedules": replace(problem, schedule=Schedule((Phase("freeze", 60.0),))),
        "body_temperature_c": replace(problem, body_temperature_c=36.0),
        "tissues": replace(problem, tissues=(TISSUES["kidney"].properties(),)),
        "another grid": make_problem(shape=(44, 40, 40), placements=at(0.0), schedule=schedule),
    }
    for words, other in others.items():
        with pytest.raises(InputError, match=f"result: .*{words}"):
            EditSession(other, result=result)
    both = replace(problem, tissues=two)
    with pytest.raises(InputError, match="tissue_index"):
        EditSession(replace(both, tissue_index=index), result=simulate(both))
    with pytest.raises(InputError, match="from 0 to 40 s of 90 s"):
        EditSession(problem, result=simulate(problem, until_s=40.0))
    with pytest.raises(InputError, match="an edit"):
        EditSession(problem, result=EditSession(problem, result=result).edited(at(0.0)))
    with pytest.raises(InputError, match="which problem"):
        EditSession(problem, result=replace(result, problem=None))
    for slip in ("fast", result.end_of_freeze_c):
        with pytest.raises(InputError, match="CryoResult"):
            EditSession(problem, result=slip)
    with pytest.raises(InputError, match="threads"):
        EditSession(problem, result=result, threads="two")
    with pytest.raises(InputError, match=r"placements\[0\]"):
        EditSession(problem, result=result).edited((1.0,))


def test_pull_backs_are_checked_all_the_way(make_problem, make_placed, make_probe):
    """Against other probes where these are then, the box, gas and the entry."""
    seed = make_probe(10.0)
    back = Schedule((Phase("freeze", 60.0), Phase("freeze", 60.0, None, 30.0)))
    stay = Schedule((Phase("freeze", 120.0),))
    first = make_placed((0, 0, -16), (0, 0, 1), seed)
    across = make_placed((0, 3, 14), (1, 0, 0), seed)
    apart = make_placed((0, 6, 14), (1, 0, 0), seed)
    shape = (72, 44, 44)

    def built(*placements, schedule):
        return make_problem(shape=shape, placements=placements, schedule=schedule)

    assert built(first, apart, schedule=(back, stay)).placements[0] is first
    with pytest.raises(InputError, match=r"schedule\[0\].*60 s.*3\.0 mm of .* applicator 2"):
        built(first, across, schedule=(back, stay))
    passed = make_placed((0, 3, 0), (1, 0, 0), seed)  # between the two places, met on the way
    with pytest.raises(InputError, match="applicator 2"):
        built(first, passed, schedule=(back, stay))
    beside = make_placed((6, 0, -16), (0, 0, 1), seed)  # both go, side by side
    assert built(first, beside, schedule=back)
    with pytest.raises(InputError, match="out of the image"):
        built(first, schedule=Schedule((back.phases[0], Phase("freeze", 60.0, None, 70.0))))
    with pytest.raises(InputError, match="behind the entry"):
        built(first, schedule=Schedule((stay.phases[0], *[Phase("freeze", 60.0, None, 80.0)] * 2)))
    index = np.zeros(shape, np.uint8)
    index[50:53, 20:24, 20:24] = 1  # 14 mm above the middle
    tissues = (TISSUES["liver"].properties(), TISSUES["gas"].properties())
    with pytest.raises(InputError, match="through gas"):
        make_problem(shape=shape, placements=(first,), schedule=back, index=index, tissues=tissues)
