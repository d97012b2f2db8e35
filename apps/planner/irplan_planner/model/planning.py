"""Commands on plans: goal, search, alternatives, review, what is worked out beside them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from irplan.compute.progress import Progress
from irplan.errors import InputError
from irplan_planner.model.desk import Desk
from irplan_planner.model.segmenting import CHAIN
from irplan_planner.model.state import CaseState, RankedPlan, Simulation, next_revision

if TYPE_CHECKING:
    from irplan.planning.case import PlannedAblation, PlanOptions
    from irplan.planning.margins import TargetGeometry
    from irplan.planning.review_compare import PlanComparison
    from irplan.planning.review_states import ReviewState

#: Raster and distances of the access map that is shown on the skin, mm (coarse).
ACCESS_RASTER_MM, ACCESS_ENTRY_MM, ACCESS_TARGET_MM = 1.5, 5.0, 6.0
#: Plans asked for: the recommended one and what it can be compared with.
ALTERNATIVES = 3


def default_options() -> PlanOptions:
    """What the planner asks for until the user says otherwise."""
    from irplan.planning.case import PlanOptions

    return PlanOptions(alternatives=ALTERNATIVES)


class Planning:
    """Commands; each change of the plan is one step of undo."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def set_goal(self, options: PlanOptions) -> None:
        """Margin, modality, number of needles and so on for the next search."""
        state = self._desk.state
        revisions = replace(state.revisions, options=next_revision())
        self._desk.push(replace(state, options=options, revisions=revisions), "goal")

    def search(self) -> None:
        """Search paths, place and simulate needles, judge: plan and alternatives (a job)."""
        desk, state = self._desk, self._desk.state
        volume, labels, mask = state.volume, state.labels, state.target_mask()
        if volume is None or labels is None or mask is None or state.target is None:
            raise InputError(
                "plan",
                got="a case without image, structures or target",
                expected="all three",
                remedy="Take the steps Load, Segment and Target first.",
            )
        desk.require_writable()
        options = state.options or default_options()
        source = state.target.words

        def work(progress: Progress) -> Any:
            case, geometry = desk.heavy.call(
                CHAIN + "planned", volume, labels, mask, options=options, source=source,
                progress=progress,
            )  # fmt: skip
            return replace(case, volume=volume, target_mask=mask), geometry

        def done(outcome: Any) -> None:
            case, geometry = outcome
            now = desk.state
            if now.volume is not volume or now.labels is not labels:
                desk.say("Image or structures changed meanwhile: plan again.", "warning")
                return
            new = replace(
                now, planned=case, kept=(), chosen=0, chosen_why="", messages=case.messages,
                planned_from=state.planning_from, options=options,
            )  # fmt: skip
            desk.push(with_alternative(new, case, 0, geometry), "plan")
            first = case.alternatives[0] if case.alternatives else case
            words = f"smallest margin {first.evaluation.minimal_margin_mm:.1f} mm"
            desk.say(f"Plan made: {len(case.plan.placements)} needles, {words}.", "good")

        desk.work("Planning", "work", work, done)

    def choose(self, number: int, why: str) -> None:
        """Take alternative ``number`` (from 0) for the plan; ``why`` is kept with it."""
        state = self._desk.state
        plans = self.alternatives()
        if not 0 <= number < len(plans):
            raise InputError(
                "alternative",
                got=f"number {number + 1}",
                expected="one of the plans in the table",
                remedy="Search for plans first.",
            )
        if not why.strip():
            raise InputError(
                "reason",
                got="nothing",
                expected="why this plan is taken, in a few words",
                remedy="Write it into the field under the table.",
            )
        geometry = None if state.simulation is None else state.simulation.geometry
        if state.planned is not None:
            new = with_alternative(state, state.planned, number, geometry)
        else:  # of an earlier session: simulated again
            revisions = replace(state.revisions, plan=next_revision())
            new = replace(state, plan=plans[number].plan, revisions=revisions, simulation=None)
        self._desk.push(replace(new, chosen=number, chosen_why=why.strip()), "choose plan")

    def compare(self, a: int, b: int) -> PlanComparison:
        """Two alternatives (from 0) side by side."""
        from irplan.planning.review_compare import compare_plans

        plans = self.alternatives()
        first, second = plans[a], plans[b]
        if first.full is None or second.full is None:
            return compare_plans(first.plan, second.plan)
        rows = first.full.evaluation.rows, second.full.evaluation.rows
        return compare_plans(first.plan, second.plan, *rows)

    def alternatives(self) -> tuple[RankedPlan, ...]:
        """The plans found, the recommended one first."""
        return ranked_plans(self._desk.state)

    def review(self, review: ReviewState, who: str, why: str) -> None:
        """Set the plan's review state; an accepted case can only be looked at from then on."""
        from irplan.planning.review import set_review

        desk, state = self._desk, self._desk.state
        if state.plan is None:
            raise InputError("plan", got="none yet", expected="a plan", remedy="Run Plan first.")
        found = state.simulation
        fresh = found is not None and found.exact and found.made_from == state.simulated_from
        if review == "accepted" and not fresh:
            raise InputError(
                "review",
                got="a plan whose simulation is stale or not in full",
                expected="a plan simulated in full",
                remedy="Wait for it, or run Simulate.",
            )
        when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        plan = set_review(state.plan, review, who=who, why=why, when=when)
        desk.push(replace(state, plan=plan), review)
        if review == "accepted":
            desk.read_only = f"a plan accepted by {who}"
            desk.changed("state")

    def new_draft(self, why: str) -> None:
        """A draft again, of the accepted or rejected plan; the old review stays in its history."""
        from irplan.planning.review_states import Change, Review
        from irplan_planner.model.live import USER

        desk, state = self._desk, self._desk.state
        if state.plan is None or state.review == "draft":
            return
        when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        note = Change(when, USER, f"new draft of a plan that was {state.review}", why)
        plan = replace(state.plan, review=Review(), history=(*state.plan.history, note))
        desk.read_only = ""
        desk.push(replace(state, plan=plan), "new draft")

    def access(self) -> None:
        """The access map of the target, for the skin (a background job)."""
        desk, state = self._desk, self._desk.state
        labels, mask = state.labels, state.target_mask()
        if labels is None or mask is None:
            return
        key = state.simulated_from[:3]
        if desk.extras.access is not None and desk.extras.access[0] == key:
            return

        def work(progress: Progress) -> Any:
            from irplan.planning.access_map import access_map

            return access_map(
                labels, mask, raster_mm=ACCESS_RASTER_MM, entry_spacing_mm=ACCESS_ENTRY_MM,
                target_spacing_mm=ACCESS_TARGET_MM, progress=progress,
            )  # fmt: skip

        def done(found: Any) -> None:
            if desk.state.simulated_from[:3] == key:
                desk.add_extra(access=(key, found))

        desk.work("Access map", "background", work, done, latest=True)

    def coverage(self, uncertainty: str = "ct-laser", *, by_itself: bool = False) -> None:
        """Probability of coverage when needles miss (a background job).

        ``by_itself``: nobody asked; heat and electroporation, which take a minute, are left then.
        """
        desk, state = self._desk, self._desk.state
        plan, labels, found = state.plan, state.labels, state.simulation
        if plan is None or labels is None or found is None or found.geometry is None:
            return
        if not found.exact or (by_itself and plan.placements[0].applicator.kind != "cryo"):
            return
        key, geometry = state.simulated_from, found.geometry
        if desk.extras.coverage is not None and desk.extras.coverage[0] == key:
            return

        def work(progress: Progress) -> Any:
            from irplan.planning.robustness import coverage_probability
            from irplan.planning.robustness_uncertainty import preset

            return coverage_probability(
                plan, labels, geometry, preset(uncertainty),
                result=found.result, progress=progress,
            )  # fmt: skip

        def done(outcome: Any) -> None:
            if desk.state.simulated_from == key:
                desk.add_extra(coverage=(key, outcome))

        desk.work("Probability of coverage", "background", work, done, latest=True)

    def time_course(self) -> None:
        """Temperature through the schedule, to be scrubbed (a job; cold only)."""
        desk, state = self._desk, self._desk.state
        found = state.simulation
        problem = getattr(found.result, "problem", None) if found is not None else None
        if problem is None:
            raise InputError(
                "time course",
                got="no simulated freeze",
                expected="a simulated cryoablation",
                remedy="Simulate the plan first; heat keeps no time course yet.",
            )
        key = state.simulated_from

        def work(progress: Progress) -> Any:
            from irplan.ablation import simulate_cryo

            return simulate_cryo(problem, history=True, progress=progress).history

        def done(history: Any) -> None:
            if desk.state.simulated_from == key and history is not None:
                desk.add_extra(time_course=(key, history))

        desk.work("Time course", "work", work, done)


