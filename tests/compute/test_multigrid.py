"""The multigrid's parts: levels, interpolation and its transpose, a symmetric V-cycle."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.compute.cpu import multigrid, potential
from irplan.compute.levels import COARSEST_CELLS, Levels

WIDTHS = (
    np.array([8.0, 4, 4, 2, 2, *[1.0] * 13, 2, 2, 4, 8]),
    np.array([4.0, 2, *[1.5] * 12, 3, 6]),
    np.array([2.0, *[1.0] * 15, 2, 4]),
)


def block(flat, levels, level):
    nz, ny, nx, at = (int(n) for n in levels.shape[level])
    size = (nz + 2) * (ny + 2) * (nx + 2)
    return flat[at : at + size].reshape(nz + 2, ny + 2, nx + 2)[1:-1, 1:-1, 1:-1]


@pytest.fixture
def hierarchy():
    """Levels with random conductivity, a tenth of it insulating."""
    levels = Levels.from_widths(WIDTHS)
    rng = np.random.default_rng(4)
    nz, ny, nx = levels.padded
    sigma = np.zeros(levels.padded, np.float32)
    inner = sigma[1:-1, 1:-1, 1:-1]
    inner[...] = rng.uniform(0.1, 1.0, inner.shape)
    inner[rng.random(inner.shape) < 0.1] = 0.0
    g = np.zeros((8, levels.size), np.float32)
    finest = [g[n][: nz * ny * nx].reshape(levels.padded) for n in range(4)]
    middles = [np.cumsum(w) - 0.5 * w - 0.5 * w.sum() for w in WIDTHS]
    potential.faces(sigma, *WIDTHS, *middles, 1.0, *finest)
    potential.build_levels(
        g, levels.shape, levels.table_at, levels.side, levels.share, levels.span_at, levels.child
    )
    return levels, g


def cycle(levels, g, b):
    x, y, d, right = (np.zeros(levels.size, np.float32) for _ in range(4))
    block(right, levels, 0)[...] = b
    multigrid.v_cycle(
        x, y, d, right, g, levels.shape, levels.table_at, levels.parent, levels.side,
        levels.span_at, levels.child,
    )  # fmt: skip
    return block(y, levels, 0).astype(float)


def test_levels_coarsen_the_narrow_cells_first():
    levels = Levels.from_widths(WIDTHS)
    assert tuple(levels.shape[0, :3]) == tuple(w.size for w in WIDTHS)
    assert levels.shape[1, 0] == 5 + 7 + 4  # only the 13 narrow cells are joined
    assert np.prod(levels.shape[-1, :3]) <= COARSEST_CELLS
    assert np.all(np.diff(levels.shape[:, :3].prod(axis=1)) < 0)


def test_restriction_is_the_transpose_and_constants_are_kept(hierarchy):
    levels, g = hierarchy
    rng = np.random.default_rng(5)
    for level in range(levels.shape.shape[0] - 1):
        fine, coarse = np.zeros(levels.size, np.float32), np.zeros(levels.size, np.float32)
        r = rng.normal(size=levels.shape[level, :3]).astype(np.float32)
        e = rng.normal(size=levels.shape[level + 1, :3]).astype(np.float32)
        block(fine, levels, level)[...] = r
        for z in range(levels.shape[level + 1, 0]):
            multigrid._restrict_plane(
                fine, fine, g[5:8], levels.shape, level, levels.table_at, levels.side,
                levels.span_at, levels.child, z,
            )  # fmt: skip
        down = float((block(fine, levels, level + 1).astype(float) * e).sum())
        for value, check in ((e, down), (np.ones_like(e), None)):
            coarse[:] = 0.0
            block(coarse, levels, level + 1)[...] = value
            for z in range(levels.shape[level, 0]):
                multigrid._prolong_plane(
                    coarse, coarse, g[5:8], levels.shape, level, levels.table_at, levels.parent,
                    levels.side, z,
                )  # fmt: skip
            up = block(coarse, levels, level).astype(float)
            if check is None:
                assert up == pytest.approx(1.0, abs=1e-6)
            else:
                assert float((up * r).sum()) == pytest.approx(check, rel=1e-4, abs=1e-3)


def test_v_cycle_is_symmetric_and_positive(hierarchy):
    levels, g = hierarchy
    rng = np.random.default_rng(6)
    a, b = (rng.normal(size=levels.shape[0, :3]).astype(np.float32) for _ in range(2))
    live = block(g[4], levels, 0) > 0.0
    a, b = a * live, b * live
    ma, mb = cycle(levels, g, a), cycle(levels, g, b)
    assert float((ma * b).sum()) == pytest.approx(float((mb * a).sum()), rel=1e-3)
    assert float((ma * a).sum()) > 0.0


def test_coarse_links_of_a_uniform_medium_are_those_of_a_coarse_grid():
    n = 16
    widths = (np.ones(n),) * 3
    levels = Levels.from_widths(widths)
    sigma = np.zeros(levels.padded, np.float32)
    sigma[1:-1, 1:-1, 1:-1] = 0.5
    g = np.zeros((8, levels.size), np.float32)
    size = np.prod(levels.padded)
    finest = [g[k][:size].reshape(levels.padded) for k in range(4)]
    potential.faces(sigma, *widths, *(np.arange(n) - 7.5,) * 3, 0.0, *finest)
    potential.build_levels(
        g, levels.shape, levels.table_at, levels.side, levels.share, levels.span_at, levels.child
    )
    for level in range(levels.shape.shape[0]):
        for row, axis in ((0, 2), (1, 1), (2, 0)):
            cut = [slice(None)] * 3
            cut[axis] = slice(1, None)
            links = block(g[row], levels, level)[tuple(cut)]
            assert links == pytest.approx(0.5e-3 * 2.0**level, rel=1e-5)


@pytest.mark.parametrize("count", [44, 73, 74])
def test_mirror_images_are_coarsened_alike(count):
    """Widths that are their own mirror image stay so on every level."""
    half = np.concatenate([np.ones(20), 2.0 * np.ones(8), 4.0 * np.ones(9)])[: count // 2]
    widths = np.concatenate([half[::-1], np.ones(count % 2), half])
    levels = Levels.from_widths([widths, widths, np.ones(40)])
    for level in range(len(levels.shape) - 1):
        for axis in range(3):
            n = levels.shape[level + 1, axis]
            at = levels.span_at[level, axis]
            children = levels.child[at : at + n, 1]
            np.testing.assert_array_equal(children, children[::-1])
