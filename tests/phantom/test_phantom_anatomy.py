"""Anatomy over many seeds, vessel trees, ribs, tumour shapes, noise spectrum: the parts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from irplan.phantom.anatomy import Anatomy, draw_anatomy
from irplan.phantom.lattice import STEP_MM, Lattice, chain, ellipsoid, smooth_max
from irplan.phantom.lesion import (
    CALIBRE_MM,
    distance_to_walls,
    fibonacci,
    liver_surface,
    make_tumour,
    nearest_distance,
    place_tumours,
)
from irplan.phantom.liver import spline_volume_ml
from irplan.phantom.noise import KERNEL_HALF_FREQUENCY_PER_MM, correlated_noise
from irplan.phantom.result import TumourSpec
from irplan.phantom.tree import VesselTree
from irplan.phantom.vessels import tube

SEEDS = range(40, 52)


@pytest.fixture(scope="module")
def patients() -> list[Anatomy]:
    return [draw_anatomy(s) for s in SEEDS]


def test_liver_volumes_and_variability(patients: list[Anatomy]) -> None:
    ml = np.array([p.liver.volume_ml for p in patients])
    assert ml.min() > 1100
    assert ml.max() < 2000
    assert ml.std() > 80
    left = [float(p.lattice.x[np.nonzero(p.liver.field < 0)[2].max()]) for p in patients]
    right = [float(p.lattice.x[np.nonzero(p.liver.field < 0)[2].min()]) for p in patients]
    assert min(left) > 20  # the left lobe crosses the midline in everyone
    assert max(right) < -95
    assert np.std(left) > 4
    width = [p.body.half_width for p in patients]
    assert np.std(width) > 3


def test_liver_is_one_piece_and_mostly_right(patients: list[Anatomy]) -> None:
    for p in patients:
        inside = p.liver.field < 0
        parts, count = ndimage.label(inside)
        assert np.bincount(parts.reshape(-1))[1:].max() > 0.995 * inside.sum(), count
        x = p.lattice.x[np.nonzero(inside)[2]]
        assert 0.7 < float((x < 0).mean()) < 0.98


def roots(tree: VesselTree) -> np.ndarray:
    return np.flatnonzero(tree.parent < 0)


def test_trees_are_connected_tapered_and_obey_murray(patients: list[Anatomy]) -> None:
    for p in patients[:6]:
        vessels = p.liver_vessels
        assert len(vessels.portal.radius) > 250
        assert sum(len(t.radius) for t in vessels.hepatic) > 180
        for tree in (vessels.portal, *vessels.hepatic):
            assert len(roots(tree)) == 1
            has = tree.parent >= 0
            gap = np.linalg.norm(tree.start[has] - tree.end[tree.parent[has]], axis=1)
            assert gap.max() < 1e-9  # every branch starts where its parent ends
            assert np.all(tree.radius[has] <= tree.radius[tree.parent[has]] + 1e-12)
            cubes = np.zeros(len(tree.radius))
            np.add.at(cubes, tree.parent[has], tree.radius[has] ** 3)
            inner = cubes > 0
            assert np.allclose(cubes[inner], tree.radius[inner] ** 3, rtol=1e-9)
        assert 0.8 < vessels.portal.radius.min() < 1.6


def test_trees_fill_the_liver(patients: list[Anatomy]) -> None:
    for p in patients[:4]:
        inside = np.argwhere(p.liver.field < -8.0)[::7]
        at = np.column_stack(
            [p.lattice.x[inside[:, 2]], p.lattice.y[inside[:, 1]], p.lattice.z[inside[:, 0]]]
        )
        gap = distance_to_walls(at.astype(float), p.liver_vessels.walls(0.0))
        assert np.quantile(gap, 0.95) < 16.0
        assert np.median(gap) < 8.0


def test_tree_runs_inside_the_liver(patients: list[Anatomy]) -> None:
    for p in patients[:4]:
        for tree in (p.liver_vessels.portal, *p.liver_vessels.hepatic):
            depth = p.lattice.sample(p.liver.field, tree.end)
            assert np.mean(depth < 0.0) > 0.99


def test_painted_portal_tree_is_one_26_connected_piece() -> None:
    from irplan.phantom import abdominal_ct

    p = abdominal_ct(4, spacing_mm=(1.5, 0.9, 0.9), noise_hu=0.0, tumours=())
    parts, _ = ndimage.label(p.labels.mask("portal_vein"), np.ones((3, 3, 3)))
    sizes = np.bincount(parts.reshape(-1))[1:]
    # the gallbladder, painted later, may cut off a twig
    assert sizes.max() > 0.97 * sizes.sum()


def test_ribs_are_paired_curved_and_fall_forwards(patients: list[Anatomy]) -> None:
    for p in patients[:4]:
        numbers = {(r.number, r.side) for r in p.skeleton.ribs}
        assert numbers == {(n, s) for n in range(3, 13) for s in (-1, 1)}
        for rib in p.skeleton.ribs:
            back, front = rib.line[2], rib.line[-1]
            assert front[2] < back[2] - 5.0
            assert np.sign(front[0]) == rib.side
            if rib.number <= 9:
                assert front[1] < back[1] - 60.0
            # ribs run in the wall: outside the cavity, inside the skin
            inner = p.lattice.z[2] < rib.line[1:, 2]
            inner &= rib.line[1:, 2] < p.lattice.z[-3]
            at = rib.line[1:][inner]
            if len(at):
                assert p.lattice.sample(p.trunk.skin, at).max() < -4.0
                assert p.lattice.sample(p.trunk.cavity, at).min() > 0.0


def test_skeleton_stays_under_the_skin(patients: list[Anatomy]) -> None:
    for p in patients:
        for line, _ in p.skeleton.processes:
            at = line[(line[:, 2] > p.body.bottom_mm) & (line[:, 2] < p.body.top_mm)]
            if len(at):
                assert p.lattice.sample(p.trunk.skin, at).max() < -4.0


def test_organs_do_not_overlap_much(patients: list[Anatomy]) -> None:
    for p in patients[:6]:
        fields = {
            "liver": p.liver.field,
            "spleen": p.spleen,
            "left": p.left_kidney.outer,
            "right": p.right_kidney.outer,
        }
        names = list(fields)
        for i, a in enumerate(names):
            for b in names[i + 1 :]:
                both = (fields[a] < -1) & (fields[b] < -1)
                assert both.sum() * STEP_MM**3 / 1000 < 1.0, (a, b)
        gall = p.liver.gallbladder < 0
        near = ndimage.binary_dilation(p.liver.field < 0, iterations=2)
        assert (gall & near).sum() > 0.3 * gall.sum()  # it lies in its bed


@pytest.mark.parametrize("irregularity", [0.0, 0.06, 0.2])
def test_star_shape_has_its_volume(irregularity: float) -> None:
    rng = np.random.default_rng(1)
    t = make_tumour(TumourSpec(30.0, irregularity=irregularity), np.array([5.0, -3.0, 2.0]), rng)
    # independent quadrature: Monte Carlo in a box, 4e5 points -> 0.2 % standard error
    box = rng.uniform(-30, 30, (400_000, 3))
    inside = float((t.signed_distance(t.origin + box) < 0).mean()) * 60**3
    assert inside == pytest.approx(np.pi * 30**3 / 6, rel=0.01)
    r = t.radius(fibonacci(2000))
    assert float(r.std() / r.mean()) == pytest.approx(irregularity, abs=0.01)
    centre = (t.origin + box)[t.signed_distance(t.origin + box) < 0].mean(axis=0)
    assert t.centre_of_mass() == pytest.approx([5.0, -3.0, 2.0], abs=1e-9)
    assert t.centre_of_mass() == pytest.approx(centre, abs=0.15)


def test_tumour_facts_against_points_along_the_vessels(patients: list[Anatomy]) -> None:
    for p in patients[:3]:
        capsule, walls = liver_surface(p.lattice, p.liver), p.heat_sink_walls(CALIBRE_MM)
        specs = (TumourSpec(18.0), TumourSpec(25.0))
        placed = place_tumours(specs, p.lattice, p.liver, capsule, walls, np.random.default_rng(3))
        t = np.linspace(0.0, 1.0, 60)[None, :, None]
        axis = (walls[:, None, 0:3] * (1 - t) + walls[:, None, 3:6] * t).reshape(-1, 3)
        radius = (walls[:, None, 6] * (1 - t[..., 0]) + walls[:, None, 7] * t[..., 0]).reshape(-1)
        assert radius.min() >= 1.5 - 0.75  # a capsule tapers towards the calibre it starts with
        for tumour, spec in zip(placed, specs, strict=True):
            surface = tumour.surface()[::4]
            near = np.linalg.norm(axis - tumour.origin, axis=1) < 60.0
            gap = np.linalg.norm(surface[:, None] - axis[None, near], axis=2) - radius[near]
            exact = float(distance_to_walls(tumour.surface(), walls).min())
            assert float(gap.min()) == pytest.approx(exact, abs=0.3)
            # the capsule's cloud: its points lie on the B-spline's zero and leave no gap
            assert np.abs(p.lattice.sample(p.liver.field, capsule.data)).max() < 0.25
            depth = float(nearest_distance(capsule, surface).min())
            assert depth >= 8.0 - 0.5
            assert float(p.lattice.sample(p.liver.field, surface).max()) < -5.0
            assert np.pi * spec.diameter_mm**3 / 6 == pytest.approx(
                4 * np.pi / 3 * float((tumour.radius(fibonacci(20_000)) ** 3).mean()), rel=1e-3
            )


def test_distance_to_capsules_is_exact() -> None:
    walls = tube([[0, 0, 0], [10, 0, 0]], [2.0, 2.0], step_mm=20.0)
    points = np.array([[5.0, 7.0, 0.0], [-4.0, 0.0, 3.0], [5.0, 0.5, 0.0]])
    assert distance_to_walls(points, walls) == pytest.approx([5.0, 3.0, -1.5], abs=1e-6)


def test_spline_volume_of_a_ball() -> None:
    lattice = Lattice.covering((-60.0, -60.0, -60.0), (60.0, 60.0, 60.0))
    x, y, z = lattice.x[None, None, :], lattice.y[None, :, None], lattice.z[:, None, None]
    f = (np.sqrt(x * x + y * y + z * z) - 40.0).astype(np.float32)
    box = tuple(slice(2, n - 2) for n in f.shape)
    ml, area = spline_volume_ml(lattice, f, (box[0], box[1], box[2]))
    # the B-spline adds h^2/6 of the Laplacian (2/r): the radius shrinks by 0.133 mm
    assert ml == pytest.approx(4 / 3 * np.pi * (40 - 16 / 6 * 2 / 40) ** 3 / 1000, rel=0.003)
    assert area == pytest.approx(4 * np.pi * 40**2, rel=0.03)


def test_primitives_are_distances_near_their_surface() -> None:
    lattice = Lattice.covering((-80.0, -80.0, -80.0), (80.0, 80.0, 80.0))
    grid = np.meshgrid(lattice.z, lattice.y, lattice.x, indexing="ij")
    xyz = (grid[2], grid[1], grid[0])
    ball = ellipsoid(xyz, (3.0, -4.0, 5.0), (30.0, 30.0, 30.0))
    exact = np.sqrt((xyz[0] - 3) ** 2 + (xyz[1] + 4) ** 2 + (xyz[2] - 5) ** 2) - 30.0
    near = np.abs(exact) < 20
    assert np.abs(ball - exact)[near].max() < 1e-3
    rod = chain(xyz, [[-30.0, 0.0, 0.0], [0.0, 0.0, 0.0], [30.0, 0.0, 0.0]], [6.0, 6.0, 6.0])
    along = np.sqrt(np.maximum(np.abs(xyz[0]) - 30.0, 0.0) ** 2 + xyz[1] ** 2 + xyz[2] ** 2) - 6.0
    near = along < 20
    assert np.abs(rod - along)[near].max() < 1e-3
    both = smooth_max(ball, rod, 4.0)
    assert np.all(both >= np.maximum(ball, rod) - 1e-4)
    assert float((both - np.maximum(ball, rod)).max()) <= 1.0 + 1e-4


def test_noise_spectrum_is_that_of_filtered_backprojection() -> None:
    spacing = (2.5, 0.8, 0.8)
    n = correlated_noise((40, 256, 256), spacing, 12.0, np.random.default_rng(7))
    assert n.std() == pytest.approx(12.0, rel=0.01)
    assert abs(float(n.mean())) < 0.05
    lag = float((n[:, :, 1:] * n[:, :, :-1]).mean() / n.var())
    assert 0.25 < lag < 0.9  # neighbours in a row are alike
    power = (np.abs(np.fft.fft2(n)) ** 2).mean(axis=0)
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(256, 0.8), np.fft.fftfreq(256, 0.8)))
    radial = [power[(f >= a) & (f < a + 0.05)].mean() for a in np.arange(0.0, 0.6, 0.05)]
    peak = int(np.argmax(radial))
    assert 0 < peak < 8  # rises from zero frequency, falls towards Nyquist
    assert radial[0] < 0.5 * radial[peak]
    assert radial[-1] < 0.4 * radial[peak]
    # the model NPS f H(f)^2 bin by bin, 3 % statistics
    k = KERNEL_HALF_FREQUENCY_PER_MM
    model = f * np.exp(-2 * np.log(2.0) * (f / k) ** 2)
    want = [model[(f >= a) & (f < a + 0.05)].mean() for a in np.arange(0.0, 0.6, 0.05)]
    assert np.allclose(np.array(radial) / sum(radial), np.array(want) / sum(want), atol=0.01)


def test_thin_slices_share_noise_and_thick_ones_do_not() -> None:
    thin = correlated_noise((30, 128, 128), (1.0, 0.8, 0.8), 10.0, np.random.default_rng(2))
    thick = correlated_noise((30, 128, 128), (5.0, 0.8, 0.8), 10.0, np.random.default_rng(2))
    for n, low, high in ((thin, 0.3, 0.6), (thick, -0.03, 0.03)):
        lag = float((n[1:] * n[:-1]).mean() / n.var())
        assert low < lag < high
        assert n.std() == pytest.approx(10.0, rel=0.02)
    nothing = correlated_noise((3, 16, 16), (1.0, 1.0, 1.0), 0.0, np.random.default_rng(2))
    assert not nothing.any()
