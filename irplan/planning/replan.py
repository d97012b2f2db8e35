"""Needles that are in already, and plans that are being edited: only what changed is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import (
    AblationProblem,
    AblationResult,
    CryoResult,
    EditSession,
    Placement,
    Schedule,
)
from irplan.ablation.segments import segment_distance_mm
from irplan.compute.progress import Progress, no_progress
from irplan.errors import InputError
from irplan.geometry import Point3, as_point
from irplan.image import LabelMap
from irplan.planning.clearance import ClearanceMeter, inside_body
from irplan.planning.layout import MIN_SHAFT_GAP_MM
from irplan.planning.margins import TargetGeometry, counted_points, surface_margins
from irplan.planning.modality import modality
from irplan.planning.optimise_score import CoverageSites, zone_ml
from irplan.planning.plan import AblationPlan
from irplan.planning.rules import PathRules

#: A fixed needle's entry may lie this far outside the body's labels, mm (skin, dressing).
ENTRY_SLACK_MM = 6.0


def check_fixed(
    fixed: Sequence[Placement], labels: LabelMap, meter: ClearanceMeter, rules: PathRules
) -> tuple[str, ...]:
    """Messages on needles that are in already; `InputError` for those that cannot be.

    A needle is in the patient whatever the rules on paths say: what it breaks becomes a message.
    Refused are a tip or an active zone outside the body, an entry far from it, and two needles
    whose shafts cross or whose active zones touch, with the distance that is missing.
    """
    messages = []
    for n, placement in enumerate(fixed, start=1):
        needle = placement.needle
        active = np.array(placement.active_segment)
        points = active[0] + np.linspace(0.0, 1.0, 21)[:, None] * (active[1] - active[0])
        inside = inside_body(labels, np.concatenate([points, [needle.tip_mm]]))
        if not inside.all():
            out = float(1.0 - inside[:-1].mean())
            where = "its tip" if not inside[-1] else f"{100 * out:.0f} % of its active zone"
            raise InputError(
                f"fixed needle {n}",
                got=f"{where} outside the body (tip {_words(needle.tip_mm)})",
                expected="a needle inside the body",
                remedy="Check that the file is in LPS mm of this image (RAS: x and y change sign).",
            )
        depth = np.linspace(0.0, ENTRY_SLACK_MM, 13)[:, None]
        entry = np.array(needle.entry_mm) + depth * np.array(needle.direction)
        if not inside_body(labels, entry).any():
            raise InputError(
                f"fixed needle {n}",
                got=f"an entry more than {ENTRY_SLACK_MM:g} mm from the body "
                f"({_words(needle.entry_mm)})",
                expected="an entry on the skin",
                remedy="Check the entry point and the coordinate system.",
            )
        clear = meter.measure([needle])[0]
        for o in meter.obstacles:
            if clear.distance_mm[o.name] < o.hard_mm:
                at = clear.at_mm.get(o.name)
                messages.append(
                    f"Fixed needle {n} comes {clear.distance_mm[o.name]:.1f} mm close to {o.name} "
                    f"(rule: {o.hard_mm:g} mm)" + (f" at {_words(at)}." if at else ".")
                )
    _check_pairs(fixed, rules, messages)
    return tuple(messages)


def _check_pairs(fixed: Sequence[Placement], rules: PathRules, messages: list[str]) -> None:
    for a in range(len(fixed)):
        for b in range(a):
            first, second = fixed[a], fixed[b]
            shafts = segment_distance_mm(
                (first.needle.tip_mm, first.needle.entry_mm),
                (second.needle.tip_mm, second.needle.entry_mm),
            )
            touching = 0.5 * (
                first.applicator.shaft_diameter_mm + second.applicator.shaft_diameter_mm
            )
            if shafts < touching:
                raise InputError(
                    f"fixed needle {a + 1}",
                    got=f"a shaft {shafts:.1f} mm from that of fixed needle {b + 1}",
                    expected=f"at least {touching:.1f} mm between axes: needles cannot cross",
                    remedy="Check the points of both; one needle may be listed twice.",
                )
            gap = segment_distance_mm(first.active_segment, second.active_segment)
            if gap < rules.min_probe_spacing.value or shafts < MIN_SHAFT_GAP_MM:
                messages.append(
                    f"Fixed needles {b + 1} and {a + 1} are {gap:.1f} mm apart (rule: "
                    f"{rules.min_probe_spacing.value:g} mm)."
                )


@dataclass(frozen=True, eq=False)
class Edited:
    """An edited plan with its newly simulated zone and what it covers."""

    placements: tuple[Placement, ...]
    result: AblationResult
    margin_mm: NDArray[np.float64]
    """(n,) signed margin at `PlanEditor.points_mm`, mm."""
    minimal_margin_mm: float
    """Smallest counted margin, mm."""
    minimal_at_mm: Point3
    target_share: float
    margin_share: float
    zone_ml: float
    exact: bool
    """False: the earlier solution carried along (`EditSession`); `PlanEditor.settle` is exact."""


class PlanEditor:
    """A plan in someone's hands: move a tip, add or remove a probe, change times or power.

    Parameters
    ----------
    plan, result : the plan and its simulation on the fine grid (None: simulated now).
    labels : what it was planned on.
    target : the target's geometry.
    rules : for the subcapsular rule; the defaults are sourced in `rules`.
    points : of the target's surface at which the margin is measured, about.

    Cryo: an edit costs a simulation with voxels of twice the edge and carries the fine solution
    along (`irplan.ablation.EditSession`); heat and electroporation are simulated anew at 2 mm
    (3 mm for radiofrequency).  `settle` simulates in full, and later edits start from there.
    Raises what the simulation raises; the plan given is never changed (`irplan.planning.edit_plan`
    makes the new draft).
    """

    def __init__(
        self,
        plan: AblationPlan,
        labels: LabelMap,
        target: TargetGeometry,
        *,
        result: AblationResult | None = None,
        rules: PathRules | None = None,
        points: int = 1500,
        threads: int | None = None,
    ) -> None:
        rules = PathRules() if rules is None else rules
        self._way = modality(plan.placements[0].applicator.kind, lethal=plan.lethal)
        self._labels = labels
        self._schedule: Schedule | Sequence[Schedule] = plan.schedule
        counted = counted_points(target, rules.subcapsular_depth.value)
        every = np.arange(len(target.surface.points_mm))
        pick = every[:: max(1, len(every) // points)]
        self.points_mm: NDArray[np.float64] = target.surface.points_mm[pick]
        """(n, 3) points of the target's surface, LPS mm."""
        self.counted: NDArray[np.bool_] = counted[pick]
        """(n,) False where the subcapsular rule leaves a point out."""
        self._sites = CoverageSites.of(target, plan.margin_goal_mm)
        self._session: EditSession | None = None
        self.placements: tuple[Placement, ...] = plan.placements
        """The applicators as they are now."""
        if self._way.kind == "cryo":
            known = result if isinstance(result, CryoResult) else None
            problem = None if known is None else known.problem
            if problem is None:
                problem = AblationProblem.from_labels(labels, plan.placements, plan.schedule)
                known = None
            self._session = EditSession(problem, result=known, threads=threads)
        elif result is None:
            result = self._anew(plan.placements, fine=True)
        first = self._session.result if self._session is not None else result
        assert first is not None
        self.current = self._measured(plan.placements, first, exact=True)
        """The plan as it is now, measured."""

    def edited(
        self, placements: Sequence[Placement], *, schedule: Schedule | None = None
    ) -> Edited:
        """The plan with these applicators (and this schedule) instead."""
        new = tuple(placements)
        schedule_now = self._schedule if schedule is None else schedule
        if self._session is not None:
            result: AblationResult = self._session.edited(new, schedule=schedule_now)
        else:
            result = self._anew(new, fine=False, schedule=schedule_now)
        self.placements, self._schedule = new, schedule_now
        self.current = self._measured(new, result, exact=False)
        return self.current

    def carried(self, placements: Sequence[Placement]) -> Edited | None:
        """A first picture of moved cryoprobes (`EditSession.carried`); what is edited stays.

        None by heat or electroporation, and where probes came, went or moved far.
        """
        if self._session is None:
            return None
        new = tuple(placements)
        try:
            result = self._session.carried(new)
        except InputError:
            return None
        return self._measured(new, result, exact=False)

    def move_tip(self, number: int, tip_mm: Point3) -> Edited:
        """The tip of applicator ``number`` (from 1) elsewhere, its entry where it was."""
        old = self._at(number)
        needle = replace(old.needle, tip_mm=as_point(tip_mm, field="tip_mm"))
        return self._with(number, replace(old, needle=needle))

    def add(self, placement: Placement) -> Edited:
        """One applicator more."""
        return self.edited((*self.placements, placement))

    def remove(self, number: int) -> Edited:
        """Without applicator ``number`` (from 1); raises `InputError` for the last one."""
        self._at(number)
        if len(self.placements) == 1:
            raise InputError(
                "remove",
                got="the only applicator",
                expected="a plan of at least one",
                remedy="Move it instead.",
            )
        return self.edited(self.placements[: number - 1] + self.placements[number:])

    def change_schedule(self, schedule: Schedule) -> Edited:
        """Other times or power for all applicators."""
        return self.edited(self.placements, schedule=schedule)

    def settle(self, *, progress: Progress = no_progress) -> Edited:
        """The plan as it is now simulated in full on the fine grid; later edits start from it."""
        if self._session is not None:
            result: AblationResult = self._session.settle(
                self.placements, schedule=self._schedule, progress=progress
            )
        else:
            result = self._anew(self.placements, fine=True, schedule=self._schedule)
        self.current = self._measured(self.placements, result, exact=True)
        return self.current

    def prepare(self) -> None:
        """Work out now what the next edit after `settle` would begin with."""
        if self._session is not None:
            self._session.prepare()

    def _at(self, number: int) -> Placement:
        if not 1 <= number <= len(self.placements):
            raise InputError(
                "applicator",
                got=f"number {number}",
                expected=f"1 to {len(self.placements)}",
                remedy="Applicators are counted from 1.",
            )
        return self.placements[number - 1]

    def _with(self, number: int, placement: Placement) -> Edited:
        new = (*self.placements[: number - 1], placement, *self.placements[number:])
        return self.edited(new)

    def _anew(
        self,
        placements: tuple[Placement, ...],
        *,
        fine: bool,
        schedule: Schedule | Sequence[Schedule] | None = None,
    ) -> AblationResult:
        spacing = self._way.final_mm if fine else self._way.search_mm
        setup = AblationProblem.from_labels(
            self._labels,
            placements,
            self._schedule if schedule is None else schedule,
            spacing_mm=spacing,
        )
        return self._way.simulate(setup, search=not fine)

    def _measured(
        self, placements: tuple[Placement, ...], result: AblationResult, *, exact: bool
    ) -> Edited:
        field, level = self._way.zone(result, placements)
        margin = surface_margins(field, level, self.points_mm, placements)
        counted = np.where(self.counted, margin, np.inf)
        low = int(np.argmin(counted))
        target, either = self._sites.shares(field, level)
        return Edited(
            placements,
            result,
            margin,
            float(counted[low]),
            as_point(self.points_mm[low], field="margin"),
            target,
            either,
            zone_ml(field, level),
            exact,
        )


def _words(point: Point3) -> str:
    return "(" + ", ".join(f"{v:.0f}" for v in point) + ") mm LPS"
