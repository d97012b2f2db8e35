"""Where the body and the scan end, coarsely, for telling shafts inside from wires outside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from irplan.geometry import Grid
from irplan.image import Volume
from irplan.segmentation.morphology import closed, filled_slices, largest_part, opened
from irplan.segmentation.needle_result import NOT_SCANNED_HU, is_cone_beam

#: Voxel of the coarse image, mm.
COARSE_MM = 3.0
#: Tissue is above this, HU (fat is -100; foam and clothing are below).  Cone-beam CT darkens tissue
#: beside metal and near the edge of its field.  [M: tuning scenes: liver of -200 to -350 HU there]
TISSUE_HU, CONE_BEAM_TISSUE_HU = -300.0, -500.0
#: Such dark tissue is taken for tissue in gaps of at most twice this between what is brighter, mm.
BETWEEN_MM = 15.0
#: Radius of the opening that cuts cables, needles and table sheets from the body, mm.
OPENING_MM = 6.0
#: A body that fills this share of the scanned part has no skin in view.
NO_SKIN_SHARE = 0.93


@dataclass(frozen=True, eq=False)
class BodyOutline:
    """Signed distances on a coarse grid, mm: to the skin (inside positive), to the scan's edge."""

    grid: Grid
    depth_mm: NDArray[np.float32]
    to_edge_mm: NDArray[np.float32]
    skin_seen: bool

    def depth_at(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) depth below the skin at (N, 3) LPS points, mm; negative outside the body."""
        return self._sample(self.depth_mm, points)

    def edge_at(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) distance to the scan's edge, mm; 0 outside the scan."""
        return self._sample(self.to_edge_mm, points)

    def _sample(
        self, field: NDArray[np.float32], points: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        index = self.grid.lps_to_index(points).T
        out: NDArray[np.float64] = ndimage.map_coordinates(
            field, index, order=1, mode="nearest", output=np.float64
        )
        return out


def body_outline(volume: Volume) -> BodyOutline:
    """The body's and the scan's outline of a CT or cone-beam CT.

    Block means of about 3 mm above -300 HU (in gaps of cone-beam CT: -500), opened by 6 mm, the
    largest part, holes filled.  Where the scan is truncated the body is taken to go on beyond its
    edge.
    """
    steps = [max(1, round(COARSE_MM / s)) for s in volume.grid.spacing_mm]
    shape = [max(1, n // f) for n, f in zip(volume.grid.shape, steps, strict=True)]
    array = volume.array[tuple(slice(0, n * f) for n, f in zip(shape, steps, strict=True))]
    blocks = array.reshape(shape[0], steps[0], shape[1], steps[1], shape[2], steps[2])
    # one plane of each slab stands for it: means over rows and columns only, of what was scanned:
    # a rim of half-empty blocks round a truncated body would look like its skin
    plane = np.clip(blocks[:, steps[0] // 2], -1024, 500).astype(np.float32)
    seen = plane > NOT_SCANNED_HU
    count = np.count_nonzero(seen, axis=(2, 4))
    total = np.where(seen, plane, np.float32(0.0)).sum(axis=(2, 4))
    low = np.where(count > 0, total / np.maximum(1, count), np.float32(-1024.0))
    affine = volume.grid.affine.copy()
    affine[:3, :3] *= steps
    affine[:3, 3] = volume.grid.index_to_lps(
        [steps[0] // 2, (steps[1] - 1) / 2, (steps[2] - 1) / 2]
    )
    grid = Grid((shape[0], shape[1], shape[2]), affine)
    scanned = filled_slices(count > 0)
    tissue = low > TISSUE_HU
    if is_cone_beam(volume.grid.spacing_mm):
        # only between tissue, or tissue and the field's edge: a cable's glow on the skin is none
        known = closed(_padded(tissue | ~scanned), BETWEEN_MM, grid.spacing_mm)
        tissue |= (low > CONE_BEAM_TISSUE_HU) & known[_INNER]
    # what was not scanned counts as tissue there: opening must not gnaw at a truncated body's rim
    body = opened(_padded(tissue | ~scanned), OPENING_MM, grid.spacing_mm)
    body = largest_part(body & _padded(scanned))
    # a needle in the slice's plane may cut the body there by its dark streaks
    body = ndimage.binary_closing(body, np.ones((5, 1, 1), dtype=bool))
    body = filled_slices(body)[_INNER]
    share = float(body[scanned].mean()) if scanned.any() else 0.0
    sampling = grid.spacing_mm
    # beyond the scan the body goes on where it touches the edge: distances there count tissue only
    outside = scanned & ~body
    depth = np.full(shape, 1e3, dtype=np.float32)
    if outside.any():
        depth = ndimage.distance_transform_edt(~outside, sampling).astype(np.float32)
        inner = ndimage.distance_transform_edt(outside, sampling).astype(np.float32)
        half = 0.5 * min(sampling)
        depth = np.where(outside, half - inner, depth - half)
    edge = ndimage.distance_transform_edt(np.pad(scanned, 1), sampling)[1:-1, 1:-1, 1:-1]
    return BodyOutline(grid, depth, edge.astype(np.float32), share < NO_SKIN_SHARE)


_INNER = (slice(4, -4), slice(4, -4), slice(4, -4))


def _padded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Four voxels of the edge's own values around it, so that opening does not eat the edge."""
    return np.pad(mask, 4, mode="edge")
