"""Figures of a study: outputs over factors, and Sobol indices with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from irplan.viz import style

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
#: Outputs and factors in one picture at most; the table holds all.
_ROWS, _COLUMNS = 6, 6
#: Parts of a factor's range that means are taken over, at most, and runs in each about at least.
_BINS, _IN_BIN = 8, 6
#: Ends of a column's name that are units, as they are written on an axis.
_UNITS = {
    "mm": "mm", "ml": "ml", "percent": "%", "c": "°C", "s": "s", "w": "W", "per_s": "1/s",
    "fraction": "1", "minutes": "min", "degrees": "°",
}  # fmt: skip
#: Outputs to be drawn first.
_FIRST = ("minimal_margin", "target_covered", "shell", "lethal_volume")

Interval = tuple[float, float, float]


def response_figure(
    title: str,
    factors: Mapping[str, NDArray[np.float64]],
    outputs: Mapping[str, NDArray[np.float64]],
    cases: NDArray[np.str_],
    log_factors: AbstractSet[str] = frozenset(),
) -> Figure:
    """Every output (rows, six at most) over every factor: runs as dots, means as a line.

    ``factors`` and ``outputs`` are (runs,) arrays, NaN where a run has no value; ``cases`` the
    case of each run, a colour each (six at most, the rest in the last one).
    """
    xs = list(factors)[:_COLUMNS]
    ranked = sorted(outputs, key=lambda n: next((k for k, f in enumerate(_FIRST) if f in n), 9))
    ys = ranked[:_ROWS]
    names = list(dict.fromkeys(cases.tolist()))
    with style.styled():
        figure = style.new_figure(3.1 * len(xs) + 1.2, 2.3 * len(ys) + 0.9)
        axes = figure.subplots(len(ys), len(xs), squeeze=False, sharex="col", sharey="row")
        for row, y in enumerate(ys):
            for column, x in enumerate(xs):
                axis = axes[row][column]
                for k, name in enumerate(names):
                    mine = (cases == name) & np.isfinite(outputs[y])
                    colour = _COLOURS[min(k, len(_COLOURS) - 1)]
                    _dots(axis, factors[x][mine], outputs[y][mine], colour, x in log_factors)
                if x in log_factors:
                    axis.set_xscale("log")
                if row == len(ys) - 1:
                    axis.set_xlabel(axis_words(x))
                if column == 0:
                    axis.set_ylabel(axis_words(y))
        if len(names) > 1:
            handles = [
                axes[0][0].plot([], [], "o", color=_COLOURS[min(k, 5)], label=_literal(n))[0]
                for k, n in enumerate(names[:6])
            ]
            figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
        dropped = len(outputs) - len(ys)
        more = f" ({dropped} more outputs in the table)" if dropped > 0 else ""
        _headline(figure, f"{_literal(title)}: runs and means{more}")
    return figure


def sensitivity_figure(
    title: str,
    rows: Sequence[tuple[str, str, Sequence[str], Sequence[Interval], Sequence[Interval]]],
) -> Figure:
    """First-order and total Sobol indices with 95 % intervals, one panel an output (nine at most).

    ``rows`` are (case, output, factors, first, total).
    """
    shown = sorted(rows, key=lambda r: next((k for k, f in enumerate(_FIRST) if f in r[1]), 9))[:9]
    columns = min(3, len(shown))
    lines = -(-len(shown) // columns)
    several = len({r[0] for r in rows}) > 1
    with style.styled():
        figure = style.new_figure(3.6 * columns + 0.8, 2.7 * lines + 0.8)
        axes = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
        for axis, (case, output, factors, first, total) in zip(axes, shown, strict=False):
            at = np.arange(len(factors))
            for shift, values, colour, label in (
                (-0.2, first, _COLOURS[0], "alone (first order)"),
                (0.2, total, _COLOURS[1], "with others (total)"),
            ):
                v = np.array(values)
                spread = np.abs(np.stack([v[:, 0] - v[:, 1], v[:, 2] - v[:, 0]]))
                axis.bar(at + shift, v[:, 0], 0.38, yerr=spread, color=colour, label=label)
            axis.set_xticks(at, [axis_words(f) for f in factors], rotation=20, ha="right")
            axis.set_title(
                _literal(axis_words(output) + (f", {_literal(case)}" if several else "")),
                fontsize=9,
            )
            axis.axhline(0.0, color=style.MUTED, linewidth=0.8)
        for axis in axes[len(shown) :]:
            axis.set_visible(False)
        axes[0].set_ylabel("share of variance (1)")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
        _headline(figure, f"{_literal(title)}: Sobol indices, 95 % intervals")
    return figure


def _headline(figure: Figure, text: str) -> None:
    """Over the whole figure, on as many lines as it takes."""
    columns = int(12.0 * figure.get_figwidth())
    figure.suptitle(fill(text, columns), x=0.01, ha="left", fontsize=11)


def _literal(text: str) -> str:
    """``text`` with its dollars drawn, not taken for a formula; on one line, not too long."""
    shown = " ".join(text.split())
    return (shown if len(shown) <= 80 else shown[:79] + "…").replace("$", r"\$")


def axis_words(name: str) -> str:
    """A column's name as an axis label: ``minimal_margin_mm`` -> ``minimal margin (mm)``."""
    name = _literal(name)
    for end, unit in sorted(_UNITS.items(), key=lambda e: -len(e[0])):
        if name.endswith("_" + end):
            return f"{name[: -len(end) - 1].replace('_', ' ')} ({unit})"
    return name.replace("_", " ")


def _dots(
    axis: Axes, x: NDArray[np.float64], y: NDArray[np.float64], colour: str, log: bool
) -> None:
    if not len(x):
        return
    size = float(np.clip(600.0 / len(x), 2.0, 18.0))
    axis.scatter(x, y, s=size, color=colour, alpha=0.35, linewidths=0)
    levels = np.unique(x)
    if len(levels) <= _BINS:
        parts = [(v, x == v) for v in levels]
    else:
        bins = int(np.clip(len(x) // _IN_BIN, 2, _BINS))
        edges = (np.geomspace if log else np.linspace)(x.min(), x.max(), bins + 1)
        at = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, bins - 1)
        parts = [(float(np.mean(x[at == k])), at == k) for k in range(bins) if (at == k).any()]
    axis.plot([p[0] for p in parts], [float(np.mean(y[p[1]])) for p in parts], color=colour, lw=1.8)
