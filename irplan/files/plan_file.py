"""The plan file: JSON with a versioned, strict schema; the same plan gives the same bytes."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from irplan import RESEARCH_USE_ONLY
from irplan.ablation.applicator import Applicator
from irplan.ablation.lethal import LethalRule
from irplan.ablation.placement import Placement
from irplan.ablation.schedule import Phase, Schedule
from irplan.errors import FileFormatError, InputError, IrplanError
from irplan.files.atomic import atomic_path
from irplan.files.json_text import dump_json, load_json, rounded
from irplan.geometry import Needle
from irplan.planning.plan import AblationPlan, Provenance, Review, Target

#: Name in the field ``schema`` of every plan file.
PLAN_SCHEMA = "irplan-plan"
#: The version this irplan writes, and the newest it reads.
PLAN_SCHEMA_VERSION = 1

_SCHEMA_FILE = Path(__file__).parent / "schemas" / "plan-1.schema.json"


def write_plan(plan: AblationPlan, path: str | Path) -> None:
    """Write ``plan`` to ``path`` as JSON (schema ``irplan-plan`` 1), whole or not at all.

    Floats are rounded to 1e-6 of their unit; no clock or machine name enters.  The text is
    checked against the schema and read back before it is written.  Raises `InputError` for
    values JSON cannot hold, `OutputError` where ``path`` cannot be written.
    """
    text = plan_to_json(plan)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def read_plan(path: str | Path) -> AblationPlan:
    """The plan in ``path``; `read_plan` of what `write_plan` wrote equals it to 1e-6.

    Raises `FileFormatError` (with the place in the file) for text that is not JSON, truncated,
    of another kind, of a newer or unknown schema, or against the schema; and where the values
    are impossible (a needle of no length, say).
    """
    file = Path(path)
    return _plan_from_data(load_json(file, what="plan file"), name=file.name)


def plan_to_json(plan: AblationPlan) -> str:
    """The text `write_plan` writes."""
    data = rounded(_data_from_plan(plan), field="plan")
    try:
        _plan_from_data(data, name="plan")
    except FileFormatError as error:
        raise InputError(
            "plan", got=error.got, expected=error.expected, remedy=error.remedy
        ) from error
    return dump_json(data, field="plan")


def _data_from_plan(plan: AblationPlan) -> dict[str, Any]:
    target, lethal, review, made = plan.target, plan.lethal, plan.review, plan.provenance
    return {
        "schema": PLAN_SCHEMA,
        "schema_version": PLAN_SCHEMA_VERSION,
        "notice": RESEARCH_USE_ONLY,
        "coordinate_system": "LPS",
        "frame_of_reference_uid": plan.frame_of_reference_uid,
        "target": {
            "centroid_mm": _floats(target.centroid_mm),
            "volume_ml": float(target.volume_ml),
            "diameter_mm": float(target.diameter_mm),
            "source": target.source,
        },
        "placements": [_data_from_placement(p) for p in plan.placements],
        "schedule": {
            "phases": [
                {"kind": p.kind, "duration_s": float(p.duration_s)} for p in plan.schedule.phases
            ]
        },
        "margin_goal_mm": float(plan.margin_goal_mm),
        "lethal": {"threshold_c": float(lethal.threshold_c), "cycles": int(lethal.cycles)},
        "review": {"state": review.state, "by": review.by, "reason": review.reason},
        "provenance": {
            "irplan_version": made.irplan_version,
            "seed": int(made.seed),
            "inputs": {k: made.inputs[k] for k in sorted(made.inputs)},
            "options": {k: made.options[k] for k in sorted(made.options)},
            "backend": made.backend,
            "precision": made.precision,
        },
    }


def _data_from_placement(placement: Placement) -> dict[str, Any]:
    a = placement.applicator
    return {
        "status": placement.status,
        "needle": {
            "entry_mm": _floats(placement.needle.entry_mm),
            "tip_mm": _floats(placement.needle.tip_mm),
        },
        "applicator": {
            "name": a.name,
            "kind": a.kind,
            "shaft_diameter_mm": float(a.shaft_diameter_mm),
            "active_length_mm": float(a.active_length_mm),
            "tip_offset_mm": float(a.tip_offset_mm),
            "working_temperature_c": float(a.working_temperature_c),
            "ramp_s": float(a.ramp_s),
            "max_insertion_mm": float(a.max_insertion_mm),
            "source": a.source,
        },
    }


def _floats(point: tuple[float, float, float]) -> list[float]:
    return [float(v) for v in point]


def _plan_from_data(data: dict[str, Any], *, name: str) -> AblationPlan:
    _require_schema(data, name)
    target, made, review = data["target"], data["provenance"], data["review"]
    try:
        return AblationPlan(
            target=Target(
                _point(target["centroid_mm"]),
                float(target["volume_ml"]),
                float(target["diameter_mm"]),
                target["source"],
            ),
            placements=tuple(_placement_from_data(p) for p in data["placements"]),
            schedule=Schedule(
                tuple(Phase(p["kind"], float(p["duration_s"])) for p in data["schedule"]["phases"])
            ),
            margin_goal_mm=float(data["margin_goal_mm"]),
            lethal=LethalRule(float(data["lethal"]["threshold_c"]), data["lethal"]["cycles"]),
            provenance=Provenance(
                irplan_version=made["irplan_version"],
                seed=made["seed"],
                inputs=dict(made["inputs"]),
                options=dict(made["options"]),
                backend=made["backend"],
                precision=made["precision"],
            ),
            frame_of_reference_uid=data["frame_of_reference_uid"],
            review=Review(review["state"], review["by"], review["reason"]),
        )
    except IrplanError as error:
        raise FileFormatError(
            f"plan file '{name}', {error.field}",
            got=error.got,
            expected=error.expected,
            remedy=error.remedy,
        ) from error


def _placement_from_data(data: dict[str, Any]) -> Placement:
    needle = Needle(
        tip_mm=_point(data["needle"]["tip_mm"]), entry_mm=_point(data["needle"]["entry_mm"])
    )
    fields: dict[str, Any] = {
        k: v if isinstance(v, str) else float(v) for k, v in data["applicator"].items()
    }
    return Placement(needle, Applicator(**fields), data["status"])


def _point(values: list[float]) -> tuple[float, float, float]:
    return (float(values[0]), float(values[1]), float(values[2]))


def _require_schema(data: dict[str, Any], name: str) -> None:
    kind, version = data.get("schema"), data.get("schema_version")
    if kind != PLAN_SCHEMA:
        raise FileFormatError(
            f"plan file '{name}', schema",
            got="nothing" if kind is None else repr(kind)[:60],
            expected=repr(PLAN_SCHEMA),
            remedy="This is not a plan of irplan; give the plan.json that 'irplan plan' wrote.",
        )
    if type(version) is not int or not 1 <= version <= PLAN_SCHEMA_VERSION:
        newer = type(version) is int and version > PLAN_SCHEMA_VERSION
        raise FileFormatError(
            f"plan file '{name}', schema_version",
            got=repr(version)[:60],
            expected=f"1 to {PLAN_SCHEMA_VERSION}",
            remedy="It was made by a newer irplan: update irplan to read it."
            if newer
            else "Write the plan again with this irplan.",
        )
    from jsonschema.exceptions import best_match

    error = best_match(_validator().iter_errors(data))
    if error is not None:
        message = error.message if len(error.message) <= 160 else error.message[:157] + "..."
        raise FileFormatError(
            f"plan file '{name}' at {error.json_path}",
            got=message,
            expected=_expected(error.schema),
            remedy="Mend that place, or write the plan again.",
        )


def _expected(schema: Any) -> str:
    text = schema.get("description") if isinstance(schema, dict) else None
    return text.rstrip(".") if text else "what the schema irplan-plan 1 allows"


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    schema = json.loads(_SCHEMA_FILE.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)
