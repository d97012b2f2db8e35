"""A procedure's dose over time, and from which side it came."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from irplan.errors import InputError
from irplan.procedure.dose import DoseEvent, DoseReport
from irplan.viz import style

_FLUORO, _ACQUISITION, _OTHER = "#0072b2", "#d55e00", "#5b6b7a"
_WORDS = {
    "fluoroscopy": ("fluoroscopy", _FLUORO, "o"),
    "stationary": ("acquisition", _ACQUISITION, "s"),
    "stepping": ("acquisition", _ACQUISITION, "s"),
    "rotational": ("acquisition", _ACQUISITION, "s"),
    "unknown": ("event", _OTHER, "^"),
}


def dose_over_time(report: DoseReport) -> Figure:
    """Dose-area product and air kerma of each event and summed, and the beam's angles.

    Raises `InputError` for a report without events.  Events without a start are drawn by number.
    """
    if not report.events:
        raise InputError(
            "dose plot",
            got="a report without irradiation events",
            expected="events",
            remedy="Only the totals can be shown for this file.",
        )
    minutes, label = _when(report.events)
    with style.styled():
        figure = style.new_figure(9.6, 6.4)
        parts: dict[str, Axes] = figure.subplot_mosaic(
            [["dap", "angles"], ["kerma", "angles"]], width_ratios=(1.7, 1.0)
        )
        _sums(parts["dap"], report, minutes, "dap_gy_cm2", "dose-area product (Gy·cm²)")
        _sums(parts["kerma"], report, minutes, "air_kerma_mgy", "air kerma, ref. point (mGy)")
        parts["dap"].set_title("Dose over the procedure")
        parts["kerma"].set_xlabel(label)
        _angles(parts["angles"], report.events)
        handles: dict[str, Any] = {}
        for axes in parts.values():
            for handle, word in zip(*axes.get_legend_handles_labels(), strict=True):
                handles.setdefault(word, handle)
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)
        for axes in parts.values():
            axes.spines[["top", "right"]].set_visible(False)
    return figure


def _when(events: tuple[DoseEvent, ...]) -> tuple[np.ndarray, str]:
    started: list[datetime] = [e.started.replace(tzinfo=None) for e in events if e.started]
    if len(started) < len(events):
        return np.arange(1, len(events) + 1, dtype=float), "number of the event (times are missing)"
    first = started[0]
    return (
        np.array([(t - first).total_seconds() / 60.0 for t in started]),
        "time since the first irradiation (min)",
    )


def _sums(axes: Axes, report: DoseReport, at: np.ndarray, name: str, label: str) -> None:
    values = np.array([getattr(e, name) or 0.0 for e in report.events])
    axes.step(at, np.cumsum(values), where="post", color=style.INK, linewidth=1.8,
              label="sum of the events")  # fmt: skip
    for kind, (word, colour, marker) in _WORDS.items():
        own = [n for n, e in enumerate(report.events) if e.kind == kind]
        if own:
            axes.vlines(at[own], 0.0, values[own], color=colour, linewidth=1.4)
            axes.plot(at[own], values[own], marker, color=colour, markersize=4.5, label=word)
    total = getattr(report, name)
    if report.totals and total is not None:
        axes.axhline(total, color=style.MUTED, linestyle="--", linewidth=1.1, label="stated total")
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0.0)
    axes.margins(x=0.03)
    axes.grid(True, color=style.GRID, linewidth=0.6)
    if not values.any():
        axes.text(0.5, 0.5, "not stated by the file", transform=axes.transAxes, ha="center",
                  color=style.MUTED)  # fmt: skip


def _angles(axes: Axes, events: tuple[DoseEvent, ...]) -> None:
    name = "air_kerma_mgy" if any(e.air_kerma_mgy for e in events) else "dap_gy_cm2"
    largest = max((getattr(e, name) or 0.0 for e in events), default=0.0) or 1.0
    known = False
    for event in events:
        if event.primary_angle_deg is None or event.secondary_angle_deg is None:
            continue
        known = True
        _, colour, marker = _WORDS[event.kind]
        size = 14.0 + 320.0 * (getattr(event, name) or 0.0) / largest
        axes.scatter(event.primary_angle_deg, event.secondary_angle_deg, s=size, c=colour,
                     marker=marker, alpha=0.45, edgecolors="white", linewidths=0.6)  # fmt: skip
    axes.set_title("Direction of the beam")
    axes.set_xlabel("RAO (−)   primary angle (°)   LAO (+)")
    axes.set_ylabel("caudal (−)   secondary angle (°)   cranial (+)")
    axes.grid(True, color=style.GRID, linewidth=0.6)
    axes.axhline(0.0, color=style.MUTED, linewidth=0.8)
    axes.axvline(0.0, color=style.MUTED, linewidth=0.8)
    if known:
        for low, high, setter in (
            (*axes.get_xlim(), axes.set_xlim),
            (*axes.get_ylim(), axes.set_ylim),
        ):
            middle, half = (low + high) / 2.0, max((high - low) / 2.0, 5.0)
            setter(middle - half, middle + half)
        said = "air kerma" if name == "air_kerma_mgy" else "dose-area product"
        axes.set_title(f"Direction of the beam\n(area: {said})")
    else:
        axes.text(0.5, 0.55, "angles not stated", transform=axes.transAxes, ha="center",
                  color=style.MUTED)  # fmt: skip
