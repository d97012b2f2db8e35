"""A layout whose ice reaches an organ is moved until it does not, and still covers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.planning import planner_of
from benchmarks.planning_cases import Case
from irplan.ablation import CryoResult
from irplan.image import Volume
from irplan.planning import PlanOptions
from irplan.planning.case import plan_case
from irplan.planning.ice_distance import ice_distances
from irplan.planning.optimise import CoverSearch
from irplan.planning.sparing import spared

from .conftest import Scene

CENTRE = (8.0, -5.0, 3.0)


def test_a_layout_leaves_an_organ_that_its_ice_reached(scene: Callable[..., Scene]) -> None:
    plain = scene((2.0, 2.0, 2.0), centre=CENTRE, radius=5.0)
    ct = Volume(np.where(plain.labels.array > 0, 60, -1000).astype(np.int16), plain.labels.grid)
    options = PlanOptions(margin_mm=3.0)
    first = plan_case(ct, plain.labels, plain.target, options=options)
    # A lung from 3 mm inside the farthest ice to the patient's left.
    cold = first.result.minimum_c
    frozen = cold.grid.index_to_lps(np.argwhere(np.asarray(cold.array) <= 0.0))
    reach = float((frozen[:, 0] - CENTRE[0]).max())
    left = plain.points[..., 0] - CENTRE[0]
    near = np.linalg.norm(plain.points - np.array(CENTRE), axis=-1) < 30.0
    made = plain.with_structure("lung", (left > reach - 3.0) & near)
    assert ice_distances(cold, made.labels, ("lung",))["lung"].distance_mm < -2.0

    planner = planner_of(Case("sphere", ct, made.labels, made.target), options)
    tool = next(
        t for t in planner.modality.tools if t.applicator == first.plan.placements[0].applicator
    )
    search = CoverSearch(planner, None)
    layout, _ = planner.simulated(first.plan.placements, first.paths, tool, 0, None)
    before = planner.confirm(layout)
    assert before.covered
    assert before.harm > 1.0
    after = spared(search, before, len(first.plan.placements))
    assert after.covered
    assert after.layout.count == before.layout.count
    assert after.harm < before.harm
    assert isinstance(after.result, CryoResult)
    found = ice_distances(after.result.minimum_c, made.labels, ("lung",))["lung"]
    assert found.distance_mm > 0.0  # -3.1 mm before
