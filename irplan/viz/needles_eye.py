"""Reslices of one needle: down its barrel, and along it in two planes."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from irplan.planning.case import PlannedAblation
from irplan.viz import overlay, style
from irplan.viz.orientation import position_words
from irplan.viz.reslice import Plane
from irplan.viz.three_planes import check_index

_HALF_MM = 50.0


def needles_eye(case: PlannedAblation, placement_index: int = 0) -> Figure:
    """The view along the needle at the target's depth, and two longitudinal views.

    The longitudinal views run with the depth from the skin in mm, entry on the left.  Raises
    `InputError` when ``placement_index`` names no placement.
    """
    needle = check_index(case.plan, placement_index).needle
    d = needle.direction
    right, up = view_axes(d)
    entry = np.array(needle.entry_mm)
    target = np.array(case.plan.target.centroid_mm)
    depth = float((target - entry) @ d)
    across = (-_HALF_MM, _HALF_MM)
    end = max(needle.depth_mm, depth) + 30.0
    half = float(np.clip((end + 15.0) / 5.0, 30.0, 45.0))
    across_long = (-half, half)
    with style.styled():
        wide = 2.12 * (end + 15.0) / (2.0 * half)
        figure = style.new_figure(0.72 + 5.0 + 0.8 + wide + 0.15, 6.7, arranged=False)
        beside = 0.72 + 5.0 + 0.8
        panels = {
            "eye": style.add_axes(figure, 0.72, 1.32, 5.0, 5.0),
            "up": style.add_axes(figure, beside, 4.2, wide, 2.12),
            "right": style.add_axes(figure, beside, 1.32, wide, 2.12),
        }
        eye = Plane(entry + depth * d, right, up, across, across)
        overlay.draw_reslice(panels["eye"], case, eye, placement_index=placement_index)
        panels["eye"].set_title(f"Along the needle at the target's depth ({depth:.0f} mm)")
        panels["eye"].set_xlabel(f"offset to {position_words(right)} (mm)")
        panels["eye"].set_ylabel(f"offset to {position_words(up)} (mm)")
        for key, side in (("up", up), ("right", right)):
            plane = Plane(entry, d, side, (-15.0, end), across_long)
            overlay.draw_reslice(panels[key], case, plane, placement_index=placement_index)
            panels[key].set_title(f"Lengthwise, top is {position_words(side)}")
            panels[key].set_xlabel("depth from the skin along the needle (mm)")
            panels[key].set_ylabel("offset (mm)")
            panels[key].axvline(0.0, color="white", linewidth=0.8, alpha=0.6)
        overlay.draw_legend(figure, case)
    return figure


def view_axes(direction: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(right, up) LPS unit vectors of the picture seen when looking along ``direction``.

    Up is the patient's head; for a needle within 25 degrees of the body's axis, the front.
    """
    reference = np.array([0.0, 0.0, 1.0] if abs(direction[2]) < 0.9 else [0.0, -1.0, 0.0])
    up = reference - (reference @ direction) * direction
    up /= np.linalg.norm(up)
    return np.cross(direction, up), up
