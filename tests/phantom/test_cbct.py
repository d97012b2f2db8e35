"""Cone-beam simulator against closed forms: line integrals, metal, weights, water."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.errors import InputError
from irplan.geometry import Grid, Needle
from irplan.image import Volume
from irplan.phantom.cbct import simulate_cbct
from irplan.phantom.cbct_fdk import short_scan_weights
from irplan.phantom.cbct_projections import RayGeometry, line_integrals, metal_lengths
from irplan.phantom.cbct_system import IDEAL, CbctSystem
from irplan.phantom.metal import MetalNeedle, MetalWire, point_masses

SYSTEM = CbctSystem(detector_shape=(60, 96), pixel_mm=3.0, views=60)
CENTRE = (10.0, -5.0, 3.0)


def _ball(spacing: float, radius: float) -> Volume:
    n = int(2 * radius / spacing) + 10
    origin = np.array(CENTRE) - 0.5 * spacing * (n - 1)
    grid = Grid.from_spacing((n, n, n), (spacing,) * 3, origin.tolist())
    share = np.zeros(grid.shape, dtype=np.float32)
    axis = (np.arange(n) - 0.5 * (n - 1)) * spacing
    for shift in np.ndindex(3, 3, 3):
        z, y, x = ((axis + (s - 1) * spacing / 3.0) for s in shift)
        share += (z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 < radius**2) / 27.0
    return Volume((1000.0 * share - 1000.0).astype(np.float32), grid, "HU")


def test_line_integrals_of_a_ball_are_its_chords() -> None:
    radius = 50.0
    ball = _ball(1.5, radius)
    density = 1.0 + np.asarray(ball.array) / 1000.0
    poses = SYSTEM.poses(CENTRE)[::13]
    rays = RayGeometry.from_poses(poses)
    got = line_integrals(density, density, ball.grid, rays)
    np.testing.assert_array_equal(got[0], got[1])
    v, u = np.meshgrid(np.arange(60.0), np.arange(96.0), indexing="ij")
    for k, pose in enumerate(poses):
        d = pose.rays(np.stack([u, v], axis=-1))
        to = np.array(CENTRE) - pose.source_mm
        along = d @ to
        chord = 2.0 * np.sqrt(np.maximum(0.0, radius**2 - (to @ to - along**2)))
        # voxels of 1.5 mm stand for the surface: within half a voxel in the mean, more at the rim
        inner = chord > 40.0
        assert np.abs(got[0, k] - chord)[inner].max() < 1.0
        assert abs(float((got[0, k] - chord).mean())) < 0.02


def test_metal_is_exact_along_and_across_a_needle() -> None:
    needle = MetalNeedle(
        Needle((10.0, -5.0, 3.0), (10.0, -5.0, 43.0)), 4.0, tip_length_mm=0.0, outside_mm=0.0
    )
    fine = CbctSystem(detector_shape=(301, 301), pixel_mm=0.5, views=60)
    rays = RayGeometry.from_poses(fine.poses(CENTRE)[:1])
    lengths = metal_lengths([needle], rays)["steel"][0]
    # through the middle of the shaft: its diameter (times the slant), 2 pixels' mean lowers it
    assert lengths[100, 150] == pytest.approx(4.0, rel=0.01)
    # all of it: volume = sum of lengths x pixel area / magnification^2 (thin, near the isocentre)
    area = (0.5 * 785.0 / 1200.0) ** 2
    assert lengths.sum() * area == pytest.approx(np.pi * 4.0 * 40.0, rel=0.02)
    assert np.argwhere(lengths > 0)[:, 0].max() == 150  # the tip lies at the isocentre


def test_point_masses_keep_the_volume_of_cone_and_cylinder() -> None:
    needle = MetalNeedle(Needle((0, 0, 0), (0, 0, 50)), 2.0, tip_length_mm=3.0, outside_mm=10.0)
    points, volumes = point_masses(needle.cylinders, 0.3)
    exact = np.pi * (57.0 + 3.0 / 3.0)
    assert volumes.sum() == pytest.approx(exact, rel=1e-9)
    centre = (volumes @ points) / volumes.sum()
    assert centre[2] == pytest.approx((57.0 * 31.5 + 1.0 * 2.25) / 58.0, abs=0.01)


def test_a_ray_and_its_opposite_weigh_one() -> None:
    u = (np.arange(96) - 47.5) * 3.0 * 785.0 / 1200.0
    system = CbctSystem(detector_shape=(60, 96), pixel_mm=3.0, views=2000)
    weights = short_scan_weights(system, u)
    gamma = np.arctan(u / 785.0)
    step = np.radians(system.arc_deg) / 2000
    for view in (0, 100, 250, 400):
        for column in (5, 48, 90):
            beta = (view + 0.5) * step
            other = beta + np.pi + 2.0 * gamma[column]
            k = other / step - 0.5
            if 0 <= k < 1999:
                opposite = np.interp(k, np.arange(2000), weights[:, 95 - column])
                assert weights[view, column] + opposite == pytest.approx(1.0, abs=0.01)


def test_water_is_zero_and_air_is_minus_thousand() -> None:
    scan = simulate_cbct(
        _ball(2.0, 45.0), isocentre_mm=CENTRE, physics=IDEAL, voxel_mm=3.0,
        system=CbctSystem(detector_shape=(60, 96), pixel_mm=3.0, views=120),
    )  # fmt: skip
    grid = scan.volume.grid
    z, y, x = np.indices(grid.shape)
    points = grid.index_to_lps(np.stack([z, y, x], axis=-1))
    r = np.linalg.norm(points - np.array(CENTRE), axis=-1)
    water = scan.volume.array[(r < 35.0) & scan.inside]
    air = scan.volume.array[(r > 60.0) & scan.inside & (np.abs(points[..., 2] - 3.0) < 20.0)]
    assert abs(float(water.mean())) < 5.0
    assert abs(float(air.mean()) + 1000.0) < 5.0
    assert (scan.volume.array[~scan.inside] == -1024).all()


def test_bad_settings_are_named() -> None:
    ball = _ball(3.0, 45.0)
    with pytest.raises(InputError, match="arc_deg"):
        CbctSystem(arc_deg=185.0)
    with pytest.raises(InputError, match="isocentre"):
        simulate_cbct(ball, isocentre_mm=(500.0, 0.0, 0.0))
    with pytest.raises(InputError, match="shift_mm"):
        simulate_cbct(ball, shift_mm=np.zeros((3, 3)))
    with pytest.raises(InputError, match="points_mm"):
        MetalWire(((0.0, 0.0, 0.0),))
