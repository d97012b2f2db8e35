"""NIfTI against nibabel and SimpleITK: the same voxel at the same place, both ways."""

from __future__ import annotations

import gzip

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from irplan.errors import FileFormatError, GridMismatchError, InputError, OutputError
from irplan.files import (
    is_nifti,
    read_labels,
    read_mask,
    read_volume,
    write_labels,
    write_mask,
    write_volume,
)
from irplan.files.nifti import read_mask_and_notes, read_volume_and_notes
from irplan.geometry import Grid
from irplan.image import Label, LabelMap, Volume, structure
from irplan.image.labels import Code

UPRIGHT = np.array([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]])
LPS_OF_RAS = np.array([-1.0, -1.0, 1.0])


def a_grid(shape=(5, 6, 7), seed: int | None = None, angle_deg: float = 25.0) -> Grid:
    affine = np.eye(4)
    turn = np.eye(3)
    if seed is not None:
        axis = np.random.default_rng(seed).normal(size=3)
        turn = Rotation.from_rotvec(np.radians(angle_deg) * axis / np.linalg.norm(axis)).as_matrix()
    affine[:3, :3] = (turn @ UPRIGHT) * [2.5, 0.8, 0.7]
    affine[:3, 3] = [-120.5, 33.25, 801.125]
    return Grid(shape, affine)


def a_volume(grid: Grid, dtype=np.int16) -> Volume:
    rng = np.random.default_rng(3)
    return Volume(rng.integers(-1000, 1000, grid.shape).astype(dtype), grid)


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
@pytest.mark.parametrize("angle", [25.0, 180.0])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_written_positions_are_those_of_nibabel_and_simpleitk(tmp_path, seed, angle, suffix):
    grid = a_grid(seed=seed, angle_deg=angle)
    volume = a_volume(grid)
    file = tmp_path / f"v{suffix}"
    write_volume(volume, file)
    theirs = nibabel.load(file)
    itk = SimpleITK.ReadImage(str(file))
    assert theirs.header["sform_code"] == theirs.header["qform_code"] == 1
    assert theirs.header.get_xyzt_units()[0] == "mm"
    for index in np.ndindex(2, 2, 2):
        i = np.array(index) * (np.array(grid.shape) - 1)
        lps = grid.index_to_lps(i)
        for form in (theirs.get_sform(), theirs.get_qform()):
            ras = nibabel.affines.apply_affine(form, i[::-1])
            np.testing.assert_allclose(ras * LPS_OF_RAS, lps, atol=2e-4)  # float32 header
        at = itk.TransformContinuousIndexToPhysicalPoint(i[::-1].astype(float).tolist())
        np.testing.assert_allclose(at, lps, atol=2e-4)
    np.testing.assert_array_equal(np.asanyarray(theirs.dataobj), volume.array.T)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(itk), volume.array)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    order=st.permutations([0, 1, 2]),
    flips=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    oblique=st.floats(0, 40),
    quaternion=st.booleans(),
)
def test_any_stored_axis_order_is_read_to_the_places_of_nibabel(
    tmp_path_factory, seed, order, flips, oblique, quaternion
):
    rng = np.random.default_rng(seed)
    data = rng.integers(-1000, 1000, (3, 4, 5)).astype(np.int16)
    signs = np.where(flips, -1.0, 1.0)
    turn = Rotation.from_rotvec(np.radians(oblique) * np.array([0.6, 0.0, 0.8])).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.eye(3)[:, order] * signs * [0.7, 0.8, 2.5]
    affine[:3, 3] = rng.uniform(-300, 300, 3)
    image = nibabel.Nifti1Image(data, affine)
    image.set_sform(affine, code=0 if quaternion else 2)
    image.set_qform(affine, code=1 if quaternion else 0)
    file = tmp_path_factory.getbasetemp() / "any.nii"
    nibabel.save(image, file)
    volume = read_volume(file)
    stored = np.indices(data.shape).reshape(3, -1).T
    lps = nibabel.affines.apply_affine(nibabel.load(file).affine, stored) * LPS_OF_RAS
    index = volume.grid.lps_to_index(lps)
    nearest = np.rint(index).astype(int)
    assert np.abs(index - nearest).max() < 1e-3
    np.testing.assert_array_equal(volume.array[tuple(nearest.T)], data.reshape(-1))
    if oblique < 30:
        assert np.all(np.diag(volume.grid.direction.T @ UPRIGHT) > 0.5)


