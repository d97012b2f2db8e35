"""The fluoroscopy benchmark as figures: worst case, dose factors, quality against speed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from irplan.fluoroscopy.bench.suite import BenchResult
from irplan.fluoroscopy.bench.summary import cells_of, device_summary
from irplan.viz import style

#: Okabe-Ito; told apart by colour-blind eyes, and by marker.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#5b6b7a")
_MARKERS = "osD^vPX*"


def worst_case(result: BenchResult, name: str) -> Figure:
    """d' over raw in every cell of size, contrast and speed: one panel an observer."""
    observers = ("in-place", "trail-aware", "three-frame")
    rows = {o: cells_of(result, name, o) for o in observers}
    speeds = sorted({r.cell.speed_px for r in rows["in-place"]})
    kinds = sorted({(r.cell.radius_px, r.cell.contrast) for r in rows["in-place"]})
    with style.styled():
        figure = style.new_figure(10.4, 1.6 + 0.36 * max(len(kinds), 3))
        panels = figure.subplots(1, 3, sharey=True)
        image: Any = None
        for axes, observer in zip(panels, observers, strict=True):
            table = np.full((len(kinds), len(speeds)), np.nan)
            for r in rows[observer]:
                at = kinds.index((r.cell.radius_px, r.cell.contrast)), speeds.index(r.cell.speed_px)
                table[at] = r.over_raw.value
            norm = TwoSlopeNorm(1.0, 0.5, 3.0)
            image = axes.imshow(np.clip(table, 0.5, 3.0), cmap="RdBu", norm=norm, aspect="auto")
            for i, j in np.ndindex(table.shape):
                value = table[i, j]
                if math.isfinite(value):
                    dark = value < 0.72 or value > 2.1
                    weight = "bold" if value < 0.95 else "normal"
                    axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=8.5,
                              fontweight=weight, color="white" if dark else style.INK)  # fmt: skip
            axes.set_xticks(range(len(speeds)), [f"{s:g}" for s in speeds])
            axes.set_xlabel("speed (px/frame)")
            axes.set_title(observer)
        panels[0].set_yticks(range(len(kinds)), [f"r {r:g} px, {100 * c:g} %" for r, c in kinds])
        figure.colorbar(image, ax=list(panels), label="d′ over raw (bold: below 0.95)", shrink=0.9)
        figure.suptitle(f"{name}: size × contrast × speed at "
                        f"{100 * result.request.working_dose:g} % dose", x=0.01, ha="left",
                        fontsize=10.5, fontweight="bold")  # fmt: skip
    return figure


def dose_factors(result: BenchResult, *, observer: str = "in-place") -> Figure:
    """Dose factor of every filter a task at the working dose, against raw, with its interval."""
    dose = result.request.working_dose
    rows = [f for f in result.factors if (f.dose, f.observer, f.against) == (dose, observer, "raw")]
    tasks = list(dict.fromkeys(f.cell for f in rows))
    names = list(dict.fromkeys(f.filter_name for f in rows))
    order = [r.name for r in result.filters]
    with style.styled():
        figure = style.new_figure(9.6, 1.8 + 0.5 * max(3, len(tasks)))
        axes = figure.subplots()
        for k, name in enumerate(names):
            own = [f for f in rows if f.filter_name == name and math.isfinite(f.factor.value)]
            y = [tasks.index(f.cell) + (k - (len(names) - 1) / 2) * 0.8 / len(names) for f in own]
            x = np.array([f.factor.value for f in own])
            low = np.array([f.factor.low for f in own])
            high = np.array([f.factor.high for f in own])
            spread = np.nan_to_num(np.abs(np.array([x - low, high - x])))
            at = order.index(name)
            colour = _COLOURS[at % len(_COLOURS)]
            axes.errorbar(x, y, xerr=spread, fmt=_MARKERS[at % len(_MARKERS)], color=colour,
                          markersize=4.5, linewidth=1.1, label=name)  # fmt: skip
            beyond = [n for n, f in enumerate(own) if f.factor.extrapolated]
            axes.plot(x[beyond], np.array(y)[beyond], "o", markersize=9, markerfacecolor="none",
                      markeredgecolor=colour, linestyle="none")  # fmt: skip
        axes.axvline(1.0, color=style.MUTED, linewidth=1.0)
        axes.set_xscale("log")
        ticks = [0.25, 0.5, 1, 2, 4, 8, 16]
        axes.set_xlim(0.2, 20.0)
        axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
        axes.minorticks_off()
        axes.set_yticks(range(len(tasks)), [
            f"r {c.radius_px:g} px, {100 * c.contrast:g} %, {c.speed_px:g} px/frame" for c in tasks
        ])  # fmt: skip
        axes.set_ylim(len(tasks) - 0.5, -0.5)
        axes.grid(True, axis="x", color=style.GRID, linewidth=0.6)
        axes.set_xlabel("dose factor against raw: dose of unfiltered frames with the same d′ "
                        "(95 % interval)")  # fmt: skip
        axes.set_title(f"Dose factor a task, {observer} observer, at {100 * dose:g} % dose "
                       "(ringed: beyond the ladder)")  # fmt: skip
        figure.legend(loc="outside lower center", ncols=min(4, max(1, len(names))))
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def quality_against_speed(result: BenchResult) -> Figure:
    """Device SNR, and d' of still discs over raw, against the time a frame takes."""
    dose = result.request.working_dose
    summary = {s.filter_name: s for s in device_summary(result) if s.dose == dose}
    with style.styled():
        figure = style.new_figure(10.0, 4.4)
        left, right = figure.subplots(1, 2)
        for k, row in enumerate(result.filters):
            if row.speed is None:
                continue
            at = row.speed.ms_per_frame * 1024 * 1024 / (row.speed.shape[0] * row.speed.shape[1])
            look = {"color": _COLOURS[k % len(_COLOURS)], "fmt": _MARKERS[k % len(_MARKERS)],
                    "markersize": 6, "linewidth": 1.1}  # fmt: skip
            own = summary.get(row.name)
            if own is not None and "device_snr" in own.values:
                v = own.values["device_snr"]
                kept = own.values["retention"].value
                left.errorbar(at, v.value, yerr=_bars(v.value, v.low, v.high),
                              label=f"{row.name} (keeps {kept:.2f})", **look)  # fmt: skip
            still = [r.over_raw for r in cells_of(result, row.name, "in-place")
                     if r.cell.speed_px == 0.0 and math.isfinite(r.over_raw.value)]  # fmt: skip
            if still:
                values = [r.value for r in still]
                right.errorbar(at, float(np.mean(values)),
                               yerr=_bars(float(np.mean(values)), min(values), max(values)),
                               **look)  # fmt: skip
        for axes in (left, right):
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
            axes.axvline(1000 / 30, color=style.MUTED, linewidth=1.0, linestyle="--")
            axes.set_ylim(bottom=0.0)
            axes.text(1000 / 30, 0.02, " 30 frames/s", transform=axes.get_xaxis_transform(),
                      fontsize=8.5, color=style.MUTED)  # fmt: skip
            axes.set_xlabel("time a 1024 × 1024 frame (ms)")
            axes.grid(True, color=style.GRID, linewidth=0.6)
            axes.spines[["top", "right"]].set_visible(False)
        left.set_ylabel("device SNR (95 % interval)")
        left.set_title(f"Devices at {100 * dose:g} % dose")
        right.set_ylabel("d′ of still discs over raw (mean, range)")
        right.set_title("Still discs")
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def _bars(value: float, low: float, high: float) -> Any:
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    return [[max(value - low, 0.0)], [max(high - value, 0.0)]]
