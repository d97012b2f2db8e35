"""What all views share: crosshair, look, tool in hand; the frame and lines of each view."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PySide6.QtCore import QObject, Signal

from irplan.ablation.placement import Placement
from irplan_planner.model.handles import NeedleView, needle_view
from irplan_planner.model.outlines import (
    Level,
    LineCache,
    Outline,
    isotherms_of,
    target_levels,
    zone_levels,
)
from irplan_planner.model.planner import Planner
from irplan_planner.model.slices import WINDOWS, Frame, Look, ViewName, eye_frame, slice_frame
from irplan_planner.model.state import Simulation, Target

Tool = Literal["look", "stroke", "liver+", "liver-", "brush", "erase"]


class SharedScene(QObject):
    """Crosshair (LPS mm), look, tool and active needle; `changed` after any of them changes."""

    changed = Signal()
    tool_changed = Signal(str)

    def __init__(self, planner: Planner) -> None:
        super().__init__()
        self.planner = planner
        self.point_mm: NDArray[np.float64] = np.zeros(3)
        self.look = Look()
        self.tool: Tool = "look"
        self.brush_mm = 6.0
        self.paint = "liver"
        self.tumour_edge = "visible"
        self.needle = 1
        self.time_s: float | None = None
        self.show_lines = True
        self.ui_scale = 1.0
        """How much thicker lines and larger handles are drawn than on a usual screen."""
        self._caches = {"target": LineCache(), "zone": LineCache()}
        self._frames: dict[ViewName, Frame | None] = {}
        self._frames_of: tuple[object, ...] | None = None
        self._target: tuple[Target, float, tuple[Level, ...]] | None = None
        self._zone: tuple[object, tuple[Level, ...]] | None = None
        self._time: tuple[float, tuple[Level, ...]] | None = None

    def centre(self) -> None:
        """Crosshair to the target, or to the middle of the image."""
        state = self.planner.state
        if state.volume is None:
            return
        if state.target is not None:
            self.go(state.target.centre_mm(state.grid))
        else:
            self.go(state.grid.centre_lps_mm)

    def go(self, point_mm: ArrayLike) -> None:
        """Crosshair to an LPS point, kept inside the image."""
        state = self.planner.state
        if state.volume is None:
            return
        index = state.grid.lps_to_index(np.asarray(point_mm, dtype=np.float64))
        index = np.clip(index, 0.0, np.asarray(state.grid.shape) - 1.0)
        self.point_mm = state.grid.index_to_lps(index)
        self.changed.emit()

    def set_look(self, **parts: object) -> None:
        """Other window, mode, thickness, opacity or hidden structures."""
        self.look = replace(self.look, **parts)  # type: ignore[arg-type]
        self.changed.emit()

    def next_window(self) -> str:
        """The next preset; its name."""
        names = list(WINDOWS)
        now = next((n for n, w in WINDOWS.items() if w == self.look.window), names[-1])
        name = names[(names.index(now) + 1) % len(names)]
        self.set_look(window=WINDOWS[name])
        return name

    def take(self, tool: Tool) -> None:
        """Take a tool in hand."""
        self.tool = tool
        self.tool_changed.emit(tool)
        self.changed.emit()

    def frame(self, name: ViewName) -> Frame | None:
        """A view's frame now; None where there is nothing to show."""
        state = self.planner.state
        if state.volume is None:
            return None
        placements = self.planner.desk.placements
        key = (state.volume, self.point_mm.tobytes(), self.needle, placements)
        if self._frames_of is None or not _same(key, self._frames_of):
            self._frames_of = key
            self._frames.clear()
        if name not in self._frames:
            self._frames[name] = self._made(name, placements)
        return self._frames[name]

    def _made(self, name: ViewName, placements: tuple[Placement, ...]) -> Frame | None:
        grid = self.planner.state.grid
        if name != "eye":
            return slice_frame(grid, name, self.point_mm)
        if not placements:
            return None
        needle = placements[min(self.needle, len(placements)) - 1].needle
        depth = float((self.point_mm - np.asarray(needle.entry_mm)) @ needle.direction)
        return eye_frame(needle, float(np.clip(depth, 0.0, needle.depth_mm + 40.0)))

    def levels(self) -> tuple[Level, ...]:
        """Surfaces that slices cut: target, its margin, zone or the moment that is scrubbed to."""
        return (*self._target_levels(), *self._zone_levels())

    def _target_levels(self) -> tuple[Level, ...]:
        state = self.planner.state
        if state.target is None or state.volume is None:
            return ()
        goal = state.plan.margin_goal_mm if state.plan else self._goal()
        if self._target is None or self._target[:2] != (state.target, goal):
            self._caches["target"].clear()
            self._target = (state.target, goal, target_levels(state.target, state.grid, goal))
        return self._target[2]

    def _zone_levels(self) -> tuple[Level, ...]:
        state, found = self.planner.state, self.planner.desk.simulation
        if self.time_s is not None and self.planner.desk.extras.time_course is not None:
            key, course = self.planner.desk.extras.time_course
            if key == state.simulated_from:
                if self._time is None or self._time[0] != self.time_s:
                    self._time = (self.time_s, isotherms_of(course.at_time(self.time_s)))
                return self._time[1]
        return () if found is None or state.plan is None else self.zone(found)

    def zone(self, found: Simulation) -> tuple[Level, ...]:
        """Isotherms and lethal zone of a simulation."""
        plan = self.planner.state.plan
        if plan is None:
            return ()
        if self._zone is None or self._zone[0] is not found.result:
            placements = self.planner.desk.placements
            self._caches["zone"].clear()  # it holds the fields of what is no more
            self._zone = (found.result, zone_levels(found.result, plan.lethal, placements))
        return self._zone[1]

    def _goal(self) -> float:
        options = self.planner.state.options
        return 5.0 if options is None else options.margin_mm

    def lines_key(self) -> tuple[tuple[object, ...], ...]:
        """What the target's and the zone's lines depend on besides the frame."""
        if not self.show_lines:
            return ()
        state, desk = self.planner.state, self.planner.desk
        found = desk.simulation
        goal = state.plan.margin_goal_mm if state.plan else self._goal()
        return (
            (id(state.target), goal),
            (
                None if found is None else id(found.result), state.plan is None, self.time_s,
                id(desk.extras.time_course),
            ),
        )  # fmt: skip

    def outlines(self, frame: Frame, part: str) -> tuple[Outline, ...]:
        """Lines on a frame, of the "target" (with its margin) or the "zone"."""
        if not self.show_lines:
            return ()
        levels = self._target_levels() if part == "target" else self._zone_levels()
        return tuple(self._caches[part].outline(level, frame) for level in levels)

    def needles(self, frame: Frame) -> tuple[NeedleView, ...]:
        """Planned needles, then those that lie, on a frame."""
        slab = self.look.thickness_mm if self.look.mode != "slice" else 0.0
        planned = self.planner.desk.placements
        lying = self.planner.state.achieved
        return tuple(
            needle_view(p, n, frame, slab)
            for group in (planned, lying)
            for n, p in enumerate(group, start=1)
        )


def _same(a: tuple[object, ...], b: tuple[object, ...]) -> bool:
    """Whether two keys name the same things (arrays and tuples by identity)."""
    return a[1:3] == b[1:3] and a[0] is b[0] and a[3] is b[3]