@pytest.mark.data
def test_kits_masks_keep_their_places(shared_data):
    """Stored (slice, row, column) with a permuted affine; nibabel gives RAS."""
    for case in ("case_00010", "case_00015"):
        file = shared_data("kits19_masks") / case / "segmentation.nii.gz"
        theirs = nibabel.load(file)
        data = np.asanyarray(theirs.dataobj)
        ijk = np.argwhere(data == 2)
        lps = nibabel.affines.apply_affine(theirs.affine, ijk) * LPS_OF_RAS
        ours = read_volume(file, "mm")
        nearest = np.rint(ours.grid.lps_to_index(lps)).astype(int)
        assert np.count_nonzero(ours.array == 2) == len(ijk)
        assert np.all(ours.array[tuple(nearest.T)] == 2)
        np.testing.assert_allclose(ours.grid.direction, UPRIGHT, atol=1e-6)


@pytest.mark.data
def test_totalsegmentator_example_against_simpleitk(shared_data):
    file = shared_data("totalsegmentator_example") / "example_ct.nii.gz"
    itk = SimpleITK.DICOMOrient(SimpleITK.ReadImage(str(file)), "LPS")
    volume, notes = read_volume_and_notes(file)
    theirs = SimpleITK.GetArrayFromImage(itk)
    np.testing.assert_array_equal(volume.array, np.maximum(theirs, -1024))
    np.testing.assert_allclose(volume.grid.affine[:3, 3], itk.GetOrigin(), atol=1e-3)
    assert volume.array.dtype == np.int16
    assert notes == (
        f"{np.count_nonzero(theirs < -1024)} voxels below -1024 HU (padding) were set to -1024 HU.",
    )


class TestRoundTrip:
    @pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.int32, np.float32, np.uint16])
    def test_values_and_grid(self, tmp_path, dtype):
        grid = a_grid(seed=4)
        array = np.random.default_rng(0).integers(0, 200, grid.shape).astype(dtype)
        write_volume(Volume(array, grid, "degC"), tmp_path / "v.nii.gz")
        back = read_volume(tmp_path / "v.nii.gz", "degC")
        np.testing.assert_array_equal(back.array, array)
        assert back.array.dtype == dtype
        assert back.grid.same_as(grid)

    def test_float64_and_int64(self, tmp_path):
        grid = a_grid()
        array = np.random.default_rng(0).normal(size=grid.shape)
        write_volume(Volume(array, grid, "mm"), tmp_path / "v.nii")
        assert read_volume(tmp_path / "v.nii", "mm").array.dtype == np.float32
        np.testing.assert_array_equal(nibabel.load(tmp_path / "v.nii").get_fdata(), array.T)
        write_volume(Volume(np.full(grid.shape, 7), grid, "mm"), tmp_path / "w.nii")
        assert read_volume(tmp_path / "w.nii", "mm").array.dtype == np.int32
        with pytest.raises(InputError, match="32 bits"):
            write_volume(Volume(np.full(grid.shape, 2**40), grid, "mm"), tmp_path / "w.nii")

    def test_scaled_and_big_endian_files(self, tmp_path):
        data = np.arange(60, dtype=">i2").reshape(3, 4, 5)
        header = nibabel.Nifti1Header(endianness=">")
        header.set_data_dtype(">i2")
        image = nibabel.Nifti1Image(data, np.diag([-1, -1, 2, 1.0]), header)
        image.header.set_slope_inter(0.5, -10)
        nibabel.save(image, tmp_path / "v.nii")
        theirs = nibabel.load(tmp_path / "v.nii").get_fdata()
        np.testing.assert_allclose(read_volume(tmp_path / "v.nii", "mm").array, theirs.T)

    def test_the_same_volume_gives_the_same_bytes(self, tmp_path):
        volume = a_volume(a_grid())
        write_volume(volume, tmp_path / "a.nii.gz")
        write_volume(volume, tmp_path / "other name.nii.gz")
        first = (tmp_path / "a.nii.gz").read_bytes()
        assert first == (tmp_path / "other name.nii.gz").read_bytes()
        assert first[4:8] == b"\0\0\0\0"  # no time stamp
        assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nii.gz", "other name.nii.gz"]

    def test_padding_becomes_air(self, tmp_path):
        grid = a_grid()
        array = np.full(grid.shape, 40, np.int16)
        array[0, 0] = -3024
        write_volume(Volume(array, grid), tmp_path / "v.nii")
        volume, notes = read_volume_and_notes(tmp_path / "v.nii")
        assert volume.array.min() == -1024
        assert notes[0].startswith("7 voxels below -1024")


