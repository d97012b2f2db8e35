"""Curves of a simulation: temperature, volume, power and impedance over time; zone profile."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from irplan.ablation.simulated_case import SimulatedCase
from irplan.viz import style
from irplan.viz.simulation_planes import ZONE_COLOURS, ZONE_DASHES

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
_DASHES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)))
_PHASES = {
    "freeze": ("#dff1fb", "freeze"),
    "passive_thaw": ("#fdf3e3", "passive thaw"),
    "active_thaw": ("#fbe3dc", "active thaw"),
    "power": ("#fdebdc", "power"),
    "pause": ("#f0f2f4", "pause"),
}
_QUANTITIES = {
    "W": "power", "Ω": "impedance", "V": "voltage", "A": "current", "cm³": "volume",
    "ml": "volume", "s": "time", "°C": "temperature",
}  # fmt: skip
#: Temperatures above this are left outside the picture, which says so, °C.
_TOP_C = 130.0
_LEVELS = {"cryo": (0.0, -20.0, -40.0), "rfa": (50.0, 60.0, 100.0), "mwa": (50.0, 60.0, 100.0)}


def temperature_curves(case: SimulatedCase) -> Figure:
    """Temperature at the probes and monitors over minutes; for cold the frozen volume below."""
    trace = case.result.trace
    minutes = trace.time_s / 60.0
    frozen = case.kind == "cryo"
    with style.styled():
        figure = style.new_figure(9.6, 6.0 if frozen else 4.4)
        if frozen:
            upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1.0))
        else:
            upper = lower = figure.subplots(1, 1)
        for k, name in enumerate(case.trace_names):
            _line(upper, minutes, trace.temperature_c[:, k], name, k)
        levels = _LEVELS.get(case.kind, ())
        for level in levels:
            upper.axhline(level, color=style.MUTED, linewidth=0.9, linestyle=":")
        dotted = f" (dotted: {', '.join(f'{v:g}' for v in levels)} °C)" if levels else ""
        highest = float(trace.temperature_c.max())
        if highest > _TOP_C:
            upper.set_ylim(top=_TOP_C)
            dotted = dotted[:-1] + f"; up to {highest:.0f} °C above the picture)"
        pad = 8 if case.kind == "ire" else 34
        upper.set_title(f"Temperature at chosen points{dotted}".replace("-", "−"), pad=pad)
        upper.set_ylabel("temperature (°C)")
        if frozen:
            lower.plot(minutes, trace.frozen_volume_cm3, color=_COLOURS[0], linewidth=2.0)
            lower.fill_between(minutes, trace.frozen_volume_cm3, color=_COLOURS[0], alpha=0.15)
            lower.set_ylim(bottom=0.0)
            lower.set_ylabel("frozen volume (cm³)")
            _finish(lower, case, minutes, named=False)
        _finish(upper, case, minutes, named=True)
        lower.set_xlabel("time (min)")
        figure.legend(
            *upper.get_legend_handles_labels(), loc="outside lower center",
            ncols=min(4, max(1, len(trace.names))),
        )  # fmt: skip
    return figure


def extra_curves(case: SimulatedCase) -> Figure | None:
    """Power, impedance and what else the trace holds, one panel a unit; None without any."""
    groups = _by_unit(case.result.trace.extra)
    if not groups:
        return None
    minutes = case.result.trace.time_s / 60.0
    with style.styled():
        figure = style.new_figure(9.6, 1.2 + 1.75 * len(groups))
        panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
        for row, (axes, (unit, curves)) in enumerate(zip(panels, groups.items(), strict=True)):
            for k, (name, values) in enumerate(curves.items()):
                _line(axes, minutes, values, name, k)
            words = _QUANTITIES.get(unit, "value")
            axes.set_ylabel(f"{words} ({unit})" if unit else words)
            axes.set_ylim(bottom=min(0.0, *(float(v.min()) for v in curves.values())))
            if len(curves) > 1:
                axes.legend(
                    loc="center left",
                    bbox_to_anchor=(1.0, 0.5),
                    borderaxespad=0.4,
                    handlelength=1.6,
                )
            _finish(axes, case, minutes, named=row == 0)
        panels[0].set_title("Over time", pad=8 if case.kind == "ire" else 34)
        figure.align_ylabels()
        panels[-1].set_xlabel("time (min)")
    return figure


def zone_profile(case: SimulatedCase) -> Figure:
    """Mean radius of every zone along the needles, mm against mm from the active zone's end."""
    with style.styled():
        figure = style.new_figure(9.6, 4.2)
        axes = figure.subplots()
        top, low, high = 1.0, 0.0, case.axis.active_length_mm
        for k, (zone, found) in enumerate(zip(case.zones, case.measures, strict=True)):
            at, radius = found.station_mm, found.radius_mm
            hit = np.flatnonzero(radius > 0)
            if hit.size == 0:
                continue
            part = slice(max(0, hit[0] - 1), hit[-1] + 2)
            axes.plot(
                at[part], radius[part], linewidth=2.0, color=ZONE_COLOURS[k % len(ZONE_COLOURS)],
                linestyle=ZONE_DASHES[k % len(ZONE_DASHES)],
                label=f"{zone.words}; {found.volume_ml:.1f} ml",
            )  # fmt: skip
            top = max(top, float(radius.max()))
            low, high = min(low, float(at[hit[0]])), max(high, float(at[hit[-1]]))
        axes.axvspan(0.0, case.axis.active_length_mm, color="#fff4bf", zorder=0, linewidth=0)
        axes.text(
            0.5 * case.axis.active_length_mm, 0.02, "active zone", ha="center", va="bottom",
            color=style.MUTED, fontsize=9, transform=axes.get_xaxis_transform(),
        )  # fmt: skip
        axes.set_xlim(low - 4.0, high + 4.0)
        axes.set_ylim(0.0, 1.12 * top)
        axes.set_xlabel("position along the needle, tip side left, entry right (mm)")
        axes.set_ylabel("mean radius (mm)")
        axes.set_title("Profile of the zones")
        axes.grid(color=style.GRID, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _line(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], name: str, k: int) -> None:
    axes.plot(
        x, y, label=name, linewidth=1.8, color=_COLOURS[k % len(_COLOURS)],
        linestyle=_DASHES[k % len(_DASHES)],
    )  # fmt: skip


