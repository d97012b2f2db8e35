"""How liver and its neighbours look in this scan: the intensity models of the cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from irplan.segmentation.landmarks import Landmarks
from irplan.segmentation.morphology import Mask, box_of
from irplan.segmentation.working import WorkingImage

#: Least and largest SD of the smoothed liver about its local mean, HU.
LIVER_SD_HU = (5.0, 14.0)
#: The liver's mean changes over this distance (lobes, beam hardening), mm (SD of the weights).
LOCAL_MM = 22.0
#: Weight of the whole liver's mean against the local one where seeds are dense.
WHOLE_WEIGHT = 0.08
#: Back muscle: behind the vertebral bodies' front by this much, aside of the midline, mm.
MUSCLE_BEHIND_MM, MUSCLE_ASIDE_MM = (15.0, 75.0), (15.0, 65.0)
#: What muscle measures at most and at least, HU, and the least number of voxels of it.
MUSCLE_HU, MUSCLE_VOXELS = (20.0, 110.0), 2000
#: Muscle lies within this depth of the trunk's inner wall, mm.
WALL_REACH_MM = 14.0
#: Water-like fluid (ascites, bile, stomach), HU: mean and SD between patients.
FLUID_HU = (12.0, 9.0)
#: Shares of the background: muscle near the wall and elsewhere, fluid; the rest is other tissue.
MUSCLE_SHARE, FLUID_SHARE = (0.6, 0.05), 0.15
#: Bounds of the evidence of one voxel, nats.
LARGEST_EVIDENCE = 3.0


@dataclass(frozen=True)
class Muscle:
    """Skeletal muscle of this scan: mean and SD of the smoothed image, HU."""

    mean_hu: float
    sd_hu: float


@dataclass(frozen=True, eq=False)
class LiverModel:
    """``mean`` of the liver at each voxel (HU, float32) and the ``sd_hu`` about it."""

    mean: NDArray[np.float32]
    sd_hu: float


def find_muscle(
    image: WorkingImage, smooth: NDArray[np.float32], body: Mask, marks: Landmarks
) -> Muscle | None:
    """Muscle of the back beside the spine: the mode of what measures 20 to 110 HU there.

    None where less than 16 ml of it is seen (no spine, or a narrow field of view).
    """
    aside = np.abs(marks.right_of_spine(body.shape)) * image.spacing_mm
    behind = -marks.before_spine(body.shape) * image.spacing_mm
    there = body & ~marks.bone
    there &= (aside > MUSCLE_ASIDE_MM[0]) & (aside < MUSCLE_ASIDE_MM[1])
    there &= (behind > MUSCLE_BEHIND_MM[0]) & (behind < MUSCLE_BEHIND_MM[1])
    values = smooth[there]
    values = values[(values > MUSCLE_HU[0]) & (values < MUSCLE_HU[1])]
    if values.size < MUSCLE_VOXELS:
        return None
    edges = np.arange(MUSCLE_HU[0], MUSCLE_HU[1] + 2.0, 2.0)
    counts = ndi.gaussian_filter1d(np.histogram(values, edges)[0].astype(float), 2.0)
    mean = float(edges[int(np.argmax(counts))] + 1.0)
    sd = 8.0
    for _ in range(3):
        near = values[np.abs(values - mean) < 1.5 * sd]
        mean = float(near.mean())
        sd = float(np.clip(near.std() / 0.744, 4.0, 12.0))  # a normal cut at +-1.5 SD has 0.744
    return Muscle(mean, sd)


def liver_model(
    image: WorkingImage, smooth: NDArray[np.float32], inside: Mask, mean_hu: float
) -> LiverModel:
    """The liver's mean at each place from the seeds around it, and its SD about that mean."""
    mean = np.full(smooth.shape, np.float32(mean_hu))
    if not inside.any():
        return LiverModel(mean, LIVER_SD_HU[1])
    margin = (round(image.voxels(2.0 * LOCAL_MM)),) * 3
    box = box_of(inside, margin)
    # The field varies slowly: every second voxel is enough.
    seeds, hu = inside[box][::2, ::2, ::2], smooth[box][::2, ::2, ::2]
    good = seeds & (np.abs(hu - mean_hu) < 30.0)
    sigma = 0.5 * image.voxels(LOCAL_MM)
    weight = ndi.gaussian_filter(good.astype(np.float32), sigma, truncate=2.5)
    total = ndi.gaussian_filter(np.where(good, hu - mean_hu, np.float32(0.0)), sigma, truncate=2.5)
    local = total / (weight + WHOLE_WEIGHT)
    wide = np.repeat(np.repeat(np.repeat(local, 2, 0), 2, 1), 2, 2)
    a, b, c = inside[box].shape
    mean[box] += wide[:a, :b, :c]
    off = np.abs(smooth[inside] - mean[inside])
    sd = float(np.clip(1.4826 * np.median(off), *LIVER_SD_HU))
    return LiverModel(mean, sd)


def tissue_evidence(
    image: WorkingImage,
    smooth: NDArray[np.float32],
    model: LiverModel,
    outside: Mask,
    muscle: Muscle | None,
    wall_mm: NDArray[np.float32],
    near: Mask,
) -> NDArray[np.float32]:
    """ln Pr(I | liver here) - ln Pr(I | background here) per voxel, clipped to +-3.

    Liver: a normal density about the local mean.  Background: muscle (60 % within 14 mm of the
    trunk's wall, 5 % elsewhere), fluid (15 %), and what the seeds ``outside`` measure (bins of
    4 HU, smoothed; Wu 2016, step 5) mixed with an even density.  Computed in the box of ``near``;
    -3 elsewhere.  ``wall_mm``: depth inside the trunk's wall.
    """
    box = box_of(near)
    hu = smooth[box]
    liver = _log_normal(hu, model.mean[box], model.sd_hu)
    edges = np.arange(-200.0, 404.0, 4.0)
    bins = edges.size - 1
    index = np.clip(((hu - edges[0]) / 4.0).astype(np.int32), 0, bins - 1)
    seen = np.clip(((smooth[outside] - edges[0]) / 4.0).astype(np.int32), 0, bins - 1)
    counts = ndi.gaussian_filter1d(np.bincount(seen, minlength=bins).astype(float), 1.5)
    share = counts / max(counts.sum(), 1.0)
    other = (0.7 * share + 0.3 / bins) / 4.0
    background = other.astype(np.float32)[index] * np.float32(1.0 - FLUID_SHARE)
    background += np.float32(FLUID_SHARE) * np.exp(_log_normal(hu, FLUID_HU[0], FLUID_HU[1]))
    if muscle is not None:
        close = 1.0 / (1.0 + np.exp(np.clip((wall_mm[box] - WALL_REACH_MM) / 2.0, -30.0, 30.0)))
        part = MUSCLE_SHARE[1] + (MUSCLE_SHARE[0] - MUSCLE_SHARE[1]) * close
        background *= 1.0 - part
        background += part * np.exp(_log_normal(hu, muscle.mean_hu, muscle.sd_hu))
    ratio = liver - np.log(background)
    out = np.full(smooth.shape, np.float32(-LARGEST_EVIDENCE))
    out[box] = np.clip(ratio, -LARGEST_EVIDENCE, LARGEST_EVIDENCE)
    return out


def _log_normal(
    hu: NDArray[np.float32], mean: NDArray[np.float32] | float, sd: float
) -> NDArray[np.float32]:
    z = (hu - mean) / np.float32(sd)
    out: NDArray[np.float32] = np.maximum(-0.5 * z * z, -40.0) - np.float32(
        np.log(sd * np.sqrt(2.0 * np.pi))
    )
    return out
