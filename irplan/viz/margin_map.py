"""The ablative margin over the target's surface, unfolded like a map of the earth."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from irplan.planning.evaluation import MarginSurface, PlanEvaluation
from irplan.planning.plan import AblationPlan
from irplan.viz import style
from irplan.viz.orientation import position_words

_CMAP = "RdYlBu"
#: Surface points in one direction from the centroid whose radii differ by more than this (mm)
#: lie on different folds of the surface; the smallest margin is shown there.
_FOLD_MM = 3.0


class Judged(Protocol):
    """A plan with its evaluation, whatever else it holds."""

    @property
    def plan(self) -> AblationPlan:
        """The plan."""

    @property
    def evaluation(self) -> PlanEvaluation:
        """Its evaluation."""


def margin_map(case: Judged) -> Figure:
    """Mollweide map of the margin (mm) about the target's centroid, and its histogram.

    The map's middle faces the patient's front, its right the patient's left, its top the head,
    as one sees a globe from the front.  Where the surface folds (several points in one
    direction) the smallest margin is shown.  Hatched: left out by the subcapsular rule.
    """
    evaluation, goal = case.evaluation, case.plan.margin_goal_mm
    norm = TwoSlopeNorm(goal, goal - 7.0, goal + 7.0)
    with style.styled():
        figure = style.new_figure(13.2, 4.9)
        parts: Any = figure.subfigures(1, 2, width_ratios=(1.75, 1.0))
        left, right = parts
        axes = left.add_subplot(projection="mollweide")
        centre = np.array(case.plan.target.centroid_mm)
        _map(axes, evaluation.margin, centre, goal, norm)
        worst = np.array(evaluation.minimal_margin_at_mm) - centre
        lon, lat = longitude_latitude(worst)
        axes.plot(lon, lat, "*", ms=17, mfc="white", mec="black", mew=1.3, gid="minimum")
        axes.set_title(
            f"Margin on the target's surface; minimum {evaluation.minimal_margin_mm:.1f} mm, "
            f"{position_words(worst)} (star)",
            pad=16,
        )
        mappable = axes.collections[0]
        bar = left.colorbar(mappable, ax=axes, orientation="horizontal", shrink=0.62, aspect=34,
                            pad=0.05, extend="both")  # fmt: skip
        bar.set_label("margin (mm): distance from the target's surface to the lethal zone's edge")
        bar.ax.axvline(0.0, color="black", linewidth=1.6)
        bar.ax.axvline(goal, color="black", linewidth=1.6, linestyle="--")
        _histogram(right.subplots(), case, norm)
    return figure


#: Views of the globe: title, direction to the viewer, picture's right and up (LPS), edge letters.
_VIEWS: tuple[tuple[str, Any, Any, Any, str], ...] = (
    ("from the front", (0, -1, 0), (1, 0, 0), (0, 0, 1), "LRHF"),
    ("from the left", (1, 0, 0), (0, 1, 0), (0, 0, 1), "PAHF"),
    ("from the head", (0, 0, 1), (-1, 0, 0), (0, -1, 0), "RLAP"),
    ("from the back", (0, 1, 0), (-1, 0, 0), (0, 0, 1), "RLHF"),
    ("from the right", (-1, 0, 0), (0, -1, 0), (0, 0, 1), "APHF"),
    ("from the feet", (0, 0, -1), (1, 0, 0), (0, -1, 0), "LRAP"),
)


def margin_globe(case: Judged) -> Figure:
    """The margin (mm) on a globe round the target's centroid, seen from six sides.

    Lines: solid, the target's edge (0 mm); dashed, the margin goal.  Letters are the patient's
    sides.  Grey: left out by the subcapsular rule.
    """
    surface, goal = case.evaluation.margin, case.plan.margin_goal_mm
    norm = TwoSlopeNorm(goal, goal - 7.0, goal + 7.0)
    centre = np.array(case.plan.target.centroid_mm)
    line = np.linspace(-1.0, 1.0, 161)
    x, y = np.meshgrid(line, line)
    depth2 = 1.0 - x**2 - y**2
    hidden = depth2 < 0.0
    z = np.sqrt(np.maximum(depth2, 0.0))
    with style.styled():
        figure = style.new_figure(11.0, 7.6)
        panels: Any = figure.subplots(2, 3)
        for axes, (title, near, right, up, letters) in zip(panels.flat, _VIEWS, strict=True):
            way = (
                x[..., None] * np.array(right)
                + y[..., None] * np.array(up)
                + z[..., None] * np.array(near)
            )
            margin, counted = margin_by_direction(surface, centre, way)
            shown = np.ma.masked_where(hidden, margin)
            axes.pcolormesh(line, line, shown, cmap=_CMAP, norm=norm, shading="gouraud",
                            rasterized=True)  # fmt: skip
            left_out = np.ma.masked_where(hidden | counted, np.ones_like(margin))
            if left_out.count():
                axes.pcolormesh(line, line, left_out, cmap="gray", vmin=0.0, vmax=1.7, alpha=0.75,
                                shading="nearest", rasterized=True)  # fmt: skip
            for level, dash in {0.0: "solid", goal: "dashed"}.items():
                if shown.min() < level < shown.max():
                    axes.contour(line, line, shown, levels=[level], colors="black",
                                 linewidths=1.2, linestyles=dash)  # fmt: skip
            for letter, (a, b) in zip(
                letters, ((1.1, 0.0), (-1.1, 0.0), (0.0, 1.1), (0.0, -1.1)), strict=True
            ):
                axes.text(a, b, letter, ha="center", va="center", weight="bold", gid="orientation")
            axes.set_title(f"{title}; least {float(shown.min()):.1f} mm")
            axes.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal")
            axes.set_axis_off()
        bar = figure.colorbar(panels.flat[0].collections[0], ax=panels, shrink=0.7, extend="both")
        bar.set_label("margin (mm); solid line 0 mm, dashed the goal; grey: near the capsule")
    return figure


def longitude_latitude(direction: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Radians of (..., 3) LPS directions: longitude 0 front, +90 deg left; latitude 90 deg head."""
    d = np.asarray(direction, dtype=np.float64)
    length = np.maximum(np.linalg.norm(d, axis=-1), 1e-12)
    lon: NDArray[np.float64] = np.arctan2(d[..., 0], -d[..., 1])
    lat: NDArray[np.float64] = np.arcsin(np.clip(d[..., 2] / length, -1.0, 1.0))
    return lon, lat


