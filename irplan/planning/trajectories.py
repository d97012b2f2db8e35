"""Needle paths from the skin to the target under the hard rules, ranked and explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irplan.compute.progress import Progress, no_progress, portion
from irplan.errors import InputError, NoAdmissiblePathError
from irplan.geometry import Grid, Needle, Point3, as_point
from irplan.image import LabelMap
from irplan.planning.checks import UNKNOWN_RULE, PathChecks, check_paths
from irplan.planning.clearance import Clearance, ClearanceMeter
from irplan.planning.entry_paths import COMFORTABLE_ORGAN_PATH_MM, paths_of_entries
from irplan.planning.nearest_miss import miss_of
from irplan.planning.obstacles import ObstacleRaster, build_raster
from irplan.planning.paths import UNKNOWN, PathCandidate, PathSearch, PathTerm, PathWeights
from irplan.planning.rules import PathRules
from irplan.planning.target import as_target_mask, check_target

#: Entries of two candidates are at least this far apart, mm.
DECLUSTER_MM = 12.0
#: An entry with the unknown within this distance outside it is no skin that anyone saw, mm.
ENTRY_LOOK_MM = 6.0
#: Candidates kept, and clusters looked at to find them.
KEEP = 12
CLUSTERS = 60


def find_paths(
    labels: LabelMap,
    target_mask: NDArray[Any],
    *,
    tip_points_mm: ArrayLike | None = None,
    rules: PathRules | None = None,
    weights: PathWeights | None = None,
    progress: Progress = no_progress,
) -> PathSearch:
    """Test every skin entry point against every tip point and rank what is admissible.

    Parameters
    ----------
    labels : structures on the image's grid (any orientation and spacing).
    target_mask : bool on the same grid.
    tip_points_mm : (n, 3) LPS mm, where the tip may be; by default the target's centroid and up to
        six more points spread inside it.
    rules, weights : limits and weights; the defaults are sourced in `rules`.

    Raises
    ------
    NoAdmissiblePathError : names the rule that blocked most, counts per rule, and how close the
        best path came.  A path can break several rules and counts for each.
    InputError, GridMismatchError : bad target, tip points outside the image.

    Cost: about 1 microsecond a path.  Known limit: straight, rigid needles; patient supine.
    """
    rules = PathRules() if rules is None else rules
    target = as_target_mask(target_mask, labels.grid)
    check_target(labels, target)
    if tip_points_mm is None:
        tips = spread_points(target, labels.grid, 7)
    else:
        tips = np.atleast_2d(np.asarray(tip_points_mm, dtype=np.float64))
        if tips.ndim != 2 or tips.shape[1] != 3 or not bool(np.all(labels.grid.contains(tips))):
            raise InputError(
                "tip_points_mm",
                got=f"an array of shape {tips.shape}, not all inside the image",
                expected="(n, 3) points in LPS mm inside the image",
                remedy="Give the points as x, y, z in LPS mm.",
            )
    raster = build_raster(labels, target, rules, progress=portion(progress, 0.0, 0.5))
    meter = ClearanceMeter.from_raster(raster)
    return search_paths(raster, meter, tips, weights, progress=portion(progress, 0.5, 1.0))


def search_paths(
    raster: ObstacleRaster,
    meter: ClearanceMeter,
    tips_mm: NDArray[np.float64],
    weights: PathWeights | None = None,
    *,
    progress: Progress = no_progress,
) -> PathSearch:
    """`find_paths` on a raster and meter that exist already."""
    weights = PathWeights() if weights is None else weights
    found = paths_of_entries(
        raster, raster.entries_mm, tips_mm, weights, progress=portion(progress, 0.0, 0.8)
    )
    tested, admissible = int(found.tested.sum()), int(found.clear.sum())
    nearest = miss_of(raster, meter, found)
    miss = "no skin within the needle's reach" if nearest is None else nearest.words
    rule = "" if nearest is None else nearest.rule
    open_entries = np.flatnonzero(found.clear > 0)
    entry = raster.entries_mm[open_entries]
    tip = tips_mm[found.best_tip[open_entries, 0]]
    candidates, refused = shortlist(raster, meter, entry, tip, found.cost[open_entries, 0], weights)
    progress(1.0, f"{admissible} of {tested} paths admissible")
    if candidates:
        return PathSearch(tuple(candidates), tested, admissible, found.blocked_by, miss)
    if admissible:  # admissible on the raster, not on the labels themselves
        miss, rule = refused, ""
    raise no_path_error(tested, found.blocked_by, miss, rule=rule, inside=_tips_in(raster, tips_mm))


def no_path_error(
    tested: int,
    blocked_by: tuple[tuple[str, int], ...],
    miss: str,
    *,
    rule: str = "",
    inside: str = "",
) -> NoAdmissiblePathError:
    """The error of a search that found nothing: rule, counts, nearest miss.

    ``rule`` is the one that the nearest miss breaks (else the one that blocked most is named);
    ``inside`` says of what structure the target itself lies too close to.
    """
    worst, count = blocked_by[0] if blocked_by else ("no skin within the needle's reach", 0)
    counts = dict(blocked_by)
    if rule in counts:
        worst = f"the nearest breaks '{rule}', as {counts[rule]} do"
    else:
        worst = f"most are blocked by '{worst}' ({count})"
    return NoAdmissiblePathError(
        "needle path",
        got=f"{inside}no admissible path among {tested}; {worst}",
        expected="at least one path from the skin to the target under the hard rules",
        remedy=f"Nearest miss: {miss}. Check the labels there, or relax that rule knowingly "
        "(--rule NAME=VALUE).",
        blocked_by=blocked_by,
        nearest_miss=miss,
    )


def _tips_in(raster: ObstacleRaster, tips_mm: NDArray[np.float64]) -> str:
    """ "The target lies in ...; " where every point tried breaks one obstacle's rule by itself."""
    index = np.rint(raster.grid.lps_to_index(tips_mm)).astype(np.int64)
    if not len(index) or not bool(np.all((index >= 0) & (index < raster.words.shape))):
        return ""
    words = raster.words[tuple(index.T)]
    for number, o in enumerate(raster.obstacles):
        if bool(np.all((words & np.uint32(1 << number)) != 0)):
            near = f"in or within {o.hard_mm:g} mm of {o.name}"
            return f"a target of which every point tried lies {near}; "
    return ""


