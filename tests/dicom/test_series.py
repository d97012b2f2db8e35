"""A good series is read voxel by voxel to its LPS place; every bad one is named."""

from __future__ import annotations

import time

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import JPEGLSLossless, RLELossless, SecondaryCaptureImageStorage, generate_uid

from irplan.dicom import load_series, read_series
from irplan.errors import CancelledError, DicomError

COS, SIN = np.cos(np.radians(20)), np.sin(np.radians(20))
ORIENTATIONS = {
    "axial": (1, 0, 0, 0, 1, 0),
    "prone": (-1, 0, 0, 0, -1, 0),
    "feet first": (-1, 0, 0, 0, 1, 0),
    "coronal": (1, 0, 0, 0, 0, -1),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "oblique": (COS, SIN, 0, -SIN * COS, COS * COS, SIN),
}


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_every_voxel_is_at_its_place(series, tmp_path, name):
    made = series(orientation=ORIENTATIONS[name])
    hu = made.write(tmp_path)
    volume = read_series(tmp_path)
    assert volume.quantity == "HU"
    assert volume.array.dtype == np.int16
    stored = np.indices(hu.shape).reshape(3, -1).T
    lps = np.array([made.lps(i) for i in stored])
    index = volume.grid.lps_to_index(lps)
    nearest = np.rint(index).astype(int)
    assert np.abs(index - nearest).max() < 1e-4
    np.testing.assert_array_equal(volume.array[tuple(nearest.T)], hu.reshape(-1))
    assert volume.grid.frame_of_reference_uid == made.frame_uid


@pytest.mark.parametrize("name", ["prone", "coronal", "sagittal"])
def test_axes_run_to_head_back_and_left(series, tmp_path, name):
    series(orientation=ORIENTATIONS[name]).write(tmp_path)
    direction = read_series(tmp_path).grid.direction
    np.testing.assert_allclose(direction, [[0, 0, 1], [0, 1, 0], [1, 0, 0]], atol=1e-9)


def test_highdicom_agrees_on_positions(series, tmp_path):
    made = series(orientation=ORIENTATIONS["oblique"])
    made.write(tmp_path)
    theirs = highdicom.get_volume_from_series([pydicom.dcmread(f) for f in tmp_path.iterdir()])
    ours = read_series(tmp_path)
    for corner in ((0, 0, 0), (5, 7, 9), (0, 7, 0)):
        lps = (theirs.affine @ (*corner, 1.0))[:3]
        index = np.rint(ours.grid.lps_to_index(lps)).astype(int)
        np.testing.assert_allclose(ours.grid.index_to_lps(index), lps, atol=1e-4)
        assert theirs.array[corner] == ours.array[tuple(index)]


@pytest.mark.data
def test_simpleitk_agrees_on_the_real_scan(shared_data):
    folder = shared_data("ircadb01_p1") / "PATIENT_DICOM"
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    theirs = reader.Execute()
    start = time.process_time()
    volume, info = load_series(folder)
    assert time.process_time() - start < 3.0
    np.testing.assert_array_equal(volume.array, SimpleITK.GetArrayFromImage(theirs))
    size = np.array(theirs.GetSize())
    for corner in np.ndindex(2, 2, 2):
        ijk = np.array(corner) * (size - 1)
        lps = theirs.TransformContinuousIndexToPhysicalPoint(ijk.astype(float).tolist())
        np.testing.assert_allclose(volume.grid.index_to_lps(ijk[::-1]), lps, atol=1e-3)
    assert volume.array.dtype == np.int16
    assert info.spacing_mm == pytest.approx((1.6, 0.57, 0.57), abs=1e-6)
    assert info.notes == ()


def test_facts_without_patient_data(series, tmp_path):
    series().write(tmp_path)
    _, info = load_series(tmp_path)
    assert (info.slices, info.rows, info.columns) == (6, 8, 10)
    assert info.spacing_mm == pytest.approx((2.5, 0.8, 0.7))
    assert info.slice_thickness_mm == 5.0
    assert (info.modality, info.plane, info.kernel) == ("CT", "axial", "B30f")
    assert info.phase == "portal venous"
    assert "ecret" not in repr(info)
    assert "SECRET" not in repr(info)


