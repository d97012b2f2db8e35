"""Commands on needles as they lie in the patient: read, compared with the plan, planned on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from irplan.compute.progress import Progress
from irplan.errors import InputError
from irplan_planner.model.desk import Desk


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
