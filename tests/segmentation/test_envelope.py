"""A few quick perturbations of the envelope; `benchmarks.segmentation_perturb` runs them all."""

from __future__ import annotations

import pytest

from benchmarks.segmentation_cases import Case
from benchmarks.segmentation_change import CHANGES, Change, noise_sd
from benchmarks.segmentation_perturb import LARGEST_FALL, falls, restricted, table
from irplan.segmentation import dice, segment_liver

TRIED = (
    "slices of 5 mm", "noise x 2", "bottom 25 % of the liver cut off", "stored as sagittal slices",
)  # fmt: skip


@pytest.fixture(scope="module")
def case(portal):
    return Case("portal", portal.phantom.volume, portal.phantom.organ, "")


@pytest.mark.parametrize("change", [c for c in CHANGES if c.name in TRIED], ids=lambda c: c.name)
def test_the_liver_stays_when_the_scan_changes(change: Change, case, portal):
    other = change.apply(case)
    against = dice(portal.found.liver.mask, case.liver)
    if change.group == "crop bottom":
        against = restricted(case, other, portal.found.liver.mask)
    assert dice(segment_liver(other.volume).mask, other.liver) >= against - LARGEST_FALL


def test_changes_move_scan_and_mask_together(unenhanced):
    case = Case("coarse", unenhanced.phantom.volume, unenhanced.phantom.organ, "")
    # the liver's mean HU under its mask stays within partial volume at the rim, its volume as well
    before = case.volume.array[case.liver].mean()
    ml = case.liver.sum() * case.volume.grid.voxel_volume_mm3
    for change in CHANGES:
        other = change.apply(case)
        assert other.volume.array[other.liver].mean() == pytest.approx(before, abs=4.0), change.name
        if not change.group.startswith("crop"):
            after = other.liver.sum() * other.volume.grid.voxel_volume_mm3
            assert after == pytest.approx(ml, rel=0.02), change.name
    assert noise_sd(case.volume, case.liver) == pytest.approx(15.0, rel=0.15)


def test_a_fall_is_flagged():
    rows = [
        {"case": "a", "change": "as it is", "dice": 0.95, "against": 0.95, "note": "n"},
        {"case": "a", "change": "x", "dice": 0.93, "against": 0.95, "found_ml": 1, "liver_ml": 1},
        {"case": "a", "change": "y", "dice": 0.90, "against": 0.95, "found_ml": 1, "liver_ml": 1},
    ]
    assert [r["change"] for r in falls(rows)] == ["y"]
    text = table(rows)
    assert "**-0.050**" in text
    assert "FALL a, y" in text
