"""Probability of coverage against closed form, against full physics, and its statistics."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from irplan.ablation import (
    AblationProblem,
    CryoResult,
    LethalRule,
    Phase,
    Placement,
    Schedule,
    applicator,
    simulate_cryo,
)
from irplan.errors import InputError
from irplan.geometry import Grid, Needle
from irplan.image import LabelMap, structure
from irplan.planning.margins import TargetGeometry, measure_margins
from irplan.planning.plan import AblationPlan, Provenance, Target
from irplan.planning.robustness import _by_pairs, _compared, coverage_probability
from irplan.planning.robustness_result import Share
from irplan.planning.robustness_sampling import Normals, moved_needles
from irplan.planning.robustness_uncertainty import (
    PRESETS,
    Uncertainty,
    preset,
    uncertainty_from_mapping,
)

ROD = applicator("cryo-17g-rod")
GRID = Grid.from_spacing((74, 74, 74), (2.0,) * 3, (-73.0, -73.0, -73.0))
#: Only needles err: what they do is then known in closed form.
SIDEWAYS = Uncertainty("sideways", lateral_mm=3.0, perfusion_factor=1.0, conductivity_factor=1.0)
Scene = tuple[AblationPlan, LabelMap, TargetGeometry, CryoResult]


def scene(places: list[tuple[float, float]], radius: float) -> Scene:
    """Parallel rods along z through uniform liver round a ball at the origin; one short freeze."""
    points = GRID.index_to_lps(np.moveaxis(np.indices(GRID.shape), 0, -1))
    whole = np.ones(GRID.shape, bool)
    labels = LabelMap.from_masks(GRID, [(structure("body"), whole), (structure("liver"), whole)])
    plan = AblationPlan(
        Target((0.0, 0.0, 0.0), 4 / 3 * np.pi * radius**3 / 1000, 2 * radius, "mask"),
        tuple(Placement(Needle((x, y, 17.0), (x, y, -65.0)), ROD) for x, y in places),
        Schedule((Phase("freeze", 300.0),)),
        2.0,
        LethalRule(-20.0, 1),
        Provenance("test", 0),
    )
    target = TargetGeometry.from_mask(np.linalg.norm(points, axis=-1) <= radius, labels, "liver")
    problem = AblationProblem.from_labels(labels, plan.placements, plan.schedule, spacing_mm=1.5)
    return plan, labels, target, simulate_cryo(problem)


@pytest.fixture(scope="module")
def one() -> Scene:
    return scene([(0.0, 0.0)], 5.0)


@pytest.fixture(scope="module")
def two() -> Scene:
    return scene([(-6.0, 0.0), (6.0, 0.0)], 8.0)


def test_one_probe_off_centre_is_rayleigh(one: Scene) -> None:
    """Beside a long rod the margin falls by the shift: P = 1 - exp(-(m - goal)^2 / 2 s^2)."""
    plan, labels, target, result = one
    least = measure_margins(
        result.lethal_temperature(plan.lethal),
        -20.0,
        target,
        margin_goal_mm=2.0,
        subcapsular_mm=5.0,
    ).minimal_mm
    for goal in (0.0, 2.0):
        found = coverage_probability(
            plan, labels, target, SIDEWAYS, result=result, margin_mm=goal, samples=6000
        )
        want = 1.0 - np.exp(-0.5 * ((least - goal) / 3.0) ** 2)
        # .02: statistics (.013), the rod's finite length and .1 mm of margin (.015)
        assert found.probability == pytest.approx(want, abs=0.03)
    assert [s.name for s in found.sources] == ["lateral_mm"]
    assert found.sources[0].without == 1.0


def test_fast_against_full_physics(one: Scene, two: Scene) -> None:
    """Scatter about the line over all margins, tails included: as docs/plans.md states it."""
    for (plan, labels, target, result), rms in ((one, 0.2), (two, 0.8)):
        found = coverage_probability(
            plan, labels, target, preset("cbct"), result=result, margin_mm=0.0, check_pairs=12
        )
        assert found.fast_error is not None
        assert found.fast_error.pairs >= 11
        assert found.fast_error.rms_mm < rms
        assert found.covered.half_width <= 0.02
        assert sum(s.share for s in found.sources) == pytest.approx(1.0)
        assert found.target_only.value >= found.probability


def test_same_seed_same_answer_and_full_mode(one: Scene) -> None:
    plan, labels, target, result = one
    kept = [
        coverage_probability(plan, labels, target, preset("cbct"), result=result, seed=s)
        for s in (4, 4, 5)
    ]
    assert kept[0] == kept[1] != kept[2]
    full = coverage_probability(
        plan, labels, target, preset("cbct"), result=result, mode="full", samples=40
    )
    low, high = full.interval
    assert low - 0.05 <= kept[0].probability <= high + 0.05
    assert full.sources == ()


def test_common_random_numbers_do_not_depend_on_the_other_needles() -> None:
    few, many = Normals.drawn(2, 50, 3), Normals.drawn(4, 50, 3)
    assert np.array_equal(few.needle, many.needle[:2])
    assert np.array_equal(few.registration, many.registration)


@pytest.mark.parametrize(("hits", "n"), [(0, 50), (7, 50), (2401, 2401), (1200, 2401)])
def test_wilson_interval(hits: int, n: int) -> None:
    want = binomtest(hits, n).proportion_ci(method="wilson")
    assert Share(hits, n).interval == pytest.approx((want.low, want.high), abs=1e-9)


def test_2401_samples_are_2_percent_at_worst() -> None:
    assert max(Share(k, 2401).half_width for k in range(0, 2402, 50)) <= 0.02


@pytest.mark.parametrize(
    ("name", "euclidean", "angle"), [("robot", 1.8, 0.0), ("ct-laser", 4.0, 1.3), ("ar", 3.4, 0.0)]
)
def test_presets_have_their_published_means(name: str, euclidean: float, angle: float) -> None:
    placed = Placement(Needle((0.0, 0.0, 0.0), (30.0, -60.0, 20.0)), ROD)
    moved = moved_needles([placed], Normals.drawn(1, 40_000, 0), preset(name))
    error = moved.tip_mm[0] - np.array(placed.needle.tip_mm)
    assert np.linalg.norm(error, axis=1).mean() == pytest.approx(euclidean, rel=0.05)
    d = placed.needle.direction
    if name == "robot":
        across = error - (error @ d)[:, None] * d
        assert np.linalg.norm(across, axis=1).mean() == pytest.approx(0.8, rel=0.02)
    turn = np.degrees(np.arccos(np.clip(moved.direction[0] @ d, -1.0, 1.0)))
    assert turn.mean() == pytest.approx(angle, rel=0.02, abs=1e-5)


def test_bad_settings_are_named(one: Scene) -> None:
    plan, labels, target, result = one
    with pytest.raises(InputError, match="one of robot"):
        preset("steady hand")
    with pytest.raises(InputError, match="lateral_mm"):
        Uncertainty("x", lateral_mm=-1.0)
    with pytest.raises(InputError, match="lateral_cm"):
        uncertainty_from_mapping({"lateral_cm": 1.0}, name="x")
    mine = uncertainty_from_mapping({"preset": "robot", "registration_mm": 2.0}, name="x")
    assert mine.lateral_mm == PRESETS["robot"].lateral_mm
    for wrong in ({"samples": 3}, {"margin_mm": 40.0}, {"check_pairs": 9999}, {"seed": -1}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            coverage_probability(plan, labels, target, SIDEWAYS, result=result, **wrong)


def test_pairs_take_off_an_optimistic_fast_mode() -> None:
    """Full physics falls short of the fast margin in a third of the samples."""
    rng = np.random.default_rng(8)

    def drawn(n: int) -> tuple[np.ndarray, np.ndarray]:
        fast = rng.normal(2.0, 1.2, n)
        short = np.where(rng.random(n) < 0.33, rng.exponential(1.6, n), 0.0)
        return fast, fast - short

    truth = float(np.mean(drawn(400_000)[1] >= 0.0))
    optimistic = float(np.mean(drawn(400_000)[0] >= 0.0))
    assert optimistic - truth > 0.08
    found, inside = [], 0
    for _ in range(300):
        fast, full = drawn(2401)
        which = np.argsort(fast)[np.linspace(0, 2400, 60).round().astype(int)]
        line, _ = _compared(fast[which], full[which], 0.0)
        share, error = _by_pairs(line, fast, np.arange(len(fast)), which, full[which], 0.0)
        found.append(share.value)
        inside += abs(share.value - truth) <= 1.96 * error
    assert np.mean(found) == pytest.approx(truth, abs=0.01)
    assert inside >= 0.9 * 300
