"""The guided steps on the left: status, one line each, and the page of the one that is taken."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from irplan_planner.model.steps import STEPS, StepName, StepView
from irplan_planner.widgets import parts, theme
from irplan_planner.widgets.guide_page import GuidePage
from irplan_planner.widgets.load_page import LoadPage
from irplan_planner.widgets.page import Page
from irplan_planner.widgets.plan_page import PlanPage
from irplan_planner.widgets.report_page import ReportPage
from irplan_planner.widgets.scene import SharedScene
from irplan_planner.widgets.segment_page import SegmentPage
from irplan_planner.widgets.simulate_page import SimulatePage
from irplan_planner.widgets.target_page import TargetPage
from irplan_planner.widgets.verify_page import VerifyPage

_PAGES: dict[StepName, type[Page]] = {
    "load": LoadPage, "segment": SegmentPage, "target": TargetPage, "plan": PlanPage,
    "simulate": SimulatePage, "guide": GuidePage, "verify": VerifyPage, "report": ReportPage,
}  # fmt: skip


class StepsPanel(QWidget):
    """Eight steps, in any order that makes sense; after one is done the next is offered."""

    taken = Signal(str)

    def __init__(self, scene: SharedScene) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.scene = scene
        self.step: StepName = "load"
        layout = QVBoxLayout(self)
        layout.setContentsMargins(5, 5, 5, 5)
        layout.setSpacing(2)
        self.buttons: dict[StepName, QPushButton] = {}
        self._group = QButtonGroup(self)
        for n, name in enumerate(STEPS, start=1):
            b = QPushButton(name.capitalize())
            b.setObjectName("step")
            b.setCheckable(True)
            b.setProperty("action", f"step-{name}")
            b.setToolTip(f"F{n}")
            b.clicked.connect(lambda _=False, s=name: self.take(s))
            self._group.addButton(b)
            self.buttons[name] = b
            layout.addWidget(b)
        self.words = parts.muted()
        layout.addWidget(self.words)
        self.stack = QStackedWidget()
        self.pages: dict[StepName, Page] = {}
        for name in STEPS:
            page = _PAGES[name](scene)
            self.pages[name] = page
            self.stack.addWidget(parts.scrolled(page))
        layout.addWidget(self.stack, 1)
        self._before: dict[StepName, str] = {}
        self._shown: dict[StepName, StepView] = {}
        self.take("load")

    def take(self, step: StepName) -> None:
        """Take a step."""
        self.step = step
        self.buttons[step].setChecked(True)
        self.stack.setCurrentIndex(STEPS.index(step))
        if step == "target" and self.scene.planner.state.target is None:
            self.scene.take("stroke")
        elif self.scene.tool == "stroke" or step not in ("segment", "target"):
            self.scene.take("look")
        self.refresh()
        self.taken.emit(step)

    def press_main(self) -> None:
        """The step's big button."""
        main = self.pages[self.step].main
        if main is not None and main.isEnabled():
            main.click()

    def refresh(self) -> None:
        """After a change of the case."""
        views = self.scene.planner.steps()
        for view in views:
            if view.name == self.step:
                self.words.setText(view.words)
            if self._shown.get(view.name) == view:
                continue
            self._shown[view.name] = view
            colour, mark = theme.STATUS[view.status]
            b = self.buttons[view.name]
            b.setText(f"{mark}  {view.title}")
            b.setStyleSheet(f"color: {colour};")
            b.setAccessibleName(f"{view.title}: {view.status}")
            b.setAccessibleDescription(view.words)
            b.setToolTip(view.words)
        self.pages[self.step].refresh()
        self._advance(views)

    def _advance(self, views: tuple[StepView, ...]) -> None:
        """When the step in hand has just been done, go on to the next that can be done."""
        now = {v.name: v.status for v in views}
        before, self._before = self._before, {v.name: v.status for v in views}
        following: dict[StepName, StepName] = {
            "load": "segment", "segment": "target", "target": "plan", "plan": "simulate",
        }  # fmt: skip
        if not before or before.get(self.step) == "done" or now[self.step] != "done":
            return
        go = following.get(self.step)
        while go in following and now[go] == "done" and go != "simulate":
            go = following[go]
        if go is not None:
            self.take(go)
