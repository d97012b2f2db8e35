"""The minimum cut against exhaustive search, and supervoxels against their definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.ndimage as ndi

from irplan.errors import InputError
from irplan.segmentation.graph_cut import minimum_cut
from irplan.segmentation.supervoxels import make_supervoxels


@pytest.mark.parametrize("seed", range(12))
def test_the_cut_is_the_least_of_all_labellings(seed):
    rng = np.random.default_rng(seed)
    n = 9
    cost_in, cost_out = rng.random(n), rng.random(n)
    edges = np.array(list(itertools.combinations(range(n), 2)))
    weights = 0.3 * rng.random(len(edges))

    def energy(x: np.ndarray) -> float:
        cut = weights[x[edges[:, 0]] != x[edges[:, 1]]].sum()
        return float(np.where(x, cost_in, cost_out).sum() + cut)

    least = min(energy(np.array(x)) for x in itertools.product([False, True], repeat=n))
    # Costs are rounded to 1/1000 of the median weight (0.15): 45 terms of 1e-4.
    assert energy(minimum_cut(cost_in, cost_out, edges, weights)) <= least + 5e-3


def test_without_edges_each_node_takes_its_cheaper_side():
    inside = minimum_cut(
        np.array([0.0, 2.0, 5.0]), np.array([1.0, 1.0, 9.0]), np.empty((0, 2), int), np.empty(0)
    )
    assert inside.tolist() == [True, False, True]


def test_a_strong_edge_drags_its_neighbour():
    edges, weights = np.array([[0, 1]]), np.array([10.0])
    inside = minimum_cut(np.array([0.0, 1.0]), np.array([5.0, 0.0]), edges, weights)
    assert inside.tolist() == [True, True]


@pytest.mark.parametrize(
    ("cost_in", "weights"),
    [([0.0, np.nan], [1.0]), ([0.0, 1.0], [-1.0]), ([0.0, 1.0, 2.0], [1.0])],
)
def test_bad_costs_are_refused(cost_in, weights):
    with pytest.raises(InputError, match="graph cut"):
        minimum_cut(np.array(cost_in), np.zeros(2), np.array([[0, 1]]), np.array(weights))


@pytest.fixture(scope="module")
def two_tissues():
    rng = np.random.default_rng(3)
    image = rng.normal(0.0, 4.0, (24, 30, 36)).astype(np.float32)
    image[:, :, 17:] += 60.0
    mask = np.zeros(image.shape, dtype=bool)
    mask[3:22, 4:27, 2:34] = True
    return image, mask


def test_supervoxels_tile_the_mask_follow_the_edge_and_are_connected(two_tissues):
    image, mask = two_tissues
    found = make_supervoxels(image, mask, step=4, weight=10.0)
    np.testing.assert_array_equal(found.labels >= 0, mask)
    assert found.voxels.sum() == mask.sum()
    assert 0.4 * 64 < found.voxels.mean() < 1.3 * 64
    bright = found.fraction(image > 30.0)
    assert np.all((bright < 0.1) | (bright > 0.9))
    for n in range(0, found.count, 7):
        assert ndi.label(found.labels == n)[1] == 1
    means = ndi.mean(image, found.labels, np.arange(found.count))
    np.testing.assert_allclose(found.mean, means, rtol=1e-5, atol=1e-4)


def test_contacts_are_counted_once_per_face(two_tissues):
    image, mask = two_tissues
    found = make_supervoxels(image, mask, step=4, weight=10.0)
    total = 0
    for axis in range(3):
        a, b = np.moveaxis(found.labels, axis, 0)[:-1], np.moveaxis(found.labels, axis, 0)[1:]
        total += np.count_nonzero((a >= 0) & (b >= 0) & (a != b))
    assert found.faces.sum() == total
    assert np.all(found.edges[:, 0] < found.edges[:, 1])
    assert len(np.unique(found.edges, axis=0)) == len(found.edges)


def test_supervoxels_are_the_same_each_time(two_tissues):
    image, mask = two_tissues
    first = make_supervoxels(image, mask, step=4, weight=10.0)
    second = make_supervoxels(image, mask, step=4, weight=10.0)
    np.testing.assert_array_equal(first.labels, second.labels)


def test_an_empty_mask_is_refused(two_tissues):
    image, mask = two_tissues
    with pytest.raises(InputError, match="mask"):
        make_supervoxels(image, np.zeros_like(mask), step=4, weight=10.0)
