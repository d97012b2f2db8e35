"""The potential's solver against closed forms, a method of moments and a direct sparse solve."""

from __future__ import annotations

import numpy as np
import pytest
from cylinder_electrode import cylinder
from scipy.ndimage import map_coordinates
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

from irplan.ablation.field.solver import Drive

ONE = Drive.monopolar([1.0])
POSES = (
    ((0.0, 0.0, 0.0), (1, 0, 0)),
    ((0.5, 0.5, 0.5), (0, 0, 1)),
    ((0.2, 0.3, 0.1), (1, 1, 0)),
    ((0.3, 0.1, 0.4), (1, 1, 1)),
    ((0.1, 0.4, 0.3), (3, 2, 1)),
)


def resistance(solver, drive=ONE, tolerance=1e-5):
    solver.assemble()
    return 1.0 / solver.solve(drive, tolerance).power_w


def mutual(length_mm, distance_mm, sigma=0.33):
    """Mutual resistance of two parallel lines of uniform current (closed form), ohm."""
    x = distance_mm / length_mm
    mean = 2.0 * (np.arcsinh(1.0 / x) - np.sqrt(1.0 + x * x) + x) / length_mm
    return 1e3 * mean / (4.0 * np.pi * sigma)


@pytest.mark.parametrize(
    ("length", "radius"), [(30.0, 0.75), (10.0, 0.75), (20.0, 0.5), (30.0, 1.0)]
)
def test_a_cylinder_has_its_resistance_in_any_pose(make_solver, length, radius):
    """Oracle: method of moments (Smythe); its own error is 0.1 %."""
    expected = cylinder(length, radius)[0] / 0.33
    got = [resistance(make_solver([(c, a, length, radius)], shape=(72, 72, 72))) for c, a in POSES]
    assert np.abs(np.array(got) / expected - 1.0).max() < 0.01
    assert (max(got) - min(got)) / expected < 0.01


def test_voxels_may_be_flat(make_solver):
    expected = cylinder(20.0, 0.75)[0] / 0.33
    got = [
        resistance(make_solver([(c, a, 20.0, 0.75)], shape=(32, 80, 80), spacing=(2.0, 0.8, 0.8)))
        for c, a in POSES
    ]
    assert np.abs(np.array(got) / expected - 1.0).max() < 0.025


def test_current_along_the_wire_is_that_of_a_conductor(make_solver):
    """More current leaves near the ends; shape from the method of moments, away from the caps."""
    _, z, share = cylinder(30.0, 0.75)
    solver = make_solver([((0, 0, 0), (0, 0, 1), 30.0, 0.75)])
    solver.assemble()
    got = solver.solve(ONE, 1e-5).sample_a / solver.samples.ds_mm
    along = (solver.samples.point_mm - solver.samples.point_mm.mean(axis=0)) @ (0, 0, 1)
    inner = np.abs(along) < 11.0
    expected = np.interp(along, z, share)
    assert got[inner] / got.dot(solver.samples.ds_mm) == pytest.approx(expected[inner], rel=0.03)


@pytest.mark.parametrize(("length", "distance"), [(20.0, 15.0), (15.0, 20.0)])
def test_a_pair_of_needles(make_solver, length, distance):
    """R = 2 (R_alone - R_mutual)."""
    half = 0.5 * distance
    solver = make_solver(
        [((0, -half, 0), (1, 0, 0), length, 0.5), ((0, half, 0), (1, 0, 0), length, 0.5)],
        boundary="dipole",
    )
    solver.assemble()
    solution = solver.solve(Drive.pair(0, 1, 1.0, 2), 1e-6)
    expected = 2.0 * (cylinder(length, 0.5)[0] / 0.33 - mutual(length, distance))
    assert 1.0 / solution.power_w == pytest.approx(expected, rel=0.01)
    assert abs(solution.currents_a.sum()) < 1e-5 * solution.currents_a[0]


@pytest.mark.parametrize("beyond", [1e-5, 0.11, 0.99])
def test_layers(make_solver, beyond):
    """A half space of another conductivity: an image of (s1 - s2) / (s1 + s2) the current."""
    solver = make_solver([((0, -8.0, 0), (0, 0, 1), 20.0, 0.75)], reach=150.0)
    plane = np.searchsorted(solver.mesh.middles[1], 31.5)  # 8 mm from the wire
    solver.sigma[1:-1, 1 + plane : -1, 1:-1] = beyond
    k = (0.33 - beyond) / (0.33 + beyond)
    expected = cylinder(20.0, 0.75)[0] / 0.33 + k * mutual(20.0, 16.0)
    assert resistance(solver) == pytest.approx(expected, rel=0.015)


