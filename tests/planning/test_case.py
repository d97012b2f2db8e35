"""The whole chain on a body of plain shapes, its needles checked by an independent march."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from irplan.ablation import LethalRule, Phase, Schedule
from irplan.ablation.segments import segment_distance_mm
from irplan.errors import GridMismatchError, InputError, PlanningError
from irplan.geometry import Grid
from irplan.image import LabelMap, Volume
from irplan.planning import PathRules, PlannedCase, PlanOptions, evaluate_plan, plan_case

from .conftest import Scene
from .slow_march import structures_met

CENTRE = (8.0, -5.0, 3.0)


def image(scene: Scene) -> Volume:
    return Volume(np.where(scene.labels.array > 0, 60, -1000).astype(np.int16), scene.labels.grid)


@pytest.fixture(scope="module")
def walled(scene: Callable[..., Scene]) -> Scene:
    """A 14 mm target in an oblique image, ribs in front, a gallbladder and a vein near it."""
    s = scene((2.5, 1.6, 1.6), oblique=True, centre=CENTRE, radius=7.0)
    p = s.points
    ribs = (np.abs(p[..., 1] + 52.0) < 3.0) & (np.mod(p[..., 2], 22.0) < 8.0)
    s = s.with_structure("bone", ribs & (s.labels.array > 0))
    vein = np.hypot(p[..., 0] + 16.0, p[..., 1] - 4.0) < 4.0
    s = s.with_structure("vessel", vein & (np.abs(p[..., 2]) < 30.0))
    return s.with_structure("gallbladder", np.linalg.norm(p - [5, 12, -30], axis=-1) < 9.0)


@pytest.fixture(scope="module")
def planned(walled: Scene) -> PlannedCase:
    return plan_case(image(walled), walled.labels, walled.target)


def test_target_and_margin_are_covered(planned: PlannedCase) -> None:
    e = planned.evaluation
    assert e.target_coverage >= 0.9995
    assert e.margin_coverage >= 0.99
    assert 1 <= len(planned.plan.placements) <= 4
    rows = {r.name: r for r in e.rows}
    assert rows["target + 5 mm in the lethal zone"].status == "ok"
    short = e.minimal_margin_mm < 5.0  # allowed on 1 % of the margin, and then said
    assert rows["minimal ablative margin"].status == ("warning" if short else "ok")
    assert any("--optimise coverage" in m for m in planned.messages) == short
    assert rows["heat balance of the simulation, residual"].status == "ok"
    assert all(r.source for r in e.rows)
    assert e.zone_volume_ml["0 degC"] > e.zone_volume_ml["lethal"] > e.zone_volume_ml["-40 degC"]


def test_margin_agrees_with_plain_voxel_counting(planned: PlannedCase) -> None:
    """Independent of the surfaces: voxels of target + 4 mm are all below the threshold."""
    lethal = planned.result.lethal_temperature(planned.plan.lethal)
    grid = lethal.grid
    points = grid.index_to_lps(np.moveaxis(np.indices(grid.shape), 0, -1))
    far = np.linalg.norm(points - np.array(CENTRE), axis=-1)
    warm = far[lethal.array > planned.plan.lethal.threshold_c].min()
    # The nearest voxel that stays warm lies where the margin ends; target radius 7 +- .3 mm.
    assert warm - 7.0 == pytest.approx(planned.evaluation.minimal_margin_mm, abs=0.9)


def test_needles_by_slow_march(planned: PlannedCase, walled: Scene) -> None:
    rules = PathRules()
    for placement, path in zip(planned.plan.placements, planned.paths, strict=True):
        assert placement.needle == path.needle
        met = structures_met(placement.needle, walled.labels)
        assert set(met) <= {"body", "liver", "outside"}
        assert met.get("outside", 0.0) < 0.3
        assert placement.needle.depth_mm <= rules.max_length.value
        # Distance by brute force over all voxels, centre to axis; the path's is to the box.
        for name, hard in (("bone", 2.0), ("gallbladder", 5.0), ("vessel", 2.0)):
            points = walled.points[walled.labels.mask(name)]
            nearest = float(placement.needle.distance_to(points).min())
            assert nearest >= hard
            assert path.clearance_mm[name] == pytest.approx(nearest, abs=1.7)
            assert path.clearance_mm[name] <= nearest + 1e-3


def test_probes_keep_their_rules(planned: PlannedCase) -> None:
    places = planned.plan.placements
    for a in range(len(places)):
        gaps = [
            segment_distance_mm(places[a].active_segment, places[b].active_segment)
            for b in range(len(places))
            if b != a
        ]
        if gaps:
            assert min(gaps) >= 10.0 - 0.01
            assert min(gaps) <= 20.0 + 0.01
        middle = np.mean(places[a].active_segment, axis=0)
        assert np.linalg.norm(middle - np.array(CENTRE)) <= 7.0 + 10.0 + 1.0


def test_same_input_same_plan(planned: PlannedCase, walled: Scene) -> None:
    again = plan_case(image(walled), walled.labels, walled.target, options=PlanOptions(seed=0))
    assert again.plan == planned.plan
    assert repr(again.plan) == repr(planned.plan)
    assert again.evaluation.rows == planned.evaluation.rows
    assert np.array_equal(again.result.minimum_c.array, planned.result.minimum_c.array)
    assert again.paths == planned.paths


def test_provenance_names_the_inputs(planned: PlannedCase) -> None:
    p = planned.plan.provenance
    assert set(p.inputs) == {"image", "labels", "target mask"}
    assert all(len(h) == 64 for h in p.inputs.values())
    assert p.options["rule.max_length"] == 150.0
    assert p.irplan_version


def test_structures_nobody_looked_for_are_not_clear(planned: PlannedCase, walled: Scene) -> None:
    keep = tuple(x for x in walled.labels.labels if x.name not in ("gallbladder", "vessel"))
    array = walled.labels.array.copy()
    array[walled.labels.mask("gallbladder", "vessel")] = walled.labels.label("liver").value
    blind = LabelMap(array, walled.labels.grid, keep)
    e = evaluate_plan(planned.plan, planned.result, blind, walled.target)
    status = {r.name: r for r in e.rows}
    for name in ("needles to gallbladder", "needles to vessel", "ice to gallbladder",
                 "target to the nearest large vessel"):  # fmt: skip
        assert status[name].status == "not_checked"
        assert status[name].value is None
        assert "not looked for" in status[name].note or "no vessel" in status[name].note
    assert "gallbladder" not in e.organ_distance_mm


def test_one_probe_too_few_says_why(walled: Scene) -> None:
    options = PlanOptions(probes=1, applicator="cryo-17g-seed", margin_mm=10.0)
    case = plan_case(image(walled), walled.labels, walled.target, options=options)
    assert len(case.plan.placements) == 1
    assert case.plan.placements[0].applicator.name == "cryo-17g-seed"
    row = case.evaluation.rows[0]
    assert row.status in ("warning", "error")
    assert "short of the goal" in row.note
    assert "degC" in row.note
    assert any("not met" in m for m in case.messages)


def test_ice_distance_closed_form(planned: PlannedCase) -> None:
    coldest = planned.result.minimum_c
    points = coldest.grid.index_to_lps(np.moveaxis(np.indices(coldest.grid.shape), 0, -1))
    ice = points[coldest.array <= 0.0]
    gall = np.array([5.0, 12.0, -30.0])
    want = np.linalg.norm(ice - gall, axis=1).min() - 9.0
    if want > 0.0:
        got = planned.evaluation.organ_distance_mm["gallbladder"]
        assert got == pytest.approx(want, abs=1.6)  # voxels of 2.5 mm


def test_messages_on_odd_targets(scene: Callable[..., Scene]) -> None:
    from irplan.planning.target import check_target

    s = scene()
    two = s.target | (np.linalg.norm(s.points - [25, 0, 0], axis=-1) < 5)
    assert any("2 separate parts" in m for m in check_target(s.labels, two))
    skin = (np.linalg.norm(s.points - [0, -56, 0], axis=-1) < 5) & (s.labels.array > 0)
    assert any("touches the skin" in m for m in check_target(s.labels, skin))
    assert check_target(s.labels, s.target) == ()


def test_target_outside_any_organ_is_told(scene: Callable[..., Scene]) -> None:
    s = scene()
    target = np.linalg.norm(s.points - [62, 0, 0], axis=-1) < 6
    case = plan_case(image(s), s.labels, target, options=PlanOptions(probes=1, margin_mm=0.0))
    assert any("No segmented organ" in m for m in case.messages)
    rows = {r.name: r for r in case.evaluation.rows}
    assert rows["needle 1: angle to the capsule"].status == "not_checked"


def test_no_room_for_so_many_probes(scene: Callable[..., Scene]) -> None:
    s = scene(radius=3.0)
    tight = PathRules().with_values(max_edge_distance=0.5)
    with pytest.raises(PlanningError, match="probes"):
        plan_case(image(s), s.labels, s.target, options=PlanOptions(probes=6, rules=tight))


def test_other_grids_are_refused(walled: Scene) -> None:
    other = Grid.from_spacing(walled.labels.grid.shape, (2.0, 2.0, 2.0))
    volume = Volume(np.zeros(other.shape, np.int16), other)
    with pytest.raises(GridMismatchError, match="labels"):
        plan_case(volume, walled.labels, walled.target)


@pytest.mark.parametrize(
    "change",
    [
        {"margin_mm": -1.0},
        {"margin_mm": float("nan")},
        {"probes": 0},
        {"probes": 99},
        {"applicator": "spoon"},
        {"schedule": Schedule((Phase("freeze", 600.0),))},
    ],
)
def test_bad_options(change: dict[str, object]) -> None:
    with pytest.raises(InputError):
        replace(PlanOptions(), **change)  # type: ignore[arg-type]
    assert (
        PlanOptions(
            schedule=Schedule((Phase("freeze", 600.0),)), lethal=LethalRule(cycles=1)
        ).applicator
        == "auto"
    )
