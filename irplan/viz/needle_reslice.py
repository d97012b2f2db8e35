"""Reslices along and across one needle, from an image alone."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from irplan.geometry import Grid, Needle, Point3
from irplan.viz import style
from irplan.viz.needles_eye import view_axes
from irplan.viz.orientation import position_words
from irplan.viz.reslice import Plane

_HALF_MM = 45.0
_WINDOW = (-160.0, 240.0)


def needle_reslice(
    hu: NDArray[np.generic],
    grid: Grid,
    needle: Needle,
    *,
    target: NDArray[np.bool_],
    centre_mm: Point3,
    title: str,
) -> Figure:
    """Across the needle at the depth of ``centre_mm`` (LPS), and two planes along it.

    ``hu`` (slice, row, column) and ``target`` lie on ``grid``.
    """
    d, entry = needle.direction, np.array(needle.entry_mm)
    right, up = view_axes(d)
    end = needle.depth_mm + 30.0
    half = (-_HALF_MM, _HALF_MM)
    with style.styled():
        wide = 2.3 * (end + 15.0) / (2 * _HALF_MM)
        figure = style.new_figure(0.75 + 5.1 + 0.85 + wide + 0.15, 6.25, arranged=False)
        across = style.add_axes(figure, 0.75, 0.6, 5.1, 5.1)
        depth = float(np.clip((np.array(centre_mm) - entry) @ d, 0.0, needle.depth_mm))
        _draw(across, hu, grid, target, Plane(entry + depth * d, right, up, half, half))
        across.plot(0, 0, "+", color=style.NEEDLE, markersize=16, markeredgewidth=2.0)
        across.set_title(f"{title}: across, {depth:.0f} mm deep (tip at {needle.depth_mm:.0f} mm)")
        across.set_xlabel(f"offset to {position_words(right)} (mm)")
        across.set_ylabel(f"offset to {position_words(up)} (mm)")
        for bottom, side in ((3.4, up), (0.6, right)):
            along = style.add_axes(figure, 0.75 + 5.1 + 0.85, bottom, wide, 2.3)
            _draw(along, hu, grid, target, Plane(entry, d, side, (-15.0, end), half))
            along.plot([-15.0, needle.depth_mm], [0, 0], color=style.NEEDLE, linewidth=2.0)
            along.plot(needle.depth_mm, 0, "+", color=style.NEEDLE, markersize=12)
            along.axvline(0.0, color="white", linewidth=0.8, alpha=0.6)
            along.set_title(f"Along, top is {position_words(side)}")
            along.set_ylabel("offset (mm)")
            if bottom < 1.0:
                along.set_xlabel("depth from the skin along the needle (mm)")
    return figure


def _draw(
    axes: Axes, hu: NDArray[np.generic], grid: Grid, target: NDArray[np.bool_], plane: Plane
) -> None:
    picture = plane.sample(hu, grid, outside=-1024.0)
    axes.imshow(
        picture, cmap="gray", vmin=_WINDOW[0], vmax=_WINDOW[1], extent=plane.extent,
        origin="lower", interpolation="bilinear", aspect="equal",
    )  # fmt: skip
    cut = plane.sample(target, grid, outside=0.0)
    if cut.max() > 0.5:
        axes.contour(plane.u_axis_mm, plane.v_axis_mm, cut, levels=[0.5], colors=style.TARGET,
                     linewidths=1.8)  # fmt: skip
    axes.set_xlim(plane.extent[0], plane.extent[1])
    axes.set_ylim(plane.extent[2], plane.extent[3])
