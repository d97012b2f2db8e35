"""The cells a potential is solved on: voxels near the electrodes, ever wider ones away from them.

A potential is rough near electrodes only.  Round them the cells are the grid's voxels; beyond,
cells join 2, 4, 8, 16 voxels along each axis, and they go on outside the grid (repeating the
tissue at its edge) as far as `REACH_MM`, so that the outer boundary hardly matters.  One tenth
of the voxels of a 128^3 grid remain.  What is lost for a 30 mm electrode, against voxels within
45 mm of it [M]: resistance 0.15 %, heat in the core 0.3 % per voxel; beyond the core 2 to 5 % of
a voxel's heat (a cell's mean stands for its voxels), 0.5 % of a shell's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.compute.levels import Levels

#: Cells are voxels within this distance of an electrode's box, mm.
CORE_MM = 8.0
#: The mesh reaches at least this far from the electrodes, mm.
REACH_MM = 100.0
#: Beyond the core: cells of 2 voxels for the first 6 voxels, of 4 for the next 12, and so on.
_STEPS = ((2, 3), (4, 3), (8, 3))
_WIDEST = 16


@dataclass(frozen=True, eq=False)
class FieldMesh:
    """Cells as a product of three divisions of the axes.

    ``widths`` and ``middles`` in mm (middles along each grid axis, 0 at voxel 0's middle);
    ``low`` and ``high``: first and past-last voxel of each cell (clipped to the grid, never
    empty); ``cell_of``: the cell of each voxel of the grid; ``core``: the voxels that are cells.
    """

    widths: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
    middles: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
    low: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
    high: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
    cell_of: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
    core: tuple[slice, slice, slice]
    levels: Levels

    @classmethod
    def around(
        cls,
        shape: tuple[int, int, int],
        spacing_mm: tuple[float, float, float],
        box_mm: NDArray[np.float64],
        *,
        core_mm: float = CORE_MM,
        reach_mm: float = REACH_MM,
    ) -> FieldMesh:
        """The mesh for electrodes in ``box_mm`` (2, 3), along the grid's axes; O(cells)."""
        axes = [
            _axis(
                shape[a],
                spacing_mm[a],
                float(box_mm[0, a]) - core_mm,
                float(box_mm[1, a]) + core_mm,
                max(0.0, reach_mm - core_mm),
            )
            for a in range(3)
        ]
        starts = [np.concatenate([[first], first + np.cumsum(sizes)]) for first, sizes, _ in axes]
        widths = [
            np.asarray(sizes * spacing_mm[a], dtype=np.float64)
            for a, (_, sizes, _) in enumerate(axes)
        ]
        middles = [
            (0.5 * (s[:-1] + s[1:]) - 0.5) * h for s, h in zip(starts, spacing_mm, strict=True)
        ]
        low = [np.clip(s[:-1], 0, n - 1) for s, n in zip(starts, shape, strict=True)]
        high = [np.clip(s[1:], 1, n) for s, n in zip(starts, shape, strict=True)]
        high = [np.maximum(h, b + 1) for h, b in zip(high, low, strict=True)]
        cell_of = [
            np.searchsorted(s, np.arange(n), side="right") - 1
            for s, n in zip(starts, shape, strict=True)
        ]
        return cls(
            widths=(widths[0], widths[1], widths[2]),
            middles=(middles[0], middles[1], middles[2]),
            low=(low[0], low[1], low[2]),
            high=(high[0], high[1], high[2]),
            cell_of=(cell_of[0], cell_of[1], cell_of[2]),
            core=(axes[0][2], axes[1][2], axes[2][2]),
            levels=Levels.from_widths(widths),
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Cells along (slice, row, column)."""
        return self.widths[0].size, self.widths[1].size, self.widths[2].size

    @property
    def volumes_mm3(self) -> NDArray[np.float64]:
        """(slice, row, column) volume of each cell, mm3."""
        z, y, x = self.widths
        out: NDArray[np.float64] = z[:, None, None] * y[:, None] * x
        return out

    def padded_flat(self, voxels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Index in a padded flat cell array of the cells that hold (n, 3) voxels."""
        z, y, x = (self.cell_of[a][voxels[:, a]] + 1 for a in range(3))
        _, ny, nx = self.levels.padded
        out: NDArray[np.int64] = (z * ny + y) * nx + x
        return out


def _axis(
    n: int, h: float, low_mm: float, high_mm: float, reach_mm: float
) -> tuple[int, NDArray[np.int64], slice]:
    """First voxel index, voxels per cell and the core's voxels along one axis."""
    first = max(0, int(np.floor(low_mm / h)))
    last = min(n, int(np.ceil(high_mm / h)) + 1)
    if (last - first) % 2 == 1:  # an even count halves cleanly
        first, last = (first - 1, last) if first > 0 else (first, min(n, last + 1))
    below = _outwards(first, h, reach_mm)
    above = _outwards(n - last, h, reach_mm)
    sizes = [*reversed(below), *([1] * (last - first)), *above]
    return first - sum(below), np.array(sizes, dtype=np.int64), slice(first, last)


def _outwards(inside: int, h: float, reach_mm: float) -> list[int]:
    """Voxels per cell from the core outwards: ``inside`` of them lie in the grid."""
    out: list[int] = []
    total, need = 0, max(inside, int(np.ceil(reach_mm / h)))
    pattern = [size for size, count in _STEPS for _ in range(count)]
    while total < need:
        size = pattern[len(out)] if len(out) < len(pattern) else _WIDEST
        if total < inside:  # no cell straddles the grid's edge
            size = min(size, inside - total)
        out.append(size)
        total += size
    return out