def spread_points(target: NDArray[np.bool_], grid: Grid, count: int) -> NDArray[np.float64]:
    """(n, 3) LPS points inside the target: the voxel nearest the centroid, then farthest points."""
    points = grid.index_to_lps(np.argwhere(target))
    centre = points.mean(axis=0)
    chosen = [int(np.argmin(np.linalg.norm(points - centre, axis=1)))]
    # Half-way in from the edge: a tip at the very edge would ablate beside the target.
    inner = centre + 0.6 * (points - centre)
    gap = np.linalg.norm(inner - inner[chosen[0]], axis=1)
    while len(chosen) < count and gap.max() > 3.0:
        chosen.append(int(np.argmax(gap)))
        gap = np.minimum(gap, np.linalg.norm(inner - inner[chosen[-1]], axis=1))
    return np.concatenate([points[chosen[:1]], inner[chosen[1:]]])


def describe_path(
    raster: ObstacleRaster,
    checks: PathChecks,
    number: int,
    needle: Needle,
    clearance: Clearance,
    weights: PathWeights | None = None,
) -> PathCandidate:
    """The path ``number`` of ``checks`` with every term of its score, measured on the labels.

    A path through the unknown, or that begins beside it and not on skin, says so in
    ``not_checked``: it is never clear.
    """
    w = PathWeights() if weights is None else weights
    rules = raster.rules
    terms = [
        PathTerm("length", needle.depth_mm, "mm", w.length,
                 w.length * needle.depth_mm / rules.max_length.value),
        PathTerm("tilt out of the axial plane", needle.craniocaudal_tilt_deg, "deg", w.tilt,
                 w.tilt * abs(needle.craniocaudal_tilt_deg) / max(1e-6, rules.max_tilt.value)),
    ]  # fmt: skip
    if raster.organ_name is not None:
        angle = float(checks.capsule_deg[number])
        if np.isfinite(angle):
            part = (90.0 - angle) / max(1e-6, 90.0 - rules.min_capsule_angle.value)
            terms.append(
                PathTerm("angle to the capsule", angle, "deg", w.capsule_angle,
                         w.capsule_angle * part**2, f"where it enters the {raster.organ_name}")
            )  # fmt: skip
        inside = float(checks.organ_path_mm[number])
        terms.append(
            PathTerm("healthy organ before the target", inside, "mm", w.organ_path,
                     w.organ_path * float(_organ_shortage(np.array(inside), raster)))
        )  # fmt: skip
    worst, swept, near = "", 0.0, np.inf
    for o in raster.obstacles:
        room = clearance.swept_mm[o.name]
        deficit = float(np.clip((o.hard_mm - room) / max(1e-6, o.hard_mm), 0.0, 1.0))
        if deficit > swept or (worst == "" and room < near):
            worst, swept, near = o.name, max(swept, deficit), room
    if np.isfinite(near):
        terms.append(
            PathTerm(f"room to {worst} for a needle off its path", near, "mm", w.sweep,
                     w.sweep * swept**2, f"tip off by {w.error.tip_mm:g} mm, "
                     f"{w.error.angle_deg:g} deg")
        )  # fmt: skip
    limiting, least, at = "none within the soft distances", np.inf, needle.entry_mm
    for o in raster.obstacles:
        distance = clearance.distance_mm[o.name]
        width = max(1e-6, o.soft_mm - o.hard_mm)
        deficit = float(np.clip((o.soft_mm - distance) / width, 0.0, 1.0))
        if np.isfinite(distance):
            terms.append(
                PathTerm(f"distance to {o.name}", distance, "mm", w.obstacle,
                         w.obstacle * deficit**2, f"hard {o.hard_mm:g}, soft {o.soft_mm:g} mm")
            )  # fmt: skip
        if distance - o.hard_mm < least:
            least, limiting = distance - o.hard_mm, o.name
            at = clearance.at_mm.get(o.name, at)
    return PathCandidate(
        needle,
        float(sum(t.cost for t in terms)),
        tuple(terms),
        {k: v for k, v in clearance.distance_mm.items() if np.isfinite(v)},
        limiting,
        at,
        (*(o.name for o in raster.not_checked), *_unseen(raster, checks, number, needle)),
    )


