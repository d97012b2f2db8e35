"""Frames of XA runs: the pose from tags, what is missing asked for by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from irplan.dicom.xa_frame import PoseTags, read_xa_frame
from irplan.errors import DicomError, InputError

ISO = (1.0, 2.0, 3.0)


def _run(path: Path, **tags: object) -> Path:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.12.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID = meta.MediaStorageSOPClassUID
    data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    values: dict[str, object] = {
        "Modality": "XA", "Rows": 40, "Columns": 60, "NumberOfFrames": 3, "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16,
        "HighBit": 15, "PixelRepresentation": 0, "PositionerPrimaryAngle": 12.5,
        "PositionerSecondaryAngle": -7.0, "DistanceSourceToDetector": 1195.0,
        "DistanceSourceToPatient": 810.0, "ImagerPixelSpacing": [0.3, 0.25],
        "PatientPosition": "HFS",
    } | tags  # fmt: skip
    for keyword, value in values.items():
        if value is not None:
            setattr(data, keyword, value)
    data.PixelData = np.arange(3 * 40 * 60, dtype=np.uint16).tobytes()
    data.save_as(path, enforce_file_format=True)
    return path


def test_the_pose_is_that_of_the_tags(tmp_path: Path) -> None:
    found = read_xa_frame(_run(tmp_path / "run.dcm"), isocentre_mm=ISO, frame=2)
    arm = found.c_arm
    assert (arm.primary_deg, arm.secondary_deg) == (12.5, -7.0)
    assert (arm.source_isocentre_mm, arm.source_detector_mm) == (810.0, 1195.0)
    assert (arm.detector_shape, arm.pixel_spacing_mm) == ((40, 60), (0.3, 0.25))
    assert arm.project(ISO) == pytest.approx((29.5, 19.5))
    assert found.pixels[0, 0] == 2400
    assert found.notes == ()


def test_a_moving_run_has_a_pose_of_its_own_in_each_frame(tmp_path: Path) -> None:
    file = _run(tmp_path / "m.dcm", PositionerPrimaryAngleIncrement=[0.0, 2.0, 4.5])
    assert read_xa_frame(file, isocentre_mm=ISO, frame=3).c_arm.primary_deg == 17.0


def test_an_enhanced_run_is_read_by_its_patient_angles(tmp_path: Path) -> None:
    position, geometry, group = Dataset(), Dataset(), Dataset()
    position.PositionerPrimaryAngle = 30.0
    position.PositionerSecondaryAngle = 5.0
    geometry.DistanceSourceToDetector = 1100.0
    group.PositionerPositionSequence = Sequence([position])
    group.XRayGeometrySequence = Sequence([geometry])
    machine = Dataset()
    machine.PositionerIsocenterPrimaryAngle = -99.0
    group.IsocenterReferenceSystemSequence = Sequence([machine])
    file = _run(
        tmp_path / "e.dcm", PositionerPrimaryAngle=None, PositionerSecondaryAngle=None,
        DistanceSourceToDetector=None, SharedFunctionalGroupsSequence=Sequence([group]),
    )  # fmt: skip
    arm = read_xa_frame(file, isocentre_mm=ISO).c_arm
    assert (arm.primary_deg, arm.secondary_deg, arm.source_detector_mm) == (30.0, 5.0, 1100.0)


def test_every_missing_tag_is_asked_for_at_once(tmp_path: Path) -> None:
    file = _run(
        tmp_path / "bare.dcm", DistanceSourceToDetector=None, PatientPosition=None,
        ImagerPixelSpacing=None,
    )  # fmt: skip
    with pytest.raises(DicomError) as caught:
        read_xa_frame(file, isocentre_mm=None)
    assert "DistanceSourceToDetector (0018,1110)" in caught.value.got
    assert caught.value.remedy == "State it: --sid --pixel --position --isocentre x,y,z"
    found = read_xa_frame(
        file,
        isocentre_mm=ISO,
        stated=PoseTags(
            primary_deg=99.0,  # the file says it: the file's is taken
            source_detector_mm=1195.0,
            pixel_spacing_mm=(0.3, 0.3),
            patient_position="FFS",
        ),
    )
    assert found.c_arm.primary_deg == 12.5
    assert found.notes == (
        "Stated by the user, not by the file: source_detector_mm, pixel_spacing_mm, "
        "patient_position.",
    )


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"Modality": "CT"}, "XA or RF"),
        ({"FieldOfViewRotation": 90}, "turned by 90"),
        ({"FieldOfViewHorizontalFlip": "YES"}, "mirrored"),
        ({"PatientPosition": "LYING"}, "PatientPosition .* says 'LYING'"),
    ],
)
def test_wrong_runs_are_refused(tmp_path: Path, tags: dict[str, object], words: str) -> None:
    with pytest.raises((DicomError, InputError), match=words):
        read_xa_frame(_run(tmp_path / "x.dcm", **tags), isocentre_mm=ISO)


def test_a_position_that_dicom_does_not_know_can_be_stated(tmp_path: Path) -> None:
    file = _run(tmp_path / "odd.dcm", PatientPosition="SITTING")
    found = read_xa_frame(file, isocentre_mm=ISO, stated=PoseTags(patient_position="FFP"))
    assert found.c_arm.patient_position == "FFP"
    assert found.notes == ("Stated by the user, not by the file: patient_position.",)


def test_a_frame_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 to 3"):
        read_xa_frame(_run(tmp_path / "x.dcm"), isocentre_mm=ISO, frame=4)


@pytest.mark.data
def test_a_real_run_without_pose_tags_is_asked_for_them(
    shared_data: Callable[[str], Path],
) -> None:
    file = shared_data("xa") / "rubo_0002_xa_multiframe.dcm"
    with pytest.raises(DicomError) as caught:
        read_xa_frame(file, isocentre_mm=ISO)
    assert caught.value.remedy == "State it: --sid --sod --pixel --position"
    stated = PoseTags(
        source_detector_mm=1000.0, source_isocentre_mm=750.0, pixel_spacing_mm=(0.4, 0.4),
        patient_position="HFS",
    )  # fmt: skip
    found = read_xa_frame(file, isocentre_mm=ISO, stated=stated, frame=10)
    assert (found.c_arm.primary_deg, found.c_arm.secondary_deg) == (-32.0, 2.0)
    assert found.pixels.shape == (512, 512)
