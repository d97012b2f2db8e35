"""The access map as files: a table of entries, JSON with candidates, and the skin as a surface."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import irplan
from irplan import RESEARCH_USE_ONLY
from irplan.files.atomic import atomic_path
from irplan.files.json_text import dump_json
from irplan.planning.access_map import BLOCKED, STATUS_WORDS, AccessMap
from irplan.planning.nearest_miss import NearestMiss
from irplan.planning.paths import PathCandidate

SCHEMA = "irplan.access_map"
SCHEMA_VERSION = 1

#: Header of ``access_map.csv``.
ENTRY_COLUMNS = (
    "entry", "x_mm", "y_mm", "z_mm", "on_skin", "status", "clear_share", "unchecked_share",
    "best_score", "target_x_mm", "target_y_mm", "target_z_mm", "length_mm", "limiting", "miss_mm",
)  # fmt: skip


def access_map_to_data(found: AccessMap, *, inputs: Mapping[str, str]) -> dict[str, Any]:
    """Summary, candidates with every term, nearest miss, rules: plain data, all LPS mm.

    ``inputs``: name -> SHA-256 of the voxels it was made from.
    """
    counts = np.bincount(found.status, minlength=len(STATUS_WORDS))
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "notice": RESEARCH_USE_ONLY,
        "irplan_version": irplan.__version__,
        "inputs": dict(inputs),
        "backend": found.backend,
        "entries": {word: int(n) for word, n in zip(STATUS_WORDS, counts, strict=True)},
        "targets": len(found.targets_mm),
        "paths": found.paths,
        "admissible_paths": found.admissible,
        "unchecked_paths": found.unchecked,
        "organ": found.organ,
        "not_checked": list(found.not_checked),
        "not_checked_needed": list(found.not_checked_needed),
        "blocked_by": [{"rule": rule, "paths": n} for rule, n in found.blocked_by],
        "nearest_miss": None if found.nearest_miss is None else _miss(found.nearest_miss),
        "candidates": [_path(c) for c in found.candidates],
        "unchecked_candidates": [_path(c) for c in found.unchecked_candidates],
        "options": {
            "raster_mm": found.raster_mm,
            "entry_spacing_mm": found.entry_spacing_mm,
            "target_spacing_mm": found.target_spacing_mm,
            "needle_error_tip_mm": found.weights.error.tip_mm,
            "needle_error_angle_deg": found.weights.error.angle_deg,
            "needle_error_source": found.weights.error.source,
            **{f"weight.{n}": getattr(found.weights, n) for n in _WEIGHTS},
            **found.rules.as_options(),
        },
        "messages": list(found.messages),
    }


_WEIGHTS = ("length", "obstacle", "tilt", "capsule_angle", "organ_path", "sweep")


def write_access_map(found: AccessMap, path: str | Path, *, inputs: Mapping[str, str]) -> None:
    """`access_map_to_data` as a JSON file; raises `OutputError`."""
    text = dump_json(access_map_to_data(found, inputs=inputs), field="access map")
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_access_table(found: AccessMap, path: str | Path) -> None:
    """One line an entry (`ENTRY_COLUMNS`), empty where there is no value; raises `OutputError`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(ENTRY_COLUMNS)
    for n, point in enumerate(found.entries_mm):
        has = found.best_target[n] >= 0
        tip = found.targets_mm[found.best_target[n]] if has else ("", "", "")
        limiting = found.limits[found.limiting[n]] if found.limiting[n] >= 0 else ""
        writer.writerow((
            n + 1, *(f"{v:.2f}" for v in point), int(found.on_skin[n]),
            STATUS_WORDS[found.status[n]], f"{found.clear_share[n]:.4f}",
            f"{found.unchecked_share[n]:.4f}", f"{found.best_cost[n]:.4f}" if has else "",
            *(f"{v:.2f}" if has else "" for v in tip),
            f"{found.best_length_mm[n]:.1f}" if has else "", limiting,
            f"{found.miss_mm[n]:.2f}" if math.isfinite(found.miss_mm[n]) else "",
        ))  # fmt: skip
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")


