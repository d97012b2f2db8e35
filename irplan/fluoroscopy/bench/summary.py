"""A benchmark's rows summed up: means with intervals, worst cells, demands met or missed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from irplan.fluoroscopy.bench.device_runs import DEVICE_MEASURES
from irplan.fluoroscopy.bench.suite import BenchResult, CellRow
from irplan.fluoroscopy.quality.observer import Ratio


@dataclass(frozen=True)
class DeviceSummary:
    """One filter at one dose: mean over scenes and seeds with a 95 % interval, by measure."""

    filter_name: str
    dose: float
    scenes: int
    values: dict[str, Ratio]


@dataclass(frozen=True)
class Demand:
    """One demand on a filter: what, what was measured, the limit, and the verdict.

    "not measured" where the run did not hold it (other level, other dose).
    """

    name: str
    measured: float | None
    low: float | None
    high: float | None
    limit: str
    verdict: Literal["met", "MISSED", "not measured"]
    note: str = ""


def device_summary(result: BenchResult) -> tuple[DeviceSummary, ...]:
    """Mean of every measure over scenes and seeds; the interval is a bootstrap over those."""
    out = []
    keys = dict.fromkeys((r.filter_name, r.dose_ngy) for r in result.devices)
    for name, dose in keys:
        rows = [r for r in result.devices if (r.filter_name, r.dose_ngy) == (name, dose)]
        values = {}
        for key, _, _ in DEVICE_MEASURES:
            found = np.array([r.values[key] for r in rows if key in r.values])
            if found.size:
                values[key] = _mean(found)
        out.append(DeviceSummary(name, dose / result.request.full_dose_ngy, len(rows), values))
    return tuple(out)


def _mean(values: np.ndarray) -> Ratio:
    mean = float(values.mean())
    if values.size < 3:
        return Ratio(mean, math.nan, math.nan)
    rng = np.random.default_rng(0)
    drawn = rng.choice(values, (2000, values.size)).mean(axis=1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Ratio(mean, float(low), float(high))


def cells_of(result: BenchResult, name: str, observer: str) -> tuple[CellRow, ...]:
    """The cells of one filter and observer."""
    return tuple(r for r in result.cells if (r.filter_name, r.observer) == (name, observer))


def worst_cell(result: BenchResult, name: str, observer: str) -> CellRow | None:
    """The cell in which d' over raw is least; None where nothing was measured."""
    rows = [r for r in cells_of(result, name, observer) if math.isfinite(r.over_raw.value)]
    return min(rows, key=lambda r: r.over_raw.value) if rows else None


def demands(result: BenchResult, name: str) -> tuple[Demand, ...]:
    """What irplan asks of its own filter (docs/fluoroscopy.md), for any filter."""
    out = []
    dose = result.request.working_dose
    summary = next(
        (s for s in device_summary(result) if s.filter_name == name and s.dose == dose), None
    )
    for key, words, limit, above in (
        ("device_snr", "device SNR", 1.9, True),
        ("retention", "device contrast kept", 0.88, True),
        ("lag", "first-frame lag", 0.15, False),
    ):
        value = None if summary is None else summary.values.get(key)
        out.append(_demand(f"{words} at {100 * dose:g} % dose", value, limit, above))
    for words, observer, speed, limit in (
        ("still discs, least d' over raw", "in-place", 0.0, 2.4),
        ("1 px/frame, least d' over raw", "in-place", 1.0, 1.25),
    ):
        rows = [r for r in cells_of(result, name, observer) if r.cell.speed_px == speed]
        out.append(_least(words, rows, 12, limit))
    for observer, limit in (("trail-aware", 0.95), ("in-place", 0.90)):
        rows = list(cells_of(result, name, observer))
        out.append(_least(f"all cells, {observer}, least d' over raw", rows, 48, limit))
    rows = list(cells_of(result, name, "in-place"))
    many = sum(r.over_raw.value >= 0.95 for r in rows)
    if len(rows) == 48:
        verdict: Literal["met", "MISSED"] = "met" if many >= 44 else "MISSED"
        out.append(Demand("cells with in-place d' >= 0.95 x raw", many, None, None,
                          ">= 44 of 48", verdict))  # fmt: skip
    else:
        out.append(Demand("cells with in-place d' >= 0.95 x raw", None, None, None, ">= 44 of 48",
                          "not measured", f"{len(rows)} of 48 cells were run"))  # fmt: skip
    row = next((r for r in result.filters if r.name == name), None)
    if row is None or row.speed is None or row.speed.shape != (1024, 1024):
        out.append(Demand("frames/s at 1024 x 1024", None, None, None, ">= 30", "not measured"))
    else:
        rate = row.speed.frames_per_s
        out.append(Demand("frames/s at 1024 x 1024", rate, None, None, ">= 30",
                          "met" if rate >= 30 else "MISSED"))  # fmt: skip
    return tuple(out)


def dsa_demands(result: BenchResult) -> tuple[Demand, ...]:
    """What is asked of subtraction: misregistration, and vessels at the working dose."""
    if not result.dsa:
        return ()
    full = result.request.full_dose_ngy
    work = full * result.request.working_dose
    out = []
    for dose in (full, work):
        found = np.array(
            [
                r.misregistration_px
                for r in result.dsa
                if r.dose_ngy == dose and r.method == "rigid shift"
            ]
        )
        out.append(
            _demand(f"misregistration, px, rigid, at {100 * dose / full:g} % dose", _mean(found),
                    0.2, False)
        )  # fmt: skip
    plain = _mean(np.array([r.vessel_cnr for r in result.dsa
                            if (r.dose_ngy, r.method) == (full, "unprocessed")]))  # fmt: skip
    best = (work, "rigid shift, filtered")
    new = _mean(np.array([r.vessel_cnr for r in result.dsa if (r.dose_ngy, r.method) == best]))
    name = f"vessel CNR at {100 * work / full:g} % dose against unprocessed full dose"
    out.append(_demand(name, new, plain.value, True))
    return tuple(out)


def _demand(name: str, value: Ratio | None, limit: float, above: bool) -> Demand:
    words = f"{'>=' if above else '<='} {limit:.3g}"
    if value is None:
        return Demand(name, None, None, None, words, "not measured")
    met = value.value >= limit if above else value.value <= limit
    return Demand(name, value.value, value.low, value.high, words, "met" if met else "MISSED")


def _least(name: str, rows: list[CellRow], wanted: int, limit: float) -> Demand:
    words = f">= {limit:g} in all {wanted}"
    use = [r for r in rows if math.isfinite(r.over_raw.value)]
    if len(use) < wanted:
        return Demand(
            name, None, None, None, words, "not measured", f"{len(use)} of {wanted} cells were run"
        )
    worst = min(use, key=lambda r: r.over_raw.value)
    r = worst.over_raw
    c = worst.cell
    note = f"at r {c.radius_px:g} px, {100 * c.contrast:g} %, {c.speed_px:g} px/frame"
    return Demand(
        name, r.value, r.low, r.high, words, "met" if r.value >= limit else "MISSED", note
    )
