"""Skin and diaphragm as layers of a stated thickness: surfaces that a needle passes."""

from __future__ import annotations

import numpy as np

from irplan.geometry import Grid
from irplan.segmentation.liver_result import LiverSegmentation
from irplan.segmentation.morphology import Mask, dilate, erode
from irplan.segmentation.working import WorkingImage

#: Thickness of the skin's layer, mm [S: dermis and epidermis of the trunk 1.5 to 3 mm].
SKIN_MM = 2.0
#: Thickness of the diaphragm's layer below the lung, mm [S: 2 to 5 mm at rest].
DIAPHRAGM_MM = 4.0


def skin_layer(body: Mask, grid: Grid) -> Mask:
    """The outermost 2 mm of ``body`` (bool on ``grid``), at least one voxel.

    Faces of the image are no skin: the body goes on there.
    """
    # The first voxel inside has its centre half a voxel from the surface.
    depth = max(SKIN_MM, 0.6 * min(grid.spacing_mm)) + 0.5 * min(grid.spacing_mm)
    out: Mask = body & ~erode(body, depth, grid.spacing_mm)
    return out


def diaphragm_layer(liver: LiverSegmentation) -> Mask | None:
    """The 4 mm below the lung's base inside the rib cage, on the working grid.

    Only where lung lies above (`Landmarks.dome_z` without its harmonic fill); None where the
    scan does not reach above the dome.  It is where the diaphragm must be, not the muscle itself:
    pleura, a recess without air and what lies against it are within it.
    """
    stages = liver.stages
    marks = stages.landmarks
    if marks.dome_z is None:
        return None
    lung = stages.lung
    image: WorkingImage = stages.image
    above = np.logical_or.accumulate(lung, axis=0)
    columns = np.asarray(lung.any(axis=0))[None]
    near = dilate(lung, DIAPHRAGM_MM + 0.5 * image.spacing_mm, image.grid.spacing_mm)
    out: Mask = near & columns & ~above & marks.cavity & stages.body
    return out
