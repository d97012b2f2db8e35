"""The plan on a frame of a calibrated camera."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from irplan.errors import InputError
from irplan.geometry import Needle
from irplan.guidance.camera import Camera
from irplan.viz import style

_HALO = [withStroke(linewidth=4.5, foreground="black", alpha=0.7)]


def camera_overlay(
    frame: NDArray[np.uint8],
    camera: Camera,
    needles: Sequence[Needle],
    *,
    outline_mm: NDArray[np.float64] | None = None,
    outside_mm: float = 80.0,
) -> Figure:
    """A picture of the frame's size with entries, directions and the target's outline.

    ``frame`` (row, column, 3); ``outline_mm`` (n, 3) LPS points of the target's surface, of which
    the hull is drawn; each needle is shown ``outside_mm`` out of the skin (thick) and inside
    (thin).  Raises `InputError` for a frame of another size than the camera's, `GeometryError`
    for points behind the camera.
    """
    if frame.shape[:2] != (camera.size[1], camera.size[0]):
        raise InputError(
            "frame",
            got=f"{frame.shape[1]} x {frame.shape[0]} pixels",
            expected=f"{camera.size[0]} x {camera.size[1]}, the camera's calibration",
            remedy="Calibrate at the size of the video, or give a full frame.",
        )
    from scipy.spatial import ConvexHull

    width, height = camera.size
    figure = style.new_figure(width / 100.0, height / 100.0, arranged=False)
    figure.set_dpi(100)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.imshow(frame, interpolation="nearest", aspect="auto")
    if outline_mm is not None and len(outline_mm) >= 4:
        seen = camera.project(outline_mm)
        ring = seen[ConvexHull(seen).vertices]
        axes.fill(*ring.T, facecolor=style.TARGET, alpha=0.25)
        axes.plot(*np.vstack([ring, ring[:1]]).T, color=style.TARGET, linewidth=3.0)
    for number, needle in enumerate(needles, start=1):
        steps = np.linspace(0.0, 1.0, 33)[:, None]
        entry = np.array(needle.entry_mm)
        for end, thick in ((np.array(needle.tip_mm), 2.0), (needle.point_at(-outside_mm), 5.0)):
            line = camera.project(entry + steps * (end - entry))
            axes.plot(*line.T, color=style.NEEDLE, linewidth=thick, path_effects=_HALO,
                      linestyle="-" if thick > 3 else (0, (3, 2)))  # fmt: skip
        x, y = camera.project(entry)
        axes.plot(x, y, "o", color=style.NEEDLE, markersize=16, markerfacecolor="none",
                  markeredgewidth=3.0)  # fmt: skip
        axes.annotate(
            f"{number}: {needle.depth_mm:.0f} mm", (x, y), xytext=(14, 12), fontsize=17,
            textcoords="offset points", color="white", weight="bold", path_effects=_HALO,
        )  # fmt: skip
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    axes.axis("off")
    return figure
