"""Bone as an obstacle: ribs, spine, sternum, pelvis and calcified cartilage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from irplan.segmentation.landmarks import Landmarks
from irplan.segmentation.morphology import (
    Mask,
    chosen,
    closed,
    dilate,
    erode,
    filled_slices,
    opened,
    parts,
    parts_of_at_least,
    touching,
)
from irplan.segmentation.working import WorkingImage

#: Hysteresis on the scan's own grid, HU: spongy bone and partial volume of thin ribs / cortex.
LOW_HU, START_HU = 150.0, 220.0
#: Bone of the working grid that shows where the skeleton is, HU.
HIGH_HU = 280.0
#: Least piece, mm^3.
LEAST_BONE_MM3 = 30.0
#: Contrast-filled organs lie deeper inside the cavity than this, bone does not, mm.
DEEP_MM = 25.0
#: Cortex reaches this at the working resolution; kidneys and blood, even in the arterial phase,
#: mostly stay below, HU.
CORTEX_HU = 400.0
#: Contrast-filled organs: smoothed intensity over the liver's, and at least, HU; radius of the
#: ball they hold, mm.
ORGAN_OVER_LIVER_HU, ORGAN_HU, ORGAN_RADIUS_MM = 30.0, 130.0, 13.0
#: Voxels this near to bone that was kept may be bone even deep inside, mm.
BESIDE_MM = 8.0
#: In front of the vertebral bodies within this of the midline lie aorta and vena cava, mm.
PREVERTEBRAL_MM = 60.0


@dataclass(frozen=True, eq=False)
class BoneRegion:
    """On the working grid: where bone can be, where it may start, its marrow.

    ``organs`` are the contrast-filled organs that were told from bone.
    """

    region: Mask
    start: Mask
    marrow: Mask
    organs: Mask


def bone_region(image: WorkingImage, body: Mask, marks: Landmarks, liver_hu: float) -> BoneRegion:
    """Tell bone from contrast medium by place, before any fine threshold.

    Deep inside the abdominal cavity and in front of the spine, bright voxels are vessels, kidneys,
    contrast in bowel or calcifications: they are left out, unless they lie beside bone that has a
    cortex.  Bone may start at the skeleton of the working grid or anywhere in the wall (thin ribs).
    """
    spacing = image.grid.spacing_mm
    deep = erode(marks.cavity, DEEP_MM, spacing)
    organs = contrast_organs(image, body, marks, liver_hu)
    skeleton = _skeleton(image, body, organs)
    skeleton = _not_within(skeleton, deep)

    right = np.abs(marks.right_of_spine(body.shape)) * image.spacing_mm
    front = marks.before_spine(body.shape) * image.spacing_mm
    prevertebral = marks.cavity & (front > 8.0) & (right < PREVERTEBRAL_MM)
    beside = dilate(skeleton, BESIDE_MM, spacing)
    hard = dilate(skeleton & (image.hu > CORTEX_HU), 4.0, spacing)
    region = body & ~organs & ~(deep & ~beside) & ~(prevertebral & ~hard)
    wall = ~erode(marks.cavity, 6.0, spacing)
    start = region & (dilate(skeleton, 3.0, spacing) | wall)
    solid = closed(touching((image.hu > LOW_HU) & region, skeleton & region), 4.0, spacing)
    marrow = erode(filled_slices(solid) & body, 1.5, spacing)
    return BoneRegion(region, start, marrow, organs)


def _skeleton(image: WorkingImage, body: Mask, organs: Mask) -> Mask:
    """Parts above 280 HU of at least 0.1 ml outside the organs that took up contrast."""
    high = (image.hu > HIGH_HU) & body & ~organs
    return parts_of_at_least(high, 0.1 / image.voxel_ml)


def _not_within(mask: Mask, deep: Mask) -> Mask:
    """Without components that lie mostly deep in the cavity: vessels, calcifications."""
    labels, counts = parts(mask)
    inside = np.bincount(labels[deep], minlength=counts.size)
    keep = inside < 0.5 * counts
    return chosen(mask, labels, keep)


def contrast_organs(image: WorkingImage, body: Mask, marks: Landmarks, liver_hu: float) -> Mask:
    """Kidneys, heart and aneurysms filled with contrast medium, with a rim of 3 mm.

    Solid parts 30 HU brighter than the liver (and above 130 HU) that hold a ball of 13 mm radius
    outside the spine's column and have no cortex (95th percentile with a rim of 6 mm below
    400 HU; a hip has more), and what of them lies within 10 mm of that ball.
    """
    spacing = image.grid.spacing_mm
    shape = body.shape
    right = np.abs(marks.right_of_spine(shape)) * image.spacing_mm
    front = marks.before_spine(shape) * image.spacing_mm
    column = (right < 28.0) & (front < 4.0)
    smooth = ndi.gaussian_filter(image.hu, image.voxels(2.0))
    level = max(ORGAN_HU, liver_hu + ORGAN_OVER_LIVER_HU)
    solid = closed((smooth > level) & body & ~column, 8.0, spacing) & ~column
    holding = opened(solid, ORGAN_RADIUS_MM, spacing)
    labels, counts = parts(holding)
    soft = np.zeros(counts.size, dtype=bool)
    margin = round(image.voxels(8.0))
    for n, found in enumerate(ndi.find_objects(labels), start=1):
        box = tuple(slice(max(0, s.start - margin), s.stop + margin) for s in found)
        skin = dilate(labels[box] == n, 6.0, spacing)
        soft[n] = np.percentile(image.hu[box][skin], 95.0) < CORTEX_HU
    whole = solid & dilate(chosen(holding, labels, soft), 10.0, spacing)
    return dilate(whole, 3.0, spacing)


def segment_bone(
    hu: NDArray[Any], region: Mask, start: Mask, marrow: Mask, voxel_mm3: float
) -> Mask:
    """Bone on the scan's own grid: hysteresis 150 / 220 HU within ``region``, with its marrow.

    All masks on the scan's grid (see `bone_region`).  Pieces of at least 30 mm^3.  Uncalcified
    cartilage (about 100 HU) is not bone here: a needle passes it.  The rim of bone beside
    strongly enhanced kidney may be too wide.
    """
    low = (hu > LOW_HU) & region
    labels, counts = parts(low)
    keep = np.zeros(counts.size, dtype=bool)
    keep[labels[low & start & (hu > START_HU)]] = True
    keep &= counts * voxel_mm3 >= LEAST_BONE_MM3
    return chosen(low, labels, keep) | (marrow & (hu > -200.0))
