"""Planning: rules, needle paths, probes, margins, the plan and its verdict."""

from irplan.planning.case import AUTO, PlannedCase, PlanOptions, plan_case
from irplan.planning.evaluate import evaluate_plan
from irplan.planning.evaluation import MarginSurface, PlanEvaluation, Row, Status
from irplan.planning.margins import MarginReport, TargetGeometry, measure_margins
from irplan.planning.paths import PathCandidate, PathSearch, PathTerm
from irplan.planning.plan import AblationPlan, Provenance, Review, Target
from irplan.planning.rules import OBSTACLES, Limit, Obstacle, PathRules
from irplan.planning.trajectories import PathWeights, find_paths

__all__ = [
    "AUTO",
    "OBSTACLES",
    "AblationPlan",
    "Limit",
    "MarginReport",
    "MarginSurface",
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
    "Row",
    "Status",
    "Target",
    "TargetGeometry",
    "evaluate_plan",
    "find_paths",
    "measure_margins",
    "plan_case",
]
