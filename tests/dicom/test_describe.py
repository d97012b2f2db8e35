"""`describe` tells the technique of any DICOM object and never the patient."""

from __future__ import annotations

import pydicom
import pytest

from irplan.dicom import describe
from irplan.errors import DicomError


def test_a_series_says_whether_it_is_usable(series, tmp_path):
    series().write(tmp_path)
    facts = dict(describe(tmp_path))
    assert facts["usable as a volume"] == "yes"
    assert facts["spacing"] == "2.500 x 0.800 x 0.700 mm (slice, row, column)"
    assert facts["slice thickness"] == "5.000 mm"
    assert facts["orientation"].startswith("axial: slices to head, rows to back, columns to left")
    assert facts["kernel"] == "B30f"
    assert facts["phase (from the description)"] == "portal venous"


def test_a_bad_series_says_why(series, tmp_path):
    series(positions=[(0, 0, z) for z in (0, 1, 2, 5, 6, 7)]).write(tmp_path)
    facts = dict(describe(tmp_path))
    assert facts["usable as a volume"].startswith("no:")
    assert "2 between z = 2.00 and 5.00 mm" in facts["usable as a volume"]


def test_patient_data_never_appears(series, tmp_path):
    series().write(tmp_path)
    everything = repr(describe(tmp_path)) + repr(describe(tmp_path / "IM0000"))
    assert "secret" not in everything.lower()


def test_not_dicom_and_nothing(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(DicomError, match="not DICOM"):
        describe(tmp_path / "a.txt")
    with pytest.raises(DicomError, match="nothing there"):
        describe(tmp_path / "absent")
    assert dict(describe(tmp_path))["series in the folder"] == "0"


@pytest.mark.data
def test_real_x_ray_run(shared_data):
    """96 frames of 512 x 512 at 33 ms (data README); primary angle -32 is 32 deg RAO."""
    facts = dict(describe(shared_data("xa") / "rubo_0002_xa_multiframe.dcm"))
    assert facts["object"] == "X-Ray Angiographic Image Storage"
    assert facts["frames"] == "96"
    assert facts["image"] == "512 x 512 (rows x columns)"
    assert facts["frame time"] == "33 ms (30.3 frames/s)"
    assert facts["C-arm primary angle"] == "32 deg RAO"
    assert facts["C-arm secondary angle"] == "2 deg CRA"


@pytest.mark.data
def test_real_dose_reports(shared_data):
    for file in sorted(shared_data("rdsr").glob("*.dcm")):
        facts = dict(describe(file))
        assert facts["object"] == "X-Ray Radiation Dose SR Storage"
        assert facts["report"] == "X-Ray Radiation Dose Report"
        name = str(pydicom.dcmread(file).get("PatientName", ""))
        assert not name or name not in repr(facts)