def test_one_file_of_a_folder_means_its_series(series, tmp_path):
    series(prefix="A").write(tmp_path)
    hu = series(seed=3, prefix="B").write(tmp_path)
    volume = read_series(tmp_path / "B0000")
    np.testing.assert_array_equal(volume.array, hu)


def test_subfolders_are_searched_only_when_the_folder_has_none(series, tmp_path):
    hu = series().write(tmp_path / "deep" / "er")
    np.testing.assert_array_equal(read_series(tmp_path).array, hu)


def test_other_files_are_left_aside_and_said(series, tmp_path):
    made = series()
    hu = made.write(tmp_path)
    (tmp_path / "DICOMDIR").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("hello")
    scout = made.dataset(0)
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout.save_as(tmp_path / "scout")
    report = made.dataset(0)
    del report.PixelData, report.Rows, report.Columns
    report.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.67"
    report.save_as(tmp_path / "dose")
    volume, info = load_series(tmp_path)
    np.testing.assert_array_equal(volume.array, hu)
    assert [n[:40] for n in info.notes] == [
        "1 file left aside: X-Ray Radiation Dose ",
        "1 file left aside: not DICOM.",
        "1 file left aside: localizer (scout).",
    ]


def test_file_without_preamble(series, tmp_path):
    hu = series().write(tmp_path / "a")
    (tmp_path / "b").mkdir()
    for file in (tmp_path / "a").iterdir():
        ds = pydicom.dcmread(file)
        bare = Dataset()
        bare.update({e.tag: e for e in ds})
        bare.save_as(tmp_path / "b" / file.name, implicit_vr=True, little_endian=True)
    np.testing.assert_array_equal(read_series(tmp_path / "b").array, hu)


class TestScale:
    def test_signed_without_intercept(self, series, tmp_path):
        hu = series(signed=True, intercept=0.0).write(tmp_path)
        np.testing.assert_array_equal(read_series(tmp_path).array, hu)

    def test_slope_and_intercept_of_each_slice(self, series, tmp_path):
        made = series()

        def own_scale(index, ds):
            ds.RescaleIntercept = -1024 - 10 * index

        made.edit = own_scale
        hu = made.write(tmp_path)
        shift = -10 * np.arange(made.count)[:, None, None]
        expected = np.maximum(hu + shift, -1024)
        np.testing.assert_array_equal(read_series(tmp_path).array, expected)

    def test_fractional_slope_gives_float32(self, series, tmp_path):
        made = series(slope=0.5)
        hu = made.write(tmp_path)
        volume = read_series(tmp_path)
        assert volume.array.dtype == np.float32
        np.testing.assert_allclose(volume.array, hu, atol=1e-4)

    def test_beyond_int16_gives_float32(self, series, tmp_path):
        def metal(index, ds):
            pixels = np.frombuffer(ds.PixelData, np.uint16).copy()
            pixels[35] = 60000
            ds.PixelData = pixels.tobytes()

        series(edit=metal).write(tmp_path)
        volume = read_series(tmp_path)
        assert volume.array.dtype == np.float32
        assert volume.array.max() == 60000 - 1024

    def test_no_scale_is_refused_unless_the_numbers_are_hu(self, series, tmp_path):
        def without(index, ds):
            del ds.RescaleSlope, ds.RescaleIntercept

        series(edit=without).write(tmp_path / "raw")
        with pytest.raises(DicomError, match="RescaleSlope"):
            read_series(tmp_path / "raw")
        hu = series(edit=without, signed=True, intercept=0.0).write(tmp_path / "hu")
        volume, info = load_series(tmp_path / "hu")
        np.testing.assert_array_equal(volume.array, hu)
        assert any("No rescale tags" in n for n in info.notes)

    def test_slope_zero(self, series, tmp_path):
        def zero(index, ds):
            ds.RescaleSlope = 0

        series(edit=zero).write(tmp_path)
        with pytest.raises(DicomError, match="RescaleSlope"):
            read_series(tmp_path)

    def test_twelve_bits_with_rubbish_above(self, series, tmp_path):
        def overlay(index, ds):
            pixels = np.frombuffer(ds.PixelData, np.uint16) | 0x8000
            ds.PixelData = pixels.astype(np.uint16).tobytes()
            ds.BitsStored, ds.HighBit = 12, 11

        hu = series(edit=overlay).write(tmp_path)
        np.testing.assert_array_equal(read_series(tmp_path).array, hu)


