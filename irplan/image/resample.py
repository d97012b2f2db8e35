"""Explicit resampling between grids (nothing in irplan resamples silently)."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from irplan.geometry import Grid
from irplan.image.labels import LabelMap
from irplan.image.volume import Volume


def to_sitk(array: NDArray[Any], grid: Grid) -> SimpleITK.Image:
    """A SimpleITK image (LPS, like ours) that shares nothing with ``array``."""
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing(grid.spacing_mm[::-1])
    image.SetOrigin([float(v) for v in grid.affine[:3, 3]])
    image.SetDirection(grid.direction[:, ::-1].reshape(-1).tolist())
    return image


def resample_volume(volume: Volume, grid: Grid, *, outside: float, smooth: bool = True) -> Volume:
    """``volume`` on ``grid``, trilinear, float32; ``outside`` fills what it does not cover.

    With ``smooth`` a Gaussian of 0.4 x the new voxel size goes before a coarser grid
    (anti-aliasing; sigma^2 is what the new grid adds, so equal grids are not blurred).
    """
    image = to_sitk(volume.array.astype(np.float32), volume.grid)
    if smooth:
        new = np.abs(np.linalg.inv(volume.grid.direction) @ grid.direction) @ grid.spacing_mm
        old = np.asarray(volume.grid.spacing_mm)
        sigma = 0.4 * np.sqrt(np.maximum(0.0, new**2 - old**2))
        if sigma.max() > 0.2 * old.min():
            image = SimpleITK.DiscreteGaussian(
                image, (sigma[::-1] ** 2).tolist(), maximumKernelWidth=64, useImageSpacing=True
            )
    out = _resample(image, grid, SimpleITK.sitkLinear, outside)
    return Volume(out.astype(np.float32), grid, volume.quantity)


def resample_labels(labels: LabelMap, grid: Grid) -> LabelMap:
    """``labels`` on ``grid`` by nearest neighbour; 0 where they do not reach."""
    out = _resample(to_sitk(labels.array, labels.grid), grid, SimpleITK.sitkNearestNeighbor, 0)
    return LabelMap(out.astype(np.uint8), grid, labels.labels)


def resample_mask(mask: NDArray[np.bool_], source: Grid, grid: Grid) -> NDArray[np.bool_]:
    """A boolean mask on another grid: trilinear occupancy of at least one half."""
    image = to_sitk(mask.astype(np.float32), source)
    out: NDArray[np.bool_] = _resample(image, grid, SimpleITK.sitkLinear, 0.0) >= 0.5
    return out


def _resample(image: SimpleITK.Image, grid: Grid, how: int, outside: float) -> NDArray[Any]:
    flt = SimpleITK.ResampleImageFilter()
    flt.SetSize([int(n) for n in grid.shape[::-1]])
    flt.SetOutputSpacing(grid.spacing_mm[::-1])
    flt.SetOutputOrigin([float(v) for v in grid.affine[:3, 3]])
    flt.SetOutputDirection(grid.direction[:, ::-1].reshape(-1).tolist())
    flt.SetInterpolator(how)
    flt.SetDefaultPixelValue(float(outside))
    out: NDArray[Any] = SimpleITK.GetArrayFromImage(flt.Execute(image))
    return out
