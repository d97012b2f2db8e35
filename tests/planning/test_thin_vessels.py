"""The rule on vessels of 3 mm cannot be checked on thicker slices, and the verdict says so."""

import numpy as np
import pytest

from irplan.geometry import Grid
from irplan.image import LabelMap, structure
from irplan.planning.rules import PathRules, looked_for
from irplan.planning.verdicts import NearVessels, thin_vessel_rows, vessel_row

NEAR = NearVessels(np.inf, np.zeros((0, 3)))


@pytest.mark.parametrize(("slice_mm", "rows"), [(1.6, 0), (3.0, 0), (5.0, 1)])
def test_row_only_where_voxels_are_wider_than_the_rule(slice_mm: float, rows: int) -> None:
    grid = Grid.from_spacing((4, 4, 4), (slice_mm, 0.8, 0.8))
    labels = LabelMap(np.zeros(grid.shape, np.uint8), grid, (structure("vessel"),))
    made = thin_vessel_rows(NEAR, labels, PathRules())
    assert len(made) == rows
    assert all(r.status == "not_checked" and r.value is None and "5.0 mm" in r.note for r in made)
    assert thin_vessel_rows(None, labels, PathRules()) == []


@pytest.mark.parametrize("name", ["vessel_in_part", "artery", "vena_cava"])
def test_vessels_seen_in_part_are_avoided_and_never_clear(name: str) -> None:
    grid = Grid.from_spacing((4, 4, 4), (1.6, 0.8, 0.8))
    labels = LabelMap(np.zeros(grid.shape, np.uint8), grid, (structure(name),))
    veins = next(o for o in PathRules().obstacles if o.name == "vessel")
    assert name in veins.structures
    assert not looked_for(veins, labels)
    whole = LabelMap(labels.array, grid, (structure("vessel"), structure(name)))
    assert looked_for(veins, whole) == (name != "vessel_in_part")


def test_a_distance_to_vessels_seen_in_part_is_not_checked() -> None:
    for distance in (np.inf, 12.0):
        row = vessel_row(NearVessels(distance, np.zeros((0, 3)), False), PathRules())
        assert row.status == "not_checked"
        assert "may be missing" in row.note
    assert vessel_row(NearVessels(1.0, np.zeros((0, 3)), False), PathRules()).status == "warning"