def test_two_spheres(make_solver):
    """Spheres of metal of radius a, 3a apart: conductance by the images' series.

    Painted spheres (conductivity 3000 times the tissue's) fed by a needle within.
    """
    a, gap = 8.0, 24.0
    solver = make_solver(
        [((0, -0.5 * gap, 0), (1, 0, 0), 8.0, 0.75), ((0, 0.5 * gap, 0), (1, 0, 0), 8.0, 0.75)],
        shape=(80, 80, 80), core=14.0, boundary="dipole",
    )  # fmt: skip
    z, y, x = np.meshgrid(*solver.mesh.middles, indexing="ij")
    c = 39.5
    metal = np.zeros(z.shape, bool)
    for side in (-0.5, 0.5):
        metal |= (z - c) ** 2 + (y - c - side * gap) ** 2 + (x - c) ** 2 < a * a
    solver.sigma[1:-1, 1:-1, 1:-1][metal] = 1000.0
    # images of +-V/2: charges alternate and shift towards the middle
    q, x, total = 1.0, 0.0, 0.0
    for _ in range(60):
        total += q
        q, x = q * a / (gap - x), a * a / (gap - x)
    expected = 4.0 * np.pi * 0.33 * a * 1e-3 * 0.5 * total  # conductance between them, S
    solver.assemble()
    solution = solver.solve(Drive.pair(0, 1, 1.0, 2), 1e-5)
    assert solution.power_w == pytest.approx(expected, rel=0.02)


