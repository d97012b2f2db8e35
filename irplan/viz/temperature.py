"""Temperature at named points, and frozen volume or power, over the schedule."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from irplan.planning.case import PlannedAblation
from irplan.viz import style

#: Okabe-Ito without yellow: told apart by colour-blind eyes; lines also differ in dash.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
_DASHES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))
_PHASES = {
    "freeze": ("#dff1fb", "freeze"),
    "passive_thaw": ("#fdf3e3", "passive thaw"),
    "active_thaw": ("#fbe3dc", "active thaw"),
    "power": ("#fdebdc", "power"),
    "pause": ("#f0f2f4", "pause"),
}
#: Temperatures above this are left outside the picture, which says so, degC.
_TOP_C = 130.0


def temperature_over_time(case: PlannedAblation) -> Figure:
    """Traces in degC above; below, by cold, the frozen volume in cm^3, else the power in W.

    Over minutes, phases shaded; pulses of electroporation have no phases.
    """
    trace, kind = case.result.trace, case.plan.placements[0].applicator.kind
    minutes = trace.time_s / 60.0
    levels = sorted({0.0, -20.0, -40.0, case.plan.lethal.threshold_c})
    if kind != "cryo":
        levels = [50.0, 60.0, 100.0]
    with style.styled():
        figure = style.new_figure(9.6, 6.0)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1.0))
        for k, name in enumerate(trace.names):
            upper.plot(
                minutes, trace.temperature_c[:, k], label=name, linewidth=1.8,
                color=_COLOURS[k % len(_COLOURS)], linestyle=_DASHES[k % len(_DASHES)],
            )  # fmt: skip
        for level in levels:
            upper.axhline(level, color=style.MUTED, linewidth=0.9, linestyle=":")
        dotted = f"dotted: {_listed(levels)} °C"
        highest = float(trace.temperature_c.max())
        if highest > _TOP_C:
            upper.set_ylim(top=_TOP_C)
            dotted += f"; up to {highest:.0f} °C above the picture"
        upper.set_ylabel("temperature (°C)")
        upper.set_title(f"Temperature at chosen points ({dotted})", pad=34)
        upper.set_xlim(0.0, float(minutes[-1]))
        values, words = _below(case)
        lower.plot(minutes, values, color=_COLOURS[0], linewidth=2.0)
        lower.fill_between(minutes, values, color=_COLOURS[0], alpha=0.15)
        lower.set_ylim(bottom=0.0)
        lower.set_ylabel(words)
        start = "the first freeze began" if kind == "cryo" else "the start"
        lower.set_xlabel(f"time since {start} (min)")
        if kind != "ire":
            _shade(upper, case, named=True)
            _shade(lower, case, named=False)
        figure.legend(
            *upper.get_legend_handles_labels(), loc="outside lower center",
            ncols=min(4, max(1, len(trace.names))),
        )  # fmt: skip
        for axes in (upper, lower):
            axes.spines[["top", "right"]].set_visible(False)
    return figure


def _below(case: PlannedAblation) -> tuple[NDArray[np.float64], str]:
    trace = case.result.trace
    if case.plan.placements[0].applicator.kind == "cryo":
        return trace.frozen_volume_cm3, "frozen volume (cm³)"
    found = [v for k, v in trace.extra.items() if k.endswith("power_w")]
    if found and case.plan.placements[0].applicator.kind == "ire":
        return np.sum(found, axis=0) / 1000.0, "power in a pulse (kW)"
    if found:
        several = len(case.plan.placements) > 1
        return np.sum(found, axis=0), "power of all (W)" if several else "power (W)"
    return np.zeros_like(trace.time_s), "power (W): not recorded"


def _listed(levels: list[float]) -> str:
    texts = [f"{v:g}" for v in sorted(levels, reverse=levels[0] < 0)]
    return f"{', '.join(texts[:-1])} and {texts[-1]}"


def _shade(axes: Axes, case: PlannedAblation, *, named: bool) -> None:
    start = 0.0
    for phase in case.plan.schedule.phases:
        end = start + phase.duration_s / 60.0
        colour, word = _PHASES[phase.kind]
        axes.axvspan(start, end, color=colour, zorder=0, linewidth=0)
        axes.axvline(end, color=style.GRID, linewidth=0.8, zorder=0)
        if named:
            axes.text((start + end) / 2, 1.015, f"{word}\n{end - start:g} min", ha="center",
                      va="bottom", fontsize=9, color=style.MUTED, linespacing=1.1,
                      transform=axes.get_xaxis_transform())  # fmt: skip
        start = end
