"""The liver's intensity, its certain core and its volume of interest (the paper's step 2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from irplan.errors import SegmentationError
from irplan.segmentation.landmarks import Landmarks
from irplan.segmentation.morphology import Mask, closed, dilate, erode, filled, parts
from irplan.segmentation.working import WorkingImage

#: Plausible mean HU of liver: fatty unenhanced to strongly enhanced.
LIVER_HU = (15.0, 200.0)
#: Least SD of the liver's smoothed intensity, HU: the left lobe can be 15 HU darker [spec note 3].
LEAST_SD_HU = 10.0
#: Its greatest SD: a wider mode is two tissues that merge (muscle and liver).
LARGEST_SD_HU = 16.0
#: How far the fitted mean may move from the histogram's peak, HU.
LARGEST_SHIFT_HU = 8.0
#: The adaptive window, in SD below and above the peak [spec note 3].
WINDOW_SD = (2.8, 3.0)
#: Radius that cuts the liver from stomach, muscle and kidney, mm.
CORE_RADIUS_MM = 7.0
#: Reach of the volume of interest beyond the core, mm [spec note 3].
VOI_MARGIN_MM = 14.0
#: Gaps of the core narrower than twice this belong to the volume of interest too (large lesions
#: at the capsule), mm.
VOI_CLOSING_MM = 25.0
#: A liver core below this is not believed, ml (the smallest adult livers are about 600).
LEAST_CORE_ML = 60.0
#: Height of the slab below the top of the abdomen in which a liver is looked for, mm.
LIVER_REACH_MM = 180.0


@dataclass(frozen=True, eq=False)
class LiverVoi:
    """``mean_hu``, ``sd_hu`` of the smoothed liver; ``core`` certain liver, ``voi`` possible liver.

    ``smooth`` is the working image after a Gaussian of 2 mm SD; ``window_hu`` the threshold.
    """

    mean_hu: float
    sd_hu: float
    window_hu: tuple[float, float]
    smooth: NDArray[np.float32]
    core: Mask
    voi: Mask


def find_voi(image: WorkingImage, body: Mask, lung: Mask, marks: Landmarks) -> LiverVoi:
    """Histogram peak right of the spine below the diaphragm, window, largest core, margin.

    Every peak of the histogram that could be liver is tried; the one whose eroded component has
    the largest volume, weighted towards the patient's right, over the mode's SD is the liver.

    Raises `SegmentationError` when no peak gives a core of at least 60 ml.
    """
    smooth = ndi.gaussian_filter(image.hu, image.voxels(2.0))
    region = _search_region(image, body, lung, marks)
    right = region & (marks.right_of_spine(body.shape) > image.voxels(15.0))
    weight = _location_weight(image, marks, body.shape)
    best: tuple[float, LiverVoi] | None = None
    for peak in _peaks(smooth[right]):
        found = _core_at(peak, image, smooth, region, right, weight)
        if found is not None and (best is None or found[0] > best[0]):
            best = found
    if best is None:
        values = smooth[right]
        seen = f"a median of {np.median(values):.0f} HU there" if values.size else "no tissue there"
        raise SegmentationError(
            "liver",
            got=f"no homogeneous organ of {LEAST_CORE_ML:.0f} ml between {LIVER_HU[0]:.0f} and "
            f"{LIVER_HU[1]:.0f} HU right of the spine ({seen})",
            expected="a CT that shows the liver",
            remedy="Check that the series covers the upper abdomen and is in HU; where the liver "
            "is in the scan, give its mask yourself.",
        )
    core = best[1].core
    spacing = image.grid.spacing_mm
    reach = dilate(core, VOI_MARGIN_MM, spacing)
    # Every second voxel is enough for so wide a closing.
    wide = closed(core[::2, ::2, ::2], VOI_CLOSING_MM, [2.0 * s for s in spacing])
    wide = np.repeat(np.repeat(np.repeat(wide, 2, 0), 2, 1), 2, 2)
    reach |= wide[tuple(slice(0, n) for n in core.shape)] & region
    voi = reach & body & ~lung & image.covered
    return LiverVoi(best[1].mean_hu, best[1].sd_hu, best[1].window_hu, smooth, core, voi)


def _search_region(image: WorkingImage, body: Mask, lung: Mask, marks: Landmarks) -> Mask:
    """Inside the wall, below the dome, no lung, no bone, within 180 mm of the top."""
    region = marks.cavity & marks.below_dome(body.shape) & ~lung & ~marks.bone & image.covered
    height = region.sum(axis=(1, 2)) * image.spacing_mm**2 / 100.0
    filled = np.flatnonzero(height > 20.0)
    if filled.size:
        top = int(filled[-1])
        if marks.dome_z is not None:
            finite = marks.dome_z[np.isfinite(marks.dome_z)]
            top = min(top, int(np.percentile(finite, 95.0)))
        region[: max(0, top - round(image.voxels(LIVER_REACH_MM)))] = False
    return region


def _location_weight(
    image: WorkingImage, marks: Landmarks, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """1 on the patient's right, falling to 0.1 on the left: spleen and muscle must not win."""
    right = marks.right_of_spine(shape) * image.spacing_mm
    weight = 0.1 + 0.9 / (1.0 + np.exp(-right / 15.0))
    return np.broadcast_to(weight, shape).astype(np.float32)


