"""C-arm views as JSON and as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from irplan import RESEARCH_USE_ONLY, __version__
from irplan.files.atomic import atomic_path
from irplan.files.json_text import dump_json, rounded
from irplan.geometry import Point3
from irplan.guidance.system import CArmSystem
from irplan.guidance.views import NeedleViews, View

#: Name and version of what `write_views` writes.
VIEWS_SCHEMA, VIEWS_SCHEMA_VERSION = "irplan-views", 1


def views_to_data(
    found: Sequence[NeedleViews | str],
    system: CArmSystem,
    *,
    isocentre_mm: Point3,
    patient_position: str,
) -> dict[str, Any]:
    """Everything about the views; a needle without them is the reason in words."""
    needles: list[dict[str, Any]] = []
    for number, one in enumerate(found, start=1):
        if isinstance(one, str):
            needles.append({"needle": number, "no_view": one})
            continue
        needles.append(
            {
                "needle": number,
                "bulls_eye": _view(one.bulls_eye),
                "progress": [_view(v) for v in one.progress],
                "refused": list(one.refused),
            }
        )
    data = {
        "schema": VIEWS_SCHEMA,
        "schema_version": VIEWS_SCHEMA_VERSION,
        "notice": RESEARCH_USE_ONLY,
        "irplan_version": __version__,
        "angles": "about the patient (0018,1510/1511); gantry: the same beam about the gantry",
        "system": {"name": system.name, "source": system.source},
        "isocentre_mm": list(isocentre_mm),
        "patient_position": patient_position,
        "needles": needles,
    }
    return rounded(data, field="views")  # type: ignore[no-any-return]


def write_views(data: dict[str, Any], json_path: str | Path, csv_path: str | Path) -> None:
    """Write `views_to_data`'s result and a line a view; raises `OutputError`."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        ("needle", "view", "primary_deg", "secondary_deg", "gantry_primary_deg",
         "gantry_secondary_deg", "travel_deg", "travel_s", "entry_tip_px")
    )  # fmt: skip
    for one in data["needles"]:
        if "no_view" in one:
            table.writerow((one["needle"], "no view", "", "", "", "", "", "", ""))
        views = [("bulls_eye", one["bulls_eye"])] if "bulls_eye" in one else []
        views += [(f"progress_{n}", v) for n, v in enumerate(one.get("progress", ()), start=1)]
        for name, v in views:
            table.writerow(
                (one["needle"], name, *(f"{x:.3f}" for x in (
                    v["primary_deg"], v["secondary_deg"], *v["gantry_deg"], v["travel_deg"],
                    v["travel_s"], v["entry_tip_px"])))
            )  # fmt: skip
    for path, content in ((csv_path, text.getvalue()), (json_path, dump_json(data, field="views"))):
        with atomic_path(path) as temporary:
            temporary.write_text(content, encoding="utf-8", newline="")


def _view(view: View) -> dict[str, Any]:
    arm = view.c_arm
    return {
        "primary_deg": arm.primary_deg,
        "secondary_deg": arm.secondary_deg,
        "gantry_deg": list(view.gantry_deg),
        "travel_deg": view.travel_deg,
        "travel_s": view.travel_s,
        "entry_px": list(view.entry_px),
        "tip_px": list(view.tip_px),
        "entry_tip_px": view.separation_px,
        "needle_to_ray_deg": view.off_deg,
        "entry_on_detector": view.entry_seen,
        "source_mm": [float(x) for x in arm.source_mm],
        "projection_matrix": [[float(x) for x in row] for row in arm.projection_matrix],
    }
