"""The step Plan."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from PySide6.QtWidgets import QVBoxLayout

from irplan_planner.model.planning import default_options
from irplan_planner.widgets import parts
from irplan_planner.widgets.page import Page


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
