"""What a search for one organ returns, and the tools all such searches share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.segmentation.morphology import Mask, box_of, dilate, erode, parts
from irplan.segmentation.working import WorkingImage


@dataclass(frozen=True, eq=False)
class OrganFinding:
    """``mask`` on the working grid, or None when it was not checked; ``note`` says why, in words.

    An empty mask means looked for and not there; None means that nothing is known.
    """

    mask: Mask | None
    note: str = ""


def bodies(soft: Mask, radius_mm: float, image: WorkingImage, least_ml: float) -> list[Mask]:
    """Bulky parts of ``soft``, largest first: eroded, parted, grown back inside ``soft``.

    Bridges thinner than ``2 radius_mm`` are cut.  Parts of at least ``least_ml`` after growing;
    at most six.
    """
    spacing = image.grid.spacing_mm
    box = box_of(soft)
    inner = soft[box]
    labels, counts = parts(erode(inner, radius_mm, spacing))
    out = []
    for n in (1 + np.argsort(-counts[1:], kind="stable"))[:6]:
        grown = dilate(labels == n, radius_mm + 0.5 * image.spacing_mm, spacing) & inner
        if float(np.count_nonzero(grown)) * image.voxel_ml >= least_ml:
            mask = np.zeros_like(soft)
            mask[box] = grown
            out.append(mask)
    return out


def spans_mm(mask: Mask, image: WorkingImage) -> NDArray[np.float64]:
    """Extent along the three principal axes, largest first, mm."""
    points = np.argwhere(mask)[::3] * image.spacing_mm
    _, axes = np.linalg.eigh(np.cov(points.T) + 1e-6 * np.eye(3))
    out: NDArray[np.float64] = np.sort(np.ptp(points @ axes, axis=0) + image.spacing_mm)[::-1]
    return out


def fills_its_box(mask: Mask, image: WorkingImage) -> float:
    """Volume over that of the box of its principal axes: .52 for an ellipsoid."""
    volume = float(np.count_nonzero(mask)) * image.spacing_mm**3
    return volume / float(np.prod(spans_mm(mask, image)))
