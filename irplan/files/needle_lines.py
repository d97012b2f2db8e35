"""Needles from outside: CSV tables and 3D Slicer markups, checked before they become needles."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irplan.errors import FileFormatError, IrplanError
from irplan.files.atomic import atomic_path
from irplan.files.json_text import load_json
from irplan.geometry import Needle, Point3
from irplan.planning.plan import AblationPlan

#: Header of a needle table; lengths are mm in LPS.
NEEDLE_COLUMNS = (
    "name", "applicator", "status", "entry_x_mm", "entry_y_mm", "entry_z_mm", "tip_x_mm",
    "tip_y_mm", "tip_z_mm",
)  # fmt: skip
_ENTRY = re.compile(r"\b(entry|skin|e)\W*(\d*)$", re.IGNORECASE)
_TIP = re.compile(r"\b(tip|target|t)\W*(\d*)$", re.IGNORECASE)
#: A needle longer or shorter than this was given in another unit, mm.
_LENGTH_MM = (10.0, 400.0)


@dataclass(frozen=True)
class NamedNeedle:
    """A needle with the name and, where the file tells it, the applicator's catalogue name."""

    name: str
    needle: Needle
    applicator: str | None = None


def write_needle_table(plan: AblationPlan, path: str | Path) -> None:
    """One line a needle with the columns `NEEDLE_COLUMNS`; raises `OutputError`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(NEEDLE_COLUMNS)
    for number, placement in enumerate(plan.placements, start=1):
        points = (*placement.needle.entry_mm, *placement.needle.tip_mm)
        writer.writerow(
            (f"needle {number}", placement.applicator.name, placement.status,
             *(f"{round(v, 6) + 0.0:.10g}" for v in points))
        )  # fmt: skip
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")


def read_needle_table(path: str | Path) -> tuple[NamedNeedle, ...]:
    """The needles of a CSV file with the columns of `NEEDLE_COLUMNS` (applicator, status optional).

    Raises `FileFormatError` that names the line and column for a missing column, a cell that is
    no number, a needle of impossible length (another unit?) and a file without needles.
    """
    file = Path(path)
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        unread = isinstance(error, OSError) and (error.strerror or "not readable").lower()
        raise FileFormatError(
            f"needle table '{file.name}'",
            got=f"a file that cannot be read ({unread or 'not UTF-8 text'})",
            expected="a CSV file",
            remedy="Check the path and save it as CSV in UTF-8.",
        ) from error
    reader = csv.reader(lines)
    header = [h.strip() for h in next(reader, [])]
    missing = [c for c in NEEDLE_COLUMNS if c not in header and c not in ("applicator", "status")]
    if missing:
        raise FileFormatError(
            f"needle table '{file.name}' line 1",
            got=f"no column {', '.join(missing)} (columns: {', '.join(header)[:120] or 'none'})",
            expected=", ".join(NEEDLE_COLUMNS),
            remedy="Name the columns so; lengths are mm and positions LPS.",
        )
    out = []
    for row in reader:
        where = f"needle table '{file.name}' line {reader.line_num}"
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            raise FileFormatError(
                where,
                got=f"{len(row)} cells",
                expected=f"{len(header)} as in the header",
                remedy="Mend the line; a comma inside a name needs quotes.",
            )
        cells = dict(zip(header, (c.strip() for c in row), strict=True))
        points = [_cell(cells, c, where) for c in NEEDLE_COLUMNS[3:]]
        needle = _needle(points[:3], points[3:], where)
        out.append(NamedNeedle(cells["name"], needle, cells.get("applicator") or None))
    return _some(out, f"needle table '{file.name}'")


def read_needles_markups(path: str | Path) -> tuple[NamedNeedle, ...]:
    """The needles of a 3D Slicer markups file (``.mrk.json``), LPS mm whatever it holds.

    A line markup is one needle; its points are told apart by labels that end in "entry" or "skin"
    and "tip" or "target" (Slicer's own ``L-1``, ``L-2`` say nothing: then the first is the
    entry, as when a path is drawn from the skin inwards).  Point lists with labels "entry 1",
    "tip 1", ... give one needle a number.  RAS is turned to LPS; a file that names no system is
    LPS, as Slicer takes it.  Raises `FileFormatError` with the place for anything else.
    """
    file = Path(path)
    data = load_json(file, what="markups file")
    name = f"markups file '{file.name}'"
    markups = data.get("markups")
    if not isinstance(markups, list):
        raise _damaged(f"{name} at $.markups", markups, "a list of markups")
    out: list[NamedNeedle] = []
    for n, markup in enumerate(markups):
        where = f"{name} at $.markups[{n}]"
        if not isinstance(markup, dict):
            raise _damaged(where, markup, "a markup")
        points = _points(markup, where)
        title = str(markup.get("name") or f"needle {len(out) + 1}")
        if markup.get("type") == "Line":
            if len(points) != 2:
                raise _damaged(
                    f"{where}.controlPoints", f"{len(points)} points", "two points of a line"
                )
            first_is_tip = bool(_TIP.search(points[0][0]) or _ENTRY.search(points[1][0]))
            entry, tip = (points[1], points[0]) if first_is_tip else points
            out.append(NamedNeedle(title, _needle(entry[1], tip[1], where)))
        elif markup.get("type") == "Fiducial":
            out += _pairs(points, where)
    return _some(out, name)


def _pairs(points: Sequence[tuple[str, Point3]], where: str) -> list[NamedNeedle]:
    """Needles of a list whose labels are "entry 1", "tip 1" and so on; other points are left."""
    entries: dict[str, Point3] = {}
    tips: dict[str, Point3] = {}
    for label, point in points:
        for pattern, found in ((_ENTRY, entries), (_TIP, tips)):
            match = pattern.search(label)
            if match:
                found[match.group(2)] = point
                break
    if not entries:
        return []  # a list of other points, a target's centre, say
    if set(entries) != set(tips):
        alone = sorted(set(entries) ^ set(tips))
        raise _damaged(where, f"no pair for number {', '.join(alone)}", "an entry and a tip each")
    return [
        NamedNeedle(f"needle {k}".strip(), _needle(entries[k], tips[k], where))
        for k in sorted(entries, key=lambda k: int(k or 0))
    ]


def _points(markup: dict[str, Any], where: str) -> list[tuple[str, Point3]]:
    system = markup.get("coordinateSystem", "LPS")
    unit = markup.get("coordinateUnits", "mm")
    if system not in ("LPS", "RAS"):
        raise _damaged(f"{where}.coordinateSystem", system, "LPS or RAS")
    if unit != "mm":
        raise _damaged(f"{where}.coordinateUnits", unit, "mm")
    points = markup.get("controlPoints")
    if not isinstance(points, list):
        raise _damaged(f"{where}.controlPoints", points, "a list of points")
    sign = -1.0 if system == "RAS" else 1.0
    out = []
    for k, point in enumerate(points):
        place = f"{where}.controlPoints[{k}]"
        position = point.get("position") if isinstance(point, dict) else None
        if (
            not isinstance(position, list)
            or len(position) != 3
            or not all(type(v) in (int, float) and math.isfinite(v) for v in position)
        ):
            raise _damaged(f"{place}.position", position, "three finite numbers")
        x, y, z = (float(v) for v in position)
        out.append((str(point.get("label", "")), (sign * x + 0.0, sign * y + 0.0, z)))
    return out


def _cell(cells: dict[str, str], column: str, where: str) -> float:
    try:
        value = float(cells[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _damaged(f"{where}, column {column}", cells[column], "a number in mm")
    return value


def _needle(entry: Sequence[float], tip: Sequence[float], where: str) -> Needle:
    length = math.dist(entry, tip)
    if not _LENGTH_MM[0] <= length <= _LENGTH_MM[1]:
        raise _damaged(
            where,
            f"entry and tip {length:.4g} apart",
            f"a needle of {_LENGTH_MM[0]:g} to {_LENGTH_MM[1]:g} mm (is the unit mm?)",
        )
    try:
        return Needle((tip[0], tip[1], tip[2]), (entry[0], entry[1], entry[2]))
    except IrplanError as error:
        raise _damaged(where, error.got, error.expected) from error


def _some(found: Sequence[NamedNeedle], name: str) -> tuple[NamedNeedle, ...]:
    if not found:
        raise _damaged(name, "no needle", "at least one entry and tip")
    return tuple(found)


def _damaged(field: str, got: object, expected: str) -> FileFormatError:
    return FileFormatError(
        field,
        got="nothing" if got is None else str(got)[:120],
        expected=expected,
        remedy="Mend that place, or export the needles again.",
    )
