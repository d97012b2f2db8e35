"""Achieved margins on closed forms; verdicts; needles found, missing and too many."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from irplan.errors import GridMismatchError, InputError
from irplan.geometry import Grid, Needle
from irplan.guidance.margin_verdict import judge_margin
from irplan.guidance.verification import verify
from irplan.image import LabelMap, structure
from irplan.planning import AblationPlan, evaluate_zone
from irplan.planning.case import PlannedCase


def _ball(grid: Grid, centre: object, radius: float) -> NDArray[np.bool_]:
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    out: NDArray[np.bool_] = (
        np.linalg.norm(grid.index_to_lps(index) - np.asarray(centre), axis=-1) <= radius
    )
    return out


@pytest.mark.parametrize(
    ("spacing", "offset", "zone_mm"),
    [
        ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), 17.0),
        ((1.0, 1.0, 1.0), (3.0, -2.0, 1.5), 18.0),
        ((2.0, 0.8, 0.8), (-4.0, 3.0, 0.0), 20.0),
        ((1.5, 1.0, 1.0), (0.0, 9.0, 0.0), 16.0),  # sticks out: a negative margin
        ((2.5, 0.7, 0.7), (1.0, 1.0, 4.0), 22.0),
    ],
)
def test_achieved_margin_of_two_balls(
    spacing: tuple[float, float, float],
    offset: tuple[float, float, float],
    zone_mm: float,
    case: PlannedCase,
) -> None:
    """Zone of radius R about a target of radius r, d apart: the least margin is R - r - d."""
    size = 76.0
    shape = tuple(int(size / s) for s in spacing)
    grid = Grid.from_spacing(shape, spacing, (-38.0, -38.0, -38.0))
    labels = LabelMap(np.full(grid.shape, 2, np.uint8), grid, (structure("liver"),))
    target, zone = _ball(grid, (0, 0, 0), 10.0), _ball(grid, offset, zone_mm)
    far = replace(case.plan, placements=(case.plan.placements[0],))
    judged = evaluate_zone(far, zone, labels, target, paths=case.paths[:1])
    assert judged.minimal_margin_mm == pytest.approx(
        zone_mm - 10.0 - float(np.linalg.norm(offset)), abs=0.5
    )
    verdict = judge_margin(judged, wanted_mm=5.0, error_mm=0.5)
    exact = zone_mm - 10.0 - float(np.linalg.norm(offset))
    if exact < 4.0:
        assert verdict.state == "margin short"
        # the worst place lies opposite to the zone's offset
        worst = verdict.places[0]
        assert worst.certain
        across = -np.asarray(offset) / np.linalg.norm(offset)
        assert np.array(worst.at_mm) @ across > 0.9 * 10.0
    elif exact > 6.0:
        assert verdict.state == "complete"
        assert verdict.places == ()


def test_the_error_decides(case: PlannedCase) -> None:
    least = case.evaluation.minimal_margin_mm  # 2.5 mm
    got = {
        (wanted, error): judge_margin(case.evaluation, wanted_mm=wanted, error_mm=error).state
        for wanted, error in ((least - 1, 0.5), (least + 1, 0.5), (least, 1.0), (least - 1, 3.0))
    }
    assert list(got.values()) == [
        "complete", "margin short", "not assessable", "not assessable",
    ]  # fmt: skip
    unknown = judge_margin(case.evaluation, wanted_mm=0.0, error_mm=None)
    assert unknown.state == "not assessable"
    assert "not known" in unknown.reason
    with pytest.raises(InputError, match="registration_error"):
        judge_margin(case.evaluation, wanted_mm=1.0, error_mm=-1.0)
    with pytest.raises(InputError, match="wanted_mm"):
        judge_margin(case.evaluation, wanted_mm=99.0, error_mm=1.0)


@pytest.fixture(scope="module")
def plan_of_two(case: PlannedCase) -> AblationPlan:
    first = case.plan.placements[0]
    aside = replace(
        first,
        needle=Needle(
            tuple(np.add(first.needle.tip_mm, (0, 0, 12))),
            tuple(np.add(first.needle.entry_mm, (0, 0, 12))),
        ),
    )
    return replace(case.plan, placements=(first, aside))


def test_needles_are_matched_and_the_rest_said(
    case: PlannedCase, plan_of_two: AblationPlan, handmade: ModuleType
) -> None:
    planned = [p.needle for p in plan_of_two.placements]
    off = Needle(
        tuple(np.add(planned[1].tip_mm, (0.0, 0.0, 2.0))),
        tuple(np.add(planned[1].entry_mm, (0.0, 0.0, 2.0))),
    )
    stray = Needle((60.0, 0.0, 0.0), (120.0, 0.0, 0.0))
    zone = _ball(case.labels.grid, handmade.ZONE_CENTRE, 16.0)
    done = verify(
        plan_of_two,
        [stray, off],
        case.labels,
        case.target_mask,
        zone=zone,
        registration_error_mm=1.0,
    )
    assert done.matches.missing == (0,)
    assert done.matches.extra == (0,)
    along = float(
        planned[1].direction[2]
    )  # of the 2 mm to the head, this share is along the needle
    error = done.matches.pairs[0].error
    assert error.lateral_mm == pytest.approx(2.0 * np.sqrt(1.0 - along**2), abs=1e-6)
    assert error.depth_mm == pytest.approx(2.0 * along, abs=1e-6)
    assert any("Planned and not found: needle 1" in m for m in done.messages)
    assert any("Found and not planned: needle 1" in m for m in done.messages)
    assert done.achieved is not None
    assert [p.status for p in done.achieved.placements] == ["achieved"]
    assert [p.status for p in done.plan.placements] == ["planned", "planned"]
    # one needle of two, 14 mm off: its own simulated zone leaves the target bare
    assert done.simulated_verdict.state == "margin short"
    # the zone seen: 16 - 10 - 3.1 = 2.9 mm, wanted 5 with an error of 1
    exact = 16.0 - 10.0 - float(np.linalg.norm(handmade.OFFSET_MM))
    assert done.seen_verdict.minimal_mm == pytest.approx(exact, abs=0.5)
    assert done.seen_verdict.state == "margin short"


def test_a_registration_that_failed_leaves_nothing_assessable(
    case: PlannedCase, handmade: ModuleType
) -> None:
    zone = _ball(case.labels.grid, handmade.ZONE_CENTRE, 30.0)
    plan = case.plan
    for given in (
        {"registration_failed": "the overlap of the livers is 41 %", "registration_error_mm": 1.0},
        {"registration_error_mm": 25.0},
        {},
    ):
        done = verify(plan, [], case.labels, case.target_mask, zone=zone, **given)  # type: ignore[arg-type]
        assert done.seen_verdict.state == "not assessable"
        assert done.seen is not None
    assert done.simulated is None
    assert done.simulated_verdict.state == "not assessable"
    assert "no planned needle" in done.simulated_verdict.reason
    good = verify(plan, [], case.labels, case.target_mask, zone=zone, registration_error_mm=1.0)
    assert good.seen_verdict.state == "complete"


def test_nothing_to_verify_is_said(case: PlannedCase) -> None:
    with pytest.raises(InputError, match="no needle in view"):
        verify(case.plan, [], case.labels, case.target_mask)
    with pytest.raises(GridMismatchError, match="zone"):
        verify(case.plan, [], case.labels, case.target_mask, zone=np.ones((3, 3, 3), bool))
    with pytest.raises(InputError, match="needle_error"):
        verify(
            case.plan, [], case.labels, case.target_mask, zone=case.target_mask.astype(bool),
            needle_error_mm=-1.0,
        )  # fmt: skip
