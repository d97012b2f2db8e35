"""The step Segment."""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from irplan_planner.widgets import parts
from irplan_planner.widgets.page import Page


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
