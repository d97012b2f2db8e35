"""Line integrals against chords in closed form and plain NumPy sampling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from irplan.errors import CancelledError, InputError
from irplan.geometry import CArm, Grid
from irplan.image import Volume
from irplan.image.line_integrals import attenuation_per_mm, binned, line_integrals

ARM = CArm(785.0, 1200.0, (3.0, -8.0, 20.0), 30.0, -15.0, (60, 80), (4.0, 4.0))


def test_a_ball_casts_its_chord() -> None:
    """2 sqrt(R^2 - q^2), q the ray's distance from the centre; R = 40 mm in 1 mm voxels."""
    centre, radius = np.array((10.0, -5.0, 15.0)), 40.0
    grid = Grid.from_spacing((100, 100, 100), (1.0, 1.0, 1.0), centre - 49.5)
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    depth = radius - np.linalg.norm(grid.index_to_lps(index) - centre, axis=-1)
    ball = np.clip(0.5 + depth, 0.0, 1.0)  # edge voxels hold their share
    got = line_integrals(ball, grid, ARM)
    pixels = np.stack(np.meshgrid(np.arange(80), np.arange(60)), axis=-1).astype(float)
    rays = ARM.rays(pixels)
    w = centre - ARM.source_mm
    q2 = np.maximum((w @ w) - (rays @ w) ** 2, 0.0)
    chord = 2.0 * np.sqrt(np.maximum(radius**2 - q2, 0.0))
    # 0.4 mm: what half a voxel's blur of the edge makes of a chord this far from the rim
    inner = q2 < (0.85 * radius) ** 2
    assert inner.sum() > 250
    assert np.abs(got - chord)[inner].max() < 0.4
    assert np.abs((got - chord)[inner].mean()) < 0.05
    assert np.all(got[q2 > (radius + 2.0) ** 2] == 0.0)


@pytest.mark.parametrize("roll", [0.0, 30.0])
def test_it_agrees_with_plain_sampling_on_a_turned_grid(roll: float) -> None:
    rng = np.random.default_rng(4)
    turn = np.array([[0.0, 0.6, 0.8], [0.0, 0.8, -0.6], [1.0, 0.0, 0.0]])
    affine = np.eye(4)
    affine[:3, :3] = turn * (3.0, 2.0, 2.5)
    if np.linalg.det(affine[:3, :3]) > 0:
        affine[:3, 2] *= -1
    affine[:3, 3] = (-30.0, 20.0, -10.0)
    grid = Grid((20, 30, 25), affine)
    field = rng.random(grid.shape).astype(np.float32)
    middle = tuple(grid.index_to_lps((np.array(grid.shape) - 1) / 2.0))
    arm = replace(
        ARM, isocentre_mm=middle, detector_roll_deg=roll, detector_shape=(7, 9),
        pixel_spacing_mm=(12.0, 11.0),
    )  # fmt: skip
    got = line_integrals(field, grid, arm, step_mm=0.05)
    expected = np.zeros_like(got)
    for r in range(7):
        for c in range(9):
            t = np.arange(500.0, 1150.0, 0.05) + 0.025
            points = arm.source_mm + t[:, None] * arm.rays([float(c), float(r)])
            index = grid.lps_to_index(points)
            inside = np.all((index >= 0) & (index <= np.array(grid.shape) - 1), axis=1)
            values = map_coordinates(field, index[inside].T, order=1, mode="nearest")
            expected[r, c] = values.sum() * 0.05
    assert expected.max() > 20.0
    assert np.abs(got - expected).max() < 0.06  # one step at each end


def test_binning_looks_at_the_same_place() -> None:
    fine = replace(ARM, detector_shape=(120, 160), pixel_spacing_mm=(2.0, 2.0))
    coarse = binned(fine, 2)
    assert (coarse.detector_shape, coarse.pixel_spacing_mm) == ((60, 80), (4.0, 4.0))
    p = (30.0, 12.0, -9.0)
    # centres of blocks of two: coarse k stands for fine 2k and 2k + 1
    assert (coarse.project(p) * 2.0 + 0.5) == pytest.approx(fine.project(p))


def test_attenuation_is_that_of_water_and_air() -> None:
    grid = Grid.from_spacing((1, 1, 4), (1.0, 1.0, 1.0))
    volume = Volume(np.array([[[0, 1000, -1000, -1024]]], np.int16), grid, "HU")
    assert attenuation_per_mm(volume).ravel() == pytest.approx([0.0193, 0.0386, 0, 0], abs=1e-8)


def test_wrong_input_and_cancel() -> None:
    grid = Grid.from_spacing((4, 5, 6), (1.0, 1.0, 1.0))
    with pytest.raises(InputError, match="field"):
        line_integrals(np.zeros((4, 5, 5)), grid, ARM)
    with pytest.raises(InputError, match="step_mm"):
        line_integrals(np.zeros((4, 5, 6)), grid, ARM, step_mm=0.0)

    def stop(fraction: float, words: str) -> None:
        raise CancelledError(words)

    with pytest.raises(CancelledError):
        line_integrals(np.zeros((4, 5, 6)), grid, ARM, progress=stop)
