"""One panel of a CT reslice with everything a planner looks for drawn on it."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from irplan.geometry import Grid
from irplan.planning.case import PlannedAblation
from irplan.viz import style
from irplan.viz.orientation import orientation_letters
from irplan.viz.reslice import Plane
from irplan.viz.zone_layers import ZoneLayer, lethal_layer, zone_layers

#: Abdominal CT window, HU.
WINDOW_HU, LEVEL_HU = 400.0, 40.0
#: A needle this close to the slice (mm) is drawn solid; up to `FAINT_MM` dotted; beyond, hidden.
SLAB_MM, FAINT_MM = 2.5, 30.0
#: Line of each drawn structure: names in the label map, colour, legend.
STRUCTURES = (
    (
        ("liver", "tumour", "portal_vein", "hepatic_vein", "vessel", "vessel_in_part"),
        style.LIVER,
        "Liver",
    ),
    (
        ("portal_vein", "hepatic_vein", "vessel", "vessel_in_part", "artery", "vena_cava"),
        style.VESSEL,
        "Vessels",
    ),
    (("gallbladder",), style.GALLBLADDER, "Gallbladder"),
)
_HALO = [withStroke(linewidth=2.2, foreground="black", alpha=0.75)]


def draw_reslice(axes: Axes, case: PlannedAblation, plane: Plane, *, placement_index: int) -> None:
    """CT, structures, target with margin, isotherms, needles, orientation letters, scale bar.

    Axes are (u, v) of the plane in mm with equal scale; the caller names them.
    """
    hu = plane.sample(case.volume.array, case.volume.grid, outside=-1024.0)
    axes.set_facecolor("black")
    axes.imshow(
        hu,
        cmap="gray",
        vmin=LEVEL_HU - WINDOW_HU / 2,
        vmax=LEVEL_HU + WINDOW_HU / 2,
        extent=plane.extent,
        origin="lower",
        interpolation="bilinear",
        aspect="equal",
    )
    _structures(axes, case, plane)
    _target(axes, case, plane)
    _zones(axes, case, plane)
    _needles(axes, case, plane, placement_index)
    _letters(axes, plane)
    _scale_bar(axes, plane)
    axes.set_xlim(plane.extent[0], plane.extent[1])
    axes.set_ylim(plane.extent[2], plane.extent[3])


#: Width of a figure that five columns of the legend fit in, whatever they say, inches.
_FIVE_COLUMNS_IN = 13.0


def draw_legend(figure: Figure, case: PlannedAblation) -> None:
    """One legend for all panels at the figure's foot, dark because its lines lie on a CT."""
    columns = 5 if figure.get_figwidth() >= _FIVE_COLUMNS_IN else 4
    legend = figure.legend(
        handles=_legend_handles(case), loc="lower center", bbox_to_anchor=(0.5, 0.008),
        ncols=columns, frameon=True, borderaxespad=0.0,
    )  # fmt: skip
    frame = legend.get_frame()
    frame.set_facecolor("#11181f")
    frame.set_edgecolor("none")
    frame.set_alpha(1.0)
    for text in legend.get_texts():
        text.set_color("white")


def _legend_handles(case: PlannedAblation) -> list[Line2D]:
    """What the lines mean, for one legend of a whole figure."""
    handles = [_line(colour, name) for names, colour, name in STRUCTURES if _found(case, names)]
    handles.append(_line(style.TARGET, "Target", width=2.0))
    if case.plan.margin_goal_mm > 0:
        handles.append(
            _line(style.TARGET, f"Target + {case.plan.margin_goal_mm:g} mm", dash=(0, (3, 2)))
        )
    handles += [_line(x.colour, x.words, width=2.0) for x in zone_layers(case.result)]
    handles += [
        _line(style.LETHAL, lethal_layer(case).words, dash=(0, (1, 1.2))),
        _line(style.NEEDLE, f"Needle within {SLAB_MM:g} mm of the slice", width=2.6),
        _line(style.NEEDLE, "Needle off the slice (projected)", dash=(0, (1, 2)), width=1.2),
    ]
    return handles


def _line(colour: str, label: str, *, dash: Any = "-", width: float = 1.6) -> Line2D:
    return Line2D([], [], color=colour, linestyle=dash, linewidth=width, label=label)


def _found(case: PlannedAblation, names: tuple[str, ...]) -> bool:
    return any(case.labels.checked(n) for n in names)


def _contour(axes: Axes, plane: Plane, values: NDArray[Any], level: float, **kwargs: Any) -> None:
    """A contour where there is one (matplotlib warns about a level that is absent)."""
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() < level < finite.max():
        axes.contour(plane.u_axis_mm, plane.v_axis_mm, values, levels=[level], **kwargs)


def _structures(axes: Axes, case: PlannedAblation, plane: Plane) -> None:
    grid = case.labels.grid
    for names, colour, _ in STRUCTURES:
        values = [x.value for x in case.labels.labels if x.name in names]
        if not values:
            continue
        occupancy = _label_occupancy(case.labels.array, grid, plane, values)
        if "liver" in names:
            occupancy = _smooth(occupancy, grid, plane)
        _contour(axes, plane, occupancy, 0.5, colors=colour, linewidths=1.0)


def _smooth(occupancy: NDArray[np.float32], grid: Grid, plane: Plane) -> NDArray[np.float32]:
    """Round the voxels' steps off: Gaussian of a third of the coarsest voxel side."""
    sigma = max(grid.spacing_mm) / 3.0 / plane.step_mm
    out: NDArray[np.float32] = gaussian_filter(occupancy, sigma, mode="nearest")
    return out


