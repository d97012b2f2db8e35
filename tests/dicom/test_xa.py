"""XA runs: written, read back by pydicom, filtered with the header kept, refused in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from irplan.dicom.xa_read import read_xa
from irplan.dicom.xa_write import filtered_dataset, simulated_dataset
from irplan.errors import DicomError, InputError
from irplan.image import FluoroSequence


def saved(data: pydicom.FileDataset, path: Path) -> Path:
    data.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    frames = rng.integers(200, 3000, size=(5, 24, 32)).astype(np.uint16)
    times = np.array([0.0, 0.1, 0.2, 0.3, 0.5])
    run = FluoroSequence(frames, times, pixel_spacing_mm=(0.2, 0.25))
    return saved(simulated_dataset(run, description="phantom"), tmp_path / "run.dcm")


def changed(path: Path, **values: object) -> Path:
    data = pydicom.dcmread(path)
    for key, value in values.items():
        if value is None:
            delattr(data, key)
        else:
            setattr(data, key, value)
    out = path.with_name("changed.dcm")
    data.save_as(out)
    return out


def test_simulated_run_reads_back(run_file: Path) -> None:
    data = pydicom.dcmread(run_file)
    assert data.SOPClassUID == "1.2.840.10008.5.1.4.1.1.12.1"
    assert data.pixel_array.shape == (5, 24, 32)
    read = read_xa(run_file)
    assert np.array_equal(read.run.frames, data.pixel_array)
    np.testing.assert_allclose(read.run.times_s, [0.0, 0.1, 0.2, 0.3, 0.5], atol=1e-6)
    assert read.run.photometry.relation == "linear"
    assert read.run.pixel_spacing_mm == (0.2, 0.25)
    assert any("1 frames are missing" in n for n in read.notes)


def test_filtered_run_keeps_the_header(run_file: Path, tmp_path: Path) -> None:
    path = changed(run_file, PatientComments="kept", KVP=81, SeriesDescription="left arm")
    source = read_xa(path)
    data = filtered_dataset(source, source.run.frames.astype(float) + 0.4, description="test")
    out = saved(data, tmp_path / "out.dcm")
    before, after = pydicom.dcmread(path), pydicom.dcmread(out)
    assert np.array_equal(after.pixel_array, before.pixel_array)
    for element in before:
        if element.keyword in (
            "SOPInstanceUID",
            "SeriesInstanceUID",
            "SeriesDescription",
            "ImageType",
            "PixelData",
        ):
            continue
        assert after[element.tag].value == element.value, element.keyword
    assert list(after.ImageType)[:2] == ["DERIVED", "SECONDARY"]
    assert after.SOPInstanceUID != before.SOPInstanceUID
    assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID
    assert after.SourceImageSequence[0].ReferencedSOPInstanceUID == before.SOPInstanceUID
    assert after.DerivationDescription == "test"
    assert after.ContributingEquipmentSequence[0].Manufacturer == "irplan"
    with pytest.raises(InputError, match="Filter every frame"):
        filtered_dataset(source, source.run.frames[1:], description="")


def test_monochrome1_is_turned_round_and_back(run_file: Path, tmp_path: Path) -> None:
    path = changed(
        run_file, PhotometricInterpretation="MONOCHROME1", PixelIntensityRelationshipSign=None
    )
    source = read_xa(path)
    assert source.turned
    stored = pydicom.dcmread(path).pixel_array
    assert np.array_equal(source.run.frames, 65535 - stored)
    out = saved(filtered_dataset(source, source.run.frames, description=""), tmp_path / "o.dcm")
    assert np.array_equal(pydicom.dcmread(out).pixel_array, stored)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"NumberOfFrames": 1}, "a single frame"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "PALETTE COLOR"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "CT Image Storage"),
        ({"NumberOfFrames": 9}, "bytes"),
    ],
)
def test_refusals(run_file: Path, values: dict[str, object], words: str) -> None:
    with pytest.raises(DicomError, match=words):
        read_xa(changed(run_file, **values))


def test_a_compression_without_decoder_is_named(run_file: Path) -> None:
    data = pydicom.dcmread(run_file)
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.205"
    data.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51no stream"] * 5)
    data["PixelData"].is_undefined_length = True
    out = run_file.with_name("odd.dcm")
    data.save_as(out)
    with pytest.raises(DicomError, match="cannot be decoded"):
        read_xa(out)


def test_missing_facts_are_told(run_file: Path) -> None:
    path = changed(
        run_file,
        ImagerPixelSpacing=None,
        FrameTimeVector=None,
        PixelIntensityRelationship=None,
        LossyImageCompression="01",
    )
    read = read_xa(path)
    said = " ".join(read.notes)
    for words in ("no pixel spacing", "15 a second", "not stated", "lossy"):
        assert words in said
    assert read.run.photometry.relation == "display"
    assert read.run.photometry.lossy


@pytest.mark.data
def test_recorded_runs(shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("xa")
    read = read_xa(folder / "rubo_0002_xa_multiframe.dcm")
    assert read.run.frames.shape == (96, 512, 512)
    assert read.run.rate_hz == pytest.approx(1000 / 33, rel=1e-6)
    assert any("lossy" in n for n in read.notes)
    with pytest.raises(DicomError, match="single frame"):
        read_xa(folder / "rubo_0015_rf_biliary.dcm")


def test_an_enhanced_run_is_read_by_its_groups(run_file: Path, tmp_path: Path) -> None:
    data = pydicom.dcmread(run_file)
    stored = data.pixel_array
    for keyword in (
        "PixelIntensityRelationship", "PixelIntensityRelationshipSign", "ImagerPixelSpacing",
        "FrameTimeVector", "FrameIncrementPointer",
    ):  # fmt: skip
        delattr(data, keyword)
    values, group = Dataset(), Dataset()
    values.FrameType = ["ORIGINAL", "PRIMARY", "SINGLE PLANE", "NONE"]
    values.PixelIntensityRelationship, values.PixelIntensityRelationshipSign = "LIN", -1
    values.ImagerPixelSpacing = [0.154, 0.154]
    group.FramePixelDataPropertiesSequence = [values]
    data.SharedFunctionalGroupsSequence = [group]
    data.PerFrameFunctionalGroupsSequence = []
    for second in ("00.9", "01.0", "01.1", "01.2", "01.5"):
        content, each = Dataset(), Dataset()
        content.FrameAcquisitionDateTime = f"202611301200{second}"
        each.FrameContentSequence = [content]
        data.PerFrameFunctionalGroupsSequence.append(each)
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.12.1.1"
    source = read_xa(saved(data, tmp_path / "enhanced.dcm"))
    assert np.array_equal(source.run.frames, 65535 - stored)  # the sign of the groups
    assert source.run.photometry.relation == "linear"
    assert source.run.pixel_spacing_mm == (0.154, 0.154)
    np.testing.assert_allclose(source.run.times_s, [0.0, 0.1, 0.2, 0.3, 0.6], atol=1e-9)
    assert any("2 frames are missing" in n for n in source.notes)
    out = saved(filtered_dataset(source, source.run.frames, description="x"), tmp_path / "o.dcm")
    after = pydicom.dcmread(out)
    assert np.array_equal(after.pixel_array, stored)
    kind = after.SharedFunctionalGroupsSequence[0].FramePixelDataPropertiesSequence[0].FrameType
    assert list(kind) == ["DERIVED", "SECONDARY", "SINGLE PLANE", "NONE"]


def test_a_subtracted_run_is_not_subtracted_again(run_file: Path, tmp_path: Path) -> None:
    mask = Dataset()
    mask.MaskOperation, mask.MaskFrameNumbers = "AVG_SUB", [1, 2, 99]
    path = changed(
        run_file, MaskSubtractionSequence=[mask], RecommendedViewingMode="SUB",
        DerivationDescription="vendor's filter", WindowCenter=500, WindowWidth=100,
    )  # fmt: skip
    source = read_xa(path)
    assert source.run.mask_frames == (0, 1)
    assert any("1 of 3 mask frames" in n for n in source.notes)
    frames = np.full(source.run.frames.shape, 50000.0)
    frames[:, 8:16] = 30000.0
    data = filtered_dataset(source, frames, description="irplan's", subtracted=True)
    after = pydicom.dcmread(saved(data, tmp_path / "o.dcm"))
    assert "MaskSubtractionSequence" not in after
    assert "RecommendedViewingMode" not in after
    assert (after.PixelIntensityRelationship, after.PixelIntensityRelationshipSign) == ("DISP", 1)
    low, high = (float(after.WindowCenter) + s * float(after.WindowWidth) / 2 for s in (-1, 1))
    assert low <= 30000 <= 50000 <= high + 1
    assert after.DerivationDescription == "vendor's filter; irplan's"


def test_pixels_that_are_stored_high(run_file: Path, tmp_path: Path) -> None:
    data = pydicom.dcmread(run_file)
    values = (data.pixel_array // 4).astype("<u2")  # 12 bits, in the upper bits of 16
    data.BitsStored, data.HighBit, data.PixelData = 12, 15, (values << 4).tobytes()
    source = read_xa(saved(data, tmp_path / "high.dcm"))
    assert np.array_equal(source.run.frames, values)
    out = saved(filtered_dataset(source, values, description=""), tmp_path / "o.dcm")
    after = pydicom.dcmread(out)
    assert (after.BitsStored, after.HighBit) == (12, 11)
    assert np.array_equal(after.pixel_array, values)
