"""What edits of one plan on one target need: made once, used by one lane at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from irplan.compute.progress import Progress, portion
from irplan.errors import IrplanError
from irplan.image import LabelMap
from irplan_planner.model.state import CaseState, Grade, Simulation

if TYPE_CHECKING:
    from irplan.ablation import AblationResult, Placement, Schedule
    from irplan.planning.clearance import ClearanceMeter
    from irplan.planning.margins import TargetGeometry
    from irplan.planning.obstacles import ObstacleRaster
    from irplan.planning.plan import AblationPlan
    from irplan.planning.replan import Edited, PlanEditor


@dataclass(eq=False)
class Bench:
    """An editor with what its outcomes are judged by.

    ``made_from``: revisions of image, labels and target; ``kind``: of applicator, and the times.
    """

    made_from: tuple[int, ...]
    labels: LabelMap
    target: TargetGeometry
    editor: PlanEditor
    kind: tuple[str, Schedule]
    raster: ObstacleRaster | None = None
    meter: ClearanceMeter | None = None

    def fits(self, state: CaseState) -> bool:
        """Whether it was made for this state's image, labels, target and kind of plan."""
        return (
            state.plan is not None
            and self.made_from == state.simulated_from[:3]
            and self.kind == kind_of(state.plan)
        )

    def quick(self, placements: tuple[Placement, ...], state: CaseState) -> Simulation:
        """These needles corrected from the last full solution; that one where it is of them."""
        now = self.editor.current
        if not (now.exact and now.placements == placements):
            now = self.editor.edited(placements)
        return self.measured(now, "full" if now.exact else "quick", state)

    def full(
        self, placements: tuple[Placement, ...], state: CaseState, progress: Progress
    ) -> Simulation:
        """These needles simulated in full; what cannot be simulated leaves the editor as it was."""
        editor = self.editor
        if not (editor.current.exact and editor.current.placements == placements):
            before = editor.placements
            try:
                editor.placements = placements
                editor.settle(progress=progress)
            except IrplanError:
                editor.placements = before
                raise
        return self.measured(editor.current, "full", state)

    def measured(self, edited: Edited, grade: Grade, state: CaseState) -> Simulation:
        """An outcome of the editor as the planner keeps it."""
        return Simulation(
            edited.result, self.editor.points_mm, edited.margin_mm, edited.minimal_margin_mm,
            edited.target_share, edited.margin_share, edited.zone_ml, grade, edited.placements,
            state.simulated_from, self.target,
        )  # fmt: skip

    def judged(
        self, found: Simulation, plan: AblationPlan, state: CaseState, progress: Progress
    ) -> Simulation:
        """The same with the rows of the verdict and the needles' paths."""
        from irplan.planning.clearance import ClearanceMeter
        from irplan.planning.evaluate import evaluate_plan
        from irplan.planning.obstacles import build_raster
        from irplan.planning.rules import PathRules
        from irplan.planning.trajectories import describe_needles

        mask, labels = state.target_mask(), state.labels
        assert mask is not None
        assert labels is not None
        if self.raster is None or self.meter is None:
            self.raster = build_raster(labels, mask, PathRules())
            self.meter = ClearanceMeter.from_raster(self.raster)
        progress(0.2, "needles' paths")
        paths = describe_needles(self.raster, self.meter, [p.needle for p in found.placements])
        progress(0.4, "margins and organs")
        shown = replace(plan, placements=found.placements)
        rows = evaluate_plan(
            shown, found.result, self.labels, mask, paths=paths, target=self.target
        )
        return replace(found, evaluation=rows, paths=tuple(paths))


def kind_of(plan: AblationPlan) -> tuple[str, Schedule]:
    """What needs an editor of its own: the applicators' physics and the times."""
    return plan.placements[0].applicator.kind, plan.schedule


def make_bench(state: CaseState, known: Bench | None, progress: Progress) -> Bench:
    """A bench for a state with a plan; ``known``: an earlier one, whose parts are kept that fit.

    The plan is simulated in full unless the state holds that simulation.
    """
    from irplan.ablation import AblationProblem, simulate_cryo
    from irplan.planning.case import paint_target
    from irplan.planning.margins import TargetGeometry
    from irplan.planning.obstacles import target_organ
    from irplan.planning.replan import PlanEditor

    plan, labels, mask, exact = state.plan, state.labels, state.target_mask(), state.simulation
    assert plan is not None
    assert labels is not None
    assert mask is not None
    made_from, kind = (*state.simulated_from[:3],), kind_of(plan)
    same_place = known is not None and known.made_from == made_from
    progress(0.02, "looking at the target")
    organ = target_organ(labels, mask)
    painted = paint_target(labels, mask, organ)
    if same_place and known is not None:
        target = known.target
    elif exact is not None and exact.geometry is not None:
        target = exact.geometry
    else:
        target = TargetGeometry.from_mask(mask, labels, organ)
    fits = exact is not None and exact.exact and exact.made_from == state.simulated_from
    result: AblationResult | None = exact.result if fits and exact is not None else None
    if result is None and kind[0] == "cryo":
        setup = AblationProblem.from_labels(painted, plan.placements, plan.schedule)
        result = simulate_cryo(setup, progress=portion(progress, 0.05, 1.0))
    bench = Bench(
        made_from, painted, target, PlanEditor(plan, painted, target, result=result), kind
    )
    if same_place and known is not None:
        bench.raster, bench.meter = known.raster, known.meter
    return bench