class TestPadding:
    @pytest.mark.parametrize(
        ("value", "tag"), [(-2000, -2000), (-2000, 63536), (-3024, None), (-32768, -32768)]
    )
    def test_padding_becomes_air(self, series, tmp_path, value, tag):
        def corner(index, ds):
            pixels = np.frombuffer(ds.PixelData, np.int16).copy()
            pixels[0] = value
            ds.PixelData = pixels.tobytes()
            if tag is not None:
                kind = "SS" if tag < 0 else "US"
                ds.add_new("PixelPaddingValue", kind, tag)

        made = series(signed=True, intercept=0.0, edit=corner)
        hu = made.write(tmp_path)
        volume, info = load_series(tmp_path)
        hu[:, 0, 0] = -1024
        np.testing.assert_array_equal(volume.array, hu)
        assert info.padding_voxels == made.count

    def test_a_padding_value_that_tissue_has_is_ignored_and_said(self, series, tmp_path):
        def zero(index, ds):
            ds.add_new("PixelPaddingValue", "US", 1024)  # 0 HU

        hu = series(edit=zero).write(tmp_path)
        volume, info = load_series(tmp_path)
        np.testing.assert_array_equal(volume.array, hu)
        assert any("tissue" in n for n in info.notes)


class TestBadGeometry:
    def test_missing_slices_are_placed(self, series, tmp_path):
        heights = [100, 102.5, 105, 112.5, 115, 120]
        series(positions=[(0, 0, z) for z in heights]).write(tmp_path)
        with pytest.raises(DicomError, match="missing") as caught:
            read_series(tmp_path)
        assert "2 between z = 105.00 and 112.50 mm" in caught.value.got
        assert "1 between z = 115.00 and 120.00 mm" in caught.value.got

    def test_duplicates_equal_and_different(self, series, tmp_path):
        made = series()
        made.write(tmp_path)
        copy = made.dataset(2)
        copy.save_as(tmp_path / "copy")
        with pytest.raises(DicomError, match="equal pixels") as caught:
            read_series(tmp_path)
        assert "z = 105.00 mm" in caught.value.got
        copy.PixelData = bytes(len(copy.PixelData))
        copy.save_as(tmp_path / "copy")
        with pytest.raises(DicomError, match="different pixels"):
            read_series(tmp_path)

    def test_gantry_tilt(self, series, tmp_path):
        tilt = np.tan(np.radians(10))
        places = [(0, 2.5 * i * tilt, 2.5 * i) for i in range(6)]
        series(positions=places).write(tmp_path)
        with pytest.raises(DicomError, match=r"10\.00 deg"):
            read_series(tmp_path)

    def test_one_slice_shifted_sideways(self, series, tmp_path):
        places = [(1.0 * (i == 3), 0, 2.5 * i) for i in range(6)]
        series(positions=places).write(tmp_path)
        with pytest.raises(DicomError, match="sideways"):
            read_series(tmp_path)

    def test_irregular_spacing(self, series, tmp_path):
        series(positions=[(0, 0, z) for z in (0, 2.5, 5, 8.2, 10, 12.5)]).write(tmp_path)
        with pytest.raises(DicomError, match="equal gaps"):
            read_series(tmp_path)

    def test_rounded_positions_are_accepted_and_said(self, series, tmp_path):
        heights = np.round(np.arange(6) * 0.75, 1)
        series(positions=[(0, 0, z) for z in heights]).write(tmp_path)
        volume, info = load_series(tmp_path)
        assert volume.grid.spacing_mm[0] == pytest.approx(0.76)
        assert any("off their regular places" in n for n in info.notes)

    def test_slice_thickness_is_not_the_spacing(self, series, tmp_path):
        def stated(index, ds):
            ds.SpacingBetweenSlices = 5.0

        series(edit=stated).write(tmp_path)
        volume, info = load_series(tmp_path)
        assert volume.grid.spacing_mm[0] == pytest.approx(2.5)
        assert any("SpacingBetweenSlices says 5 mm" in n for n in info.notes)

    def test_single_slice(self, series, tmp_path):
        series(count=1).write(tmp_path)
        with pytest.raises(DicomError, match="single slice"):
            read_series(tmp_path)

    @pytest.mark.parametrize(
        ("keyword", "value", "words"),
        [
            ("ImageOrientationPatient", [1, 0, 0, 0, COS, SIN], "orientation"),
            ("PixelSpacing", [0.8, 0.8], "PixelSpacing"),
            ("FrameOfReferenceUID", "1.2.3", "frames of reference"),
        ],
    )
    def test_one_slice_differs(self, series, tmp_path, keyword, value, words):
        def spoil(index, ds):
            if index == 2:
                setattr(ds, keyword, value)

        series(edit=spoil).write(tmp_path)
        with pytest.raises(DicomError, match=words):
            read_series(tmp_path)

    def test_sizes_differ(self, series, tmp_path):
        made = series()
        made.write(tmp_path)
        series(columns=12, series_uid=made.series_uid, prefix="X").write(tmp_path)
        with pytest.raises(DicomError, match="8 x 10 and 8 x 12"):
            read_series(tmp_path)

    @pytest.mark.parametrize(
        "keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"]
    )
    def test_missing_tag_is_named(self, series, tmp_path, keyword):
        def spoil(index, ds):
            delattr(ds, keyword)

        series(edit=spoil).write(tmp_path)
        with pytest.raises(DicomError, match=keyword):
            read_series(tmp_path)

    def test_orientation_that_is_not_perpendicular(self, series, tmp_path):
        def spoil(index, ds):
            ds.ImageOrientationPatient = [1, 0, 0, 0.1, 1, 0]

        series(edit=spoil).write(tmp_path)
        with pytest.raises(DicomError, match="perpendicular"):
            read_series(tmp_path)


