"""Needles as 3D Slicer opens them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from irplan.ablation.applicator import Applicator
from irplan.ablation.lethal import LethalRule
from irplan.ablation.placement import Placement
from irplan.ablation.schedule import Schedule
from irplan.errors import OutputError
from irplan.files import write_needles_markups
from irplan.geometry import Needle
from irplan.planning.plan import AblationPlan, Provenance, Target

PROBE = Applicator("cryo-17g-rod", "cryo", 1.47, 30.0, 2.0, -140.0, 30.0, 175.0, "[S] test")
NEEDLES = (Needle((10, -20, 300), (60, -120, 310)), Needle((12.5, -20, 300), (62.5, -120, 310)))


@pytest.fixture
def plan() -> AblationPlan:
    return AblationPlan(
        Target((10.0, -20.5, 300.25), 5.1, 21.3, "mask"),
        tuple(Placement(n, PROBE) for n in NEEDLES),
        Schedule.freeze_thaw_freeze(),
        5.0,
        LethalRule(),
        Provenance("0.1.0", 0),
    )


def test_one_line_a_needle_in_lps(plan, tmp_path):
    files = write_needles_markups(plan, tmp_path)
    assert [f.name for f in files] == ["needle_1.mrk.json", "needle_2.mrk.json", "target.mrk.json"]
    for file, needle in zip(files, NEEDLES, strict=False):
        data = json.loads(file.read_text())
        assert data["@schema"].endswith("markups-schema-v1.0.3.json#")
        (markup,) = data["markups"]
        assert markup["type"] == "Line"
        assert markup["coordinateSystem"] == "LPS"
        entry, tip = markup["controlPoints"]
        assert (entry["label"], tip["label"]) == ("Entry", "Tip")
        assert tuple(entry["position"]) == needle.entry_mm
        assert tuple(tip["position"]) == needle.tip_mm
        length = np.linalg.norm(np.subtract(entry["position"], tip["position"]))
        assert markup["measurements"][0]["value"] == pytest.approx(length, abs=1e-6)


def test_target_is_a_point(plan, tmp_path):
    (markup,) = json.loads(write_needles_markups(plan, tmp_path)[-1].read_text())["markups"]
    assert markup["type"] == "Fiducial"
    assert markup["controlPoints"][0]["position"] == [10.0, -20.5, 300.25]


def test_same_plan_same_bytes_and_unwritable(plan, tmp_path):
    a = [f.read_bytes() for f in write_needles_markups(plan, tmp_path / "a")]
    b = [f.read_bytes() for f in write_needles_markups(plan, tmp_path / "b")]
    assert a == b
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError):
        write_needles_markups(plan, tmp_path / "file")
