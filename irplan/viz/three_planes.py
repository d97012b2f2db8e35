"""Axial, coronal and sagittal CT through a needle's tip."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from irplan.ablation.placement import Placement
from irplan.errors import InputError
from irplan.planning.case import PlannedAblation
from irplan.planning.plan import AblationPlan
from irplan.viz import overlay, style
from irplan.viz.reslice import anatomical_plane

#: (plane, name of u, sign of LPS along u, name of v, sign of LPS along v, LPS axes of u, v)
_PLANES = (
    ("axial", "x, to the left", 1.0, "y, to the back", -1.0, (0, 1)),
    ("coronal", "x, to the left", 1.0, "z, to the head", 1.0, (0, 2)),
    ("sagittal", "y, to the back", 1.0, "z, to the head", 1.0, (1, 2)),
)
_THROUGH = {"axial": ("z", 2), "coronal": ("y", 1), "sagittal": ("x", 0)}


def three_planes(case: PlannedAblation, placement_index: int = 0) -> Figure:
    """Three reslices through the tip of one placement; axes are LPS mm, equal scale.

    Works for any orientation and spacing of the grid (everything is sampled in LPS).  Raises
    `InputError` when ``placement_index`` names no placement.
    """
    needle = check_index(case.plan, placement_index).needle
    tip = np.array(needle.tip_mm)
    points = np.array(
        [p for x in case.plan.placements for p in (x.needle.tip_mm, x.needle.entry_mm)]
        + [case.plan.target.centroid_mm]
    )
    low, high = points.min(axis=0), points.max(axis=0)
    half = float(np.clip((high - low).max() / 2 + 30.0, 60.0, 130.0))
    centre = np.clip((low + high) / 2, tip - (half - 25.0), tip + (half - 25.0))
    with style.styled():
        figure = style.new_figure(13.2, 5.3, arranged=False)
        panels = [style.add_axes(figure, 0.72 + 4.36 * k, 1.32, 3.62, 3.62) for k in range(3)]
        for axes, (name, u_name, u_sign, v_name, v_sign, (iu, iv)) in zip(
            panels, _PLANES, strict=True
        ):
            u0, v0 = u_sign * centre[iu], v_sign * centre[iv]
            plane = anatomical_plane(name, tip, (u0 - half, u0 + half), (v0 - half, v0 + half))
            overlay.draw_reslice(axes, case, plane, placement_index=placement_index)
            through, axis = _THROUGH[name]
            axes.set_title(f"{name.capitalize()}, {through} = {tip[axis]:.1f} mm")
            axes.set_xlabel(f"LPS {u_name} (mm)")
            axes.set_ylabel(f"LPS {v_name} (mm)")
            if v_sign < 0:
                axes.yaxis.set_major_formatter(FuncFormatter(_negated))
        overlay.draw_legend(figure, case)
    return figure


def _negated(value: float, _position: int | None) -> str:
    return f"{0.0 - value:g}".replace("-", "\N{MINUS SIGN}")


def check_index(plan: AblationPlan, index: int) -> Placement:
    """The placement of that index; `InputError` when there is none."""
    if not 0 <= index < len(plan.placements):
        raise InputError(
            "placement_index",
            got=str(index),
            expected=f"0 to {len(plan.placements) - 1}",
            remedy="Name one of the plan's placements, counted from 0.",
        )
    return plan.placements[index]
