"""What is refused before any planning, and how it is told."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from irplan.case.phantom import write_phantom
from irplan.case.run import PlanRequest, run_plan
from irplan.errors import GridMismatchError, InputError
from irplan.files import write_volume
from irplan.phantom import abdominal_ct
from irplan.segmentation.vessels import VesselFinding, VesselMode, segment_liver_vessels


def test_a_target_in_the_heart_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by a reviewer: a point in the heart got a plan that looked good."""
    modes = []

    def watched(*args: Any, mode: VesselMode) -> VesselFinding:
        modes.append(mode)
        return segment_liver_vessels(*args, mode=mode)

    monkeypatch.setattr("irplan.segmentation.abdomen.segment_liver_vessels", watched)
    made = abdominal_ct(0, spacing_mm=(5.0, 2.0, 2.0))
    write_volume(made.volume, tmp_path / "ct.nii.gz")
    heart = np.argwhere(made.labels.mask("heart")).mean(axis=0)
    x, y, z = made.volume.grid.index_to_lps(heart)
    request = PlanRequest(
        ct=tmp_path / "ct.nii.gz",
        out=tmp_path / "out",
        target_point_mm=(float(x), float(y), float(z)),
        target_diameter_mm=15.0,
        picture_3d=False,
        vessel_mode="fine",
    )
    with pytest.raises(InputError, match="in the segmented liver") as caught:
        run_plan(request)
    assert modes == ["fine"]
    assert "LPS, not RAS" in caught.value.remedy
    assert "--outside-liver" in caught.value.remedy
    assert [p.name for p in tmp_path.iterdir()] == ["ct.nii.gz"]


def test_labels_of_another_grid_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    write_phantom(tmp_path / "p", spacing_mm=(8.0, 4.0, 4.0), diameters_mm=(20.0,))
    write_phantom(tmp_path / "q", spacing_mm=(10.0, 5.0, 5.0), diameters_mm=(20.0,))
    request = PlanRequest(
        ct=tmp_path / "p" / "ct.nii.gz",
        out=tmp_path / "o",
        target_mask=tmp_path / "p" / "tumour.nii.gz",
        labels=tmp_path / "q" / "labels.nii.gz",
    )
    with pytest.raises(GridMismatchError, match=r"labels 'labels\.nii\.gz'"):
        run_plan(request)
    assert not (tmp_path / "o").exists()
