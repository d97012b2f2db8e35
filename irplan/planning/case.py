"""The chain in one call: image and target in, simulated and judged plan out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import irplan
from irplan.ablation import Applicator, applicator
from irplan.ablation.catalogue import AUTOMATIC_CRYOPROBES
from irplan.ablation.lethal import LethalRule
from irplan.ablation.result import CryoResult
from irplan.ablation.schedule import Schedule
from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import InputError
from irplan.image import LabelMap, Volume, structure
from irplan.planning.clearance import ClearanceMeter
from irplan.planning.evaluate import evaluate_plan, not_checked_messages
from irplan.planning.evaluation import PlanEvaluation
from irplan.planning.margins import TargetGeometry, counted_points
from irplan.planning.obstacles import build_raster
from irplan.planning.paths import PathCandidate, PathSearch
from irplan.planning.plan import AblationPlan, Provenance
from irplan.planning.probes import ProbePlanner, ProbeSearch
from irplan.planning.rules import PathRules
from irplan.planning.target import as_target_mask, check_target, describe_target
from irplan.planning.trajectories import search_paths, spread_points

#: `PlanOptions.applicator`: take the kind of cryoprobe that reaches the goal with the least ice.
AUTO = "auto"
#: Tissue that the target's own voxels may replace in the label map; vessels and hollow organs stay.
_PAINTABLE = ("body", "fat", "muscle")


@dataclass(frozen=True)
class PlanOptions:
    """What the user may choose; every default is a sourced rule (see `rules`).

    Raises `InputError` for a margin outside 0..30 mm, a number of probes outside 1..10 (or above
    the rule), an unknown applicator or one that is no cryoprobe.
    """

    margin_mm: float = 5.0
    probes: int | None = None
    """Number of cryoprobes; None = as few as reach the margin goal."""
    applicator: str = AUTO
    """Catalogue name, or ``"auto"``: the kind that reaches the goal with the least ice."""
    seed: int = 0
    """Recorded with the plan.  The search draws no random numbers: every seed gives one plan."""
    lethal: LethalRule = field(default_factory=LethalRule)
    schedule: Schedule = field(default_factory=Schedule.freeze_thaw_freeze)
    rules: PathRules = field(default_factory=PathRules)

    def __post_init__(self) -> None:
        if not 0.0 <= self.margin_mm <= 30.0:
            raise InputError(
                "options.margin_mm",
                got=f"{self.margin_mm}",
                expected="0 to 30 mm",
                remedy="Liver: 5 to 10 mm is usual.",
            )
        most = int(self.rules.max_probes.value)
        if self.probes is not None and not 1 <= self.probes <= most:
            raise InputError(
                "options.probes",
                got=f"{self.probes}",
                expected=f"1 to {most}",
                remedy="Leave it out to have as few probes as reach the margin.",
            )
        if self.applicator != AUTO and applicator(self.applicator).kind != "cryo":
            raise InputError(
                "options.applicator",
                got=f"'{self.applicator}', a {applicator(self.applicator).kind} applicator",
                expected="a cryoprobe",
                remedy="Use " + ", ".join(a.name for a in _cryoprobes()) + " or 'auto'.",
            )
        if self.schedule.freeze_count < self.lethal.cycles:
            raise InputError(
                "options.schedule",
                got=f"{self.schedule.freeze_count} freeze(s)",
                expected=f"at least {self.lethal.cycles}, as the lethal rule demands",
                remedy="Add a freeze, or use LethalRule(cycles=1) knowingly.",
            )


@dataclass(frozen=True, eq=False)
class PlannedCase:
    """Everything the chain produced for one case; all on or in the frame of ``volume.grid``."""

    volume: Volume
    labels: LabelMap
    """The labels planned on: those given, with the target painted as tumour into its organ."""
    target_mask: NDArray[Any]
    """bool (slice, row, column) on ``volume.grid``."""
    options: PlanOptions
    plan: AblationPlan
    paths: tuple[PathCandidate, ...]
    """The chosen path of each placement, in the plan's order."""
    search: PathSearch
    result: CryoResult
    evaluation: PlanEvaluation
    messages: tuple[str, ...] = ()
    """What the user should know: warnings of the chain in plain words."""


