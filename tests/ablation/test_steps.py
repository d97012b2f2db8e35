"""Steps and super-steps: they fill the time, are stable, and are short enough for the zones."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.ablation import Phase, Schedule, simulate
from irplan.ablation.steps import StepRule
from irplan.ablation.super_step import extent, stage_times_s, stage_weights
from irplan.ablation.timeline import timeline

LEVELS = (0.0, -20.0, -40.0)


def volume_mm3(c: np.ndarray, level: float) -> float:
    """Volume at or below ``level``, the edge placed by the local gradient (1 mm voxels)."""
    span = np.sqrt(sum(g**2 for g in np.gradient(c.astype(float)))) + 1e-9
    return float(np.clip(0.5 + (level - c) / span, 0, 1).sum())


@pytest.mark.parametrize("rule", [StepRule(0.06), StepRule(0.005), StepRule(0.5, None, 7.0)])
def test_steps_fill_their_segments_and_are_stable(rule):
    segments = timeline((Schedule.freeze_thaw_freeze(10, 8, 1),))
    limit_s = 0.15
    cuts = rule.cut(segments, limit_s)
    at = 0.0
    for cut in cuts:
        assert cut.segment.start_s == pytest.approx(at, abs=1e-6)
        assert cut.super_step_s <= limit_s * extent(cut.stages) * (1 + 1e-9)
        at += cut.segment.duration_s
    assert at == pytest.approx(19 * 60.0)
    assert sum(cut.segment.ends for cut in cuts) == len(segments)


@pytest.mark.parametrize("rate", [0.0, -0.3])
def test_stages_follow_a_linear_decay_to_first_order(rate):
    """y' = rate y + t from y = 2: a step of one and of four super-steps against exp."""

    def exact(t: float) -> float:
        if rate == 0.0:
            return 2.0 + 0.5 * t * t
        return 2.0 * np.exp(rate * t) + (np.exp(rate * t) - 1.0 - rate * t) / rate**2

    errors = []
    for parts in (1, 4, 16):
        weights, times = stage_weights(4.0, 5, parts), stage_times_s(4.0, 5, parts)
        now, before = 2.0, 0.0
        for (alpha, beta, gamma), t in zip(weights, times, strict=True):
            now, before = alpha * now + beta * before + gamma * (rate * now + t), now
        errors.append(abs(now - exact(4.0)))
    assert errors[1] < 0.3 * errors[0]
    assert errors[2] < 0.3 * errors[1]


def test_zones_with_default_steps_from_the_first_minute_on(make_problem):
    """Within .5 % in volume of steps of 1 s at 1, 2, 5 and 10 min; no voxel far too cold.

    The lowest temperature reached counts, so that a voxel that is too cold for one step shows.
    """
    marks = (60.0, 120.0, 300.0, 600.0)
    parts = np.diff((0.0, *marks))
    shape = (64, 60, 60)
    whole = make_problem(shape=shape, schedule=Schedule(tuple(Phase("freeze", p) for p in parts)))
    fine = simulate(whole, step_s=1.0, keep_states=True)
    for mark, state in zip(marks, fine.states, strict=True):
        problem = make_problem(shape=shape, schedule=Schedule((Phase("freeze", mark),)))
        low = simulate(problem).minimum_c.array
        expected = state.cycle_minimum_c[-1]
        for level in LEVELS:
            assert volume_mm3(low, level) == pytest.approx(volume_mm3(expected, level), rel=0.005)
        assert (expected - low).max() < 6.0