def _label_occupancy(
    array: NDArray[np.uint8], grid: Grid, plane: Plane, values: list[int]
) -> NDArray[np.float32]:
    lut = np.zeros(256, dtype=bool)
    lut[values] = True
    corners = plane.points()[[0, 0, -1, -1], [0, -1, 0, -1]]
    start, shape = grid.box_around(corners, 2.0 * max(grid.spacing_mm))
    part = tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True))
    return plane.sample(lut[array[part]], grid.crop(start, shape), outside=0.0)


def _target(axes: Axes, case: PlannedAblation, plane: Plane) -> None:
    occupancy = plane.sample(case.target_mask, case.volume.grid, outside=0.0)
    occupancy = _smooth(occupancy, case.volume.grid, plane)
    _contour(axes, plane, occupancy, 0.5, colors=style.TARGET, linewidths=1.8)
    goal = case.plan.margin_goal_mm
    if goal <= 0:
        return
    distance = surface_distance(plane, case)
    distance[occupancy >= 0.5] = 0.0
    _contour(
        axes, plane, distance, goal, colors=style.TARGET, linewidths=1.4, linestyles=[(0, (3, 2))]
    )


def surface_distance(plane: Plane, case: PlannedAblation) -> NDArray[np.float64]:
    """(v, u) distance in mm of each pixel to the target's surface (unsigned); inf far away."""
    points = case.evaluation.margin.points_mm
    tree = cKDTree(points)
    flat = plane.points().reshape(-1, 3)
    reach = case.plan.margin_goal_mm + 3.0
    near = np.all((flat > points.min(0) - reach) & (flat < points.max(0) + reach), axis=1)
    out = np.full(flat.shape[0], reach)
    if near.any():
        out[near] = np.minimum(tree.query(flat[near])[0], reach)
    return out.reshape(plane.points().shape[:2])


def _zones(axes: Axes, case: PlannedAblation, plane: Plane) -> None:
    drawn: dict[int, NDArray[np.float32]] = {}
    for layer in zone_layers(case.result):
        if id(layer.field) not in drawn:
            drawn[id(layer.field)] = _sampled(plane, layer)
        _contour(
            axes, plane, drawn[id(layer.field)], layer.level,
            colors=layer.colour, linewidths=1.8, linestyles="solid",
        )  # fmt: skip
    lethal = lethal_layer(case)
    _contour(
        axes,
        plane,
        _sampled(plane, lethal),
        lethal.level,
        colors=style.LETHAL,
        linewidths=1.2,
        linestyles=[(0, (1, 1.2))],
    )


def _sampled(plane: Plane, layer: ZoneLayer) -> NDArray[np.float32]:
    return plane.sample(layer.field.array, layer.field.grid, outside=np.nan)


def _needles(axes: Axes, case: PlannedAblation, plane: Plane, placement_index: int) -> None:
    left, right, bottom, top = plane.extent
    for number, placement in enumerate(case.plan.placements):
        needle = placement.needle
        depth = np.linspace(0.0, needle.depth_mm, max(2, round(2 * needle.depth_mm)))
        uv, off = plane.project(np.array(needle.entry_mm) + depth[:, None] * needle.direction)
        distance = np.abs(off)
        width = 2.8 if number == placement_index else 2.0
        faint = np.where(distance[:, None] <= FAINT_MM, uv, np.nan)
        solid = np.where(distance[:, None] <= SLAB_MM, uv, np.nan)
        axes.plot(*faint.T, color=style.NEEDLE, linewidth=1.2, linestyle=(0, (1, 2)), alpha=0.85)
        axes.plot(*solid.T, color=style.NEEDLE, linewidth=width, solid_capstyle="round")
        span = float(np.hypot(*(uv[-1] - uv[0])))
        if distance[-1] <= FAINT_MM:
            axes.plot(*uv[-1], "o", ms=4.5, mfc=style.NEEDLE, mec="black", mew=0.8)
        inside = (left < uv[:, 0]) & (uv[:, 0] < right) & (bottom < uv[:, 1]) & (uv[:, 1] < top)
        visible = np.flatnonzero((distance <= FAINT_MM) & inside)
        if visible.size and span > 10.0 and len(case.plan.placements) > 1:
            x, y = uv[visible[int((0.2 + 0.12 * (number % 5)) * visible.size)]]
            axes.text(
                x, y, f"{number + 1}", color=style.NEEDLE, fontsize=9, weight="bold",
                ha="left", va="bottom", path_effects=_HALO, clip_on=True,
            )  # fmt: skip


def _letters(axes: Axes, plane: Plane) -> None:
    sides = (
        (-plane.right, 0.02, 0.5, "left", "center"),
        (plane.right, 0.98, 0.5, "right", "center"),
        (plane.up, 0.5, 0.98, "center", "top"),
        (-plane.up, 0.5, 0.02, "center", "bottom"),
    )
    for direction, x, y, ha, va in sides:
        axes.text(
            x, y, orientation_letters(direction), transform=axes.transAxes, ha=ha, va=va,
            color="white", fontsize=11, weight="bold", path_effects=_HALO, gid="orientation",
        )  # fmt: skip


def _scale_bar(axes: Axes, plane: Plane) -> None:
    left, right, bottom, top = plane.extent
    width, height = right - left, top - bottom
    length = max((x for x in (5.0, 10.0, 20.0, 50.0) if x <= 0.3 * width), default=5.0)
    x, y = right - 0.04 * width - length, bottom + 0.05 * height
    axes.plot([x, x + length], [y, y], color="white", linewidth=3.0, solid_capstyle="butt",
              path_effects=_HALO)  # fmt: skip
    axes.text(x + length / 2, y + 0.015 * height, f"{length:g} mm", color="white", ha="center",
              va="bottom", fontsize=9, path_effects=_HALO)  # fmt: skip
