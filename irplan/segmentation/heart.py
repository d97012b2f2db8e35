"""The heart as an obstacle: soft tissue above the diaphragm between the lungs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from irplan.segmentation.landmarks import Landmarks
from irplan.segmentation.morphology import Mask, closed, dilate, largest_part, opened
from irplan.segmentation.organ_finding import OrganFinding
from irplan.segmentation.working import WorkingImage

#: Muscle and blood, also unenhanced, are above this, fat of the pericardium below, HU.
SOFT_HU = 5.0
#: Half of the least thickness, mm: parts of the diaphragm and gullet are thinner.
HALF_MM = 9.0
#: The gullet and the aorta lie within this of the spine's front, mm.
BEFORE_SPINE_MM = 22.0
#: Less than this is a scan that ends at the heart's lower face, ml.
LEAST_ML = 8.0


def segment_heart(
    image: WorkingImage, smooth: NDArray[np.float32], liver: Mask, lung: Mask, marks: Landmarks
) -> OrganFinding:
    """The heart with its pericardium's inner fat, as far as the scan shows it; working grid.

    Soft tissue above the harmonic diaphragm, in front of spine and aorta, at least 18 mm thick,
    closed.  Empty when the scan ends below it.  None where the diaphragm is not in the scan.
    Known failure: under the heart the diaphragm is interpolated, so that its lower face is
    uncertain by some 10 mm and may take the top of the left liver lobe or of the stomach.
    """
    if marks.dome_z is None or not lung.any():
        return OrganFinding(
            None, "The heart was not checked: the scan does not show the diaphragm's dome."
        )
    shape = smooth.shape
    front = np.broadcast_to(marks.before_spine(shape) * image.spacing_mm, shape)
    right = np.broadcast_to(marks.right_of_spine(shape) * image.spacing_mm, shape)
    spacing = image.grid.spacing_mm
    chest = ~marks.below_dome(shape) & marks.cavity & (front > BEFORE_SPINE_MM)
    chest &= (np.abs(right) < 120.0) & ~lung & ~liver & image.covered
    thick = opened(chest & (smooth > SOFT_HU), HALF_MM, spacing)
    heart = largest_part(thick)
    if float(np.count_nonzero(heart)) * image.voxel_ml < LEAST_ML:
        return OrganFinding(np.zeros_like(heart))
    rim = dilate(heart, 4.0, spacing) & chest & (smooth > -40.0)
    return OrganFinding(closed(heart | rim, 8.0, spacing) & ~lung & ~liver)
