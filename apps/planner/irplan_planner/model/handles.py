"""Needles in a view: which parts are drawn, what can be grabbed, and where a drag leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irplan.ablation.placement import Placement
from irplan.geometry import Needle, as_point
from irplan.image import LabelMap
from irplan_planner.model.slices import Frame

Part = Literal["tip", "entry", "shaft"]
#: A needle nearer to the slice than this is drawn solid, one nearer than the second dotted; beyond
#: that it is hidden, mm.
ON_SLICE_MM, NEAR_SLICE_MM = 2.5, 20.0
#: How near the pointer must be to grab, pixels.
GRAB_PX = 14.0


@dataclass(frozen=True, eq=False)
class NeedleView:
    """A needle in one view, mm right and down: runs of points that are drawn solid and dotted.

    ``tip`` and ``entry`` are None where they are too far from the slice to be shown.
    """

    number: int
    solid: tuple[NDArray[np.float64], ...]
    dotted: tuple[NDArray[np.float64], ...]
    active: tuple[NDArray[np.float64], ...]
    tip: NDArray[np.float64] | None
    entry: NDArray[np.float64] | None
    tip_off_mm: float
    achieved: bool = False


def needle_view(placement: Placement, number: int, frame: Frame, slab_mm: float) -> NeedleView:
    """How placement ``number`` (from 1) looks in a frame; ``slab_mm``: thickness of the slab."""
    needle = placement.needle
    count = max(2, round(needle.depth_mm) + 1)
    depth = np.linspace(0.0, needle.depth_mm, count)
    points = np.asarray(needle.entry_mm) + depth[:, None] * needle.direction
    uv, off = frame.to_picture(points)
    away = np.maximum(0.0, np.abs(off) - 0.5 * slab_mm)
    near = needle.depth_mm - placement.applicator.tip_offset_mm
    in_active = (depth <= near) & (depth >= near - placement.applicator.active_length_mm)
    solid = away <= ON_SLICE_MM
    reach = away <= NEAR_SLICE_MM
    return NeedleView(
        number,
        _runs(uv, solid),
        _runs(uv, reach & ~solid),
        _runs(uv, solid & in_active),
        uv[-1] if reach[-1] else None,
        uv[0] if reach[0] else None,
        float(off[-1]),
        placement.status == "achieved",
    )


def grabbed(
    views: Sequence[NeedleView], u_mm: float, v_mm: float, px_per_mm: float
) -> tuple[int, Part] | None:
    """The needle (number from 1) and its part under the pointer; tips before entries and shafts."""
    reach = GRAB_PX / px_per_mm
    here = np.array([u_mm, v_mm])
    best: tuple[float, int, Part] | None = None
    order: tuple[Part, ...] = ("tip", "entry", "shaft")
    for part in order:
        for view in views:
            if view.achieved:
                continue
            gap = _gap(view, part, here)
            if gap <= reach and (best is None or gap < best[0]):
                best = (gap, view.number, part)
        if best is not None:
            return best[1], best[2]
    return None


def _gap(view: NeedleView, part: Part, here: NDArray[np.float64]) -> float:
    if part == "shaft":
        runs = [r for r in view.solid if len(r)]
        return min((float(np.linalg.norm(r - here, axis=1).min()) for r in runs), default=np.inf)
    point = view.tip if part == "tip" else view.entry
    return np.inf if point is None else float(np.linalg.norm(point - here))


def dragged(
    placement: Placement, part: Part, by_mm: ArrayLike, labels: LabelMap | None
) -> Placement:
    """The placement with a part moved by an LPS vector.

    The tip moves alone; the entry moves along the skin (the new needle ends where it leaves the
    body); the shaft moves all of it, side by side.  Raises `InputError` / `GeometryError` where
    no needle comes of it (too deep, no length).
    """
    by = np.asarray(by_mm, dtype=np.float64)
    tip, entry = np.asarray(placement.needle.tip_mm), np.asarray(placement.needle.entry_mm)
    if part != "entry":
        tip = tip + by
    if part != "tip":
        entry = entry + by
        if labels is not None:
            entry = on_skin(labels, tip, entry)
    needle = Needle(as_point(tip, field="tip"), as_point(entry, field="entry"))
    return replace(placement, needle=needle)


def on_skin(
    labels: LabelMap, tip_mm: NDArray[np.float64], towards_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(3,) where the line from the tip through a point leaves the body; else that point."""
    way = towards_mm - tip_mm
    length = float(np.linalg.norm(way))
    if length < 1.0:
        return towards_mm
    step = 0.5
    far = np.arange(0.0, 400.0, step)
    points = tip_mm + far[:, None] * (way / length)
    index = np.rint(labels.grid.lps_to_index(points)).astype(int)
    within = np.all((index >= 0) & (index < np.asarray(labels.grid.shape)), axis=1)
    inside = np.zeros(len(far), dtype=bool)
    part = index[within]
    inside[within] = labels.array[part[:, 0], part[:, 1], part[:, 2]] > 0
    if not inside.any():
        return towards_mm
    last = int(np.flatnonzero(inside)[-1])
    # The first longer gap of air ends the body: an arm beside it is not on the way.
    air = np.flatnonzero(~inside[: last + 1])
    for k in air:
        if k > 4 and not inside[k : k + 12].any():
            last = int(k) - 1
            break
    if last + 1 >= len(far) or not within[min(last + 1, len(far) - 1)]:
        return towards_mm
    out: NDArray[np.float64] = points[last]
    return out


def _runs(uv: NDArray[np.float64], keep: NDArray[np.bool_]) -> tuple[NDArray[np.float64], ...]:
    """The kept points as runs of neighbours (a run of one point is drawn as a dot)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], keep.view(np.int8), [0]])))
    return tuple(uv[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))
