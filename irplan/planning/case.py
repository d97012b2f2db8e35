"""The chain in one call: image and target in, simulated and judged plan out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

import irplan
from irplan.ablation import AblationResult, CryoResult, Placement
from irplan.ablation.device import Kind
from irplan.ablation.lethal import LethalRule
from irplan.ablation.schedule import Schedule
from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import InputError
from irplan.image import LabelMap, Volume, structure
from irplan.planning.evaluate import evaluate_plan, not_checked_messages
from irplan.planning.evaluation import PlanEvaluation
from irplan.planning.margins import TargetGeometry, counted_points
from irplan.planning.modality import Modality, modality
from irplan.planning.optimise_score import TARGET_COVERAGE, Confirmed
from irplan.planning.pareto import Chosen, choose
from irplan.planning.paths import PathCandidate, PathSearch
from irplan.planning.plan import AblationPlan, Provenance
from irplan.planning.probes import ProbePlanner
from irplan.planning.replan import check_fixed
from irplan.planning.robustness_uncertainty import Uncertainty, preset
from irplan.planning.rules import PathRules
from irplan.planning.seen_paths import seen_paths
from irplan.planning.target import as_target_mask, check_target, describe_target
from irplan.planning.trajectories import describe_needles
from irplan.planning.verdicts import MARGIN_COVERAGE

#: "fewest": as few applicators as make all of the target and 99 % of it with its margin lethal;
#: "coverage": the margin at every counted place with the least harm, whatever their number;
#: "robust": most likely to cover with needles that miss.
Objective = Literal["fewest", "coverage", "robust"]
#: `PlanOptions.applicator`: take the tool that reaches the goal with the least harm.
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
    """Catalogue name, or ``"auto"``: the one that reaches the goal with the least harm."""
    seed: int = 0
    """Recorded with the plan.  The search draws no random numbers: every seed gives one plan; it is
    the seed of the errors that ``objective="robust"`` draws."""
    lethal: LethalRule = field(default_factory=LethalRule)
    schedule: Schedule | None = None
    """What is done over time; None: freeze-thaw-freeze for cryo, chosen with the rest for heat."""
    rules: PathRules = field(default_factory=PathRules)
    modality: Kind = "cryo"
    objective: Objective = "fewest"
    fixed: tuple[Placement, ...] = ()
    """Applicators that are in already; they stay, and count among ``probes``."""
    alternatives: int = 1
    """Number of plans wanted, the recommended one included."""
    uncertainty: str | Uncertainty = "cbct"
    """Errors that ``objective="robust"`` plans for: a preset's name, or one's own."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "fixed", tuple(self.fixed))
        if not 0.0 <= self.margin_mm <= 30.0:
            raise InputError(
                "options.margin_mm",
                got=f"{self.margin_mm}",
                expected="0 to 30 mm",
                remedy="Liver: 5 to 10 mm is usual.",
            )
        way = self.way  # raises for a tool that does not fit
        most = int(min(way.rules(self.rules).max_probes.value, self._device_limit(way)))
        least = max(way.fewest, 1, len(self.fixed))
        if self.probes is not None and not least <= self.probes <= most:
            why = f", {len(self.fixed)} of them fixed" if self.fixed else ""
            raise InputError(
                "options.probes",
                got=f"{self.probes}{why}",
                expected=f"{least} to {most} for {self.modality} ({way.tools[0].applicator.name})",
                remedy="Leave it out to have as few probes as reach the margin.",
            )
        if len(self.fixed) > most:
            raise InputError(
                "options.fixed",
                got=f"{len(self.fixed)} applicators",
                expected=f"at most {most} for {self.modality}",
                remedy="Leave some out.",
            )
        wrong = [p.applicator.name for p in self.fixed if p.applicator.kind != self.modality]
        if wrong:
            raise InputError(
                "options.fixed",
                got=f"'{wrong[0]}' with modality {self.modality}",
                expected=f"{self.modality} applicators",
                remedy="Needles of one plan are of one kind.",
            )
        if self.modality == "cryo":
            freezes = way.tools[0].schedule.freeze_count
            if freezes < self.lethal.cycles:
                raise InputError(
                    "options.schedule",
                    got=f"{freezes} freeze(s)",
                    expected=f"at least {self.lethal.cycles}, as the lethal rule demands",
                    remedy="Add a freeze, or use LethalRule(cycles=1) knowingly.",
                )
        if self.objective not in get_args(Objective):
            raise InputError(
                "options.objective",
                got=repr(self.objective),
                expected="one of " + ", ".join(get_args(Objective)),
                remedy="Use one of these.",
            )
        if isinstance(self.uncertainty, str):
            object.__setattr__(self, "uncertainty", preset(self.uncertainty))
        if not 1 <= self.alternatives <= 6:
            raise InputError(
                "options.alternatives",
                got=f"{self.alternatives}",
                expected="1 to 6 plans",
                remedy="4 show the fewest needles, least tissue, safest path and widest margin.",
            )

    @property
    def errors(self) -> Uncertainty:
        """The errors planned for."""
        u = self.uncertainty
        return preset(u) if isinstance(u, str) else u

    @property
    def way(self) -> Modality:
        """The modality with the tools these options allow."""
        names = () if self.applicator == AUTO else (self.applicator,)
        return modality(
            self.modality, applicators=names, schedule=self.schedule, lethal=self.lethal
        )

    @staticmethod
    def _device_limit(way: Modality) -> float:
        limits = [getattr(t.applicator.device, "max_probes", 20) for t in way.tools]
        return float(max(limits))


