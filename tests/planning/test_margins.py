"""Margins against closed form: balls and ellipsoids in smooth fields, 1 mm voxels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from irplan.errors import InputError
from irplan.geometry import Grid
from irplan.image import LabelMap, Volume, structure
from irplan.planning import TargetGeometry, measure_margins
from irplan.planning.surfaces import SurfaceDistance, level_surface, mask_surface

Z = np.array([0.0, 0.0, 1.0])
GRID = Grid.from_spacing((56, 56, 56), (1.0, 1.0, 1.0))
POINTS = GRID.index_to_lps(np.moveaxis(np.indices(GRID.shape), 0, -1))


def ball_field(centre: NDArray[np.float64], radius: float) -> Volume:
    """-20 degC on the ball's surface, about 5 degC a mm there, steeper inside, as in real ice."""
    d = np.linalg.norm(POINTS - centre, axis=-1) - radius
    return Volume(
        (-20.0 + d * (5.0 - 0.12 * d)).clip(-150.0, 37.0).astype(np.float32), GRID, "degC"
    )


def geometry(mask: NDArray[np.bool_], liver: NDArray[np.bool_] | None = None) -> TargetGeometry:
    inside = np.ones(GRID.shape, bool) if liver is None else liver
    labels = LabelMap.from_masks(
        GRID, [(structure("body"), np.ones(GRID.shape, bool)), (structure("liver"), inside)]
    )
    return TargetGeometry.from_mask(mask, labels, "liver")


def measure(field: Volume, target: TargetGeometry, goal: float = 5.0):  # type: ignore[no-untyped-def]
    return measure_margins(field, -20.0, target, margin_goal_mm=goal, subcapsular_mm=5.0)


@pytest.mark.parametrize("seed", range(6))
def test_eccentric_balls(seed: int) -> None:
    rng = np.random.default_rng(seed)
    centre = 27.0 + rng.uniform(0.0, 1.0, 3)
    way = rng.normal(size=3)
    shift = rng.uniform(1.0, 4.0) * way / np.linalg.norm(way)
    radius = rng.uniform(6.0, 9.0)
    zone = radius + rng.uniform(3.0, 7.0)
    mask = np.linalg.norm(POINTS - centre, axis=-1) <= radius
    report = measure(ball_field(centre + shift, zone), geometry(mask))
    # Half a voxel of the *mask* is not known to anyone: .1 mm is a fifth of that.
    assert report.minimal_mm == pytest.approx(zone - np.linalg.norm(shift) - radius, abs=0.1)
    want = centre - radius * shift / np.linalg.norm(shift)
    assert np.linalg.norm(np.array(report.minimal_at_mm) - want) < 5.0
    assert report.target_coverage == pytest.approx(1.0 if report.minimal_mm > 0 else 0.98, abs=0.02)


def test_ellipsoid_in_a_ball() -> None:
    centre, axes = np.array([27.3, 27.6, 27.2]), np.array([9.0, 7.0, 6.0])
    mask = np.sum(((POINTS - centre) / axes) ** 2, axis=-1) <= 1.0
    shift = np.array([1.0, -1.5, 0.5])
    report = measure(ball_field(centre + shift, 14.0), geometry(mask))

    def gap(angles: NDArray[np.float64]) -> float:
        u, v = angles
        p = axes * np.array([np.cos(u) * np.cos(v), np.sin(u) * np.cos(v), np.sin(v)])
        return 14.0 - float(np.linalg.norm(p - shift))

    starts = [(u, v) for u in np.arange(0, 6.3, 0.5) for v in np.arange(-1.5, 1.6, 0.5)]
    want = min(float(minimize(gap, s, method="Nelder-Mead").fun) for s in starts)
    assert report.minimal_mm == pytest.approx(want, abs=0.15)


def test_zone_smaller_than_the_target_is_negative() -> None:
    centre = np.array([27.4, 27.1, 27.8])
    mask = np.linalg.norm(POINTS - centre, axis=-1) <= 8.0
    report = measure(ball_field(centre, 7.0), geometry(mask))
    assert report.minimal_mm == pytest.approx(-1.0, abs=0.15)
    assert report.target_coverage == pytest.approx((7.0 / 8.0) ** 3, abs=0.005)
    assert report.margin_coverage == pytest.approx((7.0 / 13.0) ** 3, abs=0.005)
    assert max(report.shell_coverage.values()) < 0.01


def test_shells_closed_form() -> None:
    centre = np.array([27.4, 27.1, 27.8])
    mask = np.linalg.norm(POINTS - centre, axis=-1) <= 8.0
    report = measure(ball_field(centre, 12.0), geometry(mask))
    for shell, share in report.shell_coverage.items():
        outer = (8.0 + shell) ** 3 - 8.0**3
        want = min(1.0, (12.0**3 - 8.0**3) / outer)
        assert share == pytest.approx(want, abs=0.015), shell
    assert report.histogram_fraction.sum() == pytest.approx(1.0)
    assert report.histogram_fraction[13:15].sum() > 0.99  # all of it between 3 and 5 mm


