"""Temperature at named points and frozen volume over the schedule."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from irplan.planning.case import PlannedCase
from irplan.viz import style

#: Okabe-Ito without yellow: told apart by colour-blind eyes; lines also differ in dash.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
_DASHES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))
_PHASES = {
    "freeze": ("#dff1fb", "freeze"),
    "passive_thaw": ("#fdf3e3", "passive thaw"),
    "active_thaw": ("#fbe3dc", "active thaw"),
}


def temperature_over_time(case: PlannedCase) -> Figure:
    """Traces in degC above, frozen volume in cm^3 below, over minutes, phases shaded."""
    trace = case.result.trace
    minutes = trace.time_s / 60.0
    with style.styled():
        figure = style.new_figure(9.6, 6.0)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1.0))
        for k, name in enumerate(trace.names):
            upper.plot(
                minutes, trace.temperature_c[:, k], label=name, linewidth=1.8,
                color=_COLOURS[k % len(_COLOURS)], linestyle=_DASHES[k % len(_DASHES)],
            )  # fmt: skip
        for level in sorted({0.0, -20.0, -40.0, case.plan.lethal.threshold_c}):
            upper.axhline(level, color=style.MUTED, linewidth=0.9, linestyle=":")
        upper.set_ylabel("temperature (°C)")
        upper.set_title("Temperature at chosen points (dotted: 0, -20 and -40 °C)", pad=34)
        upper.set_xlim(0.0, float(minutes[-1]))
        lower.plot(minutes, trace.frozen_volume_cm3, color=_COLOURS[0], linewidth=2.0)
        lower.fill_between(minutes, trace.frozen_volume_cm3, color=_COLOURS[0], alpha=0.15)
        lower.set_ylim(bottom=0.0)
        lower.set_ylabel("frozen volume (cm³)")
        lower.set_xlabel("time since the first freeze began (min)")
        _shade(upper, case, named=True)
        _shade(lower, case, named=False)
        figure.legend(
            *upper.get_legend_handles_labels(), loc="outside lower center",
            ncols=min(4, max(1, len(trace.names))),
        )  # fmt: skip
        for axes in (upper, lower):
            axes.spines[["top", "right"]].set_visible(False)
    return figure


def _shade(axes: Axes, case: PlannedCase, *, named: bool) -> None:
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
