"""The distributed line source: its published radii, its weights, its limits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from irplan.ablation.line_source import effective_radius_mm, line_source
from irplan.errors import SolverError


@pytest.mark.parametrize(
    ("axis", "ratio"), [((1, 0, 0), 1.0591), ((1, 1, 0), 1.0756), ((1, 1, 1), 1.0815)]
)
def test_effective_radius_of_the_specification(axis, ratio):
    d = np.array(axis) / math.sqrt(sum(a * a for a in axis))
    for h in (0.5, 1.0, 2.0):
        assert effective_radius_mm(0.75 * h, h, d) == pytest.approx(ratio * h, abs=1e-4 * h)


def test_wide_kernel_is_the_continuum():
    """Far wider than a voxel the lattice does not matter: 2 sigma e^(-gamma / 2)."""
    wide = effective_radius_mm(5.0, 1.0, (0.0, 0.0, 1.0))
    assert wide == pytest.approx(10.0 * math.exp(-0.5 * np.euler_gamma), rel=2e-3)


def test_weights_are_a_probability_centred_on_the_needle(make_problem, make_placed, make_probe):
    centre, axis = np.array([0.3, -0.2, 0.45]), np.array([0.3, 0.5, 0.8])
    problem = make_problem(placements=(make_placed(centre, axis, make_probe(30.0)),))
    source = line_source(problem.placements[0], problem.grid)
    total = np.add.reduceat(source.weight, source.sample_ptr[:-1])
    assert total == pytest.approx(1.0, abs=1e-5)
    position = problem.grid.index_to_lps(source.voxels)[source.local]
    mean = (source.weight[:, None] * position).sum(axis=0) / total.sum()
    assert mean == pytest.approx(centre, abs=0.02)
    assert np.linalg.norm(source.axis) == pytest.approx(1.0)
    assert source.r_eff_mm > source.radius_mm
    # power of a unit drive per mm of needle = 2 pi / ln(R / r), whatever the sampling
    length = 30.0 + 2 * (0.75 * source.sigma_mm - 0.6 * source.radius_mm)
    per_mm = source.strength * (source.sample_ptr.size - 1) / length
    assert per_mm == pytest.approx(2 * math.pi / math.log(source.r_eff_mm / source.radius_mm))


def test_probe_thicker_than_the_voxel_widens_the_kernel(make_problem):
    problem = make_problem(shape=(80, 60, 60), spacing_mm=0.5)
    source = line_source(problem.placements[0], problem.grid)
    assert source.sigma_mm == pytest.approx(0.75)
    assert source.r_eff_mm > 1.3 * source.radius_mm


def test_kernel_must_lie_in_the_box(make_problem):
    problem = make_problem(shape=(32, 40, 40))
    with pytest.raises(SolverError, match="margin_mm"):
        line_source(problem.placements[0], problem.grid)
