"""Two scans made comparable: isotropic, soft-tissue window, truncation and metal masked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from irplan.errors import RegistrationError
from irplan.geometry import Grid
from irplan.image import Volume
from irplan.image.resample import resample_volume

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
#: Window in which scans are compared, HU: air to dense bone.  Air and lung are not cut off at fat:
#: where one scan is more blurred than the other, a cut on one side of an edge would move it (the
#: dome of the liver by 1 mm towards the feet in a cone-beam CT).
WINDOW_HU = (-1000.0, 500.0)
#: Tissue is above this, HU.
BODY_HU = -200.0
#: Voxels at or below this were not reconstructed, HU.
NOT_SCANNED_HU = -1023.5
#: How far from the scan's edge and from metal voxels are left out, mm.
EDGE_MM, METAL_MM, METAL_HU = 6.0, 8.0, 2000.0
#: A body holds at least this, ml.
LEAST_BODY_ML = 300.0


@dataclass(frozen=True, eq=False)
class Prepared:
    """A scan on its working grid: ``hu`` float32 in `WINDOW_HU`, ``valid``: may be compared.

    ``scanned``: the scanned field without the margin at its edge; ``body``: tissue in it.
    """

    hu: F32
    valid: Mask
    scanned: Mask
    body: Mask
    grid: Grid


def prepare(volume: Volume, spacing_mm: float, *, field: str) -> Prepared:
    """``volume`` on an isotropic grid of ``spacing_mm``.

    Raises `RegistrationError`, naming ``field``, for a scan that shows no body.
    """
    grid = volume.grid.resized(spacing_mm)
    raw = resample_volume(volume, grid, outside=-1024.0).array
    # padding bleeds half a voxel inwards when it is resampled: air of the room is above -1010
    scanned = raw > NOT_SCANNED_HU
    if scanned.mean() > 0.98:  # nothing is padded: everything was scanned
        scanned = np.ones(grid.shape, dtype=bool)
    else:
        scanned = ndimage.binary_fill_holes(ndimage.binary_opening(scanned, iterations=1))
    size = [max(1, round(EDGE_MM / s)) for s in grid.spacing_mm]
    inner = ndimage.binary_erosion(np.asarray(scanned), iterations=max(size), border_value=1)
    inner[[0, -1]] = False
    metal = ndimage.binary_dilation(
        _metal(volume, grid), iterations=max(1, round(METAL_MM / spacing_mm))
    )
    body = (raw > BODY_HU) & np.asarray(scanned)
    body = ndimage.binary_opening(body, iterations=max(1, round(5.0 / spacing_mm)))
    if body.sum() * grid.voxel_volume_mm3 < 1000.0 * LEAST_BODY_ML:
        raise RegistrationError(
            field,
            got=f"{body.sum() * grid.voxel_volume_mm3 / 1000:.0f} ml of tissue above "
            f"{BODY_HU:.0f} HU",
            expected=f"a scan of a body, at least {LEAST_BODY_ML:.0f} ml",
            remedy="Check that it is the right scan and in Hounsfield units.",
        )
    near = ndimage.binary_dilation(body, iterations=max(1, round(12.0 / spacing_mm)))
    hu = np.clip(raw, *WINDOW_HU).astype(np.float32)
    return Prepared(hu, inner & ~metal & near, np.asarray(scanned), body, grid)


def _metal(volume: Volume, grid: Grid) -> Mask:
    out = np.zeros(grid.shape, dtype=bool)
    flat = np.flatnonzero(np.asarray(volume.array).reshape(-1) > METAL_HU)
    if len(flat):
        index = np.stack(np.unravel_index(flat, volume.grid.shape), axis=1)
        there = np.rint(grid.lps_to_index(volume.grid.index_to_lps(index))).astype(int)
        there = np.clip(there, 0, np.array(grid.shape) - 1)
        out[tuple(there.T)] = True
    return out
