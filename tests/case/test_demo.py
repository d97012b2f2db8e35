"""The main job on the synthetic patient, whole: what is written, what it says, that it repeats."""

import json
from html import unescape
from pathlib import Path

import nibabel
import numpy as np
import pytest

from irplan.case.run import Outcome, run_demo
from irplan.files.plan_file import read_plan
from irplan.phantom import TumourSpec, abdominal_ct
from irplan.reports.words import sentence


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Path]:
    out = tmp_path_factory.mktemp("demo") / "out"
    return run_demo(out, picture_3d=False), out


def test_the_plan_covers_the_target_with_its_margin(demo: tuple[Outcome, Path]) -> None:
    evaluation = demo[0].case.evaluation
    assert evaluation.target_coverage >= 0.9995
    assert evaluation.margin_coverage >= 0.99
    assert evaluation.status in ("ok", "warning", "not_checked")


def test_needles_avoid_what_the_phantom_knows_to_be_there(demo: tuple[Outcome, Path]) -> None:
    """Marched in 0.25 mm steps through the phantom's own truth, which planning never saw."""
    truth = abdominal_ct(5, tumours=(TumourSpec(18.0),)).labels
    for placement in demo[0].case.plan.placements:
        needle = placement.needle
        points = np.stack([needle.point_at(d) for d in np.arange(0.0, needle.depth_mm, 0.25)])
        index = np.rint(truth.grid.lps_to_index(points)).astype(int)
        for name in ("bone", "lung", "gas", "gallbladder", "stomach", "bowel", "heart"):
            crossed = int(truth.mask(name)[tuple(index.T)].sum())
            assert crossed == 0, f"{crossed * 0.25} mm of needle in {name}"
        tip = truth.array[tuple(index[-1])]
        inside = {truth.label(n).value for n in ("tumour", "liver", "portal_vein", "hepatic_vein")}
        assert int(tip) in inside
        assert truth.array[tuple(index[0])] in (0, truth.label("skin").value)


def test_the_folder_is_complete(demo: tuple[Outcome, Path]) -> None:
    out = demo[1]
    for name in ("plan.json", "labels.nii.gz", "zones.nii.gz", "temperature.nii.gz", "run.json",
                 "evaluation.csv", "report.html", "README.txt"):  # fmt: skip
        assert (out / name).stat().st_size > 0, name
    assert len(list((out / "needles").glob("*.mrk.json"))) >= 1
    assert len(list((out / "figures").glob("*.png"))) >= 4
    assert [p.name for p in out.parent.iterdir()] == ["out"], "a temporary folder was left behind"


def test_the_files_lie_on_the_ct(demo: tuple[Outcome, Path]) -> None:
    """Read by nibabel: the coldest voxel lies within a probe's ice, in RAS of the same patient."""
    case, out = demo[0].case, demo[1]
    labels = nibabel.load(out / "labels.nii.gz")
    assert labels.shape[::-1] == case.volume.grid.shape or labels.shape == case.volume.grid.shape
    temperature = nibabel.load(out / "temperature.nii.gz")
    cold = np.array(np.unravel_index(np.argmin(temperature.get_fdata()), temperature.shape))
    ras = temperature.affine @ [*cold, 1.0]
    lps = ras[:3] * [-1, -1, 1]
    distances = [float(p.needle.distance_to(lps)) for p in case.plan.placements]
    assert min(distances) < 3.0


def test_plan_file_reads_back_as_the_same_plan(demo: tuple[Outcome, Path]) -> None:
    plan = read_plan(demo[1] / "plan.json")
    assert len(plan.placements) == len(demo[0].case.plan.placements)
    assert plan.review.state == "draft"
    assert plan.provenance.seed == 5


def test_the_report_says_draft_and_research_use_only(demo: tuple[Outcome, Path]) -> None:
    page = unescape((demo[1] / "report.html").read_text(encoding="utf-8"))
    assert "DRAFT" in page
    assert "not a medical device" in page
    for row in demo[0].case.evaluation.rows:
        name = sentence(row.name).replace("degC", "°C")
        assert f"<strong>{name}</strong>" in page


def test_same_seed_same_bytes(demo: tuple[Outcome, Path], tmp_path: Path) -> None:
    run_demo(tmp_path / "again", picture_3d=False)
    for name in ("plan.json", "labels.nii.gz", "zones.nii.gz", "temperature.nii.gz",
                 "evaluation.csv"):  # fmt: skip
        assert (tmp_path / "again" / name).read_bytes() == (demo[1] / name).read_bytes(), name


def test_plan_json_holds_no_clock_or_user(demo: tuple[Outcome, Path]) -> None:
    data = json.loads((demo[1] / "plan.json").read_text())
    text = json.dumps(data).lower()
    for word in ("time", "date", "host", "user"):
        assert f'"{word}"' not in text
