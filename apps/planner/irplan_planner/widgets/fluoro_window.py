"""The fluoroscopy bench's window: a run beside its filtered twin, sliders, figures of a region."""

from __future__ import annotations

import time
from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from irplan_planner.model.fluoro_bench import STAGES, Choice, FluoroBench, Region
from irplan_planner.widgets import parts, theme
from irplan_planner.widgets.bars import banner
from irplan_planner.widgets.fluoro_view import FluoroView, Layout, NoisePlot
from irplan_planner.widgets.monitor import OnMonitor

#: Sliders wait this long before the run is filtered anew; figures are taken this often, ms.
WAIT_MS, FIGURES_MS = 150, 400
_PRESETS = ("general", "cardiac", "neuro", "peripheral", "abdomen", "needle")
_SCENES = ("abdomen", "cardiac", "neuro", "peripheral", "neuro-dsa", "flat")
_LAYOUTS: tuple[tuple[str, Layout], ...] = (
    ("Side by side", "side"), ("Difference", "difference"), ("All three", "both"),
)  # fmt: skip
#: Rate where the run names none, 1/s.
_USUAL_HZ = 15.0


class FluoroWindow(QMainWindow):
    """For physicists: load or simulate a run, choose stages and strength, look, measure."""

    wake = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("irplan fluoroscopy bench – research use only")
        self.setAcceptDrops(True)
        self.bench = FluoroBench(wake=self.wake.emit)
        self.wake.connect(self._poll, Qt.ConnectionType.QueuedConnection)
        self.view, self.plot = FluoroView(self.bench), NoisePlot(self.bench)
        self.late_frames = 0
        """Frames that playback had to leave out to keep to the run's rate."""
        self._began, self._from = 0.0, 0
        self._build()
        self.monitor = OnMonitor(self, lambda k: self.side.setFixedWidth(round(330 * k)))
        self.bench.listen(self._changed)
        self.view.drawn.connect(self._region)
        self._player = QTimer(self)
        self._player.setTimerType(Qt.TimerType.PreciseTimer)
        self._player.timeout.connect(self._next)
        self._wait = QTimer(self)
        self._wait.setSingleShot(True)
        self._wait.timeout.connect(self._apply)
        self._tick = QTimer(self)
        self._tick.timeout.connect(self._ticked)
        self._tick.start(FIGURES_MS)
        self._shortcuts()
        self._preset("general")

    # ---------------------------------------------------------------- building

    def _build(self) -> None:
        side = QWidget()
        side.setObjectName("panel")
        side.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        column = QVBoxLayout(side)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(5)
        self.open_button = parts.button("Open a run (XA, RF)...", self._open, primary=True)
        self.scene = parts.choice([(s.capitalize(), s) for s in _SCENES])
        self.dose = parts.number(1, 200, 10, "nGy")
        self.seed = parts.number(0, 9999, 0, "")
        self.simulate = parts.button("Simulate", self._simulate, name="simulate")
        self.preset = parts.choice([(p.capitalize(), p) for p in _PRESETS], self._preset)
        self.stages = {s: parts.toggle(s.capitalize(), lambda on: self._later(), on=True)
                       for s in STAGES}  # fmt: skip
        self.show_knob = parts.slider(50, 1000, 365, lambda v: self._later())
        self.smooth = parts.slider(0, 100, 50, lambda v: self._later())
        self.enhance = parts.slider(0, 200, 0, lambda v: self._later())
        for knob, tip in (
            (self.show_knob, "Share of the new frame: small less noise, large less trailing"),
            (self.smooth, "How much of the finest noise the spatial stage takes away"),
            (self.enhance, "Added contrast of detail"),
        ):
            knob.setToolTip(tip)
        self._said = {k: QLabel("") for k in ("show", "smooth", "enhance")}
        for widget in (
            self.open_button,
            parts.labelled("Scene", self.scene), parts.labelled("Dose a frame", self.dose),
            parts.labelled("Seed", self.seed), self.simulate,
            parts.labelled("Preset", self.preset),
            parts.row(self.stages["motion"], self.stages["temporal"], stretch=(1, 1)),
            parts.row(self.stages["spatial"], self.stages["enhance"], stretch=(1, 1)),
            self._said["show"], self.show_knob, self._said["smooth"], self.smooth,
            self._said["enhance"], self.enhance,
        ):  # fmt: skip
            column.addWidget(widget)
        self.table = parts.table(("", "Source", "Filtered"))
        self.table.setAccessibleName("Figures of the region")
        self.table.setMinimumHeight(120)
        column.addWidget(self.table, 1)
        column.addWidget(self.plot, 1)
        side.setFixedWidth(330)
        self.side = side
        self.play = parts.toggle("Play", self._play)
        self.play.setToolTip("Space")
        self.layout_choice = parts.choice(list(_LAYOUTS), self._arrange)
        self.slider = parts.slider(0, 0, 0, self._seek)
        self.slider.setAccessibleName("Frame")
        self.where = QLabel("")
        bar = parts.row(
            self.play, self.slider, self.where, self.layout_choice, stretch=(0, 1, 0, 0)
        )
        self.words = QLabel("Press and drag on the picture: a region for CNR, noise power, d'.")
        self.words.setWordWrap(True)
        self.progress = QProgressBar()
        self.progress.setRange(0, 1000)
        self.progress.setMaximumWidth(220)
        self.progress.setFormat("filtering %p %")
        right = QVBoxLayout()
        right.setContentsMargins(4, 4, 4, 4)
        right.addWidget(self.view, 1)
        right.addWidget(bar)
        right.addWidget(parts.row(self.words, self.progress, stretch=(1, 0)))
        across = QHBoxLayout()
        across.setContentsMargins(0, 0, 0, 0)
        across.addWidget(side)
        across.addLayout(right, 1)
        whole = QVBoxLayout()
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(banner())
        whole.addLayout(across, 1)
        body = QWidget()
        body.setLayout(whole)
        self.setCentralWidget(body)
        self._figures()

    def fit_to_screen(self) -> None:
        """Sizes for the screen the window is on."""
        self.monitor.fit()

    def _shortcuts(self) -> None:
        keys: dict[str, Any] = {
            "Space": self.play.toggle,
            "Left": lambda: self.slider.setValue(self.slider.value() - 1),
            "Right": lambda: self.slider.setValue(self.slider.value() + 1),
            "D": self._next_layout, "Ctrl+O": self._open, "F12": self.monitor.next,
        }  # fmt: skip
        for sequence, action in keys.items():
            QShortcut(QKeySequence(sequence), self).activated.connect(action)

    # ---------------------------------------------------------------- commands

    def open(self, path: str) -> None:
        """A DICOM run."""
        self.bench.attempt(lambda: self.bench.open(path))

    def _open(self) -> None:
        dialog = QFileDialog(self, "DICOM XA or RF run")
        dialog.setOption(QFileDialog.Option.DontUseNativeDialog, True)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.open)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _simulate(self) -> None:
        name, dose, seed = self.scene.currentData(), self.dose.value(), int(self.seed.value())
        self.bench.attempt(lambda: self.bench.simulate(name, dose_ngy=float(dose), seed=seed))

    def _preset(self, name: str) -> None:
        given = Choice.of_preset(name)
        self.show_knob.setValue(round(1000 * given.show))
        self.smooth.setValue(round(100 * given.smooth))
        self.enhance.setValue(round(100 * given.enhance))
        self._later()

    def chosen(self) -> Choice:
        """The filter as the controls say."""
        return Choice(
            self.preset.currentData(), self.show_knob.value() / 1000, self.smooth.value() / 100,
            self.enhance.value() / 100,
            frozenset(s for s, b in self.stages.items() if not b.isChecked()),
        )  # fmt: skip

    def _later(self) -> None:
        now = self.chosen()
        self._said["show"].setText(f"New frame's share  {now.show:.2f}")
        self._said["smooth"].setText(f"Smoothing of fine noise  {now.smooth:.2f}")
        self._said["enhance"].setText(f"Detail added  {now.enhance:.2f}")
        if hasattr(self, "_wait"):
            self._wait.start(WAIT_MS)

    def _apply(self) -> None:
        self.bench.attempt(lambda: self.bench.set_choice(self.chosen()))

    def _region(self, region: Region) -> None:
        self.bench.set_region(region, self.view.frame)

    def _arrange(self, layout: Layout) -> None:
        self.view.panes = layout
        self.view.update()

    def _next_layout(self) -> None:
        self.layout_choice.setCurrentIndex((self.layout_choice.currentIndex() + 1) % 3)
        self._arrange(self.layout_choice.currentData())

    # ---------------------------------------------------------------- playback

    @property
    def rate_hz(self) -> float:
        """Rate at which frames are shown."""
        run = self.bench.run
        return (run.rate_hz if run is not None else None) or _USUAL_HZ

    def _play(self, on: bool) -> None:
        self.play.setText("Pause" if on else "Play")
        if on and self.bench.run is not None:
            self._began, self._from, self.late_frames = time.perf_counter(), self.view.frame, 0
            self._player.start(max(1, round(500.0 / self.rate_hz)))
        else:
            self._player.stop()

    def _next(self) -> None:
        run = self.bench.run
        if run is None:
            return
        due = self._from + int((time.perf_counter() - self._began) * self.rate_hz)
        frame = due % len(run)
        if frame == self.view.frame:
            return
        step = (frame - self.view.frame) % len(run)
        self.late_frames += step - 1
        self._show(frame)

    def _seek(self, frame: int) -> None:
        if frame != self.view.frame:
            self._began, self._from = time.perf_counter(), frame
            self._show(frame)
            if not self.play.isChecked():
                self.bench.measure(frame)

    def _show(self, frame: int) -> None:
        self.view.show_frame(frame)
        self.slider.blockSignals(True)
        self.slider.setValue(frame)
        self.slider.blockSignals(False)
        run = self.bench.run
        if run is not None:
            self.where.setText(f"frame {frame + 1} of {len(run)}, {self.rate_hz:.3g}/s")

    # ---------------------------------------------------------------- what changes

    def _poll(self) -> None:
        self.bench.poll()

    def _changed(self, topic: str) -> None:
        if topic == "run":
            run = self.bench.run
            self.slider.setRange(0, len(run) - 1 if run is not None else 0)
            self.view.new_run()
            self._show(0)
            self.setWindowTitle(
                f"irplan fluoroscopy bench – research use only – {self.bench.title}"
            )
            self.words.setText(self.bench.title)
        elif topic == "filtered":
            self.view.update()
            self._figures()
            self.bench.measure(self.view.frame)
        elif topic == "figures":
            self._figures()
        else:
            m = self.bench.messages[-1]
            colour = {"error": theme.BAD, "warning": theme.WARN, "good": theme.GOOD}.get(
                m.tone, theme.INK
            )
            self.words.setStyleSheet(f"color: {colour};")
            self.words.setText(m.text + (f"  →  {m.remedy}" if m.remedy else ""))
            self.words.setToolTip("\n".join(x.text for x in reversed(self.bench.messages)))

    def _ticked(self) -> None:
        shown = [j for j in self.bench.jobs.active() if not j.quiet]
        self.progress.setVisible(bool(shown))
        if shown:
            self.progress.setFormat(f"{shown[0].title.lower()} %p %")
            self.progress.setValue(round(1000 * shown[0].fraction))
            self.view.update()
        if self.play.isChecked():
            self.bench.measure(self.view.frame)

    def _figures(self) -> None:
        found = self.bench.figures
        speed = f"{self.bench.ms_per_frame:.0f} ms" if self.bench.ms_per_frame else "–"
        if found is None:
            rows = [("CNR", "–", "–"), ("Noise SD", "–", "–"), ("d'", "–", "–")]
        else:
            a, b = found
            rows = [
                ("CNR", _with_interval(a), _with_interval(b)),
                ("Noise SD", f"{a.noise_sd:.1f}", f"{b.noise_sd:.1f}"),
                ("d'", f"{a.d_prime:.1f}", f"{b.d_prime:.1f}"),
            ]
        parts.fill(self.table, [*rows, ("A frame", "", speed)])
        self.plot.update()

    # ---------------------------------------------------------------- files and end

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        parts.take_files(event)

    def dropEvent(self, event: QDropEvent) -> None:
        path = parts.dropped(event)
        if path is None:
            self.bench.say("Drop one run at a time.", "warning")
            return
        self.open(path)

    def closeEvent(self, event: QCloseEvent) -> None:
        for timer in (self._player, self._wait, self._tick):
            timer.stop()
        self.bench.close()
        event.accept()


def _with_interval(one: Any) -> str:
    if one.cnr_low != one.cnr_low:  # fewer than 3 frames
        return f"{one.cnr:.2f}"
    return f"{one.cnr:.2f} ± {one.cnr_high - one.cnr:.2f}"
