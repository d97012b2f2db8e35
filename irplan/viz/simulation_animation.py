"""Temperature through time in the plane of the needles, as an animated GIF."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from irplan.ablation.simulated_case import SimulatedCase
from irplan.compute.progress import Progress, no_progress
from irplan.image import Volume
from irplan.viz import style
from irplan.viz.colour_scale import colour_scale
from irplan.viz.reslice import Plane
from irplan.viz.simulation_planes import (
    TISSUE_EDGE,
    ZONE_COLOURS,
    ZONE_DASHES,
    draw_plane,
    needle_planes,
)

#: Isotherms that move through the picture, degC.
_ISOTHERMS = {"cryo": (0.0, -20.0, -40.0), "heat": (50.0, 60.0)}
_DPI = 80
_FRAME_MS, _LAST_MS = 120, 2000


def temperature_gif(
    case: SimulatedCase,
    frames: Iterable[tuple[float, Volume]],
    *,
    count: int = 1,
    progress: Progress = no_progress,
) -> bytes | None:
    """An animated GIF of ``frames`` (time in s, temperature), or None where there are none.

    ``count`` is how many frames are expected, for ``progress`` only.  Some 0.1 s a frame.
    """
    film: _Film | None = None
    pictures: list[Image.Image] = []
    for number, (time_s, volume) in enumerate(frames):
        progress(min(1.0, number / max(1, count)), "animating")
        with style.styled():
            film = _Film(case, volume) if film is None else film
            picture = Image.fromarray(film.frame(time_s, volume))
            pictures.append(picture.quantize(palette=film.palette, dither=Image.Dither.NONE))
    if not pictures:
        return None
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, format="GIF", save_all=True, append_images=pictures[1:], loop=0,
        duration=[_FRAME_MS] * (len(pictures) - 1) + [_LAST_MS],
    )  # fmt: skip
    progress(1.0, "animating")
    return buffer.getvalue()


class _Film:
    """A figure whose image, isotherms and clock change from frame to frame."""

    def __init__(self, case: SimulatedCase, first: Volume) -> None:
        self.planes: tuple[Plane, Plane] = needle_planes(case)
        self.levels = _ISOTHERMS["cryo" if case.kind == "cryo" else "heat"]
        scale = colour_scale(first, cold=case.kind == "cryo")
        along = self.planes[0]
        tall = (along.v_mm[1] - along.v_mm[0]) / (along.u_mm[1] - along.u_mm[0])
        self.figure: Figure = style.new_figure(7.6, 1.05 + max(2.0, 2.75 * tall))
        self.figure.set_dpi(_DPI)
        self.axes: list[Axes] = list(self.figure.subplots(1, 2))
        for axes, plane in zip(self.axes, self.planes, strict=True):
            draw_plane(axes, case, plane, first, scale, zones=())
            axes.set_xlabel("mm")
        self.axes[0].set_title("0.0 min, along the needles")
        self.axes[1].set_title("across")
        bar = self.figure.colorbar(self.axes[0].images[0], ax=self.axes, shrink=0.85, pad=0.02)
        bar.set_label(scale.words)
        self.figure.legend(
            handles=[
                Line2D([], [], color=ZONE_COLOURS[k], linestyle=ZONE_DASHES[k],
                       label=f"{level:g} °C".replace("-", "\N{MINUS SIGN}"))
                for k, level in enumerate(self.levels)
            ],
            loc="outside lower center", ncols=len(self.levels),
        )  # fmt: skip
        self.canvas = FigureCanvasAgg(self.figure)
        self.canvas.draw()
        self.canvas.draw()  # equal axes move once more
        self.figure.set_layout_engine("none")  # arranged once: most of a frame's time
        self.lines: list[QuadContourSet] = []
        shades = [scale.colours(k / 199.0)[:3] for k in range(200)]
        inks = (*ZONE_COLOURS, style.INK, style.MUTED, style.NEEDLE, TISSUE_EDGE, "white")
        greys = [(k / 15.0,) * 3 for k in range(16)]
        colours = [*shades, *greys, *(to_rgb(c) for c in inks)]
        self.palette = Image.new("P", (1, 1))
        self.palette.putpalette([round(255 * v) for c in colours for v in c])

    def frame(
        self, time_s: float, volume: Volume
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        """(row, column, 3) picture of one moment."""
        for old in self.lines:
            old.remove()
        self.lines = []
        for axes, plane in zip(self.axes, self.planes, strict=True):
            values = plane.sample(volume.array, volume.grid, outside=math.nan)
            axes.images[0].set_data(values)
            low, high = float(np.nanmin(values)), float(np.nanmax(values))
            for k, level in enumerate(self.levels):
                if low < level < high:
                    self.lines.append(
                        axes.contour(
                            plane.u_axis_mm, plane.v_axis_mm, values, levels=[level],
                            colors=[ZONE_COLOURS[k]], linestyles=[ZONE_DASHES[k]], linewidths=1.6,
                        )
                    )  # fmt: skip
        self.axes[0].set_title(f"{time_s / 60.0:.1f} min, along the needles")
        self.canvas.draw()
        return np.asarray(self.canvas.buffer_rgba())[:, :, :3].copy()
