"""The step Verify."""

from __future__ import annotations

from irplan_planner.widgets import parts
from irplan_planner.widgets.page import Page


class VerifyPage(Page):
    """Needles as they lie against the plan."""

    def build(self) -> None:
        self.main = parts.button("Open needles...", self._open, primary=True)
        self.add(
            self.main,
            parts.button("Find in a control scan...", self._scan),
            parts.muted("A plan.json, needle table (CSV), Slicer markups or JSON, LPS mm."),
        )
        self._table = parts.fit_width(parts.table(("Needle", "Across", "Depth", "Angle")))
        self._table.setMinimumHeight(90)
        self._on = parts.button("Plan on from these", self.do(self.planner.verify.plan_on))
        self.add(self._table, self._on)
        self._error = parts.number(-0.5, 20, -0.5, "mm", step=0.5, decimals=1)
        self._error.setSpecialValueText("not known")
        self._judge = parts.button("Verify margins", self.do(self._verify))
        self._zone = parts.button("Verify a seen zone...", self._open_zone)
        self._verdict = parts.muted()
        self.add(parts.labelled("Registration error", self._error), self._judge, self._zone,
                 self._verdict)  # fmt: skip

    def _open(self) -> None:
        self.ask_file("Needles as they lie", self.planner.verify.open_needles)

    def _scan(self) -> None:
        self.ask_file("Control scan in the plan's frame", self.planner.verify.find_in_scan,
                      folder=True)  # fmt: skip

    def _verify(self, zone: str | None = None) -> None:
        error = float(self._error.value())
        self.planner.verify.judge(registration_error_mm=None if error < 0 else error, zone=zone)

    def _open_zone(self) -> None:
        self.ask_file("Zone of the control scan, on this CT's grid", self._verify)

    def refresh(self) -> None:
        state = self.planner.state
        self.main.setEnabled(state.plan is not None and not self.desk.read_only)
        self._on.setEnabled(bool(state.achieved))
        self._judge.setEnabled(state.plan is not None and bool(state.achieved))
        self._zone.setEnabled(state.plan is not None)
        lines = [f"{name}: {verdict}. {why}" for name, verdict, why in
                 self.planner.verify.verdicts()]  # fmt: skip
        self._verdict.setText("\n".join(lines))
        found = self.planner.verify.deviations() if state.plan and state.achieved else ()
        parts.fill(
            self._table,
            [
                (f"{d.planned} / {d.achieved}", f"{d.lateral_mm:.1f} mm", f"{d.depth_mm:+.1f} mm",
                 f"{d.angle_deg:.1f}°")
                for d in found
            ],
        )  # fmt: skip
