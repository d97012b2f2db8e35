"""Paths to a target of which not everything round it was seen: seen all along, or not checked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from irplan.compute.progress import Progress, portion
from irplan.errors import InputError, NoAdmissiblePathError
from irplan.image import LabelMap
from irplan.planning.clearance import ClearanceMeter
from irplan.planning.obstacles import ObstacleRaster, as_unknown, build_raster
from irplan.planning.paths import UNKNOWN, PathSearch
from irplan.planning.rules import PathRules
from irplan.planning.trajectories import search_paths, spread_points

#: Most of a target that may lie where nothing was seen.
MOST_UNKNOWN = 0.25


def seen_paths(
    labels: LabelMap,
    target: NDArray[np.bool_],
    rules: PathRules,
    unknown: NDArray[np.bool_] | None,
    progress: Progress,
) -> tuple[ObstacleRaster, ClearanceMeter, PathSearch, tuple[str, ...]]:
    """Paths that are seen all along; where there is none, paths as far as was seen, and so said.

    Returns raster, meter, the paths and messages.  Raises what `search_paths` raises, and
    `InputError` for a target of which too much lies in ``unknown`` (bool on the labels' grid).
    """
    if unknown is not None:
        unknown = as_unknown(unknown, labels.grid)
        share = float(unknown[target].mean())
        if share > MOST_UNKNOWN:
            raise InputError(
                "target",
                got=f"{100 * share:.0f} % of it where nothing was seen",
                expected=f"at most {100 * MOST_UNKNOWN:.0f} %",
                remedy="Check that the target lies in the field of view and clear of metal.",
            )
    tips = spread_points(target, labels.grid, 7)
    raster = build_raster(
        labels, target, rules, unknown=unknown, progress=portion(progress, 0, 0.6)
    )
    meter = ClearanceMeter.from_raster(raster)
    try:
        found = search_paths(raster, meter, tips, progress=portion(progress, 0.6, 1.0))
    except NoAdmissiblePathError:
        if unknown is None or not unknown.any():
            raise
    else:
        if unknown is None or not any(UNKNOWN in c.not_checked for c in found.candidates):
            return raster, meter, found, ()
        sure = tuple(c for c in found.candidates if UNKNOWN not in c.not_checked)
        if sure:
            return raster, meter, replace(found, candidates=sure), ()
    raster = build_raster(labels, target, rules, unknown=unknown, end_at_unknown=True)
    meter = ClearanceMeter.from_raster(raster)
    found = search_paths(raster, meter, tips, progress=portion(progress, 0.6, 1.0))
    return raster, meter, found, (
        "No admissible path is seen from skin to target: the needles begin where what was seen "
        "ends. What lies between there and the skin is NOT CHECKED; it is not known to be clear.",
    )  # fmt: skip
