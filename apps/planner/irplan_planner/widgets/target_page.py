"""The step Target."""

from __future__ import annotations

from irplan_planner.widgets import parts
from irplan_planner.widgets.page import Page


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
