"""The dose of procedures in words and tables: for the terminal and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from irplan import __version__
from irplan.planning.evaluation import Row
from irplan.procedure.dose import DoseReport, event_sum
from irplan.procedure.skin_dose import SkinDose
from irplan.reports.content import Table
from irplan.reports.sheet import Note, Part, SheetFigure, sheet_html

_STATUS = {"ok": "ok", "warning": "WARNING", "error": "ALERT", "not_checked": "not checked"}
_PLANES = {"single": "single plane", "A": "plane A", "B": "plane B", "": "plane not stated"}


@dataclass(frozen=True)
class DoseSheet:
    """One report with its checks: ``rows`` alerts and reference levels; ``skin`` or why not."""

    report: DoseReport
    rows: tuple[Row, ...]
    skin: SkinDose | None
    skin_note: str
    figure: bytes | None = None


def totals_table(report: DoseReport) -> Table:
    """Stated totals a plane, and the events' sums."""
    heads = (
        "", "DAP, Gy·cm²", "fluoro", "acquisition", "air kerma, mGy", "fluoro", "acquisition",
        "fluoro time", "frames",
    )  # fmt: skip
    rows: list[tuple[str, ...]] = [
        (
            _PLANES[t.plane], _n(t.dap_gy_cm2), _n(t.fluoro_dap_gy_cm2),
            _n(t.acquisition_dap_gy_cm2), _n(t.air_kerma_mgy), _n(t.fluoro_air_kerma_mgy),
            _n(t.acquisition_air_kerma_mgy), _time(t.fluoro_time_s),
            "–" if t.frames is None else str(t.frames),
        )
        for t in report.totals
    ]  # fmt: skip
    if report.events:
        e = report.events
        parts = [
            [event_sum(e, name), event_sum(e, name, kind="fluoroscopy"), _acquired(report, name)]
            for name in ("dap_gy_cm2", "air_kerma_mgy")
        ]
        seconds = [x.beam_on_s for x in e if x.kind == "fluoroscopy"]
        known = [s for s in seconds if s is not None]
        rows.append(
            (f"sum of {len(e)} events", *(_n(v) for part in parts for v in part),
             _time(sum(known) if known and len(known) == len(seconds) else None), "–")
        )  # fmt: skip
    note = "Air kerma is that at the reference point; it is not skin dose. – means not stated."
    return Table("Totals", heads, tuple(rows), note)


def events_table(report: DoseReport) -> Table:
    """One line an event, the columns a reader looks for."""
    heads = (
        "#", "start", "kind", "DAP, Gy·cm²", "kerma, mGy", "beam on, s", "kV", "mA", "ms",
        "pulses/s", "angles, °", "filters", "protocol",
    )  # fmt: skip
    rows = []
    for number, e in enumerate(report.events, start=1):
        filters = ", ".join(f"{f.material.split()[0]} {_n(f.thickness_max_mm)}" for f in e.filters)
        rows.append(
            (
                str(number),
                "–" if e.started is None else e.started.strftime("%H:%M:%S"),
                e.kind + ("" if e.plane in ("single", "") else f" {e.plane}"),
                _n(e.dap_gy_cm2), _n(e.air_kerma_mgy), _n(e.beam_on_s), _mean(e.kvp),
                _mean(e.tube_current_ma), _mean(e.pulse_width_ms), _n(e.pulse_rate_per_s),
                f"{_n(e.primary_angle_deg)} / {_n(e.secondary_angle_deg)}", filters or "–",
                e.protocol or e.target_region or "–",
            )
        )  # fmt: skip
    return Table("Irradiation events", heads, tuple(rows), "Angles: primary (LAO +) / secondary "
                 "(cranial +).  Filters in mm.")  # fmt: skip


def check_table(rows: Sequence[Row]) -> Table:
    """Alerts and reference levels."""
    cells = tuple(
        (
            r.name, _valued(r), r.limit,
            _STATUS[r.status], r.note, r.source,
        )
        for r in rows
    )  # fmt: skip
    return Table("Levels", ("quantity", "value", "level", "verdict", "", "source"), cells,
                 "A reference level is for many patients of one procedure; above it once is no "
                 "fault. None is known for ablation.")  # fmt: skip


def dose_html(sheets: Sequence[DoseSheet]) -> str:
    """All reports as one page."""
    parts = []
    for s in sheets:
        r = s.report
        name = " ".join(x for x in (r.manufacturer, r.model) if x) or "unknown system"
        notes = [Note(f.text, strong=True) for f in r.flags]
        notes.append(Note(s.skin_note))
        figures = () if s.figure is None else (SheetFigure("Dose over the procedure.", s.figure),)
        tables = (totals_table(r), check_table(s.rows), events_table(r))
        parts.append(Part(f"{r.file_name}: {name}, {r.source}", tuple(notes), figures, tables))
    return sheet_html(
        "Radiation dose",
        f"{len(sheets)} file(s), read by irplan {__version__}.",
        parts,
        banner="DOSE",
    )


def _acquired(report: DoseReport, name: str) -> float | None:
    values = [
        v
        for e in report.events
        if e.kind not in ("fluoroscopy", "unknown") and (v := getattr(e, name)) is not None
    ]
    return sum(values) if values else None


def _valued(row: Row) -> str:
    if row.value is None:
        return "–"
    # what is known but not checked lacks a plane or an event: the note says which
    least = "at least " if row.status == "not_checked" else ""
    return f"{least}{_n(row.value)} {row.unit}"


def _n(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _mean(values: tuple[float, ...]) -> str:
    if not values:
        return "–"
    low, high = min(values), max(values)
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60} s"