class TestWrongFiles:
    def test_two_series_are_listed_and_one_can_be_picked(self, series, tmp_path):
        first = series(prefix="A")
        hu = first.write(tmp_path)
        second = series(prefix="B", count=3, seed=5)
        second.write(tmp_path)
        with pytest.raises(DicomError, match="2 series") as caught:
            read_series(tmp_path)
        assert "CT, 6 images of 8 x 10" in caught.value.got
        assert "CT, 3 images of 8 x 10" in caught.value.got
        assert "series_uid" in caught.value.remedy
        assert "ecret" not in str(caught.value)
        np.testing.assert_array_equal(read_series(tmp_path, series_uid=first.series_uid).array, hu)
        assert read_series(tmp_path, series_uid=second.series_uid[-12:]).array.shape[0] == 3
        with pytest.raises(DicomError, match="fits 0 series"):
            read_series(tmp_path, series_uid="9.9.9")

    def test_mr_is_refused(self, series, tmp_path):
        def mr(index, ds):
            ds.Modality = "MR"

        series(edit=mr).write(tmp_path)
        with pytest.raises(DicomError, match=r"MR, 6 images.*expected a CT series"):
            read_series(tmp_path)
        assert read_series(tmp_path, modalities=("MR",)).array.shape == (6, 8, 10)

    def test_ct_beside_another_modality_is_taken_and_said(self, series, tmp_path):
        def pt(index, ds):
            ds.Modality = "PT"

        hu = series().write(tmp_path)
        series(edit=pt, prefix="P").write(tmp_path)
        volume, info = load_series(tmp_path)
        np.testing.assert_array_equal(volume.array, hu)
        assert any("passed over: PT" in n for n in info.notes)

    def test_truncated_pixels_name_the_file_only(self, series, tmp_path):
        series().write(tmp_path)
        file = tmp_path / "IM0003"
        file.write_bytes(file.read_bytes()[:-50])
        with pytest.raises(DicomError, match="truncated") as caught:
            read_series(tmp_path)
        assert "IM0003" in caught.value.field
        assert str(tmp_path) not in str(caught.value)

    def test_truncation_anywhere_is_an_irplan_error(self, series, tmp_path):
        series().write(tmp_path)
        file = tmp_path / "IM0003"
        whole = file.read_bytes()
        for length in [*range(133, len(whole) - 1, 29), len(whole) - 1]:
            file.write_bytes(whole[:length])
            with pytest.raises(DicomError):
                read_series(tmp_path)

    def test_no_folder_empty_folder_no_dicom(self, tmp_path):
        with pytest.raises(DicomError, match="nothing there"):
            read_series(tmp_path / "absent")
        with pytest.raises(DicomError, match="an empty folder"):
            read_series(tmp_path)
        (tmp_path / "a.txt").write_text("x" * 500)
        with pytest.raises(DicomError, match="not DICOM"):
            read_series(tmp_path)
        with pytest.raises(DicomError, match="not DICOM"):
            read_series(tmp_path / "a.txt")

    def test_screen_capture(self, series, tmp_path):
        def colour(index, ds):
            ds.SOPClassUID = SecondaryCaptureImageStorage
            ds.SamplesPerPixel = 3
            ds.PhotometricInterpretation = "RGB"

        series(edit=colour).write(tmp_path)
        with pytest.raises(DicomError, match="screen capture"):
            read_series(tmp_path)

    def test_x_ray_run(self, series, tmp_path):
        def run(index, ds):
            ds.Modality = "XA"
            ds.NumberOfFrames = 3

        series(edit=run, count=1).write(tmp_path)
        with pytest.raises(DicomError, match="X-ray run"):
            read_series(tmp_path, modalities=("XA",))

    def test_cancel_passes_through(self, series, tmp_path):
        series().write(tmp_path)

        def stop(fraction, message):
            if fraction > 0.5:
                raise CancelledError("reading")

        with pytest.raises(CancelledError):
            read_series(tmp_path, progress=stop)


