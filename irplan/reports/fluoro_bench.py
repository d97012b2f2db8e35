"""The fluoroscopy benchmark in tables: for the terminal and as a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from irplan.fluoroscopy.bench.device_runs import DEVICE_MEASURES
from irplan.fluoroscopy.bench.peers import PEERS
from irplan.fluoroscopy.bench.recorded import RecordedBench
from irplan.fluoroscopy.bench.suite import BenchResult
from irplan.fluoroscopy.bench.summary import (
    Demand,
    cells_of,
    demands,
    device_summary,
    dsa_demands,
    peer_comparisons,
    peer_demands,
    worst_cell,
)
from irplan.reports.content import Table
from irplan.reports.sheet import Note, Part, SheetFigure, sheet_html

_HEADS = {
    "device_snr": "device SNR", "retention": "contrast kept", "lag": "lag", "lost": "lost",
    "invented_per_mpx": "invented, 1/Mpx", "psnr_db": "PSNR, dB", "device_psnr_db":
    "device PSNR, dB", "ssim": "SSIM",
}  # fmt: skip


def filters_table(result: BenchResult) -> Table:
    """Every filter: whether it ran, how fast."""
    rows = []
    for f in result.filters:
        speed = "–" if f.speed is None else f"{f.speed.ms_per_frame:.3g}"
        size = "–" if f.speed is None else f"{f.speed.shape[0]} x {f.speed.shape[1]}"
        late = str(f.latency_frames) if f.speed is not None else "–"
        rows.append((f.name, f.status, speed, size, late, f"{f.title}. {f.note}".strip(" .") + "."))
    return Table("Filters", ("filter", "", "ms/frame", "frame", "frames late", "what"),
                 tuple(rows), "Times are of this machine, all filters in one run.")  # fmt: skip


def devices_table(result: BenchResult) -> Table:
    """Mean over scenes and seeds with intervals."""
    keys = [k for k, _, _ in DEVICE_MEASURES]
    rows = []
    for s in device_summary(result):
        cells = [f"{s.filter_name}", f"{100 * s.dose:g} %"]
        for k in keys:
            v = s.values.get(k)
            cells.append("–" if v is None else _interval(v.value, v.low, v.high))
        rows.append(tuple(cells))
    return Table("Devices in moving scenes", ("filter", "dose", *(_HEADS[k] for k in keys)),
                 tuple(rows), "Mean with 95 % interval over scenes and seeds. Lost: share of the "
                 "truth's structure shown at less than half its contrast; invented: spots of 3 % "
                 "contrast without a counterpart (in the raw frames they are noise). PSNR and SSIM "
                 "flatter smoothing: compare d' and dose factors.")  # fmt: skip


def worst_table(result: BenchResult) -> Table:
    """The least d' over raw of every filter, by observer."""
    rows = []
    for f in result.filters:
        for observer in ("in-place", "trail-aware", "three-frame", "NPWE"):
            worst = worst_cell(result, f.name, observer)
            if worst is None or f.name == "raw":
                continue
            c, r = worst.cell, worst.over_raw
            rows.append(
                (
                    f.name, observer, str(len(cells_of(result, f.name, observer))),
                    _interval(r.value, r.low, r.high), f"{c.radius_px:g} px",
                    f"{100 * c.contrast:g} %",
                    f"{c.speed_px:g} px/frame",
                )
            )  # fmt: skip
    return Table("Worst case", ("filter", "observer", "cells run", "least d' over raw", "radius",
                                "contrast", "speed"), tuple(rows))  # fmt: skip


def factors_table(result: BenchResult) -> Table:
    """Dose factors at the working dose."""
    dose = result.request.working_dose
    rows = []
    for f in result.factors:
        if f.dose != dose or f.observer == "NPWE":
            continue
        c, d = f.cell, f.factor
        rows.append(
            (
                f.filter_name, f.against, f"r {c.radius_px:g} px, {100 * c.contrast:g} %",
                f"{c.speed_px:g}", f.observer,
                _interval(d.value, d.low, d.high) + (" *" if d.extrapolated else ""),
            )
        )  # fmt: skip
    return Table(f"Dose factor a task at {100 * dose:g} % dose",
                 ("filter", "against", "disc", "px/frame", "observer", "dose factor"),
                 tuple(rows), "Dose of the reference with the same d', over the filter's. * beyond "
                 "the ladder: extrapolated by the nearest power law.")  # fmt: skip


def dsa_tables(result: BenchResult) -> tuple[Table, ...]:
    """Subtraction: demands, and every method at both doses."""
    if not result.dsa:
        return ()
    rows = tuple(
        (
            r.method, f"{r.dose_ngy:g} nGy", str(r.seed), f"{r.true_shift_px:.2f}",
            _interval(r.misregistration_px, math.nan, math.nan),
            _interval(r.worst_px, math.nan, math.nan), f"{r.vessel_cnr:.3g}",
        )
        for r in result.dsa
    )  # fmt: skip
    return (
        _demand_rows("Demands: subtraction", dsa_demands(result)),
        Table("Subtraction", ("method", "dose", "seed", "true shift, px", "misregistration, px",
              "worst frame, px", "vessel CNR"), rows),
    )  # fmt: skip


