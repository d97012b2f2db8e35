"""A verification as JSON and its needles as a table."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from irplan import RESEARCH_USE_ONLY, __version__
from irplan.files.atomic import atomic_path
from irplan.files.evaluation_file import evaluation_to_data
from irplan.files.json_text import dump_json, rounded
from irplan.guidance.margin_verdict import MarginVerdict
from irplan.guidance.verification import Verification
from irplan.planning import AblationPlan

#: Name and version of what `write_verification` writes.
VERIFICATION_SCHEMA, VERIFICATION_SCHEMA_VERSION = "irplan-verification", 1


def verification_to_data(
    done: Verification,
    replan: AblationPlan | None = None,
    registration: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Needles, verdicts, evaluations and the proposal; what is not known is null.

    ``registration``: the report of the control scan's registration, null where none was made.
    """
    more = [] if replan is None or done.achieved is None else replan.placements
    data = {
        "schema": VERIFICATION_SCHEMA,
        "schema_version": VERIFICATION_SCHEMA_VERSION,
        "notice": RESEARCH_USE_ONLY,
        "irplan_version": __version__,
        "registration_error_mm": done.registration_error_mm,
        "registration": registration,
        "needles": [
            {
                "planned": p.planned + 1,
                "found": p.achieved + 1,
                "lateral_mm": p.error.lateral_mm,
                "depth_mm": p.error.depth_mm,
                "angle_deg": p.error.angle_deg,
                "tip_mm": p.error.tip_mm,
                "entry_mm": p.error.entry_mm,
            }
            for p in done.matches.pairs
        ],
        "planned_not_found": [n + 1 for n in done.matches.missing],
        "found_not_planned": [n + 1 for n in done.matches.extra],
        "by_simulation": _verdict(done.simulated_verdict),
        "by_zone_seen": _verdict(done.seen_verdict),
        "simulated": None if done.simulated is None else evaluation_to_data(done.simulated),
        "seen": None if done.seen is None else evaluation_to_data(done.seen),
        "proposed_needles": [
            {
                "applicator": p.applicator.name,
                "entry_mm": list(p.needle.entry_mm),
                "tip_mm": list(p.needle.tip_mm),
            }
            for p in more
            if p.status == "planned"
        ],
        "messages": list(done.messages),
    }
    return rounded(data, field="verification")  # type: ignore[no-any-return]


def write_verification(
    done: Verification,
    json_path: str | Path,
    csv_path: str | Path,
    *,
    replan: AblationPlan | None = None,
    registration: dict[str, Any] | None = None,
) -> None:
    """Write JSON (schema ``irplan-verification`` 1) and a line a needle; raises `OutputError`."""
    data = verification_to_data(done, replan, registration)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    columns = ("planned", "found", "lateral_mm", "depth_mm", "angle_deg", "tip_mm", "entry_mm")
    table.writerow(columns)
    for row in data["needles"]:
        table.writerow([row[c] if isinstance(row[c], int) else f"{row[c]:.3f}" for c in columns])
    for n in data["planned_not_found"]:
        table.writerow([n, "not found", "", "", "", "", ""])
    for n in data["found_not_planned"]:
        table.writerow(["not planned", n, "", "", "", "", ""])
    for path, content in (
        (csv_path, text.getvalue()),
        (json_path, dump_json(data, field="verification")),
    ):
        with atomic_path(path) as temporary:
            temporary.write_text(content, encoding="utf-8", newline="")


def _verdict(verdict: MarginVerdict) -> dict[str, Any]:
    return {
        "state": verdict.state,
        "minimal_mm": verdict.minimal_mm,
        "at_mm": None if verdict.at_mm is None else list(verdict.at_mm),
        "wanted_mm": verdict.wanted_mm,
        "error_mm": verdict.error_mm,
        "reason": verdict.reason,
        "short_at": [
            {
                "at_mm": list(p.at_mm),
                "margin_mm": p.margin_mm,
                "area_mm2": p.area_mm2,
                "certain": p.certain,
            }
            for p in verdict.places
        ],
    }