class TestCompression:
    def test_rle(self, series, tmp_path):
        def compress(index, ds):
            ds.compress(RLELossless)

        hu = series(edit=compress).write(tmp_path)
        np.testing.assert_array_equal(read_series(tmp_path).array, hu)

    def test_what_pydicom_cannot_decode_goes_to_gdcm(self, series, tmp_path, monkeypatch):
        def compress(index, ds):
            ds.compress(JPEGLSLossless)

        hu = series(edit=compress).write(tmp_path)
        monkeypatch.setattr("irplan.dicom.pixels._pydicom_can", lambda syntax: False)
        volume, info = load_series(tmp_path)
        np.testing.assert_array_equal(volume.array, hu)
        assert any("GDCM (JPEG-LS" in n for n in info.notes)

    def test_unknown_compression(self, series, tmp_path):
        def strange(index, ds):
            ds.compress(RLELossless)
            ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"  # MPEG-2

        series(edit=strange).write(tmp_path)
        with pytest.raises(DicomError, match="cannot be decoded"):
            read_series(tmp_path)

    def test_damaged_compression(self, series, tmp_path):
        def damage(index, ds):
            ds.compress(RLELossless)
            if index == 1:
                ds.PixelData = ds.PixelData[:30] + b"\xff" * (len(ds.PixelData) - 30)

        series(edit=damage).write(tmp_path)
        with pytest.raises(DicomError):
            read_series(tmp_path)


def test_enhanced_multi_frame(series, tmp_path):
    made = series()
    ds = made.dataset(0)
    hu = made.hu()
    order = [3, 0, 5, 1, 4, 2]
    stored = np.stack([np.frombuffer(made.dataset(i).PixelData, np.uint16) for i in order])
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    ds.NumberOfFrames = made.count
    ds.PixelData = stored.tobytes()
    shared = Dataset()
    measure, turn, scale = Dataset(), Dataset(), Dataset()
    measure.PixelSpacing, turn.ImageOrientationPatient = ds.PixelSpacing, ds.ImageOrientationPatient
    scale.RescaleSlope, scale.RescaleIntercept = 1, -1024
    shared.PixelMeasuresSequence = DicomSequence([measure])
    shared.PlaneOrientationSequence = DicomSequence([turn])
    shared.PixelValueTransformationSequence = DicomSequence([scale])
    ds.SharedFunctionalGroupsSequence = DicomSequence([shared])
    frames = []
    for index in order:
        place, frame = Dataset(), Dataset()
        place.ImagePositionPatient = made.dataset(index).ImagePositionPatient
        frame.PlanePositionSequence = DicomSequence([place])
        frames.append(frame)
    ds.PerFrameFunctionalGroupsSequence = DicomSequence(frames)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(ds, keyword)
    del ds.RescaleSlope, ds.RescaleIntercept
    ds.SOPInstanceUID = generate_uid()
    ds.save_as(tmp_path / "enhanced.dcm")
    volume = read_series(tmp_path / "enhanced.dcm")
    np.testing.assert_array_equal(volume.array, hu)
    np.testing.assert_allclose(volume.grid.index_to_lps([5, 7, 9]), made.lps([5, 7, 9]), atol=1e-6)
