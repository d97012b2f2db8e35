"""A benchmark's rows summed up: means with intervals, worst cells, demands met or missed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from irplan.fluoroscopy.bench.device_runs import DEVICE_MEASURES
from irplan.fluoroscopy.bench.disc_runs import DiscCell
from irplan.fluoroscopy.bench.peers import PEERS
from irplan.fluoroscopy.bench.suite import BenchResult, CellRow, FilterRow
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


@dataclass(frozen=True)
class PeerComparison:
    """A filter against one peer at the working dose, in one run.

    ``device_snr``: of both, mean over the same scenes.  ``ahead`` of ``cells``: kinds of still and
    1 px/frame discs in which the filter's in-place d' is higher; ``least``: the least ratio of
    d' (filter over peer), with its cell.  ``speed``: the peer's time a frame over the filter's.
    """

    peer: str
    device_snr: tuple[float, float]
    ahead: int
    cells: int
    least: float
    least_cell: DiscCell | None
    speed: float


def peer_comparisons(result: BenchResult, name: str) -> tuple[PeerComparison, ...]:
    """``name`` against every peer that was measured."""
    dose = result.request.working_dose
    snr = {s.filter_name: s.values["device_snr"].value for s in device_summary(result)
           if s.dose == dose and "device_snr" in s.values}  # fmt: skip
    rows = {r.name: r for r in result.filters if r.speed is not None}
    own = {r.cell: r.d_prime for r in cells_of(result, name, "in-place") if r.cell.speed_px <= 1.0}
    out = []
    for peer in rows:
        if peer not in PEERS or peer == name or name not in rows:
            continue
        its = {r.cell: r.d_prime for r in cells_of(result, peer, "in-place") if r.cell in own}
        ratios = {c: own[c] / d if d > 0.0 else math.inf for c, d in its.items()}
        least = min(ratios, key=lambda c: ratios[c]) if ratios else None
        out.append(
            PeerComparison(
                peer,
                (snr.get(name, math.nan), snr.get(peer, math.nan)),
                sum(v > 1.0 for v in ratios.values()),
                len(ratios),
                ratios[least] if least is not None else math.nan,
                least,
                _ms(rows[peer]) / _ms(rows[name]),
            )
        )
    return tuple(out)


def peer_demands(result: BenchResult, name: str) -> tuple[Demand, ...]:
    """Ahead of every peer on devices and on still and slow discs, at 20 x the best one's speed."""
    found = peer_comparisons(result, name)
    if not found:
        return ()
    first = max(found, key=lambda p: p.device_snr[1] if math.isfinite(p.device_snr[1]) else 0.0)
    cells = [p for p in found if p.cells]
    out = []
    if all(math.isfinite(v) for v in first.device_snr):
        ahead = first.device_snr[0] / first.device_snr[1]
        out.append(Demand("device SNR over the best peer's", ahead, None, None, "> 1",
                          "met" if ahead > 1.0 else "MISSED", first.peer))  # fmt: skip
    if cells:
        worst = min(cells, key=lambda p: p.least)
        c = worst.least_cell
        note = f"{worst.peer}; {sum(p.ahead for p in cells)} of {sum(p.cells for p in cells)} ahead"
        if c is not None:
            note += (
                f", least at r {c.radius_px:g} px, {100 * c.contrast:g} %, {c.speed_px:g} px/frame"
            )
        whole = min(p.cells for p in cells) >= 24 and len(cells) == len(found)
        verdict: Literal["met", "MISSED", "not measured"] = (
            "MISSED" if worst.least <= 1.0 else "met" if whole else "not measured"
        )
        out.append(Demand("least d' over a peer's, still and 1 px/frame", worst.least, None, None,
                          "> 1 in all 24, every peer", verdict, note))  # fmt: skip
    out.append(Demand("speed over the best peer's (device SNR)", first.speed, None, None, ">= 20",
                      "met" if first.speed >= 20.0 else "MISSED", first.peer))  # fmt: skip
    return tuple(out)


def _ms(row: FilterRow) -> float:
    """Of a 1024 x 1024 frame."""
    if row.speed is None:
        return math.nan
    return row.speed.ms_per_frame * 1024 * 1024 / (row.speed.shape[0] * row.speed.shape[1])


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
