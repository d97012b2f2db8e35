"""The plan file: JSON with a versioned, strict schema; the same plan gives the same bytes."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from irplan import RESEARCH_USE_ONLY
from irplan.ablation.applicator import Applicator
from irplan.ablation.device import CryoDevice, Device, IreDevice, MwaDevice, RfaDevice
from irplan.ablation.lethal import LethalRule
from irplan.ablation.placement import Placement
from irplan.ablation.schedule import Phase, Schedule
from irplan.ablation.zones import PublishedZone
from irplan.errors import FileFormatError, InputError, IrplanError
from irplan.files.atomic import atomic_path
from irplan.files.json_text import dump_json, load_json, rounded
from irplan.geometry import Needle
from irplan.planning.plan import AblationPlan, Provenance, Target
from irplan.planning.review_states import Change, Review

#: Name in the field ``schema`` of every plan file.
PLAN_SCHEMA = "irplan-plan"
#: The version this irplan writes, and the newest it reads.
PLAN_SCHEMA_VERSION = 2

_SCHEMAS = Path(__file__).parent / "schemas"


def write_plan(plan: AblationPlan, path: str | Path) -> None:
    """Write ``plan`` to ``path`` as JSON (schema ``irplan-plan`` 2), whole or not at all.

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
    of another kind, of a newer or unknown schema, or against the schema; where the values are
    impossible (a needle of no length, say); and where a plan was changed by hand after its review.
    Files of version 1 are read too: what they do not say takes its default.
    """
    file = Path(path)
    return _plan_from_data(load_json(file, what="plan file"), name=file.name)


def plan_to_json(plan: AblationPlan) -> str:
    """The text `write_plan` writes."""
    data = rounded(_data_from_plan(plan), field="plan")
    if plan.review.state != "draft":
        data["review"]["content_sha256"] = _content_sha256(data)
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
                {
                    "kind": p.kind,
                    "duration_s": float(p.duration_s),
                    "power_w": None if p.power_w is None else float(p.power_w),
                    "withdraw_mm": float(p.withdraw_mm),
                }
                for p in plan.schedule.phases
            ]
        },
        "margin_goal_mm": float(plan.margin_goal_mm),
        "lethal": {
            "threshold_c": float(lethal.threshold_c),
            "cycles": int(lethal.cycles),
            "hold_s": float(lethal.hold_s),
        },
        "review": {
            "state": review.state,
            "by": review.by,
            "reason": review.reason,
            "when": review.when,
            "content_sha256": None,
        },
        "history": [
            {"when": c.when, "who": c.who, "what": c.what, "why": c.why} for c in plan.history
        ],
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
            "device": None if a.device is None else {"kind": a.kind, **asdict(a.device)},
            "zones": [asdict(z) for z in a.zones],
        },
    }


def _content_sha256(data: dict[str, Any]) -> str:
    """SHA-256 of everything that a review vouches for, hex."""
    kept = {k: v for k, v in data.items() if k not in ("notice", "review", "history")}
    text = json.dumps(kept, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _floats(point: tuple[float, float, float]) -> list[float]:
    return [float(v) for v in point]


def _plan_from_data(data: dict[str, Any], *, name: str) -> AblationPlan:
    _require_schema(data, name)
    old = data["schema_version"] == 1
    if old:
        data = _from_version_1(data)
        _require_schema(data, name)
    target, made, review = data["target"], data["provenance"], data["review"]
    try:
        plan = AblationPlan(
            target=Target(
                _point(target["centroid_mm"]),
                float(target["volume_ml"]),
                float(target["diameter_mm"]),
                target["source"],
            ),
            placements=tuple(_placement_from_data(p) for p in data["placements"]),
            schedule=Schedule(
                tuple(
                    Phase(p["kind"], float(p["duration_s"]), p["power_w"], float(p["withdraw_mm"]))
                    for p in data["schedule"]["phases"]
                )
            ),
            margin_goal_mm=float(data["margin_goal_mm"]),
            lethal=LethalRule(
                float(data["lethal"]["threshold_c"]),
                data["lethal"]["cycles"],
                float(data["lethal"]["hold_s"]),
            ),
            provenance=Provenance(
                irplan_version=made["irplan_version"],
                seed=made["seed"],
                inputs=dict(made["inputs"]),
                options=dict(made["options"]),
                backend=made["backend"],
                precision=made["precision"],
            ),
            frame_of_reference_uid=data["frame_of_reference_uid"],
            review=Review(review["state"], review["by"], review["reason"], review["when"]),
            history=tuple(Change(**c) for c in data["history"]),
        )
    except IrplanError as error:
        raise FileFormatError(
            f"plan file '{name}', {error.field}",
            got=error.got,
            expected=error.expected,
            remedy=error.remedy,
        ) from error
    if not old:
        _require_unchanged(data, name)
    return plan


def _placement_from_data(data: dict[str, Any]) -> Placement:
    needle = Needle(
        tip_mm=_point(data["needle"]["tip_mm"]), entry_mm=_point(data["needle"]["entry_mm"])
    )
    fields: dict[str, Any] = {
        k: float(v) if isinstance(v, int) else v for k, v in data["applicator"].items()
    }
    fields["device"] = _device(fields["device"])
    try:
        fields["zones"] = tuple(PublishedZone(**z) for z in fields["zones"])
    except TypeError as error:
        raise _misnamed("zones", error) from error
    return Placement(needle, Applicator(**fields), data["status"])


def _device(data: dict[str, Any] | None) -> Device | None:
    if data is None:
        return None
    given = dict(data)
    kinds = {d.kind: d for d in (CryoDevice, RfaDevice, MwaDevice, IreDevice)}
    kind = given.pop("kind")
    if kind not in kinds:
        raise _misnamed("device.kind", f"'{kind}'")
    if "tines" in given:
        given["tines"] = tuple(tuple(tuple(p) for p in line) for line in given["tines"])
    try:
        device: Device = kinds[kind](**given)
    except TypeError as error:
        raise _misnamed("device", error) from error
    return device


def _misnamed(field: str, problem: object) -> InputError:
    return InputError(
        f"applicator.{field}",
        got=str(problem),
        expected="the fields that irplan writes",
        remedy="Mend that place, or write the plan again.",
    )


def _from_version_1(data: dict[str, Any]) -> dict[str, Any]:
    """Version 1 knew no power, hold time, device, history, nor a time and hash of the review."""
    new = copy.deepcopy(data)
    new["schema_version"] = PLAN_SCHEMA_VERSION
    new["lethal"]["hold_s"] = 0.0
    new["history"] = []
    new["review"] |= {"when": "", "content_sha256": None}
    for phase in new["schedule"]["phases"]:
        phase |= {"power_w": None, "withdraw_mm": 0.0}
    for placement in new["placements"]:
        placement["applicator"] |= {"device": None, "zones": []}
    return new


def _require_unchanged(data: dict[str, Any], name: str) -> None:
    """Raise where the content is not what was reviewed: evidence is not edited by hand."""
    review = data["review"]
    if review["state"] == "draft" or review["content_sha256"] == _content_sha256(
        rounded(data, field=name)
    ):
        return
    raise FileFormatError(
        f"plan file '{name}' at $.review.content_sha256",
        got=f"a plan that was changed after it was {review['state']} by {review['by']}",
        expected="the content that was reviewed",
        remedy="Take the file as it was reviewed; to change a plan, edit it with irplan, which "
        "makes a new draft and writes the history.",
    )


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

    error = best_match(_validator(version).iter_errors(data))
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
    return text.rstrip(".") if text else "what the schema irplan-plan allows"


@cache
def _validator(version: int) -> Any:
    from jsonschema import Draft202012Validator

    file = _SCHEMAS / f"plan-{version}.schema.json"
    schema = json.loads(file.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)
