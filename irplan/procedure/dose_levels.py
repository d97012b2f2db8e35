"""Alerts on a procedure's dose, and comparison with published reference levels.

A reference level is the 75th percentile (or a local value) of many patients: exceeding it once is
no fault, and a level of another procedure says nothing.  No level is known for ablation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from irplan.errors import InputError
from irplan.planning.evaluation import Row, Status
from irplan.procedure.dose import DoseReport

#: Quantity -> (attribute or rule, unit, words).
QUANTITIES = {
    "dap_gy_cm2": ("Gy.cm2", "dose-area product"),
    "air_kerma_mgy": ("mGy", "air kerma at the reference point"),
    "fluoro_time_min": ("min", "fluoroscopy time"),
    "skin_dose_mgy": ("mGy", "peak skin dose"),
}


@dataclass(frozen=True)
class ReferenceLevel:
    """Published level of one procedure; None where that quantity was not published.

    ``key`` : as the user names it ("tace").  ``source`` names paper or body, ``year`` of it,
    ``kind`` "local", "proposed" or "national".
    """

    key: str
    procedure: str
    kind: str
    year: int
    source: str
    dap_gy_cm2: float | None = None
    air_kerma_mgy: float | None = None
    fluoro_time_min: float | None = None

    def __post_init__(self) -> None:
        for name in ("dap_gy_cm2", "air_kerma_mgy", "fluoro_time_min"):
            _require_level(f"reference level '{self.key}'.{name}", getattr(self, name))


@dataclass(frozen=True)
class AlertLevel:
    """A value above which a row becomes a warning or an error, with its source."""

    quantity: Literal["dap_gy_cm2", "air_kerma_mgy", "fluoro_time_min", "skin_dose_mgy"]
    value: float
    status: Literal["warning", "error"]
    source: str

    def __post_init__(self) -> None:
        if self.quantity not in QUANTITIES or self.status not in ("warning", "error"):
            raise InputError(
                "alert level",
                got=f"'{self.quantity}' as '{self.status}'",
                expected=f"one of {', '.join(QUANTITIES)}; warning or error",
                remedy="Correct the file of levels.",
            )
        _require_level(f"alert level '{self.quantity}'", self.value)


@dataclass(frozen=True)
class DoseLevels:
    """Alert levels and reference levels of one file."""

    alerts: tuple[AlertLevel, ...]
    references: tuple[ReferenceLevel, ...]

    def reference(self, key: str) -> ReferenceLevel:
        """The level named ``key``; `InputError` lists the names."""
        for level in self.references:
            if level.key == key:
                return level
        known = ", ".join(r.key for r in self.references)
        extra = " No level is known for ablation." if "ablat" in key else ""
        raise InputError(
            "procedure",
            got=f"'{key}'",
            expected=f"one of {known}",
            remedy="Give one of these, or your own file with --levels." + extra,
        )


def alert_rows(
    report: DoseReport, levels: DoseLevels, *, skin_dose_mgy: float | None = None, why: str = ""
) -> tuple[Row, ...]:
    """One row a quantity: ok, warning or error by the highest level exceeded, or not checked.

    A sum to which planes or events are missing is never "ok": what it lacks may exceed the level.
    ``why``: the reason there is no skin dose, for its row.  Image headers are never checked: they
    do not hold the whole procedure.
    """
    rows = []
    for quantity, (unit, words) in QUANTITIES.items():
        own = sorted((a for a in levels.alerts if a.quantity == quantity), key=lambda a: a.value)
        if not own:
            continue
        value = skin_dose_mgy if quantity == "skin_dose_mgy" else value_of(report, quantity)
        limit = ", ".join(f"{a.status} above {a.value:g}" for a in own)
        source = "; ".join(dict.fromkeys(a.source for a in own))
        if value is None or report.source != "RDSR":
            note = why if quantity == "skin_dose_mgy" else "The file does not state it."
            if report.source != "RDSR":
                note = "One image's header is not the procedure's dose."
            rows.append(Row(words, None, unit, limit, "not_checked", note, source))
            continue
        hit = [a for a in own if value > a.value]
        lacks = report.unstated(quantity) if quantity in ("dap_gy_cm2", "air_kerma_mgy") else ""
        # a sum that lacks something is a lower bound: it can alarm, but not clear
        status = hit[-1].status if hit else "not_checked" if lacks else "ok"
        note = f"Above {hit[-1].value:g} {unit}." if hit else ""
        if lacks:
            note = f"{note} At least {value:.4g} {unit}: {lacks}.".strip()
        rows.append(Row(words, value, unit, limit, status, note, source))
    return tuple(rows)


def reference_rows(report: DoseReport, level: ReferenceLevel) -> tuple[Row, ...]:
    """Each published quantity against the level: ok below, warning above, or not checked."""
    rows = []
    for quantity in ("dap_gy_cm2", "air_kerma_mgy", "fluoro_time_min"):
        limit = getattr(level, quantity)
        unit, words = QUANTITIES[quantity]
        if limit is None:
            continue
        value = value_of(report, quantity) if report.source == "RDSR" else None
        name = f"{words}, level of {level.key}"
        said = f"{limit:g} {unit} ({level.kind}, {level.year})"
        if value is None:
            rows.append(Row(name, None, unit, said, "not_checked", "Not stated.", level.source))
            continue
        part = f"{100 * value / limit:.0f} % of the level."
        lacks = report.unstated(quantity) if quantity != "fluoro_time_min" else ""
        if lacks:
            part = f"At least {part[:-1]}: {lacks}."
        below: Status = "not_checked" if lacks else "ok"
        status = below if value <= limit else "warning"
        rows.append(Row(name, value, unit, said, status, part, level.source))
    return tuple(rows)


def value_of(report: DoseReport, quantity: str) -> float | None:
    """The report's value of a quantity of `QUANTITIES` (not skin dose), or None."""
    if quantity == "fluoro_time_min":
        return None if report.fluoro_time_s is None else report.fluoro_time_s / 60.0
    value: float | None = getattr(report, quantity)
    return value


def _require_level(field: str, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise InputError(
            field,
            got=f"{value}",
            expected="a positive number",
            remedy="Correct the file of levels.",
        )
