"""Electrodes on the grid: kernels, tines, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from irplan.ablation.device import RfaDevice
from irplan.ablation.field.electrode import (
    Wire,
    check_apart,
    effective_radius_mm,
    sample_wires,
    wires_of,
)
from irplan.ablation.field.mesh import FieldMesh
from irplan.errors import InputError
from irplan.geometry import Grid

GRID = Grid.from_spacing((40, 40, 40), (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("axis", "expected"), [((1, 0, 0), 1.0591), ((1, 1, 0), 1.0756), ((1, 1, 1), 1.0815)]
)
def test_effective_radius_is_that_of_the_specification(axis, expected):
    d = np.array(axis) / np.linalg.norm(axis)
    spread = 0.75**2 * np.eye(3)
    assert effective_radius_mm(spread, np.ones(3), d) == pytest.approx(expected, abs=3e-4)


def test_effective_radius_far_above_the_voxel_is_that_of_the_continuum():
    """ln r_eff = ln 2s - gamma / 2 where the lattice is fine."""
    got = effective_radius_mm(9.0 * np.eye(3), np.ones(3), np.array((1.0, 0, 0)))
    assert got == pytest.approx(6.0 * math.exp(-0.2886078), rel=0.01)


def test_weights_sum_to_one_and_sit_on_the_wire():
    s = sample_wires([[Wire(np.array((10.2, 20, 20)), np.array((25.0, 22, 17)), 0.6)]], GRID)
    assert np.add.reduceat(s.weight, s.ptr[:-1]) == pytest.approx(np.ones(s.link_m.size), abs=1e-5)
    assert np.add.reduceat(s.near_weight, s.near_ptr[:-1]) == pytest.approx(1.0)
    middle = np.array(
        [
            np.average(s.voxel[s.local[a:b]], axis=0, weights=s.weight[a:b])
            for a, b in zip(s.ptr[:-1], s.ptr[1:], strict=True)
        ]
    )
    assert np.abs(middle - s.point_mm).max() < 0.05


def test_tines_follow_the_needle(make_field_problem):
    """A straight tine along the axis and one across: lengths and tip are kept in any pose."""
    tines = (((0.0, 0.0, 0.0), (-8.0, 0.0, 0.0)), ((0.0, 0.0, 0.0), (0.0, 6.0, 0.0), (-3, 9, 0)))
    problem = make_field_problem(
        "rfa", [((0, 0, 0), (1, 2, 2))], device=RfaDevice(tines=tines), length_mm=10.0
    )
    placement, grid = problem.placements[0], problem.grid
    wires = wires_of(placement, grid)
    lengths = [float(np.linalg.norm(w.end - w.start)) for w in wires]
    assert lengths == pytest.approx([8.0, 6.0, math.sqrt(18.0)])
    assert [w.caps for w in wires] == [(False, True), (False, False), (False, True)]
    ahead = grid.index_to_lps(wires[0].end) - np.array(placement.needle.tip_mm)
    assert ahead == pytest.approx(8.0 * placement.needle.direction)
    across = wires[1].end - wires[1].start
    assert abs(float(across @ (wires[0].end - wires[0].start))) < 1e-9


def test_outside_the_grid_is_refused():
    with pytest.raises(InputError, match=r"placements\[0\].*outside the simulated box"):
        sample_wires([[Wire(np.array((1.0, 20, 20)), np.array((20.0, 20, 20)), 0.5)]], GRID)


def test_too_thick_for_the_grid_is_refused():
    fine = Grid.from_spacing((60, 60, 60), (0.3, 0.3, 0.3))
    wire = Wire(np.array((5.0, 9, 9)), np.array((12.0, 9, 9)), 0.5)
    sample_wires([[wire]], fine)  # kernel as wide as the wire


def test_crossing_electrodes_are_refused():
    a = Wire(np.array((10.0, 20, 20)), np.array((30.0, 20, 20)), 0.5)
    b = Wire(np.array((20.0, 10, 20.8)), np.array((20.0, 30, 20.8)), 0.5)
    with pytest.raises(InputError, match=r"0\.80 mm.*more than 1\.00 mm"):
        check_apart([[a], [b]])
    check_apart([[a, b]])  # wires of one metal may touch


def test_mesh_covers_the_grid_once_and_goes_on_beyond_it():
    box = np.array([(15.0, 12, 18), (25.0, 20, 20)])
    mesh = FieldMesh.around((40, 40, 40), (1.0, 1.0, 1.0), box, reach_mm=60.0)
    for axis in range(3):
        count = np.zeros(40, int)
        for low, high, width in zip(
            mesh.low[axis], mesh.high[axis], mesh.widths[axis], strict=True
        ):
            if high - low == width:
                count[low:high] += 1
        assert np.all(count >= 1)
        start = mesh.middles[axis][0] - 0.5 * mesh.widths[axis][0]
        end = mesh.middles[axis][-1] + 0.5 * mesh.widths[axis][-1]
        assert start < box[0, axis] - 55
        assert end > box[1, axis] + 55
        assert np.all(mesh.widths[axis][mesh.cell_of[axis][mesh.core[axis]]] == 1.0)
