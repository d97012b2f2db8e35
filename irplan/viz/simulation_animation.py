"""Temperature through time in the plane of the needles, as an animated GIF."""

from __future__ import annotations

import io
from collections.abc import Iterable

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.lines import Line2D

from irplan.ablation.simulated_case import SimulatedCase
from irplan.ablation.zone_measure import ZoneField
from irplan.compute.progress import Progress, no_progress
from irplan.image import Volume
from irplan.viz import style
from irplan.viz.colour_scale import colour_scale
from irplan.viz.simulation_planes import (
    ZONE_COLOURS,
    ZONE_DASHES,
    draw_plane,
    needle_planes,
)

#: Isotherms that move through the picture: (name, words, degC, at or below).
_ISOTHERMS = {
    "cryo": (
        ("ice", "0 °C", 0.0, True), ("minus_20", "−20 °C", -20.0, True),
        ("minus_40", "−40 °C", -40.0, True),
    ),
    "heat": (("above_50", "50 °C", 50.0, False), ("above_60", "60 °C", 60.0, False)),
}  # fmt: skip
_DPI = 80
_FRAME_MS = 120


def temperature_gif(
    case: SimulatedCase,
    frames: Iterable[tuple[float, Volume]],
    *,
    count: int = 1,
    progress: Progress = no_progress,
) -> bytes | None:
    """An animated GIF of ``frames`` (time in s, temperature), or None where there are none.

    ``count`` is how many frames are expected, for ``progress`` only.  About 0.1 s a frame.
    """
    from PIL import Image

    along, across = needle_planes(case)
    pictures: list[Image.Image] = []
    for number, (time_s, volume) in enumerate(frames):
        progress(min(1.0, number / max(1, count)), "animating")
        kind = "cryo" if case.kind == "cryo" else "heat"
        zones = [ZoneField(n, w, volume, level, below) for n, w, level, below in _ISOTHERMS[kind]]
        scale = colour_scale(volume, cold=case.kind == "cryo")
        with style.styled():
            tall = (along.v_mm[1] - along.v_mm[0]) / (along.u_mm[1] - along.u_mm[0])
            figure = style.new_figure(7.6, 1.05 + max(2.0, 2.75 * tall))
            left, right = figure.subplots(1, 2)
            for axes, plane in ((left, along), (right, across)):
                draw_plane(axes, case, plane, volume, scale, zones=zones)
                axes.set_xlabel("mm")
            left.set_title(f"{time_s / 60.0:.1f} min, along the needles")
            right.set_title("across")
            figure.legend(
                handles=[
                    Line2D([], [], color=ZONE_COLOURS[k], linestyle=ZONE_DASHES[k], label=z.words)
                    for k, z in enumerate(zones)
                ],
                loc="outside lower center", ncols=len(zones),
            )  # fmt: skip
            bar = figure.colorbar(left.images[0], ax=[left, right], shrink=0.85, pad=0.02)
            bar.set_label(scale.words)
            canvas = FigureCanvasAgg(figure)
            figure.set_dpi(_DPI)
            canvas.draw()
            rgba = Image.frombytes("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba()))
        pictures.append(rgba.convert("RGB").quantize(128))
    if not pictures:
        return None
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, format="GIF", save_all=True, append_images=pictures[1:], loop=0,
        duration=[_FRAME_MS] * (len(pictures) - 1) + [2000],
    )  # fmt: skip
    progress(1.0, "animating")
    return buffer.getvalue()