def demands_table(result: BenchResult, name: str) -> Table:
    """What is asked of a filter, met or MISSED."""
    return _demand_rows(f"Demands: {name}", demands(result, name))


def peers_table(result: BenchResult, name: str) -> tuple[Table, ...]:
    """A filter against every peer of the run; none where no peer was measured."""
    found = peer_comparisons(result, name)
    if not found:
        return ()
    rows = tuple(
        (
            p.peer, f"{p.device_snr[0]:.3g}", f"{p.device_snr[1]:.3g}",
            f"{p.ahead} of {p.cells}" if p.cells else "not measured",
            "–" if p.least_cell is None else f"{p.least:.2f} (r {p.least_cell.radius_px:g} px, "
            f"{100 * p.least_cell.contrast:g} %, {p.least_cell.speed_px:g} px/frame)",
            f"{p.speed:.3g}",
        )
        for p in found
    )  # fmt: skip
    heads = ("peer", f"device SNR, {name}", "peer", "d' higher in", f"least d' of {name} over peer",
             "times as fast")  # fmt: skip
    return (
        _demand_rows(f"Demands: {name} against peers", peer_demands(result, name)),
        Table(f"{name} against peers", heads, rows, "Still and 1 px/frame discs, in place."),
    )


def _demand_rows(title: str, found: Sequence[Demand]) -> Table:
    rows = tuple(
        (
            d.verdict, d.name,
            "–" if d.measured is None else _interval(
                d.measured, math.nan if d.low is None else d.low,
                math.nan if d.high is None else d.high),
            d.limit, d.note,
        )
        for d in found
    )  # fmt: skip
    return Table(title, ("", "demand", "measured", "limit", ""), rows)


def bench_html(result: BenchResult, figures: Mapping[str, tuple[str, bytes]]) -> str:
    """The page; ``figures``: key -> (caption, PNG)."""
    q = result.request
    own = [
        f.name
        for f in result.filters
        if f.name in q.filters and f.name not in PEERS and f.status == "measured"
    ]
    setting = (
        f"Full dose {q.full_dose_ngy:g} nGy a frame at the detector; ladder "
        + ", ".join(f"{100 * d:g} %" for d in q.doses)
        + f"; scenes {', '.join(q.scenes) or 'none'} (seeds "
        f"{', '.join(map(str, result.scene_seeds)) or '–'}); discs on seeds "
        f"{', '.join(map(str, result.disc_seeds))}; level {q.level}; {result.seconds:.0f} s."
    )
    drawn = {k: SheetFigure(*v) for k, v in figures.items()}
    picked = tuple(f for k, f in drawn.items() if k.startswith("worst"))
    parts = [
        Part("Setting", (Note(setting), Note("Seeds of 100 and more were not used to choose "
             "irplan's constants.")), (), (filters_table(result),)),
        Part("Demands", (), (), tuple(demands_table(result, n) for n in own)),
        Part("Peers", (), (), tuple(t for n in own for t in peers_table(result, n))),
        Part("Devices", (), tuple(f for k, f in drawn.items() if k == "speed"),
             (devices_table(result),)),
        Part("Worst case", (Note("A linear temporal filter cannot gain for still discs without "
             "losing for fast ones seen in place; trail-aware, nothing is lost."),), picked,
             (worst_table(result),)),
        Part("Dose factors", (), tuple(f for k, f in drawn.items() if k.startswith("factors")),
             (factors_table(result),)),
    ]  # fmt: skip
    if result.dsa:
        parts.append(Part("Subtraction (DSA)", (), (), dsa_tables(result)))
    return sheet_html(
        "Fluoroscopy filters: dose and quality", f"irplan {result.version}, simulated scenes.",
        parts, banner="BENCHMARK",
    )  # fmt: skip


def _interval(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return "–"
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"{value:.3g}"
    return f"{value:.3g} ({low:.3g} to {high:.3g})"


def recorded_table(result: RecordedBench) -> Table:
    """What each filter did to a recorded run."""
    rows = tuple(
        (
            r.filter_name, f"{r.noise_left:.3g}", f"{r.edges_kept:.3g}", f"{r.motion_loss:.3g}",
            f"{r.frame_correlation:.2g}", f"{r.ms_per_frame:.3g}",
        )
        for r in result.rows
    )  # fmt: skip
    rows += tuple((name, "–", "–", "–", "–", why) for name, why in result.refused)
    heads = ("filter", "noise left", "edges kept", "motion loss", "frame correlation", "ms/frame")
    return Table("Recorded run", heads, rows, "Noise left: temporal SD in quiet blocks over the "
                 "run's own. Motion loss: what was taken away where things move over where nothing "
                 "does; 1 is noise alone. There is no truth: no d', no dose factor.")  # fmt: skip


def recorded_html(result: RecordedBench) -> str:
    """The page of a recorded run."""
    notes = tuple(Note(n, strong=True) for n in result.notes)
    part = Part(result.file_name, notes, (), (recorded_table(result),))
    return sheet_html(
        "Fluoroscopy filters on a recorded run", f"irplan {result.version}.", [part],
        banner="BENCHMARK",
    )  # fmt: skip
