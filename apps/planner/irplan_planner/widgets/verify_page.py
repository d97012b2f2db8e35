"""The step Verify."""

from __future__ import annotations

from irplan_planner.widgets import parts
from irplan_planner.widgets.page import Page


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
