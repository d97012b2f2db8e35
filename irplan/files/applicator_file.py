"""A user's own applicators as TOML: read strictly, written so that they read back the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from irplan.ablation.applicator import Applicator
from irplan.ablation.catalogue import APPLICATORS
from irplan.ablation.device import (
    CryoDevice,
    Device,
    IreDevice,
    Kind,
    MwaDevice,
    RfaDevice,
    device_fields,
)
from irplan.ablation.zones import PublishedZone
from irplan.files.atomic import atomic_path
from irplan.files.toml_table import TomlTable, load_toml, require_schema, toml_value

#: The ``schema`` and ``schema_version`` of an applicator file.
APPLICATOR_SCHEMA = "irplan-applicators"
APPLICATOR_SCHEMA_VERSION = 1

_DEVICES: Mapping[str, type[Device]] = {
    d.kind: d for d in (CryoDevice, RfaDevice, MwaDevice, IreDevice)
}
_OWN = tuple(f.name for f in fields(Applicator) if f.name not in ("device", "zones"))


def read_applicators(path: str | Path) -> dict[str, Applicator]:
    """The applicators of a TOML file by name, in its order.

    Each ``[[applicator]]`` has the fields of `Applicator`, an optional table ``device`` with
    those of its kind's device and optional ``[[applicator.zone]]`` with those of
    `PublishedZone`.  Raises `FileFormatError` with file, key path, got, expected and remedy.
    """
    root = load_toml(path, what="applicator file")
    require_schema(root, APPLICATOR_SCHEMA, APPLICATOR_SCHEMA_VERSION)
    root.only("schema", "schema_version", "applicator")
    found: dict[str, Applicator] = {}
    for table in root.tables("applicator"):
        made = _applicator(table)
        if made.name in found or made.name in APPLICATORS:
            raise table.wrong(
                "name",
                f"'{made.name}', which exists already",
                "a name of its own",
                "Choose another name; the catalogue's entries cannot be replaced.",
            )
        found[made.name] = made
    if not found:
        raise root.wrong("applicator", "none", "at least one [[applicator]]", "Add one.")
    return found


def _applicator(table: TomlTable) -> Applicator:
    table.only(*_OWN, "device", "zone")
    kind: Kind = table.text("kind", choices=get_args(Kind))
    device = table.table("device").build(_DEVICES[kind])
    zones = tuple(z.build(PublishedZone, **_absent(z)) for z in table.tables("zone"))
    own = TomlTable(
        table.file, table.path, {k: v for k, v in table.data.items() if k not in ("device", "zone")}
    )
    return own.build(Applicator, device=device, zones=zones)


def _absent(zone: TomlTable) -> dict[str, Any]:
    """TOML has no null: a zone's key that may be None is left out for it."""
    return {k: None for k in ("long_mm", "level_c", "power_w") if not zone.has(k)}


def applicators_to_toml(applicators: Iterable[Applicator]) -> str:
    """The text of an applicator file; `read_applicators` of it gives equal objects."""
    lines = [
        "# Applicators for irplan (research use only).",
        f"schema = {toml_value(APPLICATOR_SCHEMA)}",
        f"schema_version = {APPLICATOR_SCHEMA_VERSION}",
    ]
    for applicator in applicators:
        lines += ["", "[[applicator]]"]
        lines += [f"{name} = {toml_value(getattr(applicator, name))}" for name in _OWN]
        if applicator.device is not None:
            lines += ["", "[applicator.device]"]
            lines += [
                f"{name} = {toml_value(getattr(applicator.device, name))}"
                for name in device_fields(applicator.kind)
            ]
        for zone in applicator.zones:
            lines += ["", "[[applicator.zone]]"]
            lines += [
                f"{f.name} = {toml_value(getattr(zone, f.name))}"
                for f in fields(zone)
                if getattr(zone, f.name) is not None
            ]
    return "\n".join(lines) + "\n"


def write_applicators(applicators: Iterable[Applicator], path: str | Path) -> None:
    """Write an applicator file, whole or not at all; raises `OutputError`."""
    text = applicators_to_toml(applicators)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def named_applicator(table: TomlTable, own: Mapping[str, Applicator]) -> Applicator:
    """The applicator that the key ``name`` of ``table`` names, of ``own`` or the catalogue."""
    known = {**APPLICATORS, **own}
    name: str = table.text("name", choices=tuple(known))
    return known[name]
