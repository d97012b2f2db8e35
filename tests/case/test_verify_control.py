"""`irplan register`, `needles`, `verify --ct --plan-ct` by files: a known motion, and failures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from typer.testing import CliRunner

from irplan.ablation import LethalRule, Phase, Placement, Schedule, applicator
from irplan.cli.app import app
from irplan.files import read_plan, write_labels, write_mask, write_plan
from irplan.files.nifti import write_volume
from irplan.geometry import Grid, Needle
from irplan.image import LabelMap, Volume, structure
from irplan.phantom.metal import MetalNeedle
from irplan.phantom.needle_scan import scan_with_metal
from irplan.planning import AblationPlan, Provenance, Target

#: The patient lies this far from where the planning CT had it, mm.
SHIFT = np.array([6.0, -4.0, 5.0])
GRID = Grid.from_spacing((60, 68, 68), (2.0,) * 3, (-67.0, -67.0, -59.0))
POINTS = GRID.index_to_lps(np.moveaxis(np.indices(GRID.shape), 0, -1))
PLANNED = Needle((0.0, 10.0, 0.0), (0.0, -50.0, 0.0))
#: 2 mm to the left of the plan and 1.5 mm deeper.
PLACED = Needle((2.0, 11.5, 0.0), (2.0, -50.0, 0.0))


def _inside(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
    return (((POINTS - centre) / radii) ** 2).sum(axis=-1) < 1.0


LIVER = _inside((4.0, 4.0, 0.0), (40.0, 32.0, 36.0)) & ~_inside((34.0, 24.0, 20.0), (18.0,) * 3)


def _ct() -> Volume:
    """An uneven trunk with an uneven liver, a vessel and two bones: no symmetry to slide along."""
    hu = np.full(GRID.shape, -1000.0)
    hu[_inside((0.0, 0.0, 0.0), (62.0, 52.0, 75.0))] = -90.0
    hu[LIVER] = 70.0
    hu[_inside((14.0, 10.0, -8.0), (6.0, 6.0, 25.0))] = 170.0
    hu[_inside((-10.0, 44.0, 0.0), (8.0, 6.0, 70.0))] = 400.0
    hu[_inside((-50.0, 0.0, 15.0), (6.0, 14.0, 8.0))] = 400.0
    return Volume(hu.astype(np.float32), GRID, "HU")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("control")
    ct = _ct()
    target = np.linalg.norm(POINTS, axis=-1) <= 7.0
    body = np.asarray(ct.array) > -500.0
    labels = LabelMap.from_masks(GRID, [(structure("body"), body), (structure("liver"), LIVER)])
    write_labels(labels, out / "labels.nii.gz")
    write_mask(target, GRID, out / "target.nii.gz")
    write_mask(LIVER, GRID, out / "liver.nii.gz")
    rod = Placement(PLANNED, applicator("cryo-17g-rod"))
    write_plan(
        AblationPlan(
            Target((0.0, 0.0, 0.0), 1.44, 14.0, "mask"), (rod,),
            Schedule((Phase("freeze", 300.0),)), 2.0, LethalRule(-20.0, 1), Provenance("test", 0),
        ),
        out / "plan.json",
    )  # fmt: skip
    rng = np.random.default_rng(2)
    noisy = ct.array + rng.normal(0.0, 15.0, GRID.shape).astype(np.float32)
    write_volume(Volume(noisy, GRID, "HU"), out / "ct.nii.gz")
    scan = scan_with_metal(ct, [MetalNeedle(PLACED, 1.5)], noise_hu=15.0, seed=1)
    affine = GRID.affine.copy()
    affine[:3, 3] += SHIFT
    there = Grid(GRID.shape, affine)
    write_volume(Volume(scan.array, there, "HU"), out / "control.nii.gz")
    zone = np.linalg.norm(POINTS - [2.0, 0.0, 0.0], axis=-1) <= 14.0
    write_mask(zone, there, out / "zone.nii.gz")
    write_volume(
        Volume(rng.normal(0.0, 100.0, GRID.shape).astype(np.float32), there, "HU"),
        out / "noise.nii.gz",
    )
    return out


def run(*args: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(a) for a in args])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def test_the_needle_of_a_moved_patient_is_held_against_the_plan(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "verified"
    words = run(
        "verify", folder, "--ct", folder / "control.nii.gz", "--plan-ct", folder / "ct.nii.gz",
        "--zone", folder / "zone.nii.gz", "--wanted", 1, "-o", out,
    )  # fmt: skip
    assert "registration OK" in words or "registration WARNING" in words
    data = json.loads((out / "verification.json").read_text())
    pair = data["needles"][0]
    # a working voxel is 2.5 mm: the registration keeps within a quarter of it
    assert (pair["lateral_mm"], pair["depth_mm"]) == pytest.approx((2.0, 1.5), abs=0.7)
    assert data["registration"]["error_mm"] == data["registration_error_mm"] == 3.0
    # the zone seen: 14 - 7 - 2 = 5 mm less an error of 3 mm is above the wanted 1 mm
    assert data["by_zone_seen"]["minimal_mm"] == pytest.approx(5.0, abs=1.2)
    assert data["by_zone_seen"]["state"] == "complete"
    assert data["by_zone_seen"]["error_mm"] == 3.0


def test_a_failed_registration_makes_nothing_assessable(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "failed"
    words = run(
        "verify", folder, "--ct", folder / "noise.nii.gz", "--plan-ct", folder / "ct.nii.gz",
        "-o", out,
    )  # fmt: skip
    assert "the registration failed" in words
    data = json.loads((out / "verification.json").read_text())
    assert data["registration"]["status"] == "failed"
    assert data["by_zone_seen"]["state"] == data["by_simulation"]["state"] == "not assessable"
    assert data["planned_not_found"] == []


def test_options_that_need_each_other(folder: Path, tmp_path: Path) -> None:
    words = run("verify", folder, "--plan-ct", folder / "ct.nii.gz", "-o", tmp_path / "x", code=2)
    assert "--ct CONTROL" in words


def test_register_carries_the_plan_or_refuses(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "registered"
    run(
        "register", folder / "ct.nii.gz", folder / "control.nii.gz", "--organ",
        folder / "liver.nii.gz", "--plan", folder, "--by", "A. Tester", "-o", out, "-q",
    )  # fmt: skip
    plan = read_plan(out / "plan.json")
    tip = plan.placements[0].needle.tip_mm
    assert tip == pytest.approx(tuple(np.array(PLANNED.tip_mm) + SHIFT), abs=0.7)
    assert plan.history[-1].who == "A. Tester"
    bad = tmp_path / "bad"
    words = run(
        "register", folder / "ct.nii.gz", folder / "noise.nii.gz", "--organ",
        folder / "liver.nii.gz", "--plan", folder, "-o", bad, code=2,
    )  # fmt: skip
    assert "registration" in words
    assert not (bad / "plan.json").exists()
    marks = tmp_path / "marks.json"
    marks.write_text('{"plan": [[0, 0]]}')
    words = run(
        "register", folder / "ct.nii.gz", folder / "control.nii.gz", "--landmarks", marks, code=2
    )
    assert "landmarks 'marks.json'" in words


def test_needles_and_no_needles(folder: Path, tmp_path: Path) -> None:
    found = tmp_path / "needles.json"
    run("needles", folder / "control.nii.gz", "-o", found, "-q")
    one = json.loads(found.read_text())["needles"]
    assert len(one) == 1
    assert one[0]["tip_mm"] == pytest.approx((np.array(PLACED.tip_mm) + SHIFT).tolist(), abs=1.0)
    words = run("needles", folder / "ct.nii.gz", code=2)
    assert "no needle in view" in words


def test_a_registration_is_taken_from_its_folder_with_its_measured_error(
    folder: Path, tmp_path: Path
) -> None:
    """Landmarks of the known motion, each 1 mm off along z: an error of 1 mm, not the assumed 3."""
    plan = np.array([[20.0, 0, 0], [-20, 10, 5], [0, -20, 20], [5, 15, -25]])
    control = plan + SHIFT + np.array([[0.0, 0, 1], [0, 0, -1], [0, 0, 1], [0, 0, -1]])
    marks = tmp_path / "marks.json"
    marks.write_text(json.dumps({"plan": plan.tolist(), "control": control.tolist()}))
    made = tmp_path / "registered"
    words = run(
        "register", folder / "ct.nii.gz", folder / "control.nii.gz", "-o", made,
        "--organ", folder / "liver.nii.gz", "--landmarks", marks,
    )  # fmt: skip
    assert "measured: 4 landmarks" in words
    report = json.loads((made / "registration.json").read_text())
    assert report["error_is"] == "measured"
    # sqrt(1 + r^2) on average, r the registration's own error, at most a quarter of a voxel
    assert 0.8 <= report["error_mm"] <= 1.3
    # an independent reader's field, on top of the rigid map, leads where the patient went
    field = SimpleITK.DisplacementFieldTransform(
        SimpleITK.ReadImage(str(made / "displacement.mha"), SimpleITK.sitkVectorFloat64)
    )
    rigid = np.array(report["rigid_plan_to_control"])
    for point in ([0.0, 0.0, 0.0], [15.0, -10.0, 8.0]):
        there = rigid[:3, :3] @ np.array(field.TransformPoint(point)) + rigid[:3, 3]
        assert np.linalg.norm(there - point - SHIFT) < 0.7

    out = tmp_path / "verified"
    args = ("verify", folder, "--ct", folder / "control.nii.gz", "--registration", made)
    words = run(*args, "--zone", folder / "zone.nii.gz", "--wanted", 1, "-o", out)
    assert "measured: 4 landmarks" in words
    data = json.loads((out / "verification.json").read_text())
    pair = data["needles"][0]
    assert (pair["lateral_mm"], pair["depth_mm"]) == pytest.approx((2.0, 1.5), abs=0.7)
    assert data["registration_error_mm"] == pytest.approx(report["error_mm"], abs=1e-5)
    assert data["by_zone_seen"]["minimal_mm"] == pytest.approx(5.0, abs=1.2)

    # another scan, two ways at once, a field that was changed: said, and nothing is written
    bad = tmp_path / "bad"
    other = _ct().crop((0, 0, 0), (50, 68, 68))
    write_volume(other, tmp_path / "other.nii.gz")
    words = run(
        "verify", folder, "--ct", tmp_path / "other.nii.gz", "--registration", made, "-o", bad,
        code=2,
    )  # fmt: skip
    assert "another control scan" in words
    assert "one of them" in run(*args, "--plan-ct", folder / "ct.nii.gz", "-o", bad, code=2)
    (made / "displacement.mha").write_bytes(b"x")
    assert "another field" in run(*args, "-o", bad, code=2)
    (made / "displacement.mha").unlink()
    assert "no such file" in run(*args, "-o", bad, code=2)
    assert not bad.exists()
