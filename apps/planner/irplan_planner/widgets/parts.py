"""Small widgets that pages are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QScrollArea,
    QSlider,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)


def button(
    words: str, action: Callable[[], Any], *, name: str = "", tip: str = "", primary: bool = False
) -> QPushButton:
    """A push button; ``name`` is for tests, the primary one is the step's main action."""
    out = QPushButton(words)
    if primary:
        out.setObjectName("primary")
    if name:
        out.setProperty("action", name)
    out.setAccessibleName(words)
    if tip:
        out.setToolTip(tip)
    out.clicked.connect(lambda *_: action())
    return out


def toggle(words: str, action: Callable[[bool], Any], *, on: bool = False) -> QPushButton:
    """A button that stays down."""
    out = QPushButton(words)
    out.setCheckable(True)
    out.setChecked(on)
    out.setAccessibleName(words)
    out.toggled.connect(action)
    return out


def muted(words: str = "") -> QLabel:
    """A quiet line that wraps."""
    out = QLabel(words)
    out.setObjectName("muted")
    out.setWordWrap(True)
    return out


def row(*widgets: QWidget, stretch: Sequence[int] = ()) -> QWidget:
    """Widgets side by side."""
    out = QWidget()
    layout = QHBoxLayout(out)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(5)
    for n, widget in enumerate(widgets):
        layout.addWidget(widget, stretch[n] if n < len(stretch) else 0)
    return out


def labelled(words: str, widget: QWidget) -> QWidget:
    """A control with its name before it."""
    name = QLabel(words)
    name.setBuddy(widget)
    widget.setAccessibleName(words)
    return row(name, widget, stretch=(1, 1))


def column(*widgets: QWidget) -> QVBoxLayout:
    """A layout of widgets below each other."""
    out = QVBoxLayout()
    out.setContentsMargins(0, 0, 0, 0)
    out.setSpacing(6)
    for widget in widgets:
        out.addWidget(widget)
    return out


def number(
    low: float, high: float, value: float, unit: str, *, step: float = 1.0, decimals: int = 0
) -> QDoubleSpinBox:
    """A number with its unit."""
    out = QDoubleSpinBox()
    out.setRange(low, high)
    out.setDecimals(decimals)
    out.setSingleStep(step)
    out.setSuffix(f" {unit}")
    out.setValue(value)
    return out


def choice(items: Sequence[tuple[str, Any]], action: Callable[[Any], Any] | None = None) -> Any:
    """A drop-down of (words, value)."""
    out = QComboBox()
    for words, value in items:
        out.addItem(words, value)
    if action is not None:
        out.activated.connect(lambda n: action(out.itemData(n)))
    return out


def slider(low: int, high: int, value: int, action: Callable[[int], Any]) -> QSlider:
    """A horizontal slider."""
    out = QSlider(Qt.Orientation.Horizontal)
    out.setRange(low, high)
    out.setValue(value)
    out.valueChanged.connect(action)
    return out


def table(heads: Sequence[str]) -> QTableWidget:
    """A table that is only read, one row selected at a time."""
    out = QTableWidget(0, len(heads))
    out.setHorizontalHeaderLabels(list(heads))
    out.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
    out.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
    out.verticalHeader().setVisible(False)
    out.setWordWrap(False)
    out.horizontalHeader().setStretchLastSection(True)
    out.setHorizontalScrollMode(QTableWidget.ScrollMode.ScrollPerPixel)
    return out


def fill(into: QTableWidget, rows: Sequence[Sequence[str]]) -> None:
    """Put rows of words into a table."""
    into.setRowCount(len(rows))
    for r, words in enumerate(rows):
        for c, text in enumerate(words):
            item = QTableWidgetItem(text)
            item.setToolTip(text)
            into.setItem(r, c, item)
    into.verticalHeader().setDefaultSectionSize(round(1.8 * into.fontMetrics().height()))
    into.resizeColumnsToContents()


def fit_width(table_: QTableWidget) -> QTableWidget:
    """Columns share the width that there is (narrow tables of few words)."""
    table_.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    table_.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return table_


def scrolled(inner: QWidget) -> QScrollArea:
    """A page that scrolls where the screen is small."""
    out = QScrollArea()
    out.setWidgetResizable(True)
    out.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    out.setWidget(inner)
    return out


def clear(layout: Any) -> None:
    """Remove all widgets of a layout."""
    while layout.count():
        item = layout.takeAt(0)
        if item.widget() is not None:
            item.widget().hide()  # until it is deleted it would lie on the others
            item.widget().deleteLater()


def take_files(event: QDragEnterEvent) -> None:
    """Let what is dragged over a window be dropped when it is a file or folder."""
    if event.mimeData().hasUrls():
        event.acceptProposedAction()


def dropped(event: QDropEvent) -> str | None:
    """The one path that was dropped; None for none or several."""
    paths = [u.toLocalFile() for u in event.mimeData().urls() if u.isLocalFile()]
    return str(Path(paths[0])) if len(paths) == 1 else None