def _by_unit(
    extra: Mapping[str, NDArray[np.float64]],
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """``{"power_w": ...}`` -> ``{"W": {"power": ...}}``; one panel a unit."""
    units = {
        "w": "W", "ohm": "Ω", "v": "V", "a": "A", "s": "s", "c": "°C", "cm3": "cm³", "ml": "ml",
    }  # fmt: skip
    out: dict[str, dict[str, NDArray[np.float64]]] = {}
    for name, values in extra.items():
        parts = name.split("_")
        at = next((n for n in range(len(parts) - 1, 0, -1) if parts[n] in units), None)
        unit = "" if at is None else units[parts[at]]
        words = " ".join(p for n, p in enumerate(parts) if n != at)
        own = out.setdefault(unit, {})
        same = any(np.array_equal(values, v, equal_nan=True) for v in own.values())
        if np.isfinite(values).any() and not same:
            own[words] = values
    return {unit: own for unit, own in out.items() if own}


def _finish(axes: Axes, case: SimulatedCase, minutes: NDArray[np.float64], *, named: bool) -> None:
    axes.set_xlim(0.0, max(float(minutes[-1]), 1e-3))
    axes.spines[["top", "right"]].set_visible(False)
    longest = max(case.schedules, key=lambda s: s.duration_s)  # phases of the longest are shaded
    start, whole = 0.0, longest.duration_s / 60.0
    for phase in () if case.kind == "ire" else longest.phases:
        end = start + phase.duration_s / 60.0
        colour, word = _PHASES[phase.kind]
        axes.axvspan(start, end, color=colour, zorder=0, linewidth=0)
        axes.axvline(end, color=style.GRID, linewidth=0.8, zorder=0)
        if named and (end - start) > 0.08 * whole:
            power = "" if phase.power_w is None else f" {phase.power_w:g} W"
            axes.text((start + end) / 2, 1.015, f"{word}{power}\n{end - start:.3g} min",
                      ha="center", va="bottom", fontsize=9, color=style.MUTED, linespacing=1.1,
                      transform=axes.get_xaxis_transform())  # fmt: skip
        start = end
