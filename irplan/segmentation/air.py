"""Lung and gas: the air inside the body."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from irplan.segmentation.morphology import (
    Mask,
    box_of,
    chosen,
    closed,
    distance_mm,
    opened,
    parts,
    stepped,
    touching,
)
from irplan.segmentation.working import WorkingImage

#: Smoothed HU of aerated lung; gas in bowel is below, fat above [spec note 1].
LUNG_HU = (-955.0, -600.0)
#: Half of the step from lung (about -850) to soft tissue (about 50): the lung's edge, HU.
LUNG_EDGE_HU = -400.0
#: Half of the step from gas (-1000) to soft tissue: the edge of gas, moved out for safety, HU.
GAS_EDGE_HU = -300.0
#: A lung that does not reach the top of the scan must have at least this volume, ml.
WHOLE_LUNG_ML = 400.0
#: Smallest lung recess that is believed at the top of the scan, ml.
LEAST_LUNG_ML = 2.0
#: Least speck of gas that is kept, mm^3 (a ball of 3 mm diameter).
LEAST_GAS_MM3 = 14.0


def segment_lung(image: WorkingImage, body: Mask) -> Mask:
    """Lungs (both, with their vessels and airways) on the working grid; may be empty.

    Seeds are smooth parts in the lung's HU range at least 8 mm thick that reach the top of the
    scan or have the volume of a whole lung; colon gas does neither.  They grow to half the step
    to soft tissue, where each voxel goes to the nearer of lung seeds and pure gas (the splenic
    flexure lies against the lung), and are closed by 6 mm (vessels, small lesions).
    """
    spacing = image.grid.spacing_mm
    smooth = ndi.gaussian_filter(image.hu, image.voxels(2.0))
    airy = (smooth > LUNG_HU[0]) & (smooth < LUNG_HU[1]) & body
    thick = opened(airy, 4.0, spacing)
    labels, counts = parts(thick)
    top = _top_slices(image, body)
    reaches_top = np.zeros(counts.size, dtype=bool)
    reaches_top[labels[top]] = True
    ml = counts * image.voxel_ml
    keep = (reaches_top & (ml >= LEAST_LUNG_ML)) | (ml >= WHOLE_LUNG_ML)
    keep[0] = False
    if not keep.any():
        return np.zeros_like(body)
    seeds = chosen(thick, labels, keep)
    gas = opened((smooth <= LUNG_HU[0]) & body & ~seeds, 2.0, spacing)
    airy = (smooth < LUNG_EDGE_HU) & body
    box = box_of(airy)  # holds seeds and gas
    airy[box] &= distance_mm(seeds[box], spacing) < distance_mm(gas[box], spacing)
    lung = touching(airy, seeds)
    return closed(lung, 6.0, spacing) & body & ~gas


def _top_slices(image: WorkingImage, body: Mask) -> Mask:
    """The uppermost 10 mm of the body in the scan."""
    out = np.zeros_like(body)
    top = int(np.flatnonzero(body.any(axis=(1, 2)))[-1])
    out[max(0, top - round(image.voxels(10.0))) : top + 1] = True
    return out


def segment_gas(hu: NDArray[Any], body: Mask, lung: Mask, voxel_mm3: float) -> Mask:
    """Gas in stomach and bowel (and anywhere else inside the body), on the scan's own grid.

    Voxels of ``body`` below -300 HU that are not lung, in specks of at least 14 mm^3.  The
    threshold lies on the tissue side of the half step, so the mask holds the partial-volume rim
    but not the wall: keep a clearance to it.
    """
    low = (hu < GAS_EDGE_HU) & body & ~lung
    labels, counts = parts(low)
    # The skin's own partial volume is not gas: what only lines the outside is left out.
    rim = low & stepped(~body, 2)
    at_skin = np.bincount(labels[rim], minlength=counts.size)
    keep = (counts * voxel_mm3 >= LEAST_GAS_MM3) & (at_skin < 0.5 * counts)
    return chosen(low, labels, keep)
