"""The two real cases: checked, not tuned on.  Their truth stays outside the repository."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from irplan.geometry import Grid
from irplan.image import Volume
from irplan.segmentation import dice, segment_abdomen, surface_distances

pytestmark = pytest.mark.data


def _stack(slices: list[pydicom.Dataset]) -> tuple[np.ndarray, list[pydicom.Dataset]]:
    slices.sort(key=lambda d: float(d.ImagePositionPatient[2]))
    return np.stack([d.pixel_array for d in slices]), slices


@pytest.fixture(scope="module")
def ircadb(shared_data):
    folder: Path = shared_data("ircadb01_p1")
    array, slices = _stack([pydicom.dcmread(p) for p in (folder / "PATIENT_DICOM").iterdir()])
    first, last = slices[0], slices[-1]
    step = (float(last.ImagePositionPatient[2]) - float(first.ImagePositionPatient[2])) / (
        len(slices) - 1
    )
    spacing = (step, *(float(v) for v in first.PixelSpacing))
    grid = Grid.from_spacing(array.shape, spacing, [float(v) for v in first.ImagePositionPatient])
    hu = array * float(first.RescaleSlope) + float(first.RescaleIntercept)
    masks = {}
    with zipfile.ZipFile(folder / "MASKS_DICOM.zip") as archive:
        for name in ("liver", "portalvein", "venoussystem", "leftlung", "rightlung", "bone"):
            members = [n for n in archive.namelist() if f"/{name}/" in n and not n.endswith("/")]
            read = [pydicom.dcmread(io.BytesIO(archive.read(n))) for n in members]
            masks[name] = _stack(read)[0] != 0
    return Volume(hu.astype(np.int16), grid), masks


def test_ircadb_patient_1(ircadb):
    volume, truth = ircadb
    found = segment_abdomen(volume)
    liver = found.liver.mask
    assert dice(liver, truth["liver"]) >= 0.92
    assert surface_distances(liver, truth["liver"], volume.grid).average_mm <= 3.5
    veins = truth["portalvein"] | truth["venoussystem"]
    assert dice(found.labels.mask("vessel") & liver, veins & liver) >= 0.60
    lung = truth["leftlung"] | truth["rightlung"]
    assert np.mean(found.labels.mask("lung", "gas")[lung]) >= 0.95
    assert np.mean(found.labels.mask("bone")[truth["bone"]]) >= 0.98
    assert found.labels.checked("gallbladder")


def test_totalsegmentator_example(shared_data):
    folder: Path = shared_data("totalsegmentator_example")
    images = [
        nib.as_closest_canonical(nib.load(folder / name))
        for name in ("example_ct.nii.gz", "example_seg.nii.gz")
    ]
    # RAS (x, y, z) -> (slice, row, column) with rows to the back and columns to the left.
    ct, labels = (np.asarray(i.dataobj)[::-1, ::-1, :].transpose(2, 1, 0) for i in images)
    affine = images[0].affine
    corner = affine @ [images[0].shape[0] - 1, images[0].shape[1] - 1, 0, 1]
    grid = Grid.from_spacing(ct.shape, np.diag(affine)[2::-1], (-corner[0], -corner[1], corner[2]))
    volume = Volume(np.ascontiguousarray(ct).astype(np.int16), grid)
    found = segment_abdomen(volume)
    assert dice(found.liver.mask, labels == 5) >= 0.90
    assert any("cut off at the top" in w for w in found.warnings)
    assert any("unenhanced" in w for w in found.warnings)
    assert not found.labels.checked("vessel")
    bones = np.isin(labels, [18, 19, 20, 21, 22, 23, 24, *range(64, 88)]) & (ct > 200)
    assert np.mean(found.labels.mask("bone")[bones]) >= 0.95
    assert dice(found.labels.mask("gallbladder"), labels == 4) >= 0.6
