"""Images and masks open by content, and every bad one is refused in words."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import nibabel
import numpy as np
import pytest

from irplan.ablation.applicator import Applicator
from irplan.ablation.lethal import LethalRule
from irplan.ablation.placement import Placement
from irplan.ablation.schedule import Schedule
from irplan.case.describe import describe_file
from irplan.case.open import (
    open_image,
    open_image_and_notes,
    open_mask,
    open_mask_and_notes,
)
from irplan.errors import DicomError, FileFormatError, GridMismatchError, InputError
from irplan.files import write_mask, write_plan, write_volume
from irplan.geometry import Grid, Needle
from irplan.image import Volume
from irplan.planning.plan import AblationPlan, Provenance, Target

GRID = Grid.from_spacing((6, 8, 10), (2.5, 0.8, 0.7), (-30, 20, 100))


def _dicom_fixtures() -> ModuleType:
    path = Path(__file__).parents[1] / "dicom" / "conftest.py"
    spec = importlib.util.spec_from_file_location("irplan_dicom_fixtures", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


SyntheticSeries = _dicom_fixtures().SyntheticSeries


def ct() -> Volume:
    rng = np.random.default_rng(0)
    array = np.full(GRID.shape, -1000, np.int16)
    array[:, 2:-2, 2:-2] = rng.integers(-100, 400, (6, 4, 6))
    return Volume(array, GRID)


def ball() -> np.ndarray:
    mask = np.zeros(GRID.shape, bool)
    mask[2:4, 3:5, 4:6] = True
    return mask


class TestImage:
    def test_dicom_and_nifti_give_the_same_volume(self, tmp_path):
        SyntheticSeries().write(tmp_path / "dicom")
        from_dicom = open_image(tmp_path / "dicom")
        write_volume(from_dicom, tmp_path / "ct.nii.gz")
        from_nifti = open_image(tmp_path / "ct.nii.gz")
        np.testing.assert_array_equal(from_dicom.array, from_nifti.array)
        assert from_dicom.grid.same_as(from_nifti.grid)

    def test_the_content_decides_not_the_extension(self, tmp_path):
        write_volume(ct(), tmp_path / "ct.nii.gz")
        shutil.move(tmp_path / "ct.nii.gz", tmp_path / "scan.dcm")
        np.testing.assert_array_equal(open_image(tmp_path / "scan.dcm").array, ct().array)
        SyntheticSeries().write(tmp_path / "d")
        shutil.move(tmp_path / "d" / "IM0000", tmp_path / "d" / "slice.nii")
        assert open_image(tmp_path / "d" / "slice.nii").array.shape == (6, 8, 10)

    def test_a_series_can_be_picked(self, tmp_path):
        first, second = SyntheticSeries(prefix="A"), SyntheticSeries(prefix="B", count=4)
        first.write(tmp_path)
        second.write(tmp_path)
        with pytest.raises(DicomError, match="2 series"):
            open_image(tmp_path)
        assert open_image(tmp_path, series_uid=second.series_uid).array.shape[0] == 4

    def test_doubt_about_hounsfield_units_is_said(self, tmp_path):
        write_volume(Volume(np.full(GRID.shape, 40, np.int16), GRID), tmp_path / "mr.nii")
        _, notes = open_image_and_notes(tmp_path / "mr.nii")
        assert "not Hounsfield units" in notes[-1]
        write_volume(ct(), tmp_path / "ct.nii")
        assert open_image_and_notes(tmp_path / "ct.nii")[1] == ()

    def test_refused(self, tmp_path):
        with pytest.raises(FileFormatError, match="nothing at that path"):
            open_image(tmp_path / "absent.nii")
        (tmp_path / "a.txt").write_text("hello")
        with pytest.raises(FileFormatError, match="neither DICOM nor NIfTI"):
            open_image(tmp_path / "a.txt")
        (tmp_path / "a.nii").write_text("hello")
        with pytest.raises(FileFormatError, match="NIfTI"):
            open_image(tmp_path / "a.nii")
        (tmp_path / "empty").mkdir()
        with pytest.raises(DicomError, match="empty folder"):
            open_image(tmp_path / "empty")

    def test_2d_and_nan(self, tmp_path):
        nibabel.save(nibabel.Nifti1Image(np.zeros((8, 8), np.int16), np.eye(4)), tmp_path / "2.nii")
        with pytest.raises(FileFormatError, match="2-D"):
            open_image(tmp_path / "2.nii")
        array = np.zeros((8, 8, 8), np.float32)
        array[0, 0, 0] = np.nan
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / "n.nii")
        with pytest.raises(InputError, match="NaN"):
            open_image(tmp_path / "n.nii")

    def test_progress_ends_at_one_and_only_grows(self, tmp_path):
        SyntheticSeries().write(tmp_path / "d")
        write_volume(ct(), tmp_path / "ct.nii")
        for path in (tmp_path / "d", tmp_path / "ct.nii"):
            seen: list[float] = []
            open_image(path, progress=lambda f, m, seen=seen: seen.append(f))
            assert seen == sorted(seen)
            assert seen[-1] == 1.0


class TestMask:
    def test_nifti_and_dicom(self, tmp_path):
        write_mask(ball(), GRID, tmp_path / "m.nii.gz")
        np.testing.assert_array_equal(open_mask(tmp_path / "m.nii.gz", GRID), ball())

        def edit(index, ds):
            ds.PixelData = ball()[index].astype(np.uint8).tobytes()
            ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
            ds.RescaleIntercept = 0

        SyntheticSeries(edit=edit).write(tmp_path / "m")
        np.testing.assert_array_equal(open_mask(tmp_path / "m", GRID), ball())

    def test_not_binary_is_not_zero_and_said(self, tmp_path):
        write_volume(
            Volume(ball() * np.uint8(3) + (ball() & (np.indices(GRID.shape)[0] == 2)), GRID, "mm"),
            tmp_path / "m.nii",
        )
        mask, notes = open_mask_and_notes(tmp_path / "m.nii", GRID)
        np.testing.assert_array_equal(mask, ball())
        assert "not 0 counts" in notes[0]

    def test_empty(self, tmp_path):
        write_mask(np.zeros(GRID.shape, bool), GRID, tmp_path / "m.nii.gz")
        with pytest.raises(InputError, match="empty mask"):
            open_mask(tmp_path / "m.nii.gz", GRID)

    def test_another_grid(self, tmp_path):
        other = Grid.from_spacing((6, 8, 10), (2.5, 0.8, 0.7), (-30, 20, 101))
        write_mask(ball(), other, tmp_path / "m.nii.gz")
        with pytest.raises(GridMismatchError):
            open_mask(tmp_path / "m.nii.gz", GRID)

    def test_absent(self, tmp_path):
        with pytest.raises(FileFormatError, match="nothing at that path"):
            open_mask(tmp_path / "m.nii.gz", GRID)


class TestDescribe:
    def test_nifti_image(self, tmp_path):
        write_volume(ct(), tmp_path / "ct.nii.gz")
        title, rows = describe_file(tmp_path / "ct.nii.gz")
        facts = dict(rows)
        assert title == "NIfTI file ct.nii.gz"
        assert len(facts) == len(rows)
        assert facts["voxels"] == "6 x 8 x 10 (slice, row, column)"
        assert facts["voxel size"] == "2.500 x 0.800 x 0.700 mm"
        assert facts["field of view"] == "15.0 x 6.4 x 7.0 mm"
        assert facts["orientation"] == "slices to head, rows to back, columns to left"
        assert facts["stored axes"] == "i to left, j to back, k to head (from the sform)"
        assert facts["z (LPS)"] == "100.0 to 112.5 mm"
        assert facts["values"].startswith("-1000 to ")

    def test_nifti_labels_with_volumes(self, tmp_path):
        write_mask(ball(), GRID, tmp_path / "m.nii")
        facts = dict(describe_file(tmp_path / "m.nii")[1])
        assert facts["kind"] == "mask or label map with 2 values"
        assert facts["value 1"] == "8 voxels, 0.01 ml"

    def test_dicom_folder_and_file(self, tmp_path):
        SyntheticSeries().write(tmp_path / "d")
        title, rows = describe_file(tmp_path / "d")
        facts = dict(rows)
        assert title == "DICOM folder d"
        assert len(facts) == len(rows)
        assert facts["usable as a volume"] == "yes"
        assert facts["values"].startswith("-1000 to ")
        _, rows = describe_file(tmp_path / "d" / "IM0000")
        assert dict(rows)["object"] == "CT Image Storage"

    def test_a_folder_with_broken_pixels_is_still_described(self, tmp_path):
        SyntheticSeries().write(tmp_path)
        file = tmp_path / "IM0002"
        file.write_bytes(file.read_bytes()[:-20])
        facts = dict(describe_file(tmp_path)[1])
        assert "truncated" in facts["pixels"]

    def test_plan_and_output_folder(self, tmp_path):
        probe = Applicator("cryo-17g-rod", "cryo", 1.47, 30.0, 2.0, -140.0, 30.0, 175.0, "[S]")
        plan = AblationPlan(
            Target((10.0, -20.5, 300.25), 5.1, 21.3, "mask"),
            (Placement(Needle((10, -20, 300), (10, -120, 300)), probe),),
            Schedule.freeze_thaw_freeze(),
            5.0,
            LethalRule(),
            Provenance("0.1.0", 7),
        )
        write_plan(plan, tmp_path / "out" / "plan.json")
        for path in (tmp_path / "out", tmp_path / "out" / "plan.json"):
            facts = dict(describe_file(path)[1])
            assert facts["state"] == "draft"
            assert facts["needle 1 tip (LPS)"] == "10.0, -20.0, 300.0 mm"
            assert facts["needle 1 path"].startswith("100.0 mm deep, 0.0 deg")
            assert facts["schedule"] == "freeze 10 min, passive thaw 8 min, freeze 10 min"

    def test_refused(self, tmp_path):
        with pytest.raises(FileFormatError, match="nothing at that path"):
            describe_file(tmp_path / "absent")
        (tmp_path / "a.json").write_text(json.dumps({"a": 1}))
        with pytest.raises(FileFormatError, match="not a plan"):
            describe_file(tmp_path / "a.json")
        (tmp_path / "a.txt").write_text("x")
        with pytest.raises(FileFormatError, match="does not know"):
            describe_file(tmp_path / "a.txt")

    @pytest.mark.data
    def test_real_files_without_patient_data(self, shared_data):
        _, rows = describe_file(shared_data("ircadb01_p1") / "PATIENT_DICOM")
        facts = dict(rows)
        assert facts["voxels"] == "129 x 512 x 512 (slice, row, column)"
        assert facts["z (LPS)"] == "0.0 to 204.8 mm"
        assert "patient" not in repr(rows).lower()
        _, rows = describe_file(shared_data("kits19_masks") / "case_00010" / "segmentation.nii.gz")
        assert dict(rows)["stored axes"] == "i to feet, j to back, k to left (from the sform)"
