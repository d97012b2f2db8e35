"""Stomach and bowel that hold gas: the gas, the fluid it floats on and the wall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.segmentation.landmarks import Landmarks
from irplan.segmentation.morphology import (
    Mask,
    box_of,
    chosen,
    dilate,
    opened,
    parts,
)
from irplan.segmentation.working import WorkingImage

#: Gas on the working grid, HU.
GAS_HU = -350.0
#: Content: water to food, HU (oral contrast is bright and told apart by place: not found).
CONTENT_HU = (-40.0, 65.0)
#: Content is followed this deep below (behind, in a supine patient) its gas, mm.
DEPTH_MM = 90.0
#: Wall of a filled stomach or bowel, mm.
WALL_MM = 4.0
#: Lumens smaller than this are left to the gas label alone, ml.
LEAST_ML = 3.0
#: The stomach's lumen has at least this, ml, and lies not farther below the liver's middle, mm.
STOMACH_ML, BELOW_LIVER_MM = 15.0, 60.0


@dataclass(frozen=True, eq=False)
class HollowFinding:
    """``stomach`` and ``bowel`` on the working grid (wall, content and gas); ``note`` in words."""

    stomach: Mask
    bowel: Mask
    note: str


def segment_hollow(
    image: WorkingImage,
    smooth: NDArray[np.float32],
    body: Mask,
    lung: Mask,
    liver: Mask,
    solid: Mask,
    liver_hu: float,
    marks: Landmarks,
) -> HollowFinding:
    """Gut loops that hold gas, with the fluid under it and 4 mm of wall.

    ``solid`` holds what is known to be something else (liver, spleen, kidneys, heart).  The loop
    with most volume left of the spine beside the liver is named stomach; to planning both names
    are one group.  Collapsed and purely fluid-filled loops, and fluid that spreads sideways under
    its gas, are not found: the note says so in every result.
    """
    spacing = image.grid.spacing_mm
    shape = smooth.shape
    free = body & ~lung & ~solid & ~marks.bone
    gas = (image.hu < GAS_HU) & free & marks.cavity & marks.below_dome(shape)
    top = min(CONTENT_HU[1], liver_hu - 12.0) if liver_hu > 75.0 else CONTENT_HU[1]
    content = free & marks.cavity & (smooth > CONTENT_HU[0]) & (smooth < top)
    box = box_of(gas, (5, 5 + round(image.voxels(DEPTH_MM)), 5))
    here, fluid = gas[box], opened(content[box], 3.0, spacing)
    # The partial volume between gas and fluid passes through fat's intensities.
    step = here.copy()
    lumen = here.copy()
    for n in range(round(image.voxels(DEPTH_MM))):
        behind = np.zeros_like(step)
        behind[:, 1:] = step[:, :-1]
        step = behind & (fluid | ((n < 3) & free[box]))
        if not step.any():
            break
        lumen |= step
    lumen = opened(lumen, 3.0, spacing) | here
    labels, counts = parts(lumen)
    ml = counts.astype(np.float64) * image.voxel_ml
    ml[0] = 0.0
    stomach, bowel = np.zeros_like(body), np.zeros_like(body)
    named = _stomach_label(labels, ml, box, liver, image, marks)
    keep = ml >= LEAST_ML
    for mask, select in (
        (stomach, np.arange(ml.size) == named),
        (bowel, keep & (np.arange(ml.size) != named)),
    ):
        inner = chosen(lumen, labels, select)
        wall = dilate(inner, WALL_MM, spacing) & free[box] & (image.hu[box] > -70.0)
        mask[box] = inner | wall
    bowel &= ~stomach
    return HollowFinding(
        stomach,
        bowel,
        "Stomach and bowel were looked for by their gas: loops without gas are not in the mask.",
    )


def _stomach_label(
    labels: NDArray[np.int32],
    ml: NDArray[np.float64],
    box: tuple[slice, slice, slice],
    liver: Mask,
    image: WorkingImage,
    marks: Landmarks,
) -> int:
    """Number of the lumen that is called stomach, -1 when none fits."""
    right = (marks.right_of_spine(liver.shape) * image.spacing_mm)[box[0], :, box[2]]
    right = np.broadcast_to(right, labels.shape)
    slices = np.flatnonzero(liver.any(axis=(1, 2)))
    middle = 0.5 * float(slices[0] + slices[-1]) - box[0].start
    best, winner = 0.0, -1
    for n in np.flatnonzero(ml >= STOMACH_ML):
        mask = labels == n
        below = (middle - float(np.nonzero(mask)[0].mean())) * image.spacing_mm
        if float(right[mask].mean()) < -5.0 and below < BELOW_LIVER_MM and ml[n] > best:
            best, winner = float(ml[n]), int(n)
    return winner