class TestMasks:
    def test_round_trip_on_any_axis_order(self, tmp_path):
        grid = a_grid(seed=1)
        mask = np.random.default_rng(1).random(grid.shape) > 0.5
        write_mask(mask, grid, tmp_path / "m.nii.gz")
        np.testing.assert_array_equal(read_mask(tmp_path / "m.nii.gz", grid), mask)
        turned = nibabel.load(tmp_path / "m.nii.gz")
        other = turned.as_reoriented(nibabel.orientations.axcodes2ornt("PIR"))
        nibabel.save(other, tmp_path / "t.nii.gz")
        np.testing.assert_array_equal(read_mask(tmp_path / "t.nii.gz", grid), mask)

    def test_grid_of_a_prone_scan(self, tmp_path):
        """The mask is brought to the image's axes, whichever way those run."""
        affine = a_grid().affine.copy()
        affine[:3, 1:3] *= -1
        grid = Grid((5, 6, 7), affine)
        mask = np.random.default_rng(1).random(grid.shape) > 0.5
        write_mask(mask, grid, tmp_path / "m.nii.gz")
        np.testing.assert_array_equal(read_mask(tmp_path / "m.nii.gz", grid), mask)

    def test_another_grid(self, tmp_path):
        grid = a_grid()
        write_mask(np.ones(grid.shape, bool), grid, tmp_path / "m.nii")
        moved = grid.affine.copy()
        moved[0, 3] += 0.5
        with pytest.raises(GridMismatchError, match=r"mask 'm.nii'"):
            read_mask(tmp_path / "m.nii", Grid(grid.shape, moved))
        with pytest.raises(GridMismatchError):
            read_mask(tmp_path / "m.nii", a_grid((5, 6, 8)))

    def test_values_other_than_one_are_said(self, tmp_path):
        grid = a_grid()
        array = np.zeros(grid.shape, np.uint8)
        array[1], array[2] = 3, 9
        write_volume(Volume(array, grid, "mm"), tmp_path / "m.nii")
        mask, notes = read_mask_and_notes(tmp_path / "m.nii", grid)
        assert mask.sum() == 84
        assert "2 values (3, 9)" in notes[0]

    def test_nan(self, tmp_path):
        array = np.zeros((4, 4, 4), np.float32)
        array[0, 0, 0] = np.nan
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / "m.nii")
        grid = Grid.from_spacing((4, 4, 4), (1, 1, 1))
        with pytest.raises(InputError, match="NaN"):
            read_mask(tmp_path / "m.nii", grid)

    def test_not_a_mask(self, tmp_path):
        with pytest.raises(InputError, match="bool"):
            write_mask(np.ones((5, 6, 7)), a_grid(), tmp_path / "m.nii")


