"""The verdict on a simulated plan, as rows with value, limit, source and words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import CryoResult
from irplan.image import LabelMap
from irplan.planning.clearance import ClearanceMeter
from irplan.planning.distance import bounding_box, capped_distance_mm, grown_box
from irplan.planning.evaluation import PlanEvaluation
from irplan.planning.ice_distance import SKIN, ice_distances
from irplan.planning.margins import MarginReport, TargetGeometry, measure_margins
from irplan.planning.obstacles import ObstacleRaster, build_raster, large_vessels, target_organ
from irplan.planning.paths import PathCandidate
from irplan.planning.plan import AblationPlan
from irplan.planning.rules import PathRules
from irplan.planning.target import as_target_mask
from irplan.planning.trajectories import describe_needles
from irplan.planning.verdicts import (
    NearVessels,
    margin_rows,
    needle_rows,
    organ_rows,
    physics_rows,
    spacing_rows,
    thin_vessel_rows,
    vessel_row,
)

#: Structures whose distance to the ice is reported, in this order.
ICE_STRUCTURES = (
    "gallbladder", "stomach", "bowel", "gas", "lung", "heart", "bile_duct", "kidney_left",
    "kidney_right", "spleen", "pancreas", "bone", SKIN,
)  # fmt: skip
#: Vessels of the label map, any of which can be the large one beside the target.
VESSELS = ("portal_vein", "hepatic_vein", "vessel", "artery", "vena_cava")


def evaluate_plan(
    plan: AblationPlan,
    result: CryoResult,
    labels: LabelMap,
    target_mask: NDArray[Any],
    *,
    rules: PathRules | None = None,
    paths: Sequence[PathCandidate] | None = None,
    target: TargetGeometry | None = None,
) -> PlanEvaluation:
    """Judge ``plan`` with its simulation against the labels.

    Parameters
    ----------
    plan, result : what was planned and what the simulation of it returned.
    labels : structures on the image's grid; those not listed become "not checked" rows.
    target_mask : bool on the same grid.
    rules : limits; the defaults are sourced in `rules`.
    paths : the described path of each placement in order; measured anew when not given.
    target : the target's geometry if it was made already.

    Raises
    ------
    GridMismatchError, InputError : bad target mask.
    """
    rules = PathRules() if rules is None else rules
    mask = as_target_mask(target_mask, labels.grid)
    organ = target_organ(labels, mask)
    if target is None:
        target = TargetGeometry.from_mask(mask, labels, organ)
    if paths is None:
        raster = build_raster(labels, mask, rules)
        paths = describe_needles(
            raster, ClearanceMeter.from_raster(raster), [p.needle for p in plan.placements]
        )
    axes = np.array([p.active_segment for p in plan.placements])
    lethal_c = result.lethal_temperature(plan.lethal)

    def margins(threshold_c: float) -> MarginReport:
        assert target is not None
        return measure_margins(
            lethal_c,
            threshold_c,
            target,
            margin_goal_mm=plan.margin_goal_mm,
            subcapsular_mm=rules.subcapsular_depth.value,
            probe_axes_mm=axes,
        )

    report = margins(plan.lethal.threshold_c)
    cautious = report if plan.lethal.threshold_c == -40.0 else margins(-40.0)
    ice = ice_distances(result.minimum_c, labels, tuple(s for s in ICE_STRUCTURES if s != organ))
    vessel = vessels_near(labels, mask, rules)
    rows = [
        *margin_rows(plan, report, cautious, target, lethal_c, vessel, axes, rules),
        vessel_row(vessel, rules),
        *thin_vessel_rows(vessel, labels, rules),
        *organ_rows(ice, labels, tuple(s for s in ICE_STRUCTURES if s != organ)),
        *needle_rows(plan, paths, rules, labels, organ),
        *spacing_rows(plan, target, rules),
        *physics_rows(result),
    ]
    return PlanEvaluation(
        minimal_margin_mm=report.minimal_mm,
        minimal_margin_at_mm=report.minimal_at_mm,
        minimal_margin_all_mm=report.minimal_all_mm,
        target_coverage=report.target_coverage,
        margin_coverage=report.margin_coverage,
        shell_coverage=report.shell_coverage,
        zone_volume_ml=_volumes_ml(result, plan),
        organ_distance_mm={name: d.distance_mm for name, d in ice.items()},
        margin=report.surface,
        histogram_edges_mm=report.histogram_edges_mm,
        histogram_fraction=report.histogram_fraction,
        rows=tuple(rows),
    )


def vessels_near(
    labels: LabelMap, target: NDArray[np.bool_], rules: PathRules
) -> NearVessels | None:
    """Large vessels within 20 mm of the target; None when no vessel was looked for."""
    box = bounding_box(target)
    if box is None or not any(labels.checked(v) for v in VESSELS):
        return None
    grid = labels.grid
    part = grown_box(box, 24.0, grid.spacing_mm, grid.shape)
    local = labels.crop([s.start for s in part], [s.stop - s.start for s in part])
    large = large_vessels(local.mask(*VESSELS), grid, rules.min_vessel_diameter.value)
    gap = float(capped_distance_mm(large, grid.spacing_mm, 20.0)[target[part]].min())
    # Half a voxel on either side is not gap; 0 = it touches.
    gap = max(0.0, gap - float(np.mean(grid.spacing_mm)))
    return NearVessels(gap, local.grid.index_to_lps(np.argwhere(large)))


def _volumes_ml(result: CryoResult, plan: AblationPlan) -> dict[str, float]:
    """Volumes inside isotherms with sub-voxel weights, ml; lethal by the plan's rule."""
    coldest = result.minimum_c
    out = {f"{t:g} degC": _volume_ml(coldest.array, coldest.grid.voxel_volume_mm3, t)
           for t in (0.0, -20.0, -40.0)}  # fmt: skip
    lethal = result.lethal_temperature(plan.lethal)
    out["lethal"] = _volume_ml(lethal.array, lethal.grid.voxel_volume_mm3, plan.lethal.threshold_c)
    return out


def _volume_ml(array: NDArray[Any], voxel_mm3: float, level: float) -> float:
    field = np.asarray(array, dtype=np.float32)
    slope = np.sqrt(sum(g**2 for g in np.gradient(field)))
    inside = np.clip(0.5 + (level - field) / np.maximum(slope, 1e-3), 0.0, 1.0)
    return float(inside.sum(dtype=np.float64)) * voxel_mm3 / 1000.0


def not_checked_messages(raster: ObstacleRaster) -> tuple[str, ...]:
    """One message for each needed group of obstacles that nobody looked for."""
    return tuple(
        f"{o.name.capitalize()} was not looked for in this image: paths are not known to be clear "
        "of it."
        for o in raster.not_checked
        if o.needed
    )
