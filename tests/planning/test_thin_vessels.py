"""The rule on vessels of 3 mm cannot be checked on thicker slices, and the verdict says so."""

import numpy as np
import pytest

from irplan.geometry import Grid
from irplan.image import LabelMap, structure
from irplan.planning.rules import PathRules
from irplan.planning.verdicts import NearVessels, thin_vessel_rows

NEAR = NearVessels(np.inf, np.zeros((0, 3)))


@pytest.mark.parametrize(("slice_mm", "rows"), [(1.6, 0), (3.0, 0), (5.0, 1)])
def test_row_only_where_voxels_are_wider_than_the_rule(slice_mm: float, rows: int) -> None:
    grid = Grid.from_spacing((4, 4, 4), (slice_mm, 0.8, 0.8))
    labels = LabelMap(np.zeros(grid.shape, np.uint8), grid, (structure("vessel"),))
    made = thin_vessel_rows(NEAR, labels, PathRules())
    assert len(made) == rows
    assert all(r.status == "not_checked" and r.value is None and "5.0 mm" in r.note for r in made)
    assert thin_vessel_rows(None, labels, PathRules()) == []
