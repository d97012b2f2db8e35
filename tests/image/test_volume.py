"""Volumes and label maps: valid when constructed, positions kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irplan.errors import InputError
from irplan.geometry import Grid
from irplan.image import STRUCTURES, Code, Label, LabelMap, Volume, structure

GRID = Grid.from_spacing((4, 5, 6), (2.5, 0.8, 0.7), (-10, 20, 30))
LABEL = Label(2, "liver", Code("10200004", "SCT", "Liver"), (1, 2, 3))
OTHER = Label(3, "tumour", Code("108369006", "SCT", "Neoplasm"), (1, 2, 3))


def linear() -> Volume:
    """x + 2 y + 3 z in LPS mm, which trilinear interpolation gives back exactly."""
    lps = GRID.index_to_lps(np.moveaxis(np.indices(GRID.shape), 0, -1))
    return Volume(lps @ [1.0, 2.0, 3.0], GRID, "mm")


@given(fraction=st.tuples(*[st.floats(0, 1)] * 3))
def test_interpolation_is_exact_on_a_linear_field(fraction):
    p = GRID.index_to_lps(np.array(fraction) * (np.array(GRID.shape) - 1))
    assert linear().at(p) == pytest.approx(p @ [1.0, 2.0, 3.0], abs=1e-9)


def test_at_outside_is_refused():
    with pytest.raises(InputError, match="outside"):
        linear().at([(0, 0, 0)])


@given(data=st.data())
def test_crop_keeps_values_at_their_places(data):
    start = [data.draw(st.integers(0, n - 1)) for n in GRID.shape]
    shape = [data.draw(st.integers(1, n - s)) for n, s in zip(GRID.shape, start, strict=True)]
    part = linear().crop(start, shape)
    lps = part.grid.index_to_lps(np.moveaxis(np.indices(part.grid.shape), 0, -1))
    np.testing.assert_allclose(part.array, lps @ [1.0, 2.0, 3.0])
    assert part.quantity == "mm"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite(bad):
    array = np.zeros(GRID.shape)
    array[1, 2, 3] = bad
    with pytest.raises(InputError, match="1 voxels that are NaN or infinite"):
        Volume(array, GRID)


@pytest.mark.parametrize(
    "array",
    [np.zeros((5, 6)), np.zeros((4, 5, 7)), np.zeros(GRID.shape, bool), np.full(GRID.shape, "x")],
)
def test_wrong_arrays(array):
    with pytest.raises(InputError, match=r"volume\.array"):
        Volume(array, GRID)


def test_read_only_without_touching_the_argument():
    array = np.zeros(GRID.shape)
    volume = Volume(array, GRID)
    with pytest.raises(ValueError, match="read-only"):
        volume.array[0, 0, 0] = 1
    array[0, 0, 0] = 1


class TestLabelMap:
    def labels(self) -> LabelMap:
        array = np.zeros(GRID.shape, np.uint8)
        array[1], array[2] = 2, 3
        return LabelMap(array, GRID, (LABEL, OTHER))

    def test_masks_by_name(self):
        labels = self.labels()
        assert labels.mask("liver").sum() == 30
        assert labels.mask("liver", "tumour", "bone").sum() == 60
        assert labels.checked("tumour")
        assert not labels.checked("bone")
        assert labels.label("liver") is LABEL
        with pytest.raises(InputError, match="one of liver, tumour"):
            labels.label("bone")

    def test_later_masks_cover_earlier_ones(self):
        everywhere = np.ones(GRID.shape, bool)
        part = np.zeros(GRID.shape, bool)
        part[0] = True
        labels = LabelMap.from_masks(GRID, [(LABEL, everywhere), (OTHER, part)])
        assert labels.mask("tumour").sum() == 30
        assert labels.mask("liver").sum() == 90

    def test_with_mask_leaves_the_original(self):
        labels = self.labels()
        part = np.zeros(GRID.shape, bool)
        part[0, 0, 0] = True
        gas = Label(12, "gas", Code("74947009", "SCT", "Gas"), (1, 2, 3))
        new = labels.with_mask(gas, part)
        assert new.mask("gas").sum() == 1
        assert not labels.checked("gas")

    def test_crop(self):
        part = self.labels().crop((1, 0, 0), (2, 5, 6))
        assert part.mask("liver").sum() == 30
        np.testing.assert_allclose(part.grid.affine[:3, 3], GRID.index_to_lps((1, 0, 0)))

    def test_refused(self):
        array = np.zeros(GRID.shape, np.uint8)
        with pytest.raises(InputError, match="uint8"):
            LabelMap(array.astype(int), GRID, ())
        with pytest.raises(InputError, match="each name and value once"):
            LabelMap(array, GRID, (LABEL, LABEL))
        array[0, 0, 0] = 9
        with pytest.raises(InputError, match=r"\[9\] without a label"):
            LabelMap(array, GRID, (LABEL,))
        with pytest.raises(InputError, match="1 to 255"):
            Label(0, "x", LABEL.code, (0, 0, 0))


def test_structures_are_unique_and_coded():
    assert len({x.value for x in STRUCTURES}) == len(STRUCTURES)
    assert len({x.name for x in STRUCTURES}) == len(STRUCTURES)
    assert len({x.code.value for x in STRUCTURES}) == len(STRUCTURES)
    assert structure("liver").code == Code("10200004", "SCT", "Liver")
    with pytest.raises(InputError, match="one of body, liver"):
        structure("soul")
