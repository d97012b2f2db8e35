"""A tracked needle against its planned path: how far off, how deep, at what angle, what lies ahead.

Nothing is searched while the needle moves: what is needed of the labels is laid out once, so that
a reading takes well under 10 ms (measured by ``benchmarks/guidance.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irplan.errors import InputError
from irplan.geometry import Needle, Point3, as_point
from irplan.image import LabelMap
from irplan.planning.rules import PathRules, looked_for

#: Labels are looked up this often along the way ahead, mm.
STEP_MM = 0.5
#: A structure counts as ahead when it lies within this distance of the axis, mm.
WIDTH_MM = 2.0
_RING = 6
_AXES = np.eye(3)

LiveStatus = Literal["on path", "off path", "too deep", "lost"]


@dataclass(frozen=True)
class LiveLimits:
    """When a reading is no longer "on path": distances in mm, angle in degrees."""

    lateral_mm: float = 3.0
    angle_deg: float = 3.0
    beyond_mm: float = 2.0
    look_ahead_mm: float = 120.0

    def __post_init__(self) -> None:
        for name, high in (
            ("lateral_mm", 50.0), ("angle_deg", 45.0), ("beyond_mm", 50.0), ("look_ahead_mm", 300.0)
        ):  # fmt: skip
            value = getattr(self, name)
            if not (isinstance(value, int | float) and 0.0 < value <= high):
                raise InputError(
                    f"live.{name}",
                    got=repr(value),
                    expected=f"a number above 0, at most {high:g}",
                    remedy="Use the defaults.",
                )


@dataclass(frozen=True)
class StructureAhead:
    """A structure that the needle would meet, and after how many mm of further insertion."""

    name: str
    distance_mm: float
    at_mm: Point3


@dataclass(frozen=True)
class LiveReading:
    """One reading of a tracked needle.

    ``lateral_mm`` distance of its tip from the planned axis; ``depth_to_go_mm`` along the planned
    axis to the planned tip (negative: beyond it); ``angle_deg`` between its axis and the planned
    one; ``miss_mm`` how far from the planned tip it would pass if pushed on as it points;
    ``ahead`` obstacles on its own line, the nearest first, as far as was looked; None where no
    labels were given (not checked, which is not "clear"; see also `LiveCheck.not_checked`);
    ``now_in`` the structure its tip is in.
    """

    status: LiveStatus
    lateral_mm: float
    depth_to_go_mm: float
    angle_deg: float
    miss_mm: float
    ahead: tuple[StructureAhead, ...] | None
    now_in: str | None


class LiveCheck:
    """Readings of a tracked needle against one planned needle.

    Parameters
    ----------
    planned : the path, LPS mm of the plan's image.
    labels : structures on the plan's image; None: what lies ahead is not checked.
    obstacles : names that count as obstacles; default all structures of the path rules that were
        looked for.
    limits : see `LiveLimits`.

    A reading is made from the tip and the direction of the tracked needle, both in the plan's
    frame: registration and calibration are the tracker's and are not corrected here.
    """

    def __init__(
        self,
        planned: Needle,
        *,
        labels: LabelMap | None = None,
        obstacles: Sequence[str] | None = None,
        limits: LiveLimits | None = None,
    ) -> None:
        self.planned = planned
        self.limits = LiveLimits() if limits is None else limits
        self._labels = labels
        self.not_checked: tuple[str, ...] = _not_checked(labels)
        """Obstacles of the path rules that nobody looked for: never known to be clear."""
        self._tip, self._axis = np.array(planned.tip_mm), planned.direction
        if labels is None:
            return
        names = _obstacle_names(labels) if obstacles is None else tuple(obstacles)
        self._name = {x.value: x.name for x in labels.labels}
        self._is_obstacle = np.zeros(256, dtype=bool)
        self._is_obstacle[[labels.label(n).value for n in names]] = True
        self._to_index = np.ascontiguousarray(labels.grid.inverse[:3])
        self._array = np.ascontiguousarray(labels.array, dtype=np.uint8)
        self._steps = math.floor(self.limits.look_ahead_mm / STEP_MM) + 1
        turn = 2.0 * np.pi * np.arange(_RING) / _RING
        # the axis itself and a ring about it: mm right and up
        self._ring = np.zeros((1 + _RING, 2))
        self._ring[1:] = WIDTH_MM * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        self._first = np.zeros(256, dtype=np.int64)
        self._ahead(self._tip, self._axis)  # compiles, or loads from the cache, before any reading

    def read(self, tip_mm: ArrayLike, direction: ArrayLike) -> LiveReading:
        """The reading for a tip (LPS mm) and a direction (entry to tip, any length).

        Raises `InputError` where either is not three finite numbers or the direction has no
        length: a tracker that lost its tool must be told apart from one at the origin
        (`lost_reading`).
        """
        tip = np.array(as_point(np.asarray(tip_mm, dtype=np.float64), field="tracked.tip_mm"))
        way = np.array(as_point(np.asarray(direction, dtype=np.float64), field="tracked.direction"))
        size = float(np.linalg.norm(way))
        if size < 1e-9:
            raise InputError(
                "tracked.direction",
                got="a vector of no length",
                expected="the needle's direction from entry to tip",
                remedy="Check the tool's calibration.",
            )
        way /= size
        off = tip - self._tip
        along = float(off @ self._axis)
        lateral = float(np.linalg.norm(off - along * self._axis))
        cosine = float(way @ self._axis)
        sine = float(np.linalg.norm(np.cross(way, self._axis)))
        angle = math.degrees(math.atan2(sine, cosine))
        forward = max(0.0, float(-off @ way))
        miss = float(np.linalg.norm(off + forward * way))
        limits = self.limits
        status: LiveStatus = "on path"
        if lateral > limits.lateral_mm or angle > limits.angle_deg:
            status = "off path"
        if along > limits.beyond_mm:
            status = "too deep"
        ahead, now_in = self._ahead(tip, way)
        return LiveReading(status, lateral, -along, angle, miss, ahead, now_in)

    def _ahead(
        self, tip: NDArray[np.float64], way: NDArray[np.float64]
    ) -> tuple[tuple[StructureAhead, ...] | None, str | None]:
        if self._labels is None:
            return None, None
        from irplan.compute.cpu.live import first_steps

        side = np.cross(way, _AXES[int(np.argmin(np.abs(way)))])
        side /= np.linalg.norm(side)
        frame = np.stack([side, np.cross(way, side), way])
        own = first_steps(
            self._array, self._to_index, tip, frame, STEP_MM, self._steps, self._ring,
            self._is_obstacle, self._first,
        )  # fmt: skip
        met = np.flatnonzero(self._first >= 0)
        order = sorted((int(self._first[value]), int(value)) for value in met)
        found = tuple(
            StructureAhead(
                self._name[value],
                STEP_MM * step,
                as_point(tip + STEP_MM * step * way, field="ahead"),
            )
            for step, value in order
        )
        return found, self._name.get(int(own))


def lost_reading() -> LiveReading:
    """What is shown while the tracker does not see the needle."""
    nan = math.nan
    return LiveReading("lost", nan, nan, nan, nan, None, None)


def needle_from_transform(matrix: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(tip, direction) of a tracked tool's 4 x 4 pose: its origin is the tip, its +z points on.

    The pose is in the plan's frame, LPS mm.  Raises `InputError` for a matrix that is not a rigid
    motion (a rotation within 1e-3, last row 0 0 0 1).
    """
    m = np.asarray(matrix, dtype=np.float64)
    good = m.shape == (4, 4) and bool(np.all(np.isfinite(m)))
    if good:
        r = m[:3, :3]
        good = bool(np.abs(r.T @ r - np.eye(3)).max() < 1e-3 and np.linalg.det(r) > 0)
        good = good and bool(np.abs(m[3] - (0, 0, 0, 1)).max() < 1e-6)
    if not good:
        raise InputError(
            "tracked.pose",
            got="a matrix that is no rigid motion",
            expected="a 4 x 4 matrix of rotation and shift in mm",
            remedy="Check the tracker's calibration and which stream was picked.",
        )
    return m[:3, 3].copy(), m[:3, 2].copy()


def _obstacle_names(labels: LabelMap) -> tuple[str, ...]:
    known = {n for o in PathRules().obstacles for n in o.structures}
    return tuple(x.name for x in labels.labels if x.name in known)


def _not_checked(labels: LabelMap | None) -> tuple[str, ...]:
    return tuple(
        o.name for o in PathRules().obstacles if labels is None or not looked_for(o, labels)
    )
