"""An evaluation as JSON: every row, margins by direction, shells, the probability of coverage."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from irplan import RESEARCH_USE_ONLY, __version__
from irplan.files.atomic import atomic_path
from irplan.files.json_text import dump_json, rounded
from irplan.planning.evaluation import PlanEvaluation
from irplan.planning.robustness_result import CoverageProbability

#: Name and version of what `write_evaluation` writes.
EVALUATION_SCHEMA, EVALUATION_SCHEMA_VERSION = "irplan-evaluation", 1


def evaluation_to_data(evaluation: PlanEvaluation) -> dict[str, Any]:
    """Everything but the margin at each point of the surface; what is not known is null."""
    reach, chance = evaluation.zone_reach, evaluation.coverage_probability
    data = {
        "schema": EVALUATION_SCHEMA,
        "schema_version": EVALUATION_SCHEMA_VERSION,
        "notice": RESEARCH_USE_ONLY,
        "irplan_version": __version__,
        "status": evaluation.status,
        "minimal_margin_mm": evaluation.minimal_margin_mm,
        "minimal_margin_at_mm": list(evaluation.minimal_margin_at_mm),
        "minimal_margin_capsule_counted_mm": evaluation.minimal_margin_all_mm,
        "target_coverage": evaluation.target_coverage,
        "margin_coverage": evaluation.margin_coverage,
        "shell_coverage": {f"{k:g}": v for k, v in evaluation.shell_coverage.items()},
        "zone_volume_ml": dict(evaluation.zone_volume_ml),
        "organ_distance_mm": dict(evaluation.organ_distance_mm),
        "directions": [
            {
                "name": d.name,
                "minimal_mm": _known(d.minimal_mm),
                "mean_mm": _known(d.mean_mm),
                "at_mm": None if d.at_mm is None else list(d.at_mm),
                "reach_mm": _known(d.reach_mm),
            }
            for d in evaluation.directions
        ],
        "zone_to_target": None
        if reach is None
        else {
            "least_mm": reach.least_mm,
            "mean_mm": reach.mean_mm,
            "most_mm": reach.most_mm,
            "most_at_mm": list(reach.most_at_mm),
        },
        "histogram": {
            "edges_mm": [float(v) for v in evaluation.histogram_edges_mm],
            "fraction": [float(v) for v in evaluation.histogram_fraction],
        },
        "coverage_probability": None if chance is None else _probability(chance),
        "rows": [
            {
                "name": r.name,
                "value": r.value,
                "unit": r.unit,
                "limit": r.limit,
                "status": r.status,
                "note": r.note,
                "source": r.source,
            }
            for r in evaluation.rows
        ],
    }
    out: dict[str, Any] = rounded(data, field="evaluation")
    return out


def write_evaluation(evaluation: PlanEvaluation, path: str | Path) -> None:
    """`evaluation_to_data` as a JSON file; raises `OutputError`."""
    text = dump_json(evaluation_to_data(evaluation), field="evaluation")
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def _probability(chance: CoverageProbability) -> dict[str, Any]:
    checked = chance.fast_error
    return {
        "margin_mm": chance.margin_mm,
        "probability": chance.probability,
        "interval_95": list(chance.interval),
        "target_only": chance.target_only.value,
        "target_only_interval_95": list(chance.target_only.interval),
        "samples": chance.samples,
        "seed": chance.seed,
        "mode": chance.mode,
        "refused": chance.refused,
        "uncertainty": chance.uncertainty,
        "margin_quantiles_mm": {f"{q:g}": v for q, v in chance.margin_quantiles_mm.items()},
        "sources": [
            {"name": s.name, "share": s.share, "probability_without": s.without}
            for s in chance.sources
        ],
        "fast_error": None
        if checked is None
        else {
            "pairs": checked.pairs,
            "disagree": checked.disagree,
            "bias_mm": checked.bias_mm,
            "rms_mm": checked.rms_mm,
        },
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
