"""The window: steps on the left, views and results, bars; it starts and ends everything."""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QKeySequence,
    QShortcut,
)
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QVBoxLayout,
    QWidget,
)

from irplan_planner.model.desk import Topic
from irplan_planner.model.planner import Planner
from irplan_planner.model.steps import STEPS
from irplan_planner.widgets import parts, theme
from irplan_planner.widgets.bars import StatusBar, TopBar, banner
from irplan_planner.widgets.monitor import OnMonitor
from irplan_planner.widgets.results import Results
from irplan_planner.widgets.scene import SharedScene
from irplan_planner.widgets.slice_view import SliceView
from irplan_planner.widgets.steps_panel import StepsPanel
from irplan_planner.widgets.view3d import View3D

#: Rests before background work begins, and between autosaves, ms.
REST_MS, AUTOSAVE_MS, TICK_MS = 2500, 60_000, 120
#: Pixels a mm of "zoom to target", by the target's diameter: it fills this share of a view.
_TARGET_SHARE = 0.3
_PLACES = {"axial": (0, 0), "coronal": (0, 1), "view3d": (0, 2),
           "eye": (1, 0), "sagittal": (1, 1), "results": (1, 2)}  # fmt: skip


class PlannerWindow(QMainWindow):
    """The planner; ``background`` False leaves out what it would work out by itself (tests)."""

    wake = Signal()

    def __init__(self, *, background: bool = True) -> None:
        super().__init__()
        self.setWindowTitle("irplan planner – research use only")
        self.setAcceptDrops(True)
        self.planner = Planner(wake=self.wake.emit, background=background)
        self.scene = SharedScene(self.planner)
        self.desk = self.planner.desk
        self.wake.connect(self._poll, Qt.ConnectionType.QueuedConnection)
        self.views = {
            name: SliceView(self.scene, name) for name in ("axial", "coronal", "sagittal", "eye")
        }
        self.view3d = View3D(self.scene)
        self.results = Results(self.scene)
        self.steps = StepsPanel(self.scene)
        self.top = TopBar(
            self.scene,
            {"undo": self._undo, "redo": self._redo, "save": self.save,
             "zoom": self.zoom_to_target, "fit": self.fit},
            self.view3d.set_shown,
        )  # fmt: skip
        self.status = StatusBar(self.scene)
        self._large: str | None = None
        self._asking: QWidget | None = None
        self._closing = False
        self.monitor = OnMonitor(self, self._scaled)
        self._volume: object = None
        self._build()
        self.scene.changed.connect(self.top.refresh)
        self.desk.listen(self._changed)
        self.steps.taken.connect(self._step_taken)
        self._timers = [self._every(TICK_MS, self.status.tick),
                        self._every(AUTOSAVE_MS, self._autosave)]  # fmt: skip
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.timeout.connect(self.planner.at_rest)
        self._shortcuts()
        self.planner.warm_up(("pyvistaqt",))
        self._show_all()

    # ---------------------------------------------------------------- building

    def _build(self) -> None:
        for view in self.views.values():
            view.enlarge.connect(self.enlarge)
        self.steps.setFixedWidth(288)
        self.grid = QGridLayout()
        self.grid.setSpacing(3)
        self.grid.setContentsMargins(3, 3, 3, 3)
        for name, (r, c) in _PLACES.items():
            self.grid.addWidget(self._cell(name), r, c)
        for n in range(3):
            self.grid.setColumnStretch(n, 1)
            self.grid.setRowStretch(min(n, 1), 1)
        middle = QVBoxLayout()
        middle.setContentsMargins(0, 0, 0, 0)
        middle.setSpacing(0)
        middle.addWidget(self.top)
        self._question = QHBoxLayout()
        middle.addLayout(self._question)
        middle.addLayout(self.grid, 1)
        across = QHBoxLayout()
        across.setContentsMargins(0, 0, 0, 0)
        across.setSpacing(0)
        across.addWidget(self.steps)
        across.addLayout(middle, 1)
        whole = QVBoxLayout()
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(banner())
        whole.addLayout(across, 1)
        whole.addWidget(self.status)
        for bar in (self.steps, self.top, self.status):
            bar.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        body = QFrame()
        body.setLayout(whole)
        self.setCentralWidget(body)

    def _cell(self, name: str) -> QWidget:
        cells: dict[str, QWidget] = {
            **self.views, "view3d": self.view3d, "results": self.results
        }  # fmt: skip
        return cells[name]

    def fit_to_screen(self) -> None:
        """Sizes for the screen the window is on."""
        self.monitor.fit()

    def _scaled(self, scale: float) -> None:
        self.steps.setFixedWidth(round(288 * scale))
        self.top.opacity.setFixedWidth(round(110 * scale))
        self.scene.ui_scale = scale
        self.view3d.rescale()
        self.scene.changed.emit()

    def next_screen(self) -> None:
        """To the next monitor, filling it."""
        if not self.monitor.next():
            self.desk.say("There is one monitor.", "plain")

    def _every(self, ms: int, action: Any) -> QTimer:
        timer = QTimer(self)
        timer.timeout.connect(action)
        timer.start(ms)
        return timer

    def _shortcuts(self) -> None:
        keys: dict[str, Any] = {
            "Ctrl+O": self._ask_open,
            "Ctrl+S": self.save, "Ctrl+Z": self._undo, "Ctrl+Y": self._redo,
            "Ctrl+Shift+Z": self._redo, "W": self.scene.next_window, "O": self._overlay,
            "M": self._next_mode, "T": self.zoom_to_target, "F": self.fit,
            "N": self._next_needle, "L": lambda: self.top.lines.toggle(),
            "Ctrl+Return": self.steps.press_main, "Ctrl+.": self.status.cancel,
            "Escape": self._escape, "F11": self._full_screen, "F12": self.next_screen,
            **{f"F{n}": lambda s=s: self.steps.take(s) for n, s in enumerate(STEPS, start=1)},
            **{str(n): lambda v=v: self.enlarge(v) for n, v in enumerate(
                ("axial", "coronal", "sagittal", "eye", "view3d", "results"), start=1)},
        }  # fmt: skip
        for sequence, action in keys.items():
            shortcut = QShortcut(QKeySequence(sequence), self)
            shortcut.activated.connect(action)

    # ---------------------------------------------------------------- what changes

    def _poll(self) -> None:
        self.planner.poll()
        self.status.tick()

    def _changed(self, topic: Topic) -> None:
        if self._closing:
            return
        self._rest.start(REST_MS)
        if topic == "message":
            self.status.refresh()
            self.results.show_messages()
            if self.desk.messages[-1].tone == "error":
                self.results.setCurrentWidget(self.results.messages)
                self.scene.changed.emit()
            return
        if topic == "jobs":
            self.status.tick()
            self.results.refresh()
            return
        if topic == "live":  # a needle in hand: only what moves with it
            self.results.show_verdict()
            self.scene.changed.emit()
            return
        if self.desk.state.volume is not self._volume:
            self._volume = self.desk.state.volume
            self.fit()
            self.scene.centre()
        self._show_all()

    def _show_all(self) -> None:
        state = self.desk.state
        target = state.target
        if target is not getattr(self, "_target_seen", None):
            self._target_seen = target
            self.scene.centre()
        plan = state.plan
        if plan is not None and getattr(self, "_plan_seen", None) is None:
            self.zoom_to_target()
            self.view3d.look_along(1)
            self.results.setCurrentWidget(self.results.verdict)
        self._plan_seen = plan
        self.scene.needle = max(1, min(self.scene.needle, len(self.desk.placements) or 1))
        self.steps.refresh()
        self.results.refresh()
        self.top.refresh()
        name = state.title or "no case"
        where = f" – {self.planner.files.folder}" if self.planner.files.folder else ""
        locked = f" – READ-ONLY ({self.desk.read_only})" if self.desk.read_only else ""
        self.setWindowTitle(f"irplan planner – research use only – {name}{where}{locked}")
        self.scene.changed.emit()

    def _step_taken(self, step: str) -> None:
        if step == "report":
            self.results.setCurrentWidget(self.results.report)
        elif step == "guide":
            self.results.setCurrentWidget(self.results.c_arm)
        elif step in ("plan", "simulate") and self.desk.state.plan is not None:
            self.results.setCurrentWidget(self.results.verdict)

    def _undo(self) -> None:
        self.desk.attempt(self.desk.undo)

    def _redo(self) -> None:
        self.desk.attempt(self.desk.redo)

    def _autosave(self) -> None:
        self.planner.files.autosave_now()

    # ---------------------------------------------------------------- views

    def enlarge(self, name: str) -> None:
        """One view alone, or all of them again."""
        self._large = None if self._large == name else name
        for other, (r, c) in _PLACES.items():
            seen = self._large in (None, other)
            self._cell(other).setVisible(seen)
            if self._large in (None, other):
                self.grid.setRowStretch(r, 1)
                self.grid.setColumnStretch(c, 1)
        if self._large is not None:
            row, column = _PLACES[self._large]
            for n in range(3):
                self.grid.setColumnStretch(n, int(n == column))
            for n in range(2):
                self.grid.setRowStretch(n, int(n == row))

    def zoom_to_target(self) -> None:
        """All slices close to the target."""
        state = self.desk.state
        if state.target is None or state.volume is None:
            return
        centre = state.target.centre_mm(state.grid)
        diameter = max(
            10.0, (6.0 / 3.14159 * 1000.0 * state.target.volume_ml(state.grid)) ** (1 / 3)
        )
        for view in self.views.values():
            share = _TARGET_SHARE * min(view.width(), view.height())
            view.zoom_to(centre, max(1.0, min(share / diameter, 8.0)))
        self.scene.go(centre)

    def fit(self) -> None:
        """Whole slices again."""
        for view in self.views.values():
            view.fit()

    def _overlay(self) -> None:
        self.top.opacity.setValue(0 if self.top.opacity.value() else 35)

    def _next_mode(self) -> None:
        box = self.top.mode
        box.setCurrentIndex((box.currentIndex() + 1) % box.count())
        self.top._mode(box.currentData())

    def _next_needle(self) -> None:
        count = len(self.desk.placements)
        if count:
            self.scene.needle = self.scene.needle % count + 1
            self.scene.go(self.desk.placements[self.scene.needle - 1].needle.tip_mm)
            self.steps.refresh()

    def _full_screen(self) -> None:
        if self.isFullScreen():
            self.showNormal()
        else:
            self.showFullScreen()

    def _escape(self) -> None:
        off = [view.call_off() for view in self.views.values()]
        if any(off):
            return
        if self._asking is not None:
            self._answer()
        elif self._large is not None:
            self.enlarge(self._large)
        else:
            self.scene.take("look")

    # ---------------------------------------------------------------- files

    def open(self, what: str) -> None:
        """A path, or ``sample:NAME``."""
        if what.startswith("sample:"):
            self.desk.attempt(lambda: self.planner.files.sample(what.removeprefix("sample:")))
        else:
            self.desk.attempt(lambda: self.planner.files.open(what))

    def _ask_open(self) -> None:
        self.steps.take("load")
        self.steps.press_main()

    def save(self) -> None:
        """Save where the case was saved before; else ask where."""
        if self.planner.files.folder is not None and not self.desk.read_only:
            self.desk.attempt(self.planner.files.save)
        else:
            page = self.steps.pages["load"]
            page.ask_new_folder("Save the case as a new folder", self.planner.files.save)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        parts.take_files(event)

    def dropEvent(self, event: QDropEvent) -> None:
        path = parts.dropped(event)
        if path is None:
            self.desk.say("Drop one folder or file at a time.", "warning")
            return
        self.open(path)

    # ---------------------------------------------------------------- end

    def _ask(self, words: str, answers: tuple[tuple[str, Any], ...]) -> None:
        """A question inside the window, not a modal box."""
        self._answer()
        buttons = [parts.button(w, partial(self._answered, a)) for w, a in answers]
        self._asking = parts.row(QLabel(words), *buttons, parts.button("Stay", self._answer))
        self._asking.setStyleSheet(f"background: {theme.RAISED};")
        self._question.addWidget(self._asking)
        buttons[0].setFocus()

    def _answered(self, action: Any) -> None:
        self._answer()
        action()

    def _answer(self) -> None:
        if self._asking is not None:
            self._asking.deleteLater()
            self._asking = None

    def closeEvent(self, event: QCloseEvent) -> None:
        if self._closing:
            event.accept()
            return
        if self.desk.unsaved and self.desk.state.labels is not None and self._asking is None:
            event.ignore()
            self._ask(
                "The case has changes that are not saved.",
                (("Save", self.save), ("Leave without saving", self._leave)),
            )
            return
        event.accept()
        self._end(keep=self._asking is not None)

    def _leave(self) -> None:
        self._end(keep=False)
        self.close()

    def _end(self, *, keep: bool) -> None:
        """Stop timers, work and VTK; ``keep``: the autosave stays for recovery."""
        if self._closing:
            return
        self._closing = True
        for timer in (*self._timers, self._rest):
            timer.stop()
        if not keep:
            self.planner.files.discard_unsaved()
        self.view3d.close_view()
        self.planner.close()