class TestLabels:
    def labels(self) -> LabelMap:
        array = np.zeros((5, 6, 7), np.uint8)
        array[1:3], array[3] = 2, 3
        return LabelMap(
            array, a_grid(seed=2), (structure("liver"), structure("tumour"), structure("gas"))
        )

    def test_round_trip_with_names_and_codes(self, tmp_path):
        labels = self.labels()
        written = write_labels(labels, tmp_path / "labels.nii.gz")
        assert [p.name for p in written] == ["labels.nii.gz", "labels.json", "labels.ctbl"]
        back = read_labels(tmp_path / "labels.nii.gz")
        np.testing.assert_array_equal(back.array, labels.array)
        assert back.grid.same_as(labels.grid)
        assert set(back.labels) == set(labels.labels)
        assert back.checked("gas")
        assert not back.checked("bone")
        assert back.label("liver").code.value == "10200004"

    def test_slicer_colour_table(self, tmp_path):
        write_labels(self.labels(), tmp_path / "labels.nii.gz")
        lines = (tmp_path / "labels.ctbl").read_text().splitlines()
        assert lines[1:] == [
            "0 outside 0 0 0 0",
            "2 liver 221 130 101 255",
            "3 tumour 144 238 144 255",
            "12 gas 120 200 220 255",
        ]

    def test_spaces_in_names_do_not_break_the_colour_table(self, tmp_path):
        label = Label(1, "-20 degC zone", Code("1", "99IRPLAN", "zone"), (1, 2, 3))
        labels = LabelMap(np.ones((5, 6, 7), np.uint8), a_grid(), (label,))
        write_labels(labels, tmp_path / "zones.nii")
        assert "1 -20_degC_zone 1 2 3 255" in (tmp_path / "zones.ctbl").read_text()
        assert read_labels(tmp_path / "zones.nii").labels == (label,)

    def test_bad_tables(self, tmp_path):
        write_labels(self.labels(), tmp_path / "l.nii")
        table = tmp_path / "l.json"
        text = table.read_text()
        table.write_text(text.replace('"schema_version": 1', '"schema_version": 9'))
        with pytest.raises(FileFormatError, match="label table"):
            read_labels(tmp_path / "l.nii")
        table.write_text(text.replace('"name": "liver",', ""))
        with pytest.raises(FileFormatError, match="name"):
            read_labels(tmp_path / "l.nii")
        table.write_text(text[:100])
        with pytest.raises(FileFormatError, match="breaks off"):
            read_labels(tmp_path / "l.nii")
        table.unlink()
        with pytest.raises(FileFormatError, match=r"no 'l.json'"):
            read_labels(tmp_path / "l.nii")
        assert read_labels(tmp_path / "l.nii", self.labels().labels).checked("liver")

    @pytest.mark.parametrize("value", [0.5, -1.0, 300.0])
    def test_values_that_are_no_labels(self, tmp_path, value):
        write_volume(
            Volume(np.full((5, 6, 7), value, np.float32), a_grid(), "mm"), tmp_path / "l.nii"
        )
        with pytest.raises(InputError, match="0 to 255"):
            read_labels(tmp_path / "l.nii", ())