def test_shell_outside_the_organ_is_not_counted_and_capsule_is_left_out() -> None:
    # Liver below x = 31 mm; the target's edge is 2 mm from the capsule; the zone ends there too.
    centre = np.array([21.0, 27.5, 27.5])
    mask = np.linalg.norm(POINTS - centre, axis=-1) <= 8.0
    liver = POINTS[..., 0] <= 31.0
    zone = ball_field(np.array([18.0, 27.5, 27.5]), 14.0)
    report = measure(zone, geometry(mask, liver))
    assert report.minimal_all_mm == pytest.approx(3.0, abs=0.15)
    assert report.minimal_mm > 3.5
    points, counted = report.surface.points_mm, report.surface.counted
    gap = 31.5 - points[:, 0]  # the capsule lies between the voxels at 31 and 32
    assert np.all(counted[gap > 5.7])
    assert not np.any(counted[gap < 4.3])
    assert 0.0 < report.counted_fraction < 1.0
    # Monte Carlo on the true shapes.
    rng = np.random.default_rng(0)
    x = centre + rng.uniform(-14, 14, (400_000, 3))
    d = np.linalg.norm(x - centre, axis=1)
    shell = (d > 8.0) & (d <= 13.0) & (x[:, 0] <= 31.5)
    want = np.mean(np.linalg.norm(x[shell] - [18.0, 27.5, 27.5], axis=1) <= 14.0)
    assert report.shell_coverage[5.0] == pytest.approx(want, abs=0.015)


def test_no_lethal_tissue_counts_from_the_probe() -> None:
    centre = np.array([27.5, 27.5, 27.5])
    mask = np.linalg.norm(POINTS - centre, axis=-1) <= 6.0
    warm = Volume(np.full(GRID.shape, 37.0, np.float32), GRID, "degC")
    axes = np.array([[centre - 10.0 * Z, centre + 10.0 * Z]])
    report = measure_margins(
        warm, -20.0, geometry(mask), margin_goal_mm=5.0, subcapsular_mm=5.0, probe_axes_mm=axes
    )
    assert not report.zone_exists
    assert report.minimal_mm == pytest.approx(-6.0, abs=0.15)
    assert report.target_coverage == 0.0


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.6, 0.6, 0.6), (2.5, 0.8, 0.8)])
def test_mask_surface_keeps_volume_and_radius(spacing: tuple[float, float, float]) -> None:
    grid = Grid.from_spacing([int(40 / s) for s in spacing], spacing)
    points = grid.index_to_lps(np.moveaxis(np.indices(grid.shape), 0, -1))
    centre = np.array([19.3, 19.8, 19.5])
    surface = mask_surface(np.linalg.norm(points - centre, axis=-1) <= 8.0, grid)
    r = np.linalg.norm(surface.points_mm - centre, axis=1)
    assert r.mean() == pytest.approx(8.0, abs=0.06)
    assert surface.area_mm2.sum() == pytest.approx(4 * np.pi * 64, rel=0.02)
    assert np.min(np.sum(surface.normals * (surface.points_mm - centre), axis=1)) > 0


def test_distance_to_surface_is_exact_between_vertices() -> None:
    centre = np.array([27.2, 27.7, 27.4])
    surface = level_surface(ball_field(centre, 10.0).array, GRID, -20.0)
    rng = np.random.default_rng(1)
    way = rng.normal(size=(300, 3))
    way /= np.linalg.norm(way, axis=1)[:, None]
    r = rng.uniform(5.0, 16.0, 300)
    got = SurfaceDistance(surface).nearest(centre + r[:, None] * way)
    # 1 mm facets of a 10 mm ball lie up to .03 mm inside it; the field's kink adds as much.
    assert np.abs(got - np.abs(r - 10.0)).max() < 0.08


def test_surface_cut_by_the_grid_is_closed() -> None:
    field = ball_field(np.array([1.0, 27.0, 27.0]), 10.0)
    surface = level_surface(field.array, GRID, -20.0)
    edges = np.sort(surface.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    assert np.all(np.unique(edges, axis=0, return_counts=True)[1] == 2)


def test_a_single_thick_voxel_has_no_surface() -> None:
    grid = Grid.from_spacing((30, 30, 30), (3.0, 1.6, 1.6))
    whole = np.ones(grid.shape, bool)
    labels = LabelMap.from_masks(grid, [(structure("body"), whole), (structure("liver"), whole)])
    one = np.zeros(grid.shape, bool)
    one[15, 15, 15] = True
    with pytest.raises(InputError, match="no surface"):
        TargetGeometry.from_mask(one, labels, "liver")
