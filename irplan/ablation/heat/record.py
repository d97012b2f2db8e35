"""What is noted while a heating simulation runs: temperatures at points, dead volumes, powers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.heat.layout import HeatLayout
from irplan.ablation.problem import AblationProblem
from irplan.ablation.result import Trace

#: Points along each active zone whose mean is its temperature in the trace.
_POINTS = 7


class PointReader:
    """Trilinear temperature at fixed points: where they lie is worked out once."""

    def __init__(self, layout: HeatLayout, index: NDArray[np.float64]) -> None:
        self._layout = layout
        base = np.floor(index).astype(np.int64)
        part = index - base
        corners = list(np.ndindex(2, 2, 2))
        last = np.array(layout.shape) - 1
        self._at = np.stack([layout.flat(np.clip(base + c, 0, last)) for c in corners])
        self._weight = np.stack(
            [np.prod(np.where(np.array(c) == 1, part, 1.0 - part), axis=1) for c in corners]
        )
        self._kind = layout.kind[self._at]

    def read(self, v: NDArray[np.float32]) -> NDArray[np.float64]:
        """Temperature at the points in the padded state ``v``, degC."""
        lay = self._layout
        out: NDArray[np.float64] = lay.body_c + np.sum(
            self._weight * lay.rise(v[self._at], self._kind), axis=0
        )
        return out


def temperature_at(
    layout: HeatLayout, v: NDArray[np.float32], index: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Trilinear temperature, degC, at (n, 3) fractional grid indices."""
    return PointReader(layout, index).read(v)


class HeatRecord:
    """Samples of one march: hottest voxel, mean along each needle's active zone, monitors."""

    def __init__(self, problem: AblationProblem, monitors: NDArray[np.float64]) -> None:
        self._monitors = monitors
        self._needles = len(problem.placements)
        along = np.linspace(0.05, 0.95, _POINTS)[:, None]
        points = [np.zeros((0, 3))]
        for placement in problem.placements:
            a, b = (np.array(e) for e in placement.active_segment)
            points.append(problem.grid.lps_to_index(a + along * (b - a)))
        self._points = np.concatenate([*points, monitors])
        self._reader: PointReader | None = None
        self._times: list[float] = []
        self._rows: list[list[float]] = []
        self._extra: list[dict[str, float]] = []

    def sample(
        self,
        time_s: float,
        layout: HeatLayout,
        v: NDArray[np.float32],
        hottest_c: float,
        extra: Mapping[str, float],
    ) -> None:
        """Note the state ``v`` at ``time_s`` and named numbers beside it."""
        if self._reader is None:
            self._reader = PointReader(layout, self._points)
        t = self._reader.read(v)
        count = _POINTS * self._needles
        means = t[:count].reshape(self._needles, _POINTS).mean(axis=1)
        self._times.append(time_s)
        self._rows.append([hottest_c, *means.tolist(), *t[count:].tolist()])
        self._extra.append(dict(extra))

    def forget_from(self, time_s: float) -> None:
        """Drop what was noted at ``time_s`` or later."""
        keep = [n for n, t in enumerate(self._times) if t < time_s]
        self._times = [self._times[n] for n in keep]
        self._rows = [self._rows[n] for n in keep]
        self._extra = [self._extra[n] for n in keep]

    def trace(self) -> Trace:
        """Everything noted; a number that was not given at a sample is 0 there."""
        names = ["hottest", *(f"probe {n + 1}" for n in range(self._needles))]
        names += [f"point {n + 1}" for n in range(self._monitors.shape[0])]
        keys = dict.fromkeys(key for extra in self._extra for key in extra)
        return Trace(
            time_s=np.array(self._times),
            temperature_c=np.array(self._rows),
            names=tuple(names),
            frozen_volume_cm3=np.zeros(len(self._times)),
            extra={k: np.array([e.get(k, 0.0) for e in self._extra]) for k in keys},
        )
