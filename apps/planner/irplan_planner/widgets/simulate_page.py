"""The step Simulate: times, the full simulation, through time, how sure coverage is."""

from __future__ import annotations

from typing import Any

from irplan_planner.widgets import parts
from irplan_planner.widgets.page import Page


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


def coverage_words(planner: Any) -> str:
    """The probability of coverage in words, or what hinders it."""
    state, extra = planner.state, planner.desk.extras.coverage
    if state.plan is None or planner.desk.placements != state.plan.placements:
        return ""  # of where the needle was
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
