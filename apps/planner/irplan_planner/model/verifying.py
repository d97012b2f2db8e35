"""Commands on needles as they lie in the patient: read, compared with the plan, planned on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from irplan.ablation.placement import Placement
from irplan.compute.progress import Progress, portion
from irplan.errors import InputError
from irplan_planner.model.desk import Desk
from irplan_planner.model.state import CaseState


@dataclass(frozen=True)
class Deviation:
    """A planned needle and the one that lies for it: how far off, by number from 1."""

    planned: int
    achieved: int
    lateral_mm: float
    depth_mm: float
    angle_deg: float


class Verifying:
    """Commands."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def open_needles(self, path: str | Path) -> None:
        """Needles as they lie, from a plan, table, Slicer markups or JSON (a job)."""
        desk, plan = self._desk, self._desk.state.plan
        default = None if plan is None else plan.placements[0].applicator.name

        def work(progress: Progress) -> Any:
            from irplan.case.fixed_needles import read_fixed_needles

            progress(0.1, "reading needles")
            return read_fixed_needles(Path(path), default=default)

        def done(placements: Any) -> None:
            desk.push(replace(desk.state, achieved=tuple(placements)), "needles as they lie")

        desk.work("Reading needles", "read", work, done)

    def find_in_scan(self, path: str | Path) -> None:
        """Needles recognised in a control scan in the plan's frame of reference (a job)."""
        desk, plan = self._desk, _planned(self._desk)

        def work(progress: Progress) -> Any:
            from irplan.case.control_scan import needles_in_frame
            from irplan.case.open import open_image_and_notes

            volume, notes = open_image_and_notes(path, progress=portion(progress, 0.0, 0.4))
            needles, more = needles_in_frame(
                volume, plan.frame_of_reference_uid, progress=portion(progress, 0.4, 1.0)
            )
            return needles, (*notes, *more)

        def done(outcome: Any) -> None:
            needles, notes = outcome
            for note in notes:
                desk.say(note, "warning")
            if not needles:
                desk.say("No needle was recognised in the control scan.", "warning")
                return
            kind = plan.placements[0].applicator
            lying = tuple(Placement(n, kind, status="achieved") for n in needles)
            desk.push(replace(desk.state, achieved=lying), "needles of a control scan")

        desk.work("Looking for needles", "work", work, done)

    def judge(self, *, registration_error_mm: float | None, zone: str | Path | None = None) -> None:
        """Planned against achieved: simulated with the needles that lie, and by a zone (a job).

        Without ``registration_error_mm`` every verdict is "not assessable".
        """
        desk, state, plan = self._desk, self._desk.state, _planned(self._desk)
        labels, mask = state.labels, state.target_mask()
        if labels is None or mask is None or not (state.achieved or zone):
            raise InputError(
                "verify",
                got="no needles as they lie, and no zone",
                expected="one of them",
                remedy="Open the needles, find them in a control scan, or open a zone.",
            )
        key = self._key(state)

        def work(progress: Progress) -> Any:
            from irplan.case.open import open_mask
            from irplan.guidance.verification import verify

            seen = None if zone is None else open_mask(zone, labels.grid)
            return verify(
                plan, [p.needle for p in state.achieved], labels, mask, zone=seen,
                registration_error_mm=registration_error_mm, progress=progress,
            )  # fmt: skip

        def done(found: Any) -> None:
            for message in found.messages:
                desk.say(message, "warning")
            if self._key(desk.state) == key:
                desk.add_extra(verification=(key, found))

        desk.work("Verifying", "work", work, done)

    def verdicts(self) -> tuple[tuple[str, str, str], ...]:
        """(how it was judged, verdict, why) of the last `judge` on the case as it is."""
        extra = self._desk.extras.verification
        if extra is None or extra[0] != self._key(self._desk.state):
            return ()
        done = extra[1]
        return tuple(
            (
                name,
                one.state + ("" if one.minimal_mm is None else f", {one.minimal_mm:.1f} mm"),
                one.reason,
            )
            for name, one in (("simulated", done.simulated_verdict), ("seen", done.seen_verdict))
        )

    @staticmethod
    def _key(state: CaseState) -> tuple[object, ...]:
        return (*state.simulated_from, state.achieved)

    def deviations(self) -> tuple[Deviation, ...]:
        """Each planned needle with the nearest that lies; `InputError` without both."""
        from irplan.planning.review_compare import compare_plans

        state = self._desk.state
        if state.plan is None or not state.achieved:
            raise InputError(
                "verify",
                got="no plan, or no needles as they lie",
                expected="both",
                remedy="Plan first, then open the needles as they lie.",
            )
        lying = replace(state.plan, placements=state.achieved)
        out = []
        for pair in compare_plans(state.plan, lying).needles:
            if pair.a is None or pair.b is None or pair.angle_deg is None:
                continue
            wanted = state.plan.placements[pair.a - 1].needle
            off = np.subtract(state.achieved[pair.b - 1].needle.tip_mm, wanted.tip_mm)
            deep = float(off @ wanted.direction)
            across = float(np.linalg.norm(off - deep * wanted.direction))
            out.append(Deviation(pair.a, pair.b, across, deep, pair.angle_deg))
        return tuple(out)

    def plan_on(self) -> None:
        """The needles that lie become fixed for the next search, which adds what is missing."""
        from irplan_planner.model.planning import Planning, default_options

        state = self._desk.state
        options = state.options or default_options()
        Planning(self._desk).set_goal(replace(options, fixed=state.achieved))


def _planned(desk: Desk) -> Any:
    if desk.state.plan is None:
        raise InputError("plan", got="none yet", expected="a plan", remedy="Run Plan first.")
    return desk.state.plan
