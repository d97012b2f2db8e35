"""A device's CSV as events of the procedure log, by a map that a site writes once (TOML).

Without a map the table has columns ``time`` (ISO 8601 with zone), ``kind`` and the kind's fields.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from irplan.errors import FileFormatError, InputError
from irplan.files.toml_table import TomlTable, load_toml
from irplan.procedure.event_values import value_from_text
from irplan.procedure.events import NewEvent, Source
from irplan.procedure.times import parse_time

#: Largest table that is read, bytes, and most rows.
MAX_BYTES, MAX_ROWS = 64 << 20, 200_000


@dataclass(frozen=True)
class DeviceMap:
    """How a device's columns become events.

    Parameters
    ----------
    time : column of the time; ``time_format`` as for strptime ("" = ISO 8601), ``zone`` the zone
        of the device's clock where the text has none.
    kind : kind of event of each row ("" = by the column ``kind_column``).
    fields : field of the event -> column; empty cells are left out.
    factor : field -> factor from the device's unit to the field's.
    fixed : fields with one value for all rows.
    rules : (column, value, kind, fixed fields): rows with that value are that event instead.
    """

    time: str = "time"
    time_format: str = ""
    zone: str = ""
    delimiter: str = ","
    decimal: str = "."
    kind: str = ""
    kind_column: str = "kind"
    fields: Mapping[str, str] = field(default_factory=dict)
    factor: Mapping[str, float] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[tuple[str, str, str, Mapping[str, str]], ...] = ()


def read_device_map(path: str | Path) -> DeviceMap:
    """The map in a TOML file; raises `FileFormatError` naming the key that is wrong.

    Keys: time, time_format, zone, delimiter, decimal, kind, tables [fields], [factor], [fixed] and
    [[rules]] with column, value, kind and a table set.
    """
    root = load_toml(path, what="device map")
    root.only(
        "time", "time_format", "zone", "delimiter", "decimal", "kind", "kind_column", "fields",
        "factor", "fixed", "rules",
    )  # fmt: skip
    rules = []
    for rule in root.tables("rules"):
        rule.only("column", "value", "kind", "set")
        set_ = _texts(rule.table("set"))
        rules.append((rule.text("column"), rule.text("value"), rule.text("kind"), set_))
    factor = root.table("factor")
    return DeviceMap(
        root.text("time", "time"),
        root.text("time_format", ""),
        root.text("zone", ""),
        root.text("delimiter", ","),
        root.text("decimal", "."),
        root.text("kind", ""),
        root.text("kind_column", "kind"),
        _texts(root.table("fields")),
        {name: factor.number(name) for name in factor.data},
        _texts(root.table("fixed")),
        tuple(rules),
    )


def read_device_csv(path: str | Path, how: DeviceMap | None = None) -> tuple[NewEvent, ...]:
    """The events of a device's table, each with the file's hash and row as its source.

    Raises `FileFormatError` with row and column for what cannot be read; nothing is guessed.
    """
    file = Path(path)
    how = DeviceMap() if how is None else how
    try:
        data = file.read_bytes() if file.stat().st_size <= MAX_BYTES else None
        text = None if data is None else data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(file.name, type(error).__name__, "a table in UTF-8") from error
    if text is None or data is None:
        raise _unreadable(file.name, "more than 64 MB", "a smaller table")
    digest = hashlib.sha256(data).hexdigest()
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=how.delimiter, strict=True)
    out: list[NewEvent] = []
    try:
        columns = [c.strip() for c in rows.fieldnames or ()]
        if how.time not in columns or len(set(columns)) != len(columns):
            raise _unreadable(
                file.name, f"columns {', '.join(columns)[:200] or 'none'}", f"a column '{how.time}'"
            )
        rows.fieldnames = columns
        for number, row in enumerate(rows, start=2):
            if number > MAX_ROWS:
                raise _unreadable(file.name, f"more than {MAX_ROWS} rows", "a shorter table")
            out.append(_event(row, how, Source("device", ref=f"sha256:{digest}#row {number}")))
    except csv.Error as error:
        raise _unreadable(file.name, f"row {rows.line_num}: {error}", "rows of one form") from error
    except InputError as error:
        raise FileFormatError(
            f"table '{file.name}', row {rows.line_num}, {error.field}",
            got=error.got,
            expected=error.expected,
            remedy=error.remedy,
        ) from error
    if not out:
        raise _unreadable(file.name, "no rows", "at least one row below the heads")
    return tuple(out)


def _event(row: Mapping[str, Any], how: DeviceMap, source: Source) -> NewEvent:
    if None in row or None in row.values():
        raise InputError(
            "row", got="another number of cells", expected="as many as heads", remedy="Mend it."
        )
    kind, fixed, fields = how.kind, dict(how.fixed), dict(how.fields)
    for column, value, other, set_ in how.rules:
        if row.get(column, "").strip() == value:
            kind, fixed = other, dict(set_)
            break
    if not kind:
        kind = row.get(how.kind_column, "").strip()
        fields = {c: c for c in row if c not in (how.time, how.kind_column)}
    data = {name: value_from_text(kind, name, text) for name, text in fixed.items()}
    for name, column in fields.items():
        text = row.get(column, "").strip()
        if not text or name in data or not _fits(kind, name, how):
            continue
        if how.decimal != ".":
            text = text.replace(how.decimal, ".")
        value = value_from_text(kind, name, text)
        data[name] = value * how.factor[name] if name in how.factor else value
    return NewEvent(kind, data, source, _time(row[how.time].strip(), how))


def _fits(kind: str, name: str, how: DeviceMap) -> bool:
    """Columns of a map that are fields of another kind of event are passed over."""
    from irplan.procedure.event_kinds import KINDS

    return not how.fields or (kind in KINDS and any(f.name == name for f in KINDS[kind].fields))


def _time(text: str, how: DeviceMap) -> datetime:
    if not how.time_format and not how.zone:
        return parse_time(text, field=how.time)
    try:
        when = (
            datetime.strptime(text, how.time_format)
            if how.time_format
            else datetime.fromisoformat(text)
        )
        zone = ZoneInfo(how.zone) if how.zone else None
    except (ValueError, ZoneInfoNotFoundError) as error:
        raise InputError(
            how.time,
            got=repr(text)[:40],
            expected=f"a time as '{how.time_format or 'ISO 8601'}' in a known zone",
            remedy="Mend time_format or zone in the map.",
        ) from error
    if when.tzinfo is None:
        when = when.replace(tzinfo=zone)
    return parse_time(when.isoformat(), field=how.time)


def _texts(table: TomlTable) -> dict[str, str]:
    return {name: str(table.text(name)) for name in table.data}


def _unreadable(name: str, got: str, expected: str) -> FileFormatError:
    return FileFormatError(
        f"table '{name}'", got=got, expected=expected, remedy="See docs/procedure.md for the form."
    )
