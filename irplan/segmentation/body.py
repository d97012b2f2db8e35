"""The body inside its skin: without the table, without arms that lie free of the trunk."""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndi

from irplan.errors import SegmentationError
from irplan.segmentation.morphology import (
    Mask,
    dilate,
    filled_slices,
    largest_part,
    opened,
)
from irplan.segmentation.working import WorkingImage

#: HU above which a voxel is tissue: midway between air and fat would be -550; -250 keeps foam
#: mats and clothing (-900..-300) out [spec note 1].
TISSUE_HU = -250.0
#: Radius that cuts table sheets (shells of a few mm) from the back, mm.
TABLE_RADIUS_MM = 6.0
#: Rounding of corners that the opening may take back, mm.
CORNER_MM = 2.0
#: A trunk slice smaller than this is not an abdomen, cm^2 (a small child's is about 150).
LEAST_AREA_CM2 = 60.0


def abdomen_box(image: WorkingImage) -> Mask:
    """The trunk's outline in the axial plane, (row, column): the paper's first step.

    Maximum-intensity projection along the body axis of the opened image, threshold, largest
    component, holes filled (Wu 2016, step 1).  Opening by a few mm first takes out the table.
    """
    low = np.where(image.covered, image.hu, -1024.0)
    sheetless = ndi.minimum_filter1d(low, max(1, round(image.voxels(8.0))), axis=1)
    projected = sheetless.max(axis=0) > TISSUE_HU
    labels, count = ndi.label(projected)
    if count == 0:
        return np.zeros(projected.shape, dtype=bool)
    sizes = np.bincount(labels.reshape(-1))[1:]
    trunk = labels == 1 + int(np.argmax(sizes))
    reach = max(1, round(image.voxels(10.0)))
    out: Mask = ndi.binary_dilation(ndi.binary_fill_holes(trunk), iterations=reach)
    return out


def segment_body(image: WorkingImage) -> Mask:
    """Everything inside the skin of the trunk, on the working grid.

    Tissue above -250 HU within the axial outline, opened to cut the table off, the largest
    part, holes (lungs, gas) filled slice by slice.  Known failure: an arm pressed against the
    trunk, or a table sheet thicker than 12 mm and denser than fat, stays.

    Raises `SegmentationError` when no slice holds a body of at least 60 cm^2.
    """
    spacing = image.grid.spacing_mm
    tissue = (image.hu > TISSUE_HU) & abdomen_box(image)[None]
    solid = filled_slices(tissue)
    trunk = largest_part(opened(solid, TABLE_RADIUS_MM, spacing))
    trunk = solid & dilate(trunk, CORNER_MM, spacing)
    body = filled_slices(largest_part(trunk))
    area_cm2 = body.sum(axis=(1, 2)) * image.spacing_mm**2 / 100.0
    if area_cm2.size == 0 or area_cm2.max() < LEAST_AREA_CM2:
        raise SegmentationError(
            "body",
            got=f"a largest cross-section of {area_cm2.max(initial=0.0):.0f} cm^2 above "
            f"{TISSUE_HU:.0f} HU",
            expected=f"a trunk of at least {LEAST_AREA_CM2:.0f} cm^2",
            remedy="Give an abdominal CT in HU with the whole trunk in the field of view.",
        )
    return body
