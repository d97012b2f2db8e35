"""Dose alert and reference levels from TOML: irplan's own, or a site's."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from irplan.files.toml_table import load_toml, require_schema
from irplan.procedure.dose_levels import AlertLevel, DoseLevels, ReferenceLevel

_SCHEMA, _VERSION = "irplan-dose-levels", 1
_OWN = Path(__file__).with_name("dose_levels.toml")


@cache
def read_dose_levels(path: Path | None = None) -> DoseLevels:
    """The levels of a TOML file; None: those irplan ships (``dose_levels.toml``).

    Raises `FileFormatError` with file, key, got, expected and remedy.
    """
    root = load_toml(_OWN if path is None else path, what="dose levels file")
    require_schema(root, _SCHEMA, _VERSION)
    root.only("schema", "schema_version", "alert", "reference")
    alerts = tuple(t.build(AlertLevel) for t in root.tables("alert"))
    references = tuple(t.build(ReferenceLevel) for t in root.tables("reference"))
    keys = [r.key for r in references]
    for key in keys:
        if keys.count(key) > 1:
            raise root.wrong("reference", f"'{key}' twice", "keys that differ", "Rename one.")
    return DoseLevels(alerts, references)
