from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from types import ModuleType

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

import irplan.case.write as writing
from irplan.case.write import FILES, write_case
from irplan.errors import CancelledError, OutputError
from irplan.files import read_labels, read_plan
from irplan.planning.case import PlannedCase


@pytest.fixture(scope="module")
def case(coronal_case: PlannedCase) -> PlannedCase:
    return coronal_case


@pytest.fixture(scope="module")
def out(case: PlannedCase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "out"
    assert write_case(case, folder, picture_3d=False) == ()
    return folder


def _lps(image: nibabel.Nifti1Image) -> NDArray[np.float64]:
    """LPS of every voxel centre, by nibabel's own affine (RAS)."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in image.shape], indexing="ij"), axis=-1)
    ras = nibabel.affines.apply_affine(image.affine, index)
    return np.asarray(ras * [-1.0, -1.0, 1.0])


def test_everything_promised_is_there(out: Path, case: PlannedCase) -> None:
    for name in FILES:
        assert (out / name.rstrip("/")).exists(), name
    assert sorted(p.name for p in (out / "needles").iterdir()) == [
        "needle_1.mrk.json", "needle_2.mrk.json", "needles.csv", "target.mrk.json",
    ]  # fmt: skip
    assert sorted(p.stem for p in (out / "figures").iterdir()) == [
        "margin", "needle_1", "needle_2", "paths", "planes_1", "planes_2", "temperature",
    ]  # fmt: skip
    readme = (out / "README.txt").read_text(encoding="utf-8")
    assert "DRAFT, RESEARCH USE ONLY" in readme
    for name in FILES:
        assert name in readme


def test_labels_lie_on_the_ct_by_an_independent_reader(
    out: Path, case: PlannedCase, handmade: ModuleType
) -> None:
    image = nibabel.load(out / "labels.nii.gz")
    assert image.shape == case.volume.grid.shape[::-1]
    tumour = np.asarray(image.dataobj) == 3
    centre = _lps(image)[tumour].mean(axis=0)
    assert np.abs(centre - handmade.TUMOUR_CENTRE).max() < 0.1
    back = read_labels(out / "labels.nii.gz")
    assert {x.name for x in back.labels} == {x.name for x in case.labels.labels}


def test_zones_lie_where_the_field_says(out: Path, case: PlannedCase, handmade: ModuleType) -> None:
    image = nibabel.load(out / "zones.nii.gz")
    assert image.shape == nibabel.load(out / "labels.nii.gz").shape
    assert np.allclose(image.affine, nibabel.load(out / "labels.nii.gz").affine)
    zones = np.asarray(image.dataobj)
    r = np.linalg.norm(_lps(image) - handmade.ZONE_CENTRE, axis=-1)
    edges = [handmade.isotherm_radius_mm(t) for t in (0.0, -20.0, -40.0)]
    expected = sum((r <= edge).astype(int) for edge in edges)
    unsure = np.min([np.abs(r - edge) for edge in edges], axis=0) < 0.05
    assert np.array_equal(zones[~unsure], expected[~unsure])
    assert {x.value: x.name for x in read_labels(out / "zones.nii.gz").labels} == {
        1: "0 degC", 2: "-20 degC", 3: "-40 degC",
    }  # fmt: skip
    lethal = np.asarray(nibabel.load(out / "lethal.nii.gz").dataobj) > 0
    sure = np.abs(r - handmade.LETHAL_RADIUS_MM) > 0.05
    assert np.array_equal(lethal[sure], (r < handmade.LETHAL_RADIUS_MM)[sure])


def test_temperature_keeps_its_own_grid(out: Path, handmade: ModuleType) -> None:
    image = nibabel.load(out / "temperature.nii.gz")
    field = np.asarray(image.dataobj)
    r = np.linalg.norm(_lps(image) - handmade.ZONE_CENTRE, axis=-1)
    assert np.abs(field - np.minimum(37.0, -100.0 + 5.0 * r)).max() < 1e-3


def test_plan_and_table_read_back(out: Path, case: PlannedCase) -> None:
    plan = read_plan(out / "plan.json")
    assert plan.placements[0].needle.depth_mm == pytest.approx(
        case.plan.placements[0].needle.depth_mm, abs=1e-5
    )
    with (out / "evaluation.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["name"] for r in rows] == [r.name for r in case.evaluation.rows]
    assert [r["status"] for r in rows] == [r.status for r in case.evaluation.rows]


def test_report_says_that_no_3d_picture_was_asked_for(out: Path) -> None:
    html = (out / "report.html").read_text(encoding="utf-8")
    assert "3D view: this picture is missing." in html
    assert "It was not asked for." in html
    assert "RESEARCH USE ONLY" in html


def test_run_file_has_versions_and_no_machine(out: Path) -> None:
    run = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert set(run["writing_s"]) == {"data_files", "figures", "picture_3d_wait", "report"}
    assert run["versions"]["numpy"] == np.__version__
    text = json.dumps(run).lower()
    import getpass
    import socket

    assert socket.gethostname().lower() not in text
    assert f'"{getpass.getuser().lower()}"' not in text


def test_same_case_same_bytes_but_for_the_time(
    case: PlannedCase, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "draw_figures", lambda _case, *, progress: {
        p.stem: p.read_bytes() for p in (out / "figures").iterdir()
    })  # fmt: skip
    write_case(case, tmp_path / "again", picture_3d=False)
    names = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    again = {str(p.relative_to(tmp_path / "again"))
             for p in (tmp_path / "again").rglob("*") if p.is_file()}  # fmt: skip
    assert names == again
    for name in names - {"run.json", "report.html"}:
        assert (out / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt()])
def test_failure_midway_leaves_nothing(
    case: PlannedCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*_args: object, **_kwargs: object) -> str:
        raise error

    monkeypatch.setattr(writing, "draw_figures", fail)
    with pytest.raises(type(error)):
        write_case(case, tmp_path / "deep" / "out", picture_3d=False)
    assert list(tmp_path.iterdir()) == []


def test_cancel_keeps_the_older_output(
    case: PlannedCase, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "draw_figures", lambda _case, *, progress: {
        p.stem: p.read_bytes() for p in (out / "figures").iterdir()
    })  # fmt: skip
    place = tmp_path / "out"
    write_case(case, place, picture_3d=False)
    before = {p: p.read_bytes() for p in place.rglob("*") if p.is_file()}

    def cancel(fraction: float, message: str) -> None:
        if fraction > 0.3:
            raise CancelledError("writing")

    with pytest.raises(CancelledError):
        write_case(case, place, picture_3d=False, progress=cancel)
    assert {p: p.read_bytes() for p in place.rglob("*") if p.is_file()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_unwritable_out_is_refused_before_any_drawing(case: PlannedCase, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(OutputError, match="file"):
        write_case(case, file, picture_3d=False)
    assert file.read_text() == "mine"


@pytest.mark.parametrize("start", [True, False])
def test_failing_3d_renderer_costs_only_the_picture(
    case: PlannedCase, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: bool
) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\nkill -ABRT $$\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake if start else tmp_path / "absent"))
    monkeypatch.setattr(writing, "draw_figures", lambda _case, *, progress: {
        p.stem: p.read_bytes() for p in (out / "figures").iterdir()
    })  # fmt: skip
    messages = write_case(case, tmp_path / "out")
    assert len(messages) == 1
    assert messages[0].startswith("No 3D picture: ")
    assert ("signal 6" if start else "cannot be started") in messages[0]
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "3D view: this picture is missing." in html
    if start:
        assert "apt-get install libegl1 libgl1" in html
    assert (tmp_path / "out" / "plan.json").exists()
    assert not (tmp_path / "out" / "figures" / "scene.png").exists()