def test_against_a_direct_solve(make_solver):
    """Random conductivity with insulators on flat voxels, a floating electrode: scipy's LU."""
    solver = make_solver(
        [((0, -4, 0), (1, 0, 0), 6.0, 0.6), ((0, 4, 1), (1, 1, 0), 6.0, 0.6),
         ((3, 0, -4), (0, 1, 1), 6.0, 0.5)],
        shape=(24, 26, 22), spacing=(1.2, 1.0, 1.4), reach=0.0, core=30.0, boundary="monopole",
    )  # fmt: skip
    rng = np.random.default_rng(1)
    sigma = rng.uniform(0.05, 1.0, solver.mesh.shape).astype(np.float32)
    sigma[rng.random(sigma.shape) < 0.1] = 0.0
    solver.sigma[1:-1, 1:-1, 1:-1] = sigma
    solver.assemble()
    drive = Drive((0.5, -0.5, 0.0), ((2,),))
    solution = solver.solve(drive, 1e-6)

    n = sigma.size
    number = np.arange(n).reshape(sigma.shape)
    s64, w = sigma.astype(float), solver.mesh.widths
    rows, cols, values = [], [], []
    for axis in range(3):
        h = w[axis][0]
        area = np.prod([w[b][0] for b in range(3) if b != axis])
        low = [slice(None)] * 3
        high = [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        p, q = s64[tuple(low)], s64[tuple(high)]
        with np.errstate(invalid="ignore"):
            g = np.where(p * q > 0, 1e-3 * area / h * 2 * p * q / (p + q), 0.0).ravel()
        i, j = number[tuple(low)].ravel(), number[tuple(high)].ravel()
        rows += [i, j, i, j]
        cols += [i, j, j, i]
        values += [g, g, -g, -g]
    own = solver._finest(solver._g[3])[1:-1, 1:-1, 1:-1].astype(float).ravel()  # with lumped links
    s = solver.samples
    flat = np.ravel_multi_index(tuple(s.voxel.T), sigma.shape)
    own[flat] -= solver._lump
    rows, cols, values = (np.concatenate(a) for a in (rows, cols, values))
    weight = np.zeros((s.link_m.size, n))
    for m in range(s.link_m.size):
        part = slice(s.ptr[m], s.ptr[m + 1])
        np.add.at(weight[m], flat[s.local[part]], solver._weight[part])
    links = np.repeat(solver._link[:, None], 1, 1)
    floating = (s.electrode == 2).astype(float)
    fixed = np.choose(s.electrode, [0.5, -0.5, 0.0])
    joint = np.hstack([weight, -floating[:, None]])
    a = coo_matrix((values, (rows, cols)), (n + 1, n + 1)).tolil()
    a.setdiag(a.diagonal() + np.append(own + (own + np.bincount(rows, np.abs(values), n) == 0), 0))
    a = (a.tocsc() + coo_matrix(joint.T @ (links * joint))).tocsc()
    v = spsolve(a, joint.T @ (solver._link * fixed))
    live = sigma.ravel() > 0
    got = solver.v[1:-1, 1:-1, 1:-1].ravel()
    assert np.abs(got - v[:n])[live].max() < 2e-4
    assert solution.potentials_v[2] == pytest.approx(v[n], abs=1e-5)
    current = solver._link * (fixed + floating * v[n] - weight @ v[:n])
    assert solution.currents_a == pytest.approx(
        np.bincount(s.electrode, current), rel=1e-4, abs=1e-7
    )


def test_current_is_conserved_and_heat_is_volts_times_amperes(make_solver):
    """All current leaves through the outer faces; heat and what is dissipated beyond them is UI."""
    solver = make_solver([((0.2, 0.3, 0.1), (3, 2, 1), 20.0, 0.75)])
    rng = np.random.default_rng(2)
    solver.sigma[1:-1, 1:-1, 1:-1] *= rng.uniform(0.7, 1.3, solver.mesh.shape).astype(np.float32)
    solver.assemble()
    solution = solver.solve(ONE, 1e-6)
    leak = solver._finest(solver._g[3]).astype(float).copy().reshape(-1)
    leak[solver._cell] -= solver._lump
    v = solver.v.astype(float).reshape(-1)
    assert float(leak @ v) == pytest.approx(solution.currents_a[0], rel=1e-4)
    heat = float((solver.heat()[1:-1, 1:-1, 1:-1] * solver.mesh.volumes_mm3).sum()) * 1e-9
    assert heat + float(leak @ (v * v)) == pytest.approx(solution.power_w, rel=1e-3)


@pytest.mark.parametrize(("centre", "axis"), POSES)
def test_heat_round_a_needle_is_that_of_the_closed_form(make_solver, centre, axis):
    """I'^2 ln(r2 / r1) / (2 pi sigma) in cylinders round the middle of a long needle."""
    solver = make_solver([(centre, axis, 40.0, 0.75)], shape=(72, 72, 72))
    solver.assemble()
    solution = solver.solve(ONE, 1e-5)
    heat, volume = solver.heat()[1:-1, 1:-1, 1:-1], solver.mesh.volumes_mm3
    s = solver.samples
    d = s.axis[0]
    middle = s.point_mm.mean(axis=0)
    points = np.stack(np.meshgrid(*solver.mesh.middles, indexing="ij"), -1) - middle
    along = points @ d
    r = np.linalg.norm(points - along[..., None] * d, axis=-1)
    slab = np.abs(along) <= 8.0
    here = np.abs((s.point_mm - middle) @ d) <= 8.0
    per_mm = solution.sample_a[here].sum() / (s.ds_mm[here].sum())
    for edge in (3.0, 6.0):
        watts = float((heat * volume)[slab & (r <= edge)].sum()) * 1e-9
        expected = 1e3 * per_mm**2 * 16.0 * np.log(edge / 0.75) / (2.0 * np.pi * 0.33)
        assert watts == pytest.approx(expected, rel=0.06)  # voxels' staircase of a 3 mm cylinder


def test_error_falls_with_the_square_of_the_voxel(make_solver):
    """Potential 5 to 9 mm from a needle that keeps its kernel, at 2, 1 and 0.5 mm."""
    points = np.array([(4.0, 3.0, 0.5), (0.5, 6.0, 2.0), (-5.0, 4.0, 3.0), (3.0, -7.0, -4.0)])
    got = []
    for h in (2.0, 1.0, 0.5):
        solver = make_solver(
            [((0.0, 0.0, 0.0), (1, 1, 0), 16.0, 1.5)],
            shape=[round(40 / h)] * 3, spacing=(h, h, h), core=40.0, reach=0.0,
        )  # fmt: skip
        solver.assemble()
        solver.solve(ONE, 1e-6)
        at = (points + 0.5 * (40.0 - h)) / h + 1.0  # padded
        got.append(map_coordinates(solver.v.astype(float), at.T, order=3))
    ratio = np.abs(got[0] - got[1]).mean() / np.abs(got[1] - got[2]).mean()
    assert 3.0 < ratio < 6.0


def test_the_box_and_the_coarse_cells_do_not_matter(make_solver):
    wire = [((0.1, 0.4, 0.3), (3, 2, 1), 30.0, 0.75)]
    near, far = (resistance(make_solver(wire, reach=r)) for r in (45.0, 200.0))
    assert near == pytest.approx(far, rel=0.003)
    everywhere = resistance(make_solver(wire, core=30.0))
    assert resistance(make_solver(wire)) == pytest.approx(everywhere, rel=0.002)


def test_warm_start_costs_less(make_solver):
    solver = make_solver([((0, 0, 0), (1, 0, 0), 20.0, 0.75)])
    solver.assemble()
    cold = solver.solve(ONE, 1e-3).iterations
    solver.sigma *= 1.02
    solver.sigma[30:36] *= 0.97
    solver.assemble()
    assert solver.solve(ONE, 1e-3).iterations <= cold // 2 + 1
