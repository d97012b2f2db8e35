"""What the pages of the guided steps have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from irplan_planner.widgets.scene import SharedScene


class Page(QWidget):
    """A step's controls; ``main`` is its big button (Space presses it)."""

    def __init__(self, scene: SharedScene) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.scene, self.planner = scene, scene.planner
        self.desk = scene.planner.desk
        self.main: Any = None
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(8, 6, 8, 6)
        self.column.setSpacing(6)
        self.build()
        self.column.addStretch(1)

    def build(self) -> None:
        """Put the controls in."""

    def refresh(self) -> None:
        """After a change of the case."""

    def add(self, *widgets: QWidget) -> None:
        """Controls below each other."""
        for widget in widgets:
            self.column.addWidget(widget)

    def do(self, action: Callable[[], Any]) -> Callable[[], Any]:
        """A command whose errors become messages."""
        return lambda: self.desk.attempt(action)

    def ask_file(self, title: str, action: Callable[[str], Any], *, folder: bool = False) -> None:
        """A file dialog that does not block the window."""
        dialog = QFileDialog(self.window(), title)
        dialog.setOption(QFileDialog.Option.DontUseNativeDialog, True)
        mode = QFileDialog.FileMode.Directory if folder else QFileDialog.FileMode.ExistingFile
        dialog.setFileMode(mode)
        dialog.fileSelected.connect(lambda path: self.desk.attempt(lambda: action(path)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def ask_new_folder(self, title: str, action: Callable[[Path], Any]) -> None:
        """A dialog for a folder that will be made."""
        dialog = QFileDialog(self.window(), title)
        dialog.setOption(QFileDialog.Option.DontUseNativeDialog, True)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setFileMode(QFileDialog.FileMode.AnyFile)
        dialog.fileSelected.connect(lambda path: self.desk.attempt(lambda: action(Path(path))))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
