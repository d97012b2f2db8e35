"""The schedule of a problem file: phases in minutes or seconds."""

from __future__ import annotations

from typing import get_args

from irplan.ablation.schedule import Phase, PhaseKind, Schedule
from irplan.files.toml_table import TomlTable

_KINDS = get_args(PhaseKind)


def read_schedule(table: TomlTable) -> Schedule:
    """The `Schedule` of a table with ``phases`` (inline tables or ``[[...phases]]``)."""
    table.only("phases")
    phases = table.tables("phases")
    if not phases:
        raise table.wrong(
            "phases",
            "none",
            "a list of phases",
            'For example phases = [{kind = "freeze", minutes = 10}]',
        )
    made = tuple(_phase(p) for p in phases)
    with table.located():
        return Schedule(made)


def _phase(table: TomlTable) -> Phase:
    table.only("kind", "minutes", "duration_s", "power_w", "withdraw_mm")
    kind: PhaseKind = table.text("kind", choices=_KINDS)
    if table.has("minutes") == table.has("duration_s"):
        raise table.wrong(
            "minutes",
            "both minutes and duration_s" if table.has("minutes") else "no length",
            "one of minutes and duration_s",
            "For example minutes = 10",
        )
    if table.has("minutes"):
        duration = 60.0 * table.number("minutes", low=1 / 60, high=120.0)
    else:
        duration = table.number("duration_s", low=1.0, high=7200.0)
    power = table.number("power_w", None)
    with table.located():
        return Phase(kind, duration, power, table.number("withdraw_mm", 0.0))