def write_access_surface(
    vertices_mm: NDArray[np.float64],
    faces: NDArray[np.int64],
    values: Mapping[str, NDArray[Any]],
    path: str | Path,
) -> None:
    """A triangle surface with values at its vertices as VTK XML PolyData (``.vtp``, text).

    ``vertices_mm`` (n, 3) LPS mm, ``faces`` (m, 3), ``values`` name -> (n,); NaN is written as
    ``nan``.  Raises `OutputError`.
    """
    n, m = len(vertices_mm), len(faces)
    parts = [
        '<?xml version="1.0"?>\n<VTKFile type="PolyData" version="0.1" byte_order="LittleEndian">\n'
        f'<PolyData><Piece NumberOfPoints="{n}" NumberOfVerts="0" NumberOfLines="0" '
        f'NumberOfStrips="0" NumberOfPolys="{m}">\n<PointData>\n'
    ]
    for name, array in values.items():
        parts.append(f'<DataArray type="Float32" Name="{name}" format="ascii">\n')
        parts.append(" ".join(f"{float(v):.5g}" for v in array) + "\n</DataArray>\n")
    parts.append('</PointData>\n<Points><DataArray type="Float32" NumberOfComponents="3" ')
    parts.append('format="ascii">\n')
    parts.append("\n".join(f"{x:.3f} {y:.3f} {z:.3f}" for x, y, z in vertices_mm))
    parts.append('\n</DataArray></Points>\n<Polys>\n<DataArray type="Int64" Name="connectivity" ')
    parts.append('format="ascii">\n' + "\n".join(f"{a} {b} {c}" for a, b, c in faces))
    parts.append('\n</DataArray>\n<DataArray type="Int64" Name="offsets" format="ascii">\n')
    parts.append(" ".join(str(3 * (k + 1)) for k in range(m)))
    parts.append("\n</DataArray>\n</Polys>\n</Piece></PolyData>\n</VTKFile>\n")
    with atomic_path(path) as temporary:
        temporary.write_text("".join(parts), encoding="utf-8", newline="\n")


def _path(c: PathCandidate) -> dict[str, Any]:
    return {
        "entry_mm": list(c.needle.entry_mm),
        "tip_mm": list(c.needle.tip_mm),
        "length_mm": c.needle.depth_mm,
        "score": c.cost,
        "limiting_structure": c.limiting_structure,
        "limiting_point_mm": list(c.limiting_point_mm),
        "not_checked": list(c.not_checked),
        "clearance_mm": dict(c.clearance_mm),
        "terms": [
            {"name": t.name, "value": t.value, "unit": t.unit, "weight": t.weight, "cost": t.cost,
             "note": t.note}
            for t in c.terms
        ],
    }  # fmt: skip


def _miss(miss: NearestMiss) -> dict[str, Any]:
    return {
        "entry_mm": list(miss.entry_mm),
        "tip_mm": list(miss.tip_mm),
        "length_mm": miss.length_mm,
        "words": miss.words,
        "short": [
            {"rule": s.rule, "structure": s.structure, "measured": s.measured, "limit": s.limit,
             "unit": s.unit, "short_by": s.short_by, "at_mm": list(s.at_mm)}
            for s in miss.shortfalls
        ],
    }  # fmt: skip


def surface_values(found: AccessMap, vertices_mm: NDArray[np.float64]) -> dict[str, Any]:
    """Values of the nearest entry at each vertex: share, score, status; NaN where none is near."""
    from scipy.spatial import cKDTree

    reach = 2.0 * found.entry_spacing_mm
    gap, at = cKDTree(found.entries_mm).query(vertices_mm, distance_upper_bound=reach)
    near = np.isfinite(gap)
    at = np.where(near, at, 0)
    status = found.status[at].astype(float)
    share = 100.0 * found.share()[at]
    score = np.where(status == BLOCKED, np.nan, found.best_cost[at])
    return {
        "reachable_target_percent": np.where(near, share, np.nan),
        "best_score": np.where(near, score, np.nan),
        "status": np.where(near, status, np.nan),
    }
