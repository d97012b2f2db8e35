"""The levels of a multigrid on a box of cells whose widths vary along each axis.

Coarsening follows the widths: at each level only cells narrower than the level's target are
joined, so a mesh that is fine in its middle and coarse outside is first coarsened in the
middle.  Along an axis a coarse cell has one or two children, which is coarsening in the direction
of strong coupling wherever cells are flat; a point smoother is then enough on every level
(Trottenberg, Oosterlee, Schueller, Multigrid (2001), section 5.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Coarsening ends when no more cells than this are left; they are solved by sweeps.
COARSEST_CELLS = 80
#: Cells are joined while their common width stays below this times the level's target width.
_SLACK = 1.35


@dataclass(frozen=True, eq=False)
class Levels:
    """Shapes, places and one-dimensional tables of all levels (flat, for the kernels).

    ``shape`` (L, 4): cells along (slice, row, column) and the offset of the level's padded block
    in flat buffers of ``size`` entries.  For the step from level l to l + 1, ``table_at`` (L, 3)
    is where axis a's table begins in ``lower`` (the coarse cell below a fine cell's
    middle) and ``weight`` (its share in linear interpolation between coarse middles), and
    ``span_at`` where it begins in ``span`` (first and past-last fine cell that a coarse cell
    takes part in) and ``child`` (first child and number of children of a coarse cell).
    """

    shape: NDArray[np.int64]
    size: int
    table_at: NDArray[np.int64]
    parent: NDArray[np.int64]
    side: NDArray[np.int64]
    share: NDArray[np.float32]
    span_at: NDArray[np.int64]
    child: NDArray[np.int64]

    @classmethod
    def from_widths(cls, widths: Sequence[NDArray[np.float64]]) -> Levels:
        """Levels for cells of the given widths along (slice, row, column), any unit."""
        axes = [np.asarray(w, dtype=np.float64) for w in widths]
        target = min(float(w.min()) for w in axes)
        shapes, parents, sides, shares, children = [], [], [], [], []
        table_at, span_at = [], []
        offset = table = span = 0
        while True:
            n = [w.size for w in axes]
            shapes.append([*n, offset])
            offset += int(np.prod([m + 2 for m in n]))
            table_at.append([table] * 3)
            span_at.append([span] * 3)
            joined = axes
            while joined is axes and int(np.prod(n)) > COARSEST_CELLS:
                target *= 2.0
                firsts = [_first_children(w, target) for w in axes]
                if any(f.size < w.size for f, w in zip(firsts, axes, strict=True)):
                    joined = [np.add.reduceat(w, f) for f, w in zip(firsts, axes, strict=True)]
            if joined is axes:
                break
            for a in range(3):
                table_at[-1][a], span_at[-1][a] = table, span
                own, side, share = _interpolation(axes[a], joined[a], firsts[a])
                parents.append(own)
                sides.append(side)
                shares.append(share)
                counts = np.diff(np.append(firsts[a], axes[a].size))
                children.append(np.stack([firsts[a], counts], axis=1))
                table += axes[a].size
                span += joined[a].size
            axes = joined
        return cls(
            shape=np.array(shapes, dtype=np.int64),
            size=offset,
            table_at=np.array(table_at, dtype=np.int64),
            parent=np.concatenate([*parents, [0]]).astype(np.int64),
            side=np.concatenate([*sides, [0]]).astype(np.int64),
            share=np.concatenate([*shares, [0.0]]).astype(np.float32),
            span_at=np.array(span_at, dtype=np.int64),
            child=np.concatenate([*children, [[0, 0]]]).astype(np.int64),
        )

    @property
    def padded(self) -> tuple[int, int, int]:
        """Shape of the finest level's padded block."""
        nz, ny, nx = (int(n) + 2 for n in self.shape[0, :3])
        return nz, ny, nx

    def finest(self, flat: NDArray[np.float32]) -> NDArray[np.float32]:
        """(slice, row, column) view of the finest level in a flat buffer."""
        nz, ny, nx = self.padded
        return flat[: nz * ny * nx].reshape(nz, ny, nx)[1:-1, 1:-1, 1:-1]


def _first_children(widths: NDArray[np.float64], target: float) -> NDArray[np.int64]:
    """Index of the first child of each coarse cell: neighbours are joined in pairs.

    Pairs are formed from the middle outwards, so that a mesh that is its own mirror image is
    coarsened to one: what a solve leaves undone is then mirrored too, and where tissue dries, which
    makes much of little, heat does not prefer a side.
    """
    middle = widths.size // 2
    counts = _pairs(widths[middle + widths.size % 2 :], target)
    alone = [1] * (widths.size % 2)
    sizes = [*reversed(_pairs(widths[:middle][::-1], target)), *alone, *counts]
    first: NDArray[np.int64] = np.cumsum([0, *sizes])[:-1].astype(np.int64)
    return first


def _pairs(widths: NDArray[np.float64], target: float) -> list[int]:
    """Children of each coarse cell (1 or 2) along a half axis, from its start."""
    sizes, n = [], 0
    while n < widths.size:
        pair = n + 1 < widths.size and widths[n] + widths[n + 1] <= _SLACK * target
        sizes.append(2 if pair else 1)
        n += sizes[-1]
    return sizes


def _interpolation(
    fine: NDArray[np.float64], coarse: NDArray[np.float64], first: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """(parent, side, share) of each fine cell; share is 0 at the ends and on a coarse middle."""
    x, c = np.cumsum(fine) - 0.5 * fine, np.cumsum(coarse) - 0.5 * coarse
    parent = np.searchsorted(first, np.arange(fine.size), side="right") - 1
    off = x - c[parent]
    side = np.where(np.abs(off) > 1e-9 * coarse[parent], np.sign(off), 0.0).astype(np.int64)
    beside = parent + side
    side = np.where((beside < 0) | (beside >= coarse.size), 0, side)
    gap = np.where(side == 0, 1.0, np.abs(c[parent + side] - c[parent]))
    return parent, side, np.where(side == 0, 0.0, np.abs(off) / gap)
