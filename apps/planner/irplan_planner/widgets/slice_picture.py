"""One slice as it is drawn: picture, lines, needles, crosshair, what is in hand, words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRect, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QImage,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
)
from PySide6.QtWidgets import QWidget

from irplan_planner.model.handles import NeedleView
from irplan_planner.model.outlines import Outline
from irplan_planner.model.slices import Frame, SlicePainter, ViewName
from irplan_planner.widgets import theme
from irplan_planner.widgets.scene import SharedScene

_TITLES = {"axial": "Axial", "coronal": "Coronal", "sagittal": "Sagittal", "eye": "Needle's eye"}
#: The needle's eye follows other views this often while they are scrolled, ms.
EYE_EVERY_MS = 70
#: A view this wide names its lines; of four beside each other the axial one does, pixels.
_NAMES_LINES_PX = 640


class SlicePicture(QWidget):
    """A view of the shared scene, drawn; ``name`` says which plane."""

    enlarge = Signal(str)

    def __init__(self, scene: SharedScene, name: ViewName, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name: ViewName = name
        self.scene = scene
        self.zoom = 0.0
        """Pixels a mm; 0: the whole picture fits."""
        self.middle_mm: NDArray[np.float64] | None = None
        """LPS point in the middle of the view; None: the picture's own middle."""
        self.painted = 0
        self.glanced = 0
        """How often the first look at a scan that is being read was painted."""
        self._painter = SlicePainter()
        self._image: QImage | None = None
        self._image_key: tuple[Any, ...] = ()
        self._pixels: NDArray[np.uint32] | None = None
        self._base: QPixmap | None = None
        self._base_key: tuple[Any, ...] = ()
        self._layers: dict[str, tuple[tuple[Any, ...], QPixmap]] = {}
        self._kept: tuple[Any, ...] = ()
        self._drag: tuple[str, Any] | None = None
        self._trail: list[tuple[float, float]] = []
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(140, 120)
        self.setObjectName(f"view-{name}")
        self.setAccessibleName(_TITLES[name])
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self._cross: tuple[int, int] | None = None
        self._where = (0.0, 0.0, 1.0)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.update)
        scene.changed.connect(self._changed)

    # ---------------------------------------------------------------- geometry

    def scale(self, frame: Frame) -> float:
        """Pixels a mm."""
        width, height = frame.size_mm
        fit = min(self.width() / width, self.height() / height)
        return self.zoom if self.zoom > 0 else 0.98 * fit

    def _origin(self, frame: Frame) -> tuple[float, float]:
        """Where the frame's origin lies on the screen, pixels."""
        s = self.scale(frame)
        if self.middle_mm is None or self.zoom <= 0:
            u, v = 0.5 * frame.size_mm[0] - 0.5 * frame.step[0], 0.5 * frame.size_mm[1]
        else:
            (u, v), _ = frame.to_picture(self.middle_mm)
        return 0.5 * self.width() - s * float(u), 0.5 * self.height() - s * float(v)

    def to_screen(self, frame: Frame, uv: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 2) pixels of places in the frame (mm)."""
        out: NDArray[np.float64] = np.asarray(self._origin(frame)) + self.scale(frame) * uv
        return out

    def to_frame(self, frame: Frame, x: float, y: float) -> tuple[float, float]:
        """Place in the frame (mm) under a pixel."""
        left, top = self._origin(frame)
        s = self.scale(frame)
        return (x - left) / s, (y - top) / s

    def screen_of(self, point_mm: Any) -> QPointF:
        """Pixel of an LPS point (tests, screenshots)."""
        frame = self.scene.frame(self.name)
        assert frame is not None
        uv, _ = frame.to_picture(point_mm)
        x, y = self.to_screen(frame, uv)
        return QPointF(float(x), float(y))

    def zoom_to(self, point_mm: Any, px_per_mm: float) -> None:
        """Look closer at an LPS point."""
        self.middle_mm, self.zoom = np.asarray(point_mm, dtype=np.float64), px_per_mm
        self.update()

    def fit(self) -> None:
        """The whole picture again."""
        self.middle_mm, self.zoom = None, 0.0
        self.update()

    # ---------------------------------------------------------------- drawing

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        try:
            self._paint(painter)
        finally:
            painter.end()
        self.painted += 1

    def _changed(self) -> None:
        """The scene changed: redraw what is different, the crosshair alone where that is all."""
        frame = self.scene.frame(self.name)
        if frame is None or self._base is None or self._key(frame) != self._base_key:
            if self.name == "eye" and self._base is not None and not self.hasFocus():
                if not self._soon.isActive():
                    self._soon.start(EYE_EVERY_MS)  # resampled: it follows in its own time
            else:
                self.update()
            return
        for place in (self._cross, self._cross_at(frame)):
            if place is not None:
                wide = max(2, round(2 * self.scene.ui_scale))
                self.update(QRect(0, place[1] - 1, self.width(), wide + 1))
                self.update(QRect(place[0] - 1, 0, wide + 1, self.height()))

    def _key(self, frame: Frame) -> tuple[Any, ...]:
        """What all but the crosshair depends on."""
        scene, state = self.scene, self.scene.planner.state
        middle = None if self.middle_mm is None else tuple(self.middle_mm)
        return (
            id(state.volume), id(state.labels), frame.place, scene.look,
            (self.width(), self.height(), self.zoom, middle, scene.ui_scale), scene.lines_key(),
            id(scene.planner.desk.placements), id(state.achieved), scene.needle,
        )  # fmt: skip

    def _paint(self, painter: QPainter) -> None:
        frame = self.scene.frame(self.name)
        if frame is None:
            painter.fillRect(self.rect(), QColor("black"))
            self._empty(painter)
            return
        key = self._key(frame)
        self._where = (*self._origin(frame), self.scale(frame))
        if key != self._base_key or self._base is None:
            self._base = self._drawn(frame)
            self._base_key = key
            state = self.scene.planner.state
            # What the key names by its id stays alive, and so its id.
            desk = self.scene.planner.desk
            result = None if desk.simulation is None else desk.simulation.result
            self._kept = (state.volume, state.labels, state.achieved, state.target, result,
                          desk.placements, desk.extras.time_course)  # fmt: skip
        painter.drawPixmap(0, 0, self._base)
        self._crosshair(painter, frame)
        if self._drag is not None:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._in_hand(painter, frame)
        if self.hasFocus():
            painter.setPen(QPen(QColor(theme.ACCENT), 2))
            painter.drawRect(self.rect().adjusted(1, 1, -1, -1))

    def _drawn(self, frame: Frame) -> QPixmap:
        """All but the crosshair, in layers; what did not change below is not drawn again.

        The picture with the target's lines, over it the zone's lines, over them needles and words.
        """
        scene, whole = self.scene, self._key(frame)
        target, zone = scene.lines_key() or ((), ())
        base: QPixmap = self._layer("zone", (whole[:5], target, zone), frame).copy()
        painter = QPainter(base)
        painter.setFont(self.font())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for view in scene.needles(frame):
            self._needle(painter, view)
        self._words(painter, frame)
        painter.end()
        return base

    def _layer(self, name: str, key: tuple[Any, ...], frame: Frame) -> QPixmap:
        """The picture with the target's lines ("target"), or with the zone's too ("zone")."""
        known = self._layers.get(name)
        if known is not None and known[0] == key:
            return known[1]
        if name == "zone":
            drawn: QPixmap = self._layer("target", key[:2], frame).copy()
            painter = QPainter(drawn)
        else:
            ratio = self.devicePixelRatioF()
            drawn = QPixmap(self.size() * ratio)
            drawn.setDevicePixelRatio(ratio)
            drawn.fill(QColor("black"))
            self._make_image(frame)
            painter = QPainter(drawn)
            self._picture(painter, frame)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for outline in self.scene.outlines(frame, name):
            self._outline(painter, outline)
        painter.end()
        self._layers[name] = (key, drawn)
        return drawn

    def _empty(self, painter: QPainter) -> None:
        seen = self.scene.planner.desk.glance
        if seen is not None and self.name == "axial":
            rows, columns = seen.grey.shape
            down, across = seen.step_mm
            s = 0.98 * min(self.height() / (rows * down), self.width() / (columns * across))
            size = (s * across * columns, s * down * rows)
            place = QRectF((self.width() - size[0]) / 2, (self.height() - size[1]) / 2, *size)
            image = QImage(seen.grey.data, columns, rows, columns, QImage.Format.Format_Grayscale8)
            painter.drawImage(place, image)
            words = "A slice from the middle; reading the rest ..."
            _halo(painter, 8, 6, words, Qt.AlignmentFlag.AlignLeft)
            self.glanced += 1
            return
        painter.setPen(QColor(theme.MUTED))
        words = _TITLES[self.name] + (
            ": shown once there is a needle" if self.name == "eye" else ": open a CT"
        )
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, words)

    def _make_image(self, frame: Frame) -> None:
        state, look = self.scene.planner.state, self.scene.look
        assert state.volume is not None
        key = (id(state.volume), id(state.labels), frame.place, look)
        if key != self._image_key or self._image is None:
            pixels = self._painter.picture(state.volume, state.labels, frame, look)
            self._pixels = np.ascontiguousarray(pixels)
            rows, columns = pixels.shape
            self._image = QImage(
                self._pixels.data, columns, rows, 4 * columns, QImage.Format.Format_RGB32
            )
            self._image_key = key

    def _picture(self, painter: QPainter, frame: Frame) -> None:
        assert self._image is not None
        left, top, s = self._where
        left -= 0.5 * s * frame.step[0]
        top -= 0.5 * s * frame.step[1]
        width, height = frame.size_mm
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(QRectF(left, top, s * width, s * height), self._image)

    def _outline(self, painter: QPainter, outline: Outline) -> None:
        pen = QPen(QColor(outline.colour), outline.width * self.scene.ui_scale)
        if outline.dashed:
            pen.setStyle(Qt.PenStyle.DashLine)
        pen.setCosmetic(True)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for line in outline.lines:
            painter.drawPolyline(_polygon(self._px(line)))

    def _px(self, uv: NDArray[np.float64]) -> NDArray[np.float64]:
        """`to_screen` of the frame that is being drawn."""
        left, top, s = self._where
        return uv * s + (left, top)

    def _cross_at(self, frame: Frame) -> tuple[int, int]:
        uv, _ = frame.to_picture(self.scene.point_mm)
        x, y = self.to_screen(frame, uv)
        return round(float(x)), round(float(y))

    def _crosshair(self, painter: QPainter, frame: Frame) -> None:
        x, y = self._cross = self._cross_at(frame)
        wide, gap = max(1, round(self.scene.ui_scale)), round(14 * self.scene.ui_scale)
        colour = QColor("#2f86b4")
        w, h = self.width(), self.height()
        # Filled rectangles: many times as fast as lines of a pen.
        for left, top, across, down in (
            (0, y, x - gap, wide), (x + gap, y, w - x - gap, wide),
            (x, 0, wide, y - gap), (x, y + gap, wide, h - y - gap),
        ):  # fmt: skip
            if across > 0 and down > 0:
                painter.fillRect(left, top, across, down, colour)

    def _needle(self, painter: QPainter, view: NeedleView) -> None:
        active = view.number == self.scene.needle and not view.achieved
        colour = QColor(theme.ACHIEVED if view.achieved else theme.NEEDLE)
        k = self.scene.ui_scale
        for runs, pen in (
            (view.dotted, QPen(colour, 1.2 * k, Qt.PenStyle.DotLine)),
            (view.solid, QPen(colour, (3.0 if active else 2.2) * k)),
            (view.active, QPen(QColor(theme.NEEDLE_ACTIVE), (4.0 if active else 3.2) * k)),
        ):
            painter.setPen(pen)
            for run in runs:
                if len(run) > 1:
                    painter.drawPolyline(_polygon(self._px(run)))
        for point, hollow in ((view.tip, False), (view.entry, True)):
            if point is None:
                continue
            x, y = self._px(point)
            size = (7.0 if active else 5.5) * k
            painter.setPen(QPen(QColor("black"), 1.4 * k))
            painter.setBrush(QColor(0, 0, 0, 90) if hollow else colour)
            if hollow:
                painter.setPen(QPen(colour, 2.0 * k))
            painter.drawEllipse(QPointF(x, y), size, size)
            painter.setPen(colour)
            painter.drawText(QPointF(x + 9 * k, y - 7 * k), str(view.number))

    def _in_hand(self, painter: QPainter, frame: Frame) -> None:
        if len(self._trail) < 1 or self._drag is None:
            return
        points = self.to_screen(frame, np.asarray(self._trail))
        if self._drag[0] == "stroke":
            a, b = self._trail[0], self._trail[-1]
            length = float(np.hypot(b[0] - a[0], b[1] - a[1]))
            painter.setPen(QPen(QColor("#ff5fae"), 2.0))
            painter.drawLine(QPointF(*points[0]), QPointF(*points[-1]))
            painter.drawText(QPointF(*points[-1]) + QPointF(10, -6), f"{length:.0f} mm")
        elif self._drag[0] == "brush":
            width = 2.0 * self.scene.brush_mm * self.scale(frame)
            colour = QColor(255, 122, 107, 120) if self._drag[1] else QColor(76, 194, 255, 120)
            pen = QPen(colour, width)
            pen.setCapStyle(Qt.PenCapStyle.RoundCap)
            painter.setPen(pen)
            painter.drawPolyline(_polygon(points if len(points) > 1 else points.repeat(2, 0)))

    def _words(self, painter: QPainter, frame: Frame) -> None:
        font = QFont(self.font())
        font.setBold(True)
        painter.setFont(font)
        title = _TITLES[self.name]
        if self.name == "eye":
            title += f" {min(self.scene.needle, max(1, len(self.scene.planner.desk.placements)))}"
        else:
            axis = {"axial": 2, "coronal": 1, "sagittal": 0}[self.name]
            title += f"  {'xyz'[axis]} {frame.origin_mm[axis]:.0f} mm"
        _halo(painter, 8, 6, title, Qt.AlignmentFlag.AlignLeft)
        line = painter.fontMetrics().height()
        for n, more in enumerate(self._more_words(), start=1):
            _halo(painter, 8, 6 + n * line, more, Qt.AlignmentFlag.AlignLeft)
        letters = {"right": _letter(frame.right), "left": _letter(-frame.right),
                   "top": _letter(-frame.down), "bottom": _letter(frame.down)}  # fmt: skip
        w, h = self.width(), self.height()
        _halo(painter, w - 8, h / 2, letters["right"], Qt.AlignmentFlag.AlignRight)
        _halo(painter, 8, h / 2, letters["left"], Qt.AlignmentFlag.AlignLeft)
        _halo(painter, w / 2 + 6, 6, letters["top"], Qt.AlignmentFlag.AlignLeft)
        _halo(painter, w / 2 + 6, h - line - 4, letters["bottom"], Qt.AlignmentFlag.AlignLeft)
        font.setBold(False)
        painter.setFont(font)
        self._line_names(painter)
        s = self.scale(frame)
        bar = max((b for b in (5.0, 10.0, 20.0, 50.0, 100.0) if b * s < 0.3 * w), default=5.0)
        painter.setPen(QPen(QColor("white"), 2))
        right, base = w - 10, h - 8
        painter.drawLine(QPointF(right - bar * s, base), QPointF(right, base))
        _halo(painter, right, base - line - 3, f"{bar:g} mm", Qt.AlignmentFlag.AlignRight)

    def _more_words(self) -> list[str]:
        """What else is so of this picture: the slab, the moment that is scrubbed to."""
        look, time_s = self.scene.look, self.scene.time_s
        out = []
        if look.mode != "slice":
            out.append(f"{look.mode.upper()} {look.thickness_mm:.0f} mm")
        if time_s is not None:
            out.append(f"at {time_s / 60.0:.1f} min of the schedule")
        return out

    def _line_names(self, painter: QPainter) -> None:
        """The lines by their colour, dashed where they are."""
        if self.name != "axial" and self.width() < _NAMES_LINES_PX * self.scene.ui_scale:
            return
        levels = self.scene.levels() if self.scene.show_lines else ()
        metrics, k = painter.fontMetrics(), self.scene.ui_scale
        line = metrics.height()
        for n, level in enumerate(reversed(levels)):
            y = self.height() - 8 - n * line
            pen = QPen(QColor(level.colour), max(2.0, level.width * k))
            if level.dashed:
                pen.setCapStyle(Qt.PenCapStyle.FlatCap)
                pen.setDashPattern([2.0, 1.5])
            painter.setPen(pen)
            middle = y - 0.5 * metrics.ascent() + 1
            painter.drawLine(QPointF(8, middle), QPointF(8 + 18 * k, middle))
            _halo(painter, 8 + 23 * k, y - metrics.ascent(), level.name,
                  Qt.AlignmentFlag.AlignLeft)  # fmt: skip


def _polygon(points: NDArray[np.float64]) -> QPolygonF:
    return QPolygonF([QPointF(x, y) for x, y in points.tolist()])


def _halo(painter: QPainter, x: float, y: float, text: str, align: Qt.AlignmentFlag) -> None:
    """Text that can be read on any picture."""
    metrics = painter.fontMetrics()
    width = metrics.horizontalAdvance(text)
    if align == Qt.AlignmentFlag.AlignRight:
        x -= width
    elif align == Qt.AlignmentFlag.AlignHCenter:
        x -= width / 2
    base = y + metrics.ascent()
    painter.setPen(QColor(0, 0, 0, 200))
    for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        painter.drawText(QPointF(x + dx, base + dy), text)
    painter.setPen(QColor("#f2f6fa"))
    painter.drawText(QPointF(x, base), text)


def _letter(way: Sequence[float] | NDArray[np.float64]) -> str:
    """Where a direction points in the patient, the main one first (L, R, A, P, H, F)."""
    d = np.asarray(way)
    names = (("L", "R"), ("P", "A"), ("H", "F"))
    order = np.argsort(-np.abs(d))
    return "".join(names[k][0 if d[k] > 0 else 1] for k in order[:2] if abs(d[k]) > 0.35)
