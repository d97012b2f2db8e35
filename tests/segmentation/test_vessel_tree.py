"""Centrelines of drawn tubes, and clicks that part two trees that touch."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.errors import InputError
from irplan.geometry import Grid
from irplan.segmentation import VesselClick, assign_vessels
from irplan.segmentation.vessel_tree import find_vessel_tree

GRID = Grid.from_spacing((50, 60, 90), (1.0, 1.0, 1.0))
Z, Y, X = np.moveaxis(GRID.index_to_lps(np.moveaxis(np.indices(GRID.shape), 0, -1)), -1, 0)[::-1]


def _tube(y: float, z: float, radius: float) -> np.ndarray:
    # Off the voxels' own symmetry, as real vessels are.
    y, z = y + 0.31 + 0.02 * (X - 45), z + 0.17
    return ((Y - y) ** 2 + (Z - z) ** 2 <= radius**2) & (X > 5) & (X < 85)


def test_a_straight_tube_has_its_axis_and_radius():
    tree = find_vessel_tree(_tube(30.0, 25.0, 4.0), GRID)
    middle = (tree.points_mm[:, 0] > 15) & (tree.points_mm[:, 0] < 75)
    x, y, z = tree.points_mm[middle].T
    # Thinning takes layers off one side after the other: at most one voxel (0.8 mm) off the axis.
    np.testing.assert_allclose(y, 30.31 + 0.02 * (x - 45.0), atol=0.8)
    np.testing.assert_allclose(z, 25.17, atol=0.8)
    # Depth is counted in whole voxels: half a voxel either way.
    np.testing.assert_allclose(tree.radius_mm[middle], 4.0, atol=0.4)
    # Thinning takes about a radius off each end.
    assert len(tree.points_mm) == pytest.approx((80 - 2 * 4) / 0.8, rel=0.15)


def test_trees_that_touch_are_cut_at_the_thin_bridge():
    portal, hepatic = _tube(18.0, 25.0, 4.0), _tube(42.0, 25.0, 4.0)
    bridge = ((X - 60) ** 2 + (Z - 25) ** 2 <= 1.5**2) & (Y > 18) & (Y < 42)
    found = assign_vessels(
        portal | hepatic | bridge,
        GRID,
        [VesselClick((10, 18, 25), "portal_vein"), VesselClick((10, 42, 25), "hepatic_vein")],
    )
    p, h, u = (found.mask(k) for k in ("portal_vein", "hepatic_vein", "vessel"))
    assert p[portal].mean() >= 0.98
    assert h[hepatic].mean() >= 0.98
    assert not (p & h).any()
    np.testing.assert_array_equal(p | h | u, portal | hepatic | bridge)


def test_what_no_click_reaches_stays_vessel():
    one, other = _tube(15.0, 25.0, 3.0), _tube(45.0, 25.0, 3.0)
    found = assign_vessels(one | other, GRID, [VesselClick((40, 15, 25), "artery")])
    np.testing.assert_array_equal(found.mask("vessel"), other)
    np.testing.assert_array_equal(found.mask("artery"), one)
    with pytest.raises(InputError, match="Click on that kind"):
        found.mask("portal_vein")


def test_bad_clicks_are_named():
    tube = _tube(30.0, 25.0, 4.0)
    with pytest.raises(InputError, match="none"):
        assign_vessels(tube, GRID, [])
    with pytest.raises(InputError, match="from any vessel"):
        assign_vessels(tube, GRID, [VesselClick((40, 5, 5), "artery")])
    both = [VesselClick((40, 30, 25), k) for k in ("artery", "portal_vein")]
    with pytest.raises(InputError, match="one kind a place"):
        assign_vessels(tube, GRID, both)
    with pytest.raises(InputError, match="kind"):
        VesselClick((0, 0, 0), "bile")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no voxel"):
        find_vessel_tree(np.zeros_like(tube), GRID)
