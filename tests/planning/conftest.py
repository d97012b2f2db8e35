"""A body of plain shapes, made on any grid, so that every distance is known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from irplan.geometry import Grid
from irplan.image import LabelMap, structure

#: Box body, liver ball and target ball, LPS mm.
BODY_LOW, BODY_HIGH = np.array([-80.0, -60.0, -50.0]), np.array([80.0, 60.0, 50.0])
LIVER_RADIUS = 45.0


@dataclass(frozen=True)
class Scene:
    """Labels with a target, on one grid; ``points`` (slice, row, column, 3) voxel centres."""

    labels: LabelMap
    target: NDArray[np.bool_]
    points: NDArray[np.float64]

    def with_structure(self, name: str, mask: NDArray[np.bool_]) -> Scene:
        return Scene(self.labels.with_mask(structure(name), mask), self.target, self.points)


def oblique_grid(spacing: tuple[float, float, float]) -> Grid:
    """A right-handed grid round the body, turned about all three axes."""
    a, b, c = np.radians([20.0, -15.0, 10.0])
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    turn = rx @ ry @ rz
    upright = np.array([[0, 0, 1.0], [0, 1.0, 0], [1.0, 0, 0]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ upright * np.asarray(spacing)
    shape = [int(240 / s) for s in spacing]
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid((shape[0], shape[1], shape[2]), affine)


def upright_grid(spacing: tuple[float, float, float]) -> Grid:
    size = (BODY_HIGH - BODY_LOW)[::-1] + 20.0
    shape = [int(n / s) for n, s in zip(size, spacing, strict=True)]
    return Grid.from_spacing(shape, spacing, BODY_LOW - 10.0)


def make_scene(
    grid: Grid, *, centre: tuple[float, float, float] = (0.0, 0.0, 0.0), radius: float = 8.0
) -> Scene:
    points = grid.index_to_lps(np.moveaxis(np.indices(grid.shape), 0, -1))
    body = np.all((points >= BODY_LOW) & (points <= BODY_HIGH), axis=-1)
    liver = np.linalg.norm(points, axis=-1) <= LIVER_RADIUS
    target = np.linalg.norm(points - np.array(centre), axis=-1) <= radius
    nothing = np.zeros(grid.shape, dtype=bool)
    names = ("bone", "lung", "gas", "gallbladder", "vessel")
    masks = [(structure("body"), body), (structure("liver"), liver & body)]
    masks += [(structure(n), nothing) for n in names]
    return Scene(LabelMap.from_masks(grid, masks), target, points)


@pytest.fixture(scope="session")
def scene() -> Callable[..., Scene]:
    """``scene(spacing, oblique=False, centre=..., radius=...)``; each variant is built once."""
    made: dict[tuple[object, ...], Scene] = {}

    def get(
        spacing: tuple[float, float, float] = (2.0, 2.0, 2.0),
        *,
        oblique: bool = False,
        centre: tuple[float, float, float] = (0.0, 0.0, 0.0),
        radius: float = 8.0,
    ) -> Scene:
        key = (spacing, oblique, centre, radius)
        if key not in made:
            grid = oblique_grid(spacing) if oblique else upright_grid(spacing)
            made[key] = make_scene(grid, centre=centre, radius=radius)
        return made[key]

    return get
