"""The bars above and below the views: tools, looks, and what is going on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QWidget

from irplan import RESEARCH_USE_ONLY
from irplan_planner.model.slices import WINDOWS
from irplan_planner.widgets import parts, theme
from irplan_planner.widgets.scene import SharedScene

_MODES = (("Slice", "slice"), ("MIP", "mip"), ("MinIP", "minip"), ("Mean", "mean"))

#: Steps of the progress bar: each draws the whole window anew where OpenGL is in it.
_BAR_STEPS = 25


class TopBar(QWidget):
    """Undo, redo, save; window, slab, opacity; what the 3-D view shows."""

    def __init__(
        self, scene: SharedScene, commands: dict[str, Callable[[], Any]],
        show_3d: Callable[..., None],
    ) -> None:  # fmt: skip
        super().__init__()
        self.scene, self.desk = scene, scene.planner.desk
        self._show = show_3d
        self.setObjectName("panel")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(5)
        self.undo = parts.button("Undo", commands["undo"])
        self.redo = parts.button("Redo", commands["redo"])
        self.save = parts.button("Save", commands["save"], tip="Ctrl+S")
        self.look = parts.toggle("Look", lambda on: scene.take("look") if on else None, on=True)
        self.look.setToolTip("Crosshair and needles (Esc)")
        self.window_preset = parts.choice(
            [(n, n) for n in WINDOWS], lambda n: scene.set_look(window=WINDOWS[n])
        )
        self.window_preset.setAccessibleName("Window preset")
        self.mode = parts.choice(_MODES, self._mode)
        self.mode.setAccessibleName("Slice or slab")
        self.thickness = parts.number(1, 200, 20, "mm")
        self.thickness.setAccessibleName("Slab thickness")
        self.thickness.valueChanged.connect(lambda v: self._mode(self.mode.currentData()))
        self.thickness.setEnabled(False)
        self.opacity = parts.slider(
            0, 100, round(100 * scene.look.opacity), lambda v: scene.set_look(opacity=v / 100)
        )
        self.opacity.setAccessibleName("Opacity of structures")
        self.opacity.setToolTip("Opacity of structures (O hides and shows)")
        self.opacity.setMaximumWidth(110)
        self.lines = parts.toggle("Lines", self._lines, on=True)
        self.zoom = parts.button("To target", commands["zoom"], tip="Zoom to the target (T)")
        self.whole = parts.button("Fit", commands["fit"], tip="Whole slices (F)")
        for widget in (self.undo, self.redo, self.save, self.look, self.window_preset, self.mode,
                       self.thickness, QLabel("Structures"), self.opacity, self.lines, self.zoom,
                       self.whole):  # fmt: skip
            layout.addWidget(widget)
        layout.addStretch(1)
        layout.addWidget(QLabel("3-D"))
        for words, key, on in (("Skin", "skin", True), ("Bone", "bone", True),
                               ("Access", "access", False)):  # fmt: skip
            layout.addWidget(parts.toggle(words, partial(self._show_3d, key), on=on))
        scene.tool_changed.connect(lambda tool: self.look.setChecked(tool == "look"))

    def _mode(self, mode: str) -> None:
        slab = mode != "slice"
        self.thickness.setEnabled(slab)
        self.scene.set_look(mode=mode, thickness_mm=float(self.thickness.value()) if slab else 0.0)

    def _show_3d(self, key: str, on: bool) -> None:
        self._show(**{key: on})

    def _lines(self, on: bool) -> None:
        self.scene.show_lines = on
        self.scene.changed.emit()

    def refresh(self) -> None:
        """After a change of the case or look."""
        undo, redo = self.desk.undo_words, self.desk.redo_words
        locked = bool(self.desk.read_only)
        self.undo.setEnabled(undo is not None and not locked)
        self.redo.setEnabled(redo is not None and not locked)
        self.undo.setToolTip(f"Undo: {undo} (Ctrl+Z)" if undo else "Nothing to undo")
        self.redo.setToolTip(f"Redo: {redo} (Ctrl+Y)" if redo else "Nothing to redo")
        self.save.setEnabled(self.desk.state.volume is not None)
        self.save.setText("Save *" if self.desk.unsaved else "Save")
        name = next((n for n, w in WINDOWS.items() if w == self.scene.look.window), None)
        if name is not None and self.window_preset.currentText() != name:
            self.window_preset.setCurrentText(name)


class StatusBar(QWidget):
    """The last message, the work that runs with its progress, and a button to stop it."""

    def __init__(self, scene: SharedScene) -> None:
        super().__init__()
        self.desk = scene.planner.desk
        self.setObjectName("panel")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 3, 8, 3)
        self.words = QLabel("")
        self.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.words.setMinimumWidth(80)
        self.work = QLabel("")
        self.bar = QProgressBar()
        self.bar.setMaximumWidth(220)
        self.bar.setRange(0, _BAR_STEPS)
        self.bar.setFormat("%p %")
        self.stop = QPushButton("Stop")
        self.stop.setAccessibleName("Stop the work that runs")
        self.stop.clicked.connect(self.cancel)
        layout.addWidget(self.words, 1)
        for widget in (self.work, self.bar, self.stop):
            layout.addWidget(widget)
        self.tick()

    def cancel(self) -> None:
        """Stop what runs and is shown."""
        for job in self.desk.jobs.active():
            if not job.quiet:
                job.cancel()

    def tick(self) -> None:
        """Show how far the work is (called a few times a second)."""
        shown = [j for j in self.desk.jobs.active() if not j.quiet]
        for widget in (self.work, self.bar, self.stop):
            widget.setVisible(bool(shown))
        if shown:
            job = shown[0]
            more = f" (+{len(shown) - 1})" if len(shown) > 1 else ""
            said = "stopping" if job.cancelling else job.message
            self.work.setText(f"{job.title}{more}: {said}")
            self.bar.setValue(round(_BAR_STEPS * job.fraction))

    def refresh(self) -> None:
        """Show the last message."""
        if not self.desk.messages:
            return
        m = self.desk.messages[-1]
        colour = {"plain": theme.INK, "good": theme.GOOD, "warning": theme.WARN,
                  "error": theme.BAD}[m.tone]  # fmt: skip
        mark = {"plain": "", "good": "✓ ", "warning": "! ", "error": "✗ "}[m.tone]
        text = f"{mark}{m.text}" + (f"  →  {m.remedy}" if m.remedy else "")
        self.words.setStyleSheet(f"color: {colour};")
        self.words.setToolTip(text)
        self.words.setText(text if len(text) < 150 else text[:147] + "...")


def banner() -> QLabel:
    """The line that is always there."""
    out = QLabel("RESEARCH USE ONLY  –  not a medical device, not for diagnosis or treatment")
    out.setObjectName("banner")
    out.setAlignment(Qt.AlignmentFlag.AlignCenter)
    out.setToolTip(RESEARCH_USE_ONLY)
    out.setAccessibleName("Research use only")
    return out
