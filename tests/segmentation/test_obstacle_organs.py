"""Kidneys, spleen, heart and gut on phantoms; what cannot be told is not claimed."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.segmentation import dice


@pytest.mark.parametrize(
    ("name", "least"),
    [("kidney_right", 0.80), ("kidney_left", 0.80), ("spleen", 0.80), ("heart", 0.80)],
)
def test_organs_of_the_portal_phase(portal, name, least):
    found, truth = portal.found.labels, portal.phantom.labels
    assert found.checked(name)
    assert dice(found.mask(name), truth.mask(name)) >= least


@pytest.mark.parametrize("case", ["portal", "unenhanced", "arterial"])
def test_what_is_found_is_that_organ_and_what_is_not_is_said(case, request):
    data = request.getfixturevalue(case)
    found, truth = data.found.labels, data.phantom.labels
    for name, words in (
        ("kidney_right", "right kidney"),
        ("kidney_left", "left kidney"),
        ("spleen", "spleen"),
        ("heart", "heart"),
    ):
        if not found.checked(name):
            assert any(words in w and "not checked" in w for w in data.found.warnings)
        elif found.mask(name).any():
            # Its own voxels, or others' at its rim: never another organ.
            own = np.mean(truth.mask(name)[found.mask(name)])
            assert own >= 0.75, f"{name} {own:.2f}"


@pytest.mark.parametrize("case", ["portal", "unenhanced", "arterial"])
def test_gut_with_gas_is_kept_away_from_and_its_limits_are_told(case, request):
    data = request.getfixturevalue(case)
    found, truth = data.found.labels, data.phantom.labels
    gut = found.mask("stomach", "bowel")
    own = truth.mask("stomach", "bowel", "gas")
    rim = truth.mask("body", "fat", "muscle")  # the wall is drawn 4 mm wide
    assert np.mean((own | rim)[gut]) >= 0.85
    assert any("loops without gas" in w for w in data.found.warnings)
