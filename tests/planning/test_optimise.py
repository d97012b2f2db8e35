"""Placement: modalities, objectives, fixed needles, alternatives, baselines, edits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from irplan.ablation import LethalRule, Placement, Schedule, applicator
from irplan.errors import InputError
from irplan.geometry import Needle
from irplan.image import Volume
from irplan.planning import PathRules, PlanOptions, TargetGeometry
from irplan.planning.baselines import sphere_radius_mm
from irplan.planning.case import PlannedCase, plan_ablation, plan_case
from irplan.planning.modality import Tool, UniformEffect, modality
from irplan.planning.optimise_score import CoverageSites, Layout
from irplan.planning.pareto import pareto_front
from irplan.planning.replan import PlanEditor
from irplan.planning.surrogate import uniform_effect
from irplan.planning.target import component_of

from .conftest import Scene


def image(scene: Scene) -> Volume:
    return Volume(np.where(scene.labels.array > 0, 60, -1000).astype(np.int16), scene.labels.grid)


@pytest.fixture(scope="module")
def small(scene: Callable[..., Scene]) -> Scene:
    return scene((2.0, 2.0, 2.0), centre=(8.0, -5.0, 3.0), radius=5.0)


@pytest.fixture(scope="module")
def planned(small: Scene) -> PlannedCase:
    options = PlanOptions(margin_mm=3.0, alternatives=3)
    return plan_case(image(small), small.labels, small.target, options=options)


def test_alternatives_are_complete_and_none_beats_another(planned: PlannedCase) -> None:
    plans = planned.alternatives
    assert plans[0].plan == planned.plan
    assert "recommended" in plans[0].names
    assert len({p.plan.placements for p in plans}) == len(plans)
    for one in plans:
        assert one.evaluation.target_coverage >= 0.9995
        assert one.evaluation.margin_coverage >= 0.99
        assert len(one.paths) == len(one.plan.placements)
        assert one.evaluation.rows
    fewest = min(len(p.plan.placements) for p in plans)
    assert len(planned.plan.placements) == fewest  # the default objective


def test_fixed_needle_stays_and_is_counted(small: Scene, planned: PlannedCase) -> None:
    kept = replace(planned.plan.placements[0], status="achieved")
    options = PlanOptions(margin_mm=3.0, fixed=(kept,))
    again = plan_case(image(small), small.labels, small.target, options=options)
    assert again.plan.placements[0] == kept
    assert again.evaluation.margin_coverage >= 0.99
    for other in again.plan.placements[1:]:
        assert other.status == "planned"


def test_fixed_needles_that_cannot_be(small: Scene) -> None:
    probe = applicator("cryo-17g-seed")

    def refused(*needles: Needle) -> str:
        options = PlanOptions(fixed=tuple(Placement(n, probe) for n in needles))
        with pytest.raises(InputError) as caught:
            plan_case(image(small), small.labels, small.target, options=options)
        return str(caught.value)

    outside = refused(Needle((8.0, -90.0, 3.0), (8.0, -170.0, 3.0)))
    assert "fixed needle 1" in outside
    assert "outside the body" in outside
    crossing = refused(
        Needle((8.0, 0.0, 3.0), (8.0, -60.0, 3.0)), Needle((30.0, 0.0, 3.0), (-14.0, -60.0, 3.0))
    )
    assert "fixed needle 2" in crossing
    assert "0.0 mm from that of fixed needle 1" in crossing


def test_microwaves_reach_the_margin(small: Scene) -> None:
    options = PlanOptions(margin_mm=3.0, modality="mwa", applicator="mwa-17g-cooled-2450")
    case = plan_ablation(image(small), small.labels, small.target, options=options)
    assert not isinstance(case, PlannedCase)
    assert case.evaluation.target_coverage >= 0.9995
    assert case.evaluation.margin_coverage >= 0.99
    assert 1 <= len(case.plan.placements) <= 3
    assert all(p.power_w is not None for p in case.plan.schedule.phases)


def test_electrodes_are_parallel_at_one_depth(small: Scene) -> None:
    options = PlanOptions(margin_mm=0.0, modality="ire", probes=2, applicator="ire-19g-20mm")
    case = plan_ablation(image(small), small.labels, small.target, options=options)
    a, b = (p.needle for p in case.plan.placements)
    assert float(a.direction @ b.direction) > 1.0 - 1e-6
    way = np.array(a.tip_mm) - np.array(b.tip_mm)
    assert abs(float(way @ a.direction)) < 0.01
    assert 15.0 - 0.01 <= float(np.linalg.norm(way)) <= 20.0 + 0.01
    row = next(r for r in case.evaluation.rows if r.name == "target in the lethal zone")
    assert "500 V/cm" in row.note


def test_line_electrode_field_is_the_textbooks() -> None:
    """V/(2 ln(d/a)) / r near the middle of a long electrode of a pair 17.5 mm apart."""
    way = modality("ire", applicators=("ire-19g-40mm",))
    effect = uniform_effect(way.tools[0], way, "liver")
    radius = 0.5 * way.tools[0].applicator.shaft_diameter_mm
    at = effect.at(np.array([[5.0, 0.0, 0.0]]), np.zeros(3), np.array([0.0, 0.0, 1.0]))
    long = 1500.0 * 1.75 / (2.0 * np.log(17.5 / radius)) / 0.5
    assert float(at[0]) == pytest.approx(long * 20.0 / np.hypot(5.0, 20.0), rel=0.02)


def test_sphere_inside_a_known_zone() -> None:
    """Effect falling as 100 / distance is lethal (10) within 10 mm."""
    axial, radial = np.arange(-30.0, 30.5), np.arange(0.0, 40.5)
    z, r = np.meshgrid(axial, radial, indexing="ij")
    tool = Tool(applicator("cryo-17g-seed"), Schedule.freeze_thaw_freeze())
    effect = UniformEffect(tool, 100.0 / np.maximum(np.hypot(z, r), 1e-3), -30.0)
    assert sphere_radius_mm(effect, 10.0) == pytest.approx(10.0, abs=0.3)


def test_shares_of_a_known_zone(small: Scene) -> None:
    """A ball of radius r in a zone of 6 mm: all of it, and (6/(r + 3))^3 with 3 mm of margin."""
    geometry = TargetGeometry.from_mask(small.target, small.labels, "liver")
    sites = CoverageSites.of(geometry, 3.0)
    far = np.linalg.norm(small.points - np.array([8.0, -5.0, 3.0]), axis=-1)
    target, either = sites.shares(Volume(far.astype(np.float32), small.labels.grid, "mm"), 6.0)
    assert target > 0.999
    volume = float(small.target.sum()) * small.labels.grid.voxel_volume_mm3
    radius = (0.75 * volume / np.pi) ** (1 / 3)  # of the ball as its voxels have it
    assert either == pytest.approx((6.0 / (radius + 3.0)) ** 3, abs=0.02)


def test_pareto_front_keeps_what_nothing_beats() -> None:
    tool = Tool(applicator("cryo-17g-seed"), Schedule.freeze_thaw_freeze())
    needle = Needle((0.0, 0.0, 0.0), (0.0, -80.0, 0.0))

    def layout(count: int, healthy: float, margin: float) -> Layout:
        places = (Placement(needle, tool.applicator),) * count
        return Layout(places, (), tool, 0, margin, 1.0, 1.0, healthy, 0.0)

    few, lean, beaten = layout(2, 30.0, 5.0), layout(3, 20.0, 5.0), layout(3, 31.0, 4.9)
    assert pareto_front([few, lean, beaten]) == [few, lean]


def test_an_edit_agrees_with_a_new_simulation(small: Scene, planned: PlannedCase) -> None:
    geometry = TargetGeometry.from_mask(small.target, planned.labels, "liver")
    editor = PlanEditor(planned.plan, planned.labels, geometry, result=planned.result)
    before = editor.current
    assert before.exact
    assert before.minimal_margin_mm == pytest.approx(
        planned.evaluation.minimal_margin_mm, abs=0.15
    )  # fewer points of the surface
    x, y, z = planned.plan.placements[0].needle.tip_mm
    moved = editor.move_tip(1, (x + 2.0, y, z))
    assert not moved.exact
    settled = editor.settle()
    assert settled.exact
    # EDIT_ERROR_MM of the edit session, and the same interpolation on both sides.
    assert moved.minimal_margin_mm == pytest.approx(settled.minimal_margin_mm, abs=0.3)
    assert moved.margin_share == pytest.approx(settled.margin_share, abs=0.02)


def test_parts_of_a_target(small: Scene) -> None:
    other = np.linalg.norm(small.points - [-20.0, 0.0, 0.0], axis=-1) < 4.0
    both = small.target | other
    assert np.array_equal(component_of(both, 1, small.labels.grid), small.target)
    assert np.array_equal(component_of(both, 2, small.labels.grid), other)
    with pytest.raises(InputError, match="1 to 2"):
        component_of(both, 3, small.labels.grid)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"modality": "laser"}, "cryo"),
        ({"modality": "mwa", "applicator": "cryo-17g-seed"}, "mwa"),
        ({"modality": "mwa", "probes": 4}, "1 to 3 for mwa"),
        ({"modality": "ire", "probes": 1}, "2 to 6 for ire"),
        ({"modality": "ire", "schedule": Schedule.constant_power(50.0, 5.0)}, "90 pulses"),
        ({"modality": "mwa", "schedule": Schedule.constant_power(500.0, 5.0)}, "at most 100 W"),
        ({"objective": "cheapest"}, "fewest"),
        ({"alternatives": 0}, "1 to 6"),
        ({"uncertainty": "guess"}, "robot"),
        ({"modality": "cryo", "schedule": Schedule.constant_power(50.0, 5.0)}, "freeze"),
        ({"lethal": LethalRule(cycles=3)}, "at least 3"),
    ],
)
def test_contradictions_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        PlanOptions(**options)  # type: ignore[arg-type]


def test_only_tools_that_take_the_power() -> None:
    """Of 65 and 100 W antennas the stronger one is left at 90 W."""
    tools = modality("mwa", schedule=Schedule.constant_power(90.0, 5.0)).tools
    assert [t.applicator.name for t in tools] == ["mwa-14g-cooled-2450"]


def test_target_in_gas_is_named(small: Scene) -> None:
    gassy = small.with_structure("gas", small.target)
    with pytest.raises(InputError, match="in gas"):
        plan_case(image(gassy), gassy.labels, gassy.target, options=PlanOptions(rules=PathRules()))
