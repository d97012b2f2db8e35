"""The verdict on a simulated plan, as rows with value, limit, source and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import AblationResult, CryoResult, FieldResult, HeatResult
from irplan.image import LabelMap, Volume
from irplan.planning.clearance import ClearanceMeter
from irplan.planning.distance import bounding_box, capped_distance_mm, grown_box
from irplan.planning.evaluation import PlanEvaluation, Row
from irplan.planning.ice_distance import SKIN, IceDistance, ice_distances
from irplan.planning.margin_directions import directional_margins
from irplan.planning.margin_smoothing import smooth_level
from irplan.planning.margins import MarginReport, TargetGeometry, measure_margins
from irplan.planning.modality import lethal_field, spaced
from irplan.planning.obstacles import ObstacleRaster, build_raster, large_vessels, target_organ
from irplan.planning.paths import PathCandidate
from irplan.planning.plan import AblationPlan
from irplan.planning.robustness_result import CoverageProbability
from irplan.planning.rules import Obstacle, PathRules, looked_for
from irplan.planning.target import as_target_mask
from irplan.planning.trajectories import describe_needles
from irplan.planning.verdicts import (
    NearVessels,
    heat_row,
    margin_rows,
    needle_rows,
    organ_rows,
    physics_rows,
    probability_row,
    spacing_rows,
    thin_vessel_rows,
    vessel_row,
    zone_note_row,
)

#: Structures whose distance to the ice is reported, in this order.
ICE_STRUCTURES = (
    "gallbladder", "stomach", "bowel", "gas", "lung", "heart", "bile_duct", "kidney_left",
    "kidney_right", "spleen", "pancreas", "bone", SKIN,
)  # fmt: skip
#: Vessels of the label map, any of which can be the large one beside the target.
VESSELS = ("portal_vein", "hepatic_vein", "vessel", "vessel_in_part", "artery", "vena_cava")


def evaluate_plan(
    plan: AblationPlan,
    result: AblationResult,
    labels: LabelMap,
    target_mask: NDArray[Any],
    *,
    rules: PathRules | None = None,
    paths: Sequence[PathCandidate] | None = None,
    target: TargetGeometry | None = None,
    probability: CoverageProbability | None = None,
    unknown: NDArray[np.bool_] | None = None,
) -> PlanEvaluation:
    """Judge ``plan`` with its simulation against the labels.

    By cold, organs are measured to the ice; else to the lethal zone itself.

    Parameters
    ----------
    plan, result : what was planned and what the simulation of it returned.
    labels : structures on the image's grid; those not listed become "not checked" rows.
    target_mask : bool on the same grid.
    rules : limits; None: those the plan was made under (`plan_rules`).
    paths : the described path of each placement in order; measured anew when not given.
    target : the target's geometry if it was made already.
    probability : how sure the coverage is, where `coverage_probability` was asked.
    unknown : bool on the labels' grid, where nothing was seen: needles through it are not checked.

    Raises
    ------
    GridMismatchError, InputError : bad target mask.
    """
    case = _Case.of(plan, labels, target_mask, rules, paths, target, unknown)
    if not isinstance(result, CryoResult):
        return _by_other_means(case, plan, result, probability)
    lethal_c = result.lethal_temperature(plan.lethal)
    report = case.margins(lethal_c, plan.lethal.threshold_c)
    cautious = report if plan.lethal.threshold_c == -40.0 else case.margins(lethal_c, -40.0)
    ice = ice_distances(result.minimum_c, labels, case.structures)
    rows = [
        *case.margin_rows(report, cautious, lethal_c),
        probability_row(probability, plan.margin_goal_mm, "not asked for"),
        *case.vessel_rows(),
        *organ_rows(ice, labels, case.structures),
        *case.needle_rows(),
        *physics_rows(result),
    ]
    return case.evaluation(report, _volumes_ml(result, plan), ice, rows, probability)


def _by_other_means(
    case: _Case,
    plan: AblationPlan,
    result: AblationResult,
    probability: CoverageProbability | None,
) -> PlanEvaluation:
    """The verdict on heat or electroporation: one zone, no colder inner one."""
    field, level, words = lethal_field(result, plan.lethal, plan.placements)
    report = case.margins(field, level)
    gaps = ice_distances(field, case.labels, case.structures, edge_c=level)
    rows = [
        replace(row, note=words) if row.name == "target in the lethal zone" else row
        for row in case.margin_rows(report, None, None, heat=isinstance(result, HeatResult))
    ]
    volume = _volume_ml(field.array, field.grid.voxel_volume_mm3, level)
    rows += [
        *([heat_row(result, volume)] if isinstance(result, FieldResult) else []),
        probability_row(probability, plan.margin_goal_mm, "not asked for"),
        *case.vessel_rows(),
        *organ_rows(gaps, case.labels, case.structures, what="zone"),
        *case.needle_rows(),
        *physics_rows(result),
    ]
    return case.evaluation(report, {"lethal": volume}, gaps, rows, probability)


def evaluate_zone(
    plan: AblationPlan,
    zone_mask: NDArray[Any],
    labels: LabelMap,
    target_mask: NDArray[Any],
    *,
    rules: PathRules | None = None,
    paths: Sequence[PathCandidate] | None = None,
    target: TargetGeometry | None = None,
    unknown: NDArray[np.bool_] | None = None,
) -> PlanEvaluation:
    """Judge ``plan`` by an ablation zone that is given as a mask, segmented in a control scan, say.

    ``zone_mask`` is bool on the labels' grid (registered to the planning image by the caller).
    Its surface takes the place of the simulated one, also in the distances to organs; how sure it
    is and the simulation are "not checked".  Else as `evaluate_plan`.  Raises `InputError` for an
    empty zone and `GridMismatchError` for another grid.
    """
    zone = as_target_mask(zone_mask, labels.grid, field="zone mask")
    case = _Case.of(plan, labels, target_mask, rules, paths, target, unknown)
    depth = smooth_level(zone, labels.grid)
    outward = Volume(-np.asarray(depth.array), depth.grid, "mm")
    report = case.margins(outward, 0.0)
    gaps = ice_distances(outward, labels, case.structures)
    rows = [
        *case.margin_rows(report, None, None),
        probability_row(None, plan.margin_goal_mm, "the zone was given as a mask"),
        *case.vessel_rows(),
        *organ_rows(gaps, labels, case.structures, what="zone"),
        *case.needle_rows(),
        zone_note_row(),
    ]
    volume = float(np.count_nonzero(zone)) * labels.grid.voxel_volume_mm3 / 1000.0
    return case.evaluation(report, {"lethal": volume}, gaps, rows, None)


@dataclass(frozen=True, eq=False)
class _Case:
    """What both ways of judging share."""

    plan: AblationPlan
    labels: LabelMap
    rules: PathRules
    organ: str | None
    target: TargetGeometry
    paths: Sequence[PathCandidate]
    vessel: NearVessels | None
    axes_mm: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        plan: AblationPlan,
        labels: LabelMap,
        target_mask: NDArray[Any],
        rules: PathRules | None,
        paths: Sequence[PathCandidate] | None,
        target: TargetGeometry | None,
        unknown: NDArray[np.bool_] | None,
    ) -> _Case:
        mask = as_target_mask(target_mask, labels.grid)
        organ = target_organ(labels, mask)
        rules = plan_rules(plan, organ) if rules is None else rules.for_organ(organ)
        if target is None:
            target = TargetGeometry.from_mask(mask, labels, organ)
        if paths is None:
            raster = build_raster(labels, mask, rules, unknown=unknown)
            paths = describe_needles(
                raster, ClearanceMeter.from_raster(raster), [p.needle for p in plan.placements]
            )
        axes = np.array([p.active_segment for p in plan.placements])
        return cls(
            plan, labels, rules, organ, target, paths, vessels_near(labels, mask, rules), axes
        )

    @property
    def structures(self) -> tuple[str, ...]:
        return tuple(s for s in ICE_STRUCTURES if s != self.organ)

    def margins(self, field: Volume, threshold: float) -> MarginReport:
        return measure_margins(
            field,
            threshold,
            self.target,
            margin_goal_mm=self.plan.margin_goal_mm,
            subcapsular_mm=self.rules.subcapsular_depth.value,
            probe_axes_mm=self.axes_mm,
        )

    def margin_rows(
        self,
        report: MarginReport,
        cautious: MarginReport | None,
        lethal_c: Volume | None,
        *,
        heat: bool = False,
    ) -> list[Row]:
        return margin_rows(
            self.plan, report, cautious, self.target, lethal_c, self.vessel, self.axes_mm,
            self.rules, heat=heat,
        )  # fmt: skip

    def vessel_rows(self) -> list[Row]:
        kind = self.plan.placements[0].applicator.kind
        return [
            vessel_row(self.vessel, self.rules, thermal=kind != "ire"),
            *thin_vessel_rows(self.vessel, self.labels, self.rules),
        ]

    def needle_rows(self) -> list[Row]:
        return [
            *needle_rows(self.plan, self.paths, self.rules, self.labels, self.organ),
            *spacing_rows(self.plan, self.target, self.rules),
        ]

    def evaluation(
        self,
        report: MarginReport,
        volumes_ml: dict[str, float],
        gaps: dict[str, IceDistance],
        rows: list[Row],
        probability: CoverageProbability | None,
    ) -> PlanEvaluation:
        return PlanEvaluation(
            minimal_margin_mm=report.minimal_mm,
            minimal_margin_at_mm=report.minimal_at_mm,
            minimal_margin_all_mm=report.minimal_all_mm,
            target_coverage=report.target_coverage,
            margin_coverage=report.margin_coverage,
            shell_coverage=report.shell_coverage,
            zone_volume_ml=volumes_ml,
            organ_distance_mm={name: d.distance_mm for name, d in gaps.items()},
            margin=report.surface,
            histogram_edges_mm=report.histogram_edges_mm,
            histogram_fraction=report.histogram_fraction,
            rows=tuple(rows),
            directions=directional_margins(report.surface, report.zone, self.plan.placements),
            zone_reach=report.reach,
            coverage_probability=probability,
        )


def plan_rules(plan: AblationPlan, organ: str | None) -> PathRules:
    """The rules that ``plan`` was made under, as its provenance holds them.

    Where it holds none (a plan from needles alone) those of its modality in ``organ``.
    """
    usual = spaced(plan.placements[0].applicator.kind, PathRules()).for_organ(organ)
    return usual.recorded(plan.provenance.options)


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
    veins = next((o for o in rules.obstacles if o.name == "vessel"), None)
    complete = veins is None or looked_for(veins, labels)
    return NearVessels(gap, local.grid.index_to_lps(np.argwhere(large)), complete)


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
        f"{o.name.capitalize()} was {_how(o, raster)} in this image: paths are not known to be "
        "clear of it."
        for o in raster.not_checked
        if o.needed
    )


def _how(obstacle: Obstacle, raster: ObstacleRaster) -> str:
    seen = any(o.name == obstacle.name for o in raster.obstacles)
    return "found only in part" if seen else "not looked for"
