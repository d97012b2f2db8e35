"""The C-arm's pictures of the chosen needle, simulated from the CT."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from irplan_planner.model.guiding import Preview
from irplan_planner.widgets import theme
from irplan_planner.widgets.scene import SharedScene


class PreviewView(QWidget):
    """Bull's-eye and progress view side by side, with entry (ring), tip (dot) and target."""

    def __init__(self, scene: SharedScene) -> None:
        super().__init__()
        self.scene = scene
        self.setAccessibleName("C-arm previews")
        scene.changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        try:
            self._paint(painter)
        finally:
            painter.end()

    def _paint(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        every = self.scene.planner.guide.previews()
        mine = [p for p in every if p.needle == self.scene.needle]
        if not mine:
            painter.setPen(QColor(theme.MUTED))
            words = "C-arm pictures: take the step Guide" if not every else "No view of this needle"
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, words)
            return
        wide = self.width() > 0.8 * self.height()
        count = len(mine)
        for n, one in enumerate(mine):
            if wide:
                cell = QRectF(n * self.width() / count, 0, self.width() / count, self.height())
            else:
                cell = QRectF(0, n * self.height() / count, self.width(), self.height() / count)
            self._draw(painter, one, cell)

    def _draw(self, painter: QPainter, one: Preview, cell: QRectF) -> None:
        line = 2 * painter.fontMetrics().height() + 4
        picture = np.ascontiguousarray(one.picture)
        rows, columns = picture.shape
        image = QImage(picture.data, columns, rows, columns, QImage.Format.Format_Grayscale8)
        s = min(cell.width() / columns, (cell.height() - line) / rows)
        left = cell.left() + (cell.width() - s * columns) / 2
        top = cell.top() + line
        painter.setPen(QColor(theme.INK))
        painter.drawText(
            QRectF(cell.left() + 4, cell.top(), cell.width(), line), Qt.AlignmentFlag.AlignLeft,
            one.words,
        )  # fmt: skip
        painter.drawImage(QRectF(left, top, s * columns, s * rows), image)
        painter.setClipRect(QRectF(left, top, s * columns, s * rows))

        def at(px: tuple[float, float]) -> QPointF:
            return QPointF(left + s * (px[0] + 0.5), top + s * (px[1] + 0.5))

        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor("#ff5fae"), 2.0))
        painter.drawEllipse(at(one.target), 9, 9)
        painter.setPen(QPen(QColor(theme.NEEDLE), 2.2))
        painter.drawLine(at(one.entry), at(one.tip))
        painter.drawEllipse(at(one.entry), 6, 6)
        painter.setBrush(QColor(theme.NEEDLE))
        painter.drawEllipse(at(one.tip), 3.5, 3.5)
        painter.setClipping(False)
