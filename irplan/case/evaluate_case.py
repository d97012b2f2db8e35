"""A plan's folder judged anew: its own simulation, or a zone seen in a control scan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import AblationProblem
from irplan.case.open import open_mask_and_notes
from irplan.case.plan_folder import open_plan_folder
from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import InputError
from irplan.files import OutputFolder, write_evaluation_csv
from irplan.files.evaluation_file import write_evaluation
from irplan.files.uncertainty_file import read_uncertainty
from irplan.image import LabelMap
from irplan.planning import (
    AblationPlan,
    PlanEvaluation,
    TargetGeometry,
    Uncertainty,
    coverage_probability,
    evaluate_plan,
    evaluate_zone,
)
from irplan.planning.modality import modality
from irplan.planning.obstacles import target_organ
from irplan.planning.robustness import check_sampling
from irplan.planning.robustness_result import Mode
from irplan.viz import margin_globe, margin_map, png_bytes

_DPI = 110


@dataclass(frozen=True)
class EvaluateRequest:
    """What ``irplan evaluate`` is asked; ``plan`` is a plan.json or the folder it lies in.

    ``labels`` and ``target`` default to ``labels.nii.gz`` and ``target.nii.gz`` beside it;
    ``robust`` is the name of a preset or a TOML file.
    """

    plan: Path
    zone: Path | None = None
    robust: str | None = None
    labels: Path | None = None
    target: Path | None = None
    out: Path | None = None
    samples: int | None = None
    seed: int = 0
    full: bool = False
    check_pairs: int | None = None


@dataclass(frozen=True, eq=False)
class Judged:
    """A plan with its new evaluation and what the user should know."""

    plan: AblationPlan
    evaluation: PlanEvaluation
    messages: tuple[str, ...]


def run_evaluate(request: EvaluateRequest, *, progress: Progress = no_progress) -> Judged:
    """Judge a plan again and, where ``out`` is given, write tables, JSON and figures there.

    Raises `FileFormatError`, `InputError` and `GridMismatchError` for missing or unfitting files,
    `OutputError` where ``out`` cannot be written; it is whole or absent.
    """
    if request.out is not None:
        OutputFolder.check(request.out)
    uncertainty = None if request.robust is None else read_uncertainty(request.robust)
    if request.zone is not None and uncertainty is not None:
        raise InputError(
            "--robust",
            got="both --zone and --robust",
            expected="one of them",
            remedy="A zone that is there already is not uncertain by placement: leave one out.",
        )
    opened = open_plan_folder(request.plan, labels=request.labels, target=request.target)
    plan, labels, target = opened.plan, opened.labels, opened.target
    messages = opened.messages
    if request.zone is not None:
        zone, notes = open_mask_and_notes(request.zone, labels.grid)
        evaluation = evaluate_zone(plan, zone, labels, target, unknown=opened.unknown)
        messages += notes
    else:
        evaluation = _simulated(
            request, plan, labels, target, uncertainty, opened.unknown, progress
        )
    judged = Judged(plan, evaluation, tuple(dict.fromkeys(messages)))
    if request.out is not None:
        with OutputFolder(request.out) as folder:
            _write(judged, folder)
    progress(1.0, "done")
    return judged


def _simulated(
    request: EvaluateRequest,
    plan: AblationPlan,
    labels: LabelMap,
    target: NDArray[np.bool_],
    uncertainty: Uncertainty | None,
    unknown: NDArray[np.bool_] | None,
    progress: Progress,
) -> PlanEvaluation:
    kind = plan.placements[0].applicator.kind
    mode: Mode = "full" if request.full else "fast"
    if uncertainty is not None:  # before the plan is simulated
        check_sampling(
            plan, request.samples, request.seed, mode, request.check_pairs,
            margin_mm=plan.margin_goal_mm,
        )  # fmt: skip
    way = modality(kind, lethal=plan.lethal)
    problem = AblationProblem.from_labels(
        labels, plan.placements, plan.schedule, spacing_mm=way.final_mm
    )
    result = way.simulate(problem, search=False, progress=portion(progress, 0.0, 0.4))
    geometry = TargetGeometry.from_mask(target, labels, target_organ(labels, target))
    chance = None
    if uncertainty is not None:
        chance = coverage_probability(
            plan, labels, geometry, uncertainty,
            result=result, samples=request.samples, seed=request.seed,
            mode=mode, check_pairs=request.check_pairs,
            progress=portion(progress, 0.4, 0.95),
        )  # fmt: skip
    return evaluate_plan(
        plan, result, labels, target, target=geometry, probability=chance, unknown=unknown
    )


def _write(judged: Judged, folder: Path) -> None:
    evaluation = judged.evaluation
    write_evaluation(evaluation, folder / "evaluation.json")
    write_evaluation_csv(evaluation, folder / "evaluation.csv")
    _margin_points(evaluation, folder / "margins.csv")
    (folder / "figures").mkdir()
    for name, figure in (("margin", margin_map(judged)), ("margin_globe", margin_globe(judged))):
        (folder / "figures" / f"{name}.png").write_bytes(png_bytes(figure, _DPI))


def _margin_points(evaluation: PlanEvaluation, path: Path) -> None:
    """The margin at every point of the target's surface: x, y, z (LPS mm), margin, counted."""
    m = evaluation.margin
    lines = ["x_mm,y_mm,z_mm,area_mm2,margin_mm,counted"]
    for p, area, margin, counted in zip(
        m.points_mm, m.area_mm2, m.margin_mm, m.counted, strict=True
    ):
        lines.append(f"{p[0]:.3f},{p[1]:.3f},{p[2]:.3f},{area:.4f},{margin:.3f},{int(counted)}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
