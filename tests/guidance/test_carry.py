"""A plan carried over: the tip goes with the organ, the entry with the wall it slides along."""

from __future__ import annotations

import numpy as np

from irplan.geometry import Grid
from irplan.guidance.carry import carry_plan
from irplan.planning.case import PlannedCase
from irplan.registration import (
    Displacement,
    PointMap,
    QualityReport,
    Registration,
    RegistrationOptions,
    RigidTransform,
)


def test_the_tip_goes_with_the_organ_and_the_entry_with_the_wall(case: PlannedCase) -> None:
    middle = np.array(case.plan.target.centroid_mm)
    grid = Grid.from_spacing((40, 40, 40), (4.0, 4.0, 4.0), (middle - 78.0).tolist())
    shift, breath = np.array([4.0, -3.0, 10.0]), np.array([0.0, 2.0, -12.0])
    wall = RigidTransform.from_rotation(np.eye(3), shift)
    field = np.broadcast_to(breath.astype(np.float32), (*grid.shape, 3)).copy()
    there = Grid(grid.shape, grid.affine, "1.2.3")
    made = Registration(
        PointMap(wall, Displacement(field, grid)), wall, QualityReport(()), (grid, there),
        RegistrationOptions(), "search", "0", (),
    )  # fmt: skip
    carried = carry_plan(case.plan, made, who="test", when="2026-01-01T00:00:00Z")
    for old, new in zip(case.plan.placements, carried.placements, strict=True):
        np.testing.assert_allclose(
            np.subtract(new.needle.tip_mm, old.needle.tip_mm), shift + breath, atol=1e-5
        )
        np.testing.assert_allclose(
            np.subtract(new.needle.entry_mm, old.needle.entry_mm), shift, atol=1e-9
        )
    assert carried.frame_of_reference_uid == "1.2.3"
    assert carried.review.state == "draft"
