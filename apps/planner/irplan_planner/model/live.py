"""Needles being dragged: the zone carried along at once, computed while they rest, rows after.

Three pictures follow each other: the plan's solution carried along (`PlanEditor.carried`, some ten
ms), the two-level solution (`PlanEditor.edited`) once the needle stays where it is for a moment,
and the simulation in full when it rests longer or is let go.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from irplan.ablation.placement import Placement
from irplan.ablation.schedule import Schedule
from irplan.compute.progress import Progress, portion
from irplan.errors import InputError, IrplanError
from irplan.image import LabelMap
from irplan_planner.model.desk import Desk, Live
from irplan_planner.model.handles import Part, dragged
from irplan_planner.model.state import CaseState, Simulation, next_revision

if TYPE_CHECKING:
    from irplan.ablation import AblationResult
    from irplan.planning.clearance import ClearanceMeter
    from irplan.planning.evaluation import Row
    from irplan.planning.margins import TargetGeometry
    from irplan.planning.obstacles import ObstacleRaster
    from irplan.planning.plan import AblationPlan
    from irplan.planning.replan import Edited, PlanEditor

#: Whoever sits at the planner, in the plan's history.
USER = "planner user"
#: A needle in hand stays this long before its zone is computed, and before it is in full, s.
STAY_S, REST_S = 0.05, 0.35
_REFINING, _RESTING = "Refining", "Simulating in hand"


@dataclass(eq=False)
class Bench:
    """What edits of one plan on one target need; made once, used by the edit lane alone."""

    made_from: tuple[int, ...]
    labels: LabelMap
    target: TargetGeometry
    editor: PlanEditor
    kind: tuple[str, Schedule]
    raster: ObstacleRaster | None = None
    meter: ClearanceMeter | None = None


class Editing:
    """Commands on needles and schedule."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._bench: Bench | None = None
        self._guard = threading.Lock()
        self.last_edit_s = 0.0
        """How long the last drag took to its first zone and margins (carried along), s."""
        self.last_refined_s = 0.0
        """How long it took to the computed zone; the needle stayed `STAY_S` of it, s."""
        self.last_full_s = 0.0

    def prepare(self) -> None:
        """Make what a drag needs, before the first one (quietly, in the edit lane)."""
        state = self._desk.state
        if state.plan is not None and state.labels is not None and state.target is not None:
            self._desk.work(
                "Preparing edits", "edit", lambda p: self._bench_of(state, p) and None,
                lambda _: None, latest=True, quiet=True,
            )  # fmt: skip

    def drag(self, number: int, part: Part, by_mm: ArrayLike) -> None:
        """Move a part of needle ``number`` (from 1) by an LPS vector from its place in the plan."""
        desk = self._desk
        plan = self._plan()
        desk.require_writable()
        if not 1 <= number <= len(plan.placements):
            raise InputError(
                "needle",
                got=f"number {number}",
                expected=f"1 to {len(plan.placements)}",
                remedy="Needles are counted from 1.",
            )
        old = plan.placements[number - 1]
        new = replace(dragged(old, part, by_mm, desk.state.labels), status="planned")
        self.show((*plan.placements[: number - 1], new, *plan.placements[number:]))

    def show(self, placements: tuple[Placement, ...]) -> None:
        """Show these placements at once and their coarse zone as soon as it is there."""
        desk, state = self._desk, self._desk.state
        before = desk.live.simulation if desk.live is not None else None
        if before is not None and before.exact:
            before = replace(before, exact=False)  # of where the needle was
        desk.jobs.cancel_all("background")
        self._stop_refining()
        desk.live = Live(placements, before)
        desk.changed("live")
        asked = time.perf_counter()

        def carry(progress: Progress) -> Simulation | None:
            bench = self._known_bench(state)
            found = None if bench is None else bench.editor.carried(placements)
            return None if found is None else self._simulated(bench, found, state)  # type: ignore[arg-type]

        def carried(found: Simulation | None) -> None:
            now = desk.live
            if now is None or desk.state is not state:
                return
            if found is not None:
                self.last_edit_s = time.perf_counter() - asked
                desk.live = Live(now.placements, found)
                desk.changed("live")
            if now.placements is placements:  # not moved on meanwhile
                desk.work(_REFINING, "edit", refine, computed, latest=True, quiet=True)

        def refine(progress: Progress) -> Simulation:
            bench = self._bench_of(state, progress)
            _stay(STAY_S, progress)
            return self._simulated(bench, bench.editor.edited(placements), state)

        def rest(progress: Progress) -> Simulation:
            bench = self._bench_of(state, progress)
            _stay(REST_S, progress)
            return self._simulated(bench, _settled(bench.editor, placements, progress), state)

        def computed(found: Simulation) -> None:
            if desk.live is None or desk.live.placements is not placements:
                return
            if not found.exact:
                self.last_refined_s = time.perf_counter() - asked
                desk.work(_RESTING, "edit", rest, computed, latest=True, quiet=True)
            desk.live = Live(placements, found, placements)
            desk.changed("live")

        desk.work("Previewing", "preview", carry, carried, latest=True, quiet=True)

    def _stop_refining(self, *titles: str) -> None:
        for job in self._desk.jobs.active():
            if job.title in (titles or (_REFINING, _RESTING)):
                job.cancel()

    def drop(self) -> None:
        """The drag ends: its needles become the plan (one step of undo), simulated in full.

        What is being simulated in full already, since they rested, goes on.
        """
        desk = self._desk
        live, plan = desk.live, self._plan()
        self._stop_refining(_REFINING)
        if live is None:
            return
        if live.placements == plan.placements:
            desk.live = None
            desk.changed("live")
            return
        self._replace_plan(plan, "needle moved", live.simulation, placements=live.placements)
        self.settle()

    def cancel(self) -> None:
        """The drag is called off: the needles go back."""
        self._stop_refining()
        self._desk.live = None
        self._desk.changed("live")

    def add(self, placement: Placement) -> None:
        """One needle more."""
        plan = self._plan()
        self._replace_plan(plan, "needle added", None, placements=(*plan.placements, placement))
        self.settle()

    def copy(self, number: int, offset_mm: float = 12.0) -> None:
        """A needle beside needle ``number`` (from 1), ``offset_mm`` towards the patient's head."""
        old = self._plan().placements[number - 1]
        shift = np.array([0.0, 0.0, offset_mm])
        self.add(dragged(old, "shaft", shift, self._desk.state.labels))

    def remove(self, number: int) -> None:
        """Without needle ``number`` (from 1); the last one stays."""
        plan = self._plan()
        if len(plan.placements) == 1:
            raise InputError(
                "needle",
                got="the only needle",
                expected="a plan of at least one",
                remedy="Move it instead.",
            )
        rest = plan.placements[: number - 1] + plan.placements[number:]
        self._replace_plan(plan, "needle removed", None, placements=rest)
        self.settle()

    def change_schedule(self, schedule: Schedule) -> None:
        """Other times (or power) for all needles."""
        self._replace_plan(self._plan(), "schedule", None, schedule=schedule)
        self.settle()

    def settle(self) -> None:
        """Simulate the plan in full; the rows of the verdict follow (jobs)."""
        desk, state = self._desk, self._desk.state
        plan = self._plan()
        asked = time.perf_counter()

        def work(progress: Progress) -> Any:
            bench = self._bench_of(state, progress)
            now = _settled(bench.editor, plan.placements, progress)
            return self._simulated(bench, now, state)

        def done(found: Simulation) -> None:
            self.last_full_s = time.perf_counter() - asked
            now = desk.state
            if now.simulated_from != found.made_from:
                return
            desk.live = None
            desk.amend(replace(now, simulation=found))
            self.judge()

        desk.work("Simulating", "edit", work, done, latest=True)

    def judge(self) -> None:
        """Work out the rows of the verdict for the simulation that is there (a job)."""
        desk, state = self._desk, self._desk.state
        plan, found = self._plan(), state.simulation
        if found is None or state.labels is None:
            return
        mask = state.target_mask()

        def work(progress: Progress) -> Any:
            from irplan.planning.evaluate import evaluate_plan
            from irplan.planning.trajectories import describe_needles

            bench = self._bench_of(state, progress)
            raster, meter = self._raster_of(bench, state)
            paths = describe_needles(raster, meter, [p.needle for p in plan.placements])
            assert mask is not None
            verdict = evaluate_plan(
                plan, found.result, bench.labels, mask, paths=paths, target=bench.target
            )
            return verdict, paths

        def done(outcome: Any) -> None:
            now = desk.state
            if now.simulation is found:
                evaluation, paths = outcome
                whole = replace(found, evaluation=evaluation, paths=tuple(paths))
                desk.amend(replace(now, simulation=whole))

        desk.work("Judging", "edit", work, done, latest=True, quiet=True)

    def live_rows(self, simulation: Simulation) -> tuple[Row, ...]:
        """Margin and coverage of a preview as rows, before the whole verdict is worked out."""
        from irplan.planning.evaluation import Row

        goal = self._plan().margin_goal_mm
        margin, target = simulation.minimal_margin_mm, 100.0 * simulation.target_share
        share = 100.0 * simulation.margin_share
        note = "" if simulation.exact else "preview"
        return (
            Row(
                "minimal ablative margin", margin, "mm", f">= {goal:g} mm",
                "ok" if margin >= goal else "warning" if margin >= 0 else "error", note,
            ),
            Row(
                "target in the lethal zone", target, "%", "100 %",
                "ok" if target >= 99.95 else "error", note,
            ),
            Row(
                f"target + {goal:g} mm in the lethal zone", share, "%", ">= 99 %",
                "ok" if share >= 99.0 else "warning", note,
            ),
        )  # fmt: skip

    def close(self) -> None:
        """Let go of what edits need."""
        with self._guard:
            self._bench = None

    def _plan(self) -> AblationPlan:
        plan = self._desk.state.plan
        if plan is None:
            raise InputError("plan", got="none yet", expected="a plan", remedy="Run Plan first.")
        return plan

    def _replace_plan(
        self, plan: AblationPlan, words: str, preview: Simulation | None, **parts: Any
    ) -> None:
        from irplan.planning.review import edit_plan

        state = self._desk.state
        when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        new = edit_plan(plan, who=USER, why=f"{words} in the planner", when=when, **parts)
        revisions = replace(state.revisions, plan=next_revision())
        fresh = replace(state, plan=new, revisions=revisions)
        if preview is not None:
            preview = replace(preview, made_from=fresh.simulated_from)
        self._desk.push(replace(fresh, simulation=preview), words)

    def _known_bench(self, state: CaseState) -> Bench | None:
        """The bench of this state, where it has been made."""
        plan = state.plan
        with self._guard:
            known = self._bench
        if known is None or plan is None or known.made_from != state.simulated_from[:3]:
            return None
        return known if known.kind == (plan.placements[0].applicator.kind, plan.schedule) else None

    def _bench_of(self, state: CaseState, progress: Progress) -> Bench:
        """The bench for this state's image, labels, target and kind of plan (edit lane only)."""
        from irplan.ablation import AblationProblem, simulate_cryo
        from irplan.planning.case import paint_target
        from irplan.planning.margins import TargetGeometry
        from irplan.planning.obstacles import target_organ
        from irplan.planning.replan import PlanEditor

        plan, labels, mask = state.plan, state.labels, state.target_mask()
        assert plan is not None
        assert labels is not None
        assert mask is not None
        made_from = (*state.simulated_from[:3],)
        kind = (plan.placements[0].applicator.kind, plan.schedule)
        fitting = self._known_bench(state)
        if fitting is not None:
            return fitting
        known = self._bench
        same_place = known is not None and known.made_from == made_from
        progress(0.02, "looking at the target")
        organ = target_organ(labels, mask)
        painted = paint_target(labels, mask, organ)
        if same_place and known is not None:
            target = known.target
        elif state.simulation is not None and state.simulation.geometry is not None:
            target = state.simulation.geometry
        else:
            target = TargetGeometry.from_mask(mask, labels, organ)
        exact = state.simulation
        fits = exact is not None and exact.exact and exact.made_from == state.simulated_from
        result: AblationResult | None = exact.result if fits and exact is not None else None
        if result is None and kind[0] == "cryo":
            setup = AblationProblem.from_labels(painted, plan.placements, plan.schedule)
            result = simulate_cryo(setup, progress=portion(progress, 0.05, 1.0))
        editor = PlanEditor(plan, painted, target, result=result)
        bench = Bench(made_from, painted, target, editor, kind)
        if same_place and known is not None:
            bench.raster, bench.meter = known.raster, known.meter
        with self._guard:
            self._bench = bench
        return bench

    def _raster_of(self, bench: Bench, state: CaseState) -> tuple[ObstacleRaster, ClearanceMeter]:
        from irplan.planning.clearance import ClearanceMeter
        from irplan.planning.obstacles import build_raster
        from irplan.planning.rules import PathRules

        if bench.raster is None or bench.meter is None:
            labels, mask = state.labels, state.target_mask()
            assert labels is not None
            assert mask is not None
            bench.raster = build_raster(labels, mask, PathRules())
            bench.meter = ClearanceMeter.from_raster(bench.raster)
        return bench.raster, bench.meter

    def _simulated(self, bench: Bench, edited: Edited, state: CaseState) -> Simulation:
        editor = bench.editor
        return Simulation(
            edited.result,
            editor.points_mm,
            edited.margin_mm,
            edited.minimal_margin_mm,
            edited.target_share,
            edited.margin_share,
            edited.zone_ml,
            edited.exact,
            state.simulated_from,
            bench.target,
        )


def _settled(editor: PlanEditor, placements: tuple[Placement, ...], progress: Progress) -> Edited:
    """These needles in full; placements that cannot be simulated leave the editor as it was."""
    if editor.current.exact and editor.current.placements == placements:
        return editor.current
    before = editor.placements
    try:
        editor.placements = placements
        return editor.settle(progress=progress)
    except IrplanError:
        editor.placements = before
        raise


def _stay(seconds: float, progress: Progress) -> None:
    """Wait; a needle that moves on meanwhile cancels the job (``progress`` raises)."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        progress(0.0, "waiting for the needle to rest")
        time.sleep(0.005)
