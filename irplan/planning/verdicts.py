"""The rows of a verdict: each a value, its limit in words, the source of the limit, a status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from irplan.ablation import AblationResult, FieldResult
from irplan.ablation.segments import segment_distance_mm
from irplan.ablation.zone_measure import voxels_inside, zone_fields
from irplan.geometry import Point3
from irplan.image import LabelMap, Volume
from irplan.planning.evaluation import Row, Status
from irplan.planning.ice_distance import LOOK_MM, SKIN, IceDistance
from irplan.planning.margins import MarginReport, TargetGeometry
from irplan.planning.paths import UNKNOWN, PathCandidate
from irplan.planning.plan import AblationPlan
from irplan.planning.robustness_result import CoverageProbability
from irplan.planning.rules import PathRules, looked_for
from irplan.planning.surfaces import sample

#: Share of target + margin that must lie in the lethal zone (issue "planning", numbers).
MARGIN_COVERAGE = 0.99
#: Ice closer than this to an organ is a warning, mm [S]; ice inside one an error (bone: a warning).
ICE_WARNING_MM = 5.0
#: Residual of the heat balance and warming of the box's edge that are still fine.
ENERGY_RESIDUAL, BOUNDARY_RISE_C = 0.001, 2.0
#: A vessel this close to a place that stays too warm is named as the reason, mm [S].
SINK_REACH_MM = 12.0
#: Share of an electroporated zone that may die by heat before it is a warning [S].
MOST_HEATED = 0.1
_SPEC = "planning specification"
_MARGIN_SOURCE = f"{_SPEC}: Eur Radiol 2019, s00330-019-06609-7 (HCC, 5 mm) [V]"
_BODY_C = 37.0


@dataclass(frozen=True, eq=False)
class NearVessels:
    """Large vessels round the target: distance of the nearest (+inf: none within 20 mm), voxels.

    ``points_mm`` (n, 3) are the LPS centres of all their voxels within some 20 mm.  ``complete``
    is False where vessels were seen in part only: a nearer one may be missing.
    """

    distance_mm: float
    points_mm: NDArray[np.float64]
    complete: bool = True


def margin_rows(
    plan: AblationPlan,
    report: MarginReport,
    cautious: MarginReport | None,
    target: TargetGeometry,
    lethal_c: Volume | None,
    vessels: NearVessels | None,
    axes_mm: NDArray[np.float64],
    rules: PathRules,
    *,
    heat: bool = False,
) -> list[Row]:
    """Margin, coverage, shells and the cautious threshold.

    ``cautious`` and ``lethal_c`` are None for a zone that no isotherm bounds: given as a mask, or
    simulated by heat (``heat``) or electroporation.
    """
    goal = plan.margin_goal_mm
    rows = [
        Row(
            "minimal ablative margin",
            report.minimal_mm,
            "mm",
            f">= {goal:g} mm",
            _three(report.minimal_mm >= goal, report.minimal_mm >= 0.0),
            _margin_note(plan, report, target, lethal_c, vessels, axes_mm, heat=heat),
            _MARGIN_SOURCE,
        ),
        Row(
            "minimal margin, capsule counted",
            report.minimal_all_mm,
            "mm",
            "for information",
            "ok",
            f"at {_place(report.minimal_all_at_mm)}; {_capsule_note(report, target, rules)}",
            rules.subcapsular_depth.source,
        ),
        Row(
            "target in the lethal zone",
            100.0 * report.target_coverage,
            "%",
            "100 %",
            "ok" if report.target_coverage >= 0.9995 else "error",
            "the zone given" if lethal_c is None else f"lethal: {_rule_words(plan)}",
            _SPEC,
        ),
        Row(
            f"target + {goal:g} mm in the lethal zone",
            100.0 * report.margin_coverage,
            "%",
            f">= {100 * MARGIN_COVERAGE:g} %",
            "ok" if report.margin_coverage >= MARGIN_COVERAGE else "warning",
            "only what lies in the organ counts" if target.organ_name else "organ not known",
            _SPEC,
        ),
    ]
    for shell, share in report.shell_coverage.items():
        wanted = shell <= goal
        good = share >= MARGIN_COVERAGE or not wanted
        rows.append(
            Row(
                f"shell to {shell:g} mm in the lethal zone",
                100.0 * share,
                "%",
                f">= {100 * MARGIN_COVERAGE:g} %" if wanted else "for information",
                "ok" if good else "warning",
                "",
                f"{_SPEC}: PMC8379110 [V]",
            )
        )
    if cautious is None:
        return rows
    rows.append(
        Row(
            "target at or below -40 degC",
            100.0 * cautious.target_coverage,
            "%",
            "for information",
            "ok",
            f"margin at -40 degC {cautious.minimal_mm:.1f} mm; the cautious choice of threshold",
            "ablation specification: Go-Smart [V]",
        )
    )
    return rows


def probability_row(found: CoverageProbability | None, goal_mm: float, why: str) -> Row:
    """How sure the coverage is; "not checked" with ``why`` where it was not computed.

    No rule says how sure a plan must be: the row informs, and warns where covering the target
    itself is less likely than not.
    """
    goal = goal_mm if found is None else found.margin_mm
    name = f"probability that target + {goal:g} mm is covered"
    if found is None:
        return Row(name, None, "%", "for information", "not_checked", why, _SPEC)
    low, high = (100.0 * v for v in found.interval)
    note = (
        f"95 % interval {low:.1f} to {high:.1f} % ({found.samples} samples, {found.mode}); target "
        f"alone {100 * found.target_only.value:.1f} %; {found.uncertainty}"
    )
    unsure = found.target_only.value < 0.5
    status: Status = "warning" if unsure else "ok"
    return Row(name, 100.0 * found.probability, "%", "for information", status, note, _SPEC)


def zone_note_row() -> Row:
    """That a zone given as a mask says nothing about the simulation."""
    return Row(
        "simulation", None, "", "for information", "not_checked", "the zone was given as a mask", ""
    )


def vessel_row(vessels: NearVessels | None, rules: PathRules, *, thermal: bool = True) -> Row:
    """Whether a large vessel lies near the target; its blood holds back cold and heat only."""
    limit = rules.high_risk_vessel
    name = "target to the nearest large vessel"
    words = f">= {limit.value:g} mm, else high-risk class"
    if vessels is None:
        return Row(name, None, "mm", words, "not_checked", "no vessel was looked for", limit.source)
    unsure = "of the liver's veins some may be missing"
    if not np.isfinite(vessels.distance_mm) and not vessels.complete:
        return Row(name, None, "mm", words, "not_checked", f"none was seen; {unsure}", limit.source)
    if not np.isfinite(vessels.distance_mm):
        note = f"none of {rules.min_vessel_diameter.value:g} mm or more within 20 mm"
        return Row(name, 20.0, "mm", words, "ok", "at least; " + note, limit.source)
    near = vessels.distance_mm < limit.value
    why = (
        "its blood keeps the target's edge near body temperature"
        if thermal
        else "its wall lies beside the target (blood flow does not weaken the field)"
    )
    note = f"high-risk class: {why}" if near else ""
    if not near and not vessels.complete:
        return Row(name, vessels.distance_mm, "mm", words, "not_checked",
                   f"at most; {unsure}", limit.source)  # fmt: skip
    return Row(
        name, vessels.distance_mm, "mm", words, "warning" if near else "ok", note, limit.source
    )


def thin_vessel_rows(vessels: NearVessels | None, labels: LabelMap, rules: PathRules) -> list[Row]:
    """That the rule on vessels could not be checked in full, where voxels are wider than it."""
    voxel, rule = max(labels.grid.spacing_mm), rules.min_vessel_diameter
    if vessels is None or voxel <= rule.value:
        return []
    note = (
        f"voxels of {voxel:.1f} mm do not show every vessel of {rule.value:g} mm: a needle may "
        "cross one, or its blood may hold the zone back; look along each needle, or use thinner "
        "slices"
    )
    words = f"voxels <= {rule.value:g} mm"
    return [Row("thin vessels on the way", None, "mm", words, "not_checked", note, rule.source)]


def organ_rows(
    ice: dict[str, IceDistance],
    labels: LabelMap,
    structures: Sequence[str],
    *,
    what: str = "ice",
) -> list[Row]:
    """Distance of the 0 degC edge (or of a given zone's) to each structure."""
    rows = []
    for name in structures:
        words = f"> 0 mm, >= {ICE_WARNING_MM:g} mm wanted"
        title = f"{what} to {name.replace('_', ' ')}"
        if name != SKIN and not labels.checked(name):
            rows.append(
                Row(title, None, "mm", words, "not_checked", "not looked for in this image", _SPEC)
            )
            continue
        found = ice.get(name)
        if found is None:
            rows.append(Row(title, None, "mm", words, "not_checked", f"there is no {what}", _SPEC))
            continue
        if found.at_mm is None:
            note = f"at least; none within {LOOK_MM:g} mm of the {what}"
            rows.append(Row(title, found.distance_mm, "mm", words, "ok", note, _SPEC))
            continue
        status = _three(found.distance_mm >= ICE_WARNING_MM, found.distance_mm > 0.0)
        if name == "bone" and status == "error":
            status = "warning"
        verb = f"{what} reaches in" if found.distance_mm < 0.0 else "nearest"
        rows.append(
            Row(title, found.distance_mm, "mm", words, status, f"{verb} at {_place(found.at_mm)}",
                f"{_SPEC}: 5 mm [S]")
        )  # fmt: skip
    return rows


def needle_rows(
    plan: AblationPlan,
    paths: Sequence[PathCandidate],
    rules: PathRules,
    labels: LabelMap,
    organ: str | None,
) -> list[Row]:
    """Length, tilt, capsule angle, healthy organ and nearest obstacle of each needle."""
    rows = []
    for n, (placement, path) in enumerate(zip(plan.placements, paths, strict=True), start=1):
        needle, terms = placement.needle, {t.name: t.value for t in path.terms}
        longest = min(rules.max_length.value, placement.applicator.max_insertion_mm)
        length = _limited(f"needle {n}: length", needle.depth_mm, "mm", longest, True,
                          rules.max_length.source)  # fmt: skip
        if UNKNOWN in path.not_checked:
            if length.status == "ok":
                note = "at least: the skin may lie farther out than what was seen"
                length = replace(length, status="not_checked", note=note)
            rows.append(
                Row(f"needle {n}: seen all along", None, "mm", "from skin to tip", "not_checked",
                    f"part of it, or what lies before its entry, is {UNKNOWN}: not known to be "
                    "clear", "planning specification: the unknown is never clear")
            )  # fmt: skip
        rows.append(length)
        rows.append(
            _limited(f"needle {n}: tilt out of the axial plane", abs(needle.craniocaudal_tilt_deg),
                     "deg", rules.max_tilt.value, True, rules.max_tilt.source)
        )  # fmt: skip
        for term, limit in (
            ("angle to the capsule", rules.min_capsule_angle),
            ("healthy organ before the target", rules.min_organ_path),
        ):
            title = f"needle {n}: {term}"
            if term in terms:
                rows.append(
                    _limited(title, terms[term], limit.unit, limit.value, False, limit.source)
                )
            else:
                why = "no organ is known round the target" if organ is None else "capsule not met"
                words = f">= {limit.value:g} {limit.unit}"
                rows.append(Row(title, None, limit.unit, words, "not_checked", why, limit.source))
        rows.append(_obstacle_row(n, path, rules))
    for o in rules.obstacles:
        names = [s for s in o.structures if s != organ]
        if o.needed and names and not looked_for(o, labels, organ):
            part = any(labels.checked(s) for s in names)
            rows.append(
                Row(f"needles to {o.name}", None, "mm", f">= {o.hard_mm:g} mm", "not_checked",
                    f"{'found only in part' if part else 'not looked for'} in this image: not "
                    "known to be clear", o.source)
            )  # fmt: skip
    return rows


def _obstacle_row(number: int, path: PathCandidate, rules: PathRules) -> Row:
    title = f"needle {number}: nearest obstacle"
    obstacle = next((o for o in rules.obstacles if o.name == path.limiting_structure), None)
    if obstacle is None or obstacle.name not in path.clearance_mm:
        return Row(title, LOOK_MM, "mm", "hard distances", "ok", "at least; none found", _SPEC)
    value = path.clearance_mm[obstacle.name]
    return Row(
        title,
        value,
        "mm",
        f">= {obstacle.hard_mm:g} mm, >= {obstacle.soft_mm:g} mm wanted",
        _three(value >= obstacle.soft_mm, value >= obstacle.hard_mm),
        f"{obstacle.name} at {_place(path.limiting_point_mm)}, from the needle's axis",
        obstacle.source,
    )


def spacing_rows(plan: AblationPlan, target: TargetGeometry, rules: PathRules) -> list[Row]:
    """Distances of the probes among each other and to the target's edge."""
    places = plan.placements
    rows = []
    if len(places) > 1:
        gaps = np.full((len(places), len(places)), np.inf)
        entries = np.full_like(gaps, np.inf)
        for a in range(len(places)):
            for b in range(a):
                gaps[a, b] = gaps[b, a] = segment_distance_mm(
                    places[a].active_segment, places[b].active_segment
                )
                entries[a, b] = float(
                    np.linalg.norm(
                        np.array(places[a].needle.entry_mm) - np.array(places[b].needle.entry_mm)
                    )
                )
        low, high = rules.min_probe_spacing, rules.max_probe_spacing
        rows.append(
            _limited("smallest distance between probes", float(gaps.min()), "mm", low.value, False,
                     low.source)
        )  # fmt: skip
        rows.append(
            _limited("largest distance to the nearest probe", float(gaps.min(axis=1).max()), "mm",
                     high.value, True, high.source)
        )  # fmt: skip
        limit = rules.min_entry_spacing
        rows.append(
            _limited("smallest distance between entries", float(entries.min()), "mm", limit.value,
                     False, limit.source)
        )  # fmt: skip
    limit = rules.max_edge_distance
    middles = np.array([np.mean(p.active_segment, axis=0) for p in places])
    gap = np.linalg.norm(middles[:, None] - target.sites_mm[None], axis=-1)
    nearest = np.argmin(gap, axis=1)
    edge = float((target.outside_mm[nearest] + gap.min(axis=1)).max())
    inside = np.where(gap.min(axis=1) <= target.cell_mm, target.outside_mm[nearest], edge).max()
    rows.append(
        _limited("probe to the target's edge", float(inside), "mm", limit.value, True, limit.source)
    )
    return rows


def heat_row(result: FieldResult, zone_ml: float) -> Row:
    """How much tissue electroporation kills by heat, which spares nothing."""
    dead = next(z for z in zone_fields(result) if z.name == "arrhenius")
    volume = voxels_inside(dead.signed()) * result.grid.voxel_volume_mm3 / 1000.0
    much = volume > MOST_HEATED * zone_ml
    words = f"<= {100 * MOST_HEATED:g} % of the zone wanted ({MOST_HEATED * zone_ml:.1f} ml)"
    note = f"{dead.words}; {float(result.temperature_c.array.max()):.0f} degC after the last pulse"
    if much:
        note += ": vessels and ducts there are not spared; pause between pairs or lower the voltage"
    source = "non-thermal by intent [S]"
    return Row(
        "tissue killed by heat", volume, "ml", words, "warning" if much else "ok", note, source
    )


def physics_rows(result: AblationResult) -> list[Row]:
    """Whether the simulation can be trusted numerically."""
    rise = result.boundary_rise_c
    return [
        Row(
            "heat balance of the simulation, residual",
            100.0 * result.energy.residual_fraction,
            "%",
            f"<= {100 * ENERGY_RESIDUAL:g} %",
            "ok" if result.energy.residual_fraction <= ENERGY_RESIDUAL else "warning",
            "",
            "ablation contract",
        ),
        Row(
            "change at the edge of the simulated box",
            rise,
            "degC",
            f"<= {BOUNDARY_RISE_C:g} degC",
            "ok" if rise <= BOUNDARY_RISE_C else "warning",
            "" if rise <= BOUNDARY_RISE_C else " ".join(result.warnings),
            "ablation contract",
        ),
    ]


# -- words ---------------------------------------------------------------------------------


def _margin_note(
    plan: AblationPlan,
    report: MarginReport,
    target: TargetGeometry,
    lethal_c: Volume | None,
    vessels: NearVessels | None,
    axes_mm: NDArray[np.float64],
    *,
    heat: bool,
) -> str:
    """Where the smallest margin is and, below the goal, why in numbers."""
    note = f"smallest at {_place(report.minimal_at_mm)}"
    if not report.zone_exists:
        return note + "; no tissue became lethal: minus the distance to the probe's axis"
    if report.minimal_mm >= plan.margin_goal_mm:
        return note
    at = np.array(report.minimal_at_mm)
    number = int(np.argmin(np.linalg.norm(target.surface.points_mm - at, axis=1)))
    wanted = at + plan.margin_goal_mm * target.surface.normals[number]
    note += (
        f"; the lethal zone ends {plan.margin_goal_mm - report.minimal_mm:.1f} mm short of the "
        "goal there"
    )
    near = ""
    if vessels is not None and len(vessels.points_mm) and (heat or lethal_c is not None):
        gap = float(np.linalg.norm(vessels.points_mm - at, axis=1).min())
        does = "cools it" if heat else f"keeps it warm ({_BODY_C:g} degC)"
        if gap < SINK_REACH_MM:
            near = f"; a large vessel {gap:.1f} mm from that place {does}"
    if lethal_c is None:
        return note + near
    here, cold = sample(lethal_c, np.stack([at, wanted]), _BODY_C).tolist()
    a, b = axes_mm[:, 0], axes_mm[:, 1]
    way = b - a
    along = np.clip(np.einsum("ij,ij->i", at - a, way) / np.einsum("ij,ij->i", way, way), 0, 1)
    probe = float(np.linalg.norm(at - a - along[:, None] * way, axis=1).min())
    note += (
        f": the tissue reaches {here:.0f} degC at the target's edge and {cold:.0f} degC "
        f"{plan.margin_goal_mm:g} mm outside it, {plan.lethal.threshold_c:g} degC is needed; "
        f"the nearest probe is {probe:.1f} mm away"
    )
    return note + near


def _capsule_note(report: MarginReport, target: TargetGeometry, rules: PathRules) -> str:
    if target.organ_name is None:
        return "no organ is known round the target: no subcapsular rule"
    left_out = 100.0 * (1.0 - report.counted_fraction)
    if report.counted_fraction == 0.0:
        return "all of the target is subcapsular: nothing could be left out"
    return (
        f"{left_out:.0f} % of the target's surface lies within "
        f"{rules.subcapsular_depth.value:g} mm of the capsule and is left out of the margin above"
    )


def _rule_words(plan: AblationPlan) -> str:
    times = "once" if plan.lethal.cycles == 1 else f"in {plan.lethal.cycles} freezes"
    return f"{plan.lethal.threshold_c:g} degC or below {times}"


def _limited(name: str, value: float, unit: str, limit: float, upper: bool, source: str) -> Row:
    good = value <= limit + 1e-6 if upper else value >= limit - 1e-6
    words = f"{'<=' if upper else '>='} {limit:g} {unit}"
    return Row(name, value, unit, words, "ok" if good else "error", "", source)


def _three(good: bool, tolerable: bool) -> Status:
    return "ok" if good else "warning" if tolerable else "error"


def _place(point: Point3) -> str:
    return f"({point[0]:.0f}, {point[1]:.0f}, {point[2]:.0f}) mm LPS"