def _unseen(
    raster: ObstacleRaster, checks: PathChecks, number: int, needle: Needle
) -> tuple[str, ...]:
    """`UNKNOWN` for a path through it, or with it just outside the entry; else nothing."""
    from irplan.compute.cpu import rays

    if checks.broken[number, checks.rule_names.index(UNKNOWN_RULE)]:
        return (UNKNOWN,)
    outward = np.arange(0.0, ENTRY_LOOK_MM + 0.5 * raster.spacing_mm, 0.5 * raster.spacing_mm)
    points = np.array(needle.entry_mm) - outward[:, None] * needle.direction
    index = np.rint(raster.grid.lps_to_index(points)).astype(np.int64)
    index = index[np.all((index >= 0) & (index < raster.words.shape), axis=1)]
    at = tuple(index.T)
    dark = (raster.words[at] & np.uint32(rays.UNKNOWN_BIT)) != 0
    if raster.beyond is not None:
        dark |= raster.beyond[at]
    return (UNKNOWN,) if dark.any() else ()


def describe_needles(
    raster: ObstacleRaster, meter: ClearanceMeter, needles: Sequence[Needle]
) -> tuple[PathCandidate, ...]:
    """The terms of any needles, admissible or not."""
    entry = np.array([n.entry_mm for n in needles])
    tip = np.array([n.tip_mm for n in needles])
    checks = check_paths(raster, entry, tip)
    return tuple(
        describe_path(raster, checks, i, needle, clear)
        for i, (needle, clear) in enumerate(zip(needles, meter.measure(list(needles)), strict=True))
    )


