from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from irplan.geometry import Grid
from irplan.viz.meshes import Mesh, isosurface, mask_surface

CENTRE = np.array([-40.0, 3.0, 5.0])


def _distance(grid: Grid) -> NDArray[np.float64]:
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    out: NDArray[np.float64] = np.linalg.norm(grid.index_to_lps(index) - CENTRE, axis=-1)
    return out


def _volume_mm3(mesh: Mesh) -> float:
    a, b, c = np.moveaxis(mesh.vertices[mesh.faces] - CENTRE, 1, 0)
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6.0)


@pytest.mark.parametrize("which", ["standard_grid", "coronal_grid"])
def test_ball_is_where_it_is_with_outward_faces(handmade: ModuleType, which: str) -> None:
    grid = getattr(handmade, which)()
    mesh = mask_surface(_distance(grid) < 25.0, grid, voxel_mm=2.0, smooth_mm=1.5)
    assert mesh is not None
    radius = np.linalg.norm(mesh.vertices - CENTRE, axis=1)
    assert abs(np.median(radius) - 25.0) < 0.4
    assert radius.min() > 23.3
    assert radius.max() < 26.0
    assert 0.94 < _volume_mm3(mesh) / (4 / 3 * np.pi * 25.0**3) < 1.02  # positive: outward


@pytest.mark.parametrize("which", ["standard_grid", "coronal_grid"])
def test_isosurface_is_exact_and_outward(handmade: ModuleType, which: str) -> None:
    grid = getattr(handmade, which)()
    field = -100.0 + 5.0 * _distance(grid)
    mesh = isosurface(field, grid, -20.0)
    assert mesh is not None
    assert np.abs(np.linalg.norm(mesh.vertices - CENTRE, axis=1) - 16.0).max() < 0.15
    assert 0.97 < _volume_mm3(mesh) / (4 / 3 * np.pi * 16.0**3) < 1.01


def test_nothing_gives_nothing(handmade: ModuleType) -> None:
    grid = handmade.standard_grid()
    empty = np.zeros(grid.shape, dtype=bool)
    assert mask_surface(empty, grid, voxel_mm=2.0, smooth_mm=1.0) is None
    assert isosurface(np.full(grid.shape, 37.0), grid, 0.0) is None
    assert isosurface(np.full(grid.shape, -50.0), grid, 0.0) is None


def test_speck_below_the_resolution_gives_nothing(handmade: ModuleType) -> None:
    grid = handmade.standard_grid()
    speck = np.zeros(grid.shape, dtype=bool)
    speck[10, 20, 30] = True
    assert mask_surface(speck, grid, voxel_mm=6.0, smooth_mm=5.0) is None


def test_open_where_the_image_ends_unless_closed() -> None:
    grid = Grid.from_spacing((30, 60, 60), (2.0, 2.0, 2.0), CENTRE - [59.0, 59.0, 29.0])
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    p = grid.index_to_lps(index) - CENTRE
    tube = np.hypot(p[..., 0], p[..., 1]) < 30.0
    for closed in (True, False):
        mesh = mask_surface(tube, grid, voxel_mm=2.0, smooth_mm=1.5, closed=closed)
        assert mesh is not None
        edges = np.sort(mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        _, count = np.unique(edges, axis=0, return_counts=True)
        assert bool((count == 1).any()) is not closed
