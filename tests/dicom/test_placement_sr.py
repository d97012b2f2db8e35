"""Needles as a structured report: written, then read back by highdicom and item by item."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from irplan.dicom.placement_sr import placement_sr, read_placement_sr
from irplan.errors import DicomError, InputError
from irplan.planning.review import set_review
from tests.planning.test_review import PLACED, PLAN, SIGNED

FRAME = "1.2.826.0.1.3680043.8.498.1"


def a_slice(frame: str = FRAME) -> pydicom.Dataset:
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, "1.2.3.4"
    data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    data.FrameOfReferenceUID = frame
    data.PatientID, data.PatientName = "phantom", "Phantom^A"
    data.PatientBirthDate = data.PatientSex = data.AccessionNumber = ""
    data.StudyID = data.StudyDate = data.StudyTime = data.ReferringPhysicianName = ""
    return data


PLAN_3D = replace(PLAN, frame_of_reference_uid=FRAME, placements=(PLACED, PLACED))


def test_round_trip_and_an_independent_reader(tmp_path: Path) -> None:
    file = tmp_path / "sr.dcm"
    placement_sr(PLAN_3D, a_slice()).save_as(file, enforce_file_format=True)
    found = read_placement_sr(file)
    assert [n for _, n in found] == [PLACED.needle, PLACED.needle]
    assert found[0][0] == "needle 1 (cryo-17g-rod, planned)"
    report = highdicom.sr.srread(file).content
    groups = report.get_planar_roi_measurement_groups()
    regions = [g.roi for g in groups]
    assert [r.graphic_type.value for r in regions] == ["POLYLINE", "POLYLINE", "POINT"]
    assert np.allclose(regions[0].value, [PLACED.needle.entry_mm, PLACED.needle.tip_mm])
    assert regions[0].frame_of_reference_uid == FRAME
    assert float(groups[0].get_measurements()[0].value) == pytest.approx(80.0)


def test_only_an_accepted_plan_is_verified() -> None:
    assert placement_sr(PLAN_3D, a_slice()).VerificationFlag == "UNVERIFIED"
    accepted = set_review(set_review(PLAN_3D, "reviewed", **SIGNED), "accepted", **SIGNED)
    document = placement_sr(accepted, a_slice())
    assert document.VerificationFlag == "VERIFIED"
    assert document.VerifyingObserverSequence[0].VerifyingObserverName == "Dr. A^"


def test_other_frames_and_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="source"):
        placement_sr(PLAN_3D, a_slice("1.2.9"))
    with pytest.raises(InputError, match="without a frame"):
        placement_sr(PLAN, a_slice())
    file = tmp_path / "x.dcm"
    file.write_bytes(b"no")
    with pytest.raises(DicomError, match="not DICOM"):
        read_placement_sr(file)
    a_slice().save_as(file, enforce_file_format=True)
    with pytest.raises(DicomError, match="another kind"):
        read_placement_sr(file)
