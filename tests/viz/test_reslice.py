from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from irplan.errors import InputError
from irplan.geometry import Grid
from irplan.planning.case import PlannedCase
from irplan.viz.needles_eye import view_axes
from irplan.viz.orientation import orientation_letters
from irplan.viz.reslice import Plane, anatomical_plane


@pytest.mark.parametrize(
    ("name", "left_right_bottom_top", "viewer"),
    [
        ("axial", "RLPA", "F"),
        ("coronal", "RLFH", "A"),
        ("sagittal", "APFH", "L"),
    ],
)
def test_planes_are_seen_as_radiologists_see_them(
    name: str, left_right_bottom_top: str, viewer: str
) -> None:
    plane = anatomical_plane(name, (10.0, 20.0, 30.0), (-5.0, 5.0), (-5.0, 5.0))
    letters = [orientation_letters(d) for d in (-plane.right, plane.right, -plane.up, plane.up)]
    assert "".join(letters) == left_right_bottom_top
    assert orientation_letters(plane.towards_viewer) == viewer
    _, off = plane.project((10.0, 20.0, 30.0))
    assert abs(float(off)) < 1e-12


def test_sampling_a_linear_field_is_exact_on_any_grid(handmade: ModuleType) -> None:
    for grid in (handmade.standard_grid(), handmade.coronal_grid()):
        index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
        field = grid.index_to_lps(index) @ np.array([0.3, -1.1, 0.7])
        d = np.array([0.36, 0.48, 0.8])
        right, up = view_axes(d)
        plane = Plane(np.array([-40.0, 5.0, 0.0]), right, up, (-30.0, 30.0), (-20.0, 20.0))
        expected = plane.points() @ np.array([0.3, -1.1, 0.7])
        assert np.abs(plane.sample(field, grid, outside=0.0) - expected).max() < 1e-3


def test_outside_the_volume_is_the_given_value(handmade: ModuleType) -> None:
    grid = handmade.standard_grid()
    plane = anatomical_plane("axial", (0, 0, 500.0), (-20.0, 20.0), (-20.0, 20.0))
    out = plane.sample(np.zeros(grid.shape), grid, outside=-7.0)
    assert np.all(out == -7.0)


def test_extent_holds_whole_pixels() -> None:
    plane = anatomical_plane("coronal", (0, 0, 0), (-2.0, 2.0), (-1.0, 1.0))
    assert plane.points().shape == (5, 9, 3)
    assert plane.extent == (-2.25, 2.25, -1.25, 1.25)


def test_single_voxel_grid_can_be_sampled() -> None:
    grid = Grid.from_spacing((1, 1, 1), (2.0, 2.0, 2.0))
    plane = anatomical_plane("axial", (0, 0, 0), (-2.0, 2.0), (-2.0, 2.0))
    out = plane.sample(np.full((1, 1, 1), 5.0), grid, outside=0.0)
    inside = np.hypot(*np.meshgrid(plane.u_axis_mm, plane.v_axis_mm)) < 0.9
    assert np.all(out[inside] == 5.0)
    assert out[0, 0] == 0.0


@pytest.mark.parametrize(
    "bad",
    [
        {"right": (1.0, 0.2, 0.0)},
        {"up": (1.0, 0.0, 0.0)},
        {"u_mm": (3.0, -3.0)},
        {"step_mm": 0.0},
    ],
)
def test_impossible_planes_are_refused(bad: dict[str, object]) -> None:
    good: dict[str, object] = {
        "origin_mm": (0, 0, 0), "right": (1, 0, 0), "up": (0, 0, 1),
        "u_mm": (-1.0, 1.0), "v_mm": (-1.0, 1.0),
    }  # fmt: skip
    with pytest.raises(InputError, match="plane"):
        Plane(**{**good, **bad})  # type: ignore[arg-type]


def test_unknown_plane_is_refused() -> None:
    with pytest.raises(InputError, match="'oblique'"):
        anatomical_plane("oblique", (0, 0, 0), (0.0, 1.0), (0.0, 1.0))


@pytest.mark.parametrize("direction", [(0, 1, 0), (0.6, 0.8, 0), (0, 0.1, -0.995), (-1, 0, 0)])
def test_needle_view_looks_along_the_needle(direction: tuple[float, float, float]) -> None:
    d = np.array(direction) / np.linalg.norm(direction)
    right, up = view_axes(d)
    assert np.allclose(np.cross(right, up), -d, atol=1e-12)
    assert up[2] >= 0 or abs(d[2]) > 0.9


def test_front_needle_shows_patients_left_on_the_right(case: PlannedCase) -> None:
    right, up = view_axes(np.array([0.0, 1.0, 0.0]))
    assert orientation_letters(right) == "L"
    assert orientation_letters(up) == "H"