def ranked_plans(state: CaseState) -> tuple[RankedPlan, ...]:
    """The alternatives of a case: of its search, or as they were saved."""
    if state.planned is None:
        return state.kept
    return tuple(
        RankedPlan(
            one.plan, one.names, one.evaluation.minimal_margin_mm, one.evaluation.margin_coverage,
            one.healthy_ml, one.risk, one,
        )
        for one in state.planned.alternatives
    )  # fmt: skip


def with_alternative(
    state: CaseState, case: PlannedAblation, number: int, geometry: TargetGeometry | None
) -> CaseState:
    """The state with an alternative's plan and simulation."""
    from irplan.planning.modality import lethal_field

    one = case.alternatives[number]
    revisions = replace(state.revisions, plan=next_revision())
    new = replace(state, plan=one.plan, revisions=revisions)
    field, level, _ = lethal_field(one.result, one.plan.lethal, one.plan.placements)
    e = one.evaluation
    zone_ml = float(np.count_nonzero(field.array <= level)) * field.grid.voxel_volume_mm3 / 1000.0
    simulation = Simulation(
        one.result, e.margin.points_mm, e.margin.margin_mm, e.minimal_margin_mm,
        e.target_coverage, e.margin_coverage, zone_ml, "full", one.plan.placements,
        new.simulated_from,
        geometry, e, one.paths,
    )  # fmt: skip
    return replace(new, simulation=simulation)
