"""Planning: rules, needle paths, probes, margins, the plan and its verdict."""

from irplan.planning.case import AUTO, PlannedCase, PlanOptions, plan_case
from irplan.planning.evaluate import evaluate_plan, evaluate_zone
from irplan.planning.evaluation import (
    DirectionMargin,
    MarginSurface,
    PlanEvaluation,
    Row,
    Status,
    ZoneReach,
)
from irplan.planning.margins import MarginReport, TargetGeometry, measure_margins
from irplan.planning.paths import (
    NeedleError,
    PathCandidate,
    PathSearch,
    PathTerm,
    PathWeights,
)
from irplan.planning.plan import AblationPlan, Provenance, Target
from irplan.planning.review import edit_plan, set_review
from irplan.planning.review_states import Change, Review, ReviewState, next_review
from irplan.planning.robustness import coverage_probability
from irplan.planning.robustness_result import CoverageProbability
from irplan.planning.robustness_uncertainty import Uncertainty, preset
from irplan.planning.rules import OBSTACLES, Limit, Obstacle, PathRules
from irplan.planning.trajectories import find_paths

__all__ = [
    "AUTO",
    "OBSTACLES",
    "AblationPlan",
    "Change",
    "CoverageProbability",
    "DirectionMargin",
    "Limit",
    "MarginReport",
    "MarginSurface",
    "NeedleError",
    "Obstacle",
    "PathCandidate",
    "PathRules",
    "PathSearch",
    "PathTerm",
    "PathWeights",
    "PlanEvaluation",
    "PlanOptions",
    "PlannedCase",
    "Provenance",
    "Review",
    "ReviewState",
    "Row",
    "Status",
    "Target",
    "TargetGeometry",
    "Uncertainty",
    "ZoneReach",
    "coverage_probability",
    "edit_plan",
    "evaluate_plan",
    "evaluate_zone",
    "find_paths",
    "measure_margins",
    "next_review",
    "plan_case",
    "preset",
    "set_review",
]
