"""Dose reports, plans, recognised needles and verifications turned into events of a log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

from irplan.errors import InputError, IrplanError
from irplan.planning.plan import AblationPlan
from irplan.procedure.dose import DoseEvent, DoseReport, total_of
from irplan.procedure.events import NewEvent, Origin, Source

#: Schema of what ``irplan verify`` writes.
VERIFICATION_SCHEMA = "irplan-verification"
#: Irradiation event types of an RDSR in the log's words.
_ROTATIONAL, _FLUOROSCOPY = "rotational", "fluoroscopy"
#: Evaluation fields (``irplan evaluate --json``) -> verification fields and the factor between.
_EVALUATION = {
    "minimal_margin_mm": ("minimal_margin_mm", 1.0),
    "target_coverage": ("covered_percent", 100.0),
    "margin_coverage": ("margin_covered_percent", 100.0),
}
_VERIFICATION = (
    "lesion",
    "method",
    "zone_mm",
    "zone_volume_ml",
    "minimal_margin_mm",
    "covered_percent",
    "margin_covered_percent",
    "technical_success",
    "side",
)


def events_from_dose(report: DoseReport, *, zone: tzinfo | None = None) -> tuple[NewEvent, ...]:
    """An "imaging" event for each irradiation event, a "dose_total", and a note for each flag.

    ``zone``: where the system's clock runs; needed where the file states local times without one.
    What the file does not state is left out.  Raises `InputError` for a time without a zone.
    """
    out = []
    for number, event in enumerate(report.events, start=1):
        source = _source("rdsr", report.sha256, f"event {number}")
        out.append(NewEvent("imaging", _imaging(event), source, _when(event.started, zone)))
    last = max((n.at for n in out if n.at is not None), default=None)
    kinds: list[str] = [e.kind for e in report.events]
    totals: dict[str, Any] = {
        "kap_gy_cm2": total_of(report.totals, "dap_gy_cm2"),
        "air_kerma_mgy": total_of(report.totals, "air_kerma_mgy"),
        "fluoroscopy_s": total_of(report.totals, "fluoro_time_s"),
        "runs": sum(k != _FLUOROSCOPY for k in kinds) if kinds else None,
        "cbct": kinds.count(_ROTATIONAL) if kinds else None,
        "system": f"{report.manufacturer} {report.model}".strip() or None,
    }
    if any(v is not None for v in totals.values()):
        source = _source("rdsr", report.sha256, "totals")
        out.append(NewEvent("dose_total", totals, source, last))
    for flag in report.flags:
        source = _source("rdsr", report.sha256, f"flag {flag.code}")
        out.append(NewEvent("note", {"text": f"Dose report: {flag.text}"}, source, last))
    return tuple(out)


def events_from_plan(
    plan: AblationPlan, sha256: str, *, lesion: str | None = None, side: str | None = None
) -> tuple[NewEvent, ...]:
    """A "plan" event and a "needle" event for each placement; ``sha256`` of its file.

    A file with achieved placements only is no plan that is used: it gives needles (placed) alone.
    """
    energy = plan.placements[0].applicator.kind
    data = {
        "lesion": lesion,
        "side": side,
        "sha256": sha256,
        "state": plan.review.state,
        "energy": energy,
        "needles": len(plan.placements),
        "margin_goal_mm": float(plan.margin_goal_mm),
    }
    used = any(p.status == "planned" for p in plan.placements)
    out = [NewEvent("plan", data, _source("plan", sha256, "$"))] if used else []
    for number, placement in enumerate(plan.placements, start=1):
        needle = {
            "number": number,
            "status": "planned" if placement.status == "planned" else "placed",
            "lesion": lesion,
            "applicator": placement.applicator.name,
            "entry_mm": [float(v) for v in placement.needle.entry_mm],
            "tip_mm": [float(v) for v in placement.needle.tip_mm],
            "frame_uid": plan.frame_of_reference_uid,
        }
        source = _source("plan", sha256, f"$.placements[{number - 1}]")
        out.append(NewEvent("needle", needle, source))
    return tuple(out)


def events_from_needles(
    data: Mapping[str, Any], sha256: str, *, at: datetime | None = None
) -> tuple[NewEvent, ...]:
    """A "needle" event (placed) for each item of ``data["needles"]`` that a recognition wrote.

    Each needs ``tip_mm`` and ``entry_mm`` (LPS); ``number``, ``applicator``, ``lesion`` and
    ``confidence`` are taken where they are there.  Raises `InputError` where none is there.
    """
    needles = data.get("needles")
    if not isinstance(needles, list) or not needles:
        raise _unusable("needles", "no list of needles")
    out = []
    for place, each in enumerate(needles):
        if not isinstance(each, Mapping):
            raise _unusable(f"needles[{place}]", "no needle")
        kept = ("number", "lesion", "applicator", "entry_mm", "tip_mm", "frame_uid", "confidence")
        needle = {"number": place + 1, "status": "placed"} | {
            k: each[k] for k in kept if each.get(k) is not None
        }
        needle.setdefault("frame_uid", data.get("frame_of_reference_uid"))
        out.append(_placed("needle", needle, sha256, f"$.needles[{place}]", "recognition", at))
    return tuple(out)


def events_from_verification(
    data: Mapping[str, Any], sha256: str, *, at: datetime | None = None
) -> tuple[NewEvent, ...]:
    """A "verification" event from what was measured afterwards.

    ``data`` is a verification (fields as in the event), several under "verifications", what
    ``irplan verify`` wrote, or an evaluation as ``irplan evaluate --json`` prints it.
    """
    if data.get("schema") == VERIFICATION_SCHEMA:
        return _from_verify(data, sha256, at)
    many = data.get("verifications")
    if isinstance(many, list):
        items = [(f"$.verifications[{n}]", v) for n, v in enumerate(many)]
    else:
        items = [("$", data)]
    out = []
    for place, each in items:
        if not isinstance(each, Mapping):
            raise _unusable(place, "no verification")
        kept = {k: each[k] for k in _VERIFICATION if each.get(k) is not None}
        if each.get("schema") == "irplan-evaluation":
            kept = _evaluated(each, "irplan evaluate")
        if not kept:
            raise _unusable(place, "none of the fields of a verification")
        out.append(_placed("verification", kept, sha256, place, "verification", at))
    return tuple(out)


def _evaluated(data: Mapping[str, Any], method: str) -> dict[str, Any]:
    kept: dict[str, Any] = {
        name: float(data[k]) * factor
        for k, (name, factor) in _EVALUATION.items()
        if isinstance(data.get(k), (int, float))
    }
    return kept | {"method": method} if kept else {}


def _from_verify(data: Mapping[str, Any], sha256: str, at: datetime | None) -> tuple[NewEvent, ...]:
    """The registration's stated error, and the zone that was seen (else the one simulated)."""
    out = []
    if isinstance(data.get("registration_error_mm"), (int, float)):
        found = {
            "moving": "control scan",
            "fixed": "planning scan",
            "error_mm": data["registration_error_mm"],
            "error_kind": "as stated to irplan verify",
        }
        place = "$.registration_error_mm"
        out.append(_placed("registration", found, sha256, place, "verification", at))
    ways = {
        "seen": "zone seen in the control scan (irplan verify)",
        "simulated": "simulated with the needles as placed (irplan verify)",
    }
    for key, method in ways.items():
        each = data.get(key)
        kept = _evaluated(each, method) if isinstance(each, Mapping) else {}
        if kept:
            out.append(_placed("verification", kept, sha256, f"$.{key}", "verification", at))
            break
    if not out:
        raise _unusable("$", "a verification without registration error and margins")
    return tuple(out)


