"""Masks as DICOM series: on the image's grid or refused."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from irplan.dicom import load_mask, read_mask, read_series
from irplan.errors import DicomError, GridMismatchError, InputError

INNER = (slice(1, 4), slice(3, 6), slice(2, 7))


def mask_edit(value: int = 255):
    """Turns the slices of a synthetic series into 8-bit mask slices, IRCADb style."""

    def edit(index, ds):
        mask = np.zeros((6, 8, 10), np.uint8)
        mask[INNER] = value
        ds.PixelData = mask[index].tobytes()
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
        ds.RescaleIntercept, ds.RescaleSlope = 0, 1

    return edit


@pytest.fixture
def expected():
    out = np.zeros((6, 8, 10), bool)
    out[INNER] = True
    return out


def test_not_zero_is_the_mask(series, tmp_path, expected):
    image = series(frame_uid="1.2.3")
    image.write(tmp_path / "ct")
    series(frame_uid="1.2.3", edit=mask_edit()).write(tmp_path / "mask")
    grid = read_series(tmp_path / "ct").grid
    mask, notes = load_mask(tmp_path / "mask", grid)
    assert mask.dtype == np.bool_
    np.testing.assert_array_equal(mask, expected)
    assert notes == ()


def test_another_frame_of_reference_is_accepted_and_said(series, tmp_path, expected):
    series(frame_uid="1.2.3").write(tmp_path / "ct")
    series(frame_uid="4.5.6", edit=mask_edit()).write(tmp_path / "mask")
    mask, notes = load_mask(tmp_path / "mask", read_series(tmp_path / "ct").grid)
    np.testing.assert_array_equal(mask, expected)
    assert "another frame of reference" in notes[0]


def test_rescaled_background_is_zero(series, tmp_path, expected):
    """Some tools keep the CT's intercept: stored 1024 is 0 there."""

    def edit(index, ds):
        mask = np.full((6, 8, 10), 1024, np.uint16)
        mask[INNER] = 1025
        ds.PixelData = mask[index].tobytes()

    series().write(tmp_path / "ct")
    series(edit=edit).write(tmp_path / "mask")
    np.testing.assert_array_equal(
        read_mask(tmp_path / "mask", read_series(tmp_path / "ct").grid), expected
    )


def test_several_values_are_said(series, tmp_path, expected):
    def edit(index, ds):
        mask_edit(1 + index)(index, ds)

    series().write(tmp_path / "ct")
    series(edit=edit).write(tmp_path / "mask")
    mask, notes = load_mask(tmp_path / "mask", read_series(tmp_path / "ct").grid)
    np.testing.assert_array_equal(mask, expected)
    assert any("several values (2, 3, 4)" in n for n in notes)


@pytest.mark.parametrize(
    "other", [{"origin_mm": (-30.0, 20.0, 101.0)}, {"count": 5}, {"pixel_mm": (0.8, 0.75)}]
)
def test_another_grid_is_refused(series, tmp_path, other):
    series().write(tmp_path / "ct")
    series(edit=mask_edit(), **other).write(tmp_path / "mask")
    with pytest.raises(GridMismatchError, match="mask 'mask'"):
        read_mask(tmp_path / "mask", read_series(tmp_path / "ct").grid)


def test_the_image_is_no_mask(series, tmp_path):
    made = series(intercept=-1001.0)
    made.write(tmp_path / "ct")

    def full(index, ds):
        ds.PixelData = np.full((8, 10), 7, np.uint16).tobytes()

    series(edit=full).write(tmp_path / "mask")
    with pytest.raises(InputError, match="nowhere zero"):
        read_mask(tmp_path / "mask", read_series(tmp_path / "ct").grid)


def test_several_series_are_refused(series, tmp_path):
    series().write(tmp_path / "ct")
    series(edit=mask_edit(), prefix="A").write(tmp_path / "mask")
    series(edit=mask_edit(), prefix="B").write(tmp_path / "mask")
    with pytest.raises(DicomError, match="2 series"):
        read_mask(tmp_path / "mask", read_series(tmp_path / "ct").grid)


@pytest.mark.data
def test_real_masks_have_the_stated_volumes(shared_data, tmp_path):
    """Volumes of the data's README: liver 1489 ml, tumour 07 a ball of 17 mm."""
    root = shared_data("ircadb01_p1")
    grid = read_series(root / "PATIENT_DICOM").grid
    with zipfile.ZipFile(root / "MASKS_DICOM.zip") as archive:
        for name in archive.namelist():
            if "/liver/" in name or "/livertumor07/" in name:
                archive.extract(name, tmp_path)
    ml = grid.voxel_volume_mm3 / 1000
    liver, _ = load_mask(tmp_path / "MASKS_DICOM" / "liver", grid)
    assert liver.sum() * ml == pytest.approx(1489, abs=1)
    tumour = read_mask(tmp_path / "MASKS_DICOM" / "livertumor07", grid)
    assert (6 / np.pi * tumour.sum() * ml * 1000) ** (1 / 3) == pytest.approx(17, abs=0.5)
    assert np.count_nonzero(tumour & ~liver) / tumour.sum() < 0.05
