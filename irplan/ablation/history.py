"""Temperature through time, kept small: what is needed to scrub, animate and apply time rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irplan.errors import InputError
from irplan.geometry import Grid
from irplan.image import Volume

#: Resolution of a stored temperature, degC.
STEP_C = 0.01


@dataclass(frozen=True, eq=False)
class History:
    """Snapshots of a simulation, each cropped to the box in which something happened.

    ``frames[i]`` (int16, hundredths of a degree from ``rest_c``) lies at ``corners[i]`` of the
    grid; outside it tissue is at rest.  Two bytes a voxel of the box and snapshot.
    """

    times_s: NDArray[np.float64]
    frames: tuple[NDArray[np.int16], ...]
    corners: tuple[tuple[int, int, int], ...]
    grid: Grid
    rest_c: float
    freezes_s: tuple[float, ...] = ()
    """When each freeze began, s."""

    def __len__(self) -> int:
        return len(self.frames)

    def temperature_c(self, number: int) -> Volume:
        """Snapshot ``number`` on the whole grid, degC; `InputError` beyond the last one."""
        if not -len(self) <= number < len(self):
            raise InputError(
                "history",
                got=f"snapshot {number}",
                expected=f"0 to {len(self) - 1}",
                remedy="len(history) is the number of snapshots.",
            )
        out = np.full(self.grid.shape, self.rest_c, np.float32)
        self._paste(number, out)
        return Volume(out, self.grid, "degC")

    def at_time(self, time_s: float) -> Volume:
        """Temperature at ``time_s``, linear between the snapshots around it, degC."""
        t = self.times_s
        if not t[0] - 1e-9 <= time_s <= t[-1] + 1e-9:
            raise InputError(
                "time_s",
                got=f"{time_s}",
                expected=f"{t[0]:g} to {t[-1]:g} s",
                remedy="Ask for a time within the simulated schedule.",
            )
        after = int(np.clip(np.searchsorted(t, time_s), 1, max(1, len(t) - 1)))
        if len(t) == 1:
            return self.temperature_c(0)
        part = np.float32((time_s - t[after - 1]) / (t[after] - t[after - 1]))
        first, second = self.temperature_c(after - 1).array, self.temperature_c(after).array
        return Volume((1 - part) * first + part * second, self.grid, "degC")

    def _paste(self, number: int, out: NDArray[np.float32]) -> None:
        frame, corner = self.frames[number], self.corners[number]
        box = tuple(slice(c, c + n) for c, n in zip(corner, frame.shape, strict=True))
        out[box] = self.rest_c + np.float32(STEP_C) * frame

    def cooling_rate(self, from_c: float = 0.0, to_c: float = -20.0) -> Volume:
        """Mean cooling rate of the fall from ``from_c`` that first reached ``to_c``, K/min.

        Crossing times are interpolated linearly between snapshots; 0 where ``to_c`` was not
        reached.  Raises `InputError` unless ``from_c`` > ``to_c``.
        """
        if not from_c > to_c:
            raise InputError(
                "cooling rate",
                got=f"from {from_c:g} to {to_c:g} degC",
                expected="a fall of temperature",
                remedy="Usual is from 0 to -20 degC.",
            )
        begin = np.full(self.grid.shape, -1.0)
        out = np.zeros(self.grid.shape, np.float32)
        last = self.temperature_c(0).array
        begin[last <= from_c] = self.times_s[0]
        for n in range(1, len(self)):
            now = self.temperature_c(n).array
            started, dt = self.times_s[n - 1], self.times_s[n] - self.times_s[n - 1]
            fall = np.maximum(last - now, np.float32(1e-6))
            down = (last > from_c) & (now <= from_c)
            begin[down] = started + dt * ((last[down] - from_c) / fall[down])
            done = (last > to_c) & (now <= to_c) & (out == 0.0) & (begin >= 0.0)
            at = started + dt * ((last[done] - to_c) / fall[done])
            span = np.maximum(at - begin[done], 1e-3)
            out[done] = (60.0 * (from_c - to_c) / span).astype(np.float32)
            last = now
        return Volume(out, self.grid, "K/min")

    def held_in_freezes(self, threshold_c: float, hold_s: float) -> NDArray[np.int16]:
        """In how many freezes each voxel stayed at or below ``threshold_c`` for ``hold_s``.

        A freeze lasts until the next one begins, its thaw included; a stay must be unbroken within
        it.  Its length is interpolated linearly between snapshots (an error of at most their
        spacing where a stay lies within one).
        """
        count = np.zeros(self.grid.shape, np.int16)
        stay = np.zeros(self.grid.shape, np.float32)
        counted = np.zeros(self.grid.shape, bool)
        begins = list(self.freezes_s[1:])
        last = self.temperature_c(0).array
        for n in range(1, len(self)):
            if begins and self.times_s[n - 1] >= begins[0] - 1e-6:
                begins.pop(0)
                stay[:] = 0.0
                counted[:] = False
            now = self.temperature_c(n).array
            dt = np.float32(self.times_s[n] - self.times_s[n - 1])
            a, b = last - threshold_c, now - threshold_c
            span = np.maximum(np.abs(a - b), 1e-6)
            inside = np.where((a <= 0) & (b <= 0), 1.0, 0.0)
            inside = np.where((a > 0) & (b <= 0), -b / span, inside)
            inside = np.where((a <= 0) & (b > 0), -a / span, inside)
            stay += dt * inside.astype(np.float32)
            new = ~counted & (stay >= hold_s) & (inside > 0)
            count[new] += 1
            counted |= new
            stay[b > 0] = 0.0
            last = now
        return count


class HistoryRecorder:
    """Collects snapshots while a march runs."""

    def __init__(self, grid: Grid, rest_c: float) -> None:
        self._grid, self._rest = grid, rest_c
        self._times: list[float] = []
        self._frames: list[NDArray[np.int16]] = []
        self._corners: list[tuple[int, int, int]] = []

    def add(
        self, time_s: float, tau: NDArray[np.float32], box: tuple[tuple[int, int], ...]
    ) -> None:
        """Keep ``tau`` (K from rest) inside ``box`` ((first, end) an axis)."""
        part = tau[tuple(slice(a, b) for a, b in box)]
        self._times.append(time_s)
        self._frames.append(np.rint(part * np.float32(1.0 / STEP_C)).astype(np.int16))
        self._corners.append((box[0][0], box[1][0], box[2][0]))

    def finish(self) -> History:
        """Everything kept."""
        return History(
            np.array(self._times),
            tuple(self._frames),
            tuple(self._corners),
            self._grid,
            self._rest,
        )
