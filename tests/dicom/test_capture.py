"""Secondary captures: read back, and judged by an independent validator."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from irplan.dicom.capture_write import capture, write_capture
from irplan.errors import InputError
from tests.dicom.conftest import SyntheticSeries
from tests.dicom.orthanc import require


def test_a_picture_comes_back_and_is_valid(tmp_path: Path) -> None:
    require("dciodvfy")
    series = SyntheticSeries(count=1)
    source = series.dataset(0)
    picture = np.random.default_rng(1).integers(0, 255, (31, 27, 3), dtype=np.uint8)
    write_capture(capture(picture, source, title="Liver stages"), tmp_path / "sc.dcm")
    back = pydicom.dcmread(tmp_path / "sc.dcm")
    assert (back.pixel_array == picture).all()
    assert back.StudyInstanceUID == source.StudyInstanceUID
    assert "RESEARCH USE ONLY" in back.SeriesDescription
    said = subprocess.run(
        ["dciodvfy", "-new", tmp_path / "sc.dcm"], capture_output=True, text=True
    ).stderr
    assert [line for line in said.splitlines() if line.startswith("Error")] == []


def test_other_arrays_and_sources_are_refused() -> None:
    picture = np.zeros((4, 4, 3), dtype=np.uint8)
    with pytest.raises(InputError, match="picture"):
        capture(picture[..., 0], SyntheticSeries(count=1).dataset(0), title="x")
    with pytest.raises(InputError, match="StudyInstanceUID"):
        capture(picture, Dataset(), title="x")