def _peaks(values: NDArray[np.float32]) -> list[float]:
    """Modes of the histogram (2 HU bins, Gaussian of 6 HU) within the plausible range."""
    edges = np.arange(LIVER_HU[0] - 20.0, LIVER_HU[1] + 22.0, 2.0)
    counts = ndi.gaussian_filter1d(np.histogram(values, edges)[0].astype(float), 3.0)
    middle = 0.5 * (edges[1:] + edges[:-1])
    inner = (counts[1:-1] > counts[:-2]) & (counts[1:-1] >= counts[2:])
    peak = np.flatnonzero(inner) + 1
    peak = peak[(middle[peak] >= LIVER_HU[0]) & (middle[peak] <= LIVER_HU[1])]
    peak = peak[counts[peak] >= 0.1 * counts.max(initial=0.0)]
    return [float(middle[k]) for k in peak]


def _core_at(
    peak: float,
    image: WorkingImage,
    smooth: NDArray[np.float32],
    region: Mask,
    right: Mask,
    weight: NDArray[np.float32],
) -> tuple[float, LiverVoi] | None:
    mean, sd = _fit(smooth[right], peak)
    window = (mean - WINDOW_SD[0] * sd, mean + WINDOW_SD[1] * sd)
    tissue = region & (smooth > window[0]) & (smooth < window[1])
    # Vessels and small lesions must not perforate the core before it is eroded.
    # (At the array's border that closing takes tissue away.)
    solid = (tissue | ndi.binary_closing(tissue, iterations=1)) & region
    eroded = erode(solid, CORE_RADIUS_MM, image.grid.spacing_mm)
    labels, counts = parts(eroded)
    if counts.size < 2:
        return None
    score = np.bincount(labels.reshape(-1), weights=weight.reshape(-1))
    score[0] = 0.0
    winner = int(np.argmax(score))
    grown = dilate(labels == winner, CORE_RADIUS_MM, image.grid.spacing_mm)
    core = filled(grown & solid)
    if core.sum() * image.voxel_ml < LEAST_CORE_ML:
        return None
    # Volume over spread is the height of the mode: two tissues in one wide window do not win.
    return float(score[winner]) / sd, LiverVoi(mean, sd, window, smooth, core, core)


def _fit(values: NDArray[np.float32], peak: float) -> tuple[float, float]:
    """Mean and SD of the mode at ``peak``, from the values near it (a truncated window, twice)."""
    mean, sd = peak, LEAST_SD_HU
    for _ in range(3):
        near = values[np.abs(values - mean) < 2.0 * sd]
        if near.size < 100:
            break
        mean = float(np.clip(near.mean(), peak - LARGEST_SHIFT_HU, peak + LARGEST_SHIFT_HU))
        # A normal cut at +-2 SD has 0.880 of its SD.
        sd = float(np.clip(near.std() / 0.880, LEAST_SD_HU, LARGEST_SD_HU))
    return mean, sd
