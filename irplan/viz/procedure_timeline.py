"""The procedure on one axis of time: images, needles, ablation phases, readings, what was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from irplan.errors import InputError
from irplan.procedure.events import Effective
from irplan.procedure.times import parse_time
from irplan.viz import style

_LANES = (
    ("safety", ("checklist", "anaesthesia")),
    ("given", ("drug", "contrast", "adjunct")),
    ("images", ("imaging",)),
    ("needles", ("needle", "device")),
    ("ablation", ("phase",)),
    ("results", ("verification", "complication", "disposition")),
    ("log", ("note", "clock_jump", "log_recovered", "review")),
)
_KINDS = frozenset(k for _, kinds in _LANES for k in kinds) | {"reading"}
_PHASE = {
    "freeze": ("#56b4e9", ""),
    "passive_thaw": ("#f6d9a8", ""),
    "active_thaw": ("#e69f00", ""),
    "heat": ("#d55e00", ""),
    "pulses": ("#cc79a7", ""),
}
_READ = (
    ("temperature_c", "#0072b2"),
    ("power_w", "#d55e00"),
)
#: Labels nearer than this part of the axis to the one before are left out.
_NEAR = 0.045
_DAY_S = 86400.0
#: The words of the figure; a caller may give its own language's.
WORDS: Mapping[str, str] = {
    "safety": "Safety",
    "given": "Given",
    "images": "Images",
    "needles": "Needles",
    "ablation": "Ablation",
    "results": "Results",
    "log": "Log",
    "title": "Procedure from {start} UTC",
    "left_out": "{n} events of other days are not drawn",
    "minutes": "minutes from the first event",
    "temperature_c": "temperature (°C)",
    "power_w": "power (W)",
    "needle": "needle {n}",
    "no_needle": "no needle named",
    "no_end": "(no end recorded)",
    "no_complication": "no complication seen",
    "complication": "COMPLICATION",
    "verification": "verification",
    "clock_jump": "clock jumped {s} s",
    "log_recovered": "log recovered",
    "not_complete": "NOT complete",
    "placed": "placed",
    "moved": "moved",
    "removed": "removed",
    "freeze": "freeze",
    "passive_thaw": "passive thaw",
    "active_thaw": "active thaw",
    "heat": "heat",
    "pulses": "pulses",
    "note": "note",
    "run": "run",
    "fluoroscopy": "fluoroscopy",
    "reviewed": "reviewed",
    "accepted": "accepted",
    "rejected": "rejected",
}
_ROWS = 3


def procedure_timeline(events: Sequence[Effective], *, words: Mapping[str, str] = WORDS) -> Figure:
    """Lanes of events over minutes from the first one that is drawn; readings below.

    Events more than a day away from the first phase (else the first needle, else the last event)
    are not drawn, and the title says how many.  ``words``: the keys of `WORDS` in another language.
    Raises `InputError` where nothing can be drawn.
    """
    drawn = [e for e in events if _drawn(e)]
    near = _of_the_day(drawn)
    lanes = [(name, [e for e in near if e.event.kind in kinds]) for name, kinds in _LANES]
    readings = [e for e in near if e.event.kind == "reading"]
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
            _lane(upper, row, held, start, wide, words)
        upper.set_ylim(-0.5, max(0.5, len(lanes) - 0.5))
        upper.set_yticks(range(len(lanes)), [words[name] for name, _ in reversed(lanes)])
        title = words["title"].format(start=f"{start:%Y-%m-%d %H:%M}")
        if len(near) < len(drawn):
            title += f" ({words['left_out'].format(n=len(drawn) - len(near))})"
        upper.set_title(title)
        for row in range(1, len(lanes)):
            upper.axhline(row - 0.5, color=style.GRID, linewidth=0.8)
        for place, (key, colour) in enumerate(keys, start=1):
            _curves(axes[place, 0], readings, start, key, words, colour)
        axes[-1, 0].set_xlabel(words["minutes"])
        axes[-1, 0].set_xlim(-0.02 * wide, wide)
        for one in axes.flat:
            one.spines[["top", "right"]].set_visible(False)
            one.grid(axis="x", color=style.GRID, linewidth=0.6)
            one.set_axisbelow(True)
    return figure


def _of_the_day(events: Sequence[Effective]) -> list[Effective]:
    """Events within a day of the ablation."""
    if not events:
        return []
    for kinds in (("phase",), ("needle",)):
        found = [e for e in events if e.event.kind in kinds]
        if found:
            middle = min(parse_time(e.event.at) for e in found)
            break
    else:
        middle = max(parse_time(e.event.at) for e in events)
    return [e for e in events if abs((parse_time(e.event.at) - middle).total_seconds()) <= _DAY_S]


def _drawn(event: Effective) -> bool:
    if event.event.kind not in _KINDS:
        return False
    return not (event.event.kind == "needle" and event.data["status"] == "planned")


def _minutes(event: Effective, start: datetime) -> float:
    return (parse_time(event.event.at) - start).total_seconds() / 60.0


def _lane(
    axes: Axes,
    row: int,
    held: Sequence[Effective],
    start: datetime,
    wide: float,
    words_of: Mapping[str, str],
) -> None:
    if held[0].event.kind == "phase":
        _phases(axes, row, held, start, wide, words_of)
        return
    until = [-1.0] * _ROWS
    for event in sorted(held, key=lambda e: e.event.at):
        at = _minutes(event, start)
        axes.plot([at], [row - 0.27], marker="o", markersize=4.5, color=style.INK)
        words = _words(event, words_of)
        length = 0.0108 * len(words) * wide * 0.62
        free = next((n for n in range(_ROWS) if until[n] <= at), None)
        if free is None:
            continue  # crowded: the dot alone
        left = min(at, wide - length)
        axes.text(left, row - 0.12 + 0.21 * free, words, fontsize=7.5, va="center")
        until[free] = max(left + length, at + _NEAR * wide * 0.2)


def _phases(
    axes: Axes,
    row: int,
    held: Sequence[Effective],
    start: datetime,
    wide: float,
    words: Mapping[str, str],
) -> None:
    begun: dict[tuple[str, tuple[int, ...], int], float] = {}
    for event in sorted(held, key=lambda e: (e.event.at, e.event.seq)):
        d = event.data
        key = (d["phase"], tuple(d.get("needles", ())), d.get("cycle", 0))
        at = _minutes(event, start)
        if d["action"] == "start":
            begun[key] = at
            continue
        _bar(axes, row, key[0], begun.pop(key, at), at, wide, words[key[0]])
    for (phase, _, _), at in begun.items():
        said = f"{words[phase]} {words['no_end']}"
        _bar(axes, row, phase, at, min(wide, at + 0.02 * wide), wide, said, always=True)


def _bar(
    axes: Axes,
    row: int,
    phase: str,
    start: float,
    end: float,
    wide: float,
    words: str,
    *,
    always: bool = False,
) -> None:
    axes.barh(row, max(end - start, 0.003 * wide), left=start, height=0.5,
              color=_PHASE[phase][0], edgecolor=style.INK, linewidth=0.6)  # fmt: skip
    length = 0.0085 * len(words) * wide
    if end - start > length:
        axes.text((start + end) / 2, row, words, ha="center", va="center", fontsize=7.5)
    elif always:  # beside the bar, within the picture
        beside = end + 0.005 * wide
        left = beside if beside + length < wide else max(0.0, start - 0.005 * wide - length)
        axes.text(left, row, words, va="center", fontsize=7.5)


def _curves(
    axes: Axes,
    readings: Sequence[Effective],
    start: datetime,
    key: str,
    words: Mapping[str, str],
    colour: str,
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
            label=words["needle"].format(n=needle) if needle else words["no_needle"],
        )  # fmt: skip
    axes.set_ylabel(words[key])
    if len(needles) > 1:
        axes.legend(loc="best", ncols=min(4, len(needles)))


def _words(event: Effective, own: Mapping[str, str]) -> str:
    d, kind = event.data, event.event.kind
    if kind == "needle":
        words = f"{d['number']} {own.get(d['status'], d['status'])}"
    elif kind == "device":
        words = f"{d['device']} {d['action']}"
    elif kind == "imaging":
        words = own.get(str(d["modality"]).lower(), str(d["modality"]))
    elif kind == "checklist":
        words = str(d["step"]) + ("" if d["complete"] else f" {own['not_complete']}")
    elif kind == "contrast":
        words = f"{d['agent']} {d['volume_ml']:g} ml"
    elif kind == "drug":
        words = str(d["name"])
    elif kind == "adjunct":
        words = str(d["what"])
    elif kind == "complication":
        words = own["complication" if d["observed"] else "no_complication"]
    elif kind == "verification":
        words = own["verification"]
    elif kind == "clock_jump":
        words = own["clock_jump"].format(s=f"{d['seconds']:+.0f}")
    elif kind == "log_recovered":
        words = own["log_recovered"]
    elif kind == "review":
        words = own.get(d["state"], d["state"])
    else:
        words = own.get(kind, kind)
    words = "".join(
        c if c.isprintable() else " " for c in words.replace("_", " ").replace("$", "\\$")
    )
    return words if len(words) <= 28 else words[:27] + "…"
