"""A C-arm system as TOML: read strictly, every key known."""

from __future__ import annotations

from pathlib import Path

from irplan.files.toml_table import load_toml, require_schema
from irplan.guidance.system import CArmSystem, ForbiddenAngles

#: The ``schema`` and ``schema_version`` of a system file.
SYSTEM_SCHEMA, SYSTEM_SCHEMA_VERSION = "irplan-c-arm", 1


def read_system(path: str | Path) -> CArmSystem:
    """The `CArmSystem` of a TOML file: table ``[system]`` with its fields, ``[[forbidden]]`` with
    those of `ForbiddenAngles`.

    Raises `FileFormatError` with file, key path, got, expected and remedy.
    """
    root = load_toml(path, what="system file")
    require_schema(root, SYSTEM_SCHEMA, SYSTEM_SCHEMA_VERSION)
    root.only("schema", "schema_version", "system", "forbidden")
    forbidden = tuple(t.build(ForbiddenAngles) for t in root.tables("forbidden"))
    return root.table("system", required=True).build(CArmSystem, forbidden=forbidden)
