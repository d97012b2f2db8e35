"""A simulated field in the plane of the needles and across them, with zones and tissue edges."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from irplan.ablation.simulated_case import SimulatedCase
from irplan.ablation.zone_measure import ZoneField
from irplan.image import Volume
from irplan.viz import style
from irplan.viz.colour_scale import ColourScale, colour_scale
from irplan.viz.reslice import Plane

#: Zone edges in the order of the zones; each also has a dash of its own.
ZONE_COLOURS = ("#111111", "#0072b2", "#b0008e", "#d55e00", "#007a5a", "#6a3d9a")
ZONE_DASHES = ("-", "-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 1.5, 1.5, 1.5)), (0, (1, 1)))
TISSUE_EDGE = "#7a4b00"
_NEEDLE_EDGE = [withStroke(linewidth=4.2, foreground="#1c2733")]
_HALO = [withStroke(linewidth=2.6, foreground="white", alpha=0.85)]


def needle_planes(case: SimulatedCase) -> tuple[Plane, Plane]:
    """The plane along the needles (entry up) and the one across them, by the zones' size."""
    up = np.array(case.axis.towards_entry)
    middle = np.array(case.axis.distal_mm) + 0.5 * case.axis.active_length_mm * up
    right = _right(case, up, middle)
    sizes = [m.most_width_mm for m in case.measures if m.volume_ml > 0]
    spread = max(
        (float(np.linalg.norm(_across(np.array(p) - middle, up)))
         for x in case.placements for p in x.active_segment), default=0.0,
    )  # fmt: skip
    half = float(np.clip(0.5 * max(sizes, default=0.0) + 8.0, 18.0, 75.0))
    half = max(half, spread + 14.0)
    length = max((m.length_mm for m in case.measures), default=0.0)
    tall = max(half, 0.5 * max(length, case.axis.active_length_mm) + 10.0)
    step = min(0.5, 0.5 * min(case.problem.grid.spacing_mm))
    along = Plane(middle, right, up, (-half, half), (-tall, tall), step)
    ends = np.array([p.active_segment for p in case.placements]).mean(axis=(0, 1))
    here = middle + float((ends - middle) @ up) * up  # where they lie in the end
    across = Plane(here, right, np.cross(up, right), (-half, half), (-half, half), step)
    return along, across


def simulation_planes(case: SimulatedCase, name: str | None = None) -> Figure:
    """One volume of the result in both planes; ``name`` of `AblationResult.volumes`.

    The default is the temperature, or the field of an electroporation.  Axes are millimetres
    from the middle of the active zone, equal scale.
    """
    chosen, volume = case.main_volume
    if name is not None:
        chosen, volume = name, case.result.volumes()[name]
    along, across = needle_planes(case)
    scale = colour_scale(volume, cold=case.kind == "cryo")
    with style.styled():
        tall = (along.v_mm[1] - along.v_mm[0]) / (along.u_mm[1] - along.u_mm[0])
        figure = style.new_figure(11.0, 1.55 + max(3.0, 4.3 * tall))
        left, right = figure.subplots(1, 2)
        for axes, plane, words in ((left, along, "Along"), (right, across, "Across")):
            draw_plane(axes, case, plane, volume, scale)
            one = len(case.problem.placements) == 1
            axes.set_title(f"{words} the {'needle' if one else 'needles'}")
            axes.set_xlabel("across (mm)")
        left.set_ylabel("along, entry at the top (mm)")
        right.set_ylabel("across (mm)")
        bar = figure.colorbar(left.images[0], ax=[left, right], shrink=0.82, pad=0.02, aspect=28)
        named = "" if chosen in scale.words or chosen == "field" else f"{chosen}: "
        bar.set_label(named.replace("_", " ") + scale.words)
        figure.legend(handles=legend_handles(case), loc="outside lower center", ncols=3)
    return figure


def draw_plane(
    axes: Axes, case: SimulatedCase, plane: Plane, volume: Volume, scale: ColourScale,
    *, zones: Sequence[ZoneField] | None = None,
) -> AxesImage:  # fmt: skip
    """The volume, edges of tissue and zones, and needles on ``axes``; returns the image."""
    values = plane.sample(volume.array, volume.grid, outside=math.nan)
    image = axes.imshow(
        values, cmap=scale.colours, vmin=scale.low, vmax=scale.high, extent=plane.extent,
        origin="lower", interpolation="bilinear", aspect="equal",
    )  # fmt: skip
    axes.set_facecolor("#e8ecef")
    _tissues(axes, case, plane)
    for k, zone in enumerate(case.zones if zones is None else zones):
        _edge(axes, plane, zone, k)
    _needles(axes, case, plane)
    axes.set_xlim(plane.extent[0], plane.extent[1])
    axes.set_ylim(plane.extent[2], plane.extent[3])
    return image


