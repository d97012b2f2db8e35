"""The guided steps: what each needs, what is missing or stale, what it will do; all derived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from irplan_planner.model.state import CaseState

StepName = Literal["load", "segment", "target", "plan", "simulate", "guide", "verify", "report"]
#: "missing": something it needs is not there; "open": it can be done now; "stale": done, but from
#: parts that have changed; "done".
StepStatus = Literal["missing", "open", "stale", "done"]
STEPS: tuple[StepName, ...] = (
    "load", "segment", "target", "plan", "simulate", "guide", "verify", "report",
)  # fmt: skip


@dataclass(frozen=True)
class StepView:
    """One step as shown: its status in one word and one line of what is so or what it will do."""

    name: StepName
    status: StepStatus
    words: str

    @property
    def title(self) -> str:
        """Its name on the screen."""
        return self.name.capitalize()


def steps(state: CaseState) -> tuple[StepView, ...]:
    """All steps of a case in their order."""
    return tuple(StepView(name, *_OF[name](state)) for name in STEPS)


def _load(s: CaseState) -> tuple[StepStatus, str]:
    if s.volume is None:
        return "open", "Open a CT, a saved case or a sample."
    n = s.volume.grid.shape
    mm = s.volume.grid.spacing_mm
    return "done", f"{s.title or 'CT'}: {n[2]} x {n[1]} x {n[0]}, {mm[0]:.1f} mm slices"


def _segment(s: CaseState) -> tuple[StepStatus, str]:
    if s.volume is None:
        return "missing", "Needs a CT."
    if s.labels is None:
        return "open", "Finds liver, vessels and obstacles (10 s). Then correct by clicks."
    found = [x.name for x in s.labels.labels if x.name != "body"]
    if s.accepted:
        return "done", f"{len(found)} structures looked for, {len(s.accepted)} accepted"
    return "done", f"{len(found)} structures looked for; none accepted yet: look at them"


def _target(s: CaseState) -> tuple[StepStatus, str]:
    if s.volume is None:
        return "missing", "Needs a CT."
    if s.target is None:
        return "open", "Draw a line across the tumour, from edge to edge."
    ml = s.target.volume_ml(s.volume.grid)
    return "done", f"{ml:.1f} ml, {1000 ** (1 / 3) * (6 * ml / 3.14159265) ** (1 / 3):.0f} mm ball"


def _plan(s: CaseState) -> tuple[StepStatus, str]:
    lacking = [
        words
        for words, there in (("a CT", s.volume), ("structures", s.labels), ("a target", s.target))
        if there is None
    ]
    if lacking:
        return "missing", f"Needs {' and '.join(lacking)}."
    if s.plan is None:
        return "open", "Searches paths, places needles, simulates (10 to 50 s)."
    count = len(s.plan.placements)
    what = f"{count} needle{'s' if count > 1 else ''}, {s.plan.review.state}"
    if s.planned_from and s.planned_from != s.planning_from:
        return "stale", f"{what}; image, structures, target or goal changed since"
    return "done", what


def _simulate(s: CaseState) -> tuple[StepStatus, str]:
    if s.plan is None:
        return "missing", "Needs a plan."
    if s.simulation is None:
        return "open", "Simulates the plan in full (1 s)."
    mm = s.simulation.minimal_margin_mm
    if s.simulation.made_from != s.simulated_from:
        return "stale", f"smallest margin was {mm:.1f} mm; the plan changed since"
    if not s.simulation.exact:
        words = s.simulation.provenance(s.plan.placements)
        return "stale", f"smallest margin about {mm:.1f} mm: {words}"
    return "done", f"smallest margin {mm:.1f} mm of {s.plan.margin_goal_mm:g} mm wanted"


def _guide(s: CaseState) -> tuple[StepStatus, str]:
    if s.plan is None:
        return "missing", "Needs a plan."
    return "open", "C-arm views and needle lists for the room."


def _verify(s: CaseState) -> tuple[StepStatus, str]:
    if s.plan is None:
        return "missing", "Needs a plan."
    if not s.achieved:
        return "open", "Compares needles as they lie with the plan."
    return "done", f"{len(s.achieved)} needle{'s' if len(s.achieved) > 1 else ''} as they lie"


def _report(s: CaseState) -> tuple[StepStatus, str]:
    if s.simulation is None or s.simulation.evaluation is None:
        return "missing", "Needs a simulated plan."
    if s.simulation.made_from != s.simulated_from:
        return "missing", "The simulation is stale."
    if not s.simulation.exact:
        return "missing", "Waits for the simulation in full."
    if s.review == "accepted":
        return "done", "accepted"
    if s.report is None:
        return "open", "Writes the draft report."
    if s.report.made_from != s.report_from:
        return "stale", "the plan changed since the draft was made"
    return "done", f"draft shown; plan is {s.review}"


_OF = {
    "load": _load,
    "segment": _segment,
    "target": _target,
    "plan": _plan,
    "simulate": _simulate,
    "guide": _guide,
    "verify": _verify,
    "report": _report,
}
