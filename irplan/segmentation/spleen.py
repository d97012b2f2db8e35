"""The spleen: a homogeneous body against the left wall, behind, under the diaphragm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from irplan.segmentation.landmarks import Landmarks
from irplan.segmentation.morphology import Mask, closed, dilate
from irplan.segmentation.organ_finding import OrganFinding, bodies, fills_its_box
from irplan.segmentation.working import WorkingImage

#: Volume, from atrophic to splenomegaly, ml.
VOLUME_ML = (40.0, 1800.0)
#: Half width of its intensities in SD of the liver's parenchyma, and at least, HU.
WIDTH_SD, WIDTH_HU = 2.5, 14.0
#: Spleen minus liver: unenhanced a little darker, portal brighter, HU.
AGAINST_LIVER_HU = (-25.0, 70.0)
#: Radii that cut it from stomach, kidney and wall, mm.
CUT_MM = (4.0, 7.0, 10.0)
#: Its centre lies left of the spine's midline and before the vertebrae's front by, mm.
BESIDE_MM, BEFORE_MM = (55.0, 140.0), (-60.0, 50.0)
#: It comes this near to the trunk's wall, mm; least share of its principal box.
WALL_MM, LEAST_FILL = 14.0, 0.28


def segment_spleen(
    image: WorkingImage,
    smooth: NDArray[np.float32],
    liver: Mask,
    liver_hu: float,
    liver_sd: float,
    marks: Landmarks,
    kidney: Mask | None,
) -> OrganFinding:
    """The spleen on the working grid.

    Its intensity is one of the three peaks of the soft tissue left of the spine (liver and
    ``kidney`` left out); parts within 2.5 SD of them are cut by erosion; the largest and fullest
    in the spleen's place near the wall wins.  Known failures: stomach or bowel wall of the same
    intensity, accessory spleens, arterial mottling.  None = not found; it is then not checked.
    """
    shape = smooth.shape
    right = np.broadcast_to(marks.right_of_spine(shape) * image.spacing_mm, shape)
    front = np.broadcast_to(marks.before_spine(shape) * image.spacing_mm, shape)
    zone = (right < -22.0) & (front < 70.0) & marks.below_dome(shape) & marks.cavity
    zone &= ~liver & ~marks.bone & image.covered
    if kidney is not None:
        zone &= ~dilate(kidney, 3.0, image.grid.spacing_mm)
    missing = OrganFinding(None, "The spleen was not found: it is not checked.")
    low, high = liver_hu + AGAINST_LIVER_HU[0], liver_hu + AGAINST_LIVER_HU[1]
    values = smooth[zone & (smooth > low) & (smooth < high)]
    if values.size * image.voxel_ml < VOLUME_ML[0]:
        return missing
    counts, edges = np.histogram(values, bins=max(8, int((high - low) / 3.0)))
    width = max(WIDTH_SD * liver_sd, WIDTH_HU)
    wall = dilate(~marks.cavity & image.covered, WALL_MM, image.grid.spacing_mm)
    best, winner, peak = 0.0, None, 0.0
    for level in _peaks(counts, edges):
        soft = zone & (np.abs(smooth - level) < width)
        for radius in CUT_MM:
            for mask in bodies(soft, radius, image, VOLUME_ML[0]):
                ml, fill = (
                    float(np.count_nonzero(mask)) * image.voxel_ml,
                    fills_its_box(mask, image),
                )
                at = -float(right[mask].mean()), float(front[mask].mean())
                fits = (
                    ml <= VOLUME_ML[1]
                    and fill >= LEAST_FILL
                    and BESIDE_MM[0] <= at[0] <= BESIDE_MM[1]
                    and BEFORE_MM[0] <= at[1] <= BEFORE_MM[1]
                    and bool(wall[mask].any())
                )
                if fits and ml * fill > best:
                    best, winner, peak = ml * fill, mask, level
    if winner is None:
        return missing
    rim = dilate(winner, 5.0, image.grid.spacing_mm) & zone & (smooth > 0.5 * (peak - 100.0))
    return OrganFinding(
        closed(winner | (rim & (smooth < peak + width)), 4.0, image.grid.spacing_mm)
    )


def _peaks(counts: NDArray[np.integer], edges: NDArray[np.float64]) -> list[float]:
    """Centres of the three highest local maxima of a smoothed histogram."""
    smooth = np.convolve(counts, [1.0, 2.0, 3.0, 2.0, 1.0], "same")
    padded = np.concatenate([[-1.0], smooth, [-1.0]])
    top = np.flatnonzero((padded[1:-1] > padded[:-2]) & (padded[1:-1] >= padded[2:]))
    top = top[np.argsort(-smooth[top], kind="stable")][:3]
    return [float(0.5 * (edges[n] + edges[n + 1])) for n in top]
