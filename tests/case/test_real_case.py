"""The main job on the real case, held against manual masks by code that shares nothing with it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.main_job import crossings, extract
from irplan.case.run import PlanRequest, run_plan

pytestmark = pytest.mark.data


def test_tumour_07_gets_its_margin_and_no_needle_crosses_what_it_must_not(
    shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    data = shared_data("ircadb01_p1")
    names = (
        "livertumor07",
        "bone",
        "leftlung",
        "rightlung",
        "portalvein",
        "venoussystem",
        "artery",
    )
    extract(data, names, tmp_path)
    out = tmp_path / "out"
    outcome = run_plan(
        PlanRequest(
            ct=data / "PATIENT_DICOM",
            out=out,
            target_mask=tmp_path / "MASKS_DICOM" / "livertumor07",
            picture_3d=False,
        )
    )
    assert outcome.case.evaluation.target_coverage >= 0.9995
    assert outcome.case.evaluation.margin_coverage >= 0.99
    # 17 mm is the README's equivalent diameter of this tumour
    assert outcome.case.plan.target.diameter_mm == pytest.approx(17.0, abs=1.0)
    plan = json.loads((out / "plan.json").read_text(encoding="utf-8"))
    assert crossings(plan, tmp_path) == dict.fromkeys(names[1:], 0.0)
