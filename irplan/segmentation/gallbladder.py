"""The gallbladder: a compact bag of bile at the liver's lower surface."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from irplan.segmentation.landmarks import Landmarks
from irplan.segmentation.morphology import Mask, dilate, distance_mm, erode, filled, opened, parts
from irplan.segmentation.working import WorkingImage

#: Mean of undiluted bile, HU; sludge and stones are denser and are missed.
BILE_HU = (-10.0, 30.0)
#: Volumes between a contracted and a hydropic gallbladder, ml.
VOLUME_ML = (2.0, 200.0)
#: Fat, HU.
FAT_HU = -100.0
#: Radii of the core that is sought, mm; larger ones cut the bag from bowel that touches it,
#: and below 5 mm a layer may be partial volume of fat.
CORE_MM = (9.0, 7.0, 5.0)
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

    Candidates are homogeneous parts at bile's intensity, at least 10 mm thick, right of
    the spine, within 10 mm of the liver; the one that is largest, roundest and
    touches the liver most wins.  Known
    failures: water-filled bowel against the liver, subcapsular cysts, a contracted or
    stone-filled gallbladder, fatty livers near bile's intensity.
    """
    spacing = image.grid.spacing_mm
    top = min(BILE_HU[1], liver_hu - 15.0)
    near = distance_mm(liver, spacing)
    right = marks.right_of_spine(image.hu.shape) * image.spacing_mm
    watery = (smooth > BILE_HU[0]) & (smooth < top) & (near < 60.0) & ~liver & (right > -20.0)
    best, winner = 0.0, np.zeros_like(liver)
    for radius in CORE_MM:
        for core in _cores(watery, radius, image):
            if float(near[core].min()) > radius + 6.0 or float(smooth[core].std()) > 8.0:
                continue
            bag = dilate(core, radius + 1.0, spacing) & watery
            if not VOLUME_ML[0] <= float(bag.sum()) * image.voxel_ml <= VOLUME_ML[1]:
                continue
            shell = dilate(bag, 3.0, spacing) & ~bag
            contact = float((near[shell] <= 3.0).mean())
            score = contact * _roundness(bag, image) * radius
            if CONTACT[0] <= contact <= CONTACT[1] and score > best:
                best, winner = score, bag
    if not winner.any():
        return winner
    # To its edge: half way to liver and to fat; the neck is thinner than the core.
    bile = float(np.median(smooth[winner]))
    level = (smooth < 0.5 * (bile + liver_hu)) & (smooth > 0.5 * (bile + FAT_HU)) & ~liver
    rim = level & dilate(winner, 5.0, spacing)
    return filled(winner | opened(rim, 2.0, spacing))


def _cores(watery: Mask, radius_mm: float, image: WorkingImage) -> Iterator[Mask]:
    """Components of the eroded candidates, largest first, at most eight."""
    labels, counts = parts(erode(watery, radius_mm, image.grid.spacing_mm))
    order = 1 + np.argsort(-counts[1:], kind="stable")
    for n in order[:8]:
        yield labels == n


def _roundness(bag: Mask, image: WorkingImage) -> float:
    """Volume over that of the box of its principal axes: about .5 for a pear, less for a tangle."""
    points = np.argwhere(bag) * image.spacing_mm
    _, axes = np.linalg.eigh(np.cov(points.T) + 1e-6 * np.eye(3))
    span = np.ptp(points @ axes, axis=0) + image.spacing_mm
    return float(len(points) * image.spacing_mm**3 / np.prod(span))
