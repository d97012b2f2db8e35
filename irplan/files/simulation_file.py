"""A simulation in numbers: ``summary.json`` with a schema, ``table.csv``, ``trace.csv``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.ablation.result import Trace
from irplan.ablation.zone_measure import ZoneMeasure
from irplan.errors import InputError
from irplan.files.atomic import atomic_path
from irplan.files.json_text import dump_json, rounded

#: The ``schema`` and ``schema_version`` of ``summary.json``.
SIMULATION_SCHEMA = "irplan-simulation"
SIMULATION_SCHEMA_VERSION = 1
#: Header of ``table.csv``.
ZONE_COLUMNS = (
    "zone", "definition", "volume_ml", "length_mm", "width_mm", "least_width_mm",
    "most_width_mm", "cut_off_by_box",
)  # fmt: skip

_SCHEMA_FILE = Path(__file__).parent / "schemas" / "simulation-1.schema.json"


def write_summary(data: dict[str, Any], path: str | Path) -> None:
    """Write ``data`` as JSON after checking it against the schema; `InputError`, `OutputError`."""
    from jsonschema import ValidationError
    from jsonschema.validators import Draft202012Validator

    clean = rounded(data, field="summary")
    try:
        Draft202012Validator(_schema()).validate(clean)
    except ValidationError as error:
        raise InputError(
            f"summary.{error.json_path}",
            got=error.message[:160],
            expected=f"schema {SIMULATION_SCHEMA} {SIMULATION_SCHEMA_VERSION}",
            remedy="Report this: irplan should not have made it.",
        ) from error
    with atomic_path(path) as temporary:
        temporary.write_text(dump_json(clean, field="summary"), encoding="utf-8", newline="\n")


def write_zone_table(zones: Iterable[tuple[str, ZoneMeasure]], path: str | Path) -> None:
    """One line a zone: (its definition in words, its measures)."""
    rows: list[Sequence[object]] = [ZONE_COLUMNS]
    for words, m in zones:
        sizes = (m.volume_ml, m.length_mm, m.width_mm, m.least_width_mm, m.most_width_mm)
        rows.append((m.name, words, *(f"{v:.4g}" for v in sizes), "yes" if m.cut_off else "no"))
    _write(rows, path)


def write_trace(trace: Trace, path: str | Path, *, names: Sequence[str] | None = None) -> None:
    """One line a moment: time, temperatures, frozen volume and the further curves.

    ``names`` replace the trace's own.  Values that are not finite are left empty.
    """
    heads = ["time_s"]
    heads += [f"{n.replace(' ', '_')}_c" for n in (trace.names if names is None else names)]
    heads += ["frozen_volume_cm3", *trace.extra]
    columns: list[NDArray[np.float64]] = [
        trace.time_s, *trace.temperature_c.T, trace.frozen_volume_cm3, *trace.extra.values()
    ]  # fmt: skip
    rows: list[Sequence[object]] = [heads]
    for values in zip(*columns, strict=True):
        rows.append([f"{float(v):.6g}" if np.isfinite(v) else "" for v in values])
    _write(rows, path)


def _write(rows: Iterable[Sequence[object]], path: str | Path) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")


@cache
def _schema() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(_SCHEMA_FILE.read_text(encoding="utf-8"))
    return data