def plan_case(
    volume: Volume,
    labels: LabelMap,
    target_mask: NDArray[Any],
    *,
    options: PlanOptions | None = None,
    target_source: str = "mask",
    progress: Progress = no_progress,
) -> PlannedCase:
    """Plan, simulate and judge a cryoablation of ``target_mask``.

    Parameters
    ----------
    volume : the CT, HU.
    labels : structures on the volume's grid, e.g. of `irplan.segmentation.segment_abdomen`.
    target_mask : bool (slice, row, column) on the same grid.
    options : see `PlanOptions`.
    target_source : how the target was given, in words, for the plan.
    progress : called with a fraction and a few words; may raise to cancel.

    Raises
    ------
    GridMismatchError : labels or mask on another grid.
    InputError : a target that is empty, outside the body, too small or too large.
    NoAdmissiblePathError : every path breaks a hard rule; names the rule and the nearest miss.
    PlanningError : no group of the wanted number of probes keeps the rules.

    The outcome depends on the arguments alone: no clock, no random numbers, no machine.  Cost on
    2 cores: 8 to 25 s (paths 2 s, search simulations at 2 mm, one or two at 1 mm).
    """
    options = PlanOptions() if options is None else options
    volume.grid.require_same(labels.grid, field="labels")
    target = as_target_mask(target_mask, volume.grid)
    messages = list(check_target(labels, target))
    rules = options.rules

    raster = build_raster(labels, target, rules, progress=portion(progress, 0.0, 0.08))
    painted = paint_target(labels, target, raster.organ_name)
    meter = ClearanceMeter.from_raster(raster)
    tips = spread_points(target, labels.grid, 7)
    search = search_paths(raster, meter, tips, progress=portion(progress, 0.08, 0.12))
    messages.extend(not_checked_messages(raster))
    if raster.organ_name is None:
        messages.append(
            "No segmented organ surrounds the target: the rules on the capsule and on healthy "
            "tissue could not be checked, and the margin is not clipped to an organ."
        )
    geometry = TargetGeometry.from_mask(target, labels, raster.organ_name)
    planner = ProbePlanner(
        raster=raster,
        meter=meter,
        labels=painted,
        target=geometry,
        counted=counted_points(geometry, rules.subcapsular_depth.value),
        paths=search,
        rules=rules,
        schedule=options.schedule,
        lethal=options.lethal,
        margin_goal_mm=options.margin_mm,
        progress=portion(progress, 0.12, 0.95),
    )
    kinds = _cryoprobes() if options.applicator == AUTO else (applicator(options.applicator),)
    found = planner.find(kinds, options.probes)
    plan = AblationPlan(
        target=describe_target(target, volume.grid, target_source),
        placements=found.layout.placements,
        schedule=options.schedule,
        margin_goal_mm=options.margin_mm,
        lethal=options.lethal,
        provenance=_provenance(volume, labels, target, options, found),
        frame_of_reference_uid=volume.grid.frame_of_reference_uid,
    )
    progress(0.96, "judging the plan")
    evaluation = evaluate_plan(
        plan,
        found.result,
        painted,
        target,
        rules=rules,
        paths=found.layout.paths,
        target=geometry,
    )
    messages.extend(found.result.warnings)
    if not found.reached:
        messages.append(
            f"The margin goal of {options.margin_mm:g} mm is not met: "
            + next(r.note for r in evaluation.rows if r.name == "minimal ablative margin")
            + ". Tried, with the margin on the 2 mm search grid: "
            + "; ".join(found.tried)
            + "."
        )
    progress(1.0, "plan ready")
    return PlannedCase(
        volume=volume,
        labels=painted,
        target_mask=target,
        options=options,
        plan=plan,
        paths=found.layout.paths,
        search=search,
        result=found.result,
        evaluation=evaluation,
        messages=tuple(messages),
    )


def paint_target(labels: LabelMap, target: NDArray[np.bool_], organ: str | None) -> LabelMap:
    """The labels with the target as "tumour" where it covers organ or plain tissue.

    Vessels, bone, gas and hollow organs inside the mask stay what they are: a needle must still
    avoid them and blood still warms.
    """
    names = _PAINTABLE if organ is None else (organ, *_PAINTABLE)
    return labels.with_mask(structure("tumour"), target & labels.mask(*names))


def _cryoprobes() -> tuple[Applicator, ...]:
    return tuple(applicator(name) for name in AUTOMATIC_CRYOPROBES)


def _provenance(
    volume: Volume,
    labels: LabelMap,
    target: NDArray[np.bool_],
    options: PlanOptions,
    found: ProbeSearch,
) -> Provenance:
    settings: dict[str, float | int | str | bool] = {
        "margin_mm": options.margin_mm,
        "probes": "auto" if options.probes is None else options.probes,
        "applicator": options.applicator,
        "lethal.threshold_c": options.lethal.threshold_c,
        "lethal.cycles": options.lethal.cycles,
        "schedule": ", ".join(f"{p.kind} {p.duration_s:g} s" for p in options.schedule.phases),
        **options.rules.as_options(),
        **{f"simulation.{k}": v for k, v in sorted(found.result.options.items())},
    }
    return Provenance(
        irplan_version=irplan.__version__,
        seed=options.seed,
        inputs={
            "image": voxel_hash(volume.array),
            "labels": voxel_hash(labels.array),
            "target mask": voxel_hash(target),
        },
        options=settings,
        backend=found.result.backend,
        precision=found.result.precision,
    )


def voxel_hash(array: NDArray[Any]) -> str:
    """SHA-256 of the voxel values (shape, type, bytes in slice, row, column order), hex."""
    data = np.ascontiguousarray(array)
    head = f"{data.shape} {data.dtype.newbyteorder('<').str} ".encode()
    little = data.astype(data.dtype.newbyteorder("<"), copy=False)
    return hashlib.sha256(head + little.tobytes()).hexdigest()
