"""The step Guide: what the room needs of each needle."""

from __future__ import annotations

from pathlib import Path

from irplan_planner.widgets import parts
from irplan_planner.widgets.page import Page


class GuidePage(Page):
    """C-arm views of each needle, and the needles as files."""

    def build(self) -> None:
        self.main = parts.button("C-arm views", self.do(self.planner.guide.views), primary=True)
        self.add(self.main)
        self._table = parts.fit_width(parts.table(("Needle", "View", "LAO +", "CRA +")))
        self._table.setMinimumHeight(150)
        self._words = parts.muted()
        self.add(
            self._table, self._words,
            parts.button("Needles as files...", self._export,
                         tip="3D Slicer markups (.mrk.json) and a table (.csv), LPS mm"),
        )  # fmt: skip

    def _export(self) -> None:
        def write(folder: Path) -> None:
            self.planner.guide.write_needles(folder)

        self.ask_new_folder("New folder for the needles", write)

    def refresh(self) -> None:
        state = self.planner.state
        self.main.setEnabled(state.plan is not None)
        rows, words = self.planner.guide.shown()
        parts.fill(self._table, rows)
        self._table.setMinimumHeight(14 * self._table.fontMetrics().height())
        self._words.setText(words)
