"""The pages of the guided steps: each a line of words, one big button, and few settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QLabel, QLineEdit, QVBoxLayout, QWidget

from irplan_planner.model import case_folder
from irplan_planner.model.opening import SAMPLES
from irplan_planner.model.planning import default_options
from irplan_planner.widgets import parts
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


class LoadPage(Page):
    """Open a CT, a case, a sample; recent cases; recovery."""

    def build(self) -> None:
        self.main = parts.button("Open CT folder or case...", self._folder, primary=True)
        self.add(self.main, parts.button("Open NIfTI or DICOM file...", self._file))
        self.add(QLabel("Samples (generated, no patient)"))
        for name, sample in SAMPLES.items():
            self.add(
                parts.button(
                    sample.title, self.do(partial(self.planner.files.sample, name)),
                    name=f"sample-{name}",
                )
            )  # fmt: skip
        self._recent = QVBoxLayout()
        self._recent.setSpacing(4)
        self.column.addLayout(self._recent)
        self.add(parts.muted("Or drop a folder or file on the window."))
        self.refresh()

    def refresh(self) -> None:
        parts.clear(self._recent)
        for path in case_folder.unsaved_cases()[:3]:
            words = "Recover a case that was not saved"
            self._recent.addWidget(
                parts.button(words, self.do(partial(self.planner.files.recover, path)))
            )
        recent = case_folder.recent_cases()[:5]
        if recent:
            self._recent.addWidget(QLabel("Recent"))
        for path in recent:
            self._recent.addWidget(
                parts.button(
                    path.name, self.do(partial(self.planner.files.open, path)), tip=str(path)
                )
            )

    def _folder(self) -> None:
        self.ask_file("CT folder or saved case", self.planner.files.open, folder=True)

    def _file(self) -> None:
        self.ask_file("NIfTI or DICOM file", self.planner.files.open)


class SegmentPage(Page):
    """Find structures, correct them by clicks and brush, accept each."""

    def build(self) -> None:
        self.main = parts.button(
            "Find structures", self.do(self.planner.segment.automatic), name="segment",
            primary=True,
        )  # fmt: skip
        self.add(self.main)
        self._tools = {
            "liver+": parts.toggle("Liver: add", lambda on: self._take("liver+", on)),
            "liver-": parts.toggle("Liver: remove", lambda on: self._take("liver-", on)),
            "brush": parts.toggle("Brush", lambda on: self._take("brush", on)),
            "erase": parts.toggle("Eraser", lambda on: self._take("erase", on)),
        }
        self.add(
            parts.row(self._tools["liver+"], self._tools["liver-"], stretch=(1, 1)),
            parts.row(self._tools["brush"], self._tools["erase"], stretch=(1, 1)),
        )
        self._size = parts.number(1, 30, 6, "mm")
        self._size.valueChanged.connect(self._set_size)
        names = ("liver", "vessel", "gallbladder", "bowel", "stomach", "bone", "kidney_right",
                 "kidney_left", "gas", "lung", "target")  # fmt: skip
        self._what = parts.choice(
            [(n.replace("_", " ").capitalize(), n) for n in names], self._set_paint
        )
        self.add(
            parts.labelled("Brush radius", self._size), parts.labelled("Brush paints", self._what)
        )
        self._list = QVBoxLayout()
        self._list.setSpacing(2)
        self.column.addLayout(self._list)
        self._shown: Any = None
        self.scene.tool_changed.connect(self._show_tool)

    def _take(self, tool: Any, on: bool) -> None:
        if on:
            self.scene.take(tool)
        elif self.scene.tool == tool:
            self.scene.take("look")

    def _show_tool(self, tool: str) -> None:
        for name, button in self._tools.items():
            button.setChecked(name == tool)

    def _set_size(self, value: float) -> None:
        self.scene.brush_mm = float(value)

    def _set_paint(self, name: str) -> None:
        self.scene.paint = name

    def refresh(self) -> None:
        state = self.planner.state
        self.main.setEnabled(state.volume is not None and not self.desk.read_only)
        for name, tool in self._tools.items():
            there = state.labels is not None
            if name.startswith("liver"):
                there = state.labels is not None and state.labels.checked("liver")
            tool.setEnabled(there and not self.desk.read_only)
        key = (
            None if state.labels is None else state.labels.labels,
            state.accepted, self.scene.look.hidden, self.desk.read_only,
        )  # fmt: skip
        if key == self._shown:
            return
        self._shown = key
        parts.clear(self._list)
        if state.labels is None:
            return
        self._list.addWidget(parts.muted("Seen / name / accepted by you"))
        for label in state.labels.labels:
            if label.name in ("body", "fat", "muscle"):
                continue
            self._list.addWidget(self._structure(label))

    def _structure(self, label: Any) -> QWidget:
        state = self.planner.state
        eye = parts.toggle("●", partial(self._show_structure, label.name),
                           on=label.name not in self.scene.look.hidden)  # fmt: skip
        eye.setStyleSheet(f"color: rgb{label.colour}; max-width: 26px; padding: 1px;")
        eye.setToolTip("Show or hide on slices")
        eye.setAccessibleName(f"Show {label.name}")
        name = QLabel(label.name.replace("_", " ").capitalize())
        accepted = label.name in state.accepted
        accept = parts.toggle(
            "Accepted" if accepted else "Accept",
            partial(self._accept, label.name),
            on=accepted,
        )  # fmt: skip
        accept.setAccessibleName(f"Accept {label.name}")
        accept.setEnabled(not self.desk.read_only)
        return parts.row(eye, name, accept, stretch=(0, 1, 0))

    def _show_structure(self, name: str, on: bool) -> None:
        hidden = self.scene.look.hidden
        self.scene.set_look(hidden=hidden - {name} if on else hidden | {name})

    def _accept(self, name: str, on: bool) -> None:
        self.desk.attempt(lambda: self.planner.segment.accept(name, on))


class TargetPage(Page):
    """Draw a line across the tumour; or a mask; or the brush."""

    def build(self) -> None:
        self.main = parts.toggle("Draw across the tumour", self._take)
        self.main.setObjectName("primary")
        edge = parts.choice(
            [("Visible edge", "visible"), ("Outer edge (+2 mm)", "outer")], self._edge
        )
        self.add(
            self.main,
            parts.muted("Scroll to where the tumour is widest. Press, draw from edge to edge, "
                        "let go."),
            parts.labelled("Edge", edge),
            parts.button("Open a mask...", self._mask),
            parts.button("Touch up with the brush", self._brush),
        )  # fmt: skip
        self._words = parts.muted()
        self.add(self._words)
        self.scene.tool_changed.connect(lambda tool: self.main.setChecked(tool == "stroke"))

    def _take(self, on: bool) -> None:
        if on:
            self.scene.take("stroke")
        elif self.scene.tool == "stroke":
            self.scene.take("look")

    def _edge(self, edge: str) -> None:
        self.scene.tumour_edge = edge

    def _brush(self) -> None:
        self.scene.paint = "target"
        self.scene.take("brush")

    def _mask(self) -> None:
        self.ask_file("Mask on this CT's grid", self.planner.segment.open_target)

    def refresh(self) -> None:
        state = self.planner.state
        self.main.setEnabled(state.volume is not None and not self.desk.read_only)
        words = ""
        if state.target is not None and state.volume is not None:
            words = f"Target: {state.target.volume_ml(state.grid):.1f} ml ({state.target.words})."
        self._words.setText(words)


class PlanPage(Page):
    """What is wanted, the search, the needles."""

    def build(self) -> None:
        self.main = parts.button("Plan", self.do(self._search), name="plan", primary=True)
        self._kind = parts.choice(
            [("Cryoablation", "cryo"), ("Microwave", "mwa"), ("Radiofrequency", "rfa"),
             ("Electroporation", "ire")]
        )  # fmt: skip
        self._margin = parts.number(0, 30, 5, "mm")
        self._count = parts.choice([("Fewest", None), *((str(n), n) for n in range(1, 7))])
        self.add(
            self.main,
            parts.labelled("By", self._kind),
            parts.labelled("Margin", self._margin),
            parts.labelled("Needles", self._count),
        )
        self._list = QVBoxLayout()
        self._list.setSpacing(3)
        self.column.addLayout(self._list)
        self._words = parts.muted("Drag tip, entry or shaft of a needle in any view.")
        self.add(self._words)
        self._shown: Any = None

    def _search(self) -> None:
        options = self.planner.state.options or default_options()
        wanted = replace(
            options, modality=self._kind.currentData(), margin_mm=float(self._margin.value()),
            probes=self._count.currentData(), applicator="auto",
        )  # fmt: skip
        if wanted != self.planner.state.options:
            self.planner.plans.set_goal(wanted)
        self.planner.plans.search()

    def refresh(self) -> None:
        state = self.planner.state
        ready = state.labels is not None and state.target is not None
        self.main.setEnabled(ready and not self.desk.read_only)
        key = (self.desk.placements, self.scene.needle, self.desk.read_only)
        self._words.setVisible(state.plan is not None)
        if key == self._shown:
            return
        self._shown = key
        parts.clear(self._list)
        for n, p in enumerate(self.desk.placements, start=1):
            pick = parts.toggle(
                f"{n}  {p.applicator.name}  {p.needle.depth_mm:.0f} mm",
                partial(self._pick, n), on=n == self.scene.needle,
            )  # fmt: skip
            copy = parts.button("+", self.do(partial(self.planner.edit.copy, n)),
                                tip="One more needle beside this one")  # fmt: skip
            drop = parts.button("×", self.do(partial(self.planner.edit.remove, n)),
                                tip="Remove this needle")  # fmt: skip
            for b, words in ((copy, "Add beside"), (drop, "Remove")):
                b.setAccessibleName(f"{words} needle {n}")
                b.setStyleSheet("max-width: 26px;")
                b.setEnabled(not self.desk.read_only)
            self._list.addWidget(parts.row(pick, copy, drop, stretch=(1, 0, 0)))

    def _pick(self, number: int, _: bool = True) -> None:
        self.scene.needle = number
        placements = self.desk.placements
        if 1 <= number <= len(placements):
            self.scene.go(placements[number - 1].needle.tip_mm)
        self.refresh()


class SimulatePage(Page):
    """Times, the full simulation, the scrubber."""

    def build(self) -> None:
        self.main = parts.button("Simulate", self.do(self._simulate), primary=True)
        self._times = [parts.number(1, 60, m, "min", decimals=1) for m in (10, 8, 10)]
        names = ("Freeze", "Thaw", "Freeze")
        self.add(self.main)
        self.add(*(parts.labelled(n, t) for n, t in zip(names, self._times, strict=True)))
        self.add(parts.button("Through time", self.do(self.planner.plans.time_course),
                              tip="Simulate with all moments, to scrub through"))  # fmt: skip
        self._scrub = parts.slider(0, 1000, 1000, self._moment)
        self._when = parts.muted()
        self.add(self._scrub, self._when)
        self.add(parts.button("How sure is coverage?", self.do(self.planner.plans.coverage)))
        self._sure = parts.muted()
        self.add(self._sure)
        self._schedule: Any = None

    def _wanted(self) -> Any:
        from irplan.ablation.schedule import Schedule

        return Schedule.freeze_thaw_freeze(*(float(t.value()) for t in self._times))

    def _simulate(self) -> None:
        plan = self.planner.state.plan
        cold = plan is not None and plan.placements[0].applicator.kind == "cryo"
        if cold and plan is not None and self._wanted() != plan.schedule:
            self.planner.edit.change_schedule(self._wanted())
        else:
            self.planner.simulate()

    def _moment(self, value: int) -> None:
        extra = self.desk.extras.time_course
        if extra is None or extra[0] != self.planner.state.simulated_from:
            self.scene.time_s = None
            return
        times = extra[1].times_s
        if value >= 1000:
            self.scene.time_s = None
            self._when.setText("End of the last freeze.")
        else:
            self.scene.time_s = float(times[0] + (times[-1] - times[0]) * value / 1000.0)
            minutes = self.scene.time_s / 60.0
            self._when.setText(f"{minutes:.1f} min of {times[-1] / 60:.0f} min")
        self.scene.changed.emit()

    def refresh(self) -> None:
        state = self.planner.state
        plan = state.plan
        self.main.setEnabled(plan is not None and not self.desk.read_only)
        cold = plan is not None and plan.placements[0].applicator.kind == "cryo"
        for t in self._times:
            t.setEnabled(cold)
        if plan is not None and plan.schedule is not self._schedule and cold:
            self._schedule = plan.schedule
            phases = plan.schedule.phases
            if [p.kind for p in phases] == ["freeze", "passive_thaw", "freeze"]:
                for t, p in zip(self._times, phases, strict=True):
                    t.setValue(p.duration_s / 60.0)
        extra = self.desk.extras.time_course
        ready = extra is not None and extra[0] == state.simulated_from
        self._scrub.setEnabled(ready)
        if not ready:
            self.scene.time_s = None
            self._when.setText("")
        self._sure.setText(coverage_words(self.planner))


class VerifyPage(Page):
    """Needles as they lie against the plan."""

    def build(self) -> None:
        self.main = parts.button("Open needles as they lie...", self._open, primary=True)
        self.add(
            self.main,
            parts.muted("A plan.json, needle table (CSV), Slicer markups or JSON, LPS mm."),
        )
        self._table = parts.table(("Needle", "Across", "Depth", "Angle"))
        self._table.setMinimumHeight(130)
        self._on = parts.button("Plan on from these", self.do(self.planner.verify.plan_on))
        self.add(self._table, self._on)
        self.add(parts.muted("A zone of a control scan: irplan evaluate CASE --zone MASK"))

    def _open(self) -> None:
        self.ask_file("Needles as they lie", self.planner.verify.open_needles)

    def refresh(self) -> None:
        state = self.planner.state
        self.main.setEnabled(state.plan is not None and not self.desk.read_only)
        self._on.setEnabled(bool(state.achieved))
        found = self.planner.verify.deviations() if state.plan and state.achieved else ()
        parts.fill(
            self._table,
            [
                (f"{d.planned} / {d.achieved}", f"{d.lateral_mm:.1f} mm", f"{d.depth_mm:+.1f} mm",
                 f"{d.angle_deg:.1f}°")
                for d in found
            ],
        )  # fmt: skip


class ReportPage(Page):
    """The draft, the reader's note, review, export."""

    def build(self) -> None:
        self.main = parts.button(
            "Write draft report", self.do(self.planner.reports.draft), name="draft", primary=True
        )
        self.add(self.main)
        self._note = QLineEdit()
        self._note.setPlaceholderText("Your note in the report")
        self._note.setAccessibleName("Note in the report")
        self._note.editingFinished.connect(self._take_note)
        self._who, self._why = QLineEdit(), QLineEdit()
        self._who.setPlaceholderText("Your name")
        self._why.setPlaceholderText("Reason")
        for field, words in ((self._who, "Your name"), (self._why, "Reason")):
            field.setAccessibleName(words)
        self._reviewed = parts.button("Reviewed", self.do(lambda: self._review("reviewed")))
        self._accepted = parts.button("Accept", self.do(lambda: self._review("accepted")))
        self._rejected = parts.button("Reject", self.do(lambda: self._review("rejected")))
        self._again = parts.button("New draft of it", self.do(self._new_draft))
        self.add(
            self._note, self._who, self._why,
            parts.row(self._reviewed, self._accepted, self._rejected, stretch=(1, 1, 1)),
            self._again,
            parts.button("Export folder...", self._export,
                         tip="Plan, zones, figures and report, as irplan plan writes them"),
        )  # fmt: skip
        self._words = parts.muted()
        self.add(self._words)

    def _take_note(self) -> None:
        text = self._note.text().strip()
        if text != self.planner.state.report_note and not self.desk.read_only:
            self.desk.attempt(lambda: self.planner.reports.note(text))

    def _review(self, review: Any) -> None:
        self.planner.plans.review(review, self._who.text(), self._why.text())
        if self.planner.state.report is not None and not self.desk.read_only:
            self.planner.reports.draft()

    def _new_draft(self) -> None:
        self.planner.plans.new_draft(self._why.text() or "to be changed")

    def _export(self) -> None:
        self.ask_new_folder("New folder for the results", self.planner.reports.export)

    def refresh(self) -> None:
        state = self.planner.state
        judged = state.simulation is not None and state.simulation.evaluation is not None
        self.main.setEnabled(judged and not self.desk.read_only)
        review = state.review
        self._reviewed.setEnabled(judged and review == "draft")
        self._accepted.setEnabled(judged and review == "reviewed")
        self._rejected.setEnabled(state.plan is not None and review != "rejected")
        self._again.setVisible(review != "draft")
        if not self._note.hasFocus():
            self._note.setText(state.report_note)
        self._words.setText("" if state.plan is None else f"This plan is: {review}.")


def coverage_words(planner: Any) -> str:
    """The probability of coverage in words, or what hinders it."""
    state, extra = planner.state, planner.desk.extras.coverage
    if state.plan is None:
        return ""
    if state.plan.placements[0].applicator.kind != "cryo":
        return "Probability of coverage: computed for cold alone."
    running = any(j.title == "Probability of coverage" for j in planner.desk.jobs.active())
    if extra is None or extra[0] != state.simulated_from:
        return "Probability of coverage: being worked out." if running else ""
    found = extra[1]
    low, high = found.interval
    return (
        f"Covered with margin in {100 * found.probability:.0f} % of placements "
        f"({100 * low:.0f} to {100 * high:.0f} %; target alone "
        f"{100 * found.target_only.value:.0f} %), CT with laser, fast mode."
    )