@dataclass(frozen=True, eq=False)
class Alternative:
    """Another plan for the same case, with its own simulation and verdict.

    ``names`` says what it is best at: "recommended", "fewest needles", "least healthy tissue",
    "safest path", "widest margin".
    """

    names: tuple[str, ...]
    plan: AblationPlan
    paths: tuple[PathCandidate, ...]
    result: AblationResult
    evaluation: PlanEvaluation
    healthy_ml: float
    """Lethal zone outside the target, ml."""
    risk: float
    """Mean cost of the new paths (0 is ideal)."""


@dataclass(frozen=True, eq=False)
class PlannedAblation:
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
    result: AblationResult
    evaluation: PlanEvaluation
    messages: tuple[str, ...] = ()
    """What the user should know: warnings of the chain in plain words."""
    alternatives: tuple[Alternative, ...] = ()
    """The plans that were asked for, the recommended one first."""
    simulations: int = 0
    """How many simulations the search took."""
    unknown: NDArray[np.bool_] | None = None
    """bool on ``volume.grid``: where nothing was seen; None where all of the image was."""


@dataclass(frozen=True, eq=False)
class PlannedCase(PlannedAblation):
    """A `PlannedAblation` by cold."""

    result: CryoResult


def plan_case(
    volume: Volume,
    labels: LabelMap,
    target_mask: NDArray[Any],
    *,
    options: PlanOptions | None = None,
    target_source: str = "mask",
    progress: Progress = no_progress,
) -> PlannedCase:
    """`plan_ablation` by cold; raises `InputError` for another modality."""
    options = PlanOptions() if options is None else options
    if options.modality != "cryo":
        raise InputError(
            "options.modality",
            got=f"'{options.modality}'",
            expected="'cryo'",
            remedy="Use plan_ablation for the other modalities.",
        )
    found = plan_ablation(
        volume, labels, target_mask, options=options, target_source=target_source, progress=progress
    )
    assert isinstance(found, PlannedCase)
    return found


