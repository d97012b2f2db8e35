"""The procedure on one axis of time: images, needles, ablation phases, readings, what was given."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from irplan.errors import InputError
from irplan.procedure.events import Effective
from irplan.procedure.times import parse_time
from irplan.viz import style

_LANES = (
    ("Safety", ("checklist", "anaesthesia")),
    ("Given", ("drug", "contrast", "adjunct")),
    ("Images", ("imaging",)),
    ("Needles", ("needle", "device")),
    ("Ablation", ("phase",)),
    ("Results", ("verification", "complication", "disposition")),
    ("Log", ("note", "clock_jump", "log_recovered", "review")),
)
_PHASE = {
    "freeze": ("#56b4e9", ""),
    "passive_thaw": ("#f6d9a8", ""),
    "active_thaw": ("#e69f00", ""),
    "heat": ("#d55e00", ""),
    "pulses": ("#cc79a7", ""),
}
_READ = (
    ("temperature_c", "temperature (°C)", "#0072b2"),
    ("power_w", "power (W)", "#d55e00"),
)
#: Labels nearer than this part of the axis to the one before are left out.
_NEAR = 0.045
_ROWS = 3


def procedure_timeline(events: Sequence[Effective]) -> Figure:
    """Lanes of events over minutes from the first one that is drawn; readings below.

    Raises `InputError` where nothing can be drawn.
    """
    lanes = [
        (name, [e for e in events if e.event.kind in kinds and _drawn(e)]) for name, kinds in _LANES
    ]
    readings = [e for e in events if e.event.kind == "reading"]
    shown = [e for _, held in lanes for e in held] + readings
    if not shown:
        raise InputError(
            "timeline",
            got="no event that has a place in it",
            expected="images, needles, phases or other events of a procedure",
            remedy="Add events to the log first.",
        )
    lanes = [(name, held) for name, held in lanes if held]
    start = min(parse_time(e.event.at) for e in shown)
    last = max(_minutes(e, start) for e in shown)
    wide = max(last * 1.04, 1.0)
    keys = [r for r in _READ if any(r[0] in e.data for e in readings)]
    with style.styled():
        figure = style.new_figure(11.0, 1.0 + 0.75 * max(1, len(lanes)) + 1.5 * len(keys))
        ratios = [0.75 * max(1, len(lanes)), *[1.5] * len(keys)]
        axes = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios, squeeze=False)
        upper = axes[0, 0]
        for row, (_, held) in enumerate(reversed(lanes)):
            _lane(upper, row, held, start, wide)
        upper.set_ylim(-0.5, max(0.5, len(lanes) - 0.5))
        upper.set_yticks(range(len(lanes)), [name for name, _ in reversed(lanes)])
        upper.set_title(f"Procedure from {start:%Y-%m-%d %H:%M} UTC")
        for row in range(1, len(lanes)):
            upper.axhline(row - 0.5, color=style.GRID, linewidth=0.8)
        for place, (key, label, colour) in enumerate(keys, start=1):
            _curves(axes[place, 0], readings, start, key, label, colour)
        axes[-1, 0].set_xlabel("minutes from the first event")
        axes[-1, 0].set_xlim(-0.02 * wide, wide)
        for one in axes.flat:
            one.spines[["top", "right"]].set_visible(False)
            one.grid(axis="x", color=style.GRID, linewidth=0.6)
            one.set_axisbelow(True)
    return figure


def _drawn(event: Effective) -> bool:
    return not (event.event.kind == "needle" and event.data["status"] == "planned")


def _minutes(event: Effective, start: datetime) -> float:
    return (parse_time(event.event.at) - start).total_seconds() / 60.0


def _lane(axes: Axes, row: int, held: Sequence[Effective], start: datetime, wide: float) -> None:
    if held[0].event.kind == "phase":
        _phases(axes, row, held, start, wide)
        return
    until = [-1.0] * _ROWS
    for event in sorted(held, key=lambda e: e.event.at):
        at = _minutes(event, start)
        axes.plot([at], [row - 0.27], marker="o", markersize=4.5, color=style.INK)
        words = _words(event)
        length = 0.0108 * len(words) * wide * 0.62
        free = next((n for n in range(_ROWS) if until[n] <= at), None)
        if free is None:
            continue  # crowded: the dot alone
        left = min(at, wide - length)
        axes.text(left, row - 0.12 + 0.21 * free, words, fontsize=7.5, va="center")
        until[free] = max(left + length, at + _NEAR * wide * 0.2)


def _phases(axes: Axes, row: int, held: Sequence[Effective], start: datetime, wide: float) -> None:
    begun: dict[tuple[str, tuple[int, ...], int], float] = {}
    for event in sorted(held, key=lambda e: (e.event.at, e.event.seq)):
        d = event.data
        key = (d["phase"], tuple(d.get("needles", ())), d.get("cycle", 0))
        at = _minutes(event, start)
        if d["action"] == "start":
            begun[key] = at
            continue
        _bar(axes, row, key[0], begun.pop(key, at), at, wide, "")
    for (phase, _, _), at in begun.items():
        _bar(axes, row, phase, at, min(wide, at + 0.02 * wide), wide, " (no end recorded)")


def _bar(
    axes: Axes, row: int, phase: str, start: float, end: float, wide: float, more: str
) -> None:
    axes.barh(row, max(end - start, 0.003 * wide), left=start, height=0.5,
              color=_PHASE[phase][0], edgecolor=style.INK, linewidth=0.6)  # fmt: skip
    words = phase.replace("_", " ") + more
    if end - start > 0.0085 * len(words) * wide or more:
        axes.text((start + end) / 2, row, words, ha="center", va="center", fontsize=7.5)


def _curves(
    axes: Axes, readings: Sequence[Effective], start: datetime, key: str, label: str, colour: str
) -> None:
    needles = sorted({e.data.get("needle", 0) for e in readings if key in e.data})
    dashes = ("-", "--", "-.", ":")
    for n, needle in enumerate(needles):
        points = sorted(
            (_minutes(e, start), e.data[key])
            for e in readings
            if key in e.data and e.data.get("needle", 0) == needle
        )
        axes.plot(
            [x for x, _ in points], [y for _, y in points], dashes[n % 4], color=colour,
            linewidth=1.4, marker=".", markersize=3,
            label=f"needle {needle}" if needle else "no needle named",
        )  # fmt: skip
    axes.set_ylabel(label)
    if len(needles) > 1:
        axes.legend(loc="best", ncols=min(4, len(needles)))


def _words(event: Effective) -> str:
    d, kind = event.data, event.event.kind
    if kind == "needle":
        words = f"{d['number']} {d['status']}"
    elif kind == "device":
        words = f"{d['device']} {d['action']}"
    elif kind == "imaging":
        words = (
            str(d["modality"]).lower()
            if d["modality"] in ("RUN", "FLUOROSCOPY")
            else str(d["modality"])
        )
    elif kind == "checklist":
        words = str(d["step"]) + ("" if d["complete"] else " NOT complete")
    elif kind == "contrast":
        words = f"{d['agent']} {d['volume_ml']:g} ml"
    elif kind == "drug":
        words = str(d["name"])
    elif kind == "adjunct":
        words = str(d["what"])
    elif kind == "complication":
        words = "COMPLICATION" if d["observed"] else "no complication seen"
    elif kind == "verification":
        words = "verification"
    elif kind == "clock_jump":
        words = f"clock jumped {d['seconds']:+.0f} s"
    elif kind == "log_recovered":
        words = "log recovered"
    elif kind == "review":
        words = f"{d['state']}"
    else:
        words = kind
    words = "".join(
        c if c.isprintable() else " " for c in words.replace("_", " ").replace("$", "\\$")
    )
    return words if len(words) <= 28 else words[:27] + "…"