def _imaging(event: DoseEvent) -> dict[str, Any]:
    modality = {_FLUOROSCOPY: "FLUOROSCOPY", _ROTATIONAL: "CBCT"}.get(event.kind, "RUN")
    return {
        "modality": modality,
        "protocol": event.protocol or None,
        "uid": event.uid or None,
        "frames": event.pulses,
        "kap_gy_cm2": event.dap_gy_cm2,
        "air_kerma_mgy": event.air_kerma_mgy,
        "fluoroscopy_s": event.beam_on_s if event.kind == _FLUOROSCOPY else None,
    }


def _placed(
    kind: str, data: dict[str, Any], sha256: str, place: str, how: Origin, at: datetime | None
) -> NewEvent:
    try:
        return NewEvent(kind, data, _source(how, sha256, place), at)
    except IrplanError as error:
        raise InputError(
            f"{place}: {error.field}",
            got=error.got,
            expected=error.expected,
            remedy="Mend that value in the file.",
        ) from error


def _source(how: Origin, sha256: str, place: str) -> Source:
    return Source(how, ref=f"sha256:{sha256}#{place}")


def _when(local: datetime | None, zone: tzinfo | None) -> datetime | None:
    if local is None or local.tzinfo is not None:
        return local
    if zone is None:
        raise InputError(
            "time zone",
            got="a file with local times and no zone",
            expected="the zone in which the system's clock runs",
            remedy="Give it, e.g. --zone Europe/Amsterdam.",
        )
    return local.replace(tzinfo=zone)


def _unusable(place: str, got: str) -> InputError:
    return InputError(
        place,
        got=got,
        expected="what irplan's recognition or verification writes",
        remedy="Give that file.",
    )
