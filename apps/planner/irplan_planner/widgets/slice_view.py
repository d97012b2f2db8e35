"""One slice on the screen under pointer and keys: what they do becomes commands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent, QMouseEvent, QWheelEvent

from irplan_planner.model.handles import Part, grabbed
from irplan_planner.model.segmenting import BrushStroke
from irplan_planner.model.slices import Frame, Window
from irplan_planner.widgets.slice_picture import SlicePicture

_KEYS = {
    Qt.Key.Key_Left: (-1, 0), Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1), Qt.Key.Key_Down: (0, 1),
}  # fmt: skip


class SliceView(SlicePicture):
    """A view of the shared scene that can be worked in."""

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.setFocus()
        frame = self.scene.frame(self.name)
        if frame is None:
            return
        x, y = event.position().x(), event.position().y()
        u, v = self.to_frame(frame, x, y)
        if event.button() == Qt.MouseButton.RightButton:
            self._drag = ("window", (x, y, self.scene.look.window))
        elif event.button() == Qt.MouseButton.MiddleButton:
            (u0, v0) = self.to_frame(frame, 0.5 * self.width(), 0.5 * self.height())
            self._drag = ("pan", (x, y, frame.to_patient(u0, v0), self.scale(frame)))
        elif event.button() == Qt.MouseButton.LeftButton:
            self._press(frame, u, v)
        self.update()

    def _press(self, frame: Frame, u: float, v: float) -> None:
        scene = self.scene
        if scene.tool == "look":
            found = grabbed(scene.needles(frame), u, v, self.scale(frame) / scene.ui_scale)
            if found is not None and not scene.planner.desk.read_only:
                scene.needle = found[0]
                self._drag = ("needle", (found[0], found[1], u, v, frame))
                scene.planner.edit.prepare()
                scene.changed.emit()
                return
            self._drag = ("cross", None)
            scene.go(frame.to_patient(u, v))
        elif scene.tool == "stroke":
            self._trail, self._drag = [(u, v)], ("stroke", frame)
        elif scene.tool in ("brush", "erase"):
            self._trail, self._drag = [(u, v)], ("brush", scene.tool == "erase")
        else:
            point, inside = frame.to_patient(u, v), scene.tool == "liver+"
            scene.go(point)
            click = scene.planner.segment.click
            scene.planner.desk.attempt(lambda: click(tuple(map(float, point)), inside))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        frame = self.scene.frame(self.name)
        if frame is None:
            return
        x, y = event.position().x(), event.position().y()
        u, v = self.to_frame(frame, x, y)
        if self._drag is None:
            over = self.scene.tool == "look" and grabbed(
                self.scene.needles(frame), u, v, self.scale(frame) / self.scene.ui_scale
            )
            shape = Qt.CursorShape.OpenHandCursor if over else Qt.CursorShape.CrossCursor
            self.setCursor(shape)
            return
        kind, data = self._drag
        if kind == "cross":
            self.scene.go(frame.to_patient(u, v))
        elif kind == "window":
            x0, y0, window = data
            width = max(10.0, window.width_hu + 3.0 * (x - x0))
            self.scene.set_look(window=Window(width, window.level_hu + 1.5 * (y - y0)))
        elif kind == "pan":
            x0, y0, middle, s = data
            self.zoom = s
            shift = frame.right * (x0 - x) / s + frame.down * (y0 - y) / s
            self.middle_mm = middle + shift
            self.update()
        elif kind in ("stroke", "brush"):
            self._trail.append((u, v))
            self.update()
        elif kind == "needle":
            # In the frame where it was grabbed: the needle's eye moves along with its needle.
            self._drag_needle(data, *self.to_frame(data[4], x, y))

    def _drag_needle(self, data: tuple[int, Part, float, float, Frame], u: float, v: float) -> None:
        number, part, u0, v0, frame = data
        by = (u - u0) * frame.right + (v - v0) * frame.down
        edit = self.scene.planner.edit
        self.scene.planner.desk.attempt(lambda: edit.drag(number, part, by))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        drag, self._drag = self._drag, None
        frame = self.scene.frame(self.name)
        if drag is None or frame is None:
            return
        planner, trail = self.scene.planner, self._trail
        self._trail = []
        if drag[0] == "stroke" and len(trail) > 1:
            a, b = (tuple(map(float, frame.to_patient(*p))) for p in (trail[0], trail[-1]))
            edge = self.scene.tumour_edge
            planner.desk.attempt(lambda: planner.segment.stroke(a, b, edge=edge))
        elif drag[0] == "stroke":
            planner.desk.say("Hold the button and draw from edge to edge.", "warning")
        elif drag[0] == "brush" and trail:
            way = (*trail[:: max(1, len(trail) // 60)], trail[-1])
            planner.desk.attempt(
                lambda: planner.segment.brush(
                    BrushStroke(frame, way, self.scene.brush_mm, self.scene.paint, drag[1])
                )
            )
        elif drag[0] == "needle":
            planner.desk.attempt(planner.edit.drop)
        self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if self.scene.tool == "look" and event.button() == Qt.MouseButton.LeftButton:
            self.enlarge.emit(self.name)

    def wheelEvent(self, event: QWheelEvent) -> None:
        ticks = event.angleDelta().y() / 120.0
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            frame = self.scene.frame(self.name)
            if frame is not None:
                centre = self.scene.point_mm if self.middle_mm is None else self.middle_mm
                self.zoom_to(centre, float(np.clip(self.scale(frame) * 1.2**ticks, 0.3, 40.0)))
            return
        self.step(int(np.sign(ticks)) if ticks else 0)

    def step(self, slices: int) -> None:
        """Scroll by slices, away from the reader for positive numbers (axial: to the head)."""
        frame = self.scene.frame(self.name)
        if frame is None or slices == 0:
            return
        grid = self.scene.planner.state.grid
        mm = 1.0 if frame.axis is None else grid.spacing_mm[frame.axis]
        self.scene.go(self.scene.point_mm + slices * mm * frame.away)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        frame = self.scene.frame(self.name)
        if key in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown):
            self.step(1 if key == Qt.Key.Key_PageUp else -1)
        elif key in _KEYS and frame is not None:
            right, down = _KEYS[Qt.Key(key)]
            by = right * frame.right + down * frame.down
            if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                self._nudge(by)
            else:
                self.scene.go(self.scene.point_mm + by * max(frame.step))
        else:
            super().keyPressEvent(event)

    def call_off(self) -> bool:
        """Call a drag off that is going on here; whether there was one."""
        if self._drag is None:
            return False
        if self._drag[0] == "needle":
            self.scene.planner.edit.cancel()
        self._drag, self._trail = None, []
        self.update()
        return True

    def _nudge(self, by_mm: NDArray[np.float64]) -> None:
        """The active needle's tip by a millimetre (Shift and an arrow)."""
        planner, number = self.scene.planner, self.scene.needle

        def move() -> None:
            planner.edit.drag(number, "tip", by_mm)
            planner.edit.drop()

        planner.desk.attempt(move)
