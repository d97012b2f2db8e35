"""DICOM SEG: written for every stored orientation, read back by highdicom, dcmqi and ourselves."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.uid import RLELossless

from irplan.case.open import open_mask_and_notes
from irplan.dicom import read_segmentation, read_series, write_segmentation
from irplan.dicom.segmentation_codes import cielab
from irplan.dicom.segmentation_write import SegmentationAlgorithm
from irplan.errors import DicomError, GridMismatchError, InputError
from irplan.geometry import Grid
from irplan.image import LabelMap
from irplan.image.structures import structure

TURN = np.radians(20.0)
ORIENTATIONS = {
    "axial": (1, 0, 0, 0, 1, 0),
    "feet to head the other way": (1, 0, 0, 0, -1, 0),
    "prone": (-1, 0, 0, 0, -1, 0),
    "coronal": (1, 0, 0, 0, 0, -1),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "oblique": (np.cos(TURN), 0, np.sin(TURN), 0, 1, 0),
}


def labels_on(grid: Grid) -> LabelMap:
    """Three structures without any symmetry; one with holes between its slices; one not found."""
    masks = {name: np.zeros(grid.shape, bool) for name in ("liver", "kidney_left", "tumour", "gas")}
    n0, n1, n2 = grid.shape
    masks["liver"][1 : n0 - 1, 1 : n1 - 2, 2 : n2 - 1] = True
    masks["liver"][1, 1, 2] = False
    masks["kidney_left"][2, n1 - 2 :, 3:] = True
    masks["tumour"][1, 2, 3] = masks["tumour"][n0 - 2, 2, 3] = True
    return LabelMap.from_masks(grid, [(structure(n), m) for n, m in masks.items()])


def voxels_lps(mask: np.ndarray, grid: Grid) -> np.ndarray:
    points = grid.index_to_lps(np.argwhere(mask))
    return points[np.lexsort(np.round(points, 3).T)]


@pytest.fixture(params=list(ORIENTATIONS))
def stored(request, series, tmp_path):
    made = series(orientation=ORIENTATIONS[request.param], rows=9, columns=13)
    made.write(tmp_path / "ct")
    grid = read_series(tmp_path / "ct").grid
    return tmp_path, labels_on(grid)


def test_highdicom_finds_every_voxel_where_it_was(stored):
    folder, labels = stored
    write_segmentation(labels, folder / "ct", folder / "seg.dcm")
    seg = hd.seg.segread(str(folder / "seg.dcm"))
    assert [seg.get_segment_description(n).segment_label for n in (1, 2, 3)] == [
        "liver",
        "tumour",
        "kidney_left",
    ]
    for number, name in ((1, "liver"), (2, "tumour"), (3, "kidney_left")):
        volume = seg.get_volume(segment_numbers=[number], combine_segments=False)
        index = np.argwhere(volume.array[..., 0] > 0)
        points = index @ volume.affine[:3, :3].T + volume.affine[:3, 3]
        points = points[np.lexsort(np.round(points, 3).T)]
        np.testing.assert_allclose(points, voxels_lps(labels.mask(name), labels.grid), atol=1e-3)
    # Every frame refers to the slice of the source that lies where it does.
    sources = {d.SOPInstanceUID: d for d in map(pydicom.dcmread, (folder / "ct").iterdir())}
    for group in seg.PerFrameFunctionalGroupsSequence:
        uid = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        np.testing.assert_allclose(
            np.array(group.PlanePositionSequence[0].ImagePositionPatient, float),
            np.array(sources[uid].ImagePositionPatient, float),
            atol=1e-3,
        )


def test_read_back_onto_the_image_and_alone(stored):
    folder, labels = stored
    write_segmentation(labels, folder / "ct", folder / "seg.dcm")
    found = read_segmentation(folder / "seg.dcm")
    assert [s.name for s in found.segments] == ["liver", "tumour", "kidney_left"]
    for segment in found.segments:
        name = segment.name
        np.testing.assert_array_equal(found.mask(name, labels.grid), labels.mask(name))
        np.testing.assert_allclose(
            voxels_lps(found.mask(segment.number), found.grid),
            voxels_lps(labels.mask(name), labels.grid),
            atol=2e-3,
        )


@pytest.mark.parametrize("rle", [False, True])
def test_label_maps_are_read_by_highdicom(stored, rle):
    folder, labels = stored
    write_segmentation(labels, folder / "ct", folder / "seg.dcm", kind="labelmap", rle=rle)
    seg = hd.seg.segread(str(folder / "seg.dcm"))
    assert seg.segmentation_type == hd.seg.SegmentationTypeValues.LABELMAP
    assert (seg.file_meta.TransferSyntaxUID == RLELossless) is rle
    volume = seg.get_volume(combine_segments=True)
    values, counts = np.unique(np.asarray(volume.array), return_counts=True)
    wanted = [int(labels.mask(n).sum()) for n in ("liver", "tumour", "kidney_left")]
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {
        0: volume.array.size - sum(wanted),
        **dict(enumerate(wanted, start=1)),
    }
    found = read_segmentation(folder / "seg.dcm")
    np.testing.assert_array_equal(found.mask("liver", labels.grid), labels.mask("liver"))


def test_dcmqi_reads_the_same_voxels(stored):
    """dcmqi (C++, DCMTK) converts every segment to NIfTI; nibabel reads that."""
    folder, labels = stored
    write_segmentation(labels, folder / "ct", folder / "seg.dcm")
    beside = Path(sys.executable).with_name("segimage2itkimage")
    program = str(beside) if beside.exists() else shutil.which("segimage2itkimage")
    assert program, "dcmqi is in the extra 'test'"
    subprocess.run(
        [program, "--inputDICOM", folder / "seg.dcm", "--outputDirectory", folder, "-t", "nii"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    for number, name in ((1, "liver"), (2, "tumour"), (3, "kidney_left")):
        image = nib.load(folder / f"{number}.nii.gz")
        points = np.argwhere(np.asarray(image.dataobj) > 0) @ image.affine[:3, :3].T
        points = (points + image.affine[:3, 3]) * (-1, -1, 1)  # RAS to LPS
        points = points[np.lexsort(np.round(points, 3).T)]
        np.testing.assert_allclose(points, voxels_lps(labels.mask(name), labels.grid), atol=5e-3)


def test_what_the_file_says(series, tmp_path):
    made = series(edit=lambda n, ds: setattr(ds, "StudyID", "17"))
    made.write(tmp_path / "ct")
    labels = labels_on(read_series(tmp_path / "ct").grid)
    network = SegmentationAlgorithm("TotalSegmentator", "2.4.0", learned=True)
    write_segmentation(
        labels, tmp_path / "ct", tmp_path / "seg.dcm", algorithms={"tumour": network}
    )
    data = pydicom.dcmread(tmp_path / "seg.dcm")
    assert data.Modality == "SEG"
    assert data.SegmentsOverlap == "NO"
    assert "RESEARCH USE ONLY" in data.SeriesDescription
    assert "RESEARCH USE ONLY" in data.ContentDescription
    assert (data.PatientID, data.StudyInstanceUID) == ("SECRET-ID", made.study_uid)
    assert data.FrameOfReferenceUID == made.frame_uid
    assert data.SeriesInstanceUID != made.series_uid
    assert data.ReferencedSeriesSequence[0].SeriesInstanceUID == made.series_uid
    assert len(data.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == made.count
    liver, tumour, kidney = data.SegmentSequence
    kind = kidney.SegmentedPropertyTypeCodeSequence[0]
    assert (kind.CodeValue, kind.CodingSchemeDesignator) == ("64033007", "SCT")
    side = kind.SegmentedPropertyTypeModifierCodeSequence[0]
    assert (side.CodeValue, side.CodeMeaning) == ("7771000", "Left")
    assert tumour.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert liver.SegmentedPropertyTypeCodeSequence[0].CodeValue == "10200004"
    assert (tumour.SegmentAlgorithmName, liver.SegmentAlgorithmType) == (
        "TotalSegmentator",
        "AUTOMATIC",
    )
    family = tumour.SegmentationAlgorithmIdentificationSequence[0].AlgorithmFamilyCodeSequence[0]
    assert family.CodeMeaning == "Artificial Intelligence"


def test_colours_are_cielab():
    """White, black and sRGB red: L* 100, 0, 54.29; a* 80.8, b* 69.9 (D50, Lindbloom's tables)."""
    assert cielab((255, 255, 255))[0] == pytest.approx(65535, abs=3)
    assert cielab((0, 0, 0))[0] == 0
    lightness, a, b = cielab((255, 0, 0))
    assert lightness / 65535 * 100 == pytest.approx(54.29, abs=0.05)
    assert a / 65535 * 255 - 128 == pytest.approx(80.81, abs=0.1)
    assert b / 65535 * 255 - 128 == pytest.approx(69.89, abs=0.1)


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL"])
def test_a_segmentation_of_highdicom_is_read(series, tmp_path, kind):
    """Of another writer, with its slices the other way round and empty ones left out."""
    made = series(edit=lambda n, ds: [setattr(ds, k, "") for k in HIGHDICOM_NEEDS])
    made.write(tmp_path / "ct")
    sources = sorted(
        (pydicom.dcmread(p) for p in (tmp_path / "ct").iterdir()),
        key=lambda d: -float(d.ImagePositionPatient[2]),
    )
    mask = np.zeros((6, 8, 10), np.uint8)
    mask[0, 2, 3] = mask[2, 3:5, 4:9] = mask[5, 7, 9] = 1
    code = hd.sr.CodedConcept("10200004", "SCT", "Liver")
    seg = hd.seg.Segmentation(
        sources,
        mask.astype(np.float32) * 0.8 if kind == "FRACTIONAL" else mask,
        kind,
        [
            hd.seg.SegmentDescription(
                1,
                "Leber",
                hd.sr.CodedConcept("123037004", "SCT", "Anatomical Structure"),
                code,
                "MANUAL",
            )
        ],
        hd.UID(),
        1,
        hd.UID(),
        1,
        "x",
        "y",
        "1",
        "2",
    )
    seg.save_as(tmp_path / "seg.dcm")
    found = read_segmentation(tmp_path / "seg.dcm")
    assert found.segments[0].name == "liver"
    grid = read_series(tmp_path / "ct").grid
    np.testing.assert_array_equal(found.mask("liver", grid), mask[::-1].astype(bool))


HIGHDICOM_NEEDS = (
    "AccessionNumber", "PatientBirthDate", "PatientSex", "ReferringPhysicianName", "StudyDate",
    "StudyID", "StudyTime",
)  # fmt: skip


def test_bad_input_is_named(series, tmp_path):
    series().write(tmp_path / "ct")
    labels = labels_on(read_series(tmp_path / "ct").grid)
    out = tmp_path / "seg.dcm"
    nothing = LabelMap(np.zeros(labels.grid.shape, np.uint8), labels.grid, labels.labels)
    with pytest.raises(InputError, match="no label with a voxel"):
        write_segmentation(nothing, tmp_path / "ct", out)
    with pytest.raises(InputError, match="kind"):
        write_segmentation(labels, tmp_path / "ct", out, rle=True)
    (tmp_path / "ct.nii").write_bytes(b"no DICOM" * 100)
    with pytest.raises(DicomError, match="not DICOM"):
        write_segmentation(labels, tmp_path / "ct.nii", out)
    series(step_mm=3.0).write(tmp_path / "other")
    with pytest.raises(GridMismatchError, match="labels"):
        write_segmentation(labels, tmp_path / "other", out)
    assert not out.exists()
    with pytest.raises(DicomError, match="of another kind"):
        read_segmentation(next((tmp_path / "ct").iterdir()))
    write_segmentation(labels, tmp_path / "ct", out)
    with pytest.raises(InputError, match="fits 0 segments"):
        read_segmentation(out).mask("spleen")
    with pytest.raises(GridMismatchError, match="segmentation"):
        read_segmentation(out).mask("liver", read_series(tmp_path / "other").grid)
    with pytest.raises(GridMismatchError, match="outside"):
        read_segmentation(out).mask("liver", labels.grid.crop((0, 0, 0), (3, 8, 10)))
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(out.read_bytes()[:-30])
    with pytest.raises(DicomError):
        read_segmentation(cut)


def test_a_target_may_be_a_segmentation(series, tmp_path):
    series().write(tmp_path / "ct")
    grid = read_series(tmp_path / "ct").grid
    labels = labels_on(grid)
    write_segmentation(labels, tmp_path / "ct", tmp_path / "seg.dcm")
    mask, notes = open_mask_and_notes(tmp_path / "seg.dcm", grid)
    np.testing.assert_array_equal(mask, labels.mask("tumour"))
    assert notes == ("The target is segment 2 of 'seg.dcm' (tumour).",)
    two = LabelMap.from_masks(
        grid, [(structure(n), labels.mask(n)) for n in ("liver", "kidney_left")]
    )
    write_segmentation(two, tmp_path / "ct", tmp_path / "two.dcm")
    with pytest.raises(InputError, match="2 segments: liver, kidney_left"):
        open_mask_and_notes(tmp_path / "two.dcm", grid)
