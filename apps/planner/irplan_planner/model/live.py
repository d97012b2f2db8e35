"""Needles being dragged: the zone carried along at once, computed while they rest, with its rows.

Four answers follow each other: the plan's solution carried along (`PlanEditor.carried`, some ten
ms); once the needle stays where it is for a moment the zone on the full grid, corrected in two
levels (`PlanEditor.edited`); all rows of its verdict; and the simulation in full with its rows.
They go on where they are when the needle is let go; each says which of them it is.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from irplan.ablation.placement import Placement
from irplan.ablation.schedule import Schedule
from irplan.compute.progress import Progress
from irplan.errors import InputError
from irplan_planner.model.bench import Bench, make_bench
from irplan_planner.model.desk import Desk, Live
from irplan_planner.model.handles import Part, dragged
from irplan_planner.model.state import CaseState, Simulation, next_revision

if TYPE_CHECKING:
    from irplan.planning.evaluation import Row
    from irplan.planning.plan import AblationPlan

#: Whoever sits at the planner, in the plan's history.
USER = "planner user"
#: A needle in hand stays this long before its zone is computed, s.
STAY_S = 0.05
_REFINING, _JUDGING, _FULL = "Refining", "Judging", "Simulating"
_CHAIN = (_REFINING, _JUDGING, _FULL)


class Editing:
    """Commands on needles and schedule."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._bench: Bench | None = None
        self._guard = threading.Lock()
        self._course: tuple[Placement, ...] | None = None
        """The needles that the chain of jobs was started for last."""
        self._in_hand = False
        self.last_edit_s = 0.0
        """How long the last drag took to its first zone and margins (carried along), s."""
        self.last_refined_s = 0.0
        """How long it took to the computed zone; the needle stayed `STAY_S` of it, s."""
        self.last_full_s = 0.0
        """How long the last chain took to the simulation in full, s."""

    def prepare(self) -> None:
        """Make what a drag needs, before the first one (quietly, in the edit lane)."""
        state = self._desk.state
        if state.plan is None or state.labels is None or state.target is None:
            return

        def work(progress: Progress) -> None:
            self._bench_of(state, progress).editor.prepare()

        self._desk.work("Preparing edits", "edit", work, lambda _: None, latest=True, quiet=True)

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
        """Show these placements at once and their zone as soon as it is there."""
        desk, state = self._desk, self._desk.state
        before = desk.simulation
        desk.jobs.cancel_all("background")
        self._stop()
        self._in_hand = True
        desk.live = Live(placements, before)
        desk.changed("live")
        asked = time.perf_counter()

        def carry(progress: Progress) -> Simulation | None:
            bench = self._known_bench(state)
            found = None if bench is None else bench.editor.carried(placements)
            return None if bench is None or found is None else bench.measured(
                found, "carried", state
            )  # fmt: skip

        def carried(found: Simulation | None) -> None:
            now = desk.live
            if now is None or desk.state is not state:
                return
            if now.placements is placements:  # not moved on meanwhile
                self._follow_up(placements, stay=True)
            if found is not None:
                self.last_edit_s = time.perf_counter() - asked
                desk.live = Live(now.placements, found)
                desk.changed("live")

        desk.work("Previewing", "preview", carry, carried, latest=True, quiet=True)

    def drop(self) -> None:
        """The drag ends: its needles become the plan (one step of undo).

        What is being computed of them goes on: rows of the verdict, the simulation in full.
        """
        desk = self._desk
        live, plan = desk.live, self._plan()
        self._in_hand = False
        if live is None:
            self._stop()
            return
        if live.placements == plan.placements:
            self.cancel()
            return
        self._replace_plan(plan, "needle moved", live.simulation, placements=live.placements)
        for job in desk.jobs.active():
            job.quiet = job.quiet and job.title != _FULL
        self.complete()

    def cancel(self) -> None:
        """The drag is called off: the needles go back."""
        self._stop()
        self._in_hand, self._desk.live = False, None
        self._desk.changed("live")

    def add(self, placement: Placement) -> None:
        """One needle more."""
        plan = self._plan()
        self._replace_plan(plan, "needle added", None, placements=(*plan.placements, placement))
        self.complete()

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
        self.complete()

    def change_schedule(self, schedule: Schedule) -> None:
        """Other times (or power) for all needles."""
        self._replace_plan(self._plan(), "schedule", None, schedule=schedule)
        self.complete()

    def settle(self) -> None:
        """Simulate the plan in full; the rows of the verdict follow (jobs)."""
        self._stop()
        self._follow_up(self._plan().placements)

    def complete(self) -> None:
        """What the plan's zone lacks, unless it is on its way already."""
        placements = self._plan().placements
        if self._course != placements:
            self._stop()
            self._follow_up(placements)

    def judge(self) -> None:
        """Work out the rows of the verdict for the simulation that is there (a job)."""
        found = self._desk.state.simulation
        if found is not None and self._desk.state.labels is not None:
            self._rows(found, self._desk.state)

    def _stop(self) -> None:
        for job in self._desk.jobs.active():
            if job.title in _CHAIN:
                job.cancel()
        self._course = None

    def _wanted(self, placements: tuple[Placement, ...], since: CaseState) -> bool:
        """Whether these are still the needles shown, of the same case and times."""
        desk = self._desk
        now = desk.state
        if now.plan is None or since.plan is None or now.plan.schedule != since.plan.schedule:
            return False
        return now.simulated_from[:3] == since.simulated_from[:3] and desk.placements == placements

    def _follow_up(self, placements: tuple[Placement, ...], *, stay: bool = False) -> None:
        """The chain of jobs on these needles: quick, its rows, in full, its rows."""
        desk, state = self._desk, self._desk.state
        self._course = placements
        if self._known_bench(state) is None and desk.live is None:
            self._simulate(placements, state)  # making the bench is to simulate in full
            return

        def work(progress: Progress) -> Simulation:
            bench = self._bench_of(state, progress)
            if stay:
                self._stay(progress)
            return bench.quick(placements, state)

        asked = time.perf_counter()

        def done(found: Simulation) -> None:
            if not self._wanted(placements, state):
                return
            if found.exact:
                self.last_full_s = time.perf_counter() - asked
            else:
                self.last_refined_s = time.perf_counter() - asked
            self._rows(found, state)  # on its way before the window draws
            self._put(found)

        desk.work(_REFINING, "edit", work, done, latest=True, quiet=True)

    def _simulate(self, placements: tuple[Placement, ...], state: CaseState) -> None:
        asked = time.perf_counter()

        def work(progress: Progress) -> Simulation:
            return self._bench_of(state, progress).full(placements, state, progress)

        def done(found: Simulation) -> None:
            if self._wanted(placements, state):
                self.last_full_s = time.perf_counter() - asked
                self._rows(found, state)
                self._put(found)

        desk = self._desk
        desk.work(_FULL, "edit", work, done, latest=True, quiet=desk.live is not None)

    def _rows(self, found: Simulation, state: CaseState) -> None:
        plan = state.plan
        assert plan is not None

        def work(progress: Progress) -> Simulation:
            return self._bench_of(state, progress).judged(found, plan, state, progress)

        def done(judged: Simulation) -> None:
            if not self._wanted(found.placements, state):
                return
            if not found.exact:
                self._simulate(found.placements, state)
            shown = self._desk.simulation
            if shown is None or shown.result is found.result:
                self._put(judged)

        self._desk.work(_JUDGING, "edit", work, done, latest=True, quiet=True)

    def _put(self, found: Simulation) -> None:
        """Show it: with the needle in hand, or as the plan's."""
        desk = self._desk
        if desk.live is not None:
            desk.live = Live(desk.live.placements, found)
            desk.changed("live")
        else:
            now = desk.state
            desk.amend(replace(now, simulation=replace(found, made_from=now.simulated_from)))

    def _stay(self, progress: Progress) -> None:
        """Wait a moment for a needle in hand; one that moves on cancels (``progress`` raises)."""
        end = time.monotonic() + STAY_S
        while self._in_hand and time.monotonic() < end:
            progress(0.0, "waiting for the needle to rest")
            time.sleep(0.005)

    def live_rows(self, simulation: Simulation) -> tuple[Row, ...]:
        """Margin and coverage of a preview as rows, before the whole verdict is worked out."""
        from irplan.planning.evaluation import Row

        goal = self._plan().margin_goal_mm
        margin, target = simulation.minimal_margin_mm, 100.0 * simulation.target_share
        share = 100.0 * simulation.margin_share
        note = simulation.provenance(self._desk.placements)
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
        if preview is not None and preview.placements == new.placements:
            preview = replace(preview, made_from=fresh.simulated_from)
        self._desk.push(replace(fresh, simulation=preview), words)

    def _known_bench(self, state: CaseState) -> Bench | None:
        """The bench of this state, where it has been made."""
        with self._guard:
            known = self._bench
        return known if known is not None and known.fits(state) else None

    def _bench_of(self, state: CaseState, progress: Progress) -> Bench:
        """The bench for this state's image, labels, target and kind of plan (edit lane only)."""
        known = self._known_bench(state)
        if known is None:
            known = make_bench(state, self._bench, progress)
            with self._guard:
                self._bench = known
        return known
