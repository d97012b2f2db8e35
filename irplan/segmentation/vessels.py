"""Vessels as bright structures: inside the liver by hysteresis, great vessels near it as tubes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from irplan.errors import InputError
from irplan.image.volume import Volume
from irplan.segmentation.interpolate import mask_on
from irplan.segmentation.landmarks import Landmarks
from irplan.segmentation.morphology import (
    Mask,
    box_of,
    dilate,
    opened,
    parts_of_at_least,
    touching,
)
from irplan.segmentation.working import WorkingImage, block_mean

#: Voxel size at which intrahepatic vessels are sought, mm (a 3 mm vein is 2-3 voxels across).
VESSEL_SPACING_MM = 1.2
#: Gaussian before thresholding, mm: raises a 3 mm vein over the noise.
SMOOTHING_MM = 0.8
#: Hysteresis thresholds over the parenchyma's median, in robust SD: grow above the first from
#: seeds above the second.
HYSTERESIS_SD = (2.5, 4.0)
#: Where a vessel's wall is: this share of the way from parenchyma to the blood in its middle.  At
#: one half a blurred tube has its true width, so that "at least 3 mm" means what it says.
WALL_SHARE = 0.5
#: The blood in a vessel's middle is the brightest candidate within this, mm; veins of unlike
#: enhancement (portal, hepatic) are each measured by their own.
MIDDLE_MM = 3.0
#: Least length of a vessel piece, as volume of a 3 mm tube 15 mm long, mm^3.
LEAST_VESSEL_MM3 = 100.0
#: Blood must be brighter than parenchyma by this, HU, for vessels to be seen at all.
LEAST_CONTRAST_HU = 20.0
#: A share of the liver below this means that its vessels are not enhanced in this phase.
LEAST_SHARE = 0.003
#: Great vessels are sought within this of the liver or of the spine's front, mm.
NEAR_MM = 40.0


@dataclass(frozen=True, eq=False)
class VesselFinding:
    """``mask`` bool or None when the phase does not allow it; ``note`` says why, in words.

    ``blood_hu`` is the intensity of the brightest blood that was measured.
    """

    mask: Mask | None
    note: str
    blood_hu: float


def segment_liver_vessels(volume: Volume, liver: Mask) -> VesselFinding:
    """Portal and hepatic veins (and bright arteries) inside ``liver``, on the volume's grid.

    The scan is averaged to about 1.2 mm, smoothed by 0.8 mm; voxels over the parenchyma's median
    by 2.5 robust SD that connect to one over 4 SD are candidates; a candidate is vessel from half
    way between parenchyma and the brightest blood within 3 mm (the wall of a blurred tube),
    in pieces of at least 100 mm^3.  The SD is of the lower half (median minus), so vessels do not
    widen it.  Veins of 3 mm and more are meant; thinner ones are found in part.  Known failures:
    bright lesions and calcifications count as vessel; vessels at the hilum merge with what lies
    beside them.

    The mask is None when the liver's vessels are not brighter than its tissue (unenhanced or
    early arterial).  Raises `InputError` for a liver mask of another shape or an empty one.
    """
    if liver.shape != volume.grid.shape or not liver.any():
        raise InputError(
            "liver mask",
            got=f"shape {liver.shape} with {int(liver.sum())} voxels",
            expected=f"a mask with voxels on the volume's grid {volume.grid.shape}",
            remedy="Segment the liver first.",
        )
    part = box_of(liver)
    crop = volume.crop([s.start for s in part], [s.stop - s.start for s in part])
    blocks = block_mean(crop, VESSEL_SPACING_MM)
    inside = mask_on(liver[part], crop.grid, blocks.grid)
    spacing = blocks.grid.spacing_mm
    smooth = ndi.gaussian_filter(
        blocks.array.astype(np.float32), [SMOOTHING_MM / s for s in spacing]
    )
    values = smooth[inside]
    middle = float(np.median(values))
    below = values[values < middle]
    sd = 1.4826 * float(np.median(middle - below)) if below.size else 1.0
    low = middle + max(HYSTERESIS_SD[0] * sd, 0.75 * LEAST_CONTRAST_HU)
    high = middle + max(HYSTERESIS_SD[1] * sd, LEAST_CONTRAST_HU)
    found = touching((smooth > low) & inside, (smooth > high) & inside)
    size = [2 * round(MIDDLE_MM / s) + 1 for s in spacing]
    blood = ndi.maximum_filter(np.where(found, smooth, np.float32(middle)), size)
    found &= smooth >= middle + WALL_SHARE * (blood - middle)
    found = parts_of_at_least(found, LEAST_VESSEL_MM3 / blocks.grid.voxel_volume_mm3)
    share = float(found.sum()) / max(1, int(inside.sum()))
    if share < LEAST_SHARE:
        return VesselFinding(
            None,
            f"Vessels inside the liver could not be assessed: only {100 * share:.1f} % of it is "
            f"brighter than its tissue ({middle:.0f} HU); the phase is unenhanced or too early.",
            middle,
        )
    mask = np.zeros(volume.grid.shape, dtype=bool)
    mask[part] = mask_on(found, blocks.grid, crop.grid) & liver[part]
    return VesselFinding(mask, "", float(np.median(smooth[found])))


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
