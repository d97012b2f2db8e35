"""Grid: index and LPS are two names of one place, whatever is done to the grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from irplan.errors import GeometryError, GridMismatchError
from irplan.geometry import Grid

UPRIGHT = np.array([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]])
finite = st.floats(-500, 500)
triples = st.tuples(finite, finite, finite)
spacings = st.tuples(*[st.floats(0.2, 10)] * 3)
shapes = st.tuples(*[st.integers(1, 60)] * 3)


@st.composite
def grids(draw) -> Grid:
    turn = Rotation.from_rotvec(np.array(draw(triples)) / 100).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = (turn @ UPRIGHT) * draw(spacings)
    affine[:3, 3] = draw(triples)
    return Grid(draw(shapes), affine)


@given(grid=grids(), points=st.lists(triples, min_size=1, max_size=5))
def test_index_and_lps_are_inverse(grid, points):
    p = np.array(points)
    np.testing.assert_allclose(grid.index_to_lps(grid.lps_to_index(p)), p, atol=1e-8)
    np.testing.assert_allclose(grid.lps_to_index(grid.index_to_lps(p)), p, atol=1e-7)


@given(grid=grids(), data=st.data())
def test_crop_commutes_with_the_mapping(grid, data):
    start = [data.draw(st.integers(0, n - 1)) for n in grid.shape]
    shape = [data.draw(st.integers(1, n - s)) for n, s in zip(grid.shape, start, strict=True)]
    part = grid.crop(start, shape)
    index = np.array(data.draw(triples))
    np.testing.assert_allclose(
        part.index_to_lps(index), grid.index_to_lps(index + start), atol=1e-8
    )
    assert part.shape == tuple(shape)
    assert np.all(grid.contains(part.index_to_lps(np.array([(0, 0, 0), np.array(shape) - 1]))))


@given(grid=grids(), spacing=st.floats(0.3, 12))
def test_resized_covers_the_field_of_view_from_the_same_face(grid, spacing):
    new = grid.resized(spacing)
    faces = np.array([(-0.5, -0.5, -0.5), np.array(grid.shape) - 0.5])
    at = new.lps_to_index(grid.index_to_lps(faces))
    np.testing.assert_allclose(at[0], -0.5, atol=1e-6)
    overhang = np.array(new.shape) - 0.5 - at[1]
    assert np.all(overhang >= -1e-5)
    assert np.all((overhang < 1 + 1e-6) | (np.array(new.shape) == 1))
    np.testing.assert_allclose(new.spacing_mm, spacing, rtol=1e-9)


@given(grid=grids(), points=st.lists(triples, min_size=1, max_size=4), margin=st.floats(0, 20))
def test_box_around_holds_what_lies_inside(grid, points, margin):
    inside = grid.index_to_lps((np.mod(np.array(points), 1.0)) * (np.array(grid.shape) - 1))
    start, shape = grid.box_around(inside, margin)
    index = grid.lps_to_index(inside)
    pad = margin / np.array(grid.spacing_mm)
    low = np.maximum(index.min(axis=0) - pad, 0)
    high = np.minimum(index.max(axis=0) + pad, np.array(grid.shape) - 1)
    assert np.all(np.array(start) <= low + 1e-9)
    assert np.all(np.array(start) + np.array(shape) - 1 >= high - 1e-9)
    grid.crop(start, shape)


@given(grid=grids(), shift=st.floats(-0.01, 0.01))
def test_same_as_has_a_tolerance_of_a_thousandth_mm(grid, shift):
    assert grid.same_as(grid)
    affine = grid.affine.copy()
    affine[1, 3] += shift
    other = Grid(grid.shape, affine)
    if abs(shift) < 0.00099:
        assert grid.same_as(other)
        assert other.same_as(grid)
    if abs(shift) > 0.00101:
        assert not grid.same_as(other)


@given(grid=grids())
def test_volume_of_a_voxel_is_the_product_of_its_edges(grid):
    assert grid.voxel_volume_mm3 == pytest.approx(np.prod(grid.spacing_mm))
    np.testing.assert_allclose(grid.direction.T @ grid.direction, np.eye(3), atol=1e-9)
    assert grid.contains(grid.centre_lps_mm)


def test_from_spacing_runs_to_head_back_and_left():
    grid = Grid.from_spacing((2, 3, 4), (5.0, 0.5, 0.25), (1.0, 2.0, 3.0))
    np.testing.assert_allclose(grid.index_to_lps([1, 1, 1]), [1.25, 2.5, 8.0])


def test_contains_the_outer_faces():
    grid = Grid.from_spacing((2, 3, 4), (1, 1, 1))
    assert grid.contains((-0.5, -0.5, -0.5))
    assert grid.contains((3.5, 2.5, 1.5))
    assert not grid.contains((3.51, 2.5, 1.5))


def test_equal_grids_hash_alike():
    a, b = (Grid.from_spacing((2, 3, 4), (1, 1, 1)) for _ in range(2))
    assert a == b
    assert hash(a) == hash(b)
    assert a != Grid.from_spacing((2, 3, 4), (1, 1, 1), frame_of_reference_uid="1.2")
    assert a != "grid"


def test_affine_cannot_be_changed():
    source = np.array(Grid.from_spacing((2, 3, 4), (1, 1, 1)).affine)
    grid = Grid((2, 3, 4), source)
    source[0, 0] = 99
    assert grid.affine[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 0] = 1


class TestRefused:
    @pytest.mark.parametrize("shape", [(2, 3), (0, 3, 4), (2, -1, 4), (2, 3, 4, 5)])
    def test_shape(self, shape):
        with pytest.raises(GeometryError, match=r"grid\.shape"):
            Grid(shape, Grid.from_spacing((2, 3, 4), (1, 1, 1)).affine)

    @pytest.mark.parametrize("bad", [np.eye(3), np.full((4, 4), np.nan), np.zeros((4, 4))])
    def test_affine(self, bad):
        with pytest.raises(GeometryError, match=r"grid\.affine"):
            Grid((2, 3, 4), bad)

    def test_mirrored(self):
        with pytest.raises(GeometryError, match="mirrored"):
            Grid((2, 3, 4), np.eye(4))

    def test_sheared(self):
        affine = Grid.from_spacing((2, 3, 4), (1, 1, 1)).affine.copy()
        affine[1, 0] = np.tan(np.radians(5))
        with pytest.raises(GeometryError, match=r"5\.00 deg"):
            Grid((2, 3, 4), affine)

    @pytest.mark.parametrize(
        ("start", "shape"),
        [((-1, 0, 0), (1, 1, 1)), ((0, 0, 0), (3, 3, 4)), ((0, 0, 0), (0, 1, 1))],
    )
    def test_crop_outside(self, start, shape):
        with pytest.raises(GeometryError, match="crop"):
            Grid.from_spacing((2, 3, 4), (1, 1, 1)).crop(start, shape)

    def test_box_wholly_outside(self):
        with pytest.raises(GeometryError, match="outside"):
            Grid.from_spacing((2, 3, 4), (1, 1, 1)).box_around([(90, 90, 90)], 1.0)

    def test_mismatch_says_both_grids(self):
        grid = Grid.from_spacing((2, 3, 4), (1, 1, 1))
        with pytest.raises(GridMismatchError, match="mask") as caught:
            grid.require_same(Grid.from_spacing((2, 3, 5), (1, 1, 1)), field="mask")
        assert "(2, 3, 5)" in caught.value.got
        assert "(2, 3, 4)" in caught.value.expected

    def test_two_known_frames_never_match(self):
        a = Grid.from_spacing((2, 3, 4), (1, 1, 1), frame_of_reference_uid="1.2")
        b = Grid.from_spacing((2, 3, 4), (1, 1, 1), frame_of_reference_uid="1.3")
        unknown = Grid.from_spacing((2, 3, 4), (1, 1, 1))
        assert not a.same_as(b)
        assert a.same_as(unknown)
        with pytest.raises(GridMismatchError, match="frame"):
            a.require_same(b, field="mask")


@settings(max_examples=20)
@given(spacing=st.floats(0.3, 12))
def test_resized_to_itself_is_itself(spacing):
    grid = Grid.from_spacing((9, 8, 7), (spacing, spacing, spacing), (1, 2, 3))
    assert grid.resized(spacing).same_as(grid)
