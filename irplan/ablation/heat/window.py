"""The box of voxels that a heating march computes: it grows with the heat."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.heat.layout import HeatLayout

#: The window grows where its shell departs from rest by more than this, K.
WINDOW_TOLERANCE_K = 0.002


class HeatWindow:
    """``box`` (z0, z1, y0, y1, x0, x1) of what differs from rest, and how warm the faces got."""

    def __init__(
        self,
        layout: HeatLayout,
        v: NDArray[np.float32],
        boxes: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    ) -> None:
        self._layout = layout
        self.boundary_rise_c = 0.0
        self.box = self._first(v, boxes)

    @property
    def at_edge(self) -> bool:
        """It touches an outer face of the grid."""
        ends = np.array(self._layout.shape)
        return bool(np.any(self.box[::2] == 0) or np.any(self.box[1::2] == ends))

    def include(self, cut: NDArray[np.int64]) -> None:
        """Take in the index box ``cut`` and three voxels round it."""
        if np.all(cut[1::2] > cut[::2]):
            ends = np.array(self._layout.shape)
            self.box[::2] = np.minimum(self.box[::2], np.maximum(cut[::2] - 3, 0))
            self.box[1::2] = np.maximum(self.box[1::2], np.minimum(cut[1::2] + 3, ends))

    def _first(
        self, v: NDArray[np.float32], boxes: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]
    ) -> NDArray[np.int64]:
        """The box in which anything happens at the start: coolants, and what is not at rest."""
        lay = self._layout
        shape = np.array(lay.shape)
        low, high = shape // 2, shape // 2 + 1
        for first, end in boxes:
            low, high = np.minimum(low, first), np.maximum(high, end)
        if np.any(lay.held != 0.0):
            away = np.nonzero(lay.interior(v))
            if away[0].size:
                low = np.minimum(low, [int(w.min()) for w in away])
                high = np.maximum(high, [int(w.max()) + 1 for w in away])
        if lay.needs_full_window:
            low, high = np.zeros(3, np.int64), shape
        low, high = np.maximum(low - 4, 0), np.minimum(high + 4, shape)
        return np.stack([low, high], axis=1).reshape(-1).astype(np.int64)

    def grow(self, v: NDArray[np.float32], dt_s: float) -> None:
        """Move a face outwards until the layer some diffusion lengths inside it is at rest.

        ``v`` is the padded state after a super-step of ``dt_s``.
        """
        lay, w = self._layout, self.box
        inner = lay.interior(v)
        free = lay.tissues[:, 0] > 0.0
        a = float((lay.tissues[free, 1] / lay.tissues[free, 0]).max()) if free.any() else 0.0
        spread = math.sqrt(4.0 * a * dt_s)
        for axis in range(3):
            deep = max(3, math.ceil(2.0 * spread / lay.spacing_mm[axis]))
            for side in (0, 1):
                face = int(w[2 * axis + side])
                wall = 0 if side == 0 else lay.shape[axis]
                box = [slice(int(w[2 * n]), int(w[2 * n + 1])) for n in range(3)]
                if face == wall:
                    box[axis] = slice(0, 1) if side == 0 else slice(wall - 1, wall)
                    layer = np.abs(inner[tuple(box)])
                    if float(layer.max()) > self.boundary_rise_c:
                        loose = free[lay.interior(lay.kind)[tuple(box)]]
                        worst = float(np.where(loose, layer, 0.0).max())
                        self.boundary_rise_c = max(self.boundary_rise_c, worst)
                    continue
                deep_here = min(deep, int(w[2 * axis + 1] - w[2 * axis]))
                box[axis] = (
                    slice(face, face + deep_here) if side == 0 else slice(face - deep_here, face)
                )
                layers = inner[tuple(box)]
                other = tuple(n for n in range(3) if n != axis)
                worst_of = np.maximum(layers.max(axis=other), -layers.min(axis=other))
                busy = np.flatnonzero(worst_of > WINDOW_TOLERANCE_K)
                if busy.size:
                    need = deep_here - int(busy[0]) if side == 0 else int(busy[-1]) + 1
                    moved = face - need if side == 0 else face + need
                    w[2 * axis + side] = min(max(moved, 0), lay.shape[axis])

    def warning(
        self, loss: float, time_s: float, lo: NDArray[np.int64], hi: NDArray[np.int64]
    ) -> str:
        """That heat reached the faces, through which ``loss`` of it left, and what that does."""
        return (
            f"Heat reached the edge of the simulated box ({self.boundary_rise_c:.1f} degC "
            f"there); {100.0 * loss:.1f} % of the applied heat left through it. The edge of "
            f"the zone may be too cold by up to {self.edge_error_c(time_s, lo, hi):.2f} degC. Use "
            "a larger margin_mm."
        )

    def edge_error_c(self, time_s: float, lo: NDArray[np.int64], hi: NDArray[np.int64]) -> float:
        """How much too cold the held outer faces can make the warm box ``lo``..``hi``, K.

        Without them the face would be warmer by about the last layer's rise times the decay length
        over a voxel.  Taken as held there for the whole time, that departure reaches depth x as

            G = (e^(-x/L) erfc(x/2s - s/L) + e^(x/L) erfc(x/2s + s/L)) / 2,

        s^2 = k t / C, L^2 = k / perfusion (Carslaw & Jaeger, Conduction of Heat in Solids, 2nd ed.,
        section 4.14, held surface with loss; erfc(x/2s) without perfusion).
        """
        lay = self._layout
        q = lay.tissues[lay.tissues[:, 0] > 0.0].astype(float)
        k, flow = float(q[:, 1].max()), float(q[:, 3].min())
        s = math.sqrt(float((q[:, 1] / q[:, 0]).max()) * max(time_s, 1.0))
        length = math.sqrt(k / flow) if flow > 0.0 else math.inf
        decay = min(math.sqrt(math.pi) * s, length)
        gap = np.minimum(lo, np.array(lay.shape) - hi) * np.array(lay.spacing_mm)
        x = float(np.clip(gap.min(), 0.0, None))
        part = math.exp(-x / length) * math.erfc(0.5 * x / s - s / length)
        far = math.erfc(0.5 * x / s + s / length)
        if far > 0.0:  # its factor is finite wherever this is
            part += math.exp(x / length) * far
        return self.boundary_rise_c * max(1.0, decay / max(lay.spacing_mm)) * 0.5 * part
