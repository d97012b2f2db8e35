"""The stages' figure shows what the result holds."""

from __future__ import annotations

import numpy as np
import pytest

from irplan.errors import InputError
from irplan.phantom import abdominal_ct
from irplan.segmentation import segment_liver
from irplan.viz import segmentation_stages


@pytest.fixture(scope="module")
def liver():
    return segment_liver(abdominal_ct(21, spacing_mm=(5.0, 2.0, 2.0)).volume)


def test_eight_panels_in_patient_millimetres(liver):
    figure = segmentation_stages(liver)
    panels = [a for a in figure.axes if a.get_title(loc="left")]
    assert [p.get_title(loc="left")[0] for p in panels] == list("12345678")
    grid = liver.stages.image.grid
    left, right = panels[0].get_xlim()
    assert right - left == pytest.approx(grid.shape[2] * grid.spacing_mm[2])
    assert left < right  # the patient's right on the viewer's left
    bottom, top = panels[0].get_ylim()
    assert bottom > top  # the back below
    # The last panel's liver is where the mask is: its contour spans the coronal extent.
    low, high = panels[7].get_ylim()
    assert low < high
    z = grid.affine[2, 3] + np.flatnonzero(liver.stages.refined.any(axis=(1, 2))) * 2.0
    assert low < z.min() < z.max() < high


def test_a_height_outside_the_scan_is_refused(liver):
    with pytest.raises(InputError, match="z_mm"):
        segmentation_stages(liver, z_mm=1e4)
