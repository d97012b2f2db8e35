"""A dose report as plain data, and its events as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from irplan.files.atomic import atomic_path
from irplan.files.csv_cell import plain_cell
from irplan.procedure.dose import DoseEvent, DoseReport

#: Header of the events' table; units are in the names.
DOSE_EVENT_COLUMNS = (
    "file", "number", "started", "kind", "plane", "dap_gy_cm2", "air_kerma_mgy", "duration_s",
    "pulses", "pulse_rate_per_s", "kvp", "tube_current_ma", "pulse_width_ms", "primary_angle_deg",
    "secondary_angle_deg", "end_primary_angle_deg", "end_secondary_angle_deg",
    "source_detector_mm", "source_isocentre_mm", "field_area_cm2", "table_lateral_mm",
    "table_longitudinal_mm", "table_height_mm", "filters", "protocol", "target_region", "uid",
)  # fmt: skip


def write_dose_csv(reports: Sequence[DoseReport], path: str | Path) -> None:
    """One line an event, in order; empty where not stated; several values joined by a space.

    A cell that a spreadsheet would take for a formula begins with an apostrophe.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(DOSE_EVENT_COLUMNS)
    for report in reports:
        for number, event in enumerate(report.events, start=1):
            writer.writerow(_line(report.file_name, number, event))
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")


def dose_to_data(report: DoseReport) -> dict[str, Any]:
    """The report as JSON data, with the sums irplan shows."""
    data = asdict(report)
    for event in data["events"]:
        event["started"] = None if event["started"] is None else event["started"].isoformat()
    data["dap_gy_cm2"] = report.dap_gy_cm2
    data["air_kerma_mgy"] = report.air_kerma_mgy
    data["fluoro_time_s"] = report.fluoro_time_s
    return data


def _line(file: str, number: int, e: DoseEvent) -> list[str]:
    filters = "; ".join(
        f"{f.material} {_text(f.thickness_min_mm)}-{_text(f.thickness_max_mm)} mm"
        for f in e.filters
    )
    cells: list[Any] = [
        file, number, None if e.started is None else e.started.isoformat(), e.kind, e.plane,
        e.dap_gy_cm2, e.air_kerma_mgy, e.duration_s, e.pulses, e.pulse_rate_per_s, e.kvp,
        e.tube_current_ma, e.pulse_width_ms, e.primary_angle_deg, e.secondary_angle_deg,
        e.end_primary_angle_deg, e.end_secondary_angle_deg, e.source_detector_mm,
        e.source_isocentre_mm, e.field_area_cm2, *e.table_mm, filters, e.protocol,
        e.target_region, e.uid,
    ]  # fmt: skip
    return [_text(c) for c in cells]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return " ".join(_text(v) for v in value)
    if isinstance(value, float):
        return f"{value:.9g}"
    return plain_cell(value) if isinstance(value, str) else str(value)
