"""The working image: the scan on an upright 2 mm grid along the LPS axes.

Landmarks ("right of the spine", "below the dome") are directions in the patient, so every
coarse stage runs on a grid whose axes are the patient's, whatever the scan's own orientation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.errors import GeometryError
from irplan.geometry import Grid
from irplan.image.resample import resample_volume
from irplan.image.volume import Volume
from irplan.segmentation.interpolate import field_on, mask_on
from irplan.segmentation.morphology import Mask, box_of

#: Voxel size of the working grid, mm.  Supervoxels of 8 mm need about four voxels across [spec].
WORKING_SPACING_MM = 2.0
#: HU range that is kept; padding below air (-3024) must not bleed into its neighbours.
HU_RANGE = (-1024.0, 3071.0)


@dataclass(frozen=True, eq=False)
class WorkingImage:
    """The scan on an isotropic grid along LPS: slices to the head, rows to the back, columns left.

    ``hu`` float32 (slice, row, column); ``covered`` True where the scan has data (a scan that
    is oblique to the patient leaves corners of the box empty).
    """

    hu: NDArray[np.float32]
    covered: NDArray[np.bool_]
    grid: Grid

    @property
    def spacing_mm(self) -> float:
        """Voxel size, mm (the same along all axes)."""
        return self.grid.spacing_mm[0]

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel, ml."""
        return self.grid.voxel_volume_mm3 / 1000.0

    def voxels(self, length_mm: float) -> float:
        """``length_mm`` in voxels."""
        return length_mm / self.spacing_mm

    def field(self, values: NDArray[np.floating], grid: Grid) -> NDArray[np.float32]:
        """A real-valued field of the working grid on another grid, trilinear, not smoothed.

        Beyond the working grid it takes the largest value (a distance map says "far").
        """
        return field_on(values, self.grid, grid, float(values.max()))

    def take(self, mask: Mask, grid: Grid) -> Mask:
        """A mask of another grid on the working grid (trilinear, one half)."""
        return mask_on(mask, grid, self.grid)

    def give(self, mask: Mask, grid: Grid) -> Mask:
        """A working-grid mask on another grid (trilinear, one half)."""
        out = np.zeros(grid.shape, dtype=bool)
        part = self.part_around(mask, grid, self.spacing_mm)
        if part is not None:
            inner = grid.crop([s.start for s in part], [s.stop - s.start for s in part])
            out[part] = mask_on(mask, self.grid, inner)
        return out

    def part_around(
        self, mask: Mask, grid: Grid, margin_mm: float
    ) -> tuple[slice, slice, slice] | None:
        """The box of ``grid`` that holds a working-grid mask and a margin; None without one."""
        if not mask.any():
            return None
        box = box_of(mask)
        ends = np.array(np.meshgrid(*[(s.start, s.stop - 1) for s in box])).reshape(3, -1).T
        try:
            start, shape = grid.box_around(self.grid.index_to_lps(ends), margin_mm)
        except GeometryError:  # the mask lies wholly outside that grid
            return None
        a, b, c = (slice(s, s + n) for s, n in zip(start, shape, strict=True))
        return a, b, c


def working_image(volume: Volume, spacing_mm: float = WORKING_SPACING_MM) -> WorkingImage:
    """Resample ``volume`` (HU) onto the upright working grid, anti-aliased.

    Finer input is averaged in whole blocks of voxels first; the rest is a Gaussian and trilinear
    interpolation (`irplan.image.resample`).  Values are clipped to -1024..3071 HU.
    """
    grid = upright_grid(volume.grid, spacing_mm)
    hu = resample_volume(block_mean(volume, spacing_mm), grid, outside=HU_RANGE[0]).array
    return WorkingImage(hu, _covered(grid, volume.grid), grid)


def upright_grid(grid: Grid, spacing_mm: float) -> Grid:
    """The smallest box along the LPS axes that holds ``grid``, with isotropic voxels.

    Slices run to the head, rows to the back, columns to the left.
    """
    ends = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in grid.shape])).reshape(3, -1).T
    corners = grid.index_to_lps(ends)
    low, high = corners.min(axis=0), corners.max(axis=0)
    count = np.maximum(1, np.round((high - low) / spacing_mm)).astype(int)
    origin = low + 0.5 * (high - low - (count - 1) * spacing_mm)
    return Grid.from_spacing(
        count[::-1].tolist(), (spacing_mm,) * 3, origin.tolist(), grid.frame_of_reference_uid
    )


def block_mean(volume: Volume, spacing_mm: float) -> Volume:
    """Average whole blocks of voxels so that the blocks stay at or below ``spacing_mm``.

    The scan's own axes are kept; values are clipped to `HU_RANGE`; voxels that fill no whole
    block at the far end are dropped.
    """
    grid = volume.grid
    factor = [
        max(1, min(int(spacing_mm / s + 1e-6), n))
        for s, n in zip(grid.spacing_mm, grid.shape, strict=True)
    ]
    n = [size // f for size, f in zip(grid.shape, factor, strict=True)]
    mean = np.zeros(n, dtype=np.float32)
    for first in np.ndindex(*factor):
        part = tuple(
            slice(i, i + (m - 1) * f + 1, f) for i, m, f in zip(first, n, factor, strict=True)
        )
        mean += np.clip(volume.array[part].astype(np.float32), *HU_RANGE)
    mean /= np.float32(np.prod(factor))
    affine = grid.affine.copy()
    affine[:3, 3] = grid.index_to_lps((np.asarray(factor) - 1) / 2)
    affine[:3, :3] *= factor
    coarse = Grid((n[0], n[1], n[2]), affine, grid.frame_of_reference_uid)
    return Volume(mean, coarse, volume.quantity)


def _covered(grid: Grid, source: Grid) -> NDArray[np.bool_]:
    """True at voxels of ``grid`` whose centre lies inside ``source``."""
    matrix = source.inverse @ grid.affine
    axes = np.ix_(*(np.arange(n, dtype=np.float64) for n in grid.shape))
    out = np.ones(grid.shape, dtype=bool)
    for k in range(3):
        index = np.full((1, 1, 1), matrix[k, 3])
        for step, axis in zip(matrix[k, :3], axes, strict=True):
            if abs(step) > 1e-12:  # along parallel axes the sum stays one line
                index = index + step * axis
        out &= (index >= -0.5) & (index <= source.shape[k] - 0.5)
    return out
