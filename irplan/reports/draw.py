"""The figures of a plan report drawn, by the keys of `figure_notes`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from irplan.compute.progress import Progress, no_progress
from irplan.planning.case import PlannedAblation
from irplan.viz import (
    margin_map,
    needles_eye,
    path_terms,
    png_bytes,
    temperature_over_time,
    three_planes,
)

#: Dots per inch of the figures in reports.
FIGURE_DPI = 110


def draw_figures(case: PlannedAblation, *, progress: Progress = no_progress) -> dict[str, bytes]:
    """PNG of every figure but the 3D picture (``"scene"``), which `irplan.viz.RenderJob` draws.

    Same case, same bytes.  About half a second a figure; ``progress`` is called before each.
    """
    steps: list[tuple[str, Callable[[], Any]]] = []
    for k in range(len(case.plan.placements)):
        steps.append((f"planes_{k + 1}", partial(three_planes, case, k)))
        steps.append((f"needle_{k + 1}", partial(needles_eye, case, k)))
    steps += [
        ("margin", partial(margin_map, case)),
        ("temperature", partial(temperature_over_time, case)),
        ("paths", partial(path_terms, case)),
    ]
    drawn = {}
    for number, (key, figure) in enumerate(steps):
        progress(number / len(steps), "drawing the figures")
        drawn[key] = png_bytes(figure(), FIGURE_DPI)
    progress(1.0, "drawing the figures")
    return drawn