class TestBadFiles:
    def save(self, path, data, affine=None, *, sform=1, qform=1):
        image = nibabel.Nifti1Image(data, np.eye(4) if affine is None else affine)
        image.set_sform(image.affine, code=sform)
        if qform == 0:
            image.set_qform(None, code=0)
        nibabel.save(image, path)
        return path

    def test_no_orientation(self, tmp_path):
        data = np.zeros((4, 4, 4), np.int16)
        file = self.save(tmp_path / "v.nii.gz", data, sform=0, qform=0)
        with pytest.raises(FileFormatError, match="sform_code and qform_code are both 0"):
            read_volume(file)

    @pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (1, 8, 8), (4, 4, 4, 2), (4, 4, 4, 1, 3)])
    def test_not_three_axes(self, tmp_path, shape):
        file = self.save(tmp_path / "v.nii", np.zeros(shape, np.int16))
        with pytest.raises(FileFormatError, match="3-D volume"):
            read_volume(file)

    def test_a_fourth_axis_of_one_is_no_axis(self, tmp_path):
        file = self.save(tmp_path / "v.nii", np.zeros((4, 5, 6, 1), np.int16))
        assert read_volume(file).array.shape == (6, 5, 4)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_nan_and_infinity(self, tmp_path, bad):
        data = np.zeros((4, 4, 4), np.float32)
        data[1, 2, 3] = bad
        file = self.save(tmp_path / "v.nii", data)
        with pytest.raises(InputError, match="NaN or infinite"):
            read_volume(file)

    def test_sheared(self, tmp_path):
        affine = np.eye(4)
        affine[0, 2] = np.tan(np.radians(10))
        file = self.save(tmp_path / "v.nii", np.zeros((4, 4, 4), np.int16), affine, qform=0)
        with pytest.raises(FileFormatError, match=r"10\.00 deg off perpendicular"):
            read_volume(file)

    def test_axis_of_no_length(self, tmp_path):
        affine = np.diag([1.0, 0.0, 1.0, 1.0])
        data = np.zeros((4, 4, 4), np.int16)
        image = nibabel.Nifti1Image(data, np.eye(4))
        image.header.set_sform(affine, code=1)
        nibabel.save(image, tmp_path / "v.nii")
        raw = bytearray((tmp_path / "v.nii").read_bytes())
        raw[280:328] = affine[:3].astype("<f4").tobytes()
        (tmp_path / "v.nii").write_bytes(raw)
        with pytest.raises(FileFormatError, match="no length"):
            read_volume(tmp_path / "v.nii")

    def test_complex_numbers(self, tmp_path):
        file = self.save(tmp_path / "v.nii", np.zeros((4, 4, 4), np.complex64))
        with pytest.raises(FileFormatError, match="datatype"):
            read_volume(file)

    def test_nifti_2_and_pairs_are_named(self, tmp_path):
        data = np.zeros((4, 4, 4), np.int16)
        nibabel.save(nibabel.Nifti2Image(data, np.eye(4)), tmp_path / "two.nii")
        nibabel.save(nibabel.Nifti1Pair(data, np.eye(4)), tmp_path / "pair.hdr")
        with pytest.raises(FileFormatError, match="NIfTI version 2"):
            read_volume(tmp_path / "two.nii")
        with pytest.raises(FileFormatError, match=r"\.hdr/\.img pair"):
            read_volume(tmp_path / "pair.hdr")
        assert is_nifti(tmp_path / "two.nii")
        assert is_nifti(tmp_path / "pair.hdr")

    @pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
    def test_truncated_anywhere(self, tmp_path, suffix):
        file = tmp_path / f"v{suffix}"
        write_volume(a_volume(a_grid()), file)
        whole = file.read_bytes()
        for length in range(0, len(whole) - 1, 37):
            file.write_bytes(whole[:length])
            with pytest.raises(FileFormatError):
                read_volume(file)

    def test_not_nifti(self, tmp_path):
        file = tmp_path / "v.nii.gz"
        file.write_bytes(gzip.compress(b"x" * 1000))
        assert not is_nifti(file)
        with pytest.raises(FileFormatError, match="NIfTI-1"):
            read_volume(file)
        with pytest.raises(FileFormatError, match="cannot be read"):
            read_volume(tmp_path / "absent.nii")
        with pytest.raises(FileFormatError):
            read_volume(tmp_path)

    def test_names_and_places_to_write(self, tmp_path):
        volume = a_volume(a_grid())
        with pytest.raises(InputError, match=r"\.nii"):
            write_volume(volume, tmp_path / "v.img")
        (tmp_path / "file").write_text("x")
        with pytest.raises(OutputError):
            write_volume(volume, tmp_path / "file" / "v.nii")
