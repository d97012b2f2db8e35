"""The gallbladder: a compact bag of bile at the liver's lower surface."""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from irplan.segmentation.landmarks import Landmarks
from irplan.segmentation.morphology import Mask, dilate, distance_mm, erode, parts
from irplan.segmentation.working import WorkingImage

#: Mean of undiluted bile, HU; sludge and stones are denser and are missed.
BILE_HU = (-10.0, 30.0)
#: Volumes between a contracted and a hydropic gallbladder, ml.
VOLUME_ML = (2.0, 200.0)
#: Radius of the smallest core that is believed, mm: thinner layers are partial volume of fat.
CORE_MM = 5.0
#: Contact with the liver (part of the surface within 5 mm of it): a cyst has more, bowel less.
CONTACT = (0.12, 0.85)


def segment_gallbladder(
    image: WorkingImage,
    smooth: NDArray[np.float32],
    liver: Mask,
    liver_hu: float,
    marks: Landmarks,
) -> Mask:
    """The gallbladder with its wall on the working grid; empty when none is found.

    Candidates are homogeneous parts at bile's intensity, at least 10 mm thick, right of the
    spine, within 10 mm of the liver; the one with the largest contact area wins.  Known
    failures: water-filled bowel against the liver, subcapsular cysts, a contracted or
    stone-filled gallbladder, fatty livers near bile's intensity.
    """
    spacing = image.grid.spacing_mm
    top = min(BILE_HU[1], liver_hu - 15.0)
    near = distance_mm(liver, spacing)
    right = marks.right_of_spine(image.hu.shape) * image.spacing_mm
    watery = (smooth > BILE_HU[0]) & (smooth < top) & (near < 60.0) & ~liver & (right > -20.0)
    labels, counts = parts(erode(watery, CORE_MM, spacing))
    best, winner = 0.0, np.zeros_like(liver)
    for n in range(1, counts.size):
        core = labels == n
        if float(near[core].min()) > CORE_MM + 10.0:
            continue
        bag = dilate(core, CORE_MM + 1.0, spacing) & watery
        ml = float(bag.sum()) * image.voxel_ml
        spread = float(smooth[core].std())
        if not VOLUME_ML[0] <= ml <= VOLUME_ML[1] or spread > 8.0:
            continue
        shell = dilate(bag, 3.0, spacing) & ~bag
        contact = float((near[shell] <= 3.0).mean())
        area = contact * float(shell.sum())
        if CONTACT[0] <= contact <= CONTACT[1] and area > best:
            best, winner = area, bag
    if not winner.any():
        return winner
    wall = dilate(winner, 3.0, spacing) & (smooth < 0.5 * (top + liver_hu)) & ~liver
    grown: Mask = ndi.binary_fill_holes(winner | (wall & (smooth > BILE_HU[0] - 20.0)))
    return grown
