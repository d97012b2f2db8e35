"""Great vessels near the liver: aorta, vena cava, portal and splenic trunk as bright tubes."""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from irplan.segmentation.landmarks import Landmarks
from irplan.segmentation.morphology import Mask, dilate, opened, parts_of_at_least, touching
from irplan.segmentation.vessels import LEAST_CONTRAST_HU, VesselFinding
from irplan.segmentation.working import WorkingImage

#: Great vessels are sought within this of the liver or of the spine's front, mm.
NEAR_MM = 40.0


def segment_great_vessels(
    image: WorkingImage,
    smooth: NDArray[np.float32],
    liver: Mask,
    liver_hu: float,
    marks: Landmarks,
    organs: Mask,
) -> VesselFinding:
    """Aorta, vena cava, portal and splenic trunk near the liver, on the working grid.

    Blood's intensity is read in front of the spine (the brightest 6 mm cubes); voxels above a
    third of the way from the liver's to it, inside the cavity, at least 4 mm thick, outside
    ``organs`` (kidneys, heart), within 40 mm of liver or spine, are vessel.  None when blood is
    not at least 20 HU brighter than the liver.
    Vessels that are not yet, or no longer, enhanced (the cava in the arterial phase) are missed;
    strongly enhanced bowel may be added.
    """
    spacing = image.grid.spacing_mm
    shape = image.hu.shape
    right = marks.right_of_spine(shape) * image.spacing_mm
    front = marks.before_spine(shape) * image.spacing_mm
    strip = (np.abs(right) < 45.0) & (front > 2.0) & (front < 40.0) & image.covered
    near = dilate(liver, NEAR_MM, spacing)
    strip &= np.asarray(near.any(axis=(1, 2)))[:, None, None]
    strip &= ~organs
    # Brightest 6 mm cube clear of the vertebrae: an aorta or cava holds one, calcified walls and
    # osteophytes do not.
    cube = ndi.minimum_filter(smooth, max(2, round(image.voxels(6.0))))
    solid = cube[strip & (front > 14.0)]
    blood = float(np.percentile(solid, 99.0)) if solid.size else -1000.0
    if blood < liver_hu + LEAST_CONTRAST_HU or blood < 90.0:
        return VesselFinding(
            None,
            f"Great vessels could not be assessed: the brightest blood in front of the spine "
            f"({blood:.0f} HU) does not stand out from the liver ({liver_hu:.0f} HU).",
            blood,
        )
    # The cava is less bright than the aorta: a third of the way, not half.
    level = liver_hu + max(0.75 * LEAST_CONTRAST_HU, 0.35 * (blood - liver_hu))
    bright = (smooth > level) & marks.cavity & marks.below_dome(shape) & ~liver & ~organs
    tubes = opened(bright & (near | strip), 1.9, spacing)
    anchored = touching(tubes, strip | dilate(liver, 6.0, spacing))
    return VesselFinding(parts_of_at_least(anchored, 1.0 / image.voxel_ml), "", blood)