def plan_ablation(
    volume: Volume,
    labels: LabelMap,
    target_mask: NDArray[Any],
    *,
    options: PlanOptions | None = None,
    target_source: str = "mask",
    unknown: NDArray[np.bool_] | None = None,
    progress: Progress = no_progress,
) -> PlannedAblation:
    """Plan, simulate and judge an ablation of ``target_mask``; a `PlannedCase` for cryo.

    Parameters
    ----------
    volume : the CT, HU.
    labels : structures on the volume's grid, e.g. of `irplan.segmentation.segment_abdomen`.
    target_mask : bool (slice, row, column) on the same grid.
    options : see `PlanOptions`.
    target_source : how the target was given, in words, for the plan.
    unknown : bool on the same grid, where nothing was seen (outside a cone-beam CT's field, say),
        whatever ``labels`` hold there for the simulation.  Paths avoid it; where none is seen all
        along, paths begin where what was seen ends and are "not checked", never clear.
    progress : called with a fraction and a few words; may raise to cancel.

    Raises
    ------
    GridMismatchError : labels or mask on another grid.
    InputError : a target that is empty, outside the body, in gas, too small or too large; a fixed
        applicator outside the body or too close to another.
    NoAdmissiblePathError : every path breaks a hard rule; names the rule and the nearest miss.
    PlanningError : no group of the wanted number of probes keeps the rules.

    The outcome depends on the arguments alone: no clock, no random numbers, no machine.  Cost on
    2 cores: cryo 8 to 25 s where the margin can be reached, up to 50 s where a vessel prevents it;
    each alternative 2 s more.
    """
    options = PlanOptions() if options is None else options
    volume.grid.require_same(labels.grid, field="labels")
    target = as_target_mask(target_mask, volume.grid)
    messages = list(check_target(labels, target))
    way = options.way
    raster, meter, search, told = seen_paths(
        labels, target, way.rules(options.rules), unknown, portion(progress, 0.0, 0.12)
    )
    messages.extend(told)
    rules = raster.rules
    painted = paint_target(labels, target, raster.organ_name)
    messages.extend(check_fixed(options.fixed, painted, meter, rules))
    messages.extend(not_checked_messages(raster))
    if raster.organ_name is None:
        messages.append(
            "No segmented organ surrounds the target: the rules on the capsule and on healthy "
            "tissue could not be checked, and the margin is not clipped to an organ."
        )
    geometry = TargetGeometry.from_mask(target, labels, raster.organ_name)

    def planner(goal_mm: float, part: Progress) -> ProbePlanner:
        return ProbePlanner(
            raster=raster,
            meter=meter,
            labels=painted,
            target=geometry,
            counted=counted_points(geometry, rules.subcapsular_depth.value),
            paths=search,
            rules=rules,
            modality=way,
            margin_goal_mm=goal_mm,
            fixed=options.fixed,
            everywhere=options.objective != "fewest",
            progress=part,
        )

    describe = describe_target(target, volume.grid, target_source)
    inputs = {
        "image": voxel_hash(volume.array),
        "labels": voxel_hash(labels.array),
        "target mask": voxel_hash(target),
    }

    def as_plan(found: Confirmed) -> AblationPlan:
        return AblationPlan(
            target=describe,
            placements=found.layout.placements,
            schedule=found.layout.tool.schedule,
            margin_goal_mm=options.margin_mm,
            lethal=options.lethal,
            provenance=_provenance(inputs, options, rules, found.result),
            frame_of_reference_uid=volume.grid.frame_of_reference_uid,
        )

    picked = choose(
        planner, as_plan, options, geometry, painted, progress=portion(progress, 0.12, 0.95)
    )
    progress(0.96, "judging the plan")

    def judged(chosen: Chosen) -> Alternative:
        found = chosen.confirmed
        plan = as_plan(found)
        needles = [p.needle for p in options.fixed]
        old = describe_needles(raster, meter, needles) if needles else ()
        paths = (*old, *found.layout.paths)
        verdict = evaluate_plan(
            plan,
            found.result,
            painted,
            target,
            rules=rules,
            paths=paths,
            target=geometry,
            probability=chosen.probability,
        )
        return Alternative(
            chosen.names, plan, paths, found.result, verdict, found.healthy_ml, found.layout.risk
        )

    plans = [judged(c) for c in picked.chosen]
    first = plans[0]
    messages.extend(first.result.warnings)
    if not picked.reached:
        messages.append(_short_of_goal(first, options, picked.tried))
    progress(1.0, "plan ready")
    parts: dict[str, Any] = {
        "volume": volume,
        "labels": painted,
        "target_mask": target,
        "options": options,
        "plan": first.plan,
        "paths": first.paths,
        "search": search,
        "result": first.result,
        "evaluation": first.evaluation,
        "messages": tuple(messages),
        "alternatives": tuple(plans),
        "simulations": picked.simulations,
        "unknown": unknown,
    }
    return PlannedCase(**parts) if options.modality == "cryo" else PlannedAblation(**parts)