def keeps_clear(raster: ObstacleRaster, clearance: Clearance) -> bool:
    """True when every obstacle's hard distance is kept on the original labels."""
    return all(clearance.distance_mm[o.name] >= o.hard_mm for o in raster.obstacles)


def _organ_shortage(inside_mm: NDArray[Any], raster: ObstacleRaster) -> NDArray[np.float64]:
    low = raster.rules.min_organ_path.value
    width = max(1e-6, COMFORTABLE_ORGAN_PATH_MM - low)
    out: NDArray[np.float64] = np.clip((COMFORTABLE_ORGAN_PATH_MM - inside_mm) / width, 0.0, 1.0)
    return out


def shortlist(
    raster: ObstacleRaster,
    meter: ClearanceMeter,
    entry: NDArray[np.float64],
    tip: NDArray[np.float64],
    cost: NDArray[np.float64],
    weights: PathWeights,
    *,
    unsure: bool = False,
) -> tuple[list[PathCandidate], str]:
    """De-clustered candidates, cheapest first, each checked on the labels; and the last refusal.

    ``unsure``: the paths run through the unknown or begin where what was seen ends; the candidates
    say so and keep every other rule.
    """
    order = np.argsort(cost, kind="stable")
    entry, tip = entry[order], tip[order]
    free = np.ones(len(order), dtype=bool)
    picks: list[int] = []
    while len(picks) < CLUSTERS and free.any():
        i = int(np.argmax(free))
        picks.append(i)
        free &= np.linalg.norm(entry - entry[i], axis=1) > DECLUSTER_MM
    needles = [Needle(_point(tip[i]), _point(entry[i])) for i in picks]
    if not unsure:
        needles = [meter.entry_on_skin(n) for n in needles]
    candidates, refused = confirm_paths(raster, meter, needles, weights, unsure=unsure)
    ranked = sorted((c for c in candidates if c is not None), key=lambda c: c.cost)
    return ranked[:KEEP], refused


def confirm_paths(
    raster: ObstacleRaster,
    meter: ClearanceMeter,
    needles: Sequence[Needle],
    weights: PathWeights | None = None,
    *,
    unsure: bool = False,
) -> tuple[list[PathCandidate | None], str]:
    """Check needles on the raster and on the labels; None for one that breaks a rule.

    The second value says in words why the best of the refused was refused.  ``unsure`` lets paths
    through the unknown pass, marked as not checked.
    """
    if not needles:
        return [], ""
    weights = PathWeights() if weights is None else weights
    entry = np.array([n.entry_mm for n in needles])
    tip = np.array([n.tip_mm for n in needles])
    checks = check_paths(raster, entry, tip)
    unknown = checks.rule_names.index(UNKNOWN_RULE)
    breaks = np.delete(checks.broken, unknown, axis=1) if unsure else checks.broken
    ok = np.asarray(~breaks.any(axis=1))
    out: list[PathCandidate | None] = []
    refused, least = "", np.inf
    clearances = meter.measure(list(needles), weights.error)
    for i, (needle, clear) in enumerate(zip(needles, clearances, strict=True)):
        if ok[i] and keeps_clear(raster, clear):
            path = describe_path(raster, checks, i, needle, clear, weights)
            if unsure and UNKNOWN not in path.not_checked:
                path = replace(path, not_checked=(*path.not_checked, UNKNOWN))
            out.append(path)
            continue
        out.append(None)
        for o in raster.obstacles:
            lack = o.hard_mm - clear.distance_mm[o.name]
            if 0.0 < lack < least:
                least = lack
                refused = (
                    f"the best path comes {clear.distance_mm[o.name]:.1f} mm close to {o.name} "
                    f"(rule: {o.hard_mm:g} mm)"
                )
    return out, refused


def _point(values: NDArray[np.float64]) -> Point3:
    return as_point(values, field="path")
