"""Probability of coverage by heat and electroporation, against full physics and closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rice

from irplan.ablation import (
    AblationProblem,
    AblationResult,
    LethalRule,
    Placement,
    Schedule,
    applicator,
)
from irplan.geometry import Grid, Needle
from irplan.image import LabelMap, structure
from irplan.planning.margins import TargetGeometry, measure_margins
from irplan.planning.modality import modality
from irplan.planning.plan import AblationPlan, Provenance, Target
from irplan.planning.robustness import coverage_probability
from irplan.planning.robustness_sampling import Normals, moved_needles, too_close
from irplan.planning.robustness_uncertainty import Uncertainty, preset

GRID = Grid.from_spacing((64, 64, 64), (2.0,) * 3, (-63.0, -63.0, -63.0))
#: Only needles err, to the side.
SIDEWAYS = Uncertainty("sideways", lateral_mm=2.0, perfusion_factor=1.0, conductivity_factor=1.0)
CERTAIN = Uncertainty("certain", perfusion_factor=1.0, conductivity_factor=1.0)


Scene = tuple[AblationPlan, LabelMap, TargetGeometry, AblationResult, float]


def scene(name: str, places: list[tuple[float, float]], radius: float, schedule: Schedule) -> Scene:
    """Parallel applicators along z through uniform liver round a ball; the margin they leave."""
    points = GRID.index_to_lps(np.moveaxis(np.indices(GRID.shape), 0, -1))
    whole = np.ones(GRID.shape, bool)
    labels = LabelMap.from_masks(GRID, [(structure("body"), whole), (structure("liver"), whole)])
    tool = applicator(name)
    tip = 0.5 * tool.active_length_mm + tool.tip_offset_mm
    plan = AblationPlan(
        Target((0.0, 0.0, 0.0), 4 / 3 * np.pi * radius**3 / 1000, 2 * radius, "mask"),
        tuple(Placement(Needle((x, y, tip), (x, y, -55.0)), tool) for x, y in places),
        schedule,
        1.0,
        LethalRule(),
        Provenance("test", 0),
    )
    target = TargetGeometry.from_mask(np.linalg.norm(points, axis=-1) <= radius, labels, "liver")
    way = modality(tool.kind)
    problem = AblationProblem.from_labels(
        labels, plan.placements, schedule, spacing_mm=way.search_mm
    )
    result = way.simulate(problem, search=True)
    field, level = way.zone(result, plan.placements)
    least = measure_margins(field, level, target, margin_goal_mm=1.0, subcapsular_mm=5.0).minimal_mm
    return plan, labels, target, result, least


CASES: dict[str, tuple[str, list[tuple[float, float]], float, Schedule]] = {
    "mwa": ("mwa-17g-cooled-2450", [(0.0, 0.0)], 6.0, Schedule.constant_power(40.0, 3.0)),
    "ire": ("ire-19g-20mm", [(-8.0, 0.0), (8.0, 0.0)], 5.0, Schedule.constant_power(1.0, 1.5)),
}


@pytest.mark.parametrize("kind", ["mwa", "ire"])
def test_margins_of_the_plan_and_of_moved_needles(kind: str) -> None:
    """Nothing errs: the plan's own margin.  Needles err: as full physics has it."""
    plan, labels, target, result, least = scene(*CASES[kind])
    still = coverage_probability(
        plan, labels, target, CERTAIN, result=result, samples=20, check_pairs=0
    )
    assert still.margin_quantiles_mm[0.5] == pytest.approx(least, abs=0.3)
    assert still.probability == float(least >= 1.0)
    found = coverage_probability(
        plan, labels, target, SIDEWAYS, result=result, samples=400, check_pairs=8
    )
    assert found.fast_error is not None
    assert abs(found.fast_error.bias_mm) < 0.5
    assert found.fast_error.rms_mm < 0.6
    assert {s.name for s in found.sources} == {"lateral_mm"}


def test_electroporation_leaves_the_tissue_as_it_is() -> None:
    plan, labels, target, result, _ = scene(*CASES["ire"])
    found = coverage_probability(
        plan, labels, target, preset("robot"), result=result, samples=50, check_pairs=0
    )
    assert not {s.name for s in found.sources} & {"perfusion_factor", "conductivity_factor"}


def test_needles_that_touch_are_not_covered() -> None:
    """Two rigid shifts along one line: the gap is normal, so the share below 5 mm is known."""
    antenna = applicator("mwa-17g-cooled-2450")
    two = [Placement(Needle((x, 0.0, 10.0), (x, 0.0, -55.0)), antenna) for x in (-4.0, 4.0)]
    moved = moved_needles(two, Normals.drawn(2, 4000, 1), SIDEWAYS)
    near = too_close(two, moved)
    gap = np.linalg.norm((moved.tip_mm[0] - moved.tip_mm[1])[:, :2], axis=1)  # parallel needles
    assert np.array_equal(near, gap < 5.0)
    # A Rice distribution: 8 mm between the means, sqrt(2) x 2 mm in each direction.
    assert near.mean() == pytest.approx(rice.cdf(5.0, 8.0 / 8.0**0.5, scale=8.0**0.5), abs=0.02)
