"""What was achieved: needles that are really there, the zone they make, the zone that was seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import AblationProblem, AblationResult, Placement
from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import InputError, IrplanError
from irplan.geometry import Needle
from irplan.guidance.margin_verdict import (
    MarginVerdict,
    check_margin_error,
    judge_margin,
    not_assessable,
)
from irplan.guidance.needle_match import NeedleMatches, match_needles
from irplan.image import LabelMap, Volume
from irplan.planning import AblationPlan, PlanEvaluation, evaluate_plan, evaluate_zone
from irplan.planning.case import PlanOptions, plan_ablation
from irplan.planning.margins import TargetGeometry
from irplan.planning.modality import modality
from irplan.planning.obstacles import target_organ

#: Error of a needle's tip in a control scan, mm: what recognition is meant to keep in 95 % of
#: scans (a target, not a measurement).
NEEDLE_ERROR_MM = 1.0
#: Larger registration errors make every verdict "not assessable", mm.
WORST_REGISTRATION_MM = 10.0


@dataclass(frozen=True, eq=False)
class Verification:
    """A plan held against what was done.

    ``achieved`` is the plan with the needles that are in (None where no needle of the plan was
    found); ``simulated`` and ``seen`` the two evaluations with their verdicts; what was not given
    is None, and its verdict says "not assessable" and why.
    """

    plan: AblationPlan
    matches: NeedleMatches
    achieved: AblationPlan | None
    result: AblationResult | None
    simulated: PlanEvaluation | None
    simulated_verdict: MarginVerdict
    seen: PlanEvaluation | None
    seen_verdict: MarginVerdict
    registration_error_mm: float | None
    messages: tuple[str, ...]


def verify(
    plan: AblationPlan,
    needles: Sequence[Needle],
    labels: LabelMap,
    target_mask: NDArray[Any],
    *,
    zone: NDArray[np.bool_] | None = None,
    registration_error_mm: float | None = None,
    registration_failed: str = "",
    needle_error_mm: float = NEEDLE_ERROR_MM,
    wanted_mm: float | None = None,
    include_extra: bool = False,
    progress: Progress = no_progress,
) -> Verification:
    """Match, simulate again with the needles that are in, judge the zone that was seen.

    Parameters
    ----------
    plan : what was planned.
    needles : needles of the control scan, carried to the plan's frame (LPS mm); may be empty.
    labels, target_mask : what the plan was made on.
    zone : ablation zone of the control scan on the labels' grid, registered; None: not seen.
    registration_error_mm : target registration error of that carrying; None: not known, and every
        verdict is "not assessable".
    registration_failed : why the registration is not to be trusted; empty where it is.  Then
        ``needles`` and ``zone`` may both be left out: every verdict is "not assessable", and no
        needle is called missing.
    needle_error_mm : error of the tips, added in quadrature for the simulated zone.
    wanted_mm : margin that counts as complete; default the plan's goal.
    include_extra : simulate needles that were not planned too, with the first planned applicator.

    Raises
    ------
    InputError : errors out of range, an empty zone, or nothing to verify.
    GridMismatchError : another grid.
    SolverError : the simulation's own.
    """
    wanted = plan.margin_goal_mm if wanted_mm is None else float(wanted_mm)
    if not needles and zone is None and not registration_failed:
        raise InputError(
            "verification",
            got="no needle in view and no ablation zone",
            expected="needles of the control scan, a zone, or both",
            remedy="Give the control scan's needles, or the zone as a mask.",
        )
    if not (np.isfinite(needle_error_mm) and needle_error_mm >= 0.0):
        raise InputError(
            "needle_error_mm",
            got=f"{needle_error_mm}",
            expected="0 mm or more",
            remedy="Give the error of the tips in mm.",
        )
    check_margin_error(wanted, registration_error_mm)  # before minutes of simulation
    error = registration_error_mm
    messages: list[str] = []
    doubt = registration_failed
    if not doubt and error is not None and error > WORST_REGISTRATION_MM:
        doubt = (
            f"a registration error of {error:g} mm is above {WORST_REGISTRATION_MM:g} mm: nothing "
            "can be said about margins"
        )
    compared = not registration_failed or len(needles) > 0
    # where nothing could be compared nothing is missing
    matches = match_needles([p.needle for p in plan.placements] if compared else [], needles)
    achieved = _achieved(plan, matches, needles, include_extra, messages)
    geometry = TargetGeometry.from_mask(
        np.asarray(target_mask, bool), labels, target_organ(labels, np.asarray(target_mask, bool))
    )

    result = simulated = None
    if achieved is None:
        simulated_verdict = not_assessable(wanted, "no planned needle was found in the control")
    else:
        result = _simulated(achieved, labels, portion(progress, 0.0, 0.8))
        simulated = evaluate_plan(achieved, result, labels, target_mask, target=geometry)
        both = None if error is None else float(np.hypot(error, needle_error_mm))
        simulated_verdict = judge_margin(simulated, wanted_mm=wanted, error_mm=both)
    seen = None
    if zone is None:
        seen_verdict = not_assessable(wanted, "no zone of the control scan was given")
    else:
        progress(0.85, "margins of the zone seen")
        seen = evaluate_zone(
            plan if achieved is None else achieved, zone, labels, target_mask, target=geometry
        )
        seen_verdict = judge_margin(seen, wanted_mm=wanted, error_mm=error)
    if doubt:
        simulated_verdict = _doubted(simulated_verdict, doubt)
        seen_verdict = _doubted(seen_verdict, doubt)
        messages.append(f"The registration is not to be trusted: {doubt}.")
    progress(1.0, "verified")
    return Verification(
        plan, matches, achieved, result, simulated, simulated_verdict, seen, seen_verdict, error,
        tuple(messages),
    )  # fmt: skip


def propose_more_needles(
    done: Verification,
    labels: LabelMap,
    target_mask: NDArray[Any],
    *,
    volume: Volume | None = None,
    progress: Progress = no_progress,
) -> AblationPlan | None:
    """A new plan that keeps the needles in place and adds as few as reach the margin goal.

    None where the needles that are in already reach it.  ``volume`` is the image planned on; it
    is recorded with the plan and not else used.  Raises `InputError` where no needle of the plan
    is in, and what `plan_ablation` raises (`NoAdmissiblePathError`, `PlanningError`).
    """
    if done.achieved is None:
        raise InputError(
            "replan",
            got="no needle of the plan in place",
            expected="at least one",
            remedy="Make a new plan with irplan plan.",
        )
    plan = done.plan
    kind = plan.placements[0].applicator.kind
    options = PlanOptions(
        margin_mm=plan.margin_goal_mm,
        lethal=plan.lethal,
        schedule=plan.schedule,
        modality=kind,
        applicator=plan.placements[0].applicator.name,
        fixed=done.achieved.placements,
        seed=plan.provenance.seed,
    )
    image = Volume(labels.array, labels.grid, "1") if volume is None else volume
    found = plan_ablation(
        image, labels, target_mask, options=options,
        target_source=plan.target.source, progress=progress,
    )  # fmt: skip
    made = found.plan
    if volume is None:
        inputs = {k: v for k, v in made.provenance.inputs.items() if k != "image"}
        made = replace(made, provenance=replace(made.provenance, inputs=inputs))
    return made if len(made.placements) > len(done.achieved.placements) else None


def _achieved(
    plan: AblationPlan,
    matches: NeedleMatches,
    needles: Sequence[Needle],
    include_extra: bool,
    messages: list[str],
) -> AblationPlan | None:
    """The plan with the needles that are in, as a new draft."""
    if needles and matches.missing:
        names = ", ".join(str(n + 1) for n in matches.missing)
        messages.append(f"Planned and not found: needle {names}; it is not simulated.")
    placed = []
    for pair in matches.pairs:
        planned = plan.placements[pair.planned]
        placed.append(_placement(needles[pair.achieved], planned, f"needle {pair.planned + 1}"))
    if matches.extra:
        names = ", ".join(str(n + 1) for n in matches.extra)
        word = "simulated with" if include_extra else "left out of"
        messages.append(f"Found and not planned: needle {names} of the scan; {word} the zone.")
        if include_extra:
            placed += [
                _placement(needles[n], plan.placements[0], f"needle {n + 1} of the scan")
                for n in matches.extra
            ]
    if not placed:
        return None
    return replace(plan, placements=tuple(placed), review=type(plan.review)())


def _placement(needle: Needle, like: Placement, name: str) -> Placement:
    try:
        return Placement(needle, like.applicator, "achieved")
    except IrplanError as error:
        raise InputError(
            f"{name}: {error.field}",
            got=error.got,
            expected=error.expected,
            remedy="Check the needle's entry: the shaft outside the skin does not count.",
        ) from error


def _simulated(plan: AblationPlan, labels: LabelMap, progress: Progress) -> AblationResult:
    way = modality(plan.placements[0].applicator.kind, lethal=plan.lethal)
    problem = AblationProblem.from_labels(
        labels, plan.placements, plan.schedule, spacing_mm=way.final_mm
    )
    return way.simulate(problem, search=False, progress=progress)


def _doubted(verdict: MarginVerdict, doubt: str) -> MarginVerdict:
    return replace(verdict, state="not assessable", reason=doubt)