def margin_by_direction(
    surface: MarginSurface, centre_mm: NDArray[np.float64], directions: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(...,) margin in mm and whether it is counted, in (..., 3) unit directions from a centre.

    Gaussian-weighted mean of the twelve nearest surface points by angle; the smallest of the
    nearest four where those lie on different folds of the surface.
    """
    rel = surface.points_mm - centre_mm
    radius = np.linalg.norm(rel, axis=1)
    usable = radius > 1e-6
    tree = cKDTree(rel[usable] / radius[usable, None])
    k = min(12, int(usable.sum()))
    found = tree.query(directions.reshape(-1, 3), k=k)
    distance, index = (np.reshape(a, (-1, k)) for a in found)
    margin = surface.margin_mm[usable][index]
    weight = np.exp(-((2.0 * distance / np.maximum(distance[:, -1:], 1e-9)) ** 2))
    value = (margin * weight).sum(axis=1) / weight.sum(axis=1)
    folded = np.ptp(radius[usable][index[:, :4]], axis=1) > _FOLD_MM
    value = np.where(folded, margin[:, :4].min(axis=1), value)
    counted = surface.counted[usable][index[:, 0]]
    shape = directions.shape[:-1]
    return value.reshape(shape), counted.reshape(shape)


def _map(
    axes: Axes,
    surface: MarginSurface,
    centre: NDArray[np.float64],
    goal: float,
    norm: TwoSlopeNorm,
) -> None:
    lon = np.linspace(-np.pi, np.pi, 181)
    lat = np.linspace(-np.pi / 2, np.pi / 2, 91)
    cos = np.cos(lat)[:, None]
    directions = np.stack(
        [
            cos * np.sin(lon),
            -cos * np.cos(lon),
            np.broadcast_to(np.sin(lat)[:, None], (lat.size, lon.size)),
        ],
        axis=-1,
    )
    margin, counted = margin_by_direction(surface, centre, directions)
    axes.pcolormesh(lon, lat, margin, cmap=_CMAP, norm=norm, shading="gouraud", rasterized=True)
    for level, dash in {0.0: "solid", goal: "dashed"}.items():
        if margin.min() < level < margin.max():
            lines = axes.contour(lon, lat, margin, levels=[level], colors="black", linewidths=1.4,
                                 linestyles=dash)  # fmt: skip
            axes.clabel(lines, fmt=lambda v: f"{v:g} mm", fontsize=9)
    if not counted.all():
        axes.contourf(lon, lat, (~counted).astype(float), levels=[0.5, 1.5], colors="none",
                      hatches=["////"])  # fmt: skip
        axes.text(0.99, 0.0, "hatched: close to the capsule, not counted", ha="right",
                  va="top", transform=axes.transAxes, fontsize=9)  # fmt: skip
    axes.grid(color=style.INK, alpha=0.25, linewidth=0.6)
    axes.set_xticks(np.radians([-90, 0, 90]), ["", "", ""])
    axes.set_yticks(np.radians([-60, -30, 0, 30, 60]), ["-60°", "-30°", "0°", "30°", "60°"])
    axes.set_ylabel("latitude about the target (°)")
    for letters, degrees in (("R", -90.0), ("A", 0.0), ("L", 90.0)):
        axes.text(np.radians(degrees), 0.03, letters, ha="center", va="bottom", fontsize=12,
                  weight="bold", gid="orientation")  # fmt: skip
    for letters, x, y, ha, va in (("H", 0.5, 1.0, "center", "bottom"), ("F", 0.5, 0.0, "center",
            "top"), ("P", 1.01, 0.5, "left", "center")):  # fmt: skip
        axes.text(x, y, letters, transform=axes.transAxes, ha=ha, va=va, fontsize=12,
                  weight="bold", gid="orientation")  # fmt: skip


def _histogram(axes: Axes, case: Judged, norm: TwoSlopeNorm) -> None:
    evaluation, goal = case.evaluation, case.plan.margin_goal_mm
    edges = evaluation.histogram_edges_mm
    share = 100.0 * evaluation.histogram_fraction
    middle = (edges[:-1] + edges[1:]) / 2
    axes.bar(middle, share, width=np.diff(edges), color=colormaps[_CMAP](norm(middle)),
             edgecolor=style.INK, linewidth=0.6)  # fmt: skip
    axes.axvline(goal, color="black", linestyle="--", linewidth=1.4, label=f"goal {goal:g} mm")
    axes.axvline(0.0, color="black", linewidth=1.4, label="target's edge")
    axes.axvline(
        evaluation.minimal_margin_mm, color=style.STATUS["error"][0], linewidth=1.6,
        linestyle=":", label=f"minimum {evaluation.minimal_margin_mm:.1f} mm",
    )  # fmt: skip
    used = np.flatnonzero(share > 0)
    if used.size:
        low = min(edges[used[0]], 0.0, evaluation.minimal_margin_mm)
        axes.set_xlim(low - 1.0, max(edges[used[-1] + 1], goal) + 1.0)
    axes.set_ylim(0.0, max(1.0, 1.32 * float(share.max(initial=0.0))))
    axes.set_title("How much of the surface has which margin")
    axes.set_xlabel("margin (mm)")
    axes.set_ylabel("share of the target's surface (%)")
    axes.legend(loc="upper right", ncols=1)
    axes.grid(axis="y", color=style.GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
