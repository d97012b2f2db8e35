"""X-ray views of a plan: predicted or taken, with needles, target and zone drawn on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from irplan.geometry import CArm, Needle
from irplan.viz import style
from irplan.viz.orientation import orientation_letters

_HALO = [withStroke(linewidth=2.4, foreground="black", alpha=0.8)]
_PER_ROW = 3


@dataclass(frozen=True, eq=False)
class XrayView:
    """One picture: ``pixels`` (row, column), brighter where more X-rays arrive, by ``c_arm``.

    ``needle`` (from 0) is the one it is meant for, None for all; ``target`` and ``zone`` (row,
    column) are lengths of the beam inside them, mm; ``window`` (low, high) of the grey values.
    """

    title: str
    pixels: NDArray[np.float32]
    c_arm: CArm
    needles: tuple[Needle, ...]
    needle: int | None = None
    target: NDArray[np.float32] | None = None
    zone: NDArray[np.float32] | None = None
    window: tuple[float, float] | None = None


def xray_views(views: Sequence[XrayView], *, footnote: str = "") -> Figure:
    """All views side by side, three a row, with one legend."""
    columns = min(_PER_ROW, len(views))
    rows = -(-len(views) // columns)
    with style.styled():
        tall = max(v.pixels.shape[0] / v.pixels.shape[1] for v in views)
        wide_in = 4.6 if columns > 1 else 6.2
        foot = 0.75
        high = rows * (wide_in * tall + 0.62) + foot
        figure = style.new_figure(columns * (wide_in + 0.12) + 0.12, high, arranged=False)
        for n, view in enumerate(views):
            r, c = divmod(n, columns)
            bottom = high - (r + 1) * (wide_in * tall + 0.62) + 0.06
            axes = style.add_axes(
                figure, 0.12 + c * (wide_in + 0.12), bottom, wide_in, wide_in * tall
            )
            draw_xray(axes, view)
        _legend(figure, views)
        if footnote:
            figure.text(0.5, 0.04 / high * 1.6, footnote, ha="center", va="bottom", fontsize=8,
                        color=style.MUTED)  # fmt: skip
    return figure


def draw_xray(axes: Axes, view: XrayView) -> None:
    """One view with everything on it; axes are pixels of its detector, hidden."""
    rows, columns = view.pixels.shape
    low, high = view.window or tuple(np.percentile(view.pixels, (0.5, 99.5)))
    axes.imshow(
        view.pixels, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), interpolation="bilinear",
        aspect="equal",
    )  # fmt: skip
    for field, colour, dash in (
        (view.zone, style.LETHAL, (0, (3, 2))),
        (view.target, style.TARGET, "-"),
    ):
        if field is not None and field.max() > 0.5:
            axes.contour(field, levels=[0.5], colors=colour, linewidths=1.6, linestyles=[dash])
    for n, needle in enumerate(view.needles):
        entry, tip = view.c_arm.project([needle.entry_mm, needle.tip_mm])
        mine = view.needle is None or n == view.needle
        axes.plot(
            [entry[0], tip[0]], [entry[1], tip[1]], color=style.NEEDLE,
            linewidth=2.2 if mine else 1.0, alpha=1.0 if mine else 0.65, path_effects=_HALO,
        )  # fmt: skip
        axes.plot(*entry, "o", color=style.NEEDLE, markersize=9 if mine else 5,
                  markerfacecolor="none", markeredgewidth=1.6)  # fmt: skip
        axes.plot(*tip, "+", color=style.NEEDLE, markersize=11 if mine else 6,
                  markeredgewidth=1.6)  # fmt: skip
        at = tip if 0 <= tip[0] < columns and 0 <= tip[1] < rows else None
        if at is not None:
            axes.annotate(
                str(n + 1), at, xytext=(8, 7), textcoords="offset points", color=style.NEEDLE,
                fontsize=10, weight="bold", path_effects=_HALO,
            )  # fmt: skip
    _letters(axes, view.c_arm)
    _scale(axes, view.c_arm)
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(view.title, fontsize=9.5)


def _letters(axes: Axes, arm: CArm) -> None:
    right, down = arm.detector_axes
    for direction, x, y, ha, va in (
        (-right, 0.02, 0.5, "left", "center"),
        (right, 0.98, 0.5, "right", "center"),
        (-down, 0.5, 0.98, "center", "top"),
        (down, 0.5, 0.02, "center", "bottom"),
    ):
        axes.text(x, y, orientation_letters(direction), transform=axes.transAxes, ha=ha, va=va,
                  color="white", fontsize=11, weight="bold", path_effects=_HALO)  # fmt: skip


def _scale(axes: Axes, arm: CArm) -> None:
    """20 mm at the isocentre's depth."""
    rows, columns = arm.detector_shape
    size = 20.0 * arm.source_detector_mm / arm.source_isocentre_mm / arm.pixel_spacing_mm[1]
    x, y = 0.96 * columns - size, 0.95 * rows
    axes.plot([x, x + size], [y, y], color="white", linewidth=3.0, solid_capstyle="butt",
              path_effects=_HALO)  # fmt: skip
    axes.text(x + size / 2, y - 0.012 * rows, "20 mm", color="white", ha="center", va="bottom",
              fontsize=8.5, path_effects=_HALO)  # fmt: skip


def _legend(figure: Figure, views: Sequence[XrayView]) -> None:
    handles = [
        Line2D([], [], color=style.NEEDLE, marker="o", markerfacecolor="none", linewidth=2.0,
               label="Needle: ring at the entry, cross at the tip"),
    ]  # fmt: skip
    if any(v.target is not None for v in views):
        handles.append(Line2D([], [], color=style.TARGET, linewidth=2.0, label="Target"))
    if any(v.zone is not None for v in views):
        handles.append(
            Line2D(
                [], [], color=style.LETHAL, linestyle=(0, (3, 2)), label="Lethal zone (simulated)"
            )
        )
    legend = figure.legend(
        handles=handles, loc="lower center", bbox_to_anchor=(0.5, 0.30 / figure.get_figheight()),
        ncols=len(handles), frameon=True, borderaxespad=0.0,
    )  # fmt: skip
    frame = legend.get_frame()
    frame.set_facecolor("#11181f")
    frame.set_edgecolor("none")
    for text in legend.get_texts():
        text.set_color("white")
