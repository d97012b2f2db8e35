"""A few quick perturbations of the envelope; `benchmarks.segmentation_perturb` runs them all."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.segmentation_cases import Case
from benchmarks.segmentation_change import CHANGES, Change, noise_sd
from benchmarks.segmentation_perturb import LARGEST_FALL, falls, restricted, table
from irplan.geometry import Grid
from irplan.segmentation import dice, segment_liver
from irplan.segmentation.liver_cut import DOME_RADIUS_MM, cut_above_mm
from irplan.segmentation.working import WorkingImage

TRIED = (
    "slices of 5 mm", "noise x 2", "top 25 % of the liver cut off",
    "bottom 25 % of the liver cut off", "stored as sagittal slices",
)  # fmt: skip


@pytest.fixture(scope="module")
def case(portal):
    return Case("portal", portal.phantom.volume, portal.phantom.organ, "")


@pytest.mark.parametrize("change", [c for c in CHANGES if c.name in TRIED], ids=lambda c: c.name)
def test_the_liver_stays_when_the_scan_changes(change: Change, case, portal):
    other = change.apply(case)
    against = dice(portal.found.liver.mask, case.liver)
    if change.group.startswith("crop"):
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


def test_how_much_of_a_dome_is_cut_off():
    grid = Grid.from_spacing((60, 120, 120), (2.0, 2.0, 2.0), (-119.0, -119.0, -119.0))
    z, y, x = np.moveaxis(grid.index_to_lps(np.moveaxis(np.indices(grid.shape), 0, -1)), -1, 0)[
        ::-1
    ]
    # A paraboloid whose top lies 30 mm above the last slice (z = -1 mm).
    dome = x**2 + y**2 <= 2.0 * DOME_RADIUS_MM * (29.0 - z)
    image = WorkingImage(np.zeros(grid.shape, np.float32), np.ones(grid.shape, bool), grid)
    assert cut_above_mm(image, dome) == pytest.approx(30.0, abs=0.3)
    dome[-3:] = False  # it ends inside the scan
    assert cut_above_mm(image, dome) == 0.0
