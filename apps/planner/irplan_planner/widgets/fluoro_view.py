"""Frames of a run side by side or as a difference, with the region; a plot of its noise power."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from irplan_planner.model.fluoro_bench import Figures, FluoroBench, Region
from irplan_planner.widgets import theme

Layout = Literal["side", "difference", "both"]
_TITLES = {"source": "Source", "filtered": "Filtered", "difference": "Filtered less source"}
_PANES = {
    "side": ("source", "filtered"),
    "difference": ("difference",),
    "both": ("source", "filtered", "difference"),
}
#: The difference is shown from minus to plus this many SD of the source's noise, and at least this
#: share of the window's width.
DIFFERENCE_SD, DIFFERENCE_SHARE = 4.0, 0.1
SOURCE_COLOUR, FILTERED_COLOUR = "#ffb347", theme.ACCENT


class FluoroView(QWidget):
    """Panes of one frame; press and drag draws the region (centre, radius)."""

    drawn = Signal(object)

    def __init__(self, bench: FluoroBench) -> None:
        super().__init__()
        self.bench = bench
        self.frame = 0
        self.panes: Layout = "side"
        self.shown = 0
        """Frames painted so far."""
        self._table: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._window = (0.0, 1.0)
        self._noise = 0.0
        self._hand: tuple[float, float, float] | None = None
        self.setMinimumSize(300, 240)
        self.setAccessibleName("Frames")
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)

    def new_run(self) -> None:
        """Another run: its window, its first frame."""
        self.frame = 0
        low, high = self._window = self.bench.window_of()
        self._noise = self.bench.noise_sd()
        every = np.arange(65536, dtype=np.float32)
        grey = np.clip((every - low) * (255.0 / (high - low)), 0.0, 255.0)
        run = self.bench.run
        if run is not None and run.photometry.inverted:
            grey = 255.0 - grey
        self._table = grey.astype(np.uint8)
        self.update()

    def show_frame(self, frame: int) -> None:
        """Show frame ``frame`` (from 0)."""
        self.frame = frame
        self.update()

    def grey(self, pane: str) -> NDArray[np.uint8] | None:
        """(row, column) of a pane now; None where it is not filtered yet."""
        run, result = self.bench.run, self.bench.filtered
        if run is None:
            return None
        source = run.frames[self.frame]
        if pane == "source":
            return self._grey(source)
        if result is None or self.frame >= self.bench.ready:
            return None
        if pane == "filtered":
            return self._grey(result[self.frame])
        wide = DIFFERENCE_SHARE * (self._window[1] - self._window[0])
        reach = max(wide, DIFFERENCE_SD * self._noise)
        gap = result[self.frame].astype(np.float32)
        gap -= source
        gap *= 127.0 / reach
        gap += 128.0
        np.clip(gap, 0.0, 255.0, out=gap)
        out: NDArray[np.uint8] = gap.astype(np.uint8)
        return out

    def _grey(self, frame: NDArray[Any]) -> NDArray[np.uint8]:
        if frame.dtype != np.uint16:
            frame = np.clip(frame, 0.0, 65535.0).astype(np.uint16)
        out: NDArray[np.uint8] = self._table[frame]
        return out

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        try:
            painter.fillRect(self.rect(), QColor("black"))
            if self.bench.run is None:
                painter.setPen(QColor(theme.MUTED))
                words = "Open a run, drop one here, or simulate one."
                painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, words)
            else:
                for pane, cell in self._cells():
                    self._pane(painter, pane, cell)
                self.shown += 1
        finally:
            painter.end()

    def _cells(self) -> list[tuple[str, QRectF]]:
        names = _PANES[self.panes]
        wide = self.width() / len(names)
        return [(n, QRectF(k * wide, 0, wide, self.height())) for k, n in enumerate(names)]

    def _picture(self, cell: QRectF) -> tuple[float, float, float]:
        """Left, top and pixels a pixel of the frame in a cell."""
        run = self.bench.run
        assert run is not None
        rows, columns = run.frames.shape[1:]
        line = 1.6 * self.fontMetrics().height()
        s = min((cell.width() - 4) / columns, (cell.height() - line - 2) / rows)
        top = cell.top() + line + max(0.0, (cell.height() - line - s * rows) / 2)
        return cell.left() + (cell.width() - s * columns) / 2, top, s

    def _pane(self, painter: QPainter, pane: str, cell: QRectF) -> None:
        left, top, s = self._picture(cell)
        painter.setPen(QColor(theme.INK))
        painter.drawText(
            QRectF(left, top - 1.5 * self.fontMetrics().height(), cell.width(), top),
            0,
            _TITLES[pane],
        )
        grey = self.grey(pane)
        if grey is None:
            painter.setPen(QColor(theme.MUTED))
            painter.drawText(cell, Qt.AlignmentFlag.AlignCenter, "being filtered ...")
        else:
            rows, columns = grey.shape
            image = QImage(grey.data, columns, rows, columns, QImage.Format.Format_Grayscale8)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, s < 1.0)
            painter.drawImage(QRectF(left, top, s * columns, s * rows), image)
        region = self.bench.region
        if self._hand is not None:
            region = Region(*self._hand)
        if region is not None:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            middle = QPointF(left + s * (region.column + 0.5), top + s * (region.row + 0.5))
            for radius, style in ((1.0, Qt.PenStyle.SolidLine), (1.5, Qt.PenStyle.DotLine),
                                  (2.5, Qt.PenStyle.DotLine)):  # fmt: skip
                painter.setPen(QPen(QColor("#ff5fae"), 1.6, style))
                reach = radius * region.radius * s
                painter.drawEllipse(middle, reach, reach)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    # ---------------------------------------------------------------- the region by the mouse

    def _pixel(self, event: QMouseEvent) -> tuple[float, float] | None:
        if self.bench.run is None:
            return None
        x, y = event.position().x(), event.position().y()
        for _, cell in self._cells():
            if cell.contains(event.position()):
                left, top, s = self._picture(cell)
                return (y - top) / s - 0.5, (x - left) / s - 0.5
        return None

    def mousePressEvent(self, event: QMouseEvent) -> None:
        at = self._pixel(event)
        if at is not None:
            self._hand = (*at, 8.0)
            self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = self._pixel(event)
        if at is not None and self._hand is not None:
            row, column, _ = self._hand
            self._hand = (row, column, max(4.0, float(np.hypot(at[0] - row, at[1] - column))))
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        hand, self._hand = self._hand, None
        if hand is not None:
            self.drawn.emit(Region(*hand))
        self.update()


class NoisePlot(QWidget):
    """Radial noise power of source and filtered run, logarithmic."""

    def __init__(self, bench: FluoroBench) -> None:
        super().__init__()
        self.bench = bench
        self.setMinimumHeight(150)
        self.setAccessibleName("Noise power spectrum")

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        try:
            self._paint(painter)
        finally:
            painter.end()

    def _paint(self, painter: QPainter) -> None:
        painter.fillRect(self.rect(), QColor(theme.PANEL))
        found = self.bench.figures
        painter.setPen(QColor(theme.MUTED))
        if found is None:
            painter.drawText(
                self.rect(), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap,
                "Noise power: draw a region on the picture.",
            )  # fmt: skip
            return
        line = painter.fontMetrics().height()
        box = QRectF(4.2 * line, 1.4 * line, self.width() - 5 * line, self.height() - 4.2 * line)
        values = np.log10(np.maximum(np.concatenate([f.nps for f in found]), 1e-12))
        low, high = float(np.floor(values.min())), float(np.ceil(values.max()))
        far = float(found[0].frequency_per_mm.max())
        high = max(high, low + 1.0)
        painter.drawRect(box)
        for power in range(int(low), int(high) + 1):
            y = box.bottom() - box.height() * (power - low) / (high - low)
            painter.drawText(QPointF(0.4 * line, y + line / 3), f"1e{power}")
        for share in (0.0, 0.5, 1.0):
            x = box.left() + share * box.width()
            painter.drawText(QPointF(x - line, box.bottom() + 1.2 * line), f"{share * far:.1f}")
        unit = "mm" if self.bench.pixel_mm is not None else "pixel"  # no size is known
        painter.drawText(QPointF(0.4 * line, line), f"NPS, value² {unit}²")
        painter.drawText(QPointF(box.left(), box.bottom() + 2.3 * line), f"cycles/{unit}")
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for one, colour in zip(found, (SOURCE_COLOUR, FILTERED_COLOUR), strict=True):
            painter.setPen(QPen(QColor(colour), 2.0))
            painter.drawPolyline(_curve(one, box, far, low, high))
        for k, (words, colour) in enumerate(
            (("source", SOURCE_COLOUR), ("filtered", FILTERED_COLOUR))
        ):
            painter.setPen(QColor(colour))
            painter.drawText(QPointF(box.right() - 4.5 * line, box.top() + (k + 1.2) * line), words)


def _curve(one: Figures, box: QRectF, far: float, low: float, high: float) -> QPolygonF:
    x = box.left() + box.width() * one.frequency_per_mm / far
    level = np.log10(np.maximum(one.nps, 1e-12))
    y = box.bottom() - box.height() * (level - low) / (high - low)
    return QPolygonF([QPointF(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)])
