"""Bone as an obstacle: ribs, spine, sternum, pelvis and calcified cartilage."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.segmentation.landmarks import Landmarks
from irplan.segmentation.morphology import (
    Mask,
    closed,
    dilate,
    erode,
    filled_slices,
    parts,
    parts_of_at_least,
    touching,
)
from irplan.segmentation.working import WorkingImage

#: Hysteresis on the scan's own grid, HU: spongy bone and partial volume of thin ribs / cortex.
LOW_HU, HIGH_HU = 150.0, 280.0
#: Least piece, mm^3.
LEAST_BONE_MM3 = 30.0
#: Contrast-filled organs lie deeper inside the cavity than this, bone does not, mm.
DEEP_MM = 25.0
#: Voxels this near to bone that was kept may be bone even deep inside, mm.
BESIDE_MM = 8.0


def bone_region(image: WorkingImage, body: Mask, marks: Landmarks) -> tuple[Mask, Mask]:
    """Where bone can be, and the filled inside of bones (marrow), on the working grid.

    Deep inside the abdominal cavity bright voxels are vessels, kidneys, contrast in bowel or
    calcifications: they are left out, unless they lie beside the skeleton.
    """
    spacing = image.grid.spacing_mm
    deep = erode(marks.cavity, DEEP_MM, spacing)
    high = parts_of_at_least((image.hu > HIGH_HU) & body, 0.1 / image.voxel_ml)
    labels, counts = parts(high)
    inside = np.bincount(labels[deep], minlength=counts.size)
    keep = inside < 0.8 * counts
    keep[0] = False
    skeleton = keep[labels]
    region = body & (~deep | dilate(skeleton, BESIDE_MM, spacing))
    solid = filled_slices(closed(touching((image.hu > LOW_HU) & region, skeleton), 4.0, spacing))
    return region, erode(solid & body, 1.5, spacing)


def segment_bone(hu: NDArray[Any], region: Mask, marrow: Mask, voxel_mm3: float) -> Mask:
    """Bone on the scan's own grid: hysteresis 150 / 280 HU within ``region``, with its marrow.

    Pieces of at least 30 mm^3.  Uncalcified cartilage (about 100 HU) is not bone here: a needle
    passes it.  The rim of bone beside strongly enhanced kidney or aorta may be too wide.
    """
    found = touching((hu > LOW_HU) & region, (hu > HIGH_HU) & region)
    labels, counts = parts(found)
    keep = counts * voxel_mm3 >= LEAST_BONE_MM3
    keep[0] = False
    out: Mask = keep[labels] | (marrow & (hu > -200.0))
    return out