def legend_handles(case: SimulatedCase) -> list[Line2D]:
    """What the lines mean; a zone without volume says so."""
    handles = [
        Line2D(
            [], [], color=ZONE_COLOURS[k % len(ZONE_COLOURS)], linewidth=1.8,
            linestyle=ZONE_DASHES[k % len(ZONE_DASHES)],
            label=zone.words if measure.volume_ml > 0 else f"{zone.words} (none)",
        )
        for k, (zone, measure) in enumerate(zip(case.zones, case.measures, strict=True))
    ]  # fmt: skip
    handles.append(
        Line2D([], [], color=style.NEEDLE, linewidth=2.4, path_effects=_NEEDLE_EDGE,
               label="needle (thick: active zone)")
    )  # fmt: skip
    if len(case.problem.tissues) > 1:
        names = ", ".join(t.name for t in case.problem.tissues)
        handles.append(
            Line2D([], [], color=TISSUE_EDGE, linewidth=1.0, linestyle=(0, (3, 2)),
                   label=f"edges of tissue: {names}" if len(names) < 48 else "edges of tissue")
        )  # fmt: skip
    return handles


def _right(
    case: SimulatedCase, up: NDArray[np.float64], middle: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Across the needles: towards the farthest of them, or towards the patient's left."""
    offsets = [_across(np.mean(p.active_segment, axis=0) - middle, up) for p in case.placements]
    far = max(offsets, key=lambda o: float(np.linalg.norm(o)))
    if float(np.linalg.norm(far)) < 1.0:
        far = _across(np.array([1.0, 0.0, 0.0]), up)
        if float(np.linalg.norm(far)) < 0.3:
            far = _across(np.array([0.0, 1.0, 0.0]), up)
    if far[int(np.argmax(np.abs(far)))] < 0:
        far = -far
    out: NDArray[np.float64] = far / np.linalg.norm(far)
    return out


def _across(vector: NDArray[np.float64], up: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector - (vector @ up) * up


def _tissues(axes: Axes, case: SimulatedCase, plane: Plane) -> None:
    if len(case.problem.tissues) == 1:
        return
    grid, index = case.problem.grid, case.problem.tissue_index
    for n in range(len(case.problem.tissues)):
        share = plane.sample(index == n, grid, outside=0.0)
        if 0.0 < float(share.mean()) < 1.0:
            axes.contour(
                plane.u_axis_mm, plane.v_axis_mm, share, levels=[0.5], colors=[TISSUE_EDGE],
                linewidths=0.9, linestyles=[(0, (3, 2))],
            )  # fmt: skip


def _edge(axes: Axes, plane: Plane, zone: ZoneField, k: int) -> None:
    signed = plane.sample(zone.signed(), zone.field.grid, outside=-1e3)
    if not (signed.min() < 0.0 <= signed.max()):
        return
    contour = axes.contour(
        plane.u_axis_mm, plane.v_axis_mm, signed, levels=[0.0], linewidths=1.8,
        colors=[ZONE_COLOURS[k % len(ZONE_COLOURS)]],
        linestyles=[ZONE_DASHES[k % len(ZONE_DASHES)]],
    )  # fmt: skip
    contour.set_path_effects(list(_HALO))


def _needles(axes: Axes, case: SimulatedCase, plane: Plane) -> None:
    for placement in case.placements:
        along = abs(float(placement.needle.direction @ plane.towards_viewer)) < 0.5
        if not along:  # it pierces the plane: a dot
            needle = placement.needle
            tip, entry = (plane.project(p) for p in (needle.tip_mm, needle.entry_mm))
            share = tip[1] / (tip[1] - entry[1]) if tip[1] != entry[1] else 0.0
            at = tip[0] + float(share) * (entry[0] - tip[0])
            axes.plot(*at, "o", color=style.NEEDLE, markeredgecolor=style.INK, markersize=6)
            continue
        for ends, width in (
            ((placement.needle.tip_mm, placement.needle.entry_mm), 1.4),
            (placement.active_segment, 3.0),
        ):
            uv, _ = plane.project(np.array(ends))
            axes.plot(
                uv[:, 0], uv[:, 1], color=style.NEEDLE, linewidth=width, solid_capstyle="round",
                path_effects=[withStroke(linewidth=width + 1.6, foreground=style.INK)],
            )  # fmt: skip