def _short_of_goal(first: Alternative, options: PlanOptions, tried: tuple[str, ...]) -> str:
    """That the margin is not met everywhere, what is covered all the same, and what was tried."""
    e = first.evaluation
    covered = e.target_coverage >= TARGET_COVERAGE and e.margin_coverage >= MARGIN_COVERAGE
    more = ""
    if covered and options.objective == "fewest":
        more = (
            " That is all of the target and 99 % of it with its margin; --optimise coverage seeks "
            "the margin at every place, with more applicators."
        )
    return (
        f"The margin goal of {options.margin_mm:g} mm is not met everywhere: "
        + next(r.note for r in e.rows if r.name == "minimal ablative margin")
        + f". Covered are {100 * e.target_coverage:.2f} % of the target and "
        f"{100 * e.margin_coverage:.2f} % of it with its margin.{more} Tried, on the search grid: "
        + "; ".join(tried)
        + "."
    )


def paint_target(labels: LabelMap, target: NDArray[np.bool_], organ: str | None) -> LabelMap:
    """The labels with the target as "tumour" where it covers organ or plain tissue.

    Vessels, bone, gas and hollow organs inside the mask stay what they are: a needle must still
    avoid them and blood still warms.
    """
    names = _PAINTABLE if organ is None else (organ, *_PAINTABLE)
    return labels.with_mask(structure("tumour"), target & labels.mask(*names))


def _provenance(
    inputs: dict[str, str], options: PlanOptions, rules: PathRules, result: AblationResult
) -> Provenance:
    phases = "chosen" if options.schedule is None else ", ".join(
        f"{p.kind} {p.duration_s:g} s" for p in options.schedule.phases
    )  # fmt: skip
    settings: dict[str, float | int | str | bool] = {
        "margin_mm": options.margin_mm,
        "probes": "auto" if options.probes is None else options.probes,
        "applicator": options.applicator,
        "modality": options.modality,
        "objective": options.objective,
        "fixed": len(options.fixed),
        "lethal.threshold_c": options.lethal.threshold_c,
        "lethal.cycles": options.lethal.cycles,
        "schedule": phases,
        **({"uncertainty": options.errors.words} if options.objective == "robust" else {}),
        **rules.as_options(),
        **{f"simulation.{k}": v for k, v in sorted(result.options.items())},
    }
    return Provenance(
        irplan_version=irplan.__version__,
        seed=options.seed,
        inputs=inputs,
        options=settings,
        backend=result.backend,
        precision=result.precision,
    )


def voxel_hash(array: NDArray[Any]) -> str:
    """SHA-256 of the voxel values (shape, type, bytes in slice, row, column order), hex."""
    data = np.ascontiguousarray(array)
    head = f"{data.shape} {data.dtype.newbyteorder('<').str} ".encode()
    little = data.astype(data.dtype.newbyteorder("<"), copy=False)
    return hashlib.sha256(head + little.tobytes()).hexdigest()
