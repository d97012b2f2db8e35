"""Binary morphology with radii in mm, and connected parts.

Radii are Euclidean: erosion and dilation threshold a distance map (Maurer 2003, through
SimpleITK), so they are exact on anisotropic grids and their cost does not grow with the radius.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.ndimage as ndi
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def distance_mm(mask: Mask, spacing_mm: Sequence[float]) -> NDArray[np.float32]:
    """Distance in mm of every voxel centre to the nearest voxel centre of ``mask``.

    0 inside; infinite everywhere for an empty mask.
    """
    if not mask.any():
        return np.full(mask.shape, np.inf, dtype=np.float32)
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing([float(s) for s in spacing_mm][::-1])
    signed = sitk.SignedMaurerDistanceMap(
        image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True
    )
    out: NDArray[np.float32] = np.maximum(sitk.GetArrayFromImage(signed), 0.0)
    # ITK measures from the centres of the mask's surface voxels, which are 0 themselves.
    out[mask] = 0.0
    return out


def box_of(mask: Mask, margin: Sequence[int] = (0, 0, 0)) -> tuple[slice, slice, slice]:
    """The smallest slices that hold ``mask`` plus a margin in voxels; all of it if empty."""
    out = []
    for axis in range(3):
        other = tuple(a for a in range(3) if a != axis)
        found = np.flatnonzero(np.asarray(mask.any(axis=other)))
        if found.size == 0:
            return slice(0, mask.shape[0]), slice(0, mask.shape[1]), slice(0, mask.shape[2])
        low = max(0, int(found[0]) - margin[axis])
        out.append(slice(low, min(mask.shape[axis], int(found[-1]) + 1 + margin[axis])))
    return out[0], out[1], out[2]


def _reach(radius_mm: float, spacing_mm: Sequence[float]) -> tuple[int, int, int]:
    a, b, c = (int(radius_mm / s) + 1 for s in spacing_mm)
    return a, b, c


def dilate(mask: Mask, radius_mm: float, spacing_mm: Sequence[float]) -> Mask:
    """Voxels within ``radius_mm`` of ``mask``."""
    out = np.zeros_like(mask)
    box = box_of(mask, _reach(radius_mm, spacing_mm))
    out[box] = distance_mm(mask[box], spacing_mm) <= radius_mm
    return out


def erode(mask: Mask, radius_mm: float, spacing_mm: Sequence[float]) -> Mask:
    """Voxels of ``mask`` farther than ``radius_mm`` from every voxel outside it.

    The array's border does not erode: what the scan cuts off is taken to go on.
    """
    out = np.zeros_like(mask)
    box = box_of(mask, (1, 1, 1))
    out[box] = distance_mm(~mask[box], spacing_mm) > radius_mm
    return out


def opened(mask: Mask, radius_mm: float, spacing_mm: Sequence[float]) -> Mask:
    """Erosion, then dilation: parts thinner than ``2 radius_mm`` vanish."""
    core = erode(mask, radius_mm, spacing_mm)
    return dilate(core, radius_mm, spacing_mm) & mask


def closed(mask: Mask, radius_mm: float, spacing_mm: Sequence[float]) -> Mask:
    """Dilation, then erosion: gaps narrower than ``2 radius_mm`` are filled."""
    return mask | erode(dilate(mask, radius_mm, spacing_mm), radius_mm, spacing_mm)


def parts(mask: Mask) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Face-connected components: labels (1..n, 0 outside) and voxel counts (index 0 = outside)."""
    labels = np.empty(mask.shape, dtype=np.int32)
    ndi.label(mask, output=labels)
    return labels, np.bincount(labels.reshape(-1))


def largest_part(mask: Mask) -> Mask:
    """The largest face-connected component; empty if ``mask`` is."""
    labels, counts = parts(mask)
    if counts.size < 2:
        return np.zeros_like(mask)
    out: Mask = labels == 1 + int(np.argmax(counts[1:]))
    return out


def parts_of_at_least(mask: Mask, voxels: float) -> Mask:
    """Components with at least ``voxels`` voxels."""
    labels, counts = parts(mask)
    keep = counts >= voxels
    keep[0] = False
    out: Mask = keep[labels]
    return out


def touching(mask: Mask, seeds: Mask) -> Mask:
    """Components of ``mask`` that contain a voxel of ``seeds`` (hysteresis, reconstruction)."""
    labels, counts = parts(mask)
    keep = np.zeros(counts.size, dtype=bool)
    keep[np.unique(labels[seeds & mask])] = True
    keep[0] = False
    out: Mask = keep[labels]
    return out


def filled_slices(mask: Mask, axis: int = 0) -> Mask:
    """Fill holes slice by slice along ``axis``."""
    out = mask.copy()
    for k in range(mask.shape[axis]):
        where = tuple(k if a == axis else slice(None) for a in range(3))
        if mask[where].any():
            out[where] = ndi.binary_fill_holes(mask[where])
    return out
